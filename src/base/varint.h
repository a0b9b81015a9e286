/*
 * Variable-length integers as Kafka and Protocol Buffers have them: seven bits a byte, the least
 * significant first, the top bit set on all but the last. Signed ones are zigzag: 0, -1, 1, -2...
 *
 * Reading never goes beyond `end`. A number that is cut, or has bits beyond its width, is an error.
 */
#ifndef BASE_VARINT_H
#define BASE_VARINT_H

#include "base/check.h"

#define VARINT32_MAX 5 /* bytes */
#define VARINT64_MAX 10

/* NULL: malformed. Otherwise what follows the number. */
static inline const uint8_t *varint_read_u64(const uint8_t *at, const uint8_t *end, uint64_t *ret)
{
	uint64_t value = 0;

	if (likely(at < end && *at < 0x80)) { /* most are small */
		*ret = *at;
		return at + 1;
	}
	if (likely(end - at > 1 && at[1] < 0x80)) {
		*ret = (at[0] & 0x7fu) | (unsigned)at[1] << 7;
		return at + 2;
	}
	for (unsigned shift = 0; at < end && shift < 64; shift += 7) {
		uint8_t byte = *at++;

		if (unlikely(shift == 63 && byte > 1))
			return NULL;
		value |= (uint64_t)(byte & 0x7f) << shift;
		if (byte < 0x80) {
			*ret = value;
			return at;
		}
	}
	return NULL;
}

static inline const uint8_t *varint_read_u32(const uint8_t *at, const uint8_t *end, uint32_t *ret)
{
	uint32_t value = 0;

	if (likely(at < end && *at < 0x80)) {
		*ret = *at;
		return at + 1;
	}
	if (likely(end - at > 1 && at[1] < 0x80)) {
		*ret = (at[0] & 0x7fu) | (unsigned)at[1] << 7;
		return at + 2;
	}
	for (unsigned shift = 0; at < end && shift < 32; shift += 7) {
		uint8_t byte = *at++;

		if (unlikely(shift == 28 && byte > 0x0f))
			return NULL;
		value |= (uint32_t)(byte & 0x7f) << shift;
		if (likely(byte < 0x80)) {
			*ret = value;
			return at;
		}
	}
	return NULL;
}

static inline int32_t zigzag_decode32(uint32_t n)
{
	return (int32_t)(n >> 1 ^ -(n & 1));
}

static inline int64_t zigzag_decode64(uint64_t n)
{
	return (int64_t)(n >> 1 ^ -(n & 1));
}

static inline uint32_t zigzag_encode32(int32_t n)
{
	return (uint32_t)n << 1 ^ (n < 0 ? UINT32_MAX : 0);
}

static inline uint64_t zigzag_encode64(int64_t n)
{
	return (uint64_t)n << 1 ^ (n < 0 ? UINT64_MAX : 0);
}

static inline const uint8_t *varint_read_i32(const uint8_t *at, const uint8_t *end, int32_t *ret)
{
	uint32_t raw;

	at = varint_read_u32(at, end, &raw);
	if (at)
		*ret = zigzag_decode32(raw);
	return at;
}

static inline const uint8_t *varint_read_i64(const uint8_t *at, const uint8_t *end, int64_t *ret)
{
	uint64_t raw;

	at = varint_read_u64(at, end, &raw);
	if (at)
		*ret = zigzag_decode64(raw);
	return at;
}

/* The bytes a number takes. */
static inline unsigned varint_size(uint64_t value)
{
	return (70u - (unsigned)__builtin_clzll(value | 1)) / 7;
}

/* Returns how many bytes it wrote: varint_size() of them. */
static inline unsigned varint_write(uint8_t out[static VARINT64_MAX], uint64_t value)
{
	unsigned len = 0;

	for (; value >= 0x80; value >>= 7)
		out[len++] = (uint8_t)(value | 0x80);
	out[len++] = (uint8_t)value;
	return len;
}

#endif
