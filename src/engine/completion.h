/*
 * What the chain needs to know of sends whose memory the kernel still reads (zerocopy, uring): who
 * releases a segment's memory, whether anything is outstanding, and where to wait for it.
 *
 * A chain goes on with its next segment while the completions of earlier ones are outstanding; only
 * when all is sent it waits for them (LEAT_WANT_COMPLETION).
 */
#ifndef ENGINE_COMPLETION_H
#define ENGINE_COMPLETION_H

#include <stdbool.h>
#include <stdint.h>

struct leat_chain;
struct segment;
struct inflight;

/* The segment has ended. True: its release is called once its sends are completed. */
bool completion_hold(struct leat_chain *chain, const struct segment *segment);
/* Takes completions if it is time to, and calls the releases that are due; these may add segments.
 */
void completion_collect(struct leat_chain *chain);
/* The same, and takes all that have come. True: some are outstanding, and chain->wait says where to
 * wait for them. */
bool completion_outstanding(struct leat_chain *chain);
/* Waits for all that are outstanding, for at most a second: the end of a chain. */
void completion_await_all(struct leat_chain *chain);

/* The send `number` is completed. `copied`: the kernel says that the bytes were copied after all,
 * and the ledger says so from now on. */
void completion_note(struct leat_chain *chain, struct inflight *inflight, uint64_t number,
		     bool copied);

/* zerocopy.c, uring.c: notes what has come; no release is called. */
void zerocopy_reap(struct leat_chain *chain);
void uring_reap(struct leat_chain *chain);
struct inflight *zerocopy_inflight(const struct leat_chain *chain);
struct inflight *uring_inflight(const struct leat_chain *chain);
/* The ring's descriptor. */
int uring_wait_fd(const struct leat_chain *chain);

#endif
