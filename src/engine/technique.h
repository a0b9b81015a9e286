/*
 * What a technique is to the engine: a function that moves some bytes of a segment to the chain's
 * sink, once. One file each: copy.c, mmap.c, sendfile.c, splice.c, tee.c, vmsplice.c, zerocopy.c,
 * range_copy.c, uring.c.
 *
 * A technique
 *   - is called with at most CHUNK_MAX bytes and makes as few system calls as it can; it never
 *     loops until done, never waits for the sink, and never sleeps;
 *   - says how many bytes the *sink* accepted (moved.bytes) and why it stopped (moved.stop);
 *   - counts each system call by chain_syscall(), adds what it takes from the source to
 *     segment->taken, and accounts accepted bytes by chain_account(), which adds them to
 *     segment->sent: the caller checks that the two agree;
 *   - says by chain_would_block() where to wait, before it stops with SOURCE_EMPTY, SINK_FULL or
 *     COMPLETION;
 *   - returns -errno for a failure. When no byte of the segment has been taken and
 *     policy_is_refusal() says so, the engine asks the policy for another technique; else the
 *     transfer has failed.
 *
 * A segment that is all sent is still not over while the last stop was STOP_COMPLETION or a mirror
 * holds it (mirrors_hold_segment()): move() is then called with max == 0 until neither is so. Sends
 * whose memory the kernel still reads do not hold up the next segment (completion.h); only their
 * segment's release waits.
 *
 * Bytes that were taken from the source but are not yet with the sink live in the chain's pipe
 * (chain->pipe, chain->piped) or its bounce buffer (chain->bounce), never anywhere else; what the
 * sink has and a mirror has not, in that mirror's pipe and bounce buffer, or at the end of the
 * chain's (mirror.h).
 */
#ifndef ENGINE_TECHNIQUE_H
#define ENGINE_TECHNIQUE_H

#include "engine/policy.h"

struct leat_chain;
struct segment;
struct completions;

/* One call moves no more than this: a fast peer would otherwise hold a thread for seconds (one
 * sendfile of 2 GiB was seen to take 10 s). */
#define CHUNK_MAX (1024u * 1024u)

/* The kernel's own limit for one read, write, sendfile or splice: MAX_RW_COUNT. */
#define KERNEL_CALL_MAX 0x7ffff000u

enum stop {
	STOP_NONE,         /* moved something (or took something into the pipe): call again */
	STOP_SOURCE_EMPTY, /* EAGAIN of the source */
	STOP_SINK_FULL,    /* EAGAIN of the sink */
	STOP_SOURCE_END,   /* the source has ended and nothing of it is held back */
	STOP_COMPLETION,   /* waits for the kernel's completion: zerocopy, uring */
};

struct moved {
	size_t bytes; /* that the sink accepted in this call */
	enum stop stop;
};

struct technique {
	enum leat_technique id;
	/* `max` <= CHUNK_MAX, and no more than what the sink has yet to get of the segment (a
	 * technique that shares blocks instead of moving bytes may go beyond `max`); 0 only
	 * to settle what is all sent. `more`: another segment follows at once, so that the last
	 * packet may wait for it (MSG_MORE), if this call takes the segment to its end. */
	int (*move)(struct leat_chain *chain, struct segment *segment, size_t max, bool more,
		    struct moved *ret);
	/* A cold file is read by a thread of the kernel's: nobody here would wait for the disk. */
	bool reads_elsewhere;
	/* Gives up what the technique holds for the chain (mapping, ring, completions). May be
	 * NULL. */
	void (*stop)(struct leat_chain *chain);

	/* Of a technique whose sends outlive move(), because the kernel still reads their memory
	 * (completion.h); else NULL. */

	/* Notes what has come, by completion_note(); calls no release. `all`: everything; else only
	 * if it is time to. */
	void (*collect)(struct leat_chain *chain, struct completions *completions, bool all);
	/* What to poll for when nothing more can be done until a completion comes. */
	struct leat_wait (*wait)(const struct leat_chain *chain,
				 const struct completions *completions);
};

/* NULL for LEAT_AUTO and for a technique that was not built in. */
const struct technique *technique_find(enum leat_technique id);

/* The techniques that are built in, for the table in technique.c. */
extern const struct technique technique_copy;
extern const struct technique technique_mmap;
extern const struct technique technique_sendfile;
extern const struct technique technique_splice;
extern const struct technique technique_tee;
extern const struct technique technique_vmsplice;
extern const struct technique technique_zerocopy;
extern const struct technique technique_range_copy;
extern const struct technique technique_uring; /* with liburing only */

#endif
