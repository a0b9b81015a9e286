/*
 * leat_transfer(): every source to every sink, positions, mirrors, progress, reports.
 */
#include "support.h"

#include <pthread.h>

#define SIZE 300000u

/* A thread at the far end of a sink, or of a source. */
struct peer {
	pthread_t thread;
	int fd;
	size_t moved;
	bool intact;
};

static void *drain(void *arg)
{
	struct peer *peer = arg;
	char buf[10000];
	ssize_t n;

	peer->intact = true;
	for (;;) {
		struct pollfd wait = {.fd = peer->fd, .events = POLLIN};

		poll(&wait, 1, PATIENCE_MS);
		n = read(peer->fd, buf, sizeof(buf));
		if (n == 0 || (n < 0 && errno != EAGAIN))
			return NULL;
		for (ssize_t i = 0; i < n; i++)
			peer->intact &= buf[i] == pattern_at(peer->moved + (size_t)i);
		peer->moved += n > 0 ? (size_t)n : 0;
	}
}

static void *pour(void *arg)
{
	struct peer *peer = arg;
	char buf[7000];

	while (peer->moved < SIZE) {
		struct pollfd wait = {.fd = peer->fd, .events = POLLOUT};
		size_t len = SIZE - peer->moved < sizeof(buf) ? SIZE - peer->moved : sizeof(buf);
		ssize_t n;

		poll(&wait, 1, PATIENCE_MS);
		pattern_fill(buf, len, peer->moved);
		n = write(peer->fd, buf, len);
		if (n < 0 && errno != EAGAIN)
			break;
		peer->moved += n > 0 ? (size_t)n : 0;
	}
	close(peer->fd);
	return NULL;
}

enum end { END_FILE, END_PIPE, END_UNIX, END_TCP, END_COUNT };

static void make_pair(enum end end, bool blocking, int ends[2])
{
	if (end == END_PIPE)
		pipe_pair(ends);
	else if (end == END_UNIX)
		unix_pair(ends);
	else
		tcp_pair(ends);
	for (int i = 0; blocking && i < 2; i++)
		assert_int_equal(fcntl(ends[i], F_SETFL, fcntl(ends[i], F_GETFL) & ~O_NONBLOCK), 0);
}

static void transfer_between(enum end from, enum end to, enum leat_technique technique,
			     bool blocking)
{
	struct leat_options options = LEAT_OPTIONS_INIT;
	struct leat_report report = LEAT_REPORT_INIT;
	struct peer writer = {0}, reader = {0};
	int source[2] = {-1, -1}, sink[2] = {-1, -1};
	int64_t n;

	options.technique = technique;
	if (from == END_FILE) {
		source[1] = pattern_file(SIZE);
	} else {
		make_pair(from, blocking, source);
		writer.fd = source[0];
		pthread_create(&writer.thread, NULL, pour, &writer);
	}
	if (to == END_FILE) {
		sink[0] = pattern_file(0);
		sink[1] = dup(sink[0]);
	} else {
		make_pair(to, blocking, sink);
	}
	reader.fd = sink[1];
	if (to != END_FILE)
		pthread_create(&reader.thread, NULL, drain, &reader);
	n = leat_transfer(source[1], LEAT_CURRENT, sink[0], LEAT_TO_END, &options, &report);
	assert_int_equal(n, SIZE);
	assert_true(ledger_sums(&report.ledger));
	assert_int_equal(report.ledger.bytes, SIZE);
	assert_string_equal(report.error, "");
	assert_true(report.wall_ns > 0);
	if (to == END_FILE)
		lseek(sink[0], 0, SEEK_SET);
	close(sink[0]);
	if (to == END_FILE)
		drain(&reader);
	else
		pthread_join(reader.thread, NULL);
	assert_int_equal(reader.moved, SIZE);
	assert_true(reader.intact);
	if (from != END_FILE)
		pthread_join(writer.thread, NULL);
	close(source[1]);
	close(sink[1]);
}

static void every_source_reaches_every_sink(void **state)
{
	for (int from = 0; from < END_COUNT; from++)
		for (int to = 0; to < END_COUNT; to++)
			for (int blocking = 0; blocking < 2; blocking++) {
				transfer_between((enum end)from, (enum end)to, LEAT_AUTO, blocking);
				transfer_between((enum end)from, (enum end)to, LEAT_COPY, blocking);
				transfer_between((enum end)from, (enum end)to, LEAT_SPLICE,
						 blocking);
			}
	for (int to = 0; to < END_COUNT; to++)
		transfer_between(END_FILE, (enum end)to, LEAT_SENDFILE, false);
}

/* ---- Positions ---- */

static void the_position_moves_only_when_it_was_used(void **state)
{
	static const enum leat_technique techniques[] = {LEAT_AUTO, LEAT_COPY, LEAT_SENDFILE,
							 LEAT_SPLICE};
	int file = pattern_file(SIZE);
	char buf[3000];

	for (size_t i = 0; i < ARRAY_SIZE(techniques); i++) {
		struct leat_options options = LEAT_OPTIONS_INIT;
		int ends[2];

		options.technique = techniques[i];
		unix_pair(ends);
		lseek(file, 100, SEEK_SET);
		assert_int_equal(leat_transfer(file, 2000, ends[0], 1000, &options, NULL), 1000);
		assert_int_equal(lseek(file, 0, SEEK_CUR), 100);
		assert_int_equal(leat_transfer(file, LEAT_CURRENT, ends[0], 1500, &options, NULL),
				 1500);
		assert_int_equal(lseek(file, 0, SEEK_CUR), 1600);
		read_whole(ends[1], buf, 2500);
		assert_pattern(buf, 1000, 2000);
		assert_pattern(buf + 1000, 1500, 100);
		close_pair(ends);
	}
	close(file);
}

static int stop_at_once(void *arg, uint64_t bytes)
{
	return 1;
}

/* Whoever goes on at the position after a failure loses nothing. */
static void the_position_is_behind_what_the_sink_took(void **state)
{
	static const enum leat_technique techniques[] = {LEAT_COPY, LEAT_MMAP, LEAT_SENDFILE,
							 LEAT_SPLICE, LEAT_VMSPLICE};
	int file = pattern_file(SIZE);

	for (size_t i = 0; i < ARRAY_SIZE(techniques); i++) {
		struct leat_options options = LEAT_OPTIONS_INIT;
		struct leat_report report = LEAT_REPORT_INIT;
		const int small = 4096;
		int ends[2];

		options.technique = techniques[i];
		options.progress = stop_at_once;
		unix_pair(ends);
		setsockopt(ends[0], SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
		lseek(file, 0, SEEK_SET);
		assert_int_equal(leat_transfer(file, LEAT_CURRENT, ends[0], SIZE, &options,
					       &report),
				 -ECANCELED);
		assert_in_range(report.ledger.bytes, 1, SIZE - 1);
		assert_int_equal(lseek(file, 0, SEEK_CUR), report.ledger.bytes);
		close_pair(ends);
	}
	close(file);
}

static void streams_have_no_offset(void **state)
{
	int ends[2], other[2];

	pipe_pair(ends);
	unix_pair(other);
	assert_int_equal(leat_transfer(ends[1], 0, other[0], 1, NULL, NULL), -ESPIPE);
	assert_int_equal(leat_transfer(ends[1], -7, other[0], 1, NULL, NULL), -EINVAL);
	close_pair(ends);
	close_pair(other);
}

/* ---- Ends and errors ---- */

static void a_source_that_ends_early_is_enodata_and_what_came_was_moved(void **state)
{
	int file = pattern_file(1000);
	struct leat_report report = LEAT_REPORT_INIT;
	int ends[2], source[2];
	char buf[1000];

	unix_pair(ends);
	assert_int_equal(leat_transfer(file, 100, ends[0], 5000, NULL, &report), -ENODATA);
	assert_string_equal(report.error, "file ended at 1000, expected 5100");
	assert_int_equal(report.ledger.bytes, 900);
	read_whole(ends[1], buf, 900);
	assert_pattern(buf, 900, 100);
	pipe_pair(source);
	assert_int_equal(write(source[0], buf, 10), 10);
	close(source[0]);
	assert_int_equal(leat_transfer(source[1], LEAT_CURRENT, ends[0], 20, NULL, &report),
			 -ENODATA);
	assert_string_equal(report.error, "source ended at 10, expected 20");
	close(source[1]);
	close_pair(ends);
	close(file);
}

static void nothing_to_move_is_no_error(void **state)
{
	int file = pattern_file(0);
	struct leat_report report = LEAT_REPORT_INIT;
	int ends[2];

	unix_pair(ends);
	assert_int_equal(leat_transfer(file, LEAT_CURRENT, ends[0], LEAT_TO_END, NULL, &report), 0);
	assert_int_equal(leat_transfer(file, 0, ends[0], 0, NULL, &report), 0);
	assert_int_equal(report.verdict, LEAT_UNKNOWN);
	assert_non_null(report.reason);
	assert_true(report.evidence[0] != '\0');
	close_pair(ends);
	close(file);
}

static void unusable_descriptors_are_told_with_a_text(void **state)
{
	struct leat_report report = LEAT_REPORT_INIT;
	int dir = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int null = open("/dev/null", O_WRONLY | O_CLOEXEC);

	assert_int_equal(leat_transfer(dir, 0, null, 1, NULL, &report), -EISDIR);
	assert_non_null(strstr(report.error, "directory"));
	assert_int_equal(leat_transfer(9999, 0, null, 1, NULL, &report), -EBADF);
	assert_int_equal(leat_transfer(null, 0, dir, 1, NULL, &report), -EBADF);
	assert_int_equal(leat_transfer(null, 0, null, 1, NULL, &report), -EBADF);
	assert_true(report.error[0] != '\0');
	close(dir);
	close(null);
}

static void a_sink_that_breaks_ends_the_wait_for_the_source(void **state)
{
	int source[2], ends[2];

	unix_pair(source); /* never says anything */
	for (enum end sink = END_PIPE; sink <= END_UNIX; sink++) {
		make_pair(sink, false, ends);
		close(ends[1]);
		assert_int_equal(leat_transfer(source[1], LEAT_CURRENT, ends[0], LEAT_TO_END, NULL,
					       NULL),
				 -EPIPE);
		close(ends[0]);
	}
	close_pair(source);
}

/* ---- Options ---- */

/* A program that was built when the struct ended behind `flags`. */
static void options_count_only_as_far_as_their_size_says(void **state)
{
	struct leat_options options = LEAT_OPTIONS_INIT;
	struct leat_engine *engine;
	struct leat_chain *chain;
	int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
	int file = pattern_file(SIZE);

	options.size = offsetof(struct leat_options, progress);
	options.progress = (int (*)(void *, uint64_t))(uintptr_t)1;
	options.mirrors = (const int *)(uintptr_t)1;
	options.mirror_count = 1;
	assert_int_equal(leat_transfer(file, 0, null, SIZE, &options, NULL), SIZE);
	options = (struct leat_options){.size = 0}; /* LEAT_OPTIONS_INIT was forgotten */
	assert_int_equal(leat_transfer(file, 0, null, SIZE, &options, NULL), -EINVAL);
	assert_int_equal(leat_engine_new(&engine), 0);
	assert_int_equal(leat_chain_new(engine, null, &options, &chain), -EINVAL);
	leat_engine_free(engine);
	close(file);
	close(null);
}

/* What a file of 4096 bytes goes by when ranges below `copy_below` are copied. */
static enum leat_technique technique_below(uint32_t copy_below)
{
	struct leat_thresholds thresholds = {.size =
						 offsetof(struct leat_thresholds, zerocopy_above),
					     .copy_below = copy_below};
	struct leat_report report = LEAT_REPORT_INIT;
	int file = pattern_file(4096), ends[2];

	unix_pair(ends);
	leat_thresholds_set(&thresholds);
	assert_int_equal(leat_transfer(file, 0, ends[0], 4096, NULL, &report), 4096);
	close_pair(ends);
	close(file);
	return report.technique;
}

static void thresholds_count_for_transfers_that_begin_later(void **state)
{
	struct leat_thresholds before = {.size = sizeof(before)}, after = {.size = sizeof(after)};

	leat_thresholds_get(&before);
	assert_int_equal(technique_below(4096), LEAT_SENDFILE);
	assert_int_equal(technique_below(4097), LEAT_COPY);
	leat_thresholds_get(&after);
	assert_int_equal(after.copy_below, 4097);
	assert_int_equal(after.zerocopy_above, before.zerocopy_above); /* beyond the size given */
	leat_thresholds_set(&before);
}

/* ---- Progress, mirrors
 * --------------------------------------------------------------------------- */

static int stop_after(void *arg, uint64_t bytes)
{
	uint64_t *limit = arg;

	return bytes >= *limit;
}

static int count_calls(void *arg, uint64_t bytes)
{
	uint64_t *last = arg;

	assert_true(bytes > *last);
	*last = bytes;
	return 0;
}

static void progress_is_told_and_may_stop_the_transfer(void **state)
{
	int file = pattern_file(8u << 20);
	int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
	struct leat_options options = LEAT_OPTIONS_INIT;
	struct leat_report report = LEAT_REPORT_INIT;
	uint64_t number = 0;

	options.progress = count_calls;
	options.progress_arg = &number;
	assert_int_equal(leat_transfer(file, 0, null, LEAT_TO_END, &options, NULL), 8u << 20);
	assert_int_equal(number, 8u << 20);
	options.progress = stop_after;
	number = 2u << 20;
	assert_int_equal(leat_transfer(file, 0, null, LEAT_TO_END, &options, &report), -ECANCELED);
	assert_in_range(report.ledger.bytes, 2u << 20, (8u << 20) - 1);
	assert_non_null(strstr(report.error, "progress"));
	close(file);
	close(null);
}

static void mirrors_get_the_same_bytes(void **state)
{
	static const enum leat_technique techniques[] = {LEAT_AUTO, LEAT_COPY};

	for (size_t i = 0; i < ARRAY_SIZE(techniques); i++) {
		struct leat_options options = LEAT_OPTIONS_INIT;
		struct leat_report report = LEAT_REPORT_INIT;
		struct peer writer = {0}, readers[3] = {{0}};
		int source[2], sinks[3][2], mirrors[2];

		unix_pair(source);
		writer.fd = source[0];
		pthread_create(&writer.thread, NULL, pour, &writer);
		unix_pair(sinks[0]);
		pipe_pair(sinks[1]);
		tcp_pair(sinks[2]);
		for (int s = 0; s < 3; s++) {
			readers[s].fd = sinks[s][1];
			pthread_create(&readers[s].thread, NULL, drain, &readers[s]);
		}
		mirrors[0] = sinks[1][0];
		mirrors[1] = sinks[2][0];
		options.technique = techniques[i];
		options.mirrors = mirrors;
		options.mirror_count = 2;
		assert_int_equal(leat_transfer(source[1], LEAT_CURRENT, sinks[0][0], SIZE, &options,
					       &report),
				 SIZE);
		assert_true(ledger_sums(&report.ledger));
		for (int s = 0; s < 3; s++) {
			close(sinks[s][0]);
			pthread_join(readers[s].thread, NULL);
			assert_int_equal(readers[s].moved, SIZE);
			assert_true(readers[s].intact);
			close(sinks[s][1]);
		}
		pthread_join(writer.thread, NULL);
		close(source[1]);
	}
}

/* ---- Capabilities ---- */

static void capabilities_are_told_as_far_as_the_caller_knows_them(void **state)
{
	struct leat_capabilities caps = {.size = sizeof(caps)}, old;
	char line[200], small[10];
	int len = leat_capabilities_text(line, sizeof(line));

	assert_int_equal(leat_capabilities(&caps), 0);
	assert_true(caps.kernel[0] >= '2');
	assert_true(caps.pipe_bytes_max >= 4096);
	memset(&old, 0x55, sizeof(old));
	old.size = offsetof(struct leat_capabilities, zerocopy); /* an older program */
	assert_int_equal(leat_capabilities(&old), 0);
	assert_int_equal(old.sendfile_by_reference, caps.sendfile_by_reference);
	assert_int_equal(old.pipe_bytes_max, 0x55555555);
	assert_true(len > 0 && (size_t)len < sizeof(line));
	assert_non_null(strstr(line, caps.kernel));
	assert_int_equal(leat_capabilities_text(small, sizeof(small)), len);
	assert_int_equal(strlen(small), sizeof(small) - 1);
}

static void names_and_techniques_are_the_same_thing(void **state)
{
	for (int i = 0; i < LEAT_TECHNIQUE_COUNT; i++) {
		enum leat_technique technique = LEAT_AUTO;
		const char *name = leat_technique_name((enum leat_technique)i);

		assert_int_equal(leat_technique_parse(name, &technique), 0);
		assert_int_equal(technique, i);
	}
	assert_int_equal(leat_technique_parse("magic", &(enum leat_technique){LEAT_AUTO}), -EINVAL);
	assert_string_equal(leat_verdict_name(LEAT_BY_REFERENCE), "by-reference");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(every_source_reaches_every_sink),
	    cmocka_unit_test(the_position_moves_only_when_it_was_used),
	    cmocka_unit_test(the_position_is_behind_what_the_sink_took),
	    cmocka_unit_test(streams_have_no_offset),
	    cmocka_unit_test(a_source_that_ends_early_is_enodata_and_what_came_was_moved),
	    cmocka_unit_test(nothing_to_move_is_no_error),
	    cmocka_unit_test(unusable_descriptors_are_told_with_a_text),
	    cmocka_unit_test(a_sink_that_breaks_ends_the_wait_for_the_source),
	    cmocka_unit_test(options_count_only_as_far_as_their_size_says),
	    cmocka_unit_test(thresholds_count_for_transfers_that_begin_later),
	    cmocka_unit_test(progress_is_told_and_may_stop_the_transfer),
	    cmocka_unit_test(mirrors_get_the_same_bytes),
	    cmocka_unit_test(capabilities_are_told_as_far_as_the_caller_knows_them),
	    cmocka_unit_test(names_and_techniques_are_the_same_thing),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
