#include "rig.h"

#include "engine/mirror.h"

#define LENGTH      (3u * 1024 * 1024 + 321)
#define MIRRORS_MAX 3

/* A transfer to a main sink and mirrors, each with a reader. */
struct fan {
	int main[2], mirrors[MIRRORS_MAX][2];
	struct reader main_reader, readers[MIRRORS_MAX];
	struct leat_options options;
	struct leat_report report;
	int fds[MIRRORS_MAX];
};

typedef void (*make_pair)(int ends[2]);

static void fan_open(struct fan *fan, make_pair sink, const make_pair *mirrors, unsigned count)
{
	*fan = (struct fan){.options = LEAT_OPTIONS_INIT, .report = LEAT_REPORT_INIT};
	sink(fan->main);
	reader_start(&fan->main_reader, fan->main[1], 0);
	for (unsigned i = 0; i < count; i++) {
		mirrors[i](fan->mirrors[i]);
		fan->fds[i] = fan->mirrors[i][0];
		reader_start(&fan->readers[i], fan->mirrors[i][1], 0);
	}
	fan->options.mirrors = fan->fds;
	fan->options.mirror_count = count;
}

static void fan_finish(struct fan *fan, uint64_t bytes)
{
	reader_finish(&fan->main_reader, &fan->main[0], bytes);
	close_pair(fan->main);
	for (size_t i = 0; i < fan->options.mirror_count; i++) {
		reader_finish(&fan->readers[i], &fan->mirrors[i][0], bytes);
		close_pair(fan->mirrors[i]);
	}
}

static const make_pair all_kinds[] = {pipe_pair, unix_pair, tcp_pair};

static void a_file_reaches_every_sink_by_reference(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(all_kinds); i++) {
		int file = pattern_file(LENGTH);
		struct fan fan;

		fan_open(&fan, all_kinds[i], all_kinds, ARRAY_SIZE(all_kinds));
		assert_int_equal(leat_transfer(file, 0, fan.main[0], LENGTH, &fan.options,
					       &fan.report),
				 LENGTH);
		assert_int_equal(fan.report.technique, LEAT_TEE);
		assert_int_equal(fan.report.ledger.bytes_copied, 0);
		assert_sums(&fan.report.ledger, LENGTH);
		fan_finish(&fan, LENGTH);
		close(file);
	}
}

struct feeder {
	int fd;
	pthread_t thread;
};

/* Small pieces: each takes a whole slot of a pipe. */
static void *feed(void *arg)
{
	struct feeder *feeder = arg;
	char *memory = pattern_memory(LENGTH, 0);

	for (size_t done = 0, len; done < LENGTH; done += len) {
		struct pollfd wait = {.fd = feeder->fd, .events = POLLOUT};
		ssize_t n;

		len = 0;
		if (poll(&wait, 1, PATIENCE_MS) != 1)
			break;
		n = write(feeder->fd, memory + done,
			  LENGTH - done < 1000 ? LENGTH - done : 1000 - done % 7);
		len = n > 0 ? (size_t)n : 0;
	}
	close(feeder->fd);
	free(memory);
	return NULL;
}

static void a_stream_of_small_pieces_reaches_every_sink(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(all_kinds); i++) {
		struct feeder feeder;
		struct fan fan;
		int source[2];

		all_kinds[i](source);
		feeder.fd = source[0];
		assert_int_equal(pthread_create(&feeder.thread, NULL, feed, &feeder), 0);
		fan_open(&fan, tcp_pair, all_kinds, ARRAY_SIZE(all_kinds));
		assert_int_equal(leat_transfer(source[1], LEAT_CURRENT, fan.main[0], LEAT_TO_END,
					       &fan.options, &fan.report),
				 LENGTH);
		assert_int_equal(fan.report.technique, LEAT_TEE);
		fan_finish(&fan, LENGTH);
		pthread_join(feeder.thread, NULL);
		close(source[1]);
	}
}

static int append_file(void)
{
	char name[] = "tee-append-XXXXXX";
	int fd = mkostemp(name, O_APPEND | O_CLOEXEC);

	assert_true(fd >= 0);
	unlink(name);
	return fd;
}

static void assert_content(int fd, size_t len)
{
	char *got = malloc(len);

	assert_non_null(got);
	assert_int_equal(pread(fd, got, len, 0), (ssize_t)len);
	assert_pattern(got, len, 0);
	free(got);
}

static void a_mirror_in_append_mode_is_written_and_the_verdict_says_so(void **state)
{
	int file = pattern_file(LENGTH), append = append_file();
	struct fan fan;

	fan_open(&fan, unix_pair, all_kinds, 1);
	fan.fds[1] = append;
	fan.options.mirror_count = 2;
	assert_int_equal(leat_transfer(file, 0, fan.main[0], LENGTH, &fan.options, &fan.report),
			 LENGTH);
	assert_int_equal(fan.report.technique, LEAT_TEE);
	assert_int_equal(fan.report.verdict, LEAT_COPIED);
	fan.options.mirror_count = 1;
	fan_finish(&fan, LENGTH);
	assert_content(append, LENGTH);
	close(append);
	close(file);
}

/* The kernel takes the pages, and copies them into the file's own. */
static void a_mirror_that_is_a_file_makes_everything_a_copy(void **state)
{
	int file = pattern_file(LENGTH), mirror = pattern_file(0);
	struct fan fan;

	fan_open(&fan, unix_pair, NULL, 0);
	fan.fds[0] = mirror;
	fan.options.mirror_count = 1;
	assert_int_equal(leat_transfer(file, 0, fan.main[0], LENGTH, &fan.options, &fan.report),
			 LENGTH);
	assert_int_equal(fan.report.technique, LEAT_TEE);
	assert_int_equal(fan.report.verdict, LEAT_COPIED);
	assert_int_equal(fan.report.ledger.bytes_by_reference, 0);
	assert_non_null(strstr(fan.report.evidence, "mirror 1"));
	fan.options.mirror_count = 0;
	fan_finish(&fan, LENGTH);
	assert_content(mirror, LENGTH);
	close(mirror);
	close(file);
}

static void a_main_sink_in_append_mode_makes_everything_a_copy(void **state)
{
	int file = pattern_file(LENGTH), append = append_file();
	struct leat_options options = LEAT_OPTIONS_INIT;
	struct leat_report report = LEAT_REPORT_INIT;
	struct reader reader;
	int mirror[2];

	unix_pair(mirror);
	reader_start(&reader, mirror[1], 0);
	options.mirrors = &mirror[0];
	options.mirror_count = 1;
	assert_int_equal(leat_transfer(file, 0, append, LENGTH, &options, &report), LENGTH);
	assert_int_equal(report.technique, LEAT_COPY);
	reader_finish(&reader, &mirror[0], LENGTH);
	assert_content(append, LENGTH);
	close_pair(mirror);
	close(append);
	close(file);
}

static void a_mirror_that_breaks_is_named(void **state)
{
	int file = pattern_file(LENGTH);
	struct fan fan;
	int broken[2];

	signal(SIGPIPE, SIG_DFL); /* the library has to hold it back */
	fan_open(&fan, unix_pair, all_kinds, 1);
	pipe_pair(broken);
	close(broken[1]);
	broken[1] = -1;
	fan.fds[1] = broken[0];
	fan.options.mirror_count = 2;
	assert_int_equal(leat_transfer(file, 0, fan.main[0], LENGTH, &fan.options, &fan.report),
			 -EPIPE);
	assert_non_null(strstr(fan.report.error, "mirror 2"));
	close_pair(broken);
	fan.options.mirror_count = 1;
	reader_join(&fan.main_reader, &fan.main[0]);
	reader_join(&fan.readers[0], &fan.mirrors[0][0]);
	close_pair(fan.main);
	close_pair(fan.mirrors[0]);
	close(file);
}

/* A chain of our own, to see the steps: the full mirror is what is waited for, the main sink got
 * its pipeful, and nothing more is pulled. */
static void a_full_mirror_is_waited_for_and_holds_up_the_next_pull(void **state)
{
	int file = pattern_file(LENGTH), sink[2], fds[2], small = 4096;
	struct leat_engine engine;
	struct leat_chain chain;
	struct reader reader, mirror_reader;
	struct steps steps = {0};
	int step;

	unix_pair(sink);
	unix_pair(fds);
	assert_int_equal(setsockopt(fds[0], SOL_SOCKET, SO_SNDBUF, &small, sizeof(small)), 0);
	engine_init(&engine);
	chain_init(&chain, &engine, &(struct chain_sink){.fd = sink[0], .kind = SINK_UNIX});
	assert_int_equal(leat_chain_add_mirror(&chain, fds[0], LEAT_MIRROR_WAIT), 0);
	assert_int_equal(chain_add_known_file(&chain, file, 1, 0, LENGTH, NULL, NULL), 0);
	reader_start(&reader, sink[1], 0);
	/* The main reader reads, the mirror's does not. */
	for (int ms = 0; ms < PATIENCE_MS; ms++) {
		step = leat_chain_step(&chain, 0);
		assert_true(step == LEAT_WANT_WRITE || step == LEAT_MORE);
		if (step == LEAT_WANT_WRITE && chain_wait(&chain).fd == fds[0])
			break;
		usleep(1000);
	}
	assert_int_equal(chain_wait(&chain).fd, fds[0]);
	assert_int_equal(leat_chain_step(&chain, 0), LEAT_WANT_WRITE);
	assert_true(chain.ledger.bytes <= ENGINE_LARGE_PIPE_BYTES);
	reader_start(&mirror_reader, fds[1], 0);
	assert_int_equal(step_to_end(&chain, 0, &steps), LEAT_DONE);
	assert_int_equal(chain.mirrors[0].piped, 0);
	chain_fini(&chain);
	engine_fini(&engine);
	reader_finish(&reader, &sink[0], LENGTH);
	reader_finish(&mirror_reader, &fds[0], LENGTH);
	close_pair(sink);
	close_pair(fds);
	close(file);
}

/* An unprivileged user beyond his share of pipe pages gets pipes of one or two. */
static struct pipe_pair pipe_of(int pages)
{
	struct pipe_pair pipe;
	int fds[2];

	assert_int_equal(pipe2(fds, O_NONBLOCK | O_CLOEXEC), 0);
	assert_int_equal(fcntl(fds[0], F_SETPIPE_SZ, pages * 4096), pages * 4096);
	pipe = (struct pipe_pair){fds[0], fds[1], (uint32_t)pages * 4096};
	return pipe;
}

static void the_smallest_pipe_sets_the_pace(void **state)
{
	int file = pattern_file(LENGTH), sink[2], fds[3][2];
	const int pages[3] = {4, 1, 2};
	struct reader reader, readers[3];
	struct leat_engine engine;
	struct leat_chain chain;
	struct steps steps = {0};

	unix_pair(sink);
	engine_init(&engine);
	chain_init(&chain, &engine, &(struct chain_sink){.fd = sink[0], .kind = SINK_UNIX});
	reader_start(&reader, sink[1], 0);
	for (unsigned i = 0; i < 3; i++) {
		unix_pair(fds[i]);
		assert_int_equal(leat_chain_add_mirror(&chain, fds[i][0], LEAT_MIRROR_WAIT), 0);
		chain.mirrors[i].pipe = pipe_of(pages[i]);
		reader_start(&readers[i], fds[i][1], 0);
	}
	assert_int_equal(chain_add_known_file(&chain, file, 1, 0, LENGTH, NULL, NULL), 0);
	assert_int_equal(step_to_end(&chain, 0, &steps), LEAT_DONE);
	chain_fini(&chain);
	engine_fini(&engine);
	reader_finish(&reader, &sink[0], LENGTH);
	close_pair(sink);
	for (unsigned i = 0; i < 3; i++) {
		reader_finish(&readers[i], &fds[i][0], LENGTH);
		close_pair(fds[i]);
	}
	close(file);
}

static void no_descriptor_is_left(void **state)
{
	int before = open_fds();

	a_file_reaches_every_sink_by_reference(state);
	a_mirror_in_append_mode_is_written_and_the_verdict_says_so(state);
	a_mirror_that_breaks_is_named(state);
	assert_int_equal(open_fds(), before);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_file_reaches_every_sink_by_reference),
	    cmocka_unit_test(a_stream_of_small_pieces_reaches_every_sink),
	    cmocka_unit_test(a_mirror_in_append_mode_is_written_and_the_verdict_says_so),
	    cmocka_unit_test(a_mirror_that_is_a_file_makes_everything_a_copy),
	    cmocka_unit_test(a_main_sink_in_append_mode_makes_everything_a_copy),
	    cmocka_unit_test(a_mirror_that_breaks_is_named),
	    cmocka_unit_test(a_full_mirror_is_waited_for_and_holds_up_the_next_pull),
	    cmocka_unit_test(the_smallest_pipe_sets_the_pace),
	    cmocka_unit_test(no_descriptor_is_left),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
