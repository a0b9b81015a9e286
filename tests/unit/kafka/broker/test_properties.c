/*
 * Files of settings as java.util.Properties reads them: what stands here was seen there.
 */
#include "unit/unit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "kafka/broker/properties.h"

/* "{name|value}" for each. */
static void assert_read(const char *text, const char *expected)
{
	struct properties properties;
	char read[200] = "";
	size_t len = 0;
	int r;

	assert_int_equal(properties_init(&properties, slice_of(text)), 0);
	while ((r = properties_next(&properties)) == 1)
		len += (size_t)snprintf(read + len, sizeof(read) - len, "{%.*s|%.*s}",
					(int)properties.name.len, properties.name.ptr,
					(int)properties.value.len, properties.value.ptr);
	assert_int_equal(r, 0);
	properties_fini(&properties);
	assert_string_equal(read, expected);
}

static void names_and_values_are_told_apart(void **state)
{
	assert_read("a=b", "{a|b}");
	assert_read("a b", "{a|b}");
	assert_read("a:b", "{a|b}");
	assert_read("\ta\f\tb", "{a|b}");
	assert_read(" a = b ", "{a|b }");
	assert_read("a==b", "{a|=b}");
	assert_read("a = = b", "{a|= b}");
	assert_read("a", "{a|}");
	assert_read("a=", "{a|}");
	assert_read("=b", "{|b}");
	assert_read("", "");
}

static void comments_and_empty_lines_are_passed_over(void **state)
{
	assert_read("#x\\\na=b", "{a|b}");
	assert_read("!x\n\n \t\n a\t\tb", "{a|b}");
	assert_read("a=b # c", "{a|b # c}");
	assert_read("a\rb=c\r\nd", "{a|}{b|c}{d|}");
}

static void lines_go_on_behind_a_backslash(void **state)
{
	assert_read("a\\\n  b=c", "{ab|c}");
	assert_read("a=b,\\\n   c\\\n# d", "{a|b,c# d}");
	assert_read("a=b,\\\r\n   c\nd=e", "{a|b,c}{d|e}");
	assert_read("a=b\\\\\nc=d", "{a|b\\}{c|d}");
	assert_read("\\\na=b", "{a|b}");
	assert_read("a=b\\", "{a|b}");
}

static void escapes_stand_for_characters(void **state)
{
	assert_read("a\\=b=c", "{a=b|c}");
	assert_read("a\\ b=c", "{a b|c}");
	assert_read("a\\:b\\=c d", "{a:b=c|d}");
	assert_read("a=\\t\\n\\r\\f\\x\\u00e4\\u20ACz", "{a|\t\n\r\fx\xc3\xa4\xe2\x82\xacz}");
	assert_read("a=\xc3\xa4", "{a|\xc3\xa4}");
}

static void a_wrong_escape_is_told_with_its_line(void **state)
{
	struct properties properties;

	assert_int_equal(properties_init(&properties, slice_of("#\na=b\nc=\\\n\\u12x4")), 0);
	assert_int_equal(properties_next(&properties), 1);
	assert_int_equal(properties.line, 2);
	assert_int_equal(properties_next(&properties), -EINVAL);
	assert_int_equal(properties.line, 3);
	properties_fini(&properties);
}

/* Whatever it is, it ends, and reads nothing beyond. */
static void any_bytes_are_read_to_the_end(void **state)
{
	static const char letters[] = "ab=: \\\n\ru0#!\t";
	uint32_t seed = 1;

	for (int run = 0; run < 20000; run++) {
		struct properties properties;
		size_t len = (size_t)run % 24;
		char *text = malloc(len + 1);

		for (size_t i = 0; i < len; i++) {
			seed = seed * 1103515245 + 12345;
			text[i] = letters[(seed >> 16) % (sizeof(letters) - 1)];
		}
		assert_int_equal(properties_init(&properties, slice_make(text, len)), 0);
		for (size_t i = 0; properties_next(&properties) == 1; i++)
			assert_true(i < 24 && properties.name.len + properties.value.len <= len);
		properties_fini(&properties);
		free(text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(names_and_values_are_told_apart),
	    cmocka_unit_test(comments_and_empty_lines_are_passed_over),
	    cmocka_unit_test(lines_go_on_behind_a_backslash),
	    cmocka_unit_test(escapes_stand_for_characters),
	    cmocka_unit_test(a_wrong_escape_is_told_with_its_line),
	    cmocka_unit_test(any_bytes_are_read_to_the_end),
	};

	return cmocka_run_group_tests_name("kafka/broker/properties", tests, NULL, NULL);
}
