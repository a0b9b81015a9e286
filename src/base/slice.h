/*
 * A slice: bytes that belong to somebody else. Not terminated, may be empty, ptr may then be NULL.
 */
#ifndef BASE_SLICE_H
#define BASE_SLICE_H

#include <string.h>

#include "base/check.h"

struct slice {
	const char *ptr;
	size_t len;
};

#define SLICE_LITERAL(s) ((struct slice){(s), sizeof(s) - 1})

static inline struct slice slice_make(const char *ptr, size_t len)
{
	return (struct slice){ptr, len};
}

static inline struct slice slice_of(const char *terminated)
{
	return (struct slice){terminated, strlen(terminated)};
}

static inline bool slice_eq(struct slice a, struct slice b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

/* Below, at or above 0: as the bytes come, and what is shorter first. */
static inline int slice_compare(struct slice a, struct slice b)
{
	size_t len = a.len < b.len ? a.len : b.len;
	int order = len ? memcmp(a.ptr, b.ptr, len) : 0;

	return order ? order : (a.len > b.len) - (a.len < b.len);
}

/* ASCII letters only: what HTTP calls case-insensitive. */
bool slice_eq_nocase(struct slice a, struct slice b);
bool slice_starts_with(struct slice s, struct slice prefix);

/* Without the spaces and tabs at both ends (HTTP's OWS). */
struct slice slice_trim(struct slice s);

#endif
