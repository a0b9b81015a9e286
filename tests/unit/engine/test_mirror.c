/*
 * Mirrors of a chain: each gets every byte of it, in order, whatever the segments are; one that is
 * slow is waited for, or dropped with a word about it; each has a ledger of its own.
 */
#include "rig.h"

#include "cipher.h"
#include "engine/mirror.h"

#define FILE_BYTES  400000u
#define MIRRORS_MAX 3

/* One end of a sink, and what came out at the other. */
struct drain {
	int ends[2];
	bool is_file;
	char *got;
	size_t len;
};

/* A chain with mirrors, played by one thread: the test decides who reads, and how much. */
struct play {
	struct leat_engine *engine;
	struct leat_chain *chain;
	struct drain sink, mirrors[MIRRORS_MAX];
	unsigned mirror_count;
	size_t room;
};

typedef void (*make_pair)(int ends[2]);

static void file_pair(int ends[2])
{
	ends[0] = pattern_file(0);
	ends[1] = -1;
}

static void append_pair(int ends[2])
{
	file_pair(ends);
	assert_int_equal(fcntl(ends[0], F_SETFL, O_APPEND), 0);
}

/* A pair whose sender has room for some pages only. */
static void small_pair(int ends[2])
{
	int small = 4096;

	unix_pair(ends);
	assert_int_equal(setsockopt(ends[0], SOL_SOCKET, SO_SNDBUF, &small, sizeof(small)), 0);
}

static void drain_open(struct drain *drain, make_pair pair, size_t room)
{
	*drain = (struct drain){.is_file = pair == file_pair || pair == append_pair};
	pair(drain->ends);
	drain->got = malloc(room);
	assert_non_null(drain->got);
}

static void drain_read(const struct play *play, struct drain *drain, size_t max)
{
	size_t n;

	if (drain->is_file)
		return;
	do {
		n = read_some(drain->ends[1], drain->got + drain->len,
			      min_size(max, play->room - drain->len));
		drain->len += n;
		max -= n;
	} while (n > 0 && max > 0);
}

/* To the end of what was sent, which may still be on its way. */
static void drain_rest(const struct play *play, struct drain *drain)
{
	ssize_t n = 1;

	close(drain->ends[0]);
	drain->ends[0] = -1;
	while (n > 0) {
		struct pollfd wait = {.fd = drain->ends[1], .events = POLLIN};

		assert_int_equal(poll(&wait, 1, PATIENCE_MS), 1);
		n = read(drain->ends[1], drain->got + drain->len, play->room - drain->len);
		assert_true(n >= 0);
		drain->len += (size_t)n;
	}
}

static void drain_close(const struct play *play, struct drain *drain)
{
	if (!drain->is_file)
		drain_rest(play, drain);
	if (drain->is_file) {
		ssize_t n = pread(drain->ends[0], drain->got, play->room, 0);

		assert_true(n >= 0);
		drain->len = (size_t)n;
	}
	assert_pattern(drain->got, drain->len, 0);
	close_pair(drain->ends);
	free(drain->got);
}

static void play_open(struct play *play, make_pair sink, size_t room)
{
	*play = (struct play){.room = room + 1};
	drain_open(&play->sink, sink, play->room);
	assert_int_equal(leat_engine_new(&play->engine), 0);
	assert_int_equal(leat_chain_new(play->engine, play->sink.ends[0], NULL, &play->chain), 0);
}

static void play_add_mirror(struct play *play, make_pair pair, enum leat_mirror_policy policy)
{
	struct drain *drain = &play->mirrors[play->mirror_count++];

	drain_open(drain, pair, play->room);
	assert_int_equal(leat_chain_add_mirror(play->chain, drain->ends[0], policy), 0);
}

static struct leat_mirror_report mirror_report(const struct play *play, unsigned i)
{
	struct leat_mirror_report report = LEAT_MIRROR_REPORT_INIT;

	assert_int_equal(leat_chain_mirror_report(play->chain, i, &report), 0);
	return report;
}

/* What every sink got is a prefix, and what its ledger says. Ends the play. */
static void play_close(struct play *play)
{
	struct leat_mirror_report reports[MIRRORS_MAX];
	struct leat_report report = LEAT_REPORT_INIT;

	leat_chain_report(play->chain, &report);
	for (unsigned i = 0; i < play->mirror_count; i++)
		reports[i] = mirror_report(play, i);
	leat_chain_free(play->chain);
	leat_engine_free(play->engine);
	drain_close(play, &play->sink);
	assert_sums(&report.ledger, play->sink.len);
	for (unsigned i = 0; i < play->mirror_count; i++) {
		drain_close(play, &play->mirrors[i]);
		assert_sums(&reports[i].ledger, play->mirrors[i].len);
		if (reports[i].error == 0 && report.error[0] == '\0')
			assert_int_equal(play->mirrors[i].len, play->sink.len);
	}
}

/* The pattern in segments of all kinds. *ret_source: a pipe to be closed. */
static size_t add_segments(struct leat_chain *chain, int file, const char *memory, int *ret_source)
{
	size_t at = 0;
	int fds[2];

	while (at < FILE_BYTES - 30000) {
		static const size_t longest[] = {50, 5000, 200000};
		size_t len = 1 + (size_t)random() % longest[random() % 3];

		len = min_size(len, FILE_BYTES - 30000 - at);
		if (random() % 2)
			assert_int_equal(leat_chain_add_memory(chain, memory + at, len, NULL, NULL),
					 0);
		else
			assert_int_equal(leat_chain_add_file(chain, file, at, len, NULL, NULL), 0);
		at += len;
	}
	pipe_pair(fds);
	assert_int_equal(write(fds[0], memory + at, FILE_BYTES - at), FILE_BYTES - at);
	close(fds[0]);
	*ret_source = fds[1];
	assert_int_equal(leat_chain_add_stream(chain, fds[1], LEAT_TO_END, NULL, NULL), 0);
	return FILE_BYTES;
}

static size_t some(void)
{
	return (size_t)random() % 60000 + 1;
}

/* Steps to the end; after each step that waits somebody reads, whoever it is. */
static int play_run(struct play *play)
{
	for (;;) {
		int step = leat_chain_step(play->chain, random() % 3 ? 0 : some());
		const struct leat_load load = chain_load(play->chain);

		if (step == LEAT_DONE || step < 0)
			return step;
		if (step == LEAT_WANT_LOAD)
			assert_int_equal(leat_load_run(&load), 0);
		if (step != LEAT_WANT_WRITE)
			continue;
		drain_read(play, &play->sink, some());
		for (unsigned i = 0; i < play->mirror_count; i++)
			if (random() % 3)
				drain_read(play, &play->mirrors[i], some());
	}
}

static const make_pair all_kinds[] = {small_pair, pipe_pair, tcp_pair, file_pair, append_pair};

static make_pair any_kind(void)
{
	return all_kinds[(size_t)random() % ARRAY_SIZE(all_kinds)];
}

static void segments_of_all_kinds_reach_every_mirror_that_is_waited_for(void **state)
{
	char *memory = pattern_memory(FILE_BYTES, 0);
	int file = pattern_file(FILE_BYTES);

	srandom(2);
	for (int round = 0; round < 60; round++) {
		struct play play;
		int source;

		play_open(&play, any_kind(), FILE_BYTES);
		for (int i = 0; i < 1 + round % MIRRORS_MAX; i++)
			play_add_mirror(&play, any_kind(), LEAT_MIRROR_WAIT);
		add_segments(play.chain, file, memory, &source);
		assert_int_equal(play_run(&play), LEAT_DONE);
		for (unsigned i = 0; i < play.mirror_count; i++) {
			assert_int_equal(mirror_report(&play, i).error, 0);
			assert_int_equal(mirror_report(&play, i).ledger.bytes, FILE_BYTES);
		}
		play_close(&play);
		close(source);
	}
	close(file);
	free(memory);
}

/* Whoever is dropped got a prefix; whoever is not got everything. Both happen. */
static void mirrors_that_may_be_dropped_get_everything_or_a_prefix(void **state)
{
	char *memory = pattern_memory(FILE_BYTES, 0);
	int file = pattern_file(FILE_BYTES);
	unsigned dropped = 0, whole = 0;

	srandom(3);
	for (int round = 0; round < 60; round++) {
		struct play play;
		int source;

		play_open(&play, any_kind(), FILE_BYTES);
		for (int i = 0; i < 1 + round % MIRRORS_MAX; i++)
			play_add_mirror(&play, any_kind(),
					random() % 4 ? LEAT_MIRROR_DROP : LEAT_MIRROR_WAIT);
		add_segments(play.chain, file, memory, &source);
		assert_int_equal(play_run(&play), LEAT_DONE);
		for (unsigned i = 0; i < play.mirror_count; i++) {
			int error = mirror_report(&play, i).error;

			assert_true(error == 0 || error == -EAGAIN);
			dropped += error != 0;
			whole += error == 0;
		}
		play_close(&play);
		close(source);
	}
	assert_true(whole > dropped);
	close(file);
	free(memory);
}

/* 4 MiB are more than any pipe and socket buffer: a mirror that reads nothing has to go. */
static void a_mirror_that_reads_nothing_is_dropped_and_the_reports_say_so(void **state)
{
	const size_t bytes = 4u * 1024 * 1024;
	struct leat_report report = LEAT_REPORT_INIT;
	struct leat_mirror_report mirror;
	int file = pattern_file(bytes);
	struct play play;
	int step;

	play_open(&play, unix_pair, bytes);
	play_add_mirror(&play, unix_pair, LEAT_MIRROR_DROP);
	assert_int_equal(leat_chain_add_file(play.chain, file, 0, bytes, NULL, NULL), 0);
	while ((step = leat_chain_step(play.chain, 0)) != LEAT_DONE) {
		assert_true(step == LEAT_MORE || step == LEAT_WANT_WRITE);
		if (step == LEAT_WANT_WRITE)
			assert_int_equal(chain_wait(play.chain).fd, play.sink.ends[0]);
		drain_read(&play, &play.sink, SIZE_MAX);
	}
	leat_chain_report(play.chain, &report);
	assert_int_equal(report.ledger.bytes, bytes);
	assert_non_null(strstr(report.fallback, "mirror 1"));
	assert_non_null(strstr(report.fallback, "fell behind"));
	mirror = mirror_report(&play, 0);
	assert_int_equal(mirror.error, -EAGAIN);
	assert_in_range(mirror.ledger.bytes, 1, bytes - 1);
	play_close(&play);
	close(file);
}

/* The sink has everything; what the mirror's pipe has yet is waited for, unless there is more to
 * send. */
static void the_rest_of_a_late_mirror_is_waited_for_only_at_the_end(void **state)
{
	int file = pattern_file(300000);
	struct play play;

	play_open(&play, file_pair, 300000);
	play_add_mirror(&play, small_pair, LEAT_MIRROR_DROP);
	assert_int_equal(leat_chain_add_file(play.chain, file, 0, 150000, NULL, NULL), 0);
	assert_int_equal(leat_chain_step(play.chain, 0), LEAT_WANT_WRITE);
	assert_int_equal(chain_wait(play.chain).fd, play.mirrors[0].ends[0]);
	assert_int_equal(play.chain->ledger.bytes, 150000);
	assert_true(mirror_behind(&play.chain->mirrors[0]) > 0);
	assert_int_equal(leat_chain_step(play.chain, 0), LEAT_WANT_WRITE);
	assert_int_equal(leat_chain_add_file(play.chain, file, 150000, 150000, NULL, NULL), 0);
	assert_int_equal(leat_chain_step(play.chain, 0), LEAT_WANT_WRITE);
	assert_int_equal(play.chain->ledger.bytes, 300000);
	assert_int_equal(play.chain->count, 1);
	assert_int_equal(play_run(&play), LEAT_DONE);
	assert_int_equal(mirror_report(&play, 0).ledger.bytes, 300000);
	play_close(&play);
	close(file);
}

static void memory_behind_a_late_mirrors_pages_keeps_its_place(void **state)
{
	char *memory = pattern_memory(100000, 0);
	int file = pattern_file(100000);
	struct leat_mirror_report report;
	struct play play;

	play_open(&play, unix_pair, 100000);
	play_add_mirror(&play, small_pair, LEAT_MIRROR_DROP);
	for (size_t at = 0; at < 100000; at += 20000) {
		leat_chain_add_file(play.chain, file, at, 10000, NULL, NULL);
		leat_chain_add_memory(play.chain, memory + at + 10000, 10000, NULL, NULL);
	}
	assert_int_equal(leat_chain_step(play.chain, 0), LEAT_WANT_WRITE);
	assert_int_equal(play.chain->ledger.bytes, 100000);
	assert_true(play.chain->mirrors[0].put_aside);
	assert_int_equal(play_run(&play), LEAT_DONE);
	report = mirror_report(&play, 0);
	assert_int_equal(report.error, 0);
	assert_int_equal(report.ledger.bytes, 100000);
	assert_int_equal(report.verdict, LEAT_COPIED);
	play_close(&play);
	close(file);
	free(memory);
}

static void a_mirror_that_breaks_is_dropped_or_the_end_of_the_chain(void **state)
{
	const enum leat_mirror_policy policies[] = {LEAT_MIRROR_DROP, LEAT_MIRROR_WAIT};

	signal(SIGPIPE, SIG_DFL);
	for (int i = 0; i < 4; i++) {
		int file = pattern_file(FILE_BYTES);
		struct leat_report report = LEAT_REPORT_INIT;
		struct play play;

		play_open(&play, i < 2 ? file_pair : append_pair, FILE_BYTES); /* tee, and copy */
		play_add_mirror(&play, pipe_pair, policies[i % 2]);
		close(play.mirrors[0].ends[1]);
		play.mirrors[0].ends[1] = -1;
		play.mirrors[0].is_file = true; /* nobody can read it */
		leat_chain_add_file(play.chain, file, 0, FILE_BYTES, NULL, NULL);
		assert_int_equal(play_run(&play),
				 policies[i % 2] == LEAT_MIRROR_DROP ? LEAT_DONE : -EPIPE);
		leat_chain_report(play.chain, &report);
		assert_non_null(
		    strstr(policies[i % 2] == LEAT_MIRROR_DROP ? report.fallback : report.error,
			   "mirror 1"));
		if (policies[i % 2] == LEAT_MIRROR_DROP) {
			assert_int_equal(mirror_report(&play, 0).error, -EPIPE);
			assert_int_equal(report.ledger.bytes, FILE_BYTES);
		}
		leat_chain_free(play.chain);
		leat_engine_free(play.engine);
		drain_close(&play, &play.sink);
		close_pair(play.mirrors[0].ends);
		free(play.mirrors[0].got);
		close(file);
	}
	signal(SIGPIPE, SIG_IGN);
}

static void each_mirror_has_its_own_verdict(void **state)
{
	int file = pattern_file(FILE_BYTES);
	struct play play;

	play_open(&play, unix_pair, FILE_BYTES);
	play_add_mirror(&play, pipe_pair, LEAT_MIRROR_WAIT);
	play_add_mirror(&play, file_pair, LEAT_MIRROR_WAIT);
	play_add_mirror(&play, append_pair, LEAT_MIRROR_DROP);
	leat_chain_add_file(play.chain, file, 0, FILE_BYTES, NULL, NULL);
	assert_int_equal(play_run(&play), LEAT_DONE);
	if (engine_caps(play.engine)->splice_by_reference == CAPS_YES)
		assert_int_equal(mirror_report(&play, 0).verdict, LEAT_BY_REFERENCE);
	assert_int_equal(mirror_report(&play, 1).verdict, LEAT_COPIED);
	assert_non_null(strstr(mirror_report(&play, 1).evidence, "page cache"));
	assert_int_equal(mirror_report(&play, 2).verdict, LEAT_COPIED);
	assert_string_equal(mirror_report(&play, 2).evidence, "read and written by the CPU");
	assert_true(mirror_report(&play, 2).ledger.syscalls > 0);
	play_close(&play);
	close(file);
}

/* An encrypting mirror gets no pages, and its bytes are other ones. */
static void a_mirror_with_ktls_is_written_to(void **state)
{
	int file = pattern_file(FILE_BYTES);
	struct play play;

	play_open(&play, unix_pair, FILE_BYTES);
	play_add_mirror(&play, tcp_pair, LEAT_MIRROR_WAIT);
	play.chain->mirrors[0].kind = SINK_KTLS; /* as sink_kind_of() would say */
	play.chain->mirrors[0].copies = true;
	leat_chain_add_file(play.chain, file, 0, FILE_BYTES, NULL, NULL);
	assert_int_equal(play_run(&play), LEAT_DONE);
	assert_int_equal(mirror_report(&play, 0).verdict, LEAT_TRANSFORMED);
	assert_int_equal(mirror_report(&play, 0).ledger.bytes_transformed, FILE_BYTES);
	play_close(&play);
	close(file);
}

/* The sink gets other bytes, the mirror those of the source. */
static void a_writer_may_have_mirrors(void **state)
{
	struct cipher cipher = {.listen_at = 0};
	const struct chain_writer writer = {cipher_writev, &cipher};
	char *memory = pattern_memory(FILE_BYTES, 0);
	int file = pattern_file(FILE_BYTES);
	struct play play;
	int source;

	srandom(4);
	play_open(&play, small_pair, FILE_BYTES);
	cipher.fd = play.sink.ends[0];
	play.chain->sink.kind = SINK_WRITER;
	play.chain->sink.writer = &writer;
	play_add_mirror(&play, small_pair, LEAT_MIRROR_WAIT);
	add_segments(play.chain, file, memory, &source);
	assert_int_equal(play_run(&play), LEAT_DONE);
	assert_int_equal(play.chain->ledger.bytes_transformed, FILE_BYTES);
	drain_read(&play, &play.sink, SIZE_MAX);
	assert_int_equal(play.sink.len, FILE_BYTES); /* UNIX sockets hold nothing back */
	cipher_open(play.sink.got, play.sink.len, 0);
	play_close(&play);
	close(source);
	close(file);
	free(memory);
}

static void a_reset_brings_dropped_mirrors_back(void **state)
{
	const size_t bytes = 4u * 1024 * 1024;
	int file = pattern_file(bytes);
	struct play play;

	play_open(&play, unix_pair, bytes);
	play_add_mirror(&play, unix_pair, LEAT_MIRROR_DROP);
	leat_chain_add_file(play.chain, file, 0, bytes, NULL, NULL);
	while (leat_chain_step(play.chain, 0) != LEAT_DONE)
		drain_read(&play, &play.sink, SIZE_MAX);
	assert_int_equal(mirror_report(&play, 0).error, -EAGAIN);
	leat_chain_reset(play.chain);
	assert_int_equal(mirror_report(&play, 0).error, 0);
	assert_int_equal(mirror_report(&play, 0).ledger.bytes, 0);
	drain_read(&play, &play.sink, SIZE_MAX);
	drain_read(&play, &play.mirrors[0], SIZE_MAX);
	play.mirrors[0].len = play.sink.len = 0; /* a stream of its own */
	leat_chain_add_file(play.chain, file, 0, 1000, NULL, NULL);
	assert_int_equal(play_run(&play), LEAT_DONE);
	play_close(&play);
	close(file);
}

static void mirrors_are_refused_when_it_is_too_late_or_they_would_block(void **state)
{
	struct leat_mirror_report report = LEAT_MIRROR_REPORT_INIT;
	int blocking[2], ends[2], file = pattern_file(10);
	struct play play;

	play_open(&play, unix_pair, 10);
	unix_pair(ends);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, blocking), 0);
	assert_int_equal(leat_chain_add_mirror(play.chain, blocking[0], LEAT_MIRROR_WAIT), -EINVAL);
	assert_int_equal(leat_chain_add_mirror(play.chain, -1, LEAT_MIRROR_WAIT), -EBADF);
	assert_int_equal(leat_chain_add_mirror(play.chain, ends[0], (enum leat_mirror_policy)7),
			 -EINVAL);
	assert_int_equal(leat_chain_mirror_report(play.chain, 0, &report), -EINVAL);
	leat_chain_add_file(play.chain, file, 0, 10, NULL, NULL);
	assert_int_equal(leat_chain_add_mirror(play.chain, ends[0], LEAT_MIRROR_WAIT), -EBUSY);
	assert_int_equal(play_run(&play), LEAT_DONE);
	assert_int_equal(leat_chain_add_mirror(play.chain, ends[0], LEAT_MIRROR_WAIT), 0);
	assert_int_equal(mirror_report(&play, 0).verdict, LEAT_UNKNOWN);
	assert_string_equal(mirror_report(&play, 0).evidence, "nothing was moved");
	play_close(&play);
	close_pair(blocking);
	close_pair(ends);
	close(file);
}

static void no_descriptor_is_left(void **state)
{
	int before = open_fds();

	a_mirror_that_reads_nothing_is_dropped_and_the_reports_say_so(state);
	memory_behind_a_late_mirrors_pages_keeps_its_place(state);
	a_mirror_that_breaks_is_dropped_or_the_end_of_the_chain(state);
	assert_int_equal(open_fds(), before);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(segments_of_all_kinds_reach_every_mirror_that_is_waited_for),
	    cmocka_unit_test(mirrors_that_may_be_dropped_get_everything_or_a_prefix),
	    cmocka_unit_test(a_mirror_that_reads_nothing_is_dropped_and_the_reports_say_so),
	    cmocka_unit_test(the_rest_of_a_late_mirror_is_waited_for_only_at_the_end),
	    cmocka_unit_test(memory_behind_a_late_mirrors_pages_keeps_its_place),
	    cmocka_unit_test(a_mirror_that_breaks_is_dropped_or_the_end_of_the_chain),
	    cmocka_unit_test(each_mirror_has_its_own_verdict),
	    cmocka_unit_test(a_mirror_with_ktls_is_written_to),
	    cmocka_unit_test(a_writer_may_have_mirrors),
	    cmocka_unit_test(a_reset_brings_dropped_mirrors_back),
	    cmocka_unit_test(mirrors_are_refused_when_it_is_too_late_or_they_would_block),
	    cmocka_unit_test(no_descriptor_is_left),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
