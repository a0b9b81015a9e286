/*
 * io_uring: descriptor to pipe by IORING_OP_SPLICE, then pipe to sink by an ordinary splice(2);
 * memory by IORING_OP_SEND_ZC.
 *
 * The kernel does IORING_OP_SPLICE always on a thread of its own (REQ_F_FORCE_ASYNC, 6.12), so a
 * cold file never holds the caller: that is what this technique is for. It pays for it with a
 * hand-over a pipeful; a file in memory is faster by sendfile.
 *
 *     idle --submit--> flying (STOP_COMPLETION: the ring's descriptor polls) --event--> idle
 *
 * One operation flies at a time. While a splice does, the pipe belongs to it (uring->pipe) and not
 * to the chain. A send answers at once (MSG_DONTWAIT), and once more when the kernel no longer
 * reads the memory: until then it is in `inflight`, tagged with its number there.
 *
 * Linux 6.0 (SEND_ZC); whether it was copied after all is told from 6.2 on (unknown before).
 * io_uring is often forbidden: EPERM or ENOSYS of uring_new() is a refusal.
 */
#include "sys/uring.h"

#include <errno.h>
#include <stdlib.h>

#include "engine/chain_internal.h"
#include "engine/completion.h"

#define ENTRIES 8u
/* Tags that are no number of a send. */
#define TAG_SPLICE UINT64_MAX
#define TAG_CANCEL (UINT64_MAX - 1)
#define CANCEL_NS  1000000000u

struct uring {
	struct completions completions;
	struct uring_ring *ring;
	struct pipe_pair pipe; /* of the splice that is flying */
	enum { FLYING_NOTHING, FLYING_SPLICE, FLYING_SEND } flying;
	bool landed; /* its result is below, and was not looked at yet */
	int32_t result;
	bool notified_later; /* of a send: it stays in flight */
	bool no_report;      /* the kernel can't say whether it copied */
};

/* What is kept for the chain; NULL before its first operation. */
static struct uring *uring_of(const struct leat_chain *chain)
{
	struct completions *completions = completion_find(chain, &technique_uring);

	return completions ? container_of(completions, struct uring, completions) : NULL;
}

static int uring_begin(struct leat_chain *chain, struct uring **ret)
{
	struct uring *uring = uring_of(chain);
	int r;

	*ret = uring;
	if (uring)
		return 0;
	uring = calloc(1, sizeof(*uring));
	if (!uring)
		return -ENOMEM;
	uring->pipe = PIPE_NONE;
	chain_syscall(chain);
	r = uring_new(ENTRIES, &uring->ring);
	if (r < 0) {
		free(uring);
		return r;
	}
	completion_begin(chain, &uring->completions, &technique_uring);
	*ret = uring;
	return 0;
}

/* ---- Events ---- */

static void uring_reap(struct leat_chain *chain, struct uring *uring)
{
	struct uring_event event;

	/* A result is looked at before what comes behind it: that may be its own notification. */
	while (!uring->landed && uring_next(uring->ring, &event)) {
		if (event.tag == TAG_CANCEL)
			continue;
		if (event.notification) {
			completion_note(chain, &uring->completions, event.tag, event.copied);
			continue;
		}
		uring->landed = true;
		uring->result = event.result;
		uring->notified_later = event.more;
	}
}

/* Looking at the ring is no system call: it is always time to. */
static void uring_collect(struct leat_chain *chain, struct completions *completions, bool all)
{
	uring_reap(chain, container_of(completions, struct uring, completions));
}

static struct leat_wait uring_wait(const struct leat_chain *chain,
				   const struct completions *completions)
{
	const struct uring *uring = container_of(completions, struct uring, completions);

	return (struct leat_wait){sizeof(struct leat_wait), uring_fd(uring->ring), POLLIN};
}

static int uring_wait_for_event(struct leat_chain *chain, const struct uring *uring,
				struct moved *ret)
{
	chain_would_block(chain, uring_fd(uring->ring), POLLIN);
	ret->stop = STOP_COMPLETION;
	return 0;
}

/* ---- Descriptors ---- */

static int uring_submit_splice(struct leat_chain *chain, struct uring *uring,
			       struct segment *segment, size_t max)
{
	int64_t offset = -1;
	int r = chain_take_pipe(chain);

	if (r < 0)
		return r;
	if (segment->offset != SEGMENT_CURRENT)
		offset = (int64_t)(segment->offset + segment->taken);
	chain_syscall(chain);
	r = uring_splice(uring->ring, segment->fd, offset, chain->pipe.write_fd,
			 (unsigned)pipe_piece(segment, max), SPLICE_F_MOVE | SPLICE_F_NONBLOCK,
			 TAG_SPLICE);
	if (r < 0)
		return r;
	uring->pipe = chain->pipe;
	chain->pipe = PIPE_NONE;
	uring->flying = FLYING_SPLICE;
	return 0;
}

/* The result of the splice that has landed: bytes in the chain's pipe, an end, or nothing yet. */
static int uring_splice_landed(struct leat_chain *chain, struct uring *uring,
			       struct segment *segment, struct moved *ret)
{
	int32_t n = uring->result;

	uring->flying = FLYING_NOTHING;
	uring->landed = false;
	chain->pipe = uring->pipe;
	uring->pipe = PIPE_NONE;
	if (n == -EAGAIN) {
		chain_would_block(chain, segment->fd, POLLIN);
		ret->stop = STOP_SOURCE_EMPTY;
		return 0;
	}
	if (n < 0)
		return n;
	if (n == 0)
		ret->stop = STOP_SOURCE_END;
	segment->taken += (uint64_t)n;
	chain->piped = (size_t)n;
	return 0;
}

static int uring_move_descriptor(struct leat_chain *chain, struct uring *uring,
				 struct segment *segment, size_t max, bool more, struct moved *ret)
{
	int r;

	if (chain->piped == 0) {
		if (uring->flying == FLYING_NOTHING) {
			r = uring_submit_splice(chain, uring, segment, max);
			if (r < 0)
				return r;
		}
		uring_reap(chain, uring);
		if (!uring->landed)
			return uring_wait_for_event(chain, uring, ret);
		r = uring_splice_landed(chain, uring, segment, ret);
		if (r < 0 || ret->stop != STOP_NONE)
			return r;
	}
	return splice_drain(chain, segment, more && chain->piped == max, ret);
}

/* ---- Memory ---- */

/* Pages were handed over; where the kernel can't report, only bad news of the route is certain. */
static enum column uring_send_column(struct leat_chain *chain, const struct uring *uring)
{
	enum column column = chain_reference_column(chain);

	if (uring->no_report && column == COLUMN_BY_REFERENCE)
		return COLUMN_UNKNOWN;
	return column;
}

static int uring_submit_send(struct leat_chain *chain, struct uring *uring,
			     const struct segment *segment, size_t max, bool more)
{
	int r;

	chain_syscall(chain);
	r = uring_send_zc(uring->ring, chain->sink.fd, segment->memory + segment->taken, max,
			  MSG_DONTWAIT | (more ? MSG_MORE : 0), !uring->no_report,
			  uring->completions.inflight.next);
	if (r < 0)
		return r;
	uring->flying = FLYING_SEND;
	return 0;
}

/* Even a send that failed may have a notification to come. */
static int uring_send_landed(struct leat_chain *chain, struct uring *uring, struct segment *segment,
			     struct moved *ret)
{
	enum column column = uring_send_column(chain, uring);
	int32_t n = uring->result;

	uring->flying = FLYING_NOTHING;
	uring->landed = false;
	if (uring->notified_later)
		inflight_add(&uring->completions.inflight, n > 0 ? (uint64_t)n : 0, column, false);
	if (n == -EINVAL && !uring->no_report) {
		uring->no_report = true; /* 6.0 and 6.1; and what is wrong otherwise shows again */
		return -EAGAIN;
	}
	if (n == -EAGAIN) {
		chain_would_block(chain, chain->sink.fd, POLLOUT);
		ret->stop = STOP_SINK_FULL;
		return 0;
	}
	if (n < 0)
		return n;
	segment->taken += (uint64_t)n;
	chain_account(chain, segment, column, (uint64_t)n);
	ret->bytes = (size_t)n;
	return 0;
}

static int uring_move_memory(struct leat_chain *chain, struct uring *uring, struct segment *segment,
			     size_t max, bool more, struct moved *ret)
{
	int r;

	if (chain->sink.kind != SINK_TCP)
		return -EOPNOTSUPP;
	if (inflight_count(&uring->completions.inflight) == INFLIGHT_MAX)
		return uring_wait_for_event(chain, uring, ret);
	do {
		if (uring->flying == FLYING_NOTHING) {
			r = uring_submit_send(chain, uring, segment, max, more);
			if (r < 0)
				return r;
			uring_reap(chain, uring);
		}
		if (!uring->landed)
			return uring_wait_for_event(chain, uring, ret);
		r = uring_send_landed(chain, uring, segment, ret);
	} while (r == -EAGAIN);
	return r;
}

static int uring_move(struct leat_chain *chain, struct segment *segment, size_t max, bool more,
		      struct moved *ret)
{
	struct uring *uring;
	int r = uring_begin(chain, &uring);

	*ret = (struct moved){0, STOP_NONE};
	if (r < 0)
		return r;
	if (segment->kind == SOURCE_MEMORY)
		return uring_move_memory(chain, uring, segment, max, more, ret);
	return uring_move_descriptor(chain, uring, segment, max, more, ret);
}

/* ---- The end ---- */

/* An operation must not outlive what it works on: it is cancelled and waited for. One that still
 * reads from a disk after a second keeps the pipe, which is closed and not given back. */
static void uring_land(struct leat_chain *chain, struct uring *uring)
{
	uint64_t end = sys_now_ns() + CANCEL_NS;

	if (uring->flying == FLYING_NOTHING)
		return;
	uring_cancel(uring->ring,
		     uring->flying == FLYING_SPLICE ? TAG_SPLICE : uring->completions.inflight.next,
		     TAG_CANCEL);
	for (uring_reap(chain, uring); !uring->landed && sys_now_ns() < end;
	     uring_reap(chain, uring)) {
		struct pollfd fd = {.fd = uring_fd(uring->ring), .events = POLLIN};

		sys_poll(&fd, 1, 100);
	}
	if (uring->pipe.read_fd >= 0)
		engine_give_pipe(chain->engine, &uring->pipe, uring->landed && uring->result <= 0);
}

static void uring_stop(struct leat_chain *chain)
{
	struct uring *uring = uring_of(chain);

	if (!uring)
		return;
	uring_land(chain, uring);
	completion_end(chain, &uring->completions);
	uring_free(uring->ring);
	free(uring);
}

const struct technique technique_uring = {.id = LEAT_URING,
					  .move = uring_move,
					  .reads_elsewhere = true,
					  .stop = uring_stop,
					  .collect = uring_collect,
					  .wait = uring_wait};
