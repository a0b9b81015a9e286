/*
 * The life of a stream: the reactor's calls come in here, become a turn, and the turn calls the
 * protocol.
 *
 * stream_ready() notes what the event says, finishes a connection that was under way
 * (stream_connect.c), lets the sink of a link know that its source has something, and runs the turn.
 * stream_run_turn() is the turn: flush, step, settle a link. All ends come through stream_closed(): it
 * cuts the links (stream_link.c), drops the queue (stream_send.c), and calls the protocol's `closed`.
 */
#include "stream/stream_internal.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>

#include "sys/sys.h"

/* ---- the loop's share ---- */

void stream_loop_init(struct stream_loop *home, struct loop *loop, struct leat_engine *engine,
		      uint32_t write_ms)
{
	*home = (struct stream_loop){.loop = loop, .engine = engine, .write_ms = write_ms};
	spare_init(&home->queues, sizeof(struct stream_queue), STREAM_SPARE_MAX);
}

void stream_loop_fini(struct stream_loop *home)
{
	spare_fini(&home->queues);
}

/* ---- the states, and the end ---- */

void stream_enter(struct stream *stream, enum stream_state state)
{
	switch (state) {
	case STREAM_STATE_CONNECTING: /* where each begins: its slot is zero */
		CHECK(false);
		break;
	case STREAM_STATE_OPEN:
		CHECK(stream->state == STREAM_STATE_CONNECTING);
		break;
	case STREAM_STATE_CLOSED:
		CHECK(stream->state != STREAM_STATE_CLOSED);
		break;
	}
	stream->state = (uint8_t)state;
}

static void stream_release(struct stream *stream)
{
	stream_link_cut(stream);
	if (stream->queue)
		stream_queue_drop(stream);
	free(stream->unread);
	stream->unread = NULL;
}

void stream_closed(struct conn *conn)
{
	struct stream *stream = stream_of(conn);

	stream_enter(stream, STREAM_STATE_CLOSED);
	stream_release(stream);
	if (stream->ops->closed)
		stream->ops->closed(stream);
}

void stream_close(struct stream *stream)
{
	conn_close(stream->conn);
}

void stream_reset_at_close(struct stream *stream)
{
	const struct linger now = {.l_onoff = 1, .l_linger = 0};

	/* A socket of the UNIX family has no reset: its peer sees the end. */
	(void)sys_setsockopt(conn_fd(stream->conn), SOL_SOCKET, SO_LINGER, &now, sizeof(now));
}

void stream_reset(struct stream *stream)
{
	stream_reset_at_close(stream);
	stream_close(stream);
}

void stream_verify(const struct stream *stream)
{
	CHECK(stream->home->loop == conn_loop(stream->conn));
	CHECK(!stream->from ||
	      (stream->from->to == stream && stream->from->from->to == stream->from));
	CHECK(!stream->to || (stream->to->from == stream && stream->to->to->from == stream->to));
	CHECK(!stream->shut || !stream->queue);
	CHECK(!stream->waiting || stream->queue);
}

/* ---- deadlines ---- */

void stream_deadline(struct stream *stream, uint32_t ms)
{
	conn_deadline(stream->conn, ms);
}

void stream_wait_writable(struct stream *stream, bool moved)
{
	if ((moved && !stream->whole_deadline) || !stream->waiting)
		conn_deadline(stream->conn, stream->write_ms);
	stream->waiting = true;
}

void stream_expired(struct conn *conn)
{
	struct stream *stream = stream_of(conn);

	if (stream->state == STREAM_STATE_CONNECTING)
		stream->error = -ETIMEDOUT;
	if (stream->state == STREAM_STATE_OPEN && stream->ops->expired)
		stream->ops->expired(stream);
	else
		stream_close(stream);
}

void stream_drain(struct conn *conn)
{
	struct stream *stream = stream_of(conn);

	if (stream->ops->drain)
		stream->ops->drain(stream);
	else
		stream_close(stream);
}

/* ---- turns ---- */

static uint64_t stream_turn_bytes(const struct stream_loop *home)
{
	bool mixed = loop_now_ms(home->loop) - home->small_ms < STREAM_TURN_MIXED_MS;

	return mixed ? STREAM_TURN_MIXED_BYTES : STREAM_TURN_BYTES;
}

/* The last byte is with the socket: the peer is told that there are no more. */
static enum stream_turn stream_shut_now(struct stream *stream)
{
	int r;

	if (!stream->shuts || stream->shut || stream->queue)
		return STREAM_GOES_ON;
	stream->shut = true;
	r = sys_shutdown(conn_fd(stream->conn), SHUT_WR);
	/* ENOTCONN: the peer has reset it meanwhile, which the next receive tells. */
	return r < 0 && r != -ENOTCONN ? STREAM_CLOSES : STREAM_GOES_ON;
}

/* What is on its way, and what a link brings, as far as it goes. */
static enum stream_turn stream_send_step(struct stream *stream)
{
	enum stream_sent sent = stream->queue ? stream_flush(stream) : STREAM_SENT_ALL;

	if (sent == STREAM_SENT_ALL && stream->from)
		sent = stream_link_pump(stream);
	if (sent == STREAM_SENT_FAILED)
		return STREAM_CLOSES;
	if (sent == STREAM_SENT_ALL)
		return stream_shut_now(stream);
	return stream->ops->duplex ? STREAM_GOES_ON : STREAM_RESTS;
}

/* One step of it; the stream may be gone afterwards, then CLOSES is returned and nothing is left
 * to do. */
static enum stream_turn stream_turn_step(struct stream *stream)
{
	enum stream_turn turn = stream_send_step(stream);

	if (turn == STREAM_GOES_ON)
		turn = stream->ops->step(stream);
	if (turn == STREAM_CLOSES)
		stream_close(stream);
	return turn;
}

static void stream_run_turn(struct stream *stream)
{
	struct conn_ref ref = conn_ref(stream->conn);
	enum stream_turn turn = STREAM_GOES_ON;

	CHECK(stream->state == STREAM_STATE_OPEN);
	stream_verify(stream);
	stream->home->turn_left = stream_turn_bytes(stream->home);
	for (int steps = 0; steps < STREAM_STEPS && turn == STREAM_GOES_ON; steps++)
		turn = stream_turn_step(stream);
	if (turn == STREAM_CLOSES)
		return;
	if (turn == STREAM_GOES_ON)
		conn_again(stream->conn);
	/* Last: whoever is told may close it. */
	if (stream->from)
		stream_link_settle(stream);
	CHECK(!conn_deref(ref) || stream->state == STREAM_STATE_OPEN);
}

void stream_run(struct stream *stream)
{
	stream_run_turn(stream);
}

void stream_again(struct stream *stream)
{
	if (stream->state != STREAM_STATE_CLOSED)
		conn_again(stream->conn);
}

void stream_shut(struct stream *stream)
{
	stream->shuts = true;
	if (!stream->queue)
		conn_again(stream->conn);
}

/* ---- the reactor's events ---- */

static void stream_set_up(struct stream *stream, struct conn *conn, const struct stream_ops *ops)
{
	stream->conn = conn;
	stream->ops = ops;
	stream->arg = conn_arg(conn);
	stream->home = ops->home(stream->arg, conn_loop(conn));
	stream->write_ms = stream->home->write_ms;
	stream->reference_column = -1;
	stream->unix_socket = conn_peer(conn)->ss_family == AF_UNIX;
}

int stream_opened(struct conn *conn)
{
	const struct stream_ops *ops = container_of(conn_ops(conn), struct stream_ops, conn);
	struct stream *stream = stream_of(conn);
	int r = 0;

	stream_set_up(stream, conn, ops);
	/* What is sent leaves whole: Nagle's algorithm would hold a second answer until the peer's
	 * delayed acknowledgement of the first. */
	if (!stream->unix_socket)
		sys_setsockopt_int(conn_fd(conn), IPPROTO_TCP, TCP_NODELAY, 1);
	if (stream->home->connecting)
		return 0;
	stream_enter(stream, STREAM_STATE_OPEN);
	if (ops->open)
		r = ops->open(stream);
	if (r < 0) {
		stream_enter(stream, STREAM_STATE_CLOSED);
		stream_release(stream);
	}
	return r;
}

void stream_ready(struct conn *conn, unsigned events)
{
	struct stream *stream = stream_of(conn);
	struct conn_ref ref = conn_ref(conn);

	if (events & (CONN_READABLE | CONN_ENDED | CONN_HANGUP))
		stream->readable = true;
	if (events & (CONN_ENDED | CONN_HANGUP))
		stream->ended = true;
	if (events & CONN_HANGUP)
		stream->hangup = true;
	if (stream->state == STREAM_STATE_CONNECTING && !stream_connected(stream, events))
		return;
	/* Its input is the other's output. */
	if (stream->to)
		stream_run_turn(stream->to->to);
	if (conn_deref(ref))
		stream_run_turn(stream);
}

int stream_become(struct stream *stream, const struct stream_ops *ops, void *arg)
{
	if (ops->conn.data_size > conn_data_size(stream->conn))
		return -ENOSPC;
	CHECK(ops->home(arg, stream->home->loop)->loop == stream->home->loop);
	memset(stream_data(stream), 0, ops->conn.data_size - STREAM_BYTES);
	stream->ops = ops;
	stream->arg = arg;
	stream->waiting = false;
	stream_deadline(stream, 0);
	return ops->open ? ops->open(stream) : 0;
}

/* ---- input ---- */

/* EPIPE is none of it: with TCP the peer's end came before its reset, a UNIX peer has closed. */
bool stream_is_broken(const struct stream *stream)
{
	return stream->error < 0 && stream->error != -EPIPE;
}

/* What was given back. */
static ssize_t stream_recv_unread(struct stream *stream, void *buf, size_t len)
{
	struct stream_unread *unread = stream->unread;
	size_t n = min_size(len, unread->len - unread->at);

	memcpy(buf, unread->data + unread->at, n);
	unread->at += n;
	if (unread->at == unread->len) {
		free(unread);
		stream->unread = NULL;
	}
	return (ssize_t)n;
}

ssize_t stream_recv(struct stream *stream, void *buf, size_t len)
{
	return stream->to ? -EAGAIN : stream_recv_here(stream, buf, len);
}

ssize_t stream_recv_here(struct stream *stream, void *buf, size_t len)
{
	ssize_t n;

	CHECK(len > 0);
	if (unlikely(stream->unread))
		return stream_recv_unread(stream, buf, len);
	if (stream->eof)
		return 0;
	if (!stream->readable)
		return -EAGAIN;
	n = sys_recv(conn_fd(stream->conn), buf, len, 0);
	/* A send has been told of a reset, which is told once: what looks like the end now is that. */
	if (n == 0 && stream_is_broken(stream))
		n = stream->error;
	if (n == 0)
		stream->eof = true;
	/* A short read has taken everything, and the next bytes will be announced; the peer's end
	 * that is there already will not. */
	if (n == -EAGAIN || (n > 0 && (size_t)n < len && !stream->ended))
		stream->readable = false;
	if (n < 0 && n != -EAGAIN)
		stream->error = (int)n;
	return n;
}

int stream_unread(struct stream *stream, const void *data, size_t len)
{
	struct stream_unread *old = stream->unread, *unread;
	size_t rest = old ? old->len - old->at : 0;

	if (len == 0)
		return 0;
	unread = malloc(sizeof(*unread) + len + rest);
	if (!unread)
		return -ENOMEM;
	unread->at = 0;
	unread->len = len + rest;
	memcpy(unread->data, data, len);
	if (old)
		memcpy(unread->data + len, old->data + old->at, rest);
	free(old);
	stream->unread = unread;
	return 0;
}
