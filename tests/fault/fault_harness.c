/*
 * The fault harness itself: it must find what it is there to find.
 */
#include "unit/unit.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fault/fault.h"
#include "sys/sys.h"

struct pair {
	int ends[2];
	char got[64];
	size_t got_len;
	bool whole;
};

static void *pair_prepare(void *arg)
{
	struct pair *pair = calloc(1, sizeof(*pair));

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair->ends), 0);
	return pair;
}

static void pair_clean(void *state)
{
	struct pair *pair = state;

	close(pair->ends[0]);
	close(pair->ends[1]);
	free(pair);
}

static const char message[] = "a message of some bytes";

static int send_all(void *state)
{
	struct pair *pair = state;
	size_t sent = 0;

	while (sent < sizeof(message)) {
		ssize_t n = sys_send(pair->ends[0], message + sent, sizeof(message) - sent, 0);

		if (n < 0)
			return (int)n;
		sent += (size_t)n;
	}
	return 0;
}

/* Takes a short send for a whole one. */
static int send_carelessly(void *state)
{
	struct pair *pair = state;
	ssize_t n = sys_send(pair->ends[0], message, sizeof(message), 0);

	return n < 0 ? (int)n : 0;
}

static int open_and_forget(void *state)
{
	int ends[2], r = sys_pipe(ends);

	if (r < 0)
		return r;
	r = sys_pipe_resize(ends[0], 65536);
	if (r < 0)
		return r;
	close(ends[0]);
	close(ends[1]);
	return 0;
}

static fault_complaint whole_or_failed(void *state, int result, bool hit)
{
	struct pair *pair = state;
	char got[64];
	ssize_t n = recv(pair->ends[1], got, sizeof(got), MSG_DONTWAIT);

	if (n > 0 && memcmp(got, message, (size_t)n) != 0)
		return "not a prefix";
	if (result == 0 && n != (ssize_t)sizeof(message))
		return "success, but not whole";
	return NULL;
}

static fault_complaint no_complaint(void *state, int result, bool hit)
{
	return NULL;
}

static struct fault_scenario scenario_of(const char *name, int (*run)(void *))
{
	return (struct fault_scenario){.name = name,
				       .prepare = pair_prepare,
				       .run = run,
				       .check = whole_or_failed,
				       .clean = pair_clean};
}

static void careful_code_passes(void **state)
{
	struct fault_scenario scenario = scenario_of("send_all", send_all);

	fault_each(&scenario);
}

static void a_short_send_that_is_taken_for_a_whole_one_is_found(void **state)
{
	struct fault_scenario scenario = scenario_of("send_carelessly", send_carelessly);

	/* Cut to one byte and to a half, once and always. */
	assert_int_equal(fault_complaints(&scenario), 2);
}

static void a_descriptor_leaked_on_an_error_path_is_found(void **state)
{
	struct fault_scenario scenario = scenario_of("open_and_forget", open_and_forget);

	scenario.check = no_complaint;
	/* pipe_resize with EPERM and ENOMEM, once and always. */
	assert_int_equal(fault_complaints(&scenario), 4);
}

static void an_error_reaches_the_caller_and_the_call_is_not_made(void **state)
{
	struct pair *pair = pair_prepare(NULL);
	char byte;

	fault_aim("sys_send", 2, -ENOBUFS, true);
	assert_int_equal(sys_send(pair->ends[0], "a", 1, 0), 1);
	assert_int_equal(sys_send(pair->ends[0], "b", 1, 0), -ENOBUFS);
	assert_int_equal(sys_send(pair->ends[0], "c", 1, 0), -ENOBUFS);
	assert_true(fault_off());
	assert_int_equal(sys_send(pair->ends[0], "d", 1, 0), 1);
	assert_int_equal(read(pair->ends[1], &byte, 1), 1);
	assert_int_equal(byte, 'a');
	assert_int_equal(read(pair->ends[1], &byte, 1), 1);
	assert_int_equal(byte, 'd');
	pair_clean(pair);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(careful_code_passes),
	    cmocka_unit_test(a_short_send_that_is_taken_for_a_whole_one_is_found),
	    cmocka_unit_test(a_descriptor_leaked_on_an_error_path_is_found),
	    cmocka_unit_test(an_error_reaches_the_caller_and_the_call_is_not_made),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
