/*
 * Sends whose memory the kernel still reads: who releases a segment's memory, whether anything is
 * outstanding, and where to wait for it. The techniques that have such sends stand in the table of
 * technique.c; this file and the chain know none of them by name.
 *
 * A chain goes on with its next segment while the completions of earlier ones are outstanding; only
 * when all is sent it waits for them (LEAT_WANT_COMPLETION).
 *
 *     completion_begin()   the technique's first send for this chain
 *     completion_collect() between two moves; completion_hold() when a segment ends
 *     completion_end()     the technique's stop(): waits, then releases all the same
 */
#ifndef ENGINE_COMPLETION_H
#define ENGINE_COMPLETION_H

#include "engine/inflight.h"
#include "engine/technique.h"

/* One technique's sends for one chain: the first member of what the technique keeps for it. */
struct completions {
	const struct technique *technique;
	struct completions *next;
	struct inflight inflight;
};

/* What the technique keeps for the chain; NULL: nothing yet. */
struct completions *completion_find(const struct leat_chain *chain,
				    const struct technique *technique);
/* From now on the chain collects them. Zeroed by the caller. */
void completion_begin(struct leat_chain *chain, struct completions *completions,
		      const struct technique *technique);
/* Waits for what is outstanding, for at most a second, calls every release that is held, and
 * forgets them: the memory is the technique's again. */
void completion_end(struct leat_chain *chain, struct completions *completions);

/* The segment has ended. True: its release is called once its sends are completed. */
bool completion_hold(struct leat_chain *chain, const struct segment *segment);
/* Takes completions if it is time to, and calls the releases that are due; these may add segments.
 */
void completion_collect(struct leat_chain *chain);
/* The same, and takes all that have come. True: some are outstanding, and chain->wait says where to
 * wait for them. */
bool completion_outstanding(struct leat_chain *chain);

/* The send `number` is completed. `copied`: the kernel says that the bytes were copied after all,
 * and the ledger says so from now on. */
void completion_note(struct leat_chain *chain, struct completions *completions, uint64_t number,
		     bool copied);

#endif
