/*
 * Mirrors: more sinks of a chain, which get every byte that its sink gets.
 *
 * What the sink has and a mirror has not yet is kept, oldest first, in
 *
 *     mirror->bounce      what was read back from the pipe, for a mirror that refuses splice
 *     mirror->pipe        pages that tee(2) shared, or bytes that were put aside; mirror->piped
 *     mirror->unwritten   the last so many bytes of the chain's bounce buffer (copy.c)
 *
 * Invariants, CHECKed in chain_verify():
 *   1. unwritten > 0 only while the chain's bounce buffer has these bytes, and for all segments but
 *      the one under way it is 0.
 *   2. a mirror that was dropped (error < 0) holds nothing.
 *
 * A mirror that is waited for holds up the next bytes until it has everything. One that may be
 * dropped never does: its rest is put aside in its pipe, and when that has no room it is dropped.
 * Only the chain's last segment is not over before the rest is with it.
 */
#ifndef ENGINE_MIRROR_H
#define ENGINE_MIRROR_H

#include "engine/chain_internal.h"

struct mirror {
	int fd;
	enum sink_kind kind;
	enum leat_mirror_policy policy;
	int error; /* 0, or why it was dropped */
	struct pipe_pair pipe;
	size_t piped;
	bool put_aside;       /* bytes were copied into the pipe: what is in it counts as copied */
	bool copies;          /* refuses splice (O_APPEND and the like): read + write */
	struct bounce bounce; /* of one that copies */
	size_t unwritten;
	int reference_column; /* as the chain's, of this sink alone */
	char route_text[64];
	struct leat_ledger ledger;
};

static inline bool mirror_is_on(const struct mirror *mirror)
{
	return mirror->error == 0;
}

/* Bytes that the mirror has yet to get of what was taken. */
static inline size_t mirror_behind(const struct mirror *mirror)
{
	return mirror->piped + (mirror->bounce.end - mirror->bounce.start) + mirror->unwritten;
}

/* The invariants. */
void mirror_verify(const struct leat_chain *chain, const struct mirror *mirror);

/* What it holds goes back, and it is as new. */
void mirror_reset(struct leat_chain *chain, struct mirror *mirror);

/* The mirror can't go on (-errno; -EAGAIN: it fell behind). 0: it is dropped; -errno: the chain has
 * failed. */
int mirror_gives_up(struct leat_chain *chain, struct mirror *mirror, int error);

/* Makes sure that it has a pipe. 0 or -errno. */
int mirror_take_pipe(struct leat_chain *chain, struct mirror *mirror);
/* What pipe and bounce buffer hold, to its sink. 0, or mirror_gives_up(). *ret_full becomes true
 * when it takes no more now. */
int mirror_drain(struct leat_chain *chain, struct mirror *mirror, bool *ret_full);
/* All of it, and then the unwritten bytes. */
int mirror_write(struct leat_chain *chain, struct mirror *mirror, bool *ret_full);
/* The unwritten bytes, into its pipe: the chain's buffer is needed. */
int mirror_put_aside(struct leat_chain *chain, struct mirror *mirror);

/* All mirrors have been asked and the sink has everything of the last segment: stops at one that
 * may be dropped and has yet to take its rest. 0. */
int mirrors_settle(struct leat_chain *chain, struct moved *ret);
/* The segment that is all sent is not over yet. */
bool mirrors_hold_segment(const struct leat_chain *chain);
/* Some have yet to get bytes of the chain's bounce buffer. */
bool mirrors_hold_bounce(const struct leat_chain *chain);

/* chain_account.c: the column of bytes that go to the mirror by reference. Asked once. */
enum column mirror_reference_column(struct leat_chain *chain, struct mirror *mirror);

/* One way out of pipe and bounce buffer: the sink's, in tee.c, or a mirror's. */
struct outlet {
	int fd;
	const struct pipe_pair *pipe;
	size_t *piped; /* bytes in the pipe */
	struct bounce *bounce;
	bool *copies; /* refuses splice */
};

/* Until the outlet is empty (0) or its sink is full (-EAGAIN); -errno. Adds to *ret_bytes what its
 * sink took. */
int outlet_drain(struct leat_chain *chain, const struct outlet *outlet, size_t *ret_bytes);

#endif
