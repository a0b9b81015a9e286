/*
 * What the tests of http/core share: parsing whole heads, and random numbers that are the same in
 * every run.
 */
#ifndef TESTS_HTTP_TEST_H
#define TESTS_HTTP_TEST_H

#include <stdio.h>

#include "unit/unit.h"

#include "http/core/request.h"

static inline enum http_parse parse_bytes(const char *head, size_t len, struct http_request *ret)
{
	struct http_scan scan = {0};

	return http_parse_request(&scan, head, len, ret);
}

static inline enum http_parse parse_text(const char *head, struct http_request *ret)
{
	return parse_bytes(head, strlen(head), ret);
}

static inline void assert_slice(struct slice s, const char *text)
{
	if (!slice_eq(s, slice_of(text)))
		fail_msg("'%.*s' is not '%s'", (int)s.len, s.ptr, text);
}

/* xorshift64* */
static inline uint64_t next_random(uint64_t *state)
{
	*state ^= *state >> 12;
	*state ^= *state << 25;
	*state ^= *state >> 27;
	return *state * UINT64_C(2685821657736338717);
}

static inline uint64_t random_below(uint64_t *state, uint64_t bound)
{
	return next_random(state) % bound;
}

#endif
