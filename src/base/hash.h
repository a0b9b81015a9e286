/*
 * A hash of names for tables in memory: eight bytes at a time, multiply and fold. Not keyed: where
 * strangers choose the names (and not only those that exist under a root), begin with a secret:
 * hash_slice_from().
 */
#ifndef BASE_HASH_H
#define BASE_HASH_H

#include "base/slice.h"

static inline uint64_t hash_mix(uint64_t a, uint64_t b)
{
	__uint128_t product = (__uint128_t)a * b;

	return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static inline uint64_t hash_slice_from(uint64_t secret, struct slice s)
{
	uint64_t hash = secret ^ s.len, word;
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

static inline uint64_t hash_slice(struct slice s)
{
	return hash_slice_from(0x9e3779b97f4a7c15u, s);
}

#endif
