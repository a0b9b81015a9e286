/*
 * The queue of a stream: what is on its way out.
 *
 * Bytes are written into the queue's buffer (stream_room(), stream_put()) and leave by one send. The
 * first segment that is something else (a file range, memory of others, a link) makes a chain of the
 * queue: the buffer's bytes become its first segment, and the engine chooses how each goes.
 *
 * stream_flush() is the one place that sends: until the socket is full (the deadline starts, and
 * moves with progress), until the turn's bytes are used up (another turn), or until a file range is
 * not in memory (a helper reads it, stream_loaded() goes on). When the last byte is with the socket
 * the queue goes back to the loop's spare ones.
 *
 * A queue whose cold range is being read belongs to the helper until that comes back: when the
 * stream closes meanwhile, what the kernel still reads of memory is waited for (the descriptor goes),
 * and the segments are released when the helper is done.
 */
#include "stream/stream_internal.h"

#include <errno.h>
#include <string.h>

#include "engine/engine.h"

/* ---- taking and giving back ---- */

struct stream_queue *stream_queue_take(struct stream *stream)
{
	struct stream_queue *queue = stream->queue;

	if (queue)
		return queue;
	queue = spare_take(&stream->home->queues);
	if (!queue)
		return NULL;
	queue->home = stream->home;
	queue->conn = conn_ref(stream->conn);
	queue->loading = queue->orphan = queue->chained = false;
	queue->len = queue->sent = 0;
	stream->queue = queue;
	stream->waiting = false;
	return queue;
}

static void stream_queue_free(struct stream_queue *queue)
{
	if (queue->chained)
		chain_fini(&queue->chain);
	spare_give(&queue->home->queues, queue);
}

/* All of it is with the socket. A release may have added to it meanwhile: then it stays. */
static bool stream_queue_give(struct stream *stream)
{
	struct stream_queue *queue = stream->queue;

	if (queue->chained)
		stream->reference_column = (int8_t)queue->chain.reference_column;
	stream->queue = NULL;
	stream_queue_free(queue);
	return stream->queue == NULL;
}

void stream_queue_drop(struct stream *stream)
{
	struct stream_queue *queue = stream->queue;

	stream->queue = NULL;
	stream->waiting = false;
	if (queue->loading) {
		queue->orphan = true;
		chain_leave_sink(&queue->chain);
	} else {
		stream_queue_free(queue);
	}
}

/* ---- adding ---- */

int stream_queue_chain(struct stream *stream)
{
	struct stream_queue *queue = stream->queue;
	const struct chain_sink sink = {
	    .fd = conn_fd(stream->conn),
	    .kind = stream->unix_socket ? SINK_UNIX : SINK_TCP,
	    .technique = stream->home->technique,
	    .memory_is_free = true,
	};
	int r;

	if (!queue->chained) {
		chain_init(&queue->chain, stream->home->engine, &sink);
		/* The device on the way to this peer: asked once a stream, not once a chain. */
		queue->chain.reference_column = stream->reference_column;
		queue->chained = true;
	}
	if (queue->sent == queue->len)
		return 0;
	r = leat_chain_add_memory(&queue->chain, queue->buffer + queue->sent,
				  queue->len - queue->sent, NULL, NULL);
	if (r == 0)
		queue->sent = queue->len;
	return r;
}

char *stream_room(struct stream *stream, size_t *ret_room)
{
	struct stream_queue *queue = stream_queue_take(stream);

	if (!queue)
		return NULL;
	*ret_room = sizeof(queue->buffer) - queue->len;
	return queue->buffer + queue->len;
}

void stream_put(struct stream *stream, size_t len)
{
	CHECK(stream->queue && len <= sizeof(stream->queue->buffer) - stream->queue->len);
	CHECK(!stream->shut);
	stream->queue->len += len;
}

int stream_put_bytes(struct stream *stream, const void *data, size_t len)
{
	size_t room;
	char *at = stream_room(stream, &room);

	if (!at)
		return -ENOMEM;
	if (room < len)
		return -ENOBUFS;
	memcpy(at, data, len);
	stream_put(stream, len);
	return 0;
}

/* 0: a chain, with all bytes of the buffer in it. */
static int stream_begin_segment(struct stream *stream)
{
	CHECK(!stream->shut);
	return stream_queue_take(stream) ? stream_queue_chain(stream) : -ENOMEM;
}

int stream_add_memory(struct stream *stream, const void *data, size_t len, leat_release release,
		      void *arg)
{
	int r = stream_begin_segment(stream);

	if (r == 0)
		r = leat_chain_add_memory(&stream->queue->chain, data, len, release, arg);
	return r;
}

int stream_add_file(struct stream *stream, int fd, uint64_t file, uint64_t offset, uint64_t len,
		    leat_release release, void *arg)
{
	int r = stream_begin_segment(stream);

	if (r == 0)
		r = chain_add_known_file(&stream->queue->chain, fd, file, offset, len, release,
					 arg);
	return r;
}

uint64_t stream_pending(const struct stream *stream)
{
	const struct stream_queue *queue = stream->queue;
	uint64_t pending;

	if (!queue)
		return 0;
	pending = queue->chained ? leat_chain_pending(&queue->chain) : 0;
	return pending == LEAT_TO_END ? pending : pending + (queue->len - queue->sent);
}

/* ---- sending ---- */

void stream_use_turn(struct stream_loop *home, uint64_t bytes)
{
	home->turn_left -= min_u64(bytes, home->turn_left);
}

static bool stream_peer_is_gone(int error)
{
	return error == -EPIPE || error == -ECONNRESET || error == -ETIMEDOUT;
}

static enum stream_sent stream_send_failed(struct stream *stream, int error)
{
	const char *text = stream->queue->chained ? stream->queue->chain.error_text : "";

	if (stream_link_send_failed(stream, error))
		return STREAM_SENT_SOME;
	stream->error = error;
	if (stream->ops->failed && !stream_peer_is_gone(error))
		stream->ops->failed(stream, error, text[0] ? text : strerrordesc_np(-error));
	return STREAM_SENT_FAILED;
}

/* One send for all that is in the buffer. Until -EAGAIN, so that the event that says "more room" is
 * certain to come. */
static enum stream_sent stream_send_buffer(struct stream *stream)
{
	struct stream_queue *queue = stream->queue;
	size_t before = queue->sent;

	while (queue->sent < queue->len) {
		ssize_t n = engine_send(stream->home->engine, conn_fd(stream->conn),
					queue->buffer + queue->sent, queue->len - queue->sent);

		if (n == -EAGAIN) {
			stream_wait_writable(stream, queue->sent > before);
			return STREAM_SENT_SOME;
		}
		if (n < 0)
			return stream_send_failed(stream, (int)n);
		queue->sent += (size_t)n;
		stream_use_turn(stream->home, (uint64_t)n);
	}
	stream->home->small_ms = loop_now_ms(stream->home->loop);
	return STREAM_SENT_ALL;
}

/* ---- cold ranges ---- */

static void stream_load_run(struct job *job)
{
	struct stream_queue *queue = container_of(job, struct stream_queue, job);

	queue->load_error = leat_load_run(&queue->load);
}

static void stream_load_failed(struct stream *stream, int error)
{
	stream->error = error;
	if (stream->ops->failed)
		stream->ops->failed(stream, error, strerrordesc_np(-error));
	stream_close(stream);
}

static void stream_loaded(struct job *job)
{
	struct stream_queue *queue = container_of(job, struct stream_queue, job);
	struct conn *conn;

	queue->loading = false;
	if (queue->orphan) {
		stream_queue_free(queue);
		return;
	}
	conn = conn_deref(queue->conn);
	CHECK(conn && stream_of(conn)->queue == queue);
	if (queue->load_error < 0)
		stream_load_failed(stream_of(conn), queue->load_error);
	else
		stream_run(stream_of(conn));
}

/* The peer is asked for nothing meanwhile; afterwards its time begins anew. */
static enum stream_sent stream_load(struct stream *stream)
{
	struct stream_queue *queue = stream->queue;
	int r;

	queue->load = chain_load(&queue->chain);
	queue->job.run = stream_load_run;
	queue->job.done = stream_loaded;
	r = stream->home->bulk_loads ? helpers_submit_bulk(stream->home->loop, &queue->job)
				     : helpers_submit(stream->home->loop, &queue->job);
	if (r < 0)
		return stream_send_failed(stream, r);
	queue->loading = true;
	stream->waiting = false;
	stream_deadline(stream, 0);
	return STREAM_SENT_SOME;
}

/* ---- chains ---- */

static enum stream_sent stream_step_said(struct stream *stream, enum leat_step step, bool moved)
{
	switch (step) {
	case LEAT_DONE:
		return STREAM_SENT_ALL;
	case LEAT_WANT_LOAD:
		return stream_load(stream);
	case LEAT_WANT_READ: /* a link's source, the only segment: nothing is held back */
		stream->from->from->readable = false;
		return STREAM_SENT_ALL;
	case LEAT_MORE:
		conn_again(stream->conn);
		break;
	case LEAT_WANT_WRITE:
	case LEAT_WANT_COMPLETION:
		break;
	}
	stream_wait_writable(stream, moved);
	return STREAM_SENT_SOME;
}

static enum stream_sent stream_step_chain(struct stream *stream)
{
	struct leat_chain *chain = &stream->queue->chain;
	uint64_t before = chain->ledger.bytes, moved;
	int step;

	if (stream->home->turn_left == 0) {
		conn_again(stream->conn);
		return STREAM_SENT_SOME;
	}
	step = stream_queue_chain(stream);
	if (step == 0)
		step = leat_chain_step(chain, stream->home->turn_left);
	moved = chain->ledger.bytes - before;
	stream_use_turn(stream->home, moved);
	stream_link_chain_moved(stream, moved);
	if (step < 0)
		return stream_send_failed(stream, step);
	return stream_step_said(stream, (enum leat_step)step, moved > 0);
}

enum stream_sent stream_flush(struct stream *stream)
{
	struct stream_queue *queue = stream->queue;
	enum stream_sent sent;

	if (!queue)
		return STREAM_SENT_ALL;
	if (queue->loading)
		return STREAM_SENT_SOME;
	sent = queue->chained ? stream_step_chain(stream) : stream_send_buffer(stream);
	if (sent != STREAM_SENT_ALL)
		return sent;
	if (stream->waiting) {
		stream->waiting = false;
		stream_deadline(stream, 0);
	}
	return stream_queue_give(stream) ? STREAM_SENT_ALL : STREAM_SENT_SOME;
}
