/*
 * CRC-32C three ways: tables that look at eight bytes a step; the processor's crc32 instruction;
 * and three of those at once.
 *
 * The crc32 instruction starts one a cycle but takes three to finish, so a single stream uses a
 * third of it. `streams` runs three over neighbouring blocks and puts their checksums together:
 * moving a checksum over n following bytes is a multiplication by x^(8n) modulo the polynomial. A
 * carry-less product of two bit-reflected 32-bit values is off by x, and reducing it with the crc32
 * instruction multiplies by x^32 more, so the constants are x^(8n - 33) mod P, reflected.
 */
#include "base/crc32c.h"

#include <stdatomic.h>
#include <string.h>

#define POLYNOMIAL 0x82f63b78u /* reflected */

struct tables {
	uint32_t of[8][256];
};

static void fill_tables(struct tables *tables)
{
	for (uint32_t byte = 0; byte < 256; byte++) {
		uint32_t crc = byte;

		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? POLYNOMIAL : 0);
		tables->of[0][byte] = crc;
	}
	for (int n = 1; n < 8; n++)
		for (int byte = 0; byte < 256; byte++) {
			uint32_t crc = tables->of[n - 1][byte];

			tables->of[n][byte] = crc >> 8 ^ tables->of[0][crc & 0xff];
		}
}

/* Threads that come first together each write the same values: a flag says when they are all
 * there, and until then each makes its own. */
static const struct tables *tables_get(struct tables *scratch)
{
	static struct tables shared;
	static atomic_int state; /* 0 nobody, 1 being filled, 2 ready */
	int nobody = 0;

	if (atomic_load_explicit(&state, memory_order_acquire) == 2)
		return &shared;
	if (atomic_compare_exchange_strong(&state, &nobody, 1)) {
		fill_tables(&shared);
		atomic_store_explicit(&state, 2, memory_order_release);
		return &shared;
	}
	fill_tables(scratch);
	return scratch;
}

static uint64_t load_le64(const uint8_t *at)
{
	uint64_t value;

	memcpy(&value, at, sizeof(value));
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
	value = __builtin_bswap64(value);
#endif
	return value;
}

static uint32_t with_tables(uint32_t crc, const void *data, size_t len)
{
	struct tables scratch;
	const struct tables *t = tables_get(&scratch);
	const uint8_t *at = data;

	crc = ~crc;
	for (; len >= 8; len -= 8, at += 8) {
		uint64_t word = load_le64(at) ^ crc;

		crc = 0;
		for (int n = 0; n < 8; n++)
			crc ^= t->of[7 - n][word >> 8 * n & 0xff];
	}
	for (; len > 0; len--)
		crc = crc >> 8 ^ t->of[0][(crc ^ *at++) & 0xff];
	return ~crc;
}

static bool always(void)
{
	return true;
}

#ifdef __x86_64__
#include <immintrin.h>

#define SSE42 __attribute__((target("sse4.2")))
#define CLMUL __attribute__((target("sse4.2,pclmul")))

SSE42 static uint64_t one_stream(uint64_t crc, const uint8_t *at, size_t len)
{
	for (; len >= 8; len -= 8, at += 8)
		crc = _mm_crc32_u64(crc, load_le64(at));
	for (; len > 0; len--)
		crc = _mm_crc32_u8((uint32_t)crc, *at++);
	return crc;
}

SSE42 static uint32_t with_instruction(uint32_t crc, const void *data, size_t len)
{
	return (uint32_t)~one_stream((uint32_t)~crc, data, len);
}

/* Moves a checksum over the bytes that `power` stands for. */
CLMUL static uint64_t moved(uint64_t crc, uint32_t power)
{
	__m128i product = _mm_clmulepi64_si128(_mm_cvtsi64_si128((int64_t)crc),
					       _mm_cvtsi64_si128((int64_t)power), 0);

	return _mm_crc32_u64(0, (uint64_t)_mm_cvtsi128_si64(product));
}

/* Three blocks of `block` bytes each; `one` and `two` move a checksum over one and two of them. */
CLMUL static inline uint64_t three_streams(uint64_t crc, const uint8_t *at, size_t block,
					   uint32_t one, uint32_t two)
{
	uint64_t b = 0, c = 0;

	for (size_t i = 0; i < block; i += 8) {
		crc = _mm_crc32_u64(crc, load_le64(at + i));
		b = _mm_crc32_u64(b, load_le64(at + block + i));
		c = _mm_crc32_u64(c, load_le64(at + 2 * block + i));
	}
	return moved(crc, two) ^ moved(b, one) ^ c;
}

#define LONG_BLOCK  4096
#define LONG_ONE    0x82f89c77u
#define LONG_TWO    0x54a86326u
#define SHORT_BLOCK 64
#define SHORT_ONE   0x9e4addf8u
#define SHORT_TWO   0x0d3b6092u

CLMUL static uint32_t with_streams(uint32_t crc, const void *data, size_t len)
{
	uint64_t state = (uint32_t)~crc;
	const uint8_t *at = data;

	for (; len >= 3 * LONG_BLOCK; len -= 3 * LONG_BLOCK, at += 3 * LONG_BLOCK)
		state = three_streams(state, at, LONG_BLOCK, LONG_ONE, LONG_TWO);
	for (; len >= 3 * SHORT_BLOCK; len -= 3 * SHORT_BLOCK, at += 3 * SHORT_BLOCK)
		state = three_streams(state, at, SHORT_BLOCK, SHORT_ONE, SHORT_TWO);
	return (uint32_t)~one_stream(state, at, len);
}

static bool has_instruction(void)
{
	return __builtin_cpu_supports("sse4.2");
}

static bool has_streams(void)
{
	return has_instruction() && __builtin_cpu_supports("pclmul");
}
#endif

const struct crc32c_way crc32c_ways[] = {
#ifdef __x86_64__
    {"three streams of SSE4.2, joined by PCLMUL", has_streams, with_streams},
    {"SSE4.2", has_instruction, with_instruction},
#endif
    {"tables", always, with_tables},
};
const size_t crc32c_ways_count = ARRAY_SIZE(crc32c_ways);

uint32_t crc32c(uint32_t crc, const void *data, size_t len)
{
	static uint32_t (*_Atomic chosen)(uint32_t, const void *, size_t);
	uint32_t (*run)(uint32_t, const void *, size_t) =
	    atomic_load_explicit(&chosen, memory_order_relaxed);

	if (unlikely(!run)) {
		const struct crc32c_way *way = crc32c_ways;

		while (!way->usable())
			way++;
		run = way->run;
		atomic_store_explicit(&chosen, run, memory_order_relaxed);
	}
	return run(crc, data, len);
}
