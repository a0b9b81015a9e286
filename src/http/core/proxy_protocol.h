/*
 * The PROXY protocol, versions 1 and 2 (HAProxy's doc/proxy-protocol.txt): what a proxy says of its
 * client before the first byte of a connection.
 *
 * It has to be asked for: whether a connection begins with it can't be guessed (there, section 4).
 */
#ifndef HTTP_CORE_PROXY_PROTOCOL_H
#define HTTP_CORE_PROXY_PROTOCOL_H

#include "http/core/address.h"
#include "http/core/request.h"

/* A line of version 1 has 107 bytes at most. A header of version 2 can have 64 KiB of extensions
 * (TLVs), of which real ones, with names and certificates' fingerprints, use some hundred bytes. */
#define HTTP_PROXY_V1_MAX 107u
#define HTTP_PROXY_V2_MAX 2048u

/* HTTP_PARSE_OK: the header has *ret_used bytes, and *ret_client is who it names, or untouched
 * where it names nobody (LOCAL, UNKNOWN, other families than IP). HTTP_PARSE_MORE: not all of it is
 * there. HTTP_PARSE_BAD: it is none. */
enum http_parse http_proxy_parse(const char *buf, size_t len, size_t *ret_used,
				 struct http_address *ret_client);

#endif
