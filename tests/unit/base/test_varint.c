#include "unit/unit.h"

#include "base/varint.h"

static void numbers_come_back(void **state)
{
	static const uint64_t numbers[] = {0,          1,          127,        128,       300,
					   16383,      16384,      UINT32_MAX, INT32_MAX, INT64_MAX,
					   UINT64_MAX, 1ull << 63, 1ull << 35};

	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++) {
		uint8_t out[VARINT64_MAX];
		uint64_t back;
		uint32_t back32;
		unsigned len = varint_write(out, numbers[i]);

		assert_int_equal(len, varint_size(numbers[i]));
		assert_ptr_equal(varint_read_u64(out, out + len, &back), out + len);
		assert_true(back == numbers[i]);
		assert_null(varint_read_u64(out, out + len - 1, &back));
		if (numbers[i] > UINT32_MAX) {
			assert_null(varint_read_u32(out, out + len, &back32));
		} else {
			assert_ptr_equal(varint_read_u32(out, out + len, &back32), out + len);
			assert_int_equal(back32, numbers[i]);
		}
	}
}

static void zigzag_folds_the_sign_into_the_lowest_bit(void **state)
{
	assert_int_equal(zigzag_encode32(0), 0);
	assert_int_equal(zigzag_encode32(-1), 1);
	assert_int_equal(zigzag_encode32(1), 2);
	assert_int_equal(zigzag_encode32(INT32_MIN), UINT32_MAX);
	assert_true(zigzag_encode64(INT64_MIN) == UINT64_MAX);
	for (int32_t n = -70000; n < 70000; n += 7) {
		assert_int_equal(zigzag_decode32(zigzag_encode32(n)), n);
		assert_true(zigzag_decode64(zigzag_encode64(n)) == n);
	}
	assert_int_equal(zigzag_decode32(UINT32_MAX), INT32_MIN);
	assert_true(zigzag_decode64(UINT64_MAX) == INT64_MIN);
}

static void too_long_is_malformed(void **state)
{
	const uint8_t wide[5] = {0xff, 0xff, 0xff, 0xff, 0x10};
	const uint8_t endless[11] = {0x80, 0x80, 0x80, 0x80, 0x80, 0x80,
				     0x80, 0x80, 0x80, 0x80, 0x00};
	const uint8_t minus_one[1] = {1};
	uint32_t u32;
	uint64_t u64;
	int32_t i32;
	int64_t i64;

	assert_null(varint_read_u32(wide, wide + 5, &u32));
	assert_null(varint_read_u32(endless, endless + 11, &u32));
	assert_null(varint_read_u64(endless, endless + 11, &u64));
	assert_null(varint_read_u32(wide, wide, &u32));
	assert_non_null(varint_read_i32(minus_one, minus_one + 1, &i32));
	assert_non_null(varint_read_i64(minus_one, minus_one + 1, &i64));
	assert_int_equal(i32, -1);
	assert_true(i64 == -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(numbers_come_back),
	    cmocka_unit_test(zigzag_folds_the_sign_into_the_lowest_bit),
	    cmocka_unit_test(too_long_is_malformed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
