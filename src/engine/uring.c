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
#include "engine/inflight.h"

#define ENTRIES 8u
/* Tags that are no number of a send. */
#define TAG_SPLICE UINT64_MAX
#define TAG_CANCEL (UINT64_MAX - 1)
#define CANCEL_NS  1000000000u

struct uring {
	struct uring_ring *ring;
	struct inflight inflight;
	struct pipe_pair pipe; /* of the splice that is flying */
	enum { FLYING_NOTHING, FLYING_SPLICE, FLYING_SEND } flying;
	bool landed; /* its result is below, and was not looked at yet */
	int32_t result;
	bool notified_later; /* of a send: it stays in flight */
	bool no_report;      /* the kernel can't say whether it copied */
};

static int prepare(struct leat_chain *chain)
{
	struct uring *uring;
	int r;

	if (chain->uring)
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
	chain->uring = uring;
	return 0;
}

/* ---- Events ---- */

void uring_reap(struct leat_chain *chain)
{
	struct uring *uring = chain->uring;
	struct uring_event event;

	/* A result is looked at before what comes behind it: that may be its own notification. */
	while (!uring->landed && uring_next(uring->ring, &event)) {
		if (event.tag == TAG_CANCEL)
			continue;
		if (event.notification) {
			completion_note(chain, &uring->inflight, event.tag, event.copied);
			continue;
		}
		uring->landed = true;
		uring->result = event.result;
		uring->notified_later = event.more;
	}
}

struct inflight *uring_inflight(const struct leat_chain *chain)
{
	return &chain->uring->inflight;
}

int uring_wait_fd(const struct leat_chain *chain)
{
	return uring_fd(chain->uring->ring);
}

static int wait_for_event(struct leat_chain *chain, struct moved *ret)
{
	chain_would_block(chain, uring_wait_fd(chain), POLLIN);
	ret->stop = STOP_COMPLETION;
	return 0;
}

/* ---- Descriptors ---- */

static int submit_splice(struct leat_chain *chain, struct segment *segment, size_t max)
{
	struct uring *uring = chain->uring;
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
static int splice_landed(struct leat_chain *chain, struct segment *segment, struct moved *ret)
{
	struct uring *uring = chain->uring;
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

static int move_descriptor(struct leat_chain *chain, struct segment *segment, size_t max, bool more,
			   struct moved *ret)
{
	struct uring *uring = chain->uring;
	int r;

	if (chain->piped == 0) {
		if (uring->flying == FLYING_NOTHING) {
			r = submit_splice(chain, segment, max);
			if (r < 0)
				return r;
		}
		uring_reap(chain);
		if (!uring->landed)
			return wait_for_event(chain, ret);
		r = splice_landed(chain, segment, ret);
		if (r < 0 || ret->stop != STOP_NONE)
			return r;
	}
	return splice_drain(chain, segment, more && chain->piped == max, ret);
}

/* ---- Memory ---- */

/* Pages were handed over; where the kernel can't report, only bad news of the route is certain. */
static enum column send_column(struct leat_chain *chain)
{
	enum column column = chain_reference_column(chain);

	if (chain->uring->no_report && column == COLUMN_BY_REFERENCE)
		return COLUMN_UNKNOWN;
	return column;
}

static int submit_send(struct leat_chain *chain, const struct segment *segment, size_t max,
		       bool more)
{
	struct uring *uring = chain->uring;
	int r;

	chain_syscall(chain);
	r = uring_send_zc(uring->ring, chain->sink.fd, segment->memory + segment->taken, max,
			  MSG_DONTWAIT | (more ? MSG_MORE : 0), !uring->no_report,
			  uring->inflight.next);
	if (r < 0)
		return r;
	uring->flying = FLYING_SEND;
	return 0;
}

/* Even a send that failed may have a notification to come. */
static int send_landed(struct leat_chain *chain, struct segment *segment, struct moved *ret)
{
	struct uring *uring = chain->uring;
	enum column column = send_column(chain);
	int32_t n = uring->result;

	uring->flying = FLYING_NOTHING;
	uring->landed = false;
	if (uring->notified_later)
		inflight_add(&uring->inflight, n > 0 ? (uint64_t)n : 0, column, false);
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

static int move_memory(struct leat_chain *chain, struct segment *segment, size_t max, bool more,
		       struct moved *ret)
{
	struct uring *uring = chain->uring;
	int r;

	if (chain->sink.kind != SINK_TCP)
		return -EOPNOTSUPP;
	if (inflight_count(&uring->inflight) == INFLIGHT_MAX)
		return wait_for_event(chain, ret);
	do {
		if (uring->flying == FLYING_NOTHING) {
			r = submit_send(chain, segment, max, more);
			if (r < 0)
				return r;
			uring_reap(chain);
		}
		if (!uring->landed)
			return wait_for_event(chain, ret);
		r = send_landed(chain, segment, ret);
	} while (r == -EAGAIN);
	return r;
}

static int uring_move(struct leat_chain *chain, struct segment *segment, size_t max, bool more,
		      struct moved *ret)
{
	int r = prepare(chain);

	*ret = (struct moved){0, STOP_NONE};
	if (r < 0)
		return r;
	if (segment->kind == SOURCE_MEMORY)
		return move_memory(chain, segment, max, more, ret);
	return move_descriptor(chain, segment, max, more, ret);
}

/* ---- The end ---- */

/* An operation must not outlive what it works on: it is cancelled and waited for. One that still
 * reads from a disk after a second keeps the pipe, which is closed and not given back. */
static void land(struct leat_chain *chain)
{
	struct uring *uring = chain->uring;
	uint64_t end = sys_now_ns() + CANCEL_NS;

	if (uring->flying == FLYING_NOTHING)
		return;
	uring_cancel(uring->ring,
		     uring->flying == FLYING_SPLICE ? TAG_SPLICE : uring->inflight.next,
		     TAG_CANCEL);
	for (uring_reap(chain); !uring->landed && sys_now_ns() < end; uring_reap(chain)) {
		struct pollfd fd = {.fd = uring_wait_fd(chain), .events = POLLIN};

		sys_poll(&fd, 1, 100);
	}
	if (uring->pipe.read_fd >= 0)
		engine_give_pipe(chain->engine, &uring->pipe, uring->landed && uring->result <= 0);
}

static void uring_stop(struct leat_chain *chain)
{
	struct uring *uring = chain->uring;

	if (!uring)
		return;
	land(chain);
	completion_await_all(chain);
	inflight_drop(&uring->inflight);
	uring_free(uring->ring);
	free(uring);
	chain->uring = NULL;
}

const struct technique technique_uring = {.id = LEAT_URING, .move = uring_move, .stop = uring_stop};
