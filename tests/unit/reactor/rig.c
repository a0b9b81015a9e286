#include "unit/reactor/rig.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "reactor/address.h"

static int rig_ready(void *arg, struct err *err)
{
	struct rig *rig = arg;
	int r = rig->ready ? rig->ready(rig, err) : 0;

	sem_post(&rig->listening);
	return r;
}

void rig_make(struct rig *rig, const struct reactor_options *options, const char *where,
	      const struct conn_ops *ops)
{
	struct listener_options listener = {.ops = ops};
	struct reactor_options own = *options;
	struct err err = {""};

	memset(rig, 0, sizeof(*rig));
	sem_init(&rig->listening, 0, 0);
	rig->ready = options->ready;
	own.ready = rig_ready;
	own.arg = rig;
	if (reactor_new(&own, &rig->reactor, &err) < 0 ||
	    reactor_listen(rig->reactor, where, &listener, &err) < 0)
		fail_msg("%s", err.text);
	assert_int_equal(reactor_listener_name(rig->reactor, 0, rig->where, sizeof(rig->where)), 0);
}

static void *rig_main(void *arg)
{
	struct rig *rig = arg;
	struct err err;

	rig->result = reactor_run(rig->reactor, &err);
	sem_post(&rig->listening);
	return NULL;
}

void rig_run(struct rig *rig)
{
	assert_int_equal(pthread_create(&rig->thread, NULL, rig_main, rig), 0);
	while (sem_wait(&rig->listening) < 0)
		;
}

void rig_start(struct rig *rig, const struct reactor_options *options, const char *where,
	       const struct conn_ops *ops)
{
	rig_make(rig, options, where, ops);
	rig_run(rig);
}

void rig_join(struct rig *rig)
{
	struct reactor_stats stats;

	pthread_join(rig->thread, NULL);
	assert_int_equal(rig->result, 0);
	reactor_stats(rig->reactor, &stats);
	assert_int_equal(stats.open, 0);
	reactor_free(rig->reactor);
	rig->reactor = NULL;
}

void rig_stop(struct rig *rig)
{
	reactor_stop(rig->reactor);
	rig_join(rig);
}

struct reactor_stats rig_stats(const struct rig *rig)
{
	struct reactor_stats stats;

	reactor_stats(rig->reactor, &stats);
	return stats;
}

void wait_for(const _Atomic unsigned *counter, unsigned value)
{
	for (unsigned ms = 0; ms < CLIENT_PATIENCE_S * 1000; ms++) {
		if (atomic_load(counter) >= value)
			return;
		usleep(1000);
	}
	fail_msg("waited for %u, got %u", value, atomic_load(counter));
}

int client_connect(const char *where)
{
	struct timeval patience = {.tv_sec = CLIENT_PATIENCE_S};
	struct address address;
	int fd;

	assert_int_equal(address_parse(where, &address, NULL), 0);
	fd = socket(address.sockaddr.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_true(fd >= 0);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	if (connect(fd, (struct sockaddr *)&address.sockaddr, address.len) < 0) {
		close(fd);
		return -1;
	}
	return fd;
}

int client_open(const struct rig *rig)
{
	int fd = client_connect(rig->where);

	assert_true(fd >= 0);
	return fd;
}

void client_send(int fd, const void *data, size_t len)
{
	const char *at = data;

	while (len > 0) {
		ssize_t n = send(fd, at, len, MSG_NOSIGNAL);

		assert_true(n > 0);
		at += n;
		len -= (size_t)n;
	}
}

void client_read(int fd, void *buf, size_t len)
{
	ssize_t n = recv(fd, buf, len, MSG_WAITALL);

	if (n != (ssize_t)len)
		fail_msg("read %zd of %zu bytes: %s", n, len, n < 0 ? strerror(errno) : "end");
}

void client_expect_end(int fd)
{
	char buf[256];
	ssize_t n;

	do
		n = recv(fd, buf, sizeof(buf), 0);
	while (n > 0);
	if (n < 0 && errno != ECONNRESET)
		fail_msg("expected the end of the connection: %s", strerror(errno));
}

void echo_ready(struct conn *conn, unsigned events)
{
	char buf[4096];
	ssize_t n;

	while ((n = recv(conn_fd(conn), buf, sizeof(buf), 0)) > 0)
		if (send(conn_fd(conn), buf, (size_t)n, MSG_NOSIGNAL) != n)
			break;
	if (n >= 0 || errno != EAGAIN)
		conn_close(conn);
}

const struct conn_ops echo_ops = {.ready = echo_ready};
