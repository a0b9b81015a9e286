#include "unit/unit.h"

#include <pthread.h>
#include <string.h>

#include "base/log.h"

static char last[LOG_LINE_MAX + 1];
static unsigned lines;

static void remember(void *arg, enum log_level level, const char *line, size_t len)
{
	assert_true(len <= LOG_LINE_MAX);
	assert_int_equal(line[len - 1], '\n');
	memcpy(last, line, len);
	last[len] = '\0';
	lines++;
}

static int listen_anew(void **state)
{
	lines = 0;
	log_set_sink(remember, NULL, LOG_LEVEL_INFO);
	return 0;
}

static void line_has_prefix_level_and_newline(void **state)
{
	log_warning("port %d taken", 80);
	assert_string_equal(last, "leat: warning: port 80 taken\n");
}

static void control_characters_can_not_forge_a_line(void **state)
{
	log_error("bad request: '%s'", "x\nleat: error: y\r\x1b[2J");
	assert_string_equal(last,
			    "leat: error: bad request: 'x\\x0aleat: error: y\\x0d\\x1b[2J'\n");
}

static void long_message_is_cut_and_still_a_line(void **state)
{
	char text[3 * LOG_LINE_MAX];

	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	log_info("%s", text);
	assert_int_equal(lines, 1);
	assert_true(strlen(last) > LOG_LINE_MAX / 2);
	assert_int_equal(last[strlen(last) - 2], 'x');
}

static void less_important_lines_are_dropped(void **state)
{
	log_debug("x");
	assert_int_equal(lines, 0);
	log_set_sink(NULL, NULL, LOG_LEVEL_DEBUG);
	log_error("x");
	assert_int_equal(lines, 0);
}

static void say(uint64_t now_ns)
{
	log_limited(now_ns, LOG_LEVEL_WARNING, "again");
}

static void limited_line_comes_once_a_second_and_counts_the_others(void **state)
{
	for (uint64_t i = 0; i < 5; i++)
		say(1 + i);
	assert_int_equal(lines, 1);
	assert_string_equal(last, "leat: warning: again\n");
	say(1 + LOG_LIMIT_NS);
	assert_int_equal(lines, 2);
	assert_string_equal(last, "leat: warning: again (and 4 more like it)\n");
	log_limited(1, LOG_LEVEL_WARNING, "another place");
	assert_int_equal(lines, 3);
}

static void tell(uint64_t now_ns)
{
	log_bursts(now_ns, LOG_LEVEL_WARNING, "told");
}

static void a_burst_is_told_line_by_line_and_then_in_its_time(void **state)
{
	for (int i = 0; i < 3 * LOG_BURST; i++)
		tell(7);
	assert_int_equal(lines, LOG_BURST);
	tell(7 + LOG_BURST_NS);
	assert_int_equal(lines, LOG_BURST + 1);
	assert_string_equal(last, "leat: warning: told (and 200 more like it)\n");
	tell(7 + LOG_BURST_NS);
	assert_int_equal(lines, LOG_BURST + 1);
	/* After a quiet time there may be another one. */
	for (int i = 0; i < 3 * LOG_BURST; i++)
		tell(7 + 3 * LOG_BURST * LOG_BURST_NS);
	assert_int_equal(lines, 2 * LOG_BURST + 1);
}

static _Atomic unsigned heard;

static void count(void *arg, enum log_level level, const char *line, size_t len)
{
	atomic_fetch_add(&heard, 1);
}

static struct log_limit shared_limit = {.every_ns = LOG_LIMIT_NS, .burst = 1};

static void *shout(void *arg)
{
	for (int i = 0; i < 1000; i++)
		log_write_limited(&shared_limit, 5, LOG_LEVEL_ERROR, "now");
	return NULL;
}

static void of_many_threads_one_speaks(void **state)
{
	pthread_t threads[4];

	log_set_sink(count, NULL, LOG_LEVEL_INFO);
	for (size_t i = 0; i < ARRAY_SIZE(threads); i++)
		assert_int_equal(pthread_create(&threads[i], NULL, shout, NULL), 0);
	for (size_t i = 0; i < ARRAY_SIZE(threads); i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(heard, 1);
	assert_int_equal(shared_limit.dropped, 3999);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup(line_has_prefix_level_and_newline, listen_anew),
	    cmocka_unit_test_setup(control_characters_can_not_forge_a_line, listen_anew),
	    cmocka_unit_test_setup(long_message_is_cut_and_still_a_line, listen_anew),
	    cmocka_unit_test_setup(less_important_lines_are_dropped, listen_anew),
	    cmocka_unit_test_setup(limited_line_comes_once_a_second_and_counts_the_others,
				   listen_anew),
	    cmocka_unit_test_setup(a_burst_is_told_line_by_line_and_then_in_its_time, listen_anew),
	    cmocka_unit_test_setup(of_many_threads_one_speaks, listen_anew),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
