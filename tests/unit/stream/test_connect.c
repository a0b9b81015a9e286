/* Outgoing streams: connected, refused, too late, and what they talk. */
#include "unit/stream/stream_rig.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "reactor/address.h"

/* What the stream that connects saw. */
static _Atomic unsigned out_opened, out_closed;
static _Atomic int out_error;
static char out_got[64];
static size_t out_got_len;

static int out_open(struct stream *stream)
{
	atomic_fetch_add(&out_opened, 1);
	return stream_put_bytes(stream, "hello", 5);
}

static enum stream_turn out_step(struct stream *stream)
{
	ssize_t n = stream_recv(stream, out_got + out_got_len, sizeof(out_got) - out_got_len);

	if (n == -EAGAIN)
		return STREAM_RESTS;
	if (n <= 0)
		return STREAM_CLOSES;
	out_got_len += (size_t)n;
	return STREAM_GOES_ON;
}

static void out_closed_now(struct stream *stream)
{
	atomic_store(&out_error, stream->error);
	atomic_fetch_add(&out_closed, 1);
}

static const struct stream_ops out = {
    .conn = STREAM_CONN_OPS(0),
    .home = stream_rig_home,
    .open = out_open,
    .step = out_step,
    .closed = out_closed_now,
};

static int out_refuse(struct stream *stream)
{
	return -EMFILE;
}

static const struct stream_ops out_refusing = {
    .conn = STREAM_CONN_OPS(0),
    .home = stream_rig_home,
    .open = out_refuse,
    .step = out_step,
    .closed = out_closed_now,
};

/* What the listener's stream does with a byte: it connects to `target`. */
static struct address target;
static uint32_t timeout_ms;
static const struct stream_ops *out_ops;
static _Atomic int connect_result;

static enum stream_turn dial_step(struct stream *stream)
{
	struct stream *made;
	char c;
	ssize_t n = stream_recv(stream, &c, 1);

	if (n == -EAGAIN)
		return STREAM_RESTS;
	if (n <= 0)
		return STREAM_CLOSES;
	atomic_store(&connect_result,
		     stream_connect(stream->home, (struct sockaddr *)&target.sockaddr, target.len,
				    timeout_ms, out_ops, NULL, &made));
	CHECK(out_opened == 0 && out_closed == 0);
	CHECK(stream_put_bytes(stream, "k", 1) == 0);
	return STREAM_GOES_ON;
}

static const struct stream_ops dial = {.conn = STREAM_CONN_OPS(0),
				       .home = stream_rig_home,
				       .step = dial_step};

/* A rig whose one client has made it connect. */
static int dialled(struct stream_rig *rig, const char *where, uint32_t ms,
		   const struct stream_ops *ops)
{
	char c;
	int fd;

	out_opened = out_closed = 0;
	out_error = 0;
	out_got_len = 0;
	timeout_ms = ms;
	out_ops = ops;
	if (where)
		assert_int_equal(address_parse(where, &target, NULL), 0);
	stream_rig_start(rig, &dial);
	fd = client_open(&rig->rig);
	client_send(fd, "x", 1);
	client_read(fd, &c, 1);
	return fd;
}

/* A listener of the test's own; its address goes to `target`. */
static int listener(int backlog)
{
	struct sockaddr_in any = {.sin_family = AF_INET};
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	any.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(bind(fd, (struct sockaddr *)&any, sizeof(any)), 0);
	assert_int_equal(listen(fd, backlog), 0);
	target.len = sizeof(target.sockaddr);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&target.sockaddr, &target.len), 0);
	return fd;
}

static void it_connects_and_talks_both_ways(void **state)
{
	struct stream_rig rig = {0};
	int door = listener(5), fd = dialled(&rig, NULL, 10000, &out), peer;
	char buf[5];

	peer = accept(door, NULL, NULL);
	assert_true(peer >= 0);
	client_read(peer, buf, 5);
	assert_memory_equal(buf, "hello", 5);
	client_send(peer, "there", 5);
	close(peer);
	wait_for(&out_closed, 1);
	assert_int_equal(out_opened, 1);
	assert_int_equal(out_error, 0);
	assert_int_equal(out_got_len, 5);
	close(fd);
	close(door);
	stream_rig_stop(&rig);
}

static void a_refused_connection_says_so_when_it_closes(void **state)
{
	struct stream_rig rig = {0};
	int door = listener(5), fd;

	close(door); /* nobody listens there now */
	fd = dialled(&rig, NULL, 10000, &out);
	wait_for(&out_closed, 1);
	assert_int_equal(out_opened, 0);
	assert_int_equal(out_error, -ECONNREFUSED);
	close(fd);
	stream_rig_stop(&rig);
}

/* A full backlog does not answer. */
static void an_attempt_that_takes_too_long_is_given_up(void **state)
{
	struct stream_rig rig = {0};
	int door = listener(0), fill[8], fd;

	for (unsigned i = 0; i < 8; i++) {
		fill[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
		(void)connect(fill[i], (struct sockaddr *)&target.sockaddr, target.len);
	}
	fd = dialled(&rig, NULL, 50, &out);
	wait_for(&out_closed, 1);
	assert_int_equal(out_opened, 0);
	assert_int_equal(out_error, -ETIMEDOUT);
	for (unsigned i = 0; i < 8; i++)
		close(fill[i]);
	close(fd);
	close(door);
	stream_rig_stop(&rig);
}

static void a_protocol_that_does_not_open_is_told_of_the_end(void **state)
{
	struct stream_rig rig = {0};
	int door = listener(5), fd = dialled(&rig, NULL, 10000, &out_refusing), peer;

	peer = accept(door, NULL, NULL);
	client_expect_end(peer);
	wait_for(&out_closed, 1);
	assert_int_equal(out_error, -EMFILE);
	close(peer);
	close(fd);
	close(door);
	stream_rig_stop(&rig);
}

static void an_address_that_can_not_be_is_an_error_at_once(void **state)
{
	struct stream_rig rig = {0};
	int fd = dialled(&rig, "unix:/nonexistent/socket", 10000, &out);

	assert_int_equal(connect_result, -ENOENT);
	assert_int_equal(out_closed, 0);
	close(fd);
	stream_rig_stop(&rig);
}

static void unix_sockets_connect_too(void **state)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	struct stream_rig rig = {0};
	int door = socket(AF_UNIX, SOCK_STREAM, 0), peer, fd;
	char where[128], buf[5];

	snprintf(address.sun_path, sizeof(address.sun_path), "/tmp/leat-connect-%d", getpid());
	snprintf(where, sizeof(where), "unix:%s", address.sun_path);
	unlink(address.sun_path);
	assert_int_equal(bind(door, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(door, 5), 0);
	fd = dialled(&rig, where, 10000, &out);
	assert_int_equal(connect_result, 0);
	peer = accept(door, NULL, NULL);
	client_read(peer, buf, 5);
	assert_memory_equal(buf, "hello", 5);
	close(peer);
	wait_for(&out_closed, 1);
	unlink(address.sun_path);
	close(fd);
	close(door);
	stream_rig_stop(&rig);
}

/* The process ends while an attempt is under way. */
static void the_end_closes_what_connects(void **state)
{
	struct stream_rig rig = {0};
	int door = listener(0), fill[8], fd;

	for (unsigned i = 0; i < 8; i++) {
		fill[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
		(void)connect(fill[i], (struct sockaddr *)&target.sockaddr, target.len);
	}
	fd = dialled(&rig, NULL, 60000, &out);
	stream_rig_stop(&rig);
	assert_int_equal(out_closed, 1);
	for (unsigned i = 0; i < 8; i++)
		close(fill[i]);
	close(fd);
	close(door);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(it_connects_and_talks_both_ways),
	    cmocka_unit_test(a_refused_connection_says_so_when_it_closes),
	    cmocka_unit_test(an_attempt_that_takes_too_long_is_given_up),
	    cmocka_unit_test(a_protocol_that_does_not_open_is_told_of_the_end),
	    cmocka_unit_test(an_address_that_can_not_be_is_an_error_at_once),
	    cmocka_unit_test(unix_sockets_connect_too),
	    cmocka_unit_test(the_end_closes_what_connects),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
