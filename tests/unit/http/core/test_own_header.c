#include "unit/http/core/http_test.h"

#include "http/core/own_header.h"

static void good_lines_are_taken_apart(void **state)
{
	static const struct {
		const char *line, *name, *value;
	} rows[] = {
	    {"X-Frame-Options: DENY", "X-Frame-Options", "DENY"},
	    {"a:b", "a", "b"},
	    {"a: \t b c\t ", "a", "b c"},
	    {"a: x:y: z", "a", "x:y: z"},
	    {"a:", "a", ""},
	    {"a: \xc3\xa4", "a", "\xc3\xa4"},
	    {"a: b\tc", "a", "b\tc"},
	    {"Content-Security-Policy: default-src 'self'; img-src *", "Content-Security-Policy",
	     "default-src 'self'; img-src *"},
	    {"Content-Typ: x", "Content-Typ", "x"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct slice name, value;

		assert_null(http_own_header_parse(slice_of(rows[i].line), &name, &value));
		assert_slice(name, rows[i].name);
		assert_slice(value, rows[i].value);
	}
}

static void bad_lines_are_refused_with_a_reason(void **state)
{
	static const struct {
		struct slice line;
		const char *reason;
	} rows[] = {
	    {SLICE_LITERAL(""), "colon"},
	    {SLICE_LITERAL("X-Frame-Options DENY"), "colon"},
	    {SLICE_LITERAL(": x"), "the name"},
	    {SLICE_LITERAL("a b: x"), "the name"},
	    {SLICE_LITERAL("a : x"), "the name"},
	    {SLICE_LITERAL(" a: x"), "the name"},
	    {SLICE_LITERAL("a\r\nb: x"), "the name"},
	    {SLICE_LITERAL("\xc3\xa4: x"), "the name"},
	    {SLICE_LITERAL("a: x\r\nb: y"), "line break"},
	    {SLICE_LITERAL("a: x\n"), "line break"},
	    {SLICE_LITERAL("a: x\ry"), "line break"},
	    {SLICE_LITERAL("a: x\0y"), "line break"},
	    {SLICE_LITERAL("a: x\x7f"), "line break"},
	    {SLICE_LITERAL("content-LENGTH: 5"), "server itself"},
	    {SLICE_LITERAL("Transfer-Encoding: chunked"), "server itself"},
	    {SLICE_LITERAL("Date: x"), "server itself"},
	    {SLICE_LITERAL("cache-control: x"), "--cache-control"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct slice name, value;
		const char *wrong = http_own_header_parse(rows[i].line, &name, &value);

		assert_non_null(wrong);
		if (!strstr(wrong, rows[i].reason))
			fail_msg("%s: %s", rows[i].line.ptr, wrong);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(good_lines_are_taken_apart),
	    cmocka_unit_test(bad_lines_are_refused_with_a_reason),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
