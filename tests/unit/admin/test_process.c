#include "unit/unit.h"

#include <stdlib.h>

#include "admin/admin_process.h"
#include "sys/sys.h"

time_t __wrap_sys_wall_time(void);

static time_t wall = 1700000000;

time_t __wrap_sys_wall_time(void)
{
	return wall;
}

static void a_clock_that_is_set_back_does_not_change_for_how_long_it_runs(void **state)
{
	static const char name[] = "\"uptime_seconds\":";
	struct admin_process process;
	char text[1024];
	struct buf buf = buf_over(text, sizeof(text) - 1);
	const char *found;

	admin_process_open(&process);
	wall -= 3600;
	admin_process_status(&process, &buf);
	assert_false(buf.overflow);
	text[buf.len] = '\0';
	found = strstr(text, name);
	assert_non_null(found);
	assert_true(strtoull(found + strlen(name), NULL, 10) < 600);
	admin_process_close(&process);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_clock_that_is_set_back_does_not_change_for_how_long_it_runs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
