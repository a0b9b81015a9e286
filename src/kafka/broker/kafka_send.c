/*
 * Sending: what a turn has put into the loop's buffer by one send, everything else by chains, one
 * behind the other.
 */
#include <errno.h>
#include <stdlib.h>

#include "base/log.h"
#include "engine/engine.h"
#include "kafka/broker/kafka_conn.h"

static void use_turn(struct kafka_conn *c, uint64_t bytes)
{
	c->loop->turn_left -= min_u64(bytes, c->loop->turn_left);
}

static void queue(struct kafka_conn *c, struct kafka_call *call)
{
	call->next = NULL;
	if (c->flight)
		c->flight_end->next = call;
	else
		c->flight = call;
	c->flight_end = call;
}

void kafka_send_free(struct kafka_conn *c)
{
	while (c->flight) {
		struct kafka_call *call = c->flight;

		c->flight = call->next;
		call_free(call);
	}
}

/* ---- the loop's buffer ---- */

/* What the socket did not take waits in memory of its own. */
static bool set_aside(struct kafka_conn *c, const char *rest, size_t len)
{
	const struct kafka_request_header none = {0};
	struct kafka_call *call = call_new(c->loop, c->conn, &none, slice_make(NULL, 0));

	if (!call)
		return false;
	call->bytes = malloc(len);
	if (!call->bytes) {
		call_free(call);
		return false;
	}
	memcpy(call->bytes, rest, len);
	call->own_bytes = call->free_bytes = true;
	call->len = len;
	queue(c, call);
	return true;
}

static enum kafka_sent send_out(struct kafka_conn *c)
{
	struct kafka_loop *loop = c->loop;
	size_t sent = 0, len = loop->out_len;
	ssize_t n = 0;

	loop->out_len = 0;
	CHECK(!c->flight);
	while (sent < len) {
		n = engine_send(loop->engine, conn_fd(c->conn), loop->out + sent, len - sent);
		if (n < 0)
			break;
		sent += (size_t)n;
		use_turn(c, (uint64_t)n);
	}
	if (sent < len && (n != -EAGAIN || !set_aside(c, loop->out + sent, len - sent))) {
		count_buffer_lost(loop);
		return KAFKA_SENT_FAILED;
	}
	count_buffer_left(loop);
	loop->mixed_ms = loop_now_ms(loop->loop) + KAFKA_TURN_MIXED_MS;
	if (sent == len)
		return KAFKA_SENT_ALL;
	return KAFKA_SENT_SOME;
}

/* ---- chains ---- */

static void release_range(void *arg)
{
	struct call_range *range = arg;

	partition_slice_release(&range->slice);
}

/* The ranges are the chain's to release from here on. */
static int add_parts(struct kafka_call *call)
{
	size_t at = 0;
	int r = 0;

	while (call->ranges_count > 0 && r == 0) {
		struct call_range *range = call->ranges;

		r = leat_chain_add_memory(&call->chain, call->bytes + at, range->at - at, NULL,
					  NULL);
		if (r == 0)
			r = chain_add_known_file(&call->chain, range->slice.fd, range->slice.file,
						 range->slice.position, range->slice.len,
						 release_range, range);
		if (r < 0)
			return r;
		counter_add(&call->home->counters.fetched_bytes, range->slice.len);
		at = range->at;
		call->ranges++;
		call->ranges_count--;
	}
	return leat_chain_add_memory(&call->chain, call->bytes + at, call->len - at, NULL, NULL);
}

static int begin_chain(struct kafka_conn *c, struct kafka_call *call)
{
	const struct chain_sink sink = {
	    .fd = conn_fd(c->conn),
	    .kind = c->unix_socket ? SINK_UNIX : SINK_TCP,
	    .technique = LEAT_AUTO,
	};

	chain_init(&call->chain, c->loop->engine, &sink);
	call->chain.reference_column = c->reference_column;
	call->chained = true;
	return add_parts(call);
}

bool kafka_send_call(struct kafka_conn *c, struct kafka_call *call)
{
	if (!call->own_bytes) {
		/* It lies where the next answer is written behind it. */
		CHECK(!c->flight && call->bytes == c->loop->out + c->loop->out_len);
		c->loop->out_len += call->len;
		count_buffered(call);
		call_free(call);
		return true;
	}
	if (c->loop->out_len > 0 && send_out(c) == KAFKA_SENT_FAILED) {
		call_free(call);
		return false;
	}
	/* The answer may wait for its client: what it was made of does not. */
	call_renew_work(call);
	queue(c, call);
	return true;
}

/* ---- cold ranges ---- */

static void run_load(struct job *job)
{
	struct kafka_call *call = container_of(job, struct kafka_call, job);

	call->handled = leat_load_run(&call->load) < 0 ? CALL_CLOSES : CALL_ANSWERED;
}

/* The call holds the slice, and so the descriptor, also when the connection is gone. */
static void load_done(struct job *job)
{
	struct kafka_call *call = container_of(job, struct kafka_call, job);
	struct conn *conn = conn_deref(call->conn);

	call->loading = false;
	if (!conn) {
		call_free(call);
	} else if (call->handled == CALL_CLOSES) {
		log_limited(loop_now_ms(call->home->loop) * 1000000, LOG_LEVEL_ERROR,
			    "a segment can't be read: connection closed");
		conn_close(conn);
	} else {
		kafka_conn_turn(conn_data(conn));
	}
}

static enum kafka_sent load(struct kafka_conn *c, struct kafka_call *call)
{
	call->load = chain_load(&call->chain);
	call->job.run = run_load;
	call->job.done = load_done;
	if (helpers_submit_bulk(c->loop->loop, &call->job) < 0)
		conn_again(c->conn); /* there is no helper yet: in the next turn, perhaps */
	else
		call->loading = true;
	return KAFKA_SENT_SOME;
}

/* ---- turns ---- */

static enum kafka_sent chain_failed(struct kafka_conn *c, struct kafka_call *call, int error)
{
	if (error != -EPIPE && error != -ECONNRESET)
		log_limited(loop_now_ms(c->loop->loop) * 1000000, LOG_LEVEL_WARNING,
			    "an answer can't be sent: %s: connection closed",
			    call->chain.error_text);
	return KAFKA_SENT_FAILED;
}

static enum kafka_sent send_chain(struct kafka_conn *c, struct kafka_call *call)
{
	uint64_t before;
	int step;

	if (c->loop->turn_left == 0) {
		conn_again(c->conn);
		return KAFKA_SENT_SOME;
	}
	if (!call->chained) {
		step = begin_chain(c, call);
		if (step < 0)
			return chain_failed(c, call, step);
	}
	before = leat_chain_pending(&call->chain);
	step = leat_chain_step(&call->chain, c->loop->turn_left);
	if (step < 0)
		return chain_failed(c, call, step);
	use_turn(c, before - leat_chain_pending(&call->chain));
	c->reference_column = (int8_t)call->chain.reference_column;
	switch ((enum leat_step)step) {
	case LEAT_DONE:
		return KAFKA_SENT_ALL;
	case LEAT_WANT_LOAD:
		return load(c, call);
	case LEAT_MORE:
		conn_again(c->conn);
		break;
	case LEAT_WANT_READ:
	case LEAT_WANT_WRITE:
	case LEAT_WANT_COMPLETION:
		break;
	}
	return KAFKA_SENT_SOME;
}

enum kafka_sent kafka_send(struct kafka_conn *c)
{
	if (c->loop->out_len > 0)
		return send_out(c);
	while (c->flight) {
		struct kafka_call *call = c->flight;
		enum kafka_sent sent = call->loading ? KAFKA_SENT_SOME : send_chain(c, call);

		if (sent != KAFKA_SENT_ALL)
			return sent;
		c->flight = call->next;
		count_sent(call);
		call_free(call);
	}
	return KAFKA_SENT_ALL;
}
