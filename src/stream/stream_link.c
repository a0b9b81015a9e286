/*
 * A link: the bytes of one stream go to another one, in the turns of the sink.
 *
 * stream_link_pump() moves them as long as the source has some, the sink takes them, and the turn
 * lasts. Each link goes one of two ways, and changes as its stream shows what it is:
 *
 *     COPY ──── a receive fills the buffer: more stands behind it ────> SPLICE
 *          <─── STREAM_LINK_SHORTS turns in a row that moved less ────
 *
 *   - COPY: one receive into the engine's scratch buffer, one send. A short receive proves that the
 *     source is drained, so a small message costs two system calls; what the sink does not take
 *     waits in the sink's queue.
 *   - SPLICE: a stream segment in the sink's chain, through a pipe from the pool. Splicing has
 *     nothing like the short receive: it learns that the source is empty by one more call, which is
 *     nothing beside a megabyte and half the price of 64 bytes. When the source is empty the chain,
 *     and with it the queue, is given back: a link that rests has no memory but its own.
 *
 * Events of either stream run the turn of the sink. It ends when its length is over, when the source
 * ends or fails, or when one of the two is closed; stream_link_settle(), at the end of the turn,
 * tells the protocol, which may close both.
 *
 * When the chain fails, what it holds says whose error it was: nothing is taken from the source while
 * bytes of it are held, so an error with held bytes is the sink's.
 */
#include "stream/stream_internal.h"

#include <errno.h>
#include <stdlib.h>

#include "engine/engine.h"

int stream_link(struct stream *from, struct stream *to, uint64_t length, bool half_close,
		stream_link_done done, void *arg)
{
	struct stream_link *link;

	CHECK(from != to && from->home->loop == to->home->loop && !to->shuts);
	if (from->to || to->from)
		return -EBUSY;
	link = malloc(sizeof(*link));
	if (!link)
		return -ENOMEM;
	*link = (struct stream_link){.from = from,
				     .to = to,
				     .left = length,
				     .half_close = half_close,
				     .done = done,
				     .arg = arg};
	from->to = link;
	to->from = link;
	stream_again(to);
	return 0;
}

/* ---- moving ---- */

static void stream_link_moved(struct stream_link *link, uint64_t bytes)
{
	link->linked.bytes += bytes;
	if (link->left != LEAT_TO_END)
		link->left -= bytes;
}

static void stream_link_source_ended(struct stream_link *link)
{
	link->over = true;
	link->linked.ended = true;
	link->from->eof = true;
	link->from->readable = false;
	if (link->half_close)
		stream_shut(link->to);
}

static void stream_link_failed(struct stream_link *link, int error, bool source)
{
	link->over = true;
	link->linked.error = error;
	link->linked.source = source;
	if (source)
		link->from->error = error;
	else
		link->to->error = error;
}

/* The same, of the sink. What waits there goes nowhere. */
static enum stream_sent stream_link_sink_failed(struct stream_link *link, int error)
{
	stream_link_failed(link, error, false);
	return STREAM_SENT_SOME; /* the end of the turn tells */
}

/* What the socket did not take of `data` waits in the queue. */
static enum stream_sent stream_link_send(struct stream_link *link, const char *data, size_t len)
{
	struct stream *to = link->to;
	ssize_t n = engine_send(to->home->engine, conn_fd(to->conn), data, len);
	size_t sent = n > 0 ? (size_t)n : 0;

	if (n < 0 && n != -EAGAIN)
		return stream_link_sink_failed(link, (int)n);
	if (sent < len && stream_put_bytes(to, data + sent, len - sent) < 0)
		return stream_link_sink_failed(link, -ENOMEM);
	stream_link_moved(link, len);
	/* Until -EAGAIN, so that the event that says "more room" is certain to come. */
	return sent == len ? STREAM_SENT_ALL : stream_flush(to);
}

static enum stream_sent stream_link_copy(struct stream_link *link)
{
	char *buf = engine_scratch(link->to->home->engine);
	ssize_t n;

	if (!buf)
		return stream_link_sink_failed(link, -ENOMEM);
	n = stream_recv_here(link->from, buf, (size_t)min_u64(STREAM_LINK_BYTES, link->left));
	if (n == -EAGAIN)
		return STREAM_SENT_SOME;
	if (n == 0)
		stream_link_source_ended(link);
	if (n < 0)
		stream_link_failed(link, (int)n, true);
	if (n <= 0)
		return STREAM_SENT_ALL;
	stream_use_turn(link->to->home, (uint64_t)n);
	link->splices = n == STREAM_LINK_BYTES;
	link->shorts = 0;
	return stream_link_send(link, buf, (size_t)n);
}

/* The segment in the sink's chain. */
static int stream_link_enter_chain(struct stream_link *link)
{
	struct stream *to = link->to;
	int r = stream_queue_take(to) ? stream_queue_chain(to) : -ENOMEM;

	if (r == 0)
		r = chain_add_known_stream(&to->queue->chain, conn_fd(link->from->conn),
					   SOURCE_SOCKET, link->left, NULL, NULL);
	link->in_chain = r == 0;
	return r;
}

/* The queue has been flushed with the segment in it, and is gone: the source had no more, has ended,
 * or has given all. */
static void stream_link_left_chain(struct stream_link *link, uint64_t turn_bytes)
{
	link->in_chain = false;
	if (link->over)
		return;
	if (link->left > 0 && link->from->readable) {
		if (stream_is_broken(link->from))
			stream_link_failed(link, link->from->error, true);
		else
			stream_link_source_ended(link);
		return;
	}
	link->shorts = turn_bytes < STREAM_LINK_BYTES ? link->shorts + 1 : 0;
	link->splices = link->shorts < STREAM_LINK_SHORTS;
}

static enum stream_sent stream_link_splice(struct stream_link *link)
{
	struct stream *to = link->to;
	uint64_t before = link->linked.bytes;
	enum stream_sent sent;

	if (stream_link_enter_chain(link) < 0)
		return stream_link_sink_failed(link, -ENOMEM);
	sent = stream_flush(to);
	if (sent == STREAM_SENT_ALL)
		stream_link_left_chain(link, link->linked.bytes - before);
	return sent;
}

void stream_link_chain_moved(struct stream *to, uint64_t bytes)
{
	if (to->from && to->from->in_chain)
		stream_link_moved(to->from, bytes);
}

/* Nothing is held back, and all that failed is to have a pipe: copying goes on without one. */
static bool stream_link_wants_pipe(const struct stream *to, int error)
{
	return (error == -EMFILE || error == -ENFILE || error == -ENOMEM) &&
	       chain_failed_at_source(&to->queue->chain);
}

bool stream_link_send_failed(struct stream *to, int error)
{
	struct stream_link *link = to->from;

	if (!link)
		return false;
	if (link->in_chain && stream_link_wants_pipe(to, error)) {
		stream_queue_drop(to);
		link->in_chain = link->splices = false;
		stream_again(to);
		return true;
	}
	stream_link_failed(link, error,
			   link->in_chain && chain_failed_at_source(&to->queue->chain));
	return true;
}

uint64_t stream_link_bytes(const struct stream *to)
{
	return to->from ? to->from->linked.bytes : 0;
}

enum stream_sent stream_link_pump(struct stream *to)
{
	struct stream_link *link = to->from;
	enum stream_sent sent = STREAM_SENT_ALL;

	if (link->in_chain) /* flushed a moment ago, and gone */
		stream_link_left_chain(link, STREAM_LINK_BYTES);
	while (!link->over && sent == STREAM_SENT_ALL) {
		if (link->left == 0) {
			link->over = true;
		} else if (!link->from->readable && !link->from->unread && !link->from->eof) {
			return STREAM_SENT_SOME;
		} else if (to->home->turn_left == 0) {
			stream_again(to);
			return STREAM_SENT_SOME;
		} else {
			sent = link->splices && !link->from->unread ? stream_link_splice(link)
								    : stream_link_copy(link);
		}
	}
	return sent;
}

/* ---- the end ---- */

static struct stream *stream_if_open(struct stream *stream)
{
	return stream->state == STREAM_STATE_CLOSED ? NULL : stream;
}

/* What the sink has not taken did not go over. */
static void stream_link_uncount(struct stream_link *link)
{
	uint64_t pending = link->in_chain ? 0 : stream_pending(link->to);

	link->linked.bytes -= min_u64(pending, link->linked.bytes);
}

/* The last word: both streams are free of it. */
static void stream_link_tell(struct stream_link *link)
{
	struct stream *from = stream_if_open(link->from), *to = stream_if_open(link->to);

	link->from->to = NULL;
	link->to->from = NULL;
	/* The input of the one is its own again, and the other may send. */
	if (from)
		stream_again(from);
	if (to)
		stream_again(to);
	link->done(link->arg, from, to, &link->linked);
	free(link);
}

void stream_link_settle(struct stream *to)
{
	struct stream_link *link = to->from;

	if (!link->over)
		return;
	/* A chain that has failed goes nowhere, at its source (then nothing is held back) or its sink;
	 * nor does what is queued in front of a sink that has failed. */
	if (to->queue && link->linked.error < 0 && (link->in_chain || !link->linked.source)) {
		stream_link_uncount(link);
		stream_queue_drop(to);
	}
	/* What was received before the end is sent first. */
	if (!to->queue)
		stream_link_tell(link);
}

/* One of its two streams is being closed. */
static void stream_link_break(struct stream_link *link, bool source)
{
	stream_link_uncount(link);
	if (link->linked.error == 0 && !link->linked.ended) {
		link->linked.error = -ECONNABORTED;
		link->linked.source = source;
	}
	/* The segment names the descriptor of a stream that is no more. */
	if (link->in_chain && link->to->queue)
		stream_queue_drop(link->to);
	stream_link_tell(link);
}

void stream_link_cut(struct stream *stream)
{
	if (stream->from)
		stream_link_break(stream->from, false);
	/* Asked for only now: who was told may have closed the other stream. */
	if (stream->to)
		stream_link_break(stream->to, true);
}
