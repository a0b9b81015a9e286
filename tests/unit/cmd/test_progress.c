#include "unit/unit.h"

#include "cmd/progress.h"

#define SECOND UINT64_C(1000000000)

static const char *line(uint64_t bytes, uint64_t total, uint64_t elapsed_ns)
{
	static char memory[80]; /* 79 columns */
	struct buf buf = buf_over(memory, sizeof(memory));

	progress_text(&buf, bytes, total, elapsed_ns);
	return buf_text(&buf);
}

static void known_total_has_bar_rate_and_time_left(void **state)
{
	assert_string_equal(line(512, 1024, SECOND),
			    "512 B of 1.0 KiB [########        ]  50 %  512 B/s  0:01 left");
}

static void unknown_total_has_rate_and_time_taken(void **state)
{
	assert_string_equal(line(2048, PROGRESS_UNKNOWN, 2 * SECOND), "2.0 KiB  1.0 KiB/s  0:02");
}

static void every_line_fits_a_terminal(void **state)
{
	const uint64_t sizes[] = {0, 1, 1023, UINT64_C(1023) << 20, UINT64_C(999) << 50};
	const uint64_t times[] = {0, 1, SECOND, 3600 * SECOND, 36000000 * SECOND};

	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++)
		for (size_t j = 0; j < ARRAY_SIZE(sizes); j++)
			for (size_t k = 0; k < ARRAY_SIZE(times); k++)
				assert_non_null(line(sizes[i], sizes[j], times[k]));
}

static void more_than_expected_is_a_full_bar(void **state)
{
	assert_non_null(strstr(line(20, 10, SECOND), "[################] 100 %"));
	assert_non_null(strstr(line(0, 0, SECOND), "100 %"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(known_total_has_bar_rate_and_time_left),
	    cmocka_unit_test(unknown_total_has_rate_and_time_taken),
	    cmocka_unit_test(every_line_fits_a_terminal),
	    cmocka_unit_test(more_than_expected_is_a_full_bar),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
