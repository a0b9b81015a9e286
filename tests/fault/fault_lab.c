/*
 * The lab's side of its worker processes, and the file of thresholds, with each of their system
 * calls failing in turn. A failure is an error with a line of why; nobody waits for a worker that
 * has gone, and no descriptor is left. In the workers nothing fails: the harness could not know.
 */
#include "unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cmd/thresholds.h"
#include "fault/fault.h"
#include "lab/session.h"

#define BYTES (256u * 1024u)

/* ---- a session ---- */

struct session_state {
	struct lab_options options;
	struct err err;
	struct round round;
	enum lab_proof proof;
	int file;
};

static void *session_prepare(void *arg)
{
	struct session_state *state = calloc(1, sizeof(*state));

	if (!state)
		abort();
	state->file = memfd_create("fault", MFD_CLOEXEC);
	assert_int_equal(ftruncate(state->file, BYTES), 0);
	return state;
}

static int session_run(void *arg)
{
	struct session_state *state = arg;
	const struct order order = {.kind = ORDER_SEND,
				    .technique = LEAT_SENDFILE,
				    .file = state->file,
				    .size = BYTES,
				    .count = 2,
				    .bytes = 2 * BYTES};
	struct session session;
	int r = session_open(&session, TRANSPORT_UNIX, &state->options, &state->err);

	if (r < 0)
		return r;
	r = session_prove(&session, LEAT_COPY, &state->proof, &state->err);
	if (r == 0)
		r = session_round(&session, &order, &state->round, &state->err);
	session_close(&session);
	return r;
}

static fault_complaint session_check(void *arg, int result, bool hit)
{
	const struct session_state *state = arg;

	if (result < 0)
		return state->err.text[0] ? NULL : "an error without a line of why";
	if (state->proof != PROOF_COPIED)
		return "the proof of read + write did not say that it copies";
	return state->round.sender.ledger.bytes == 2 * BYTES ? NULL : "not all was sent";
}

static void session_clean(void *arg)
{
	struct session_state *state = arg;

	/* Where waiting was made to fail, what it was for is done here. */
	while (waitpid(-1, NULL, 0) > 0)
		;
	close(state->file);
	free(state);
}

static void a_session_ends_whatever_fails(void **state)
{
	const struct fault_scenario scenario = {
	    .name = "a session of the lab",
	    .prepare = session_prepare,
	    .run = session_run,
	    .check = session_check,
	    .clean = session_clean,
	    .seconds_max = 60,
	};

	fault_each(&scenario);
}

/* ---- thresholds ---- */

struct thresholds_state {
	char path[32], new_path[40];
	struct err err;
};

static void *thresholds_prepare(void *arg)
{
	struct thresholds_state *state = calloc(1, sizeof(*state));
	int fd;

	if (!state)
		abort();
	strcpy(state->path, "fault-thresholds-XXXXXX");
	fd = mkstemp(state->path);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, "copy_below 1\n", 13), 13);
	close(fd);
	snprintf(state->new_path, sizeof(state->new_path), "%s.new", state->path);
	setenv("LEAT_THRESHOLDS", state->path, 1);
	return state;
}

static int thresholds_run(void *arg)
{
	struct thresholds_state *state = arg;

	return thresholds_save(22222, "a machine", &state->err);
}

static fault_complaint thresholds_check(void *arg, int result, bool hit)
{
	const struct thresholds_state *state = arg;
	struct leat_thresholds thresholds = {.size = sizeof(thresholds)};
	char text[256] = "";
	int fd = open(state->path, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || read(fd, text, sizeof(text) - 1) < 0)
		return "the file has gone";
	close(fd);
	if (thresholds_parse(text, &thresholds, NULL) < 0)
		return "the file makes no sense";
	if (thresholds.copy_below != (result < 0 ? 1 : 22222))
		return "the file is neither the old one nor the new one";
	if (result < 0 && state->err.text[0] == '\0')
		return "an error without a line of why";
	return NULL;
}

static void thresholds_clean(void *arg)
{
	struct thresholds_state *state = arg;

	unlink(state->path);
	unlink(state->new_path);
	free(state);
}

static void the_file_of_thresholds_is_the_old_one_or_the_new_one(void **state)
{
	const struct fault_scenario scenario = {
	    .name = "saving thresholds",
	    .prepare = thresholds_prepare,
	    .run = thresholds_run,
	    .check = thresholds_check,
	    .clean = thresholds_clean,
	};

	fault_each(&scenario);
}

static void spare_the_child(void)
{
	(void)fault_off();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_session_ends_whatever_fails),
	    cmocka_unit_test(the_file_of_thresholds_is_the_old_one_or_the_new_one),
	};

	pthread_atfork(NULL, NULL, spare_the_child);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
