/*
 * multipart/byteranges (RFC 9110 14.6): the text around the parts of a 206 with several ranges.
 *
 *     \r\n--BOUNDARY\r\nContent-Type: ...\r\nContent-Range: ...\r\n\r\n<bytes of the range>
 *     ...
 *     \r\n--BOUNDARY--\r\n
 *
 * The boundary must not occur in the file, and nobody looks: it has to be one that who wrote the
 * file could not guess.
 */
#ifndef HTTP_CORE_MULTIPART_H
#define HTTP_CORE_MULTIPART_H

#include "http/core/mime.h"
#include "http/core/range.h"
#include "http/core/response.h"

#define HTTP_BOUNDARY_LEN 32
/* Of the text before one part, or behind the last: its fixed words, and what varies. */
#define HTTP_PART_TEXT_MAX (64 + HTTP_BOUNDARY_LEN + HTTP_MIME_TYPE_MAX + HTTP_CONTENT_RANGE_MAX)

struct http_multipart {
	struct http_ranges ranges;
	uint64_t size;     /* of the file */
	struct slice type; /* of the file */
	char boundary[HTTP_BOUNDARY_LEN];
};

/* From 128 bits of chance. */
void http_multipart_boundary(const uint64_t chance[2], char out[HTTP_BOUNDARY_LEN]);
/* "Content-Type: multipart/byteranges; boundary=...\r\n" */
void http_put_multipart_type(struct http_writer *w, const struct http_multipart *multipart);
/* What stands before the bytes of part `i`; i == ranges.count: what stands behind the last. */
void http_put_multipart_text(struct http_writer *w, const struct http_multipart *multipart,
			     unsigned i);
/* Content-Length of it all. */
uint64_t http_multipart_length(const struct http_multipart *multipart);

#endif
