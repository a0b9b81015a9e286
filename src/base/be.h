/*
 * Big-endian numbers in memory, at any alignment: the order of Kafka's wire and files.
 */
#ifndef BASE_BE_H
#define BASE_BE_H

#include <string.h>

#include "base/check.h"

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define be_swap16(n) __builtin_bswap16(n)
#define be_swap32(n) __builtin_bswap32(n)
#define be_swap64(n) __builtin_bswap64(n)
#else
#define be_swap16(n) (n)
#define be_swap32(n) (n)
#define be_swap64(n) (n)
#endif

static inline uint16_t be_load16(const void *at)
{
	uint16_t n;

	memcpy(&n, at, sizeof(n));
	return be_swap16(n);
}

static inline uint32_t be_load32(const void *at)
{
	uint32_t n;

	memcpy(&n, at, sizeof(n));
	return be_swap32(n);
}

static inline uint64_t be_load64(const void *at)
{
	uint64_t n;

	memcpy(&n, at, sizeof(n));
	return be_swap64(n);
}

static inline void be_store16(void *at, uint16_t n)
{
	n = be_swap16(n);
	memcpy(at, &n, sizeof(n));
}

static inline void be_store32(void *at, uint32_t n)
{
	n = be_swap32(n);
	memcpy(at, &n, sizeof(n));
}

static inline void be_store64(void *at, uint64_t n)
{
	n = be_swap64(n);
	memcpy(at, &n, sizeof(n));
}

#endif
