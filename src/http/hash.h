/*
 * A hash of paths for tables in memory: eight bytes at a time, multiply and fold. Not keyed: only
 * names that exist under the root ever get into a table, so a stranger can't choose them.
 */
#ifndef HTTP_HASH_H
#define HTTP_HASH_H

#include "base/slice.h"

static inline uint64_t hash_mix(uint64_t a, uint64_t b)
{
	__uint128_t product = (__uint128_t)a * b;

	return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static inline uint64_t hash_slice(struct slice s)
{
	uint64_t hash = 0x9e3779b97f4a7c15u ^ s.len, word;
	const char *at = s.ptr;
	size_t left = s.len;

	for (; left >= 8; at += 8, left -= 8) {
		memcpy(&word, at, 8);
		hash = hash_mix(hash ^ word, 0xd6e8feb86659fd93u);
	}
	word = 0;
	memcpy(&word, at, left);
	return hash_mix(hash ^ word, 0xa0761d6478bd642fu);
}

#endif
