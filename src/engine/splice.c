/*
 * splice(2): pages move from descriptor to descriptor, through a pipe. Where one side is a pipe
 * already, one call does it; else the chain's own pipe stands between: one call in, one out.
 *
 *   - EAGAIN is ambiguous: from a socket to a pipe it is an empty socket or a full pipe, and a pipe
 *     counts pieces, not bytes: 16 segments of 100 bytes fill one of 64 KiB. So the chain's pipe
 *     is filled only when empty, when EAGAIN can only mean the socket; between two foreign ends
 *     the one that is a pipe is asked (poll, FIONREAD). A full pipe says EAGAIN even when the
 *     source has ended.
 *   - SPLICE_F_NONBLOCK is about the pipe only: a blocking socket blocks all the same.
 *   - SPLICE_F_MORE with nothing behind it holds the last packet back for 200 ms: it is set only
 *     when the next segment is in hand.
 *   - 0 is the end of the source.
 *   - EINVAL of the sink comes when bytes are in the pipe already: before the first byte is out,
 *     they are read back into the bounce buffer, so that copying can go on with them.
 */
#include <errno.h>

#include "engine/chain_internal.h"

#define FLAGS (SPLICE_F_MOVE | SPLICE_F_NONBLOCK)

/* One splice out of the source. */
static ssize_t splice_from_source(struct leat_chain *chain, struct segment *segment, int out,
				  size_t len, unsigned flags)
{
	bool at_position = segment->offset == SEGMENT_CURRENT;
	int64_t offset = (int64_t)(segment->offset + segment->taken);
	ssize_t n;

	chain_syscall(chain);
	n = sys_splice(segment->fd, at_position ? NULL : &offset, out, NULL, len, flags);
	if (n > 0)
		segment->taken += (uint64_t)n;
	return n;
}

/* After EAGAIN between two foreign ends: which of them is to be waited for. Only the side that is a
 * pipe is asked, since it alone is nobody's but ours at this end. */
static enum stop splice_who_is_not_ready(struct leat_chain *chain, const struct segment *segment)
{
	struct pollfd sink = {.fd = chain->sink.fd, .events = POLLOUT};

	if (segment->kind == SOURCE_FILE || segment->kind == SOURCE_PSEUDO)
		return STOP_SINK_FULL;
	chain_syscall(chain);
	if (chain->sink.kind == SINK_PIPE) /* a full one says EAGAIN even at the source's end */
		return sys_poll(&sink, 1, 0) == 0 ? STOP_SINK_FULL : STOP_SOURCE_EMPTY;
	return sys_readable_bytes(segment->fd) > 0 ? STOP_SINK_FULL : STOP_SOURCE_EMPTY;
}

/* A source that is a pipe may have less than what was asked for: then nothing stands behind it yet,
 * and the sink would hold the bytes back. */
static bool splice_source_has_all(struct leat_chain *chain, const struct segment *segment,
				  size_t max)
{
	if (segment->kind != SOURCE_PIPE)
		return true;
	chain_syscall(chain);
	return sys_readable_bytes(segment->fd) >= (int)max;
}

static int splice_direct(struct leat_chain *chain, struct segment *segment, size_t max, bool more,
			 struct moved *ret)
{
	unsigned flags =
	    FLAGS | (more && splice_source_has_all(chain, segment, max) ? SPLICE_F_MORE : 0);
	ssize_t n = splice_from_source(chain, segment, chain->sink.fd, max, flags);

	if (n == -EAGAIN) {
		enum stop stop = splice_who_is_not_ready(chain, segment);

		/* Once more: bytes, or room, may have come between the call and the question, and
		 * an edge-triggered loop would never hear of them again. */
		n = splice_from_source(chain, segment, chain->sink.fd, max, flags);
		if (n == -EAGAIN && stop == STOP_SINK_FULL)
			return stop_at(chain, chain->sink.fd, POLLOUT, stop, ret);
		if (n == -EAGAIN)
			return stop_at(chain, segment->fd, POLLIN, stop, ret);
	}
	if (n < 0)
		return (int)n;
	if (n == 0) {
		ret->stop = STOP_SOURCE_END;
		return 0;
	}
	chain_account(chain, segment, chain_reference_column(chain), (uint64_t)n);
	ret->bytes = (size_t)n;
	return 0;
}

/* The sink refused before the first byte: what is in the pipe goes to the bounce buffer. */
static void splice_read_back(struct leat_chain *chain)
{
	struct bounce *bounce = &chain->bounce;
	ssize_t n;

	if (chain_take_bounce(chain) < 0)
		return;
	bounce->start = bounce->end = 0;
	while (chain->piped > 0) {
		chain_syscall(chain);
		n = sys_read(chain->pipe.read_fd, bounce->data + bounce->end,
			     BOUNCE_BYTES - bounce->end);
		if (n <= 0)
			return;
		bounce->end += (size_t)n;
		chain->piped -= (size_t)n;
	}
}

int splice_drain(struct leat_chain *chain, struct segment *segment, bool more, struct moved *ret)
{
	ssize_t n;

	chain_syscall(chain);
	n = sys_splice(chain->pipe.read_fd, NULL, chain->sink.fd, NULL, chain->piped,
		       FLAGS | (more ? SPLICE_F_MORE : 0));
	if (n == -EAGAIN)
		return stop_at(chain, chain->sink.fd, POLLOUT, STOP_SINK_FULL, ret);
	if (n < 0) {
		if (segment->sent == 0 && policy_is_refusal(LEAT_SPLICE, (int)n))
			splice_read_back(chain);
		return (int)n;
	}
	if (n == 0) /* a sink that takes nothing, and says nothing: don't spin */
		return -EIO;
	chain->piped -= (size_t)n;
	chain_account(chain, segment, chain_reference_column(chain), (uint64_t)n);
	ret->bytes = (size_t)n;
	return 0;
}

static int splice_through_pipe(struct leat_chain *chain, struct segment *segment, size_t max,
			       bool more, struct moved *ret)
{
	int r = chain_take_pipe(chain);

	if (r < 0)
		return r;
	if (chain->piped == 0) {
		ssize_t n = splice_from_source(chain, segment, chain->pipe.write_fd,
					       pipe_piece(segment, max), FLAGS);

		if (n == -EAGAIN)
			return stop_at(chain, segment->fd, POLLIN, STOP_SOURCE_EMPTY, ret);
		if (n < 0)
			return (int)n;
		if (n == 0) {
			ret->stop = STOP_SOURCE_END;
			return 0;
		}
		chain->piped = (size_t)n;
	}
	return splice_drain(chain, segment, more && chain->piped == max, ret);
}

static int splice_move(struct leat_chain *chain, struct segment *segment, size_t max, bool more,
		       struct moved *ret)
{
	*ret = (struct moved){0, STOP_NONE};
	if (segment->kind == SOURCE_PIPE || chain->sink.kind == SINK_PIPE)
		return splice_direct(chain, segment, max, more, ret);
	return splice_through_pipe(chain, segment, max, more, ret);
}

const struct technique technique_splice = {.id = LEAT_SPLICE, .move = splice_move};
