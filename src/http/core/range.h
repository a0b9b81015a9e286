/*
 * Range: bytes=... (RFC 9110 14).
 *
 * What comes out is disjoint and not adjacent, in the order of first mention: ranges that overlap
 * or touch are joined into the one that came first. A Range is ignored (the whole goes out with
 * 200, which RFC 9110 14.2 always allows) when it is not well formed, of another unit, of more than
 * HTTP_RANGES_MAX ranges, when more than HTTP_RANGE_OVERLAPS_MAX of them repeat bytes that an
 * earlier one asked for (RFC 9110 17.15), or when the file is empty.
 */
#ifndef HTTP_CORE_RANGE_H
#define HTTP_CORE_RANGE_H

#include "base/slice.h"

#define HTTP_RANGES_MAX         64
#define HTTP_RANGE_OVERLAPS_MAX 2

struct http_range {
	uint64_t first, last; /* inclusive; last < size */
};

struct http_ranges {
	unsigned count;
	struct http_range range[HTTP_RANGES_MAX]; /* valid up to count */
};

enum http_range_result {
	HTTP_RANGE_WHOLE,         /* ignore it: 200 */
	HTTP_RANGE_PARTIAL,       /* 206: one range, or multipart/byteranges if count > 1 */
	HTTP_RANGE_UNSATISFIABLE, /* 416 */
};

/* `value`: of Range, by http_request_single(): a repeated one is no range.
 * `size`: of the representation. *ret is written only for HTTP_RANGE_PARTIAL. */
enum http_range_result http_range_parse(struct slice value, uint64_t size, struct http_ranges *ret);

/* Value of Content-Range: "bytes 0-499/1234", or "bytes * /1234" (without the space) for 416.
 * Returns its length; not terminated. */
#define HTTP_CONTENT_RANGE_MAX 80
size_t http_content_range(const struct http_range *range, uint64_t size,
			  char out[HTTP_CONTENT_RANGE_MAX]);
size_t http_content_range_unsatisfiable(uint64_t size, char out[HTTP_CONTENT_RANGE_MAX]);

#endif
