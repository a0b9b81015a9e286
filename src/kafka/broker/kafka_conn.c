#include "kafka/broker/kafka_conn.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/be.h"
#include "kafka/broker/kafka_log.h"
#include "sys/sys.h"

#define FRAME_PREFIX 4u

/* What a step of a connection says. After GONE it must not be touched. */
enum turn {
	TURN_GOES_ON,
	TURN_RESTS,
	TURN_GONE,
};

static enum turn gone(struct kafka_conn *c)
{
	/* Answers of this turn that are not sent: the next connection begins anew. */
	c->loop->out_len = 0;
	count_buffer_lost(c->loop);
	conn_close(c->conn);
	return TURN_GONE;
}

static enum turn not_kafka(struct kafka_conn *c, const char *what)
{
	struct client_text peer;

	counter_add(&c->loop->counters.not_kafka, 1);
	log_limited(loop_now_ms(c->loop->loop) * 1000000, LOG_LEVEL_WARNING,
		    "%s: %s%s: connection closed", log_peer(c->conn, &peer),
		    c->spoken ? "" : "not a Kafka client? ", what);
	return gone(c);
}

/* What stands at `at` is no size of a request. */
static enum turn impossible_size(struct kafka_conn *c, const char *at)
{
	char text[128];

	snprintf(text, sizeof(text),
		 "a request of %d bytes, where socket.request.max.bytes is %lld",
		 (int32_t)be_load32(at),
		 (long long)config_value(c->loop->server->config, KAFKA_CONFIG_REQUEST_MAX));
	return not_kafka(c, text);
}

/* ---- kept input ---- */

static void forget_kept(struct kafka_conn *c)
{
	kafka_request_give(c->loop, c->kept, c->kept_size);
	c->kept = NULL;
	c->kept_len = c->kept_size = 0;
	kafka_requests_give(c->loop->server, c->reserved);
	c->reserved = 0;
}

char *kafka_conn_give(struct kafka_conn *c, struct slice part, size_t *ret_size,
		      uint64_t *ret_reserved)
{
	char *kept = c->kept;

	if (!kept || part.ptr < kept || part.ptr + part.len != kept + c->kept_len)
		return NULL;
	*ret_size = c->kept_size;
	*ret_reserved = c->reserved;
	c->kept = NULL;
	c->kept_len = c->kept_size = 0;
	c->reserved = 0;
	return kept;
}

/* Memory for a request. `must`: for what has come of it. */
static bool reserve(struct kafka_conn *c, size_t size, bool must)
{
	if (!kafka_requests_take(c->loop->server, size, must))
		return false;
	c->reserved = size;
	c->came = KAFKA_GETS_ON_BYTES; /* it has its time from now on */
	return true;
}

/* How long the request is that begins here, with its size; 0: that is not there yet. */
static int64_t frame_size(const struct kafka_conn *c, const char *at, size_t len)
{
	int32_t size;

	if (len < FRAME_PREFIX)
		return 0;
	size = (int32_t)be_load32(at);
	if (size < 0 || size > config_value(c->loop->server->config, KAFKA_CONFIG_REQUEST_MAX))
		return -1;
	return (int64_t)size + FRAME_PREFIX;
}

/* The input from `at` on stays for later: in a buffer that has room for the request it begins. */
static enum turn keep(struct kafka_conn *c, const char *at, size_t len)
{
	char *old = c->kept;
	size_t old_size = c->kept_size;
	uint64_t old_reserved = c->reserved;
	int64_t frame = frame_size(c, at, len);
	size_t size = len < FRAME_PREFIX ? FRAME_PREFIX : len;

	if (frame < 0)
		return impossible_size(c, at);
	if ((size_t)frame > size)
		size = (size_t)frame;
	if (len == 0) {
		forget_kept(c);
		return TURN_GOES_ON;
	}
	c->since_ms = 0;
	if (old && size <= c->kept_size) {
		memmove(c->kept, at, len);
		c->kept_len = len;
		c->came = KAFKA_GETS_ON_BYTES;
		return TURN_GOES_ON;
	}
	/* At least what is there; the rest when there is memory for it (see make_room()). */
	c->reserved = 0;
	if (reserve(c, kafka_request_size(size), false))
		size = kafka_request_size(size);
	else if (reserve(c, len, true))
		size = len;
	c->kept = c->reserved > 0 ? kafka_request_take(c->loop, size) : NULL;
	if (!c->kept) {
		kafka_requests_give(c->loop->server, c->reserved);
		c->kept = old;
		c->reserved = old_reserved;
		log_limited(loop_now_ms(c->loop->loop) * 1000000, LOG_LEVEL_WARNING,
			    "too many incomplete requests: connection closed");
		return gone(c);
	}
	memcpy(c->kept, at, len);
	c->kept_len = len;
	c->kept_size = size;
	kafka_request_give(c->loop, old, old_size);
	kafka_requests_give(c->loop->server, old_reserved);
	return TURN_GOES_ON;
}

/* ---- calls ---- */

/* Its client sends no more: does it still wait for the answer? One that closes a connection and one that
 * closes it for sending look the same. Who asks for much, or has a group wait for it, must be there; who
 * has sent records may have done all that it had to do. */
static bool is_left(const struct kafka_call *call)
{
	return call->is_change || call->shard ||
	       (call->heavy && call->header.api->key != KAFKA_API_PRODUCE);
}

static enum turn take_answer(struct kafka_conn *c, struct kafka_call *call, enum handled handled)
{
	count_handled(call);
	switch (handled) {
	case CALL_ANSWERED:
		return kafka_send_call(c, call) ? TURN_GOES_ON : gone(c);
	case CALL_SILENT:
		call_free(call);
		return TURN_GOES_ON;
	case CALL_WAITS:
		call_note_client(call);
		c->call = call;
		count_waits(call);
		/* A client that sends no more can't ask again: soon, with what there is then. */
		conn_deadline(c->conn, c->ended && call->expired ? 1 : call->wait_ms);
		return c->ended && call->shard ? gone(c) : TURN_GOES_ON;
	case CALL_BLOCKS:
		if (c->ended && is_left(call))
			break; /* it has asked for much, and left */
		if (call_to_helper(call) == 0) {
			counter_add(&c->loop->counters.helped, 1);
			c->call = call;
			conn_deadline(c->conn, 0);
			return TURN_GOES_ON;
		}
		log_limited(loop_now_ms(c->loop->loop) * 1000000, LOG_LEVEL_WARNING,
			    "no helper thread can be started: connection closed");
		break;
	case CALL_CONTINUES:
	case CALL_CLOSES:
	case CALL_ENDS:
		break;
	}
	call_free(call);
	return gone(c);
}

/* `frame` is a whole request without its size. */
static enum turn serve(struct kafka_conn *c, struct slice frame)
{
	struct kafka_request_header header;
	enum handled (*handler)(struct kafka_call *);
	struct kafka_call *call;
	enum handled handled;
	int r = kafka_request_header_decode(&frame, &header);

	handler = r < 0 ? NULL : kafka_handler(header.api->key);
	if (!handler)
		return not_kafka(c, r == -EBADMSG ? "a malformed request"
						  : "a request of an unknown kind or version");
	call = call_new(c->loop, c->conn, &header, frame);
	if (!call)
		return gone(c);
	count_begin(call);
	handled = call_unless_heavy(call, handler(call));
	c->loop->turn_elements += call->elements + 1;
	if (handled == CALL_CLOSES) {
		call_free(call);
		return not_kafka(c, "a malformed request");
	}
	c->spoken = true;
	return take_answer(c, call, handled);
}

/* Answers what is complete until something has to be waited for, or it is the others' turn; the rest is
 * kept. */
static enum turn serve_all(struct kafka_conn *c, const char *at, size_t len)
{
	enum turn turn = TURN_GOES_ON;

	while (turn == TURN_GOES_ON && !c->call && !c->flight &&
	       c->loop->turn_elements < KAFKA_ELEMENTS_ON_LOOP) {
		int64_t frame = frame_size(c, at, len);

		if (frame < 0)
			return impossible_size(c, at);
		if (frame == 0 || (uint64_t)frame > len)
			break;
		c->large = (size_t)frame > KAFKA_RECV_BYTES / 2;
		turn = serve(c, slice_make(at + FRAME_PREFIX, (size_t)frame - FRAME_PREFIX));
		at += frame;
		len -= (size_t)frame;
		/* Room for any small answer; larger ones find their own. */
		if (turn == TURN_GOES_ON && c->loop->out_len > KAFKA_OUT_BYTES / 2 &&
		    kafka_send(c) == KAFKA_SENT_FAILED)
			return gone(c);
	}
	return turn == TURN_GOES_ON ? keep(c, at, len) : turn;
}

/* ---- input ---- */

static size_t wanted(const struct kafka_conn *c)
{
	return c->kept_len < FRAME_PREFIX ? FRAME_PREFIX
					  : (size_t)frame_size(c, c->kept, c->kept_len);
}

/* The kept request in a buffer of another size. */
static bool move(struct kafka_conn *c, size_t size)
{
	char *to = kafka_request_take(c->loop, size);

	if (!to)
		return false;
	memcpy(to, c->kept, c->kept_len);
	kafka_request_give(c->loop, c->kept, c->kept_size);
	c->kept = to;
	c->kept_size = size;
	return true;
}

/* It has not got on: others may have the memory that it was to fill. */
static void give_up_room(struct kafka_conn *c)
{
	struct kafka_server *server = c->loop->server;
	size_t size = c->kept_len + KAFKA_GETS_ON_BYTES / 2;

	c->stalled = true;
	if (size >= c->kept_size || !kafka_requests_take(server, size, true))
		return;
	if (move(c, size)) {
		kafka_requests_give(server, c->reserved);
		c->reserved = size;
	} else {
		kafka_requests_give(server, size);
	}
}

/* The kept request is larger than its buffer, and that is full. */
static bool is_hungry(const struct kafka_conn *c)
{
	return c->kept && c->kept_len == c->kept_size && wanted(c) > c->kept_size;
}

/* Memory was short, or the request had not got on. */
static enum turn make_room(struct kafka_conn *c)
{
	int64_t frame = frame_size(c, c->kept, c->kept_len);
	uint64_t reserved = c->reserved;
	size_t size;

	if (frame < 0)
		return impossible_size(c, c->kept);
	if (!is_hungry(c))
		return TURN_GOES_ON;
	size = kafka_request_size((size_t)frame);
	if (!reserve(c, size, false)) {
		counter_add(&c->loop->counters.memory_waits, 1);
		conn_deadline(c->conn, KAFKA_HUNGRY_MS);
		c->since_ms = 0; /* it is not its client that is slow */
		return TURN_RESTS;
	}
	kafka_requests_give(c->loop->server, reserved);
	return move(c, size) ? TURN_GOES_ON : gone(c);
}

/* One receive, to `at`. 0: nothing came. */
static ssize_t receive(struct kafka_conn *c, char *at, size_t room)
{
	ssize_t n = sys_recv(conn_fd(c->conn), at, room, 0);

	if (n == -EAGAIN) {
		c->readable = false;
		return 0;
	}
	if (n == 0)
		c->eof = true;
	if (n == 0 || ((size_t)n < room && !c->ended))
		c->readable = false;
	return n;
}

static enum turn take_kept(struct kafka_conn *c)
{
	enum turn turn = TURN_GOES_ON;
	ssize_t n;

	while (wanted(c) > c->kept_len) {
		turn = make_room(c);
		if (turn != TURN_GOES_ON)
			return turn;
		n = c->readable ? receive(c, c->kept + c->kept_len,
					  min_size(c->kept_size, wanted(c)) - c->kept_len)
				: 0;
		if (n < 0)
			return gone(c);
		c->kept_len += (size_t)n;
		c->came += (size_t)n;
		if (n == 0)
			return TURN_RESTS;
		if (c->kept_len >= FRAME_PREFIX && frame_size(c, c->kept, c->kept_len) < 0)
			return impossible_size(c, c->kept);
	}
	return serve_all(c, c->kept, c->kept_len);
}

static enum turn take_fresh(struct kafka_conn *c)
{
	ssize_t n;

	if (!c->readable)
		return TURN_RESTS;
	n = receive(c, c->loop->received,
		    c->large || kafka_requests_are_tight(c->loop->server) ? KAFKA_RECV_FIRST
									  : KAFKA_RECV_BYTES);
	if (n < 0)
		return gone(c);
	return n == 0 ? TURN_RESTS : serve_all(c, c->loop->received, (size_t)n);
}

/* ---- turns ---- */

/* Until when the kept request must have come as a whole. */
static uint64_t request_end_ms(const struct kafka_conn *c)
{
	return c->since_ms + KAFKA_REQUEST_MS + c->kept_len / KAFKA_REQUEST_RATE;
}

/* Its memory is of those that must get on to stay. */
static bool has_large_room(const struct kafka_conn *c)
{
	return c->reserved > KAFKA_RECV_BYTES && !c->stalled;
}

/* Of what is large the one that was set stands, until enough has come. */
static void request_deadline(struct kafka_conn *c)
{
	uint64_t now_ms = loop_now_ms(c->loop->loop), end_ms;
	bool gets_on = c->came >= KAFKA_GETS_ON_BYTES;

	if (c->since_ms == 0)
		c->since_ms = now_ms;
	end_ms = request_end_ms(c);
	if (gets_on)
		c->came = 0;
	c->stalled &= !gets_on;
	if (!has_large_room(c))
		conn_deadline(c->conn, end_ms > now_ms ? (uint32_t)(end_ms - now_ms) : 1);
	else if (gets_on)
		conn_deadline(c->conn, KAFKA_GETS_ON_MS);
}

static void rest_deadline(struct kafka_conn *c)
{
	int64_t idle = config_value(c->loop->server->config, KAFKA_CONFIG_IDLE_MS);

	/* Where others are waited for its client's time does not run. */
	if (c->call || c->flight)
		c->since_ms = 0;
	if (c->call)
		return; /* whoever makes it wait says for how long */
	if (c->kept && !c->flight)
		request_deadline(c);
	else
		conn_deadline(c->conn, idle < 0 ? 0 : (uint32_t)min_u64((uint64_t)idle, 1u << 30));
}

/* Bytes sent and elements handled are what a turn costs the others. */
static bool has_turn(const struct kafka_conn *c)
{
	return c->loop->turn_left > 0 && c->loop->turn_elements < KAFKA_ELEMENTS_ON_LOOP;
}

static enum turn step(struct kafka_conn *c)
{
	switch (kafka_send(c)) {
	case KAFKA_SENT_FAILED:
		return gone(c);
	case KAFKA_SENT_SOME:
		rest_deadline(c);
		return TURN_RESTS;
	case KAFKA_SENT_ALL:
		break;
	}
	if (c->call)
		return TURN_RESTS;
	if (c->draining)
		return gone(c);
	if (!has_turn(c)) {
		conn_again(c->conn);
		return TURN_RESTS;
	}
	return c->kept ? take_kept(c) : take_fresh(c);
}

void kafka_conn_turn(struct kafka_conn *c)
{
	enum turn turn = TURN_GOES_ON;

	c->loop->turn_elements = 0;
	c->loop->turn_left = loop_now_ms(c->loop->loop) < c->loop->mixed_ms ? KAFKA_TURN_MIXED_BYTES
									    : KAFKA_TURN_BYTES;
	for (int steps = 0; steps < 32 && turn == TURN_GOES_ON; steps++)
		turn = step(c);
	if (turn == TURN_GONE)
		return;
	if (turn == TURN_GOES_ON) {
		conn_again(c->conn);
		if (c->loop->out_len && kafka_send(c) == KAFKA_SENT_FAILED)
			gone(c);
		return;
	}
	CHECK(c->loop->out_len == 0);
	if (c->eof && !c->call && !c->flight)
		gone(c);
	else if (!c->flight && !is_hungry(c))
		rest_deadline(c);
}

void kafka_conn_answered(struct kafka_conn *c, struct kafka_call *call, enum handled handled)
{
	if (take_answer(c, call, handled) != TURN_GONE)
		kafka_conn_turn(c);
}

/* ---- the reactor's calls ---- */

/* As Kafka says it. */
static int too_many(struct conn *conn)
{
	struct client_text peer;

	log_limited(loop_now_ms(conn_loop(conn)) * 1000000, LOG_LEVEL_WARNING,
		    "%s: connection closed: its address has as many as max.connections.per.ip lets "
		    "it have",
		    log_peer(conn, &peer));
	return -EUSERS;
}

static int opened(struct conn *conn)
{
	const struct kafka_listener *listener = conn_arg(conn);
	struct kafka_conn *c = conn_data(conn);

	if (!kafka_peer_enter(&listener->server->peers, conn_peer(conn)))
		return too_many(conn);
	c->conn = conn;
	c->loop = listener->server->loops[loop_index(conn_loop(conn))];
	c->reference_column = -1;
	c->unix_socket = conn_peer(conn)->ss_family == AF_UNIX;
	/* Answers leave whole: Nagle's algorithm would only hold them back. */
	if (!c->unix_socket)
		sys_setsockopt_int(conn_fd(conn), IPPROTO_TCP, TCP_NODELAY, 1);
	counter_add(&c->loop->counters.opened, 1);
	rest_deadline(c);
	return 0;
}

static void ready(struct conn *conn, unsigned events)
{
	struct kafka_conn *c = conn_data(conn);

	if (events & (CONN_READABLE | CONN_ENDED | CONN_HANGUP))
		c->readable = true;
	if (events & (CONN_ENDED | CONN_HANGUP))
		c->ended = true;
	/* Nobody will read what a waiting call would say. */
	if (c->call && (events & CONN_HANGUP || (c->ended && is_left(c->call))))
		gone(c);
	else if (c->call && c->ended && c->call->expired)
		c->call->expired(c->call); /* it can't ask again: what there is now */
	else
		kafka_conn_turn(c);
}

/* As rest_deadline() sets them. */
static enum kafka_deadline deadline_of(const struct kafka_conn *c)
{
	if (c->flight)
		return KAFKA_DEADLINE_WRITE;
	return c->kept ? KAFKA_DEADLINE_REQUEST : KAFKA_DEADLINE_IDLE;
}

static void expired(struct conn *conn)
{
	struct kafka_conn *c = conn_data(conn);

	if (c->call) {
		if (c->call->expired)
			c->call->expired(c->call);
	} else if (!c->flight && is_hungry(c)) {
		kafka_conn_turn(c); /* is there memory now? */
	} else if (!c->flight && c->kept && has_large_room(c)) {
		give_up_room(c);
		rest_deadline(c);
	} else {
		counter_add(&c->loop->counters.expired[deadline_of(c)], 1);
		conn_close(conn);
	}
}

static void drain(struct conn *conn)
{
	struct kafka_conn *c = conn_data(conn);

	c->draining = true;
	/* What waits for an event may wait long, and so may what a helper does step by step; their
	 * clients will ask again elsewhere or later. */
	if (c->call && (!c->call->blocks || c->call->heavy))
		conn_close(conn);
	else
		kafka_conn_turn(c);
}

static void closed(struct conn *conn)
{
	struct kafka_conn *c = conn_data(conn);
	struct kafka_call *call = c->call;

	counter_add(&c->loop->counters.closed, 1);
	kafka_peer_leave(&c->loop->server->peers, conn_peer(conn));
	kafka_listener_leave(conn_arg(conn));
	if (call)
		count_woken(call);
	forget_kept(c);
	if (c->flight && c->flight->loading) {
		/* The helper's until it is done. */
		struct kafka_call *loading = c->flight;

		c->flight = loading->next;
		loading->next = NULL;
	}
	kafka_send_free(c);
	c->call = NULL;
	if (call)
		atomic_store_explicit(&call->cancelled, true, memory_order_relaxed);
	if (call && call->abandoned)
		call->abandoned(call);
}

const struct conn_ops kafka_conn_ops = {
    .data_size = sizeof(struct kafka_conn),
    .open = opened,
    .ready = ready,
    .expired = expired,
    .drain = drain,
    .closed = closed,
};
