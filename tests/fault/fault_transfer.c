/*
 * leat_transfer(), with every system call of it failing in turn: blocking descriptors, an offset,
 * the position, mirrors. The data fits into pipes and sockets, so that one thread can play all
 * parts.
 *
 * What must hold: each sink got a prefix, all of it on success; the result is what the first sink
 * got; the ledger agrees; a source with an offset keeps its position.
 */
#include "unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/check.h"
#include "fault/fault.h"
#include "leat/leat.h"

#define BYTES   40000u
#define OFFSET  1000u
#define SINKS   3u
#define BYTES_A (BYTES + OFFSET)

enum end { FILE_END, PIPE_END, SOCKET_END };

struct plan {
	enum end source, sink;
	enum leat_technique technique;
	unsigned mirrors;
};

struct move {
	const struct plan *plan;
	int source;
	int sinks[SINKS], peers[SINKS];
	char got[SINKS][BYTES_A + 1];
	int64_t result;
	struct leat_report report;
};

static char pattern[BYTES_A];

static int scratch_file(void)
{
	char name[] = "/tmp/leat-fault-XXXXXX";
	int fd = mkstemp(name);

	CHECK(fd >= 0);
	unlink(name);
	return fd;
}

/* ends[0] is read from, ends[1] written to; the same descriptor for a file. */
static void end_open(enum end end, int ends[2])
{
	switch (end) {
	case FILE_END:
		ends[0] = ends[1] = scratch_file();
		break;
	case PIPE_END:
		CHECK(pipe(ends) == 0);
		/* A pipe holds pieces, not bytes: room for all of it in small ones. */
		CHECK(fcntl(ends[1], F_SETPIPE_SZ, 1 << 20) > 0);
		break;
	case SOCKET_END:
		CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
		break;
	}
}

static void *prepare(void *arg)
{
	struct move *move = calloc(1, sizeof(*move));
	int ends[2];

	signal(SIGPIPE, SIG_IGN);
	move->plan = arg;
	move->report.size = sizeof(move->report);
	end_open(move->plan->source, ends);
	move->source = ends[0];
	if (move->plan->source == FILE_END) {
		CHECK(write(ends[1], pattern, BYTES_A) == BYTES_A);
		CHECK(lseek(ends[1], 0, SEEK_SET) == 0);
	} else {
		CHECK(write(ends[1], pattern + OFFSET, BYTES) == BYTES);
		close(ends[1]);
	}
	for (unsigned i = 0; i <= move->plan->mirrors; i++) {
		end_open(move->plan->sink, ends);
		move->peers[i] = ends[0];
		move->sinks[i] = ends[1];
	}
	return move;
}

static int run(void *state)
{
	struct move *move = state;
	struct leat_options options = LEAT_OPTIONS_INIT;

	options.technique = move->plan->technique;
	options.mirrors = move->sinks + 1;
	options.mirror_count = move->plan->mirrors;
	move->result =
	    leat_transfer(move->source,
			  move->plan->source == FILE_END ? (int64_t)OFFSET : LEAT_CURRENT,
			  move->sinks[0], LEAT_TO_END, &options, &move->report);
	return move->result < 0 ? (int)move->result : 0;
}

static size_t collect(const struct move *move, unsigned i, char *got)
{
	size_t len = 0;
	ssize_t n = 1;

	if (move->plan->sink == FILE_END) {
		n = pread(move->peers[i], got, BYTES_A, 0);
		return n > 0 ? (size_t)n : 0;
	}
	fcntl(move->peers[i], F_SETFL, O_NONBLOCK);
	while (n > 0 && len < BYTES_A) {
		n = read(move->peers[i], got + len, BYTES_A - len);
		len += n > 0 ? (size_t)n : 0;
	}
	return len;
}

static fault_complaint check(void *state, int result, bool hit)
{
	struct move *move = state;
	const struct leat_ledger *l = &move->report.ledger;
	size_t len = 0;

	for (unsigned i = 0; i <= move->plan->mirrors; i++) {
		size_t got = collect(move, i, move->got[i]);

		if (got > BYTES || memcmp(move->got[i], pattern + OFFSET, got) != 0)
			return "a sink did not get a prefix";
		if (result == 0 && got != BYTES)
			return "success, but a sink did not get everything";
		if (i == 0)
			len = got;
	}
	if (result == 0 && move->result != BYTES)
		return "success, but the wrong count";
	if (l->bytes != len)
		return "the ledger and the sink disagree";
	if (l->bytes != l->bytes_by_reference + l->bytes_copied + l->bytes_copied_later +
			    l->bytes_transformed + l->bytes_unknown)
		return "the ledger's columns do not sum to its bytes";
	if (move->plan->source == FILE_END && lseek(move->source, 0, SEEK_CUR) != 0)
		return "the source's position was moved";
	if (result < 0 && move->report.error[0] == '\0')
		return "a failure without a word about it";
	return NULL;
}

static void clean(void *state)
{
	struct move *move = state;

	close(move->source);
	for (unsigned i = 0; i <= move->plan->mirrors; i++) {
		close(move->sinks[i]);
		if (move->peers[i] != move->sinks[i])
			close(move->peers[i]);
	}
	free(move);
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

#define TEST(name, ...)                                      \
	static void name(void **state)                       \
	{                                                    \
		try_plan(#name, (struct plan){__VA_ARGS__}); \
	}

TEST(file_to_file, FILE_END, FILE_END, LEAT_AUTO, 0)
TEST(file_to_file_by_copying, FILE_END, FILE_END, LEAT_COPY, 0)
TEST(file_to_pipe, FILE_END, PIPE_END, LEAT_AUTO, 0)
TEST(file_to_socket, FILE_END, SOCKET_END, LEAT_AUTO, 0)
TEST(pipe_to_file, PIPE_END, FILE_END, LEAT_AUTO, 0)
TEST(pipe_to_pipe, PIPE_END, PIPE_END, LEAT_AUTO, 0)
TEST(socket_to_socket, SOCKET_END, SOCKET_END, LEAT_AUTO, 0)
TEST(file_to_three_sockets, FILE_END, SOCKET_END, LEAT_AUTO, 2)
TEST(pipe_to_three_files, PIPE_END, FILE_END, LEAT_AUTO, 2)
TEST(socket_to_three_pipes_by_copying, SOCKET_END, PIPE_END, LEAT_COPY, 2)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(file_to_file),
	    cmocka_unit_test(file_to_file_by_copying),
	    cmocka_unit_test(file_to_pipe),
	    cmocka_unit_test(file_to_socket),
	    cmocka_unit_test(pipe_to_file),
	    cmocka_unit_test(pipe_to_pipe),
	    cmocka_unit_test(socket_to_socket),
	    cmocka_unit_test(file_to_three_sockets),
	    cmocka_unit_test(pipe_to_three_files),
	    cmocka_unit_test(socket_to_three_pipes_by_copying),
	};

	for (size_t i = 0; i < BYTES_A; i++)
		pattern[i] = (char)(i * 31 ^ i >> 8);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
