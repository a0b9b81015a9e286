#include "unit/unit.h"

#include <errno.h>

#include "base/size.h"

static void sizes_read_as_people_write_them(void **state)
{
	static const struct {
		uint64_t bytes;
		const char *text;
	} cases[] = {
	    {0, "0 B"},
	    {1023, "1023 B"},
	    {1024, "1.0 KiB"},
	    {1536, "1.5 KiB"},
	    {1024 * 1024 - 1, "1.0 MiB"},
	    {UINT64_C(1610612736), "1.5 GiB"},
	    {UINT64_C(640) << 20, "640.0 MiB"},
	    {UINT64_C(1) << 40, "1.0 TiB"},
	    {UINT64_MAX, "16.0 EiB"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char text[SIZE_TEXT_MAX];

		assert_string_equal(size_format(cases[i].bytes, text), cases[i].text);
	}
}

static void suffixes_are_powers_of_1024(void **state)
{
	static const struct {
		const char *text;
		uint64_t bytes;
	} cases[] = {
	    {"0", 0},
	    {"4096", 4096},
	    {"64k", 65536},
	    {"64K", 65536},
	    {"1MiB", 1 << 20},
	    {"1mB", 1 << 20},
	    {"3G", UINT64_C(3) << 30},
	    {"512B", 512},
	    {"18446744073709551615", UINT64_MAX},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		uint64_t bytes = 1;

		assert_int_equal(size_parse(cases[i].text, &bytes), 0);
		assert_int_equal(bytes, cases[i].bytes);
	}
}

static void nonsense_is_refused_and_leaves_the_result_alone(void **state)
{
	static const char *const wrong[] = {"",   "k",  "-1",  "+1",  " 1",  "1 k",
					    "1x", "1i", "1iB", "1kk", "1.5G"};
	uint64_t bytes = 7;

	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
		assert_int_equal(size_parse(wrong[i], &bytes), -EINVAL);
	assert_int_equal(size_parse("18446744073709551616", &bytes), -ERANGE);
	assert_int_equal(size_parse("16E", &bytes), -ERANGE);
	assert_int_equal(bytes, 7);
}

static void times_are_seconds_unless_they_say_otherwise(void **state)
{
	static const struct {
		const char *text;
		uint64_t ms;
	} cases[] = {{"5", 5000},    {"75s", 75000},  {"500ms", 500},
		     {"2m", 120000}, {"1h", 3600000}, {"0", 0}};
	static const char *const wrong[] = {"", "s", "-1", "1.5s", "5 s", "5sec", "5M", "1s1ms"};
	uint64_t ms = 7;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		assert_int_equal(duration_parse(cases[i].text, &ms), 0);
		assert_int_equal(ms, cases[i].ms);
	}
	ms = 7;
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
		assert_int_equal(duration_parse(wrong[i], &ms), -EINVAL);
	assert_int_equal(duration_parse("18446744073709551615h", &ms), -ERANGE);
	assert_int_equal(ms, 7);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(sizes_read_as_people_write_them),
	    cmocka_unit_test(suffixes_are_powers_of_1024),
	    cmocka_unit_test(nonsense_is_refused_and_leaves_the_result_alone),
	    cmocka_unit_test(times_are_seconds_unless_they_say_otherwise),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
