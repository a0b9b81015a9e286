/*
 * The ledger against the truth: each technique moves a known number of bytes inside this process,
 * which watches itself. Skipped where eBPF is not allowed. An argument names the backend, for kernels
 * that have both: test_copystat_ledger tracepoint, test_copystat_ledger fexit.
 */
#include "unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "copystat/copystat.h"

#define MIB   (UINT64_C(1) << 20)
#define BYTES (16 * MIB)
#define PIECE (64 << 10)

static enum copystat_backend backend;
static struct copystat *cs;
static struct err why;
static int file;

static int load(void **state)
{
	const struct copystat_options options = {.backend = backend};
	char name[] = "/tmp/leat-ledger-XXXXXX";

	file = mkstemp(name);
	unlink(name);
	if (file < 0 || ftruncate(file, BYTES) < 0)
		return -1;
	copystat_new(&options, &cs, &why);
	return 0;
}

static int unload(void **state)
{
	copystat_free(cs);
	close(file);
	return 0;
}

/* ---- a socket that somebody reads to its end, by read(2) ---- */

static void *read_all(void *arg)
{
	static char buf[PIECE];

	while (read(*(int *)arg, buf, sizeof(buf)) > 0)
		;
	return NULL;
}

static void pair_unix(int ends[2])
{
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
}

static void pair_tcp(int ends[2])
{
	struct sockaddr_in addr = {.sin_family = AF_INET,
				   .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(addr);
	int listener = socket(AF_INET, SOCK_STREAM, 0);

	assert_int_equal(bind(listener, (struct sockaddr *)&addr, len), 0);
	assert_int_equal(listen(listener, 1), 0);
	assert_int_equal(getsockname(listener, (struct sockaddr *)&addr, &len), 0);
	ends[0] = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(connect(ends[0], (struct sockaddr *)&addr, len), 0);
	ends[1] = accept(listener, NULL, NULL);
	assert_true(ends[1] >= 0);
	close(listener);
}

/* ---- techniques: BYTES from `file` to `out` ---- */

static void send_read_write(int out)
{
	static char buf[PIECE];
	off_t at = 0;
	ssize_t n;

	while ((n = pread(file, buf, sizeof(buf), at)) > 0) {
		at += n;
		for (ssize_t sent = 0; sent < n;)
			sent += write(out, buf + sent, (size_t)(n - sent));
	}
}

static void send_mmap(int out)
{
	char *map = mmap(NULL, BYTES, PROT_READ, MAP_SHARED, file, 0);

	assert_true(map != MAP_FAILED);
	for (size_t at = 0; at < BYTES;)
		at += (size_t)send(out, map + at, BYTES - at, 0);
	munmap(map, BYTES);
}

static void send_sendfile(int out)
{
	off_t at = 0;

	while (at < (off_t)BYTES)
		assert_true(sendfile(out, file, &at, MIB) > 0);
}

static void send_splice(int out)
{
	off_t at = 0;
	ssize_t n;
	int ends[2];

	assert_int_equal(pipe(ends), 0);
	while ((n = splice(file, &at, ends[1], NULL, PIECE, 0)) > 0)
		for (ssize_t sent = 0; sent < n;)
			sent += splice(ends[0], NULL, out, NULL, (size_t)(n - sent), 0);
	close(ends[0]);
	close(ends[1]);
}

static void send_zerocopy(int out)
{
	char *map = mmap(NULL, BYTES, PROT_READ, MAP_SHARED, file, 0);
	int on = 1;

	assert_true(map != MAP_FAILED);
	assert_int_equal(setsockopt(out, SOL_SOCKET, SO_ZEROCOPY, &on, sizeof(on)), 0);
	for (size_t at = 0; at < BYTES;) {
		ssize_t n =
		    send(out, map + at, BYTES - at < PIECE ? BYTES - at : PIECE, MSG_ZEROCOPY);
		struct msghdr msg = {0};

		if (n < 0) /* too many notifications are waiting */
			assert_int_equal(errno, ENOBUFS);
		else
			at += (size_t)n;
		while (recvmsg(out, &msg, MSG_ERRQUEUE) >= 0)
			msg = (struct msghdr){0};
	}
	munmap(map, BYTES);
}

/* What this process did while `technique` sent the file through a pair of sockets. */
static struct copystat_counts counted(void (*technique)(int out), void (*pair)(int ends[2]))
{
	struct copystat_counts counts;
	pthread_t reader;
	int ends[2];

	pair(ends);
	assert_int_equal(copystat_watch(cs, getpid(), false), 0);
	assert_int_equal(pthread_create(&reader, NULL, read_all, &ends[1]), 0);
	technique(ends[0]);
	shutdown(ends[0], SHUT_WR);
	pthread_join(reader, NULL);
	assert_int_equal(copystat_read(cs, getpid(), &counts), 0);
	assert_int_equal(copystat_unwatch(cs, getpid()), 0);
	close(ends[0]);
	close(ends[1]);
	return counts;
}

static void about(uint64_t counted_bytes, uint64_t expected)
{
	if (counted_bytes < expected - expected / 100 || counted_bytes > expected + expected / 100)
		fail_msg("%llu bytes counted, %llu expected", (unsigned long long)counted_bytes,
			 (unsigned long long)expected);
}

static void expect(void (*technique)(int out), enum copystat_kind kind, enum copystat_call call,
		   uint64_t file_read, uint64_t copied)
{
	struct copystat_counts counts =
	    counted(technique, kind == COPYSTAT_TCP ? pair_tcp : pair_unix);
	const struct copystat_socket_counts *socket = &counts.sockets[kind];

	about(socket->sent, BYTES);
	about(socket->sent_copied, copied);
	about(socket->sent_by_reference, BYTES - copied);
	about(socket->received, BYTES);
	about(socket->received_copied, BYTES);
	about(counts.file_read, file_read);
	about(counts.calls[call].sent, BYTES);
	about(counts.calls[COPYSTAT_READ].received, BYTES);
	assert_true(counts.calls[call].calls > 0);
	about(counts.linearised, 0);
}

#define NEEDS_LEDGER() \
	if (!cs)       \
	unit_skip("%s", why.text)

static void read_write_copies_twice(void **state)
{
	NEEDS_LEDGER();
	expect(send_read_write, COPYSTAT_TCP, COPYSTAT_WRITE, BYTES, BYTES);
	expect(send_read_write, COPYSTAT_UNIX, COPYSTAT_WRITE, BYTES, BYTES);
}

static void mmap_copies_once(void **state)
{
	NEEDS_LEDGER();
	expect(send_mmap, COPYSTAT_TCP, COPYSTAT_SEND, 0, BYTES);
	expect(send_mmap, COPYSTAT_UNIX, COPYSTAT_SEND, 0, BYTES);
}

static void sendfile_and_splice_copy_nothing(void **state)
{
	NEEDS_LEDGER();
	expect(send_sendfile, COPYSTAT_TCP, COPYSTAT_SENDFILE, 0, 0);
	expect(send_sendfile, COPYSTAT_UNIX, COPYSTAT_SENDFILE, 0, 0);
	expect(send_splice, COPYSTAT_TCP, COPYSTAT_SPLICE, 0, 0);
	expect(send_splice, COPYSTAT_UNIX, COPYSTAT_SPLICE, 0, 0);
}

static void zerocopy_is_unshared_on_loopback(void **state)
{
	struct copystat_counts counts;

	NEEDS_LEDGER();
	counts = counted(send_zerocopy, pair_tcp);
	about(counts.sockets[COPYSTAT_TCP].sent_by_reference, BYTES);
	/* Segments that TCP sends again, on a busy machine, are copied again. */
	assert_in_range(counts.unshared, BYTES - BYTES / 100, 2 * BYTES);
}

/* sendfile says nothing of it: /proc has no pages, what it gives is copied into some. */
static void send_proc(int out)
{
	int version = open("/proc/version", O_RDONLY);
	off_t at;

	for (int i = 0; i < 100; i++) {
		at = 0;
		assert_true(sendfile(out, version, &at, PIECE) > 0);
	}
	close(version);
}

static void a_file_system_without_pages_copies(void **state)
{
	struct copystat_counts counts;

	NEEDS_LEDGER();
	counts = counted(send_proc, pair_unix);
	assert_true(counts.sockets[COPYSTAT_UNIX].sent_by_reference >= 100);
	assert_int_equal(counts.file_made_up, counts.sockets[COPYSTAT_UNIX].sent_by_reference);
	counts = counted(send_sendfile, pair_unix);
	assert_int_equal(counts.file_made_up, 0);
}

static void unknown_processes_are_refused(void **state)
{
	struct copystat_counts counts;

	NEEDS_LEDGER();
	assert_int_equal(copystat_watch(cs, 0, false), -ESRCH);
	assert_int_equal(copystat_watch(cs, INT32_MAX, false), -ESRCH);
	assert_int_equal(copystat_read(cs, getpid(), &counts), -ESRCH);
	assert_int_equal(copystat_unwatch(cs, getpid()), -ESRCH);
}

/* A shell whose child sends; both are gone when they are asked about. */
static void children_are_followed_and_their_end_is_seen(void **state)
{
	struct copystat_process processes[8];
	struct copystat_counts counts, sum = {0};
	ssize_t count;
	int go[2];
	pid_t pid;
	char c;

	NEEDS_LEDGER();
	assert_int_equal(pipe(go), 0);
	pid = fork();
	if (pid == 0) {
		int ends[2];

		_exit(read(go[0], &c, 1) != 1 || fork() < 0 ||
		      socketpair(AF_UNIX, SOCK_STREAM, 0, ends) < 0 ||
		      write(ends[0], "abc", 3) != 3 || (wait(NULL), 0));
	}
	assert_int_equal(copystat_watch(cs, pid, true), 0);
	assert_int_equal(write(go[1], "", 1), 1);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	count = copystat_processes(cs, processes, 8);
	assert_int_equal(count, 2);
	for (ssize_t i = 0; i < count; i++) {
		assert_true(processes[i].ended);
		assert_int_equal(strncmp(processes[i].comm, "test_copystat", 13), 0);
		assert_int_equal(copystat_read(cs, processes[i].pid, &counts), 0);
		copystat_add(&sum, &counts);
		assert_int_equal(copystat_unwatch(cs, processes[i].pid), 0);
	}
	assert_int_equal(sum.sockets[COPYSTAT_UNIX].sent, 6);
	close(go[0]);
	close(go[1]);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(read_write_copies_twice),
	    cmocka_unit_test(mmap_copies_once),
	    cmocka_unit_test(sendfile_and_splice_copy_nothing),
	    cmocka_unit_test(zerocopy_is_unshared_on_loopback),
	    cmocka_unit_test(a_file_system_without_pages_copies),
	    cmocka_unit_test(unknown_processes_are_refused),
	    cmocka_unit_test(children_are_followed_and_their_end_is_seen),
	};

	if (argc > 1)
		backend = strcmp(argv[1], "fexit") == 0 ? COPYSTAT_BACKEND_FEXIT
							: COPYSTAT_BACKEND_TRACEPOINT;
	return cmocka_run_group_tests(tests, load, unload);
}
