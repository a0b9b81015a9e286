/*
 * What the kernel does that cost others days: each has its test here, by name.
 */
#include "support.h"

#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/wait.h>

#include "sys/sys.h"

#ifndef SIOCOUTQNSD
#define SIOCOUTQNSD 0x894B
#endif

static struct leat_engine *engine;

static const enum leat_technique techniques[] = {LEAT_AUTO, LEAT_COPY, LEAT_SENDFILE, LEAT_SPLICE};

static int set_up(void **state)
{
	signal(SIGPIPE, SIG_IGN);
	return leat_engine_new(&engine);
}

static int tear_down(void **state)
{
	leat_engine_free(engine);
	return 0;
}

static struct leat_chain *chain_to(int sink)
{
	struct leat_chain *chain;

	assert_int_equal(leat_chain_new(engine, sink, NULL, &chain), 0);
	return chain;
}

/* Steps until the chain waits or is over; loads on the way. */
static int run(struct leat_chain *chain)
{
	int step;

	while ((step = leat_chain_step(chain, 0)) == LEAT_MORE || step == LEAT_WANT_LOAD) {
		const struct leat_load load = chain_load(chain);

		if (step == LEAT_WANT_LOAD)
			assert_int_equal(leat_load_run(&load), 0);
	}
	return step;
}

static const char *error_of(const struct leat_chain *chain)
{
	static struct leat_report report;

	report = (struct leat_report)LEAT_REPORT_INIT;
	leat_chain_report(chain, &report);
	return report.error;
}

/* ---- Counts ---- */

static void counts_above_0x7ffff000_are_moved_whole(void **state)
{
	const uint64_t size = 0x7ffff000u + 12345ull;
	int in = memfd_create("huge", MFD_CLOEXEC); /* holes: no memory, no disk */
	int out = open("/dev/null", O_WRONLY | O_CLOEXEC);

	assert_int_equal(ftruncate(in, (off_t)size), 0);
	assert_int_equal(leat_transfer(in, 0, out, LEAT_TO_END, NULL, NULL), size);
	assert_int_equal(leat_transfer(in, 5, out, size - 5, NULL, NULL), size - 5);
	close(in);
	close(out);
}

static void one_call_moves_at_most_a_mebibyte(void **state)
{
	int in = pattern_file(8u << 20);
	int out = open("/dev/null", O_WRONLY | O_CLOEXEC);
	struct leat_options options = LEAT_OPTIONS_INIT;
	struct leat_report report = LEAT_REPORT_INIT;

	options.technique = LEAT_SENDFILE;
	assert_int_equal(leat_transfer(in, 0, out, LEAT_TO_END, &options, &report), 8u << 20);
	assert_true(report.ledger.syscalls >= 8);
	close(in);
	close(out);
}

/* ---- Files that change ---- */

static void expect_early_end(size_t size, size_t claimed)
{
	int file = pattern_file(size);
	char *buf = malloc(claimed);
	struct leat_chain *chain;
	char expected[80];
	int ends[2];

	tcp_pair(ends);
	chain = chain_to(ends[0]);
	leat_chain_add_memory(chain, "head", 4, NULL, NULL);
	chain_add_known_file(chain, file, 1, 0, claimed, NULL, NULL);
	leat_chain_add_memory(chain, "tail", 4, NULL, NULL);
	assert_int_equal(run(chain), -ENODATA);
	snprintf(expected, sizeof(expected), "file ended at %zu, expected %zu", size, claimed);
	assert_string_equal(error_of(chain), expected);
	assert_int_equal(chain->ledger.bytes, 4 + size); /* a prefix, and never the tail */
	read_whole(ends[1], buf, 4 + size);
	assert_pattern(buf + 4, size, 0);
	assert_int_equal(recv(ends[1], buf, 1, 0), -1);
	assert_int_equal(leat_chain_step(chain, 0), -ENODATA);
	leat_chain_free(chain);
	close_pair(ends);
	close(file);
	free(buf);
}

static void a_file_that_ends_early_is_an_error_that_names_both_sizes(void **state)
{
	expect_early_end(100, 1000);      /* gathered */
	expect_early_end(0, 1000);        /* nothing there at all */
	expect_early_end(4096, 8192);     /* at a page's end */
	expect_early_end(40000, 100000);  /* by sendfile */
	expect_early_end(40000, 3 << 20); /* in chunks */
}

static void a_file_cut_in_flight_ends_the_chain_and_never_spins(void **state)
{
	const size_t size = 16u << 20, cut = 6000;
	int file = pattern_file(size);
	char *buf = malloc(size);
	struct leat_chain *chain;
	size_t got = 0;
	int ends[2];
	int step;

	tcp_pair(ends);
	chain = chain_to(ends[0]);
	leat_chain_add_file(chain, file, 0, size, NULL, NULL);
	assert_int_equal(run(chain), LEAT_WANT_WRITE);
	assert_int_equal(ftruncate(file, (off_t)cut), 0);
	for (int i = 0; i < 1000; i++) {
		struct pollfd wait = {.fd = ends[1], .events = POLLIN};

		poll(&wait, 1, 10);
		got += read_some(ends[1], buf + got, size - got);
		step = run(chain);
		if (step != LEAT_WANT_WRITE)
			break;
	}
	assert_int_equal(step, -ENODATA);
	assert_non_null(strstr(error_of(chain), "expected 16777216"));
	read_whole(ends[1], buf + got, chain->ledger.bytes - got);
	/* What was in flight is the page cache: the cut may have turned it into zeros. What stands
	 * before the cut is untouched. */
	assert_pattern(buf, cut, 0);
	for (size_t i = cut; i < chain->ledger.bytes; i++)
		assert_true(buf[i] == 0 || buf[i] == pattern_at(i));
	leat_chain_free(chain);
	close_pair(ends);
	close(file);
	free(buf);
}

static void the_verdict_is_what_the_mutation_proof_says(void **state)
{
	const size_t size = 65536;
	int file = pattern_file(size);
	struct leat_report report = LEAT_REPORT_INIT;
	char *buf = malloc(size), *new = malloc(size);
	struct leat_chain *chain;
	int ends[2];

	unix_pair(ends);
	chain = chain_to(ends[0]);
	leat_chain_add_file(chain, file, 0, size, NULL, NULL);
	assert_int_equal(run(chain), LEAT_DONE);
	memset(new, 'B', size);
	assert_int_equal(pwrite(file, new, size, 0), size);
	read_whole(ends[1], buf, size);
	leat_chain_report(chain, &report);
	assert_int_equal(report.technique, LEAT_SENDFILE);
	if (memcmp(buf, new, size) == 0)
		assert_int_equal(report.verdict, LEAT_BY_REFERENCE);
	else
		assert_int_equal(report.verdict, LEAT_COPIED);
	leat_chain_free(chain);
	close_pair(ends);
	close(file);
	free(buf);
	free(new);
}

/* ---- Corking ---- */

/* All `len` bytes arrive although nobody sends anything more and nobody closes: the kernel holds a
 * corked packet back for 200 ms, so that a wait of 150 ms tells the two apart. */
static void expect_no_stall(int sender, int receiver, size_t len)
{
	static char buf[1 << 20];
	size_t got = 0;
	int unsent;

	while (got < len) {
		struct pollfd wait = {.fd = receiver, .events = POLLIN};

		if (poll(&wait, 1, 150) != 1)
			fail_msg("%zu of %zu bytes, and the rest is held back", got, len);
		got += read_some(receiver, buf, sizeof(buf));
	}
	assert_int_equal(got, len);
	assert_int_equal(ioctl(sender, SIOCOUTQNSD, &unsent), 0);
	assert_int_equal(unsent, 0);
}

static void no_mix_of_segments_is_held_back_for_200_ms(void **state)
{
	static const size_t bodies[] = {1, 1000, 8191, 8192, 32768, 65536, 100000, 262144};
	int file = pattern_file(1 << 20);

	for (size_t i = 0; i < ARRAY_SIZE(bodies); i++)
		for (int tail = 0; tail < 2; tail++) {
			struct leat_chain *chain;
			int ends[2];
			int step;

			tcp_pair(ends);
			chain = chain_to(ends[0]);
			leat_chain_add_memory(chain, "header", 6, NULL, NULL);
			leat_chain_add_file(chain, file, 0, bodies[i], NULL, NULL);
			if (tail)
				leat_chain_add_memory(chain, "tail", 4, NULL, NULL);
			step = run(chain);
			if (step == LEAT_DONE)
				expect_no_stall(ends[0], ends[1], 6 + bodies[i] + (tail ? 4 : 0));
			else
				assert_int_equal(step, LEAT_WANT_WRITE);
			leat_chain_free(chain);
			close_pair(ends);
		}
	close(file);
}

static void a_budget_that_ends_behind_the_header_does_not_cork_it(void **state)
{
	int file = pattern_file(1 << 20);
	struct leat_chain *chain;
	int ends[2];

	tcp_pair(ends);
	chain = chain_to(ends[0]);
	leat_chain_add_memory(chain, "header", 6, NULL, NULL);
	leat_chain_add_file(chain, file, 0, 100000, NULL, NULL);
	assert_int_equal(leat_chain_step(chain, 6), LEAT_MORE);
	assert_int_equal(chain->ledger.bytes, 6);
	expect_no_stall(ends[0], ends[1], 6); /* others have their turn; the header is out */
	leat_chain_free(chain);
	close_pair(ends);
	close(file);
}

static void a_stream_that_pauses_is_not_corked(void **state)
{
	static const enum leat_technique stream_techniques[] = {LEAT_AUTO, LEAT_COPY};

	for (size_t i = 0; i < ARRAY_SIZE(stream_techniques); i++) {
		struct leat_options options = LEAT_OPTIONS_INIT;
		struct leat_chain *chain;
		int ends[2], source[2];

		tcp_pair(ends);
		tcp_pair(source);
		options.technique = stream_techniques[i];
		assert_int_equal(leat_chain_new(engine, ends[0], &options, &chain), 0);
		leat_chain_add_memory(chain, "header", 6, NULL, NULL);
		leat_chain_add_stream(chain, source[1], 100000, NULL, NULL);
		assert_int_equal(write(source[0], "part", 4), 4);
		while (sys_readable_bytes(source[1]) < 4)
			poll(NULL, 0, 1);
		assert_int_equal(run(chain), LEAT_WANT_READ);
		expect_no_stall(ends[0], ends[1], 10);
		leat_chain_free(chain);
		close_pair(ends);
		close_pair(source);
	}
}

static void a_pipe_that_pauses_before_a_trailer_is_not_corked(void **state)
{
	struct leat_chain *chain;
	int ends[2], source[2];

	tcp_pair(ends);
	pipe_pair(source);
	chain = chain_to(ends[0]);
	leat_chain_add_stream(chain, source[1], 100000, NULL, NULL);
	leat_chain_add_memory(chain, "trailer", 7, NULL, NULL);
	assert_int_equal(write(source[0], "part", 4), 4);
	assert_int_equal(run(chain), LEAT_WANT_READ);
	expect_no_stall(ends[0], ends[1], 4);
	leat_chain_free(chain);
	close_pair(ends);
	close_pair(source);
}

/* ---- Pipes ---- */

/* 40 pieces of 100 bytes wait in ends[1]. */
static void tiny_pieces(int ends[2], bool tcp)
{
	const int on = 1;
	char piece[100];

	if (tcp)
		tcp_pair(ends);
	else
		unix_pair(ends);
	if (tcp)
		setsockopt(ends[0], IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	for (size_t i = 0; i < 40; i++) {
		pattern_fill(piece, sizeof(piece), i * sizeof(piece));
		assert_int_equal(write(ends[0], piece, sizeof(piece)), sizeof(piece));
	}
	while (sys_readable_bytes(ends[1]) < 4000)
		poll(NULL, 0, 1);
}

static void sixteen_tiny_segments_fill_a_pipe_and_nothing_is_lost(void **state)
{
	for (int tcp = 0; tcp < 2; tcp++) {
		struct leat_chain *chain;
		int source[2], ends[2];
		char buf[4000];
		size_t got = 0;
		int step;

		tiny_pieces(source, tcp);
		pipe_pair(ends); /* 64 KiB: 16 pieces */
		chain = chain_to(ends[0]);
		leat_chain_add_stream(chain, source[1], LEAT_TO_END, NULL, NULL);
		while ((step = run(chain)) == LEAT_WANT_WRITE) {
			/* Full with so little in it, and the source is not to blame. */
			assert_int_equal(chain_wait(chain).fd, ends[0]);
			assert_true(sys_readable_bytes(source[1]) > 0);
			got += read_some(ends[1], buf + got, sizeof(buf) - got);
		}
		assert_int_equal(step, LEAT_WANT_READ);
		assert_int_equal(chain_wait(chain).fd, source[1]);
		assert_int_equal(sys_readable_bytes(source[1]), 0);
		got += read_some(ends[1], buf + got, sizeof(buf) - got);
		assert_int_equal(got, 4000);
		assert_pattern(buf, 4000, 0);
		leat_chain_free(chain);
		close_pair(source);
		close_pair(ends);
	}
}

static void want_read_comes_only_after_the_pipe_is_drained(void **state)
{
	for (int tcp = 0; tcp < 2; tcp++) {
		struct leat_chain *chain;
		int source[2], ends[2];
		char buf[4000];

		tiny_pieces(source, tcp);
		tcp_pair(ends);
		chain = chain_to(ends[0]);
		leat_chain_add_stream(chain, source[1], LEAT_TO_END, NULL, NULL);
		assert_int_equal(run(chain), LEAT_WANT_READ);
		assert_int_equal(chain_wait(chain).fd, source[1]);
		assert_int_equal(chain_wait(chain).events, POLLIN);
		assert_int_equal(chain->ledger.bytes, 4000);
		assert_int_equal(chain->piped, 0);
		assert_int_equal(chain->pipe.read_fd, -1); /* back in the pool */
		read_whole(ends[1], buf, sizeof(buf));
		assert_pattern(buf, sizeof(buf), 0);
		close(source[0]);
		source[0] = -1;
		assert_int_equal(run(chain), LEAT_DONE);
		leat_chain_free(chain);
		close_pair(source);
		close_pair(ends);
	}
}

static void a_full_pipe_is_the_one_to_wait_for_even_when_the_source_has_ended(void **state)
{
	char fill[65536] = {0};
	struct leat_chain *chain;
	int source[2], ends[2];

	unix_pair(source);
	pipe_pair(ends);
	while (write(ends[0], fill, sizeof(fill)) > 0)
		;
	chain = chain_to(ends[0]);
	leat_chain_add_stream(chain, source[1], LEAT_TO_END, NULL, NULL);
	close(source[0]);
	source[0] = -1;
	assert_int_equal(run(chain), LEAT_WANT_WRITE);
	assert_true(read_some(ends[1], fill, sizeof(fill)) > 0);
	assert_int_equal(run(chain), LEAT_DONE);
	leat_chain_free(chain);
	close_pair(source);
	close_pair(ends);
}

static void a_pipe_with_bytes_in_it_never_comes_back_to_the_pool(void **state)
{
	struct leat_chain *chain;
	int source[2], ends[2];
	char buf[65536];
	unsigned spare;

	pattern_fill(buf, sizeof(buf), 0);
	unix_pair(source);
	unix_pair(ends);
	chain = chain_to(ends[0]);
	leat_chain_add_stream(chain, source[1], LEAT_TO_END, NULL, NULL);
	while (run(chain) == LEAT_WANT_READ)
		assert_true(write(source[0], buf, sizeof(buf)) > 0);
	assert_int_equal(chain->step, LEAT_WANT_WRITE);
	assert_true(chain->piped > 0);
	spare = pipe_pool_spare(engine->large_pipes);
	leat_chain_free(chain);
	assert_int_equal(pipe_pool_spare(engine->large_pipes), spare);
	close_pair(source);
	close_pair(ends);
}

/* Reads `len` bytes of the pattern from `source`, sends them to `sink`, in another process that
 * has no privileges and has used up its user's share of pipe memory. */
static int transfer_without_pipe_memory(int source, int sink, uint64_t len)
{
	for (int i = 0; i < 400; i++) {
		int fds[2];

		if (pipe2(fds, O_CLOEXEC) < 0)
			break;
		if (fcntl(fds[1], F_GETPIPE_SZ) < 65536)
			break; /* the kernel has begun to give two pages only */
		(void)fcntl(fds[1], F_SETPIPE_SZ, 1 << 20);
	}
	return leat_transfer(source, LEAT_CURRENT, sink, len, NULL, NULL) == (int64_t)len ? 0 : 1;
}

static void a_user_without_pipe_memory_left_still_splices(void **state)
{
	const size_t len = 150000;
	char *buf = malloc(len);
	int source[2], ends[2];
	int status;
	pid_t child;

	unix_pair(source);
	unix_pair(ends);
	child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		if (geteuid() == 0 && setresuid(65534, 65534, 65534) < 0)
			_exit(2);
		_exit(transfer_without_pipe_memory(source[1], ends[0], len));
	}
	pattern_fill(buf, len, 0);
	for (size_t done = 0, got = 0; got < len;) {
		struct pollfd wait[2] = {{.fd = done < len ? source[0] : -1, .events = POLLOUT},
					 {.fd = ends[1], .events = POLLIN}};
		ssize_t n = done < len ? write(source[0], buf + done, len - done) : 0;
		char part[4096];
		size_t some = read_some(ends[1], part, sizeof(part));

		done += n > 0 ? (size_t)n : 0;
		assert_pattern(part, some, got);
		got += some;
		if (n <= 0 && some == 0)
			assert_true(poll(wait, 2, PATIENCE_MS) > 0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	close_pair(source);
	close_pair(ends);
	free(buf);
}

/* ---- SIGPIPE ---- */

static void expect_epipe_and_no_signal(int sink, enum leat_technique technique)
{
	int file = pattern_file(100000);
	struct leat_options options = LEAT_OPTIONS_INIT;
	sigset_t pending;

	options.technique = technique;
	assert_int_equal(leat_transfer(file, 0, sink, LEAT_TO_END, &options, NULL), -EPIPE);
	sigpending(&pending);
	assert_false(sigismember(&pending, SIGPIPE));
	close(file);
}

static void a_closed_peer_is_epipe_and_no_sigpipe(void **state)
{
	int ends[2];

	signal(SIGPIPE, SIG_DFL); /* would kill this test */
	for (size_t i = 0; i < ARRAY_SIZE(techniques); i++) {
		unix_pair(ends);
		close(ends[1]);
		expect_epipe_and_no_signal(ends[0], techniques[i]);
		close(ends[0]);
		pipe_pair(ends);
		close(ends[1]);
		expect_epipe_and_no_signal(ends[0], techniques[i]);
		close(ends[0]);
	}
	signal(SIGPIPE, SIG_IGN);
}

static void a_sigpipe_of_the_callers_own_is_left_to_him(void **state)
{
	sigset_t set, pending, old;
	int ends[2];

	signal(SIGPIPE, SIG_DFL);
	sigemptyset(&set);
	sigaddset(&set, SIGPIPE);
	pthread_sigmask(SIG_BLOCK, &set, &old);
	raise(SIGPIPE);
	pipe_pair(ends);
	close(ends[1]);
	{
		int file = pattern_file(1000);

		assert_int_equal(leat_transfer(file, 0, ends[0], LEAT_TO_END, NULL, NULL), -EPIPE);
		close(file);
	}
	sigpending(&pending);
	assert_true(sigismember(&pending, SIGPIPE));
	signal(SIGPIPE, SIG_IGN); /* discards it */
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	close(ends[0]);
}

/* sendfile may meet the closed peer in its middle: it raises the signal, and returns the bytes
 * before. */
static void a_sigpipe_is_taken_away_even_when_the_call_succeeded(void **state)
{
	struct sigpipe_guard guard = {SIGPIPE_NOT_ASKED, false, false, false};
	sigset_t pending, mask;

	signal(SIGPIPE, SIG_DFL);
	assert_int_equal(sigpipe_hold(&guard), 2);
	assert_int_equal(sigpipe_hold(&guard), 0);
	pthread_kill(pthread_self(), SIGPIPE);
	assert_int_equal(sigpipe_let_go(&guard), 2); /* or this test is dead */
	sigpending(&pending);
	assert_false(sigismember(&pending, SIGPIPE));
	pthread_sigmask(SIG_BLOCK, NULL, &mask);
	assert_false(sigismember(&mask, SIGPIPE));
	signal(SIGPIPE, SIG_IGN);
	guard = (struct sigpipe_guard){SIGPIPE_NOT_ASKED, false, false, false};
	assert_int_equal(sigpipe_hold(&guard), 1);
	assert_int_equal(sigpipe_hold(&guard) + sigpipe_let_go(&guard), 0);
}

/* ---- Descriptors that refuse ---- */

static void files_in_append_mode_are_copied_to(void **state)
{
	char name[] = "engine-append-XXXXXX", buf[3 + 5000];
	int out = mkostemp(name, O_APPEND | O_CLOEXEC);
	int in = pattern_file(5000);
	struct leat_options options = LEAT_OPTIONS_INIT;
	struct leat_report report = LEAT_REPORT_INIT;

	unlink(name);
	assert_int_equal(write(out, "old", 3), 3);
	assert_int_equal(leat_transfer(in, 0, out, LEAT_TO_END, NULL, &report), 5000);
	assert_int_equal(report.technique, LEAT_COPY);
	assert_int_equal(report.verdict, LEAT_COPIED);
	assert_non_null(strstr(report.reason, "append"));
	assert_int_equal(pread(out, buf, sizeof(buf), 0), sizeof(buf));
	assert_memory_equal(buf, "old", 3);
	assert_pattern(buf + 3, 5000, 0);
	options.technique = LEAT_SENDFILE;
	assert_int_equal(leat_transfer(in, 0, out, LEAT_TO_END, &options, &report), -EOPNOTSUPP);
	assert_non_null(strstr(report.error, "sendfile"));
	close(in);
	close(out);
}

static size_t slurp(const char *path, char *buf, size_t room)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t len = 0;
	ssize_t n;

	if (fd < 0)
		return 0;
	while ((n = read(fd, buf + len, room - len)) > 0)
		len += (size_t)n;
	close(fd);
	return len;
}

static void expect_pseudo_file(const char *path, bool same)
{
	static char expected[1 << 16], buf[1 << 16];
	size_t len = slurp(path, expected, sizeof(expected));
	int in = open(path, O_RDONLY | O_CLOEXEC);
	int64_t n;
	int ends[2];

	if (in < 0)
		return; /* not on this system */
	unix_pair(ends);
	n = leat_transfer(in, LEAT_CURRENT, ends[0], LEAT_TO_END, NULL, NULL);
	assert_true(n > 0);
	assert_int_equal(read_some(ends[1], buf, sizeof(buf)), n);
	if (same) {
		assert_int_equal(n, len);
		assert_memory_equal(buf, expected, len);
	}
	close(in);
	close_pair(ends);
}

static void pseudo_files_are_read_to_their_end_whatever_size_they_claim(void **state)
{
	expect_pseudo_file("/proc/version", true);
	expect_pseudo_file("/proc/self/maps", false);
	expect_pseudo_file("/proc/self/status", false);
	expect_pseudo_file("/sys/devices/system/cpu/online", true); /* claims 4096 */
}

/* The kernel makes the text in fresh pages at each read, and hands over those. */
static void a_pseudo_file_that_claims_a_size_is_no_reference(void **state)
{
	int in = open("/sys/devices/system/cpu/online", O_RDONLY | O_CLOEXEC);
	struct leat_report report = LEAT_REPORT_INIT;
	int ends[2];

	if (in < 0)
		unit_skip("no sysfs here");
	pipe_pair(ends);
	assert_true(leat_transfer(in, LEAT_CURRENT, ends[0], LEAT_TO_END, NULL, &report) > 0);
	assert_int_equal(report.verdict, LEAT_COPIED);
	close(in);
	close_pair(ends);
}

/* Whatever the length: what a refused sink left in the pipe is no progress. */
static void a_forced_technique_that_the_sink_refuses_says_so(void **state)
{
	static const enum leat_technique through_a_pipe[] = {LEAT_SPLICE, LEAT_VMSPLICE,
							     LEAT_URING};
	int in = pattern_file(2u << 20);
	int out = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK); /* no splice_write */

	for (size_t i = 0; i < ARRAY_SIZE(through_a_pipe); i++) {
		struct leat_options options = LEAT_OPTIONS_INIT;
		struct leat_report report = LEAT_REPORT_INIT;

		options.technique = through_a_pipe[i];
		assert_int_equal(leat_transfer(in, 0, out, LEAT_TO_END, &options, &report),
				 -EOPNOTSUPP);
		assert_non_null(strstr(report.error, "was asked for"));
	}
	close(in);
	close(out);
}

static void a_forced_technique_that_is_refused_says_so_and_moves_nothing(void **state)
{
	int in = open("/proc/self/maps", O_RDONLY | O_CLOEXEC); /* no splice_read */
	struct leat_options options = LEAT_OPTIONS_INIT;
	struct leat_report report = LEAT_REPORT_INIT;
	int ends[2];

	unix_pair(ends);
	options.technique = LEAT_SENDFILE;
	assert_int_equal(leat_transfer(in, 0, ends[0], LEAT_TO_END, &options, &report),
			 -EOPNOTSUPP);
	assert_string_equal(report.fallback, "sendfile refused (EINVAL)");
	assert_non_null(strstr(report.error, "sendfile was asked for"));
	assert_int_equal(report.ledger.bytes, 0);
	assert_int_equal(report.ledger.fallbacks, 0);
	close(in);
	close_pair(ends);
}

static void a_source_without_splice_read_falls_back_and_the_ledger_says_so(void **state)
{
	struct leat_report report = LEAT_REPORT_INIT;
	int in = memfd_create("huge pages", MFD_CLOEXEC | MFD_HUGETLB);
	int out = open("/dev/null", O_WRONLY | O_CLOEXEC);

	if (in < 0 || ftruncate(in, 2 << 20) < 0)
		skip(); /* a kernel without huge pages */
	assert_int_equal(leat_transfer(in, 0, out, LEAT_TO_END, NULL, &report), 2 << 20);
	assert_int_equal(report.technique, LEAT_COPY);
	assert_true(report.ledger.fallbacks > 0);
	assert_int_equal(report.ledger.bytes_fallen_back, 2 << 20);
	assert_non_null(strstr(report.fallback, "refused (EINVAL): went on by "));
	close(in);
	close(out);
}

/* An eventfd takes write(2) of eight bytes, and no splice: it says so when the bytes of a socket
 * are in the pipe already. */
static void a_sink_without_splice_write_gets_the_bytes_by_copy(void **state)
{
	const uint64_t five = 5;
	int file = pattern_file(0);

	assert_int_equal(pwrite(file, &five, sizeof(five), 0), sizeof(five));
	for (int source = 0; source < 3; source++) {
		struct leat_report report = LEAT_REPORT_INIT;
		int sink = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
		int ends[2] = {-1, -1};
		uint64_t seen;

		if (source == 0)
			unix_pair(ends);
		else if (source == 1)
			pipe_pair(ends);
		if (source < 2)
			assert_int_equal(write(ends[0], &five, sizeof(five)), sizeof(five));
		assert_int_equal(leat_transfer(source < 2 ? ends[1] : file, LEAT_CURRENT, sink,
					       sizeof(five), NULL, &report),
				 sizeof(five));
		assert_int_equal(read(sink, &seen, sizeof(seen)), sizeof(seen));
		assert_int_equal(seen, five);
		assert_int_equal(report.technique, LEAT_COPY);
		assert_int_equal(report.ledger.bytes_fallen_back, sizeof(five));
		assert_int_equal(report.ledger.bytes_copied, sizeof(five));
		close(sink);
		close_pair(ends);
	}
	close(file);
}

/* ---- Blocking descriptors, interruptions ---- */

static void blocking_descriptors_need_leave_to_block(void **state)
{
	struct leat_options options = LEAT_OPTIONS_INIT;
	struct leat_chain *chain;
	int ends[2], other[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
	assert_int_equal(pipe2(other, O_CLOEXEC), 0);
	assert_int_equal(leat_chain_new(engine, ends[0], NULL, &chain), -EINVAL);
	assert_int_equal(leat_chain_new(engine, other[1], NULL, &chain), -EINVAL);
	set_nonblock(ends[0]);
	assert_int_equal(leat_chain_new(engine, ends[0], NULL, &chain), 0);
	assert_int_equal(leat_chain_add_stream(chain, other[0], 1, NULL, NULL), -EINVAL);
	assert_int_equal(leat_chain_add_stream(chain, ends[1], 1, NULL, NULL), -EINVAL);
	leat_chain_free(chain);
	options.flags = LEAT_MAY_BLOCK;
	assert_int_equal(leat_chain_new(engine, other[1], &options, &chain), 0);
	assert_int_equal(leat_chain_add_stream(chain, ends[1], 1, NULL, NULL), 0);
	leat_chain_free(chain);
	close_pair(ends);
	close_pair(other);
}

static void *read_slowly(void *arg)
{
	static char buf[4096];
	int fd = *(int *)arg;
	size_t got = 0;
	ssize_t n;

	while ((n = read(fd, buf, sizeof(buf))) != 0) {
		if (n < 0)
			continue;
		assert_pattern(buf, (size_t)n, got);
		got += (size_t)n;
	}
	return (void *)got;
}

static void on_alarm(int signal)
{
}

static void a_storm_of_signals_changes_nothing(void **state)
{
	const size_t size = 3u << 20;
	const struct sigaction action = {.sa_handler = on_alarm}; /* no SA_RESTART */
	const struct itimerval storm = {{0, 300}, {0, 300}}, calm = {{0, 0}, {0, 0}};
	struct sigaction before;

	sigaction(SIGALRM, &action, &before);
	for (size_t i = 0; i < ARRAY_SIZE(techniques); i++) {
		struct leat_options options = LEAT_OPTIONS_INIT;
		int file = pattern_file(size);
		pthread_t reader;
		int ends[2];
		void *got;

		options.technique = techniques[i];
		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
		assert_int_equal(pthread_create(&reader, NULL, read_slowly, &ends[1]), 0);
		setitimer(ITIMER_REAL, &storm, NULL);
		assert_int_equal(leat_transfer(file, 0, ends[0], LEAT_TO_END, &options, NULL),
				 size);
		setitimer(ITIMER_REAL, &calm, NULL);
		close(ends[0]);
		pthread_join(reader, &got);
		assert_int_equal((size_t)got, size);
		close(ends[1]);
		close(file);
	}
	sigaction(SIGALRM, &before, NULL);
}

/* ---- Cold files ---- */

/* A file whose pages are on the disk only; -1 where the file system keeps them (tmpfs), or the
 * kernel can't say (before 6.5). */
static int cold_file(size_t size)
{
	int file = pattern_file(size);

	assert_int_equal(fsync(file), 0);
	for (int i = 0; i < 50; i++) {
		posix_fadvise(file, 0, 0, POSIX_FADV_DONTNEED);
		/* Not by RWF_NOWAIT: it says EAGAIN, and starts to read ahead. */
		if (sys_cached_pages(file, 0, size) == 0)
			return file;
		poll(NULL, 0, 10);
	}
	close(file);
	return -1;
}

/* A header and a cold file; false when the disk was too fast to be seen: RWF_NOWAIT starts a read,
 * and may find it done. */
static bool load_and_send(int file, size_t size)
{
	char *buf = malloc(6 + size);
	struct leat_chain *chain;
	struct leat_load load;
	int ends[2];
	int step;

	tcp_pair(ends);
	chain = chain_to(ends[0]);
	leat_chain_add_memory(chain, "header", 6, NULL, NULL);
	leat_chain_add_file(chain, file, 0, size, NULL, NULL);
	step = leat_chain_step(chain, 0);
	if (step == LEAT_WANT_LOAD) {
		assert_int_equal(chain->ledger.loads, 1);
		assert_int_equal(chain->ledger.bytes, 0); /* the header waits for its body */
		load = chain_load(chain);
		assert_int_equal(load.fd, file);
		assert_int_equal(load.offset, 0);
		assert_int_equal(load.length, size);
		assert_int_equal(leat_load_run(&load), 0);
		assert_int_equal(leat_chain_step(chain, 0), LEAT_DONE);
	} else {
		assert_int_equal(step, LEAT_DONE);
	}
	read_whole(ends[1], buf, 6 + size);
	assert_pattern(buf + 6, size, 0);
	leat_chain_free(chain);
	close_pair(ends);
	free(buf);
	return step == LEAT_WANT_LOAD;
}

static void expect_load(size_t size, bool no_cachestat)
{
	int file = cold_file(size);
	bool seen;

	if (file < 0)
		skip();
	engine->no_cachestat = no_cachestat; /* as on a kernel before 6.5 */
	seen = load_and_send(file, size);
	if (size > policy_default_limits.copy_below && !no_cachestat)
		assert_true(seen); /* cachestat starts nothing */
	engine->no_cachestat = false;
	close(file);
}

static void a_cold_file_is_asked_to_be_loaded_and_then_goes(void **state)
{
	expect_load(1000, false);
	expect_load(100000, false);
	expect_load(100000, true);
}

static void an_answer_is_not_held_up_by_the_cold_file_of_the_next(void **state)
{
	static const size_t sizes[] = {1000, 100000};

	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		int file = cold_file(sizes[i]);
		struct leat_chain *chain;
		int ends[2];
		char buf[12];
		int step;

		if (file < 0)
			skip();
		tcp_pair(ends);
		chain = chain_to(ends[0]);
		leat_chain_add_memory(chain, "header", 6, NULL, NULL);
		leat_chain_add_memory(chain, "body", 4, NULL, NULL);
		leat_chain_add_memory(chain, "h2", 2, NULL, NULL);
		leat_chain_add_file(chain, file, 0, sizes[i], NULL, NULL);
		step = leat_chain_step(chain, 0);
		if (step == LEAT_WANT_LOAD) /* or the disk was too fast to be seen */
			expect_no_stall(ends[0], ends[1], 12);
		else
			read_whole(ends[1], buf, sizeof(buf));
		leat_chain_free(chain);
		close_pair(ends);
		close(file);
	}
}

/* What begins to read on the caller's thread allocates pages there, and may wait for the disk. */
static void a_step_reads_nothing_and_its_load_reads_ahead(void **state)
{
	const size_t size = 12 << 20, window = 4 << 20;
	int file = cold_file(size);
	struct leat_chain *chain;
	struct leat_load load;
	int ends[2];

	if (file < 0)
		skip();
	tcp_pair(ends);
	chain = chain_to(ends[0]);
	leat_chain_add_file(chain, file, 0, size, NULL, NULL);
	assert_int_equal(leat_chain_step(chain, 0), LEAT_WANT_LOAD);
	assert_int_equal(sys_cached_pages(file, 0, size), 0);
	load = chain_load(chain);
	assert_int_equal(load.length, window);
	assert_int_equal(load.ahead, window);
	posix_fadvise(file, 0, 0, POSIX_FADV_RANDOM); /* no readahead of the kernel's own */
	assert_int_equal(leat_load_run(&load), 0);
	assert_true(sys_cached_pages(file, 0, window) * sysconf(_SC_PAGESIZE) == (int64_t)window);
	assert_true(sys_cached_pages(file, (uint64_t)window, window) > 0);
	assert_int_equal(sys_cached_pages(file, 2 * (uint64_t)window, window), 0);
	leat_chain_free(chain);
	close_pair(ends);
	close(file);
}

static void a_popular_file_is_asked_about_once(void **state)
{
	const size_t size = 100000;
	int file = pattern_file(size);
	char *buf = malloc(size);
	uint64_t syscalls[2];

	for (int i = 0; i < 2; i++) {
		struct leat_chain *chain;
		int ends[2];

		tcp_pair(ends);
		chain = chain_to(ends[0]);
		leat_chain_add_file(chain, file, 0, size, NULL, NULL);
		assert_int_equal(run(chain), LEAT_DONE);
		syscalls[i] = chain->ledger.syscalls;
		read_whole(ends[1], buf, size);
		leat_chain_free(chain);
		close_pair(ends);
	}
	assert_true(syscalls[1] < syscalls[0]);
	close(file);
	free(buf);
}

static void a_cold_file_may_be_waited_for_by_who_says_so(void **state)
{
	const size_t size = 100000;
	int file = cold_file(size);
	struct leat_options options = LEAT_OPTIONS_INIT;
	struct leat_chain *chain;
	int ends[2];

	if (file < 0)
		skip();
	tcp_pair(ends);
	options.flags = LEAT_MAY_LOAD;
	assert_int_equal(leat_chain_new(engine, ends[0], &options, &chain), 0);
	leat_chain_add_file(chain, file, 0, size, NULL, NULL);
	assert_int_equal(leat_chain_step(chain, 0), LEAT_DONE);
	assert_int_equal(chain->ledger.loads, 0);
	leat_chain_free(chain);
	close_pair(ends);
	close(file);
}

static void loads_in_vain_end(void **state)
{
	const size_t size = 1 << 20;
	int file = memfd_create("holes", MFD_CLOEXEC); /* its holes are never in the page cache */
	struct leat_chain *chain;
	int out = open("/dev/null", O_WRONLY | O_CLOEXEC);
	int loads = 0, step;

	assert_int_equal(ftruncate(file, (off_t)size), 0);
	chain = chain_to(out);
	leat_chain_add_file(chain, file, 0, size, NULL, NULL);
	while ((step = leat_chain_step(chain, 0)) != LEAT_DONE) {
		assert_true(step == LEAT_WANT_LOAD || step == LEAT_MORE);
		assert_true(++loads <= 4);
	}
	assert_int_equal(chain->ledger.bytes, size);
	leat_chain_free(chain);
	close(file);
	close(out);
}

static void loading_what_is_not_there_is_no_error(void **state)
{
	int file = pattern_file(1000);
	struct leat_load load = {.size = sizeof(load), .fd = file, .offset = 500, .length = 100000};

	assert_int_equal(leat_load_run(&load), 0);
	load.fd = -1;
	assert_int_equal(leat_load_run(&load), -EBADF);
	close(file);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(counts_above_0x7ffff000_are_moved_whole),
	    TEST(one_call_moves_at_most_a_mebibyte),
	    TEST(a_file_that_ends_early_is_an_error_that_names_both_sizes),
	    TEST(a_file_cut_in_flight_ends_the_chain_and_never_spins),
	    TEST(the_verdict_is_what_the_mutation_proof_says),
	    TEST(no_mix_of_segments_is_held_back_for_200_ms),
	    TEST(a_budget_that_ends_behind_the_header_does_not_cork_it),
	    TEST(a_stream_that_pauses_is_not_corked),
	    TEST(a_pipe_that_pauses_before_a_trailer_is_not_corked),
	    TEST(sixteen_tiny_segments_fill_a_pipe_and_nothing_is_lost),
	    TEST(want_read_comes_only_after_the_pipe_is_drained),
	    TEST(a_full_pipe_is_the_one_to_wait_for_even_when_the_source_has_ended),
	    TEST(a_pipe_with_bytes_in_it_never_comes_back_to_the_pool),
	    TEST(a_user_without_pipe_memory_left_still_splices),
	    TEST(a_closed_peer_is_epipe_and_no_sigpipe),
	    TEST(a_sigpipe_is_taken_away_even_when_the_call_succeeded),
	    TEST(a_sigpipe_of_the_callers_own_is_left_to_him),
	    TEST(files_in_append_mode_are_copied_to),
	    TEST(pseudo_files_are_read_to_their_end_whatever_size_they_claim),
	    TEST(a_pseudo_file_that_claims_a_size_is_no_reference),
	    TEST(a_forced_technique_that_the_sink_refuses_says_so),
	    TEST(a_forced_technique_that_is_refused_says_so_and_moves_nothing),
	    TEST(a_source_without_splice_read_falls_back_and_the_ledger_says_so),
	    TEST(a_sink_without_splice_write_gets_the_bytes_by_copy),
	    TEST(blocking_descriptors_need_leave_to_block),
	    TEST(a_storm_of_signals_changes_nothing),
	    TEST(a_cold_file_is_asked_to_be_loaded_and_then_goes),
	    TEST(an_answer_is_not_held_up_by_the_cold_file_of_the_next),
	    TEST(a_step_reads_nothing_and_its_load_reads_ahead),
	    TEST(a_popular_file_is_asked_about_once),
	    TEST(a_cold_file_may_be_waited_for_by_who_says_so),
	    TEST(loads_in_vain_end),
	    TEST(loading_what_is_not_there_is_no_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
