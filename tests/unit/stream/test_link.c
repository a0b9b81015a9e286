/*
 * Links: a relay of two streams. The listener's stream connects to a target of the test's own, and
 * two links carry the bytes: half-close, a slow side, resets, bytes that were read before, lengths.
 */
#include "unit/stream/stream_rig.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* ---- the relay ---- */

static struct sockaddr_in target;
static uint64_t link_length;
static bool reads_first; /* some bytes are received before the link is made, and given back */

/* What links ended with, in the order of their ends: client to target, and back. */
static _Atomic unsigned ends;
static struct stream_linked there, back;
static _Atomic unsigned sides_closed;

struct side {
	struct stream *other; /* NULL: not yet, or gone */
	bool alone;           /* gone */
};

static const struct stream_ops target_side;

static struct side *side_of(struct stream *stream)
{
	return stream_data(stream);
}

/* Its links are over, or one broke: this end is of no more use. */
static void side_end(struct stream *stream, bool reset)
{
	if (reset)
		stream_reset(stream);
	else
		stream_close(stream);
}

/* One direction has ended. An error resets the other end; both directions ended: it is over. */
static void link_over(void *arg, struct stream *from, struct stream *to,
		      const struct stream_linked *linked)
{
	*(struct stream_linked *)arg = *linked;
	atomic_fetch_add(&ends, 1);
	if (linked->error < 0) {
		struct stream *left = to ? to : from;

		if (left)
			side_end(left, true);
	}
}

static enum stream_turn side_step(struct stream *stream)
{
	char buf[16];
	ssize_t n;

	/* Both directions are over, and all is sent. */
	if (!stream->to && !stream->from && !stream->queue &&
	    (stream->eof || side_of(stream)->alone))
		return STREAM_CLOSES;
	if (stream->to || !side_of(stream)->other)
		return STREAM_RESTS;
	n = stream_recv(stream, buf, sizeof(buf));
	if (n == 0 && stream->from)
		return STREAM_RESTS;
	return n == -EAGAIN ? STREAM_RESTS : n > 0 ? STREAM_GOES_ON : STREAM_CLOSES;
}

static void side_closed(struct stream *stream)
{
	struct stream *other = side_of(stream)->other;

	atomic_fetch_add(&sides_closed, 1);
	if (other) {
		side_of(other)->other = NULL;
		side_of(other)->alone = true;
		stream_again(other);
	}
}

static int target_open(struct stream *stream)
{
	struct stream *client = stream->arg;
	int r;

	side_of(stream)->other = client;
	side_of(client)->other = stream;
	r = stream_link(client, stream, link_length, true, link_over, &there);
	CHECK(r == 0);
	CHECK(stream_link(client, stream, 1, true, link_over, &there) == -EBUSY);
	return stream_link(stream, client, LEAT_TO_END, true, link_over, &back);
}

static const struct stream_ops target_side = {
    .conn = STREAM_CONN_OPS(sizeof(struct side)),
    .home = stream_rig_home,
    .open = target_open,
    .step = side_step,
    .closed = side_closed,
};

static int client_side_open(struct stream *stream)
{
	struct stream *made;

	if (reads_first)
		return 0;
	return stream_connect(stream->home, (struct sockaddr *)&target, sizeof(target), 10000,
			      &target_side, stream, &made);
}

/* Where the relay looks before it connects. */
static enum stream_turn client_side_step(struct stream *stream)
{
	struct stream *made;
	char buf[1000];
	ssize_t n;

	if (!reads_first || side_of(stream)->other || stream->from)
		return side_step(stream);
	n = stream_recv(stream, buf, sizeof(buf));
	if (n <= 0)
		return n == -EAGAIN ? STREAM_RESTS : STREAM_CLOSES;
	CHECK(stream_unread(stream, buf, (size_t)n) == 0);
	reads_first = false;
	CHECK(stream_connect(stream->home, (struct sockaddr *)&target, sizeof(target), 10000,
			     &target_side, stream, &made) == 0);
	return STREAM_RESTS;
}

static const struct stream_ops client_side = {
    .conn = STREAM_CONN_OPS(sizeof(struct side)),
    .home = stream_rig_home,
    .open = client_side_open,
    .step = client_side_step,
    .closed = side_closed,
};

struct relay {
	struct stream_rig rig;
	int door, client, server;
};

static void relay_listen(struct relay *relay)
{
	socklen_t len = sizeof(target);

	*relay = (struct relay){0};
	ends = sides_closed = 0;
	there = back = (struct stream_linked){0};
	link_length = LEAT_TO_END;
	reads_first = false;
	relay->door = socket(AF_INET, SOCK_STREAM, 0);
	target = (struct sockaddr_in){.sin_family = AF_INET};
	target.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(bind(relay->door, (struct sockaddr *)&target, sizeof(target)), 0);
	assert_int_equal(listen(relay->door, 5), 0);
	assert_int_equal(getsockname(relay->door, (struct sockaddr *)&target, &len), 0);
}

static void relay_accept(struct relay *relay)
{
	struct timeval patience = {.tv_sec = CLIENT_PATIENCE_S};

	relay->server = accept(relay->door, NULL, NULL);
	assert_true(relay->server >= 0);
	setsockopt(relay->server, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
}

static void relay_start(struct relay *relay)
{
	relay_listen(relay);
	stream_rig_start(&relay->rig, &client_side);
	relay->client = client_open(&relay->rig.rig);
	relay_accept(relay);
}

static void relay_stop(struct relay *relay)
{
	if (relay->client >= 0)
		close(relay->client);
	if (relay->server >= 0)
		close(relay->server);
	close(relay->door);
	wait_for(&sides_closed, 2);
	stream_rig_stop(&relay->rig);
	assert_int_equal(sides_closed, 2);
	assert_int_equal(ends, 2);
}

static void reset_by(int fd)
{
	const struct linger now = {.l_onoff = 1, .l_linger = 0};

	setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	close(fd);
}

static void expect_reset(int fd)
{
	char buf[256];
	ssize_t n;

	do
		n = recv(fd, buf, sizeof(buf), 0);
	while (n > 0);
	if (n == 0 || errno != ECONNRESET)
		fail_msg("expected a reset: %s", n == 0 ? "end" : strerror(errno));
}

struct sender {
	int fd;
	uint64_t bytes;
};

static void *send_some(void *arg)
{
	struct sender *sender = arg;

	client_send_pattern(sender->fd, 0, sender->bytes);
	return NULL;
}

static void *send_all(void *arg)
{
	struct sender *sender = arg;

	send_some(sender);
	shutdown(sender->fd, SHUT_WR);
	return NULL;
}

enum { BULK = 64 * 1024 * 1024 + 13 };

/* ---- tests ---- */

static void messages_go_both_ways(void **state)
{
	struct relay relay;

	relay_start(&relay);
	for (unsigned i = 0; i < 200; i++) {
		client_send_pattern(relay.client, i * 64, 64);
		client_read_pattern(relay.server, i * 64, 64);
		client_send_pattern(relay.server, i * 100, 100);
		client_read_pattern(relay.client, i * 100, 100);
	}
	relay_stop(&relay);
	assert_int_equal(there.bytes, 200 * 64);
	assert_int_equal(back.bytes, 200 * 100);
	assert_int_equal(relay.rig.engine[0].totals.bytes_copied, 200 * 164);
	/* A send each. */
	assert_int_equal(relay.rig.engine[0].totals.syscalls, 400);
}

/* While the loop runs. */
static uint64_t copied_so_far(const struct relay *relay)
{
	struct leat_ledger ledger = LEAT_LEDGER_INIT;

	leat_engine_ledger(&relay->rig.engine[0], &ledger);
	return ledger.bytes_copied;
}

/* Bulk, then messages: they are messages again, and nothing is kept of the bulk. */
static void messages_behind_bulk_are_copied_again(void **state)
{
	struct sender sender;
	struct relay relay;
	uint64_t copied;
	pthread_t thread;

	relay_start(&relay);
	sender = (struct sender){relay.client, BULK};
	pthread_create(&thread, NULL, send_some, &sender);
	client_read_pattern(relay.server, 0, BULK);
	pthread_join(thread, NULL);
	for (unsigned i = 0; i < 10; i++) {
		client_send_pattern(relay.client, 0, 64);
		client_read_pattern(relay.server, 0, 64);
	}
	copied = copied_so_far(&relay);
	for (unsigned i = 0; i < 10; i++) {
		client_send_pattern(relay.client, 0, 64);
		client_read_pattern(relay.server, 0, 64);
	}
	relay_stop(&relay);
	assert_int_equal(relay.rig.engine[0].totals.bytes_copied - copied, 640);
	assert_int_equal(relay.rig.engine[0].large_taken, 0);
}

/* In both directions at once; the client is slow to begin with, so that socket and pipe are full. */
static void bulk_goes_both_ways_past_a_slow_reader(void **state)
{
	struct sender to_server, to_client;
	pthread_t threads[2];
	struct relay relay;

	relay_start(&relay);
	to_server = (struct sender){relay.client, BULK};
	to_client = (struct sender){relay.server, BULK};
	pthread_create(&threads[0], NULL, send_all, &to_server);
	pthread_create(&threads[1], NULL, send_all, &to_client);
	usleep(200000);
	client_read_pattern(relay.client, 0, BULK / 2);
	usleep(100000);
	client_read_pattern(relay.client, BULK / 2, BULK - BULK / 2);
	client_read_pattern(relay.server, 0, BULK);
	pthread_join(threads[0], NULL);
	pthread_join(threads[1], NULL);
	client_expect_end(relay.client);
	client_expect_end(relay.server);
	relay_stop(&relay);
	assert_true(there.ended && back.ended);
	assert_int_equal(there.error, 0);
	assert_int_equal(there.bytes, BULK);
	assert_int_equal(back.bytes, BULK);
	/* Spliced, but for what showed that it is bulk. */
	assert_in_range(relay.rig.engine[0].totals.bytes_copied, 1, BULK / 50);
}

static void a_half_close_goes_through_and_the_answer_comes_back(void **state)
{
	struct relay relay;
	char c;

	relay_start(&relay);
	client_send_pattern(relay.client, 0, 1000);
	shutdown(relay.client, SHUT_WR);
	client_read_pattern(relay.server, 0, 1000);
	assert_int_equal(recv(relay.server, &c, 1, 0), 0);
	client_send_pattern(relay.server, 0, 5000000);
	client_read_pattern(relay.client, 0, 5000000);
	close(relay.server);
	relay.server = -1;
	assert_int_equal(recv(relay.client, &c, 1, 0), 0);
	relay_stop(&relay);
	assert_true(there.ended && back.ended);
}

static void the_server_may_half_close_first(void **state)
{
	struct relay relay;
	char c;

	relay_start(&relay);
	shutdown(relay.server, SHUT_WR);
	assert_int_equal(recv(relay.client, &c, 1, 0), 0);
	client_send_pattern(relay.client, 0, 3000000);
	client_read_pattern(relay.server, 0, 3000000);
	relay_stop(&relay);
	assert_int_equal(there.bytes, 3000000);
}

static void a_reset_of_the_server_is_a_reset_for_the_client(void **state)
{
	struct relay relay;

	relay_start(&relay);
	client_send_pattern(relay.server, 0, 1000);
	client_read_pattern(relay.client, 0, 1000);
	reset_by(relay.server);
	relay.server = -1;
	expect_reset(relay.client);
	relay_stop(&relay);
	assert_int_equal(back.bytes, 1000);
	assert_true(back.error == -ECONNRESET || back.error == -ECONNABORTED);
}

static void a_reset_of_the_client_is_a_reset_for_the_server(void **state)
{
	struct relay relay;

	relay_start(&relay);
	client_send_pattern(relay.client, 0, 1000);
	client_read_pattern(relay.server, 0, 1000);
	reset_by(relay.client);
	relay.client = -1;
	expect_reset(relay.server);
	relay_stop(&relay);
}

/* The reset comes while the pipe and the socket behind it are full. */
static void a_reset_behind_a_full_pipe_ends_both(void **state)
{
	struct sender sender;
	struct relay relay;
	pthread_t thread;

	relay_start(&relay);
	sender = (struct sender){relay.client, 6 * 1024 * 1024};
	pthread_create(&thread, NULL, send_all, &sender);
	usleep(100000);
	reset_by(relay.server);
	relay.server = -1;
	/* The sender may fail or not: what it sends has nowhere to go. */
	expect_reset(relay.client);
	pthread_cancel(thread);
	pthread_join(thread, NULL);
	relay_stop(&relay);
	assert_true(there.error < 0);
}

static void what_was_read_before_goes_first(void **state)
{
	struct relay relay;

	relay_listen(&relay);
	reads_first = true;
	stream_rig_start(&relay.rig, &client_side);
	relay.client = client_open(&relay.rig.rig);
	client_send_pattern(relay.client, 0, 500);
	relay_accept(&relay);
	client_send_pattern(relay.client, 500, 100000);
	client_read_pattern(relay.server, 0, 100500);
	relay_stop(&relay);
	assert_int_equal(there.bytes, 100500);
}

static void a_link_of_so_many_bytes_takes_no_more(void **state)
{
	struct relay relay;

	relay_listen(&relay);
	link_length = 70000;
	stream_rig_start(&relay.rig, &client_side);
	relay.client = client_open(&relay.rig.rig);
	relay_accept(&relay);
	client_send_pattern(relay.client, 0, 100000);
	client_read_pattern(relay.server, 0, 70000);
	wait_for(&ends, 1);
	assert_int_equal(there.bytes, 70000);
	assert_int_equal(there.ended, 0);
	relay_stop(&relay);
}

/* Drained, killed: both links end, nothing is left. */
static void the_end_of_the_process_ends_links(void **state)
{
	struct relay relay;
	char c;

	relay_start(&relay);
	client_send_pattern(relay.client, 0, 1000);
	client_read_pattern(relay.server, 0, 1000);
	stream_rig_stop(&relay.rig);
	assert_int_equal(ends, 2);
	assert_int_equal(sides_closed, 2);
	assert_true(recv(relay.client, &c, 1, 0) <= 0);
	close(relay.client);
	close(relay.server);
	close(relay.door);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(messages_go_both_ways),
	    cmocka_unit_test(messages_behind_bulk_are_copied_again),
	    cmocka_unit_test(bulk_goes_both_ways_past_a_slow_reader),
	    cmocka_unit_test(a_half_close_goes_through_and_the_answer_comes_back),
	    cmocka_unit_test(the_server_may_half_close_first),
	    cmocka_unit_test(a_reset_of_the_server_is_a_reset_for_the_client),
	    cmocka_unit_test(a_reset_of_the_client_is_a_reset_for_the_server),
	    cmocka_unit_test(a_reset_behind_a_full_pipe_ends_both),
	    cmocka_unit_test(what_was_read_before_goes_first),
	    cmocka_unit_test(a_link_of_so_many_bytes_takes_no_more),
	    cmocka_unit_test(the_end_of_the_process_ends_links),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
