/*
 * Chains against a model: whatever the mix of segments, sinks, budgets and short reads at the other
 * end, the peer gets the bytes of the segments in order, each segment is released once, and the
 * ledger sums.
 */
#include "support.h"

#define FILE_BYTES   (3u << 20)
#define STREAM_MAX   50000u
#define SEGMENTS_MAX 24

struct model {
	char *expected;
	size_t expected_len, expected_room;
	char *got;
	size_t got_len;
	int released, added;
	int file;
};

static void release_counted(void *arg)
{
	struct model *model = arg;

	model->released++;
}

struct owned {
	struct model *model;
	int fd;
};

static void release_owned(void *arg)
{
	struct owned *owned = arg;

	owned->model->released++;
	close(owned->fd);
	free(owned);
}

static char *expect(struct model *model, size_t len)
{
	char *at;

	while (model->expected_len + len > model->expected_room) {
		model->expected_room = model->expected_room * 2 + (1u << 20);
		model->expected = realloc(model->expected, model->expected_room);
	}
	at = model->expected + model->expected_len;
	model->expected_len += len;
	return at;
}

static size_t random_below(size_t limit)
{
	return (size_t)random() % limit;
}

/* ---- Segments ---- */

static char memory[200000];

static void add_memory(struct model *model, struct leat_chain *chain)
{
	size_t from = random_below(sizeof(memory));
	size_t len = random_below(random() % 4 ? 600 : sizeof(memory) - from + 1);

	len = len < sizeof(memory) - from ? len : sizeof(memory) - from;
	memcpy(expect(model, len), memory + from, len);
	assert_int_equal(leat_chain_add_memory(chain, memory + from, len, release_counted, model),
			 0);
}

static void add_file(struct model *model, struct leat_chain *chain)
{
	uint64_t from = random_below(FILE_BYTES);
	size_t len = random_below(random() % 2 ? 40000 : FILE_BYTES);

	len = len < FILE_BYTES - from ? len : FILE_BYTES - from;
	pattern_fill(expect(model, len), len, from);
	assert_int_equal(leat_chain_add_file(chain, model->file, from, len, release_counted, model),
			 0);
}

/* A pipe or a socket with some bytes in it, whose writer is gone or not. */
static void add_stream(struct model *model, struct leat_chain *chain)
{
	struct owned *owned = malloc(sizeof(*owned));
	bool to_end = random() % 2;
	size_t len = 0, wanted = random_below(STREAM_MAX);
	char buf[STREAM_MAX];
	int ends[2];

	if (random() % 2)
		unix_pair(ends);
	else
		pipe_pair(ends);
	pattern_fill(buf, wanted, 77);
	while (len < wanted) { /* in small pieces, and as much as fits */
		size_t piece = random_below(3000) + 1;
		ssize_t n;

		piece = piece < wanted - len ? piece : wanted - len;
		n = write(ends[0], buf + len, piece);
		if (n < 0)
			break;
		len += (size_t)n;
	}
	memcpy(expect(model, len), buf, len);
	*owned = (struct owned){model, ends[1]};
	assert_int_equal(leat_chain_add_stream(chain, ends[1], to_end ? LEAT_TO_END : len,
					       release_owned, owned),
			 0);
	close(ends[0]);
}

static void add_pseudo(struct model *model, struct leat_chain *chain)
{
	struct owned *owned = malloc(sizeof(*owned));
	char buf[4096];
	int fd = open("/proc/version", O_RDONLY | O_CLOEXEC);
	ssize_t n;

	assert_true(fd >= 0);
	n = pread(fd, buf, sizeof(buf), 0);
	assert_true(n > 0);
	memcpy(expect(model, (size_t)n), buf, (size_t)n);
	*owned = (struct owned){model, fd};
	assert_int_equal(leat_chain_add_file(chain, fd, 0, LEAT_TO_END, release_owned, owned), 0);
}

static void add_random(struct model *model, struct leat_chain *chain)
{
	switch (random() % 8) {
	case 0:
	case 1:
	case 2:
		add_memory(model, chain);
		break;
	case 3:
	case 4:
	case 5:
		add_file(model, chain);
		break;
	case 6:
		add_stream(model, chain);
		break;
	default:
		add_pseudo(model, chain);
		break;
	}
	model->added++;
}

/* ---- Sinks ---- */

static void make_sink(enum sink_kind kind, int ends[2])
{
	int bytes = 1 << (10 + random() % 8);
	char name[] = "engine-sink-XXXXXX";

	if (kind == SINK_TCP) {
		tcp_pair(ends);
	} else if (kind == SINK_UNIX) {
		unix_pair(ends);
	} else if (kind == SINK_PIPE) {
		pipe_pair(ends);
	} else {
		ends[0] = mkostemp(name, O_CLOEXEC | (kind == SINK_APPEND ? O_APPEND : 0));
		assert_true(ends[0] >= 0);
		ends[1] = open(name, O_RDONLY | O_CLOEXEC);
		unlink(name);
	}
	if (random() % 2 && (kind == SINK_TCP || kind == SINK_UNIX))
		setsockopt(ends[0], SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
}

static void receive(struct model *model, int fd, size_t most)
{
	size_t room = model->expected_len + 1 - model->got_len;

	model->got_len += read_some(fd, model->got + model->got_len, most < room ? most : room);
}

static void drive(struct model *model, struct leat_chain *chain, int ends[2])
{
	for (;;) {
		int step = leat_chain_step(chain, random() % 3 ? 0 : random_below(300000) + 1);
		struct leat_load load;

		assert_true(step >= 0);
		assert_true(ledger_sums(&chain->ledger));
		if (leat_chain_pending(chain) != LEAT_TO_END)
			assert_true(leat_chain_pending(chain) + chain->ledger.bytes <=
				    model->expected_len);
		switch (step) {
		case LEAT_DONE:
			return;
		case LEAT_WANT_WRITE:
			assert_int_equal(chain_wait(chain).fd, ends[0]);
			assert_int_equal(chain_wait(chain).events, POLLOUT);
			receive(model, ends[1], random_below(400000) + 1);
			break;
		case LEAT_WANT_LOAD:
			load = chain_load(chain);
			assert_int_equal(leat_load_run(&load), 0);
			break;
		default:
			assert_int_equal(step, LEAT_MORE);
		}
	}
}

static void run_round(struct leat_engine *engine, enum sink_kind kind, int file)
{
	struct model model = {.file = file};
	struct leat_chain *chain;
	int ends[2];

	make_sink(kind, ends);
	assert_int_equal(leat_chain_new(engine, ends[0], NULL, &chain), 0);
	assert_int_equal(chain->sink.kind, kind);
	for (int batch = 0; batch < 2; batch++) { /* a chain is used again after LEAT_DONE */
		for (size_t n = random_below(SEGMENTS_MAX); n > 0; n--)
			add_random(&model, chain);
		model.got = realloc(model.got, model.expected_len + 2);
		drive(&model, chain, ends);
	}
	close(ends[0]); /* and what is under way arrives */
	while (model.got_len < model.expected_len) {
		struct pollfd wait = {.fd = ends[1], .events = POLLIN};
		size_t before = model.got_len;

		assert_int_equal(poll(&wait, 1, PATIENCE_MS), 1);
		receive(&model, ends[1], SIZE_MAX);
		assert_true(model.got_len > before);
	}
	receive(&model, ends[1], 1);
	assert_int_equal(model.got_len, model.expected_len);
	assert_memory_equal(model.got, model.expected, model.expected_len);
	assert_int_equal(chain->ledger.bytes, model.expected_len);
	assert_int_equal(model.released, model.added);
	assert_int_equal(chain->ledger.transfers, model.added);
	leat_chain_free(chain);
	close(ends[1]);
	free(model.expected);
	free(model.got);
}

static void random_mixes_arrive_in_order_and_the_ledger_sums(void **state)
{
	static const enum sink_kind kinds[] = {SINK_TCP, SINK_UNIX, SINK_PIPE, SINK_FILE,
					       SINK_APPEND};
	struct leat_engine *engine;
	struct leat_ledger totals = LEAT_LEDGER_INIT;
	int file = pattern_file(FILE_BYTES);
	int fds;

	pattern_fill(memory, sizeof(memory), 5);
	assert_int_equal(leat_engine_new(&engine), 0);
	fds = open_fds();
	for (unsigned seed = 1; seed <= 60; seed++) {
		srandom(seed);
		run_round(engine, kinds[seed % ARRAY_SIZE(kinds)], file);
	}
	leat_engine_ledger(engine, &totals);
	assert_true(ledger_sums(&totals));
	assert_true(totals.bytes > 0 && totals.bytes_copied > 0);
	close(file);
	leat_engine_free(engine);
	assert_true(open_fds() < fds); /* no fd leaked; the engine's pipes are gone too */
}

/* ---- One send ---- */

struct fixture {
	struct leat_engine *engine;
	struct leat_chain *chain;
	int ends[2];
	int file;
};

static int set_up(void **state)
{
	struct fixture *f = malloc(sizeof(*f));

	assert_int_equal(leat_engine_new(&f->engine), 0);
	tcp_pair(f->ends);
	f->file = pattern_file(2u << 20);
	assert_int_equal(leat_chain_new(f->engine, f->ends[0], NULL, &f->chain), 0);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	leat_chain_free(f->chain);
	leat_engine_free(f->engine);
	close_pair(f->ends);
	close(f->file);
	free(f);
	return 0;
}

static uint32_t data_segments_out(int fd)
{
	struct tcp_info info;
	socklen_t len = sizeof(info);

	memset(&info, 0, sizeof(info));
	assert_int_equal(getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len), 0);
	return info.tcpi_data_segs_out;
}

static void a_memory_segment_is_one_system_call(void **state)
{
	struct fixture *f = *state;
	char buf[5];

	leat_chain_add_memory(f->chain, "hello", 5, NULL, NULL);
	assert_int_equal(leat_chain_step(f->chain, 0), LEAT_DONE);
	assert_int_equal(f->chain->ledger.syscalls, 1);
	read_whole(f->ends[1], buf, 5);
	assert_memory_equal(buf, "hello", 5);
}

static void header_and_short_file_leave_as_one_send(void **state)
{
	struct fixture *f = *state;
	char buf[6 + 1000];

	leat_chain_add_memory(f->chain, "header", 6, NULL, NULL);
	leat_chain_add_file(f->chain, f->file, 500, 1000, NULL, NULL);
	assert_int_equal(leat_chain_step(f->chain, 0), LEAT_DONE);
	assert_int_equal(f->chain->ledger.syscalls, 2); /* preadv2 and sendmsg */
	assert_int_equal(data_segments_out(f->ends[0]), 1);
	read_whole(f->ends[1], buf, sizeof(buf));
	assert_memory_equal(buf, "header", 6);
	assert_pattern(buf + 6, 1000, 500);
}

static void pipelined_answers_leave_as_one_send(void **state)
{
	struct fixture *f = *state;
	char buf[3 * (6 + 1000)];

	for (int i = 0; i < 3; i++) {
		leat_chain_add_memory(f->chain, "header", 6, NULL, NULL);
		leat_chain_add_file(f->chain, f->file, 500, 1000, NULL, NULL);
	}
	assert_int_equal(leat_chain_step(f->chain, 0), LEAT_DONE);
	assert_int_equal(f->chain->ledger.syscalls, 3 + 1);
	read_whole(f->ends[1], buf, sizeof(buf));
	for (size_t i = 0; i < sizeof(buf); i += 6 + 1000) {
		assert_memory_equal(buf + i, "header", 6);
		assert_pattern(buf + i + 6, 1000, 500);
	}
}

static void a_long_range_goes_by_sendfile_behind_its_header(void **state)
{
	struct fixture *f = *state;
	struct leat_report report = LEAT_REPORT_INIT;
	size_t len = 100000;
	char *buf = malloc(6 + len);

	leat_chain_add_memory(f->chain, "header", 6, NULL, NULL);
	leat_chain_add_file(f->chain, f->file, 0, len, NULL, NULL);
	assert_int_equal(leat_chain_step(f->chain, 0), LEAT_DONE);
	read_whole(f->ends[1], buf, 6 + len);
	assert_pattern(buf + 6, len, 0);
	leat_chain_report(f->chain, &report);
	assert_int_equal(report.technique, LEAT_SENDFILE);
	assert_string_equal(report.reason, "file to TCP socket");
	assert_int_equal(report.ledger.bytes_copied, 6);
	assert_int_equal(report.ledger.bytes_by_reference + report.ledger.bytes_unknown +
			     report.ledger.bytes_copied_later,
			 len);
	assert_non_null(strstr(report.evidence, "sendfile: "));
	free(buf);
}

/* ---- Life ---- */

static void count(void *arg)
{
	++*(int *)arg;
}

static void reset_releases_once_in_every_state(void **state)
{
	struct fixture *f = *state;
	static char big[8u << 20];
	int released[40] = {0};

	/* Queued, never stepped. */
	for (int i = 0; i < 40; i++) /* more than CHAIN_INLINE: the ring grows */
		assert_int_equal(leat_chain_add_memory(f->chain, "x", 1, count, &released[i]), 0);
	leat_chain_reset(f->chain);
	/* In the middle, the sink full. */
	leat_chain_add_memory(f->chain, big, sizeof(big), count, &released[0]);
	leat_chain_add_file(f->chain, f->file, 0, 1 << 20, count, &released[1]);
	while (leat_chain_step(f->chain, 0) == LEAT_MORE)
		;
	assert_int_equal(f->chain->step, LEAT_WANT_WRITE);
	assert_int_equal(released[0], 1);
	leat_chain_reset(f->chain);
	assert_int_equal(leat_chain_pending(f->chain), 0);
	assert_int_equal(f->chain->ledger.bytes, 0);
	assert_int_equal(leat_chain_step(f->chain, 0), LEAT_DONE);
	for (int i = 0; i < 40; i++)
		assert_int_equal(released[i], i < 2 ? 2 : 1);
	leat_chain_reset(f->chain); /* empty */
	assert_int_equal(released[0], 2);
}

static void a_failed_chain_stays_failed_until_reset(void **state)
{
	struct fixture *f = *state;
	struct leat_report report = LEAT_REPORT_INIT;
	int released = 0;

	leat_chain_add_memory(f->chain, "x", 1, count, &released);
	shutdown(f->ends[0], SHUT_WR);
	assert_int_equal(leat_chain_step(f->chain, 0), -EPIPE);
	assert_int_equal(leat_chain_step(f->chain, 0), -EPIPE);
	assert_int_equal(released, 0);
	leat_chain_report(f->chain, &report);
	assert_non_null(strstr(report.error, "EPIPE"));
	leat_chain_reset(f->chain);
	assert_int_equal(released, 1);
	assert_int_equal(leat_chain_step(f->chain, 0), LEAT_DONE);
}

static void segments_of_no_length_are_released_by_the_step(void **state)
{
	struct fixture *f = *state;
	int released = 0;

	leat_chain_add_memory(f->chain, NULL, 0, count, &released);
	leat_chain_add_file(f->chain, f->file, 10, 0, count, &released);
	leat_chain_add_stream(f->chain, f->ends[0], 0, count, &released);
	assert_int_equal(released, 0);
	assert_int_equal(leat_chain_step(f->chain, 0), LEAT_DONE);
	assert_int_equal(released, 3);
	assert_int_equal(f->chain->ledger.bytes, 0);
}

struct feeder {
	struct leat_chain *chain;
	int left;
};

static void feed(void *arg)
{
	struct feeder *feeder = arg;

	if (feeder->left-- > 0)
		leat_chain_add_memory(feeder->chain, "y", 1, feed, feeder);
}

static void release_may_add_the_next_segment(void **state)
{
	struct fixture *f = *state;
	struct feeder feeder = {f->chain, 30};
	char buf[31];

	leat_chain_add_memory(f->chain, "y", 1, feed, &feeder);
	assert_int_equal(leat_chain_step(f->chain, 0), LEAT_DONE);
	read_whole(f->ends[1], buf, sizeof(buf));
	assert_int_equal(f->chain->ledger.bytes, 31);
}

struct stubborn {
	struct leat_chain *chain;
	unsigned released, added;
	int refused; /* what adding said at last */
};

/* Whatever ends, two more are added. */
static void add_two_more(void *arg)
{
	struct stubborn *stubborn = arg;

	stubborn->released++;
	for (int i = 0; i < 2 && stubborn->added < 10000; i++) {
		stubborn->refused =
		    leat_chain_add_memory(stubborn->chain, "x", 1, add_two_more, stubborn);
		stubborn->added += stubborn->refused == 0;
	}
}

static void a_chain_that_is_reset_takes_nothing_from_a_release(void **state)
{
	struct fixture *f = *state;
	struct stubborn stubborn = {.chain = f->chain};

	for (int i = 0; i < CHAIN_INLINE; i++)
		leat_chain_add_memory(f->chain, "x", 1, add_two_more, &stubborn);
	leat_chain_reset(f->chain);
	assert_int_equal(stubborn.refused, -ECANCELED);
	assert_int_equal(stubborn.added, 0);
	assert_int_equal(stubborn.released, CHAIN_INLINE);
	assert_int_equal(leat_chain_pending(f->chain), 0);
	assert_int_equal(leat_chain_add_memory(f->chain, "x", 1, NULL, NULL), 0);
	assert_int_equal(leat_chain_step(f->chain, 0), LEAT_DONE);
}

static void a_budget_bounds_a_step(void **state)
{
	struct fixture *f = *state;
	int step;

	leat_chain_add_file(f->chain, f->file, 0, 300000, NULL, NULL);
	step = leat_chain_step(f->chain, 50000);
	assert_int_equal(step, LEAT_MORE);
	assert_in_range(f->chain->ledger.bytes, 1, 100000);
}

static void bad_descriptors_are_told_at_once(void **state)
{
	struct fixture *f = *state;
	struct leat_chain *chain;
	int dir = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int read_only = open("/proc/version", O_RDONLY | O_CLOEXEC);

	assert_int_equal(leat_chain_add_file(f->chain, dir, 0, 1, NULL, NULL), -EISDIR);
	assert_int_equal(leat_chain_add_file(f->chain, f->ends[0], 0, 1, NULL, NULL), -EINVAL);
	assert_int_equal(leat_chain_add_file(f->chain, -1, 0, 1, NULL, NULL), -EBADF);
	assert_int_equal(leat_chain_add_stream(f->chain, 9999, 1, NULL, NULL), -EBADF);
	assert_int_equal(leat_chain_add_memory(f->chain, "", SIZE_MAX, NULL, NULL), -EINVAL);
	assert_int_equal(leat_chain_new(f->engine, read_only, NULL, &chain), -EBADF);
	assert_int_equal(leat_chain_new(f->engine, 9999, NULL, &chain), -EBADF);
	assert_int_equal(leat_chain_step(f->chain, 0), LEAT_DONE);
	close(dir);
	close(read_only);
}

static void the_engine_has_the_sums_of_its_chains(void **state)
{
	struct fixture *f = *state;
	struct leat_chain *other;
	struct leat_ledger totals = LEAT_LEDGER_INIT;
	int ends[2];

	unix_pair(ends);
	assert_int_equal(leat_chain_new(f->engine, ends[0], NULL, &other), 0);
	leat_chain_add_memory(f->chain, "abc", 3, NULL, NULL);
	leat_chain_add_memory(other, "defgh", 5, NULL, NULL);
	assert_int_equal(leat_chain_step(f->chain, 0), LEAT_DONE);
	assert_int_equal(leat_chain_step(other, 0), LEAT_DONE);
	leat_chain_free(other);
	leat_chain_reset(f->chain);
	leat_chain_add_memory(f->chain, "i", 1, NULL, NULL);
	assert_int_equal(leat_chain_step(f->chain, 0), LEAT_DONE);
	leat_engine_ledger(f->engine, &totals);
	assert_int_equal(totals.bytes, 9);
	assert_int_equal(totals.transfers, 3);
	assert_true(ledger_sums(&totals));
	close_pair(ends);
}

static void a_send_without_a_chain_is_in_the_engines_sums(void **state)
{
	struct fixture *f = *state;
	struct leat_ledger totals = LEAT_LEDGER_INIT;
	char block[65536] = {0};
	ssize_t n, sent = 0;
	int ends[2];

	unix_pair(ends);
	while ((n = engine_send(f->engine, ends[0], block, sizeof(block))) > 0)
		sent += n;
	assert_int_equal(n, -EAGAIN);
	leat_engine_ledger(f->engine, &totals);
	assert_int_equal(totals.bytes, sent);
	assert_int_equal(totals.bytes_copied, sent);
	assert_int_equal(totals.would_block, 1);
	close(ends[1]);
	assert_int_equal(engine_send(f->engine, ends[0], block, 1), -EPIPE);
	leat_engine_ledger(f->engine, &totals);
	assert_int_equal(totals.bytes, sent);
	close(ends[0]);
}

#define WITH_FIXTURE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(random_mixes_arrive_in_order_and_the_ledger_sums),
	    WITH_FIXTURE(a_memory_segment_is_one_system_call),
	    WITH_FIXTURE(header_and_short_file_leave_as_one_send),
	    WITH_FIXTURE(pipelined_answers_leave_as_one_send),
	    WITH_FIXTURE(a_long_range_goes_by_sendfile_behind_its_header),
	    WITH_FIXTURE(reset_releases_once_in_every_state),
	    WITH_FIXTURE(a_failed_chain_stays_failed_until_reset),
	    WITH_FIXTURE(segments_of_no_length_are_released_by_the_step),
	    WITH_FIXTURE(release_may_add_the_next_segment),
	    WITH_FIXTURE(a_chain_that_is_reset_takes_nothing_from_a_release),
	    WITH_FIXTURE(a_budget_bounds_a_step),
	    WITH_FIXTURE(bad_descriptors_are_told_at_once),
	    WITH_FIXTURE(the_engine_has_the_sums_of_its_chains),
	    WITH_FIXTURE(a_send_without_a_chain_is_in_the_engines_sums),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
