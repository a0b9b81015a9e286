#include "unit/unit.h"

#include "base/buf.h"

static void pieces_are_put_together(void **state)
{
	char memory[64];
	struct buf buf = buf_over(memory, sizeof(memory));

	buf_add_literal(&buf, "a");
	buf_add_text(&buf, "bc");
	buf_add_slice(&buf, slice_make(NULL, 0));
	buf_add_char(&buf, '-');
	buf_add_u64(&buf, 0);
	buf_add_u64(&buf, UINT64_MAX);
	buf_printf(&buf, "%s=%d", "x", -1);
	assert_string_equal(buf_text(&buf), "abc-018446744073709551615x=-1");
	assert_int_equal(buf_slice(&buf).len, strlen(memory));
}

static void what_does_not_fit_is_left_out_and_so_is_what_follows(void **state)
{
	char memory[5] = "....";
	struct buf buf = buf_over(memory, 4);

	buf_add_text(&buf, "abc");
	buf_add_text(&buf, "de");
	assert_true(buf.overflow);
	buf_add_char(&buf, 'f');
	assert_int_equal(buf.len, 3);
	assert_null(buf_text(&buf));
	assert_string_equal(memory, "abc.");
}

static void full_to_the_last_byte_is_no_overflow(void **state)
{
	char memory[4];
	struct buf buf = buf_over(memory, sizeof(memory));

	buf_add_text(&buf, "abcd");
	assert_false(buf.overflow);
	assert_memory_equal(buf.ptr, "abcd", 4);
	assert_null(buf_text(&buf));
}

static void printf_beyond_the_bound_overflows(void **state)
{
	char memory[4];
	struct buf buf = buf_over(memory, sizeof(memory));

	buf_printf(&buf, "%d", 1234);
	assert_true(buf.overflow);
	assert_int_equal(buf.len, 0);

	buf = buf_over(NULL, 0);
	buf_printf(&buf, "x");
	assert_true(buf.overflow);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(pieces_are_put_together),
	    cmocka_unit_test(what_does_not_fit_is_left_out_and_so_is_what_follows),
	    cmocka_unit_test(full_to_the_last_byte_is_no_overflow),
	    cmocka_unit_test(printf_beyond_the_bound_overflows),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
