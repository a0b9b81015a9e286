/*
 * `leat copy` with each of its system calls failing in turn, from its arguments to its exit code.
 *
 * What must hold: it ends with 0 or 1; with 0 every destination has everything, with 1 a beginning
 * of it and a line on standard error says why.
 *
 * Standard error is a memory file while it runs. The other end of a socket is a thread of the test.
 */
#include "unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/check.h"
#include "cmd/cmd.h"
#include "fault/fault.h"

#define BYTES     100000u
#define ARGS_MAX  8
#define FILES_MAX 2

/* What is copied to what; a `%` in an argument stands for the run's folder. The peer, if there is
 * one, is at %/socket. */
struct plan {
	const char *args[ARGS_MAX];
	const char *targets[FILES_MAX]; /* files that get the bytes */
	enum { NO_PEER, PEER_LISTENS_AND_READS, PEER_CONNECTS_AND_WRITES } peer;
};

struct copying {
	const struct plan *plan;
	char folder[32];
	char args[ARGS_MAX][64];
	char *argv[ARGS_MAX + 1];
	int argc;
	int stderr_before, said;
	pthread_t peer;
	int listener;
	_Atomic bool ended;
	char *got; /* by the peer that reads */
	size_t got_len;
};

static char pattern[BYTES];

int usage_error(const char *command, const char *fmt, ...)
{
	fail_msg("%s: %s", command, fmt);
	return EXIT_USAGE;
}

int usage_error_option(const char *command, char *const *argv, int found)
{
	fail_msg("%s: an option", command);
	return EXIT_USAGE;
}

static void path_of(const struct copying *c, const char *name, char ret[64])
{
	snprintf(ret, 64, "%s/%s", c->folder, name);
}

/* ---- the peer ---- */

static struct sockaddr_un peer_address(const struct copying *c)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};

	path_of(c, "socket", addr.sun_path);
	return addr;
}

static void *peer_reads(void *arg)
{
	struct copying *c = arg;
	int fd = accept(c->listener, NULL, NULL);
	ssize_t n = 1;

	while (fd >= 0 && n > 0 && c->got_len < BYTES) {
		n = read(fd, c->got + c->got_len, BYTES - c->got_len);
		c->got_len += n > 0 ? (size_t)n : 0;
	}
	if (fd >= 0)
		close(fd);
	return NULL;
}

static void *peer_writes(void *arg)
{
	struct copying *c = arg;
	struct sockaddr_un addr = peer_address(c);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	size_t sent = 0;
	ssize_t n = 1;

	while (connect(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0) {
		if (c->ended) {
			close(fd);
			return NULL;
		}
		usleep(200);
	}
	while (n > 0 && sent < BYTES) {
		n = send(fd, pattern + sent, BYTES - sent, MSG_NOSIGNAL);
		sent += n > 0 ? (size_t)n : 0;
	}
	close(fd);
	return NULL;
}

static void peer_start(struct copying *c)
{
	struct sockaddr_un addr = peer_address(c);

	c->listener = -1;
	if (c->plan->peer == PEER_LISTENS_AND_READS) {
		c->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
		CHECK(bind(c->listener, (struct sockaddr *)&addr, sizeof(addr)) == 0);
		CHECK(listen(c->listener, 1) == 0);
		CHECK(pthread_create(&c->peer, NULL, peer_reads, c) == 0);
	}
	if (c->plan->peer == PEER_CONNECTS_AND_WRITES)
		CHECK(pthread_create(&c->peer, NULL, peer_writes, c) == 0);
}

static void peer_end(struct copying *c)
{
	c->ended = true;
	if (c->listener >= 0)
		shutdown(c->listener, SHUT_RDWR); /* nobody may have come: accept gives up */
	if (c->plan->peer != NO_PEER)
		pthread_join(c->peer, NULL);
	if (c->listener >= 0)
		close(c->listener);
}

/* ---- the scenario ---- */

static void expand(struct copying *c, const char *arg)
{
	const char *at = strchr(arg, '%');
	char *to = c->args[c->argc];

	if (at)
		snprintf(to, sizeof(c->args[0]), "%.*s%s%s", (int)(at - arg), arg, c->folder,
			 at + 1);
	else
		snprintf(to, sizeof(c->args[0]), "%s", arg);
	c->argv[c->argc++] = to;
}

static void *prepare(void *arg)
{
	struct copying *c = calloc(1, sizeof(*c));
	char path[64];
	int fd;

	c->plan = arg;
	c->got = malloc(BYTES);
	strcpy(c->folder, "/tmp/leat-fault-XXXXXX");
	CHECK(mkdtemp(c->folder));
	path_of(c, "source", path);
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	CHECK(fd >= 0 && write(fd, pattern, BYTES) == BYTES);
	close(fd);
	expand(c, "copy");
	for (unsigned i = 0; i < ARGS_MAX && c->plan->args[i]; i++)
		expand(c, c->plan->args[i]);
	c->stderr_before = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 0);
	c->said = memfd_create("stderr", MFD_CLOEXEC);
	dup2(c->said, STDERR_FILENO);
	signal(SIGPIPE, SIG_IGN);
	peer_start(c);
	return c;
}

static int run(void *state)
{
	struct copying *c = state;
	int code;

	optind = 0; /* getopt starts anew */
	code = cmd_copy(c->argc, c->argv);
	/* fault_each() wants to know whether it worked. */
	return code == EXIT_OK ? 0 : -code;
}

static bool is_prefix(const char *got, size_t len, bool whole)
{
	return len <= BYTES && memcmp(got, pattern, len) == 0 && (!whole || len == BYTES);
}

static fault_complaint check_targets(const struct copying *c, bool whole)
{
	static char got[BYTES + 1];
	char path[64];

	for (unsigned i = 0; i < FILES_MAX && c->plan->targets[i]; i++) {
		ssize_t n = 0;
		int fd;

		path_of(c, c->plan->targets[i], path);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd >= 0) {
			n = read(fd, got, sizeof(got));
			close(fd);
		}
		if (n < 0 || !is_prefix(got, (size_t)n, whole))
			return "a file is not what it should be";
	}
	if (c->plan->peer == PEER_LISTENS_AND_READS && !is_prefix(c->got, c->got_len, whole))
		return "the peer did not get what it should";
	return NULL;
}

static fault_complaint check(void *state, int result, bool hit)
{
	struct copying *c = state;
	char said[4096] = "";

	peer_end(c);
	(void)!pread(c->said, said, sizeof(said) - 1, 0);
	if (result != 0 && result != -EXIT_FAILED)
		return "a wrong exit code";
	if (result != 0 && !strstr(said, "leat copy: "))
		return "it failed without saying why";
	return check_targets(c, result == 0);
}

static void clean(void *state)
{
	static const char *const names[] = {"source", "target", "mirror", "socket"};
	struct copying *c = state;
	char path[64];

	dup2(c->stderr_before, STDERR_FILENO);
	close(c->stderr_before);
	close(c->said);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		path_of(c, names[i], path);
		unlink(path);
	}
	rmdir(c->folder);
	free(c->got);
	free(c);
}

/* ---- the tests ---- */

static void try_plan(const char *name, struct plan plan)
{
	fault_each(&(struct fault_scenario){.name = name,
					    .prepare = prepare,
					    .run = run,
					    .check = check,
					    .clean = clean,
					    .arg = &plan});
}

static void file_to_file(void **state)
{
	try_plan("copy file_to_file",
		 (struct plan){.args = {"%/source", "%/target"}, .targets = {"target"}});
}

static void file_to_two_files_appending(void **state)
{
	try_plan("copy file_to_two_files_appending",
		 (struct plan){.args = {"--append", "--tee", "%/mirror", "%/source", "%/target"},
			       .targets = {"target", "mirror"}});
}

static void file_to_a_socket_that_waits(void **state)
{
	try_plan("copy file_to_a_socket_that_waits",
		 (struct plan){.args = {"%/source", "unix:%/socket"},
			       .peer = PEER_LISTENS_AND_READS});
}

static void from_a_socket_that_connects(void **state)
{
	try_plan("copy from_a_socket_that_connects",
		 (struct plan){.args = {"unix-listen:%/socket", "%/target"},
			       .targets = {"target"},
			       .peer = PEER_CONNECTS_AND_WRITES});
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(file_to_file),
	    cmocka_unit_test(file_to_two_files_appending),
	    cmocka_unit_test(file_to_a_socket_that_waits),
	    cmocka_unit_test(from_a_socket_that_connects),
	};

	for (size_t i = 0; i < BYTES; i++)
		pattern[i] = (char)(i * 13 ^ i >> 7);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
