/*
 * The deadlines of a connection, with a clock that the test turns: sys_now_coarse_ns() is wrapped
 * by the linker. So are the calls that say whether a file is in memory and whether the socket took
 * bytes, to know where the server stands without waiting for it.
 *
 * A loop asks its clock when it wakes; pass_time() turns it and wakes the loop by requests of
 * another connection, the second of which is answered in a turn after the one that saw the new
 * time. It does so twice: deadlines that are overdue by much wait for what has come meanwhile.
 */
#include "unit/unit.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/check.h"
#include "base/err.h"
#include "base/log.h"
#include "http/http_limits.h"
#include "http/http_server.h"
#include "serve/serve.h"
#include "sys/sys.h"

#define BIG_BYTES (16u * 1024u * 1024u)

static _Atomic uint64_t turned_ns; /* the clock, forward */
static _Atomic bool cold;          /* no file is in memory */
static _Atomic bool cold_seen;     /* the server has asked since */
/* Of the socket to sendfile, and of these those since cold_seen. */
static _Atomic unsigned refusals, refusals_cold;

uint64_t __real_sys_now_coarse_ns(void);
ssize_t __real_sys_sendfile(int out, int in, int64_t *offset, size_t len);
uint64_t __wrap_sys_now_coarse_ns(void);
int64_t __wrap_sys_cached_pages(int fd, uint64_t offset, uint64_t len);
ssize_t __wrap_sys_sendfile(int out, int in, int64_t *offset, size_t len);

uint64_t __wrap_sys_now_coarse_ns(void)
{
	return __real_sys_now_coarse_ns() + turned_ns;
}

int64_t __wrap_sys_cached_pages(int fd, uint64_t offset, uint64_t len)
{
	cold_seen = cold;
	return cold ? 0 : (int64_t)(len / 4096 + 2);
}

ssize_t __wrap_sys_sendfile(int out, int in, int64_t *offset, size_t len)
{
	ssize_t n = __real_sys_sendfile(out, in, offset, len);

	refusals += n == -EAGAIN;
	refusals_cold += n == -EAGAIN && cold_seen;
	return n;
}

struct fixture {
	char folder[32], big[64], small[64];
	pthread_t server;
	_Atomic unsigned port;
};

static void hear(void *arg, enum log_level level, const char *line, size_t len)
{
	static const char at[] = " at http://127.0.0.1:";
	const char *found = memmem(line, len, at, sizeof(at) - 1);
	struct fixture *f = arg;

	if (found)
		f->port = (unsigned)atoi(found + sizeof(at) - 1);
}

static void *server_main(void *arg)
{
	struct fixture *f = arg;
	const char *const listen[] = {"127.0.0.1:0"};
	const struct http_options http = {.dir = f->folder,
					  .listen = listen,
					  .listen_count = 1,
					  .index = "index.html"};
	const struct serve_options options = {.parts = {{&http_service, &http}},
					      .threads = 1,
					      .connections_max = 16};
	struct err err = {""};

	CHECK(serve(&options, &err) == 0);
	return NULL;
}

static void make_file(char path[64], const char *folder, const char *name, uint64_t size)
{
	int fd;

	snprintf(path, 64, "%s/%s", folder, name);
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, (off_t)size), 0);
	close(fd);
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	strcpy(f->folder, "/tmp/leat-deadlines-XXXXXX");
	assert_non_null(mkdtemp(f->folder));
	make_file(f->big, f->folder, "big", BIG_BYTES);
	make_file(f->small, f->folder, "small", 100);
	turned_ns = 0;
	cold = false;
	cold_seen = false;
	refusals = 0;
	refusals_cold = 0;
	log_set_sink(hear, f, LOG_LEVEL_INFO);
	assert_int_equal(pthread_create(&f->server, NULL, server_main, f), 0);
	while (f->port == 0)
		usleep(1000);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	kill(getpid(), SIGTERM); /* blocked in every thread: the server's signalfd reads it */
	pthread_join(f->server, NULL);
	unlink(f->big);
	unlink(f->small);
	rmdir(f->folder);
	free(f);
	return 0;
}

static int client(const struct fixture *f, int receive_buffer)
{
	struct sockaddr_in addr = {.sin_family = AF_INET,
				   .sin_port = htons((uint16_t)f->port),
				   .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct timeval patience = {.tv_sec = 60};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	if (receive_buffer)
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof(receive_buffer));
	assert_int_equal(connect(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	return fd;
}

static void say(int fd, const char *text)
{
	assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

/* A whole answer for the small file came. */
static bool answered(int fd)
{
	char got[1024];
	size_t len = 0;

	while (len < sizeof(got)) {
		ssize_t n = recv(fd, got + len, sizeof(got) - len, 0);
		const char *body;

		if (n <= 0)
			return false;
		len += (size_t)n;
		body = memmem(got, len, "\r\n\r\n", 4);
		if (body && (size_t)(got + len - body) == 4 + 100)
			return strncmp(got, "HTTP/1.1 200", 12) == 0;
	}
	return false;
}

/* 408, and no more. */
static bool timed_out(int fd)
{
	char got[1024];
	size_t len = 0;
	ssize_t n;

	while (len < sizeof(got) && (n = recv(fd, got + len, sizeof(got) - len, 0)) > 0)
		len += (size_t)n;
	return len > 12 && strncmp(got, "HTTP/1.1 408", 12) == 0 &&
	       memmem(got, len, "Connection: close", 17);
}

#define GET_SMALL "GET /small HTTP/1.1\r\nHost: a\r\n\r\n"

static void pass_time(const struct fixture *f, uint64_t ms)
{
	const uint64_t steps[] = {ms, 1000};
	int fd = client(f, 0);

	for (unsigned i = 0; i < 4; i++) {
		if (i % 2 == 0)
			turned_ns += steps[i / 2] * 1000000;
		say(fd, GET_SMALL);
		assert_true(answered(fd));
	}
	close(fd);
}

static void each_request_has_its_own_time(void **state)
{
	const struct fixture *f = *state;
	int fd = client(f, 0);

	/* Always a whole request, and the beginning of the next. */
	say(fd, GET_SMALL "GET /small HTT");
	assert_true(answered(fd));
	for (int i = 0; i < 3; i++) {
		pass_time(f, HTTP_HEADER_MS / 3 * 2);
		say(fd, "P/1.1\r\nHost: a\r\n\r\nGET /small HTT");
		assert_true(answered(fd));
	}
	/* This one takes too long, though bytes come. */
	pass_time(f, HTTP_HEADER_MS / 3 * 2);
	say(fd, "P");
	pass_time(f, HTTP_HEADER_MS / 3 * 2);
	assert_true(timed_out(fd));
	close(fd);
}

static void await(const _Atomic unsigned *count)
{
	for (int i = 0; i < 60000 && *count == 0; i++)
		usleep(1000);
	assert_true(*count > 0);
}

static bool got_all(int fd)
{
	static char buf[65536];
	size_t len = 0;
	ssize_t n;

	while (len < BIG_BYTES && (n = recv(fd, buf, sizeof(buf), 0)) > 0)
		len += (size_t)n;
	return len >= BIG_BYTES;
}

static void who_reads_nothing_is_closed_even_if_a_cold_range_is_next(void **state)
{
	const struct fixture *f = *state;
	int fd = client(f, 4096);

	say(fd, "GET /big HTTP/1.1\r\nHost: a\r\n\r\n");
	await(&refusals);
	/* What is next gets cold, and a byte from the peer makes the server look: it loads, and
	 * finds the socket as full as before. */
	cold = true;
	turned_ns += 1000000000;
	say(fd, "x");
	await(&refusals_cold);
	pass_time(f, HTTP_WRITE_MS + 2000);
	assert_false(got_all(fd));
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(each_request_has_its_own_time, setup, teardown),
	    cmocka_unit_test_setup_teardown(
		who_reads_nothing_is_closed_even_if_a_cold_range_is_next, setup, teardown),
	};
	sigset_t term;

	sigemptyset(&term);
	sigaddset(&term, SIGTERM);
	sigprocmask(SIG_BLOCK, &term, NULL);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
