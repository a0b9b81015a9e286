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

static void assert_printed(struct slice text, const char *wanted)
{
	char memory[64];
	struct buf buf = buf_over(memory, sizeof(memory));

	buf_add_printable(&buf, text);
	assert_false(buf.overflow);
	assert_int_equal(buf.len, strlen(wanted));
	assert_memory_equal(memory, wanted, buf.len);
}

static void what_strangers_send_is_seen_and_not_obeyed(void **state)
{
	char memory[6];
	struct buf buf = buf_over(memory, sizeof(memory));

	assert_printed(SLICE_LITERAL(""), "");
	assert_printed(SLICE_LITERAL("plain, \xc3\xa4 \xe2\x82\xac \xf0\x9f\x90\x98"),
		       "plain, \xc3\xa4 \xe2\x82\xac \xf0\x9f\x90\x98");
	assert_printed(SLICE_LITERAL("a\nb\0\x1b[2J\x7f"), "a\\x0ab\\x00\\x1b[2J\\x7f");
	assert_printed(SLICE_LITERAL("\xc2\x9b"
				     "1m"),
		       "\\xc2\\x9b1m");
	assert_printed(SLICE_LITERAL("\xe2\x80\xae|\xe2\x80\xa8|\xe2\x81\xa6"),
		       "\\xe2\\x80\\xae|\\xe2\\x80\\xa8|\\xe2\\x81\\xa6");
	assert_printed(SLICE_LITERAL("\xff|\xc3|\xed\xa0\x80"), "\\xff|\\xc3|\\xed\\xa0\\x80");
	/* No half of an escape. */
	buf_add_printable(&buf, SLICE_LITERAL("abc\n"));
	assert_true(buf.overflow);
	assert_int_equal(buf.len, 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(pieces_are_put_together),
	    cmocka_unit_test(what_does_not_fit_is_left_out_and_so_is_what_follows),
	    cmocka_unit_test(full_to_the_last_byte_is_no_overflow),
	    cmocka_unit_test(printf_beyond_the_bound_overflows),
	    cmocka_unit_test(what_strangers_send_is_seen_and_not_obeyed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
