#include "unit/unit.h"

#include <string.h>

#include "base/crc32c.h"

/* One bit at a time, as the definition says. */
static uint32_t plain(uint32_t crc, const uint8_t *data, size_t len)
{
	crc = ~crc;
	for (size_t i = 0; i < len; i++) {
		crc ^= data[i];
		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78u : 0);
	}
	return ~crc;
}

static void the_vectors_of_the_iscsi_standard(void **state)
{
	uint8_t zeros[32] = {0}, ones[32], up[32];

	memset(ones, 0xff, sizeof(ones));
	for (uint8_t i = 0; i < 32; i++)
		up[i] = i;
	/* RFC 3720, appendix B.4 (there in the byte order of the wire). */
	assert_int_equal(crc32c(0, zeros, 32), 0x8a9136aau);
	assert_int_equal(crc32c(0, ones, 32), 0x62a8ab43u);
	assert_int_equal(crc32c(0, up, 32), 0x46dd794eu);
	assert_int_equal(crc32c(0, "123456789", 9), 0xe3069283u);
	assert_int_equal(crc32c(0, NULL, 0), 0);
}

static uint8_t bytes[3 * 4096 * 2 + 300];

static void fill(void)
{
	uint32_t seed = 1;

	for (size_t i = 0; i < sizeof(bytes); i++) {
		seed = seed * 1664525 + 1013904223;
		bytes[i] = (uint8_t)(seed >> 24);
	}
}

static void every_way_agrees_with_the_definition(void **state)
{
	static const size_t lengths[] = {0,   1,    7,     8,     9,     63,    191,   192,  193,
					 400, 4096, 12287, 12288, 12289, 12480, 24576, 24800};
	unsigned ways = 0;

	fill();
	for (size_t w = 0; w < crc32c_ways_count; w++) {
		if (!crc32c_ways[w].usable())
			continue;
		ways++;
		for (size_t i = 0; i < ARRAY_SIZE(lengths); i++)
			for (size_t shift = 0; shift < 9; shift += 4)
				assert_int_equal(crc32c_ways[w].run(0x12345678, bytes + shift,
								    lengths[i]),
						 plain(0x12345678, bytes + shift, lengths[i]));
	}
	assert_true(ways >= 1);
}

static void it_goes_on_from_where_it_stopped(void **state)
{
	fill();
	for (size_t cut = 0; cut <= 1000; cut += 37)
		assert_int_equal(crc32c(crc32c(0, bytes, cut), bytes + cut, 1000 - cut),
				 crc32c(0, bytes, 1000));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(the_vectors_of_the_iscsi_standard),
	    cmocka_unit_test(every_way_agrees_with_the_definition),
	    cmocka_unit_test(it_goes_on_from_where_it_stopped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
