#include "config.h"
#include "rig.h"

#define LENGTH (3u * 1024 * 1024 + 321)

static unsigned released_count;

static void note_release(void *arg)
{
	released_count++;
}

static bool has_ring(void)
{
	struct leat_capabilities caps = {.size = sizeof(caps)};

	released_count = 0;
	return HAVE_URING && leat_capabilities(&caps) == 0 && caps.uring == LEAT_YES;
}

#define NEED_RING()                                                                         \
	do {                                                                                \
		if (!has_ring())                                                            \
			unit_skip("no io_uring with splice and send_zc, or none built in"); \
	} while (0)

static void file_ranges_arrive_whole(void **state)
{
	NEED_RING();

	void (*const pairs[])(int[2]) = {tcp_pair, unix_pair, pipe_pair};

	for (size_t i = 0; i < ARRAY_SIZE(pairs); i++) {
		struct leat_report report;
		struct steps steps;
		int ends[2];

		pairs[i](ends);
		report = send_file_range(LEAT_URING, ends, 4099, LENGTH, &steps);
		assert_int_equal(report.technique, LEAT_URING);
		assert_int_equal(report.ledger.bytes_copied, 0);
	}
}

static void streams_arrive_whole(void **state)
{
	NEED_RING();

	char *memory = pattern_memory(LENGTH, 0);
	int ends[2], source[2];
	struct reader reader;
	size_t done = 0;
	struct rig rig;
	int step;

	tcp_pair(ends);
	unix_pair(source);
	rig_open(&rig, ends[0], LEAT_URING);
	reader_start(&reader, ends[1], 0);
	assert_int_equal(leat_chain_add_stream(rig.chain, source[1], LEAT_TO_END, note_release,
					       NULL),
			 0);
	do {
		struct leat_wait wait;
		struct pollfd fd;
		ssize_t n = done < LENGTH ? write(source[0], memory + done, LENGTH - done) : 0;

		done += n > 0 ? (size_t)n : 0;
		if (done == LENGTH && source[0] >= 0) {
			close(source[0]);
			source[0] = -1;
		}
		step = leat_chain_step(rig.chain, 0);
		assert_true(step >= 0);
		wait = chain_wait(rig.chain);
		fd = (struct pollfd){.fd = wait.fd, .events = wait.events};
		if (step == LEAT_WANT_COMPLETION || step == LEAT_WANT_WRITE)
			assert_int_equal(poll(&fd, 1, PATIENCE_MS), 1);
	} while (step != LEAT_DONE);
	assert_int_equal(released_count, 1);
	rig_close(&rig);
	reader_finish(&reader, &ends[0], LENGTH);
	close_pair(ends);
	close_pair(source);
	free(memory);
}

/* Of a file that is not in memory: the caller is told to wait for the ring, and never to load. */
static void a_cold_file_holds_nobody(void **state)
{
	NEED_RING();

	int file = pattern_file(LENGTH), ends[2];
	struct leat_report report;
	struct reader reader;
	struct rig rig;

	assert_int_equal(fsync(file), 0);
	assert_int_equal(posix_fadvise(file, 0, 0, POSIX_FADV_DONTNEED), 0);
	tcp_pair(ends);
	rig_open(&rig, ends[0], LEAT_URING);
	reader_start(&reader, ends[1], 0);
	assert_int_equal(leat_chain_add_file(rig.chain, file, 0, LENGTH, NULL, NULL), 0);
	assert_int_equal(step_to_end(rig.chain, 0, &rig.steps), LEAT_DONE);
	assert_int_equal(rig.steps.want_load, 0);
	report = rig_close(&rig);
	reader_finish(&reader, &ends[0], LENGTH);
	assert_int_equal(report.ledger.loads, 0);
	close_pair(ends);
	close(file);
}

static void memory_arrives_and_loopback_is_reported_as_copied_later(void **state)
{
	NEED_RING();

	char *memory = pattern_memory(LENGTH, 0);
	struct leat_report report;
	struct reader reader;
	struct rig rig;
	int ends[2];

	tcp_pair(ends);
	rig_open(&rig, ends[0], LEAT_URING);
	reader_start(&reader, ends[1], 0);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(leat_chain_add_memory(rig.chain, memory + i * (LENGTH / 3),
						       LENGTH / 3, note_release, NULL),
				 0);
	assert_int_equal(step_to_end(rig.chain, 0, &rig.steps), LEAT_DONE);
	assert_int_equal(released_count, 3);
	report = rig_close(&rig);
	reader_finish(&reader, &ends[0], LENGTH);
	/* Kernels before 6.2 don't say. */
	assert_int_equal(report.ledger.bytes_copied_later + report.ledger.bytes_unknown, LENGTH);
	close_pair(ends);
	free(memory);
}

static void memory_is_released_only_when_completed(void **state)
{
	NEED_RING();

	enum { SIZE = 2000000 };
	struct reader reader;
	struct rig rig;
	int ends[2], step;
	char *memory;

	tcp_pair(ends);
	if (!grow_send_buffer(ends[0], 4 * 1024 * 1024)) {
		close_pair(ends);
		unit_skip("net.core.wmem_max is too small");
	}
	memory = pattern_memory(SIZE, 0);
	rig_open(&rig, ends[0], LEAT_URING);
	assert_int_equal(leat_chain_add_memory(rig.chain, memory, SIZE, note_release, NULL), 0);
	do
		step = leat_chain_step(rig.chain, 0);
	while (step == LEAT_MORE);
	assert_int_equal(step, LEAT_WANT_COMPLETION);
	assert_int_equal(leat_chain_pending(rig.chain), 0);
	assert_int_equal(released_count, 0);
	reader_start(&reader, ends[1], 0);
	assert_int_equal(step_to_end(rig.chain, 0, &rig.steps), LEAT_DONE);
	assert_int_equal(released_count, 1);
	rig_close(&rig);
	reader_finish(&reader, &ends[0], SIZE);
	close_pair(ends);
	free(memory);
}

static void memory_to_a_unix_socket_is_refused(void **state)
{
	NEED_RING();

	struct rig rig;
	int ends[2];

	unix_pair(ends);
	rig_open(&rig, ends[0], LEAT_URING);
	assert_int_equal(leat_chain_add_memory(rig.chain, "x", 1, note_release, NULL), 0);
	assert_int_equal(leat_chain_step(rig.chain, 0), -EOPNOTSUPP);
	rig_close(&rig);
	assert_int_equal(released_count, 1);
	close_pair(ends);
}

/* The splice is with the kernel when the chain goes. */
static void freeing_ends_what_is_in_flight(void **state)
{
	NEED_RING();

	int before = open_fds();

	for (unsigned i = 0; i < 20; i++) {
		int file = pattern_file(LENGTH), ends[2];
		struct rig rig;

		fsync(file);
		posix_fadvise(file, 0, 0, POSIX_FADV_DONTNEED);
		tcp_pair(ends);
		rig_open(&rig, ends[0], LEAT_URING);
		assert_int_equal(leat_chain_add_file(rig.chain, file, 0, LENGTH, note_release,
						     NULL),
				 0);
		assert_true(leat_chain_step(rig.chain, 0) >= 0);
		rig_close(&rig);
		close_pair(ends);
		close(file);
	}
	assert_int_equal(released_count, 20);
	assert_int_equal(open_fds(), before);
}

static void a_file_cut_short_is_an_error(void **state)
{
	NEED_RING();

	int file = pattern_file(LENGTH), ends[2];
	struct leat_options options = LEAT_OPTIONS_INIT;
	struct leat_report report = LEAT_REPORT_INIT;
	struct reader reader;

	options.technique = LEAT_URING;
	unix_pair(ends);
	reader_start(&reader, ends[1], 0);
	assert_int_equal(leat_transfer(file, 0, ends[0], LENGTH + 5, &options, &report), -ENODATA);
	reader_finish(&reader, &ends[0], LENGTH);
	close_pair(ends);
	close(file);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(file_ranges_arrive_whole),
	    cmocka_unit_test(streams_arrive_whole),
	    cmocka_unit_test(a_cold_file_holds_nobody),
	    cmocka_unit_test(memory_arrives_and_loopback_is_reported_as_copied_later),
	    cmocka_unit_test(memory_is_released_only_when_completed),
	    cmocka_unit_test(memory_to_a_unix_socket_is_refused),
	    cmocka_unit_test(freeing_ends_what_is_in_flight),
	    cmocka_unit_test(a_file_cut_short_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
