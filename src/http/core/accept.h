/*
 * What the client would rather have: Accept-Encoding (RFC 9110 12.5.3) among the codings that a
 * file exists in, and Accept (12.5.1) between an HTML and a JSON directory listing.
 */
#ifndef HTTP_CORE_ACCEPT_H
#define HTTP_CORE_ACCEPT_H

#include "http/core/request.h"

/* In rising order of preference where the client's weights are equal. */
enum http_coding { HTTP_IDENTITY, HTTP_GZIP, HTTP_ZSTD, HTTP_BR };
#define HTTP_CODING_COUNT 4

/* "identity", "gzip", "zstd", "br": also the value of Content-Encoding. */
const char *http_coding_name(enum http_coding coding);
/* "", ".gz", ".zst", ".br": what a file's name has behind it when it is encoded so. */
struct slice http_coding_suffix(enum http_coding coding);
/* By the suffix of `path`; HTTP_IDENTITY: it has none of them, or nothing before it. */
enum http_coding http_coding_of(struct slice path);

/* `available`: bits (1u << coding). Identity when nothing available is acceptable, or when there is
 * no Accept-Encoding: a client that can't say gets what everyone can read. A line that is not well
 * formed counts up to the first bad member. */
enum http_coding http_accept_coding(const struct http_request *request, unsigned available);

/* application/json has a higher weight than text/html: an explicit wish, a wildcard for both is
 * none. */
bool http_accepts_json(const struct http_request *request);

#endif
