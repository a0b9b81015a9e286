/*
 * Header lines that the operator adds to answers: checked once, at start.
 *
 * What gets through can't break an answer's framing or contradict what the server says itself: a
 * token, a colon, a value without line breaks and controls, and none of the names that the server
 * writes.
 */
#ifndef HTTP_CORE_OWN_HEADER_H
#define HTTP_CORE_OWN_HEADER_H

#include "base/slice.h"

/* "Name: value", with white space as one likes around the value, which may be empty. NULL: it is
 * good, and taken apart; else what is wrong with it. */
const char *http_own_header_parse(struct slice line, struct slice *ret_name,
				  struct slice *ret_value);
/* NULL, or what is wrong with `value` as the value of a header. */
const char *http_own_header_check_value(struct slice value);

#endif
