#include "unit/http/core/http_test.h"

#include <stdlib.h>
#include <time.h>

#include "http/core/date.h"

#define NOW INT64_C(1795380000) /* November 2026 */

static void the_three_forms_of_the_rfc_are_read(void **state)
{
	static const char *const forms[] = {
	    "Sun, 06 Nov 1994 08:49:37 GMT",
	    "Sunday, 06-Nov-94 08:49:37 GMT",
	    "Sun Nov  6 08:49:37 1994",
	};
	int64_t t;

	for (size_t i = 0; i < ARRAY_SIZE(forms); i++) {
		assert_int_equal(http_date_parse(slice_of(forms[i]), NOW, &t), 0);
		assert_int_equal(t, 784111777);
	}
}

static void random_times_are_as_libc_has_them(void **state)
{
	uint64_t random = 1;
	char ours[HTTP_DATE_LEN + 1] = "", libc[64];

	for (int i = 0; i < 200000; i++) {
		/* 0000 to 9999 */
		int64_t t =
		    (int64_t)random_below(&random, UINT64_C(315569520000)) - INT64_C(62167219200);
		time_t as_time = (time_t)t;
		struct tm tm;
		int64_t back;

		assert_non_null(gmtime_r(&as_time, &tm));
		snprintf(libc, sizeof(libc), "%.3s, %02d %.3s %04d %02d:%02d:%02d GMT",
			 &"SunMonTueWedThuFriSat"[3 * tm.tm_wday], tm.tm_mday,
			 &"JanFebMarAprMayJunJulAugSepOctNovDec"[3 * tm.tm_mon], tm.tm_year + 1900,
			 tm.tm_hour, tm.tm_min, tm.tm_sec);
		http_date_format(t, ours);
		assert_string_equal(ours, libc);
		assert_int_equal(http_date_parse(slice_of(ours), NOW, &back), 0);
		assert_int_equal(back, t);
	}
}

static void every_form_round_trips_within_its_century(void **state)
{
	uint64_t random = 2;
	char text[64];

	for (int i = 0; i < 50000; i++) {
		int64_t t = NOW - INT64_C(1500000000) + (int64_t)random_below(&random, 3000000000u);
		time_t as_time = (time_t)t;
		struct tm tm;
		int64_t back;

		gmtime_r(&as_time, &tm);
		size_t at = strftime(text, sizeof(text), "%A, %d-%b-", &tm);
		at += (size_t)snprintf(text + at, sizeof(text) - at, "%02d", tm.tm_year % 100);
		strftime(text + at, sizeof(text) - at, " %H:%M:%S GMT", &tm);
		assert_int_equal(http_date_parse(slice_of(text), NOW, &back), 0);
		assert_int_equal(back, t);
		strftime(text, sizeof(text), "%a %b %e %H:%M:%S %Y", &tm);
		assert_int_equal(http_date_parse(slice_of(text), NOW, &back), 0);
		assert_int_equal(back, t);
	}
}

static void two_digit_years_are_at_most_fifty_years_ahead(void **state)
{
	int64_t t;
	struct http_time split;

	assert_int_equal(http_date_parse(slice_of("Friday, 01-May-76 00:00:00 GMT"), NOW, &t), 0);
	http_time_split(t, &split);
	assert_int_equal(split.year, 2076);
	assert_int_equal(http_date_parse(slice_of("Friday, 31-Dec-76 00:00:00 GMT"), NOW, &t), 0);
	http_time_split(t, &split);
	assert_int_equal(split.year, 1976);
}

static void times_outside_of_the_years_are_moved_inside(void **state)
{
	char text[HTTP_DATE_LEN + 1] = "";

	http_date_format(INT64_MAX, text);
	assert_string_equal(text, "Fri, 31 Dec 9999 23:59:59 GMT");
	http_date_format(INT64_MIN, text);
	assert_string_equal(text, "Sat, 01 Jan 0000 00:00:00 GMT");
	http_date_format(-1, text);
	assert_string_equal(text, "Wed, 31 Dec 1969 23:59:59 GMT");
}

static void what_is_no_date_is_refused(void **state)
{
	static const char *const bad[] = {
	    "",
	    "0",
	    "Sun",
	    "Sun,",
	    "Xun, 06 Nov 1994 08:49:37 GMT",
	    "sun, 06 Nov 1994 08:49:37 GMT",
	    "Sun, 6 Nov 1994 08:49:37 GMT",
	    "Sun, 06 nov 1994 08:49:37 GMT",
	    "Sun, 06 Nov 94 08:49:37 GMT",
	    "Sun, 06 Nov 1994 8:49:37 GMT",
	    "Sun, 06 Nov 1994 08:49:37",
	    "Sun, 06 Nov 1994 08:49:37 UTC",
	    "Sun, 06 Nov 1994 08:49:37 GMT ",
	    "Sun, 06 Nov 1994 24:00:00 GMT",
	    "Sun, 06 Nov 1994 08:60:37 GMT",
	    "Sun, 06 Nov 1994 08:49:61 GMT",
	    "Sun, 00 Nov 1994 08:49:37 GMT",
	    "Sun, 31 Nov 1994 08:49:37 GMT",
	    "Sun, 29 Feb 1900 08:49:37 GMT",
	    "Sun, 29 Feb 2023 08:49:37 GMT",
	    "Sunday, 06-Nov-1994 08:49:37 GMT",
	    "Sunday, 06 Nov 1994 08:49:37 GMT",
	    "Sun Nov 06 08:49:37 94",
	    "Sun Nov 6 08:49:37 1994",
	    "Sun Nov  6 08:49:37 1994 GMT",
	    "Sun, 06 Nov 1994 08:49:37 GMT\n",
	};
	int64_t t = 7;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		if (http_date_parse(slice_of(bad[i]), NOW, &t) == 0)
			fail_msg("taken for a date: %s", bad[i]);
	assert_int_equal(t, 7);
	assert_int_equal(http_date_parse(slice_of("Tue, 29 Feb 2000 23:59:60 GMT"), NOW, &t), 0);
}

static void minutes_are_for_reading(void **state)
{
	char text[HTTP_MINUTE_LEN + 1] = "";

	http_minute_format(784111777, text);
	assert_string_equal(text, "1994-11-06 08:49");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(the_three_forms_of_the_rfc_are_read),
	    cmocka_unit_test(random_times_are_as_libc_has_them),
	    cmocka_unit_test(every_form_round_trips_within_its_century),
	    cmocka_unit_test(two_digit_years_are_at_most_fifty_years_ahead),
	    cmocka_unit_test(times_outside_of_the_years_are_moved_inside),
	    cmocka_unit_test(what_is_no_date_is_refused),
	    cmocka_unit_test(minutes_are_for_reading),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
