/*
 * The engine, with every system call of it failing in turn: each technique, each kind of source and
 * sink that it takes. What must hold after every run:
 *   - what arrived is a prefix of what was to be sent, and all of it if the chain said done;
 *   - the ledger has exactly the bytes that arrived, and its columns sum to them;
 *   - each segment was released once;
 *   - no descriptor is open that was not, no memory is lost (fault.c looks).
 *
 * One thread: the chain is stepped, and between the steps the test plays source and peer with
 * system calls of its own, which are not made to fail.
 */
#include "unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/check.h"
#include "engine/chain.h"
#include "fault/fault.h"
#include "leat/leat.h"
#include "sys/sys.h"

#define HEADER_BYTES 200u
/* More than a UNIX socket or a pipe holds, so that the sink is full now and then. */
#define BODY_BYTES 250000u
#define TOTAL      (HEADER_BYTES + BODY_BYTES)
#define STEPS_MAX  2000000u

enum source { FROM_MEMORY, FROM_FILE, FROM_PIPE, FROM_SOCKET };
enum sink { TO_TCP, TO_UNIX, TO_PIPE, TO_FILE, TO_APPEND, TO_WRITER };

struct plan {
	enum source source;
	enum sink sink;
	enum leat_technique technique;
	bool header; /* a piece of memory goes before */
	enum { NO_MIRROR, MIRROR_WAITED_FOR, MIRROR_DROPPED } mirror; /* a UNIX socket */
};

/* What came out of a sink. */
struct arrived {
	int peer; /* -1: none */
	unsigned char bytes[TOTAL + 1];
	size_t len;
};

struct transfer {
	const struct plan *plan;
	int source, source_feed; /* what the chain reads; what the test feeds it by, or -1 */
	int sink, sink_peer;     /* what the chain writes; what the test reads, or -1 */
	size_t fed, expected;
	unsigned released, added;
	unsigned steps;
	unsigned char *got;
	size_t got_len;
	bool reported;
	struct leat_report report;
	int mirror;
	struct arrived mirrored;
	struct leat_mirror_report mirror_report;
	struct chain_writer writer; /* TO_WRITER */
	size_t refused;             /* bytes that it said -EAGAIN to */
};

/* What the writer does to each byte. */
#define OTHER 0x5a

static unsigned char pattern[TOTAL];

static void pattern_init(void)
{
	uint32_t x = 1;

	for (size_t i = 0; i < TOTAL; i++) {
		x = x * 1664525u + 1013904223u;
		pattern[i] = (unsigned char)(x >> 24);
	}
}

static void nonblock(int fd)
{
	CHECK(fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK) == 0);
}

/* ---- peers ---- */

static void tcp_pair(int ends[2])
{
	struct sockaddr_in addr = {.sin_family = AF_INET,
				   .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(addr);
	int listener = socket(AF_INET, SOCK_STREAM, 0);

	CHECK(bind(listener, (struct sockaddr *)&addr, sizeof(addr)) == 0);
	CHECK(listen(listener, 1) == 0);
	CHECK(getsockname(listener, (struct sockaddr *)&addr, &len) == 0);
	ends[0] = socket(AF_INET, SOCK_STREAM, 0);
	CHECK(connect(ends[0], (struct sockaddr *)&addr, len) == 0);
	ends[1] = accept(listener, NULL, NULL);
	CHECK(ends[1] >= 0);
	close(listener);
}

static int scratch_file(void)
{
	char name[] = "/tmp/leat-fault-XXXXXX";
	int fd = mkstemp(name);

	CHECK(fd >= 0);
	unlink(name);
	return fd;
}

static void source_open(struct transfer *t)
{
	int ends[2];

	t->source = t->source_feed = -1;
	switch (t->plan->source) {
	case FROM_MEMORY:
		break;
	case FROM_FILE:
		t->source = scratch_file();
		CHECK(write(t->source, pattern + HEADER_BYTES, BODY_BYTES) == BODY_BYTES);
		break;
	case FROM_PIPE:
		CHECK(pipe(ends) == 0);
		t->source = ends[0];
		t->source_feed = ends[1];
		break;
	case FROM_SOCKET:
		tcp_pair(ends);
		t->source = ends[0];
		t->source_feed = ends[1];
		break;
	}
	if (t->source_feed >= 0) {
		nonblock(t->source);
		nonblock(t->source_feed);
	}
}

static void sink_open(struct transfer *t)
{
	int ends[2];

	t->sink_peer = -1;
	switch (t->plan->sink) {
	case TO_TCP:
		tcp_pair(ends);
		break;
	case TO_UNIX:
	case TO_WRITER: /* over a socket */
		CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
		break;
	case TO_PIPE:
		CHECK(pipe(ends) == 0);
		break;
	case TO_FILE:
	case TO_APPEND:
		t->sink = scratch_file();
		if (t->plan->sink == TO_APPEND)
			CHECK(fcntl(t->sink, F_SETFL, O_APPEND) == 0);
		return;
	}
	/* A pipe's writing end is its second one. */
	t->sink = ends[t->plan->sink == TO_PIPE ? 1 : 0];
	t->sink_peer = ends[t->plan->sink == TO_PIPE ? 0 : 1];
	nonblock(t->sink);
	nonblock(t->sink_peer);
}

static void mirror_open(struct transfer *t)
{
	int ends[2];

	t->mirror = t->mirrored.peer = -1;
	t->mirror_report.size = sizeof(t->mirror_report);
	if (t->plan->mirror == NO_MIRROR)
		return;
	CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
	t->mirror = ends[0];
	t->mirrored.peer = ends[1];
	nonblock(ends[0]);
	nonblock(ends[1]);
}

static void feed(struct transfer *t)
{
	if (t->source_feed < 0)
		return;
	while (t->fed < BODY_BYTES) {
		ssize_t n = write(t->source_feed, pattern + HEADER_BYTES + t->fed,
				  min_size(BODY_BYTES - t->fed, 10000));

		if (n < 0)
			return;
		t->fed += (size_t)n;
	}
	close(t->source_feed);
	t->source_feed = -1;
}

static void collect_mirrored(struct arrived *arrived)
{
	ssize_t n = 1;

	while (arrived->peer >= 0 && arrived->len < sizeof(arrived->bytes) && n > 0) {
		n = read(arrived->peer, arrived->bytes + arrived->len,
			 sizeof(arrived->bytes) - arrived->len);
		arrived->len += n > 0 ? (size_t)n : 0;
	}
}

/* Reads what has arrived; from a file, all of it at the end. */
static void collect(struct transfer *t)
{
	ssize_t n;

	while (t->sink_peer >= 0 && t->got_len < TOTAL + 1) {
		n = read(t->sink_peer, t->got + t->got_len, TOTAL + 1 - t->got_len);
		if (n <= 0)
			return;
		t->got_len += (size_t)n;
	}
}

static void collect_all(struct transfer *t)
{
	struct pollfd wait = {.fd = t->sink_peer, .events = POLLIN};
	ssize_t n;

	if (t->sink_peer < 0) {
		n = pread(t->sink, t->got, TOTAL + 1, 0);
		t->got_len = n > 0 ? (size_t)n : 0;
	}
	close(t->sink);
	t->sink = -1;
	while (t->sink_peer >= 0 && poll(&wait, 1, 1000) > 0 && !(wait.revents & POLLERR)) {
		size_t before = t->got_len;

		collect(t);
		if (t->got_len == before)
			break;
	}
}

/* ---- the scenario ---- */

static void *prepare(void *arg)
{
	struct transfer *t = calloc(1, sizeof(*t));

	t->plan = arg;
	t->got = malloc(TOTAL + 1);
	t->report.size = sizeof(t->report);
	t->expected = t->plan->header ? TOTAL : BODY_BYTES;
	signal(SIGPIPE, SIG_IGN);
	source_open(t);
	sink_open(t);
	mirror_open(t);
	return t;
}

static void released(void *arg)
{
	struct transfer *t = arg;

	t->released++;
}

static int add_segments(struct transfer *t, struct leat_chain *chain)
{
	int r = 0;

	if (t->plan->header) {
		r = leat_chain_add_memory(chain, pattern, HEADER_BYTES, released, t);
		if (r < 0)
			return r;
		t->added++;
	}
	switch (t->plan->source) {
	case FROM_MEMORY:
		r = leat_chain_add_memory(chain, pattern + HEADER_BYTES, BODY_BYTES, released, t);
		break;
	case FROM_FILE:
		r = leat_chain_add_file(chain, t->source, 0, BODY_BYTES, released, t);
		break;
	case FROM_PIPE:
	case FROM_SOCKET:
		r = leat_chain_add_stream(chain, t->source, LEAT_TO_END, released, t);
		break;
	}
	if (r == 0)
		t->added++;
	return r;
}

/* What a caller does between two steps, and its peers meanwhile. */
static int between_steps(struct transfer *t, struct leat_chain *chain, int step)
{
	struct leat_load load = LEAT_LOAD_INIT;
	struct leat_wait wait = LEAT_WAIT_INIT;
	struct pollfd poll_for;

	feed(t);
	collect(t);
	collect_mirrored(&t->mirrored);
	if (step == LEAT_WANT_LOAD) {
		leat_chain_load(chain, &load);
		return leat_load_run(&load);
	}
	if (step == LEAT_WANT_COMPLETION) {
		leat_chain_wait(chain, &wait);
		poll_for = (struct pollfd){.fd = wait.fd, .events = wait.events};
		poll(&poll_for, 1, 20);
	}
	return 0;
}

static int step_to_the_end(struct transfer *t, struct leat_chain *chain)
{
	for (;;) {
		int r = leat_chain_step(chain, 65536);

		if (r <= LEAT_DONE)
			return r;
		if (++t->steps > STEPS_MAX)
			return -ETIME;
		r = between_steps(t, chain, r);
		if (r < 0)
			return r;
	}
}

/* Makes other bytes of the first piece and sends some of them, by a call that may fail. What it
 * refuses it wants to see again, and no less. */
static ssize_t write_other_bytes(void *arg, const struct iovec *pieces, int count, bool more,
				 short *ret_events)
{
	struct transfer *t = arg;
	unsigned char other[4096];
	size_t len = min_size(pieces[0].iov_len, sizeof(other));
	size_t offered = 0;
	ssize_t n;

	for (int i = 0; i < count; i++)
		offered += pieces[i].iov_len;
	CHECK(offered >= t->refused);
	for (size_t i = 0; i < len; i++)
		other[i] = ((const unsigned char *)pieces[0].iov_base)[i] ^ OTHER;
	n = sys_send(t->sink, other, len, more ? MSG_MORE : 0);
	t->refused = n == -EAGAIN ? offered : 0;
	*ret_events = POLLOUT;
	return n;
}

static int chain_to_writer(struct transfer *t, struct leat_engine *engine,
			   struct leat_chain **ret_chain)
{
	t->writer = (struct chain_writer){write_other_bytes, t};
	*ret_chain = malloc(sizeof(**ret_chain));
	if (!*ret_chain)
		return -ENOMEM;
	chain_init(*ret_chain, engine,
		   &(struct chain_sink){.fd = t->sink,
					.kind = SINK_WRITER,
					.writer = &t->writer,
					.technique = t->plan->technique});
	return 0;
}

static int run(void *state)
{
	struct transfer *t = state;
	struct leat_options options = LEAT_OPTIONS_INIT;
	struct leat_engine *engine;
	struct leat_chain *chain;
	int r = leat_engine_new(&engine);

	if (r < 0)
		return r;
	options.technique = t->plan->technique;
	if (t->plan->sink == TO_WRITER)
		r = chain_to_writer(t, engine, &chain);
	else
		r = leat_chain_new(engine, t->sink, &options, &chain);
	if (r == 0) {
		if (t->plan->mirror != NO_MIRROR)
			r = leat_chain_add_mirror(chain, t->mirror,
						  t->plan->mirror == MIRROR_DROPPED
						      ? LEAT_MIRROR_DROP
						      : LEAT_MIRROR_WAIT);
		if (r == 0)
			r = add_segments(t, chain);
		if (r == 0)
			r = step_to_the_end(t, chain);
		leat_chain_report(chain, &t->report);
		leat_chain_mirror_report(chain, 0, &t->mirror_report);
		t->reported = true;
		leat_chain_free(chain);
	}
	leat_engine_free(engine);
	return r;
}

static fault_complaint check_ledger(const struct transfer *t, int result)
{
	const struct leat_ledger *l = &t->report.ledger;

	if (l->bytes != l->bytes_by_reference + l->bytes_copied + l->bytes_copied_later +
			    l->bytes_transformed + l->bytes_unknown)
		return "the ledger's columns do not sum to its bytes";
	if (l->bytes != t->got_len)
		return "the ledger and the peer disagree about the bytes";
	if (t->released != t->added)
		return "a segment was not released, or twice";
	if (result < 0 && t->report.error[0] == '\0')
		return "a failure without a word about it";
	return NULL;
}

static fault_complaint check_mirror(struct transfer *t, int result)
{
	const struct leat_mirror_report *report = &t->mirror_report;
	const unsigned char *expected = t->plan->header ? pattern : pattern + HEADER_BYTES;

	collect_mirrored(&t->mirrored);
	if (t->mirrored.len > t->expected ||
	    memcmp(t->mirrored.bytes, expected, t->mirrored.len) != 0)
		return "what the mirror got is not a prefix";
	if (result == LEAT_DONE && report->error == 0 && t->mirrored.len != t->expected)
		return "done, and the mirror did not get everything";
	if (report->error < 0 && t->plan->mirror == MIRROR_WAITED_FOR)
		return "a mirror that was to be waited for was dropped";
	if (report->ledger.bytes != t->mirrored.len)
		return "the mirror's ledger and its peer disagree";
	return NULL;
}

static fault_complaint check(void *state, int result, bool hit)
{
	struct transfer *t = state;
	fault_complaint complaint = NULL;
	const unsigned char *expected = t->plan->header ? pattern : pattern + HEADER_BYTES;

	collect_all(t);
	for (size_t i = 0; t->plan->sink == TO_WRITER && i < t->got_len; i++)
		t->got[i] ^= OTHER;
	if (result == -ETIME)
		return "it spins";
	if (t->got_len > t->expected)
		return "more arrived than there was";
	if (memcmp(t->got, expected, t->got_len) != 0)
		return "what arrived is not a prefix";
	if (result == LEAT_DONE && t->got_len != t->expected)
		return "done, but not everything arrived";
	if (t->plan->mirror != NO_MIRROR)
		complaint = check_mirror(t, result);
	if (complaint)
		return complaint;
	/* A segment may fail to be added: then there was no step that could have an error text. */
	return t->reported && t->steps + t->got_len > 0 ? check_ledger(t, result) : NULL;
}

static void clean(void *state)
{
	struct transfer *t = state;
	int fds[] = {t->source, t->source_feed, t->sink, t->sink_peer, t->mirror, t->mirrored.peer};

	for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
		if (fds[i] >= 0)
			close(fds[i]);
	free(t->got);
	free(t);
}

/* ---- the tests ---- */

/* A library without liburing, a kernel without MSG_ZEROCOPY: not this technique. */
static bool is_possible(struct plan *plan)
{
	struct transfer *t = prepare(plan);
	int result = run(t);

	clean(t);
	return plan->technique == LEAT_AUTO || result != -EOPNOTSUPP;
}

static void try_plan(const char *name, struct plan plan)
{
	fault_each(&(struct fault_scenario){.name = name,
					    .prepare = prepare,
					    .run = run,
					    .check = check,
					    .clean = clean,
					    .arg = &plan});
}

#define TEST(name, ...)                                                 \
	static void name(void **state)                                  \
	{                                                               \
		struct plan plan = {__VA_ARGS__};                       \
                                                                        \
		if (!is_possible(&plan))                                \
			unit_skip("%s is not to be had here",           \
				  leat_technique_name(plan.technique)); \
		try_plan(#name, plan);                                  \
	}

TEST(header_and_file_to_tcp, FROM_FILE, TO_TCP, LEAT_AUTO, true)
TEST(header_and_file_to_unix, FROM_FILE, TO_UNIX, LEAT_AUTO, true)
TEST(file_to_pipe, FROM_FILE, TO_PIPE, LEAT_AUTO, false)
TEST(file_to_file, FROM_FILE, TO_FILE, LEAT_AUTO, false)
TEST(file_to_append, FROM_FILE, TO_APPEND, LEAT_AUTO, false)
TEST(memory_to_tcp, FROM_MEMORY, TO_TCP, LEAT_AUTO, true)
TEST(socket_to_tcp, FROM_SOCKET, TO_TCP, LEAT_AUTO, true)
TEST(socket_to_file, FROM_SOCKET, TO_FILE, LEAT_AUTO, false)
TEST(pipe_to_unix, FROM_PIPE, TO_UNIX, LEAT_AUTO, false)
TEST(pipe_to_append, FROM_PIPE, TO_APPEND, LEAT_AUTO, false)
TEST(copy_file_to_tcp, FROM_FILE, TO_TCP, LEAT_COPY, true)
TEST(copy_socket_to_tcp, FROM_SOCKET, TO_TCP, LEAT_COPY, true)
TEST(splice_file_to_tcp, FROM_FILE, TO_TCP, LEAT_SPLICE, false)
TEST(mmap_file_to_tcp, FROM_FILE, TO_TCP, LEAT_MMAP, false)
TEST(zerocopy_memory_to_tcp, FROM_MEMORY, TO_TCP, LEAT_ZEROCOPY, false)
TEST(vmsplice_memory_to_tcp, FROM_MEMORY, TO_TCP, LEAT_VMSPLICE, false)
TEST(zerocopy_file_to_tcp, FROM_FILE, TO_TCP, LEAT_ZEROCOPY, false)
TEST(vmsplice_file_to_unix, FROM_FILE, TO_UNIX, LEAT_VMSPLICE, false)
TEST(header_and_file_to_writer, FROM_FILE, TO_WRITER, LEAT_AUTO, true)
TEST(memory_to_writer, FROM_MEMORY, TO_WRITER, LEAT_AUTO, true)
TEST(socket_to_writer, FROM_SOCKET, TO_WRITER, LEAT_AUTO, true)
TEST(file_to_pipe_and_mirror, FROM_FILE, TO_PIPE, LEAT_AUTO, true, MIRROR_WAITED_FOR)
TEST(socket_to_tcp_and_late_mirror, FROM_SOCKET, TO_TCP, LEAT_AUTO, true, MIRROR_DROPPED)
TEST(file_to_append_and_late_mirror, FROM_FILE, TO_APPEND, LEAT_AUTO, true, MIRROR_DROPPED)
TEST(file_to_writer_and_mirror, FROM_FILE, TO_WRITER, LEAT_AUTO, true, MIRROR_WAITED_FOR)
TEST(uring_file_to_tcp, FROM_FILE, TO_TCP, LEAT_URING, false)
TEST(uring_socket_to_tcp, FROM_SOCKET, TO_TCP, LEAT_URING, false)
TEST(uring_memory_to_tcp, FROM_MEMORY, TO_TCP, LEAT_URING, false)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(header_and_file_to_tcp),
	    cmocka_unit_test(header_and_file_to_unix),
	    cmocka_unit_test(file_to_pipe),
	    cmocka_unit_test(file_to_file),
	    cmocka_unit_test(file_to_append),
	    cmocka_unit_test(memory_to_tcp),
	    cmocka_unit_test(socket_to_tcp),
	    cmocka_unit_test(socket_to_file),
	    cmocka_unit_test(pipe_to_unix),
	    cmocka_unit_test(pipe_to_append),
	    cmocka_unit_test(copy_file_to_tcp),
	    cmocka_unit_test(copy_socket_to_tcp),
	    cmocka_unit_test(splice_file_to_tcp),
	    cmocka_unit_test(mmap_file_to_tcp),
	    cmocka_unit_test(zerocopy_memory_to_tcp),
	    cmocka_unit_test(vmsplice_memory_to_tcp),
	    cmocka_unit_test(zerocopy_file_to_tcp),
	    cmocka_unit_test(vmsplice_file_to_unix),
	    cmocka_unit_test(uring_file_to_tcp),
	    cmocka_unit_test(uring_socket_to_tcp),
	    cmocka_unit_test(uring_memory_to_tcp),
	    cmocka_unit_test(header_and_file_to_writer),
	    cmocka_unit_test(memory_to_writer),
	    cmocka_unit_test(socket_to_writer),
	    cmocka_unit_test(file_to_pipe_and_mirror),
	    cmocka_unit_test(socket_to_tcp_and_late_mirror),
	    cmocka_unit_test(file_to_append_and_late_mirror),
	    cmocka_unit_test(file_to_writer_and_mirror),
	};

	pattern_init();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
