/*
 * A link: the bytes of one stream go to another one, by a stream segment in the sink's chain.
 *
 *     stream_link() ── the chain of `to` takes from `from`'s descriptor ──> over
 *                          │ (events of either run the turn of `to`)          │
 *                          └── one of the two closes, or fails: cut ──────────┴──> done()
 *
 * The chain lets go of the segment (stream_link_over) when all its bytes are with the sink, or when
 * it is dropped. That happens in the middle of a step, so it is only noted; stream_link_settle(), at
 * the end of the turn, tells the protocol. Where a helper still holds the chain of a closed sink, the
 * link is told first and freed when the chain lets go of it.
 *
 * When the chain fails with the link at its head, what it holds says whose error it was: nothing is
 * taken from the source while bytes of it are held, so an error with held bytes is the sink's.
 */
#include "stream/stream_internal.h"

#include <errno.h>
#include <stdlib.h>

/* How much of it went over, as long as the sink's chain is there. */
static void stream_link_count(struct stream_link *link)
{
	const struct stream_queue *queue = link->to->queue;

	if (queue && queue->chain.ledger.bytes > link->ledger_before)
		link->linked.bytes = queue->chain.ledger.bytes - link->ledger_before;
}

/* In the middle of a step of the sink's chain, or while that goes. */
static void stream_link_over(void *arg)
{
	struct stream_link *link = arg;

	if (link->told) {
		free(link);
		return;
	}
	link->over = true;
	stream_link_count(link);
}

/* The bytes that were given back before the link was made go first. */
static void stream_unread_sent(void *arg)
{
	free(arg);
}

static int stream_link_unread(struct stream *from, struct stream *to)
{
	struct stream_unread *unread = from->unread;
	int r;

	if (!unread)
		return 0;
	r = stream_add_memory(to, unread->data + unread->at, unread->len - unread->at,
			      stream_unread_sent, unread);
	if (r == 0)
		from->unread = NULL;
	return r;
}

static int stream_link_segment(struct stream_link *link)
{
	struct stream *to = link->to;
	struct stream_queue *queue = stream_queue_take(to);
	int r = queue ? stream_queue_chain(to) : -ENOMEM;

	if (r == 0)
		r = stream_link_unread(link->from, to);
	if (r < 0)
		return r;
	link->ledger_before = queue->chain.ledger.bytes + leat_chain_pending(&queue->chain);
	return chain_add_known_stream(&queue->chain, conn_fd(link->from->conn), SOURCE_SOCKET,
				      link->length, stream_link_over, link);
}

int stream_link(struct stream *from, struct stream *to, uint64_t length, bool half_close,
		stream_link_done done, void *arg)
{
	struct stream_link *link;
	int r;

	CHECK(from != to && from->home->loop == to->home->loop && !to->shuts);
	if (from->to || to->from)
		return -EBUSY;
	link = malloc(sizeof(*link));
	if (!link)
		return -ENOMEM;
	*link = (struct stream_link){.from = from,
				     .to = to,
				     .length = length,
				     .half_close = half_close,
				     .done = done,
				     .arg = arg};
	r = stream_link_segment(link);
	if (r < 0) {
		free(link);
		return r;
	}
	from->to = link;
	to->from = link;
	stream_again(to);
	return 0;
}

static struct stream *stream_if_open(struct stream *stream)
{
	return stream->state == STREAM_STATE_CLOSED ? NULL : stream;
}

/* The last word: both streams are free of it. */
static void stream_link_tell(struct stream_link *link)
{
	struct stream *from = stream_if_open(link->from), *to = stream_if_open(link->to);

	link->from->to = NULL;
	link->to->from = NULL;
	if (from)
		stream_again(from); /* its input is its own again */
	link->done(link->arg, from, to, &link->linked);
	link->told = true;
	if (link->over)
		free(link);
}

void stream_link_settle(struct stream *to)
{
	struct stream_link *link = to->from;

	if (link->linked.error < 0) {
		if (to->queue)
			stream_queue_drop(to);
	} else if (!link->over) {
		return;
	} else if (link->linked.bytes < link->length) {
		link->linked.ended = true;
		link->from->eof = true;
		link->from->readable = false;
		if (link->half_close)
			stream_shut(to);
	}
	stream_link_tell(link);
}

bool stream_link_failed(struct stream *to, int error)
{
	struct stream_link *link = to->from;

	stream_link_count(link);
	link->linked.error = error;
	link->linked.source = chain_failed_at_source(&to->queue->chain);
	if (link->linked.source)
		link->from->error = error;
	return link->linked.source;
}

/* One of its two streams is being closed. What is queued behind it in the sink can't go out without
 * it. */
static void stream_link_break(struct stream_link *link, bool source)
{
	stream_link_count(link);
	if (link->linked.error == 0) {
		link->linked.error = -ECONNABORTED;
		link->linked.source = source;
	}
	if (link->to->queue)
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
