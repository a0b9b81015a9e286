/*
 * Sends whose memory the kernel still reads: the account that zerocopy and uring share. Pure.
 *
 * A ring of sends, oldest first, numbered from 0 upwards. The kernel completes them singly or in
 * ranges, mostly but not always in order. A segment's memory is given back when its last send and
 * all sends before that are completed: so releases come in the order of the segments.
 *
 *     add -> outstanding -> completed -> (once it is the oldest) retired, release called
 *
 * Completing and retiring are two steps: a release may add segments to the chain, so it is called
 * only where nobody holds a pointer into it.
 *
 * Invariants: first <= next, next - first <= INFLIGHT_MAX; `open` only while the newest send
 * belongs to the segment under way.
 */
#ifndef ENGINE_INFLIGHT_H
#define ENGINE_INFLIGHT_H

#include "engine/ledger.h"
#include "leat/leat.h"

/* Each holds at most one call's bytes; net.core.optmem_max (128 KiB) ends at about as many. */
#define INFLIGHT_MAX 256u

struct inflight_send {
	uint64_t bytes;
	enum column column; /* where the ledger has them now */
	bool payload;       /* of a file or stream, not memory: for the verdict */
	bool completed;
	leat_release release; /* of the segment that ended with this send; may be NULL */
	void *release_arg;
};

struct inflight {
	struct inflight_send sends[INFLIGHT_MAX];
	uint64_t first, next; /* numbers: oldest in the ring, next to be given */
	unsigned outstanding; /* of those in the ring: not completed */
	bool open;
};

static inline uint64_t inflight_count(const struct inflight *inflight)
{
	return inflight->next - inflight->first;
}

/* The number of the new send. CHECKs that there is room. */
uint64_t inflight_add(struct inflight *inflight, uint64_t bytes, enum column column, bool payload);
/* The send with this number is completed: it, or NULL when it was not outstanding. */
struct inflight_send *inflight_complete(struct inflight *inflight, uint64_t number);
/* The segment under way has ended. True: `release` will be called when its sends are completed;
 * false: nothing of it is outstanding, the caller releases. */
bool inflight_hold(struct inflight *inflight, leat_release release, void *release_arg);
/* Retires what is completed at the old end, calling the releases. */
void inflight_retire(struct inflight *inflight);
/* Calls every release that is held, completed or not, and forgets all sends. */
void inflight_drop(struct inflight *inflight);

/*
 * MSG_ZEROCOPY counts a socket's sends in 32 bits, and goes on counting from chain to chain; where
 * it stands can't be asked. So the first completion that a chain sees is taken for its oldest send.
 * TCP frees data in order of acknowledgement, so a later one coming first only means that the
 * earlier ones were acknowledged too: the base is then corrected downwards.
 */
struct zerocopy_base {
	bool known;
	uint32_t id;      /* the kernel's number of send number `origin` */
	uint64_t origin;  /* the oldest send when the first completion came */
	uint64_t highest; /* 1 + the highest number completed so far */
};

/* Turns the kernel's range [low, high] into numbers [*ret_from, *ret_to). */
void zerocopy_range(struct zerocopy_base *base, const struct inflight *inflight, uint32_t low,
		    uint32_t high, uint64_t *ret_from, uint64_t *ret_to);

#endif
