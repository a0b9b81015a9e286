/*
 * What the engine's tests share: files with a known pattern, connected pairs, and readers.
 */
#ifndef TESTS_ENGINE_SUPPORT_H
#define TESTS_ENGINE_SUPPORT_H

#include "unit/unit.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/check.h"
#include "engine/chain.h"
#include "engine/engine.h"
#include "leat/leat.h"

/* Long enough for a loaded machine; a test that waits so long fails. */
#define PATIENCE_MS 20000

/* The byte at `i` of every pattern: no two pages are alike. */
static inline char pattern_at(uint64_t i)
{
	return (char)((i * 2654435761u) >> 13 ^ i);
}

static inline void pattern_fill(char *buf, size_t len, uint64_t from)
{
	for (size_t i = 0; i < len; i++)
		buf[i] = pattern_at(from + i);
}

static inline void assert_pattern(const char *buf, size_t len, uint64_t from)
{
	for (size_t i = 0; i < len; i++)
		if (buf[i] != pattern_at(from + i))
			fail_msg("byte %zu is not the pattern's", i);
}

/* A file on a disk (the build folder's), without a name; `size` bytes of the pattern. */
static inline int pattern_file(size_t size)
{
	int fd = open(".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	char buf[65536];

	if (fd < 0) { /* a file system without O_TMPFILE */
		char name[] = "engine-test-XXXXXX";

		fd = mkostemp(name, O_CLOEXEC);
		unlink(name);
	}
	assert_true(fd >= 0);
	for (size_t done = 0; done < size;) {
		size_t len = size - done < sizeof(buf) ? size - done : sizeof(buf);

		pattern_fill(buf, len, done);
		assert_int_equal(pwrite(fd, buf, len, (off_t)done), (ssize_t)len);
		done += len;
	}
	return fd;
}

static inline void set_nonblock(int fd)
{
	assert_int_equal(fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK), 0);
}

static inline void unix_pair(int ends[2])
{
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends),
			 0);
}

/* ends[0] is the accepted side. */
static inline void tcp_pair(int ends[2])
{
	struct sockaddr_in address = {.sin_family = AF_INET,
				      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(address);
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(listener >= 0);
	assert_int_equal(bind(listener, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(listener, 1), 0);
	assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &len), 0);
	ends[1] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(ends[1], (struct sockaddr *)&address, sizeof(address)), 0);
	ends[0] = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	assert_true(ends[0] >= 0);
	set_nonblock(ends[1]);
	close(listener);
}

/* Room for `bytes` in the send buffer. false: net.core.wmem_max is less (212,992 on most systems),
 * and only root may go beyond it. */
static inline bool grow_send_buffer(int fd, int bytes)
{
	int room = 0;
	socklen_t len = sizeof(room);

	if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof(bytes)) < 0)
		assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes)), 0);
	assert_int_equal(getsockopt(fd, SOL_SOCKET, SO_SNDBUF, &room, &len), 0);
	return room >= bytes;
}

/* ends[0] is the side to write to, as for the sockets. */
static inline void pipe_pair(int ends[2])
{
	int fds[2];

	assert_int_equal(pipe2(fds, O_NONBLOCK | O_CLOEXEC), 0);
	ends[0] = fds[1];
	ends[1] = fds[0];
}

static inline void close_pair(int ends[2])
{
	for (int i = 0; i < 2; i++)
		if (ends[i] >= 0)
			close(ends[i]);
}

/* What can be read now, at most `len`. */
static inline size_t read_some(int fd, char *buf, size_t len)
{
	ssize_t n = read(fd, buf, len);

	if (n < 0)
		assert_int_equal(errno, EAGAIN);
	return n < 0 ? 0 : (size_t)n;
}

/* Exactly `len` bytes, waiting for them. */
static inline void read_whole(int fd, char *buf, size_t len)
{
	size_t done = 0;

	while (done < len) {
		struct pollfd wait = {.fd = fd, .events = POLLIN};
		ssize_t n;

		assert_int_equal(poll(&wait, 1, PATIENCE_MS), 1);
		n = read(fd, buf + done, len - done);
		assert_true(n > 0 || (n < 0 && errno == EAGAIN));
		if (n > 0)
			done += (size_t)n;
	}
}

static inline int open_fds(void)
{
	int count = 0;

	for (int fd = 0; fd < 1024; fd++)
		count += fcntl(fd, F_GETFD) >= 0;
	return count;
}

#endif
