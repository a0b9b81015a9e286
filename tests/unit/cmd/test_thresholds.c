#include "unit/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/thresholds.h"

static struct leat_thresholds parsed;

static int parse(const char *text)
{
	struct err err = {.text = ""};
	int r;

	parsed =
	    (struct leat_thresholds){.size = sizeof(parsed), .copy_below = 1, .zerocopy_above = 2};
	r = thresholds_parse(text, &parsed, &err);
	if (r < 0)
		assert_non_null(strstr(err.text, "makes no sense"));
	return r;
}

static void a_threshold_replaces_what_was(void **state)
{
	assert_int_equal(parse("# comment\n\ncopy_below 8192\n"), 0);
	assert_int_equal(parsed.copy_below, 8192);
	assert_int_equal(parsed.zerocopy_above, 2);
	assert_int_equal(parse("\tcopy_below\t0 # never\r"), 0);
	assert_int_equal(parsed.copy_below, 0);
	assert_int_equal(parse(""), 0);
	assert_int_equal(parsed.copy_below, 1);
}

static void what_makes_no_sense_changes_nothing(void **state)
{
	static const char *const texts[] = {
	    "copy_below\n",
	    "copy_below 8k\n",
	    "copy_below -1\n",
	    "copy_below 4294967296\n",
	    "8192\n",
	    "copy_above 1\n",
	    "copy_below 1 copy_below 2\n",
	};

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		char text[64];

		snprintf(text, sizeof(text), "copy_below 77\n%s", texts[i]);
		assert_int_equal(parse(text), -22);
		assert_int_equal(parsed.copy_below, 1);
	}
}

static void the_environment_names_the_file(void **state)
{
	unsetenv("LEAT_THRESHOLDS");
	assert_non_null(strstr(thresholds_path(), "/leat/thresholds"));
	setenv("LEAT_THRESHOLDS", "", 1);
	assert_null(thresholds_path());
	setenv("LEAT_THRESHOLDS", "/x", 1);
	assert_string_equal(thresholds_path(), "/x");
}

static void what_is_saved_is_loaded(void **state)
{
	char path[] = "thresholds-XXXXXX";
	struct leat_thresholds now = {.size = sizeof(now)};
	struct err err;
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	setenv("LEAT_THRESHOLDS", path, 1);
	assert_int_equal(thresholds_save(12345, "Linux, a machine", &err), 0);
	assert_int_equal(thresholds_try(&err), 0); /* and changes nothing */
	thresholds_load();
	leat_thresholds_get(&now);
	assert_int_equal(now.copy_below, 12345);
	setenv("LEAT_THRESHOLDS", "/nowhere/thresholds", 1);
	assert_true(thresholds_save(1, "", &err) < 0);
	assert_non_null(strstr(err.text, "LEAT_THRESHOLDS"));
	assert_true(thresholds_try(&err) < 0);
	assert_non_null(strstr(err.text, "LEAT_THRESHOLDS"));
	thresholds_load(); /* not there: nothing changes */
	leat_thresholds_get(&now);
	assert_int_equal(now.copy_below, 12345);
	remove(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_threshold_replaces_what_was),
	    cmocka_unit_test(what_makes_no_sense_changes_nothing),
	    cmocka_unit_test(the_environment_names_the_file),
	    cmocka_unit_test(what_is_saved_is_loaded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
