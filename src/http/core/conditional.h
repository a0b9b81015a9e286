/*
 * Conditional requests: RFC 9110 13.2.2, in its order.
 *
 *   1. If-Match                         no match:  412
 *   2. or else If-Unmodified-Since      modified:  412
 *   3. If-None-Match                    match:     304 for GET and HEAD, 412 for others
 *   4. or else If-Modified-Since        (GET, HEAD) not modified: 304
 *   5. Range with If-Range (GET)        no match:  the whole, as if there were no Range
 *
 * If-Match and If-Range compare strongly, If-None-Match weakly. A date that can't be read is as if
 * its field were not there, except in If-Range, where it doesn't match. Repeated lines of the two
 * list fields count as one list; a repeated date or If-Range is invalid, and treated as above.
 */
#ifndef HTTP_CORE_CONDITIONAL_H
#define HTTP_CORE_CONDITIONAL_H

#include "http/core/request.h"

/* Of the representation that would be sent. */
struct http_validators {
	struct slice etag; /* with quotes and, if weak, W/; empty: none */
	int64_t mtime;     /* seconds; what Last-Modified says */
};

enum http_condition {
	HTTP_CONDITION_PASS,                /* go on: 200, or 206 if there is a Range */
	HTTP_CONDITION_WHOLE,               /* go on, but ignore Range: 200 */
	HTTP_CONDITION_NOT_MODIFIED,        /* 304 */
	HTTP_CONDITION_PRECONDITION_FAILED, /* 412 */
};

/* `now`: wall clock in seconds. Costs nothing worth counting for requests without conditions. */
enum http_condition http_conditional(const struct http_request *request,
				     const struct http_validators *validators, int64_t now);

#endif
