/*
 * An engine: what the chains of one thread share. Nothing in it is made before it is needed: a
 * server that never splices owns no pipe, a transfer between files asks for no route.
 *
 * Owner: one thread; only `totals` and `counters` are read by others (relaxed atomics).
 */
#ifndef ENGINE_ENGINE_H
#define ENGINE_ENGINE_H

#include <sys/types.h>

#include "base/counter.h"
#include "engine/ledger.h"
#include "engine/policy.h"
#include "engine/sigpipe.h"
#include "leat/leat.h"
#include "sys/caps.h"
#include "sys/pipe_pool.h"

/* Pipes. A chain holds one only while bytes are in it, so few serve many connections: these are
 * large (pair-splice of bench/: a relay through 1 MiB costs 0.7 of one through 256 KiB). What more
 * is needed, because many sinks are slow at once, is of the kernel's default size: an unprivileged
 * user may have 64 MiB of pipes, and beyond that gets two pages each. */
#define ENGINE_LARGE_PIPE_BYTES  (1024u * 1024u)
#define ENGINE_LARGE_PIPES       8u
#define ENGINE_SMALL_PIPE_BYTES  (64u * 1024u)
#define ENGINE_SMALL_PIPES_SPARE 24u
/* Spare bounce buffers kept; those above are freed at once. */
#define ENGINE_BOUNCES_SPARE 8u

/* A range that was seen in the page cache (chain_resident.c). */
struct resident {
	uint64_t file; /* segment.file */
	uint64_t start, end;
	uint64_t since_ns;
};
#define ENGINE_RESIDENTS 64u

struct leat_engine {
	struct policy_limits limits;
	const struct caps *caps;       /* NULL: not asked yet */
	struct pipe_pool *large_pipes; /* NULL: none was needed yet */
	struct pipe_pool *small_pipes;
	unsigned large_taken;
	char *scratch; /* BOUNCE_BYTES; empty between two calls; NULL: not needed yet */
	char *bounces[ENGINE_BOUNCES_SPARE];
	unsigned bounce_count;
	uint32_t page_bytes;
	struct resident residents[ENGINE_RESIDENTS]; /* by file and place, newest wins */
	bool no_cachestat;                           /* this kernel does not have it */
	struct sigpipe_guard sigpipe;
	struct leat_ledger totals;
	struct engine_counters counters;
};

/* Any thread: each figure is current. */
void engine_counters(const struct leat_engine *engine, struct engine_counters *ret);

/* What several engines did, summed. */
struct engine_account {
	struct leat_ledger ledger;
	struct engine_counters counters;
};

/* Any thread. */
void engine_account_add(struct engine_account *sum, const struct leat_engine *engine);

/* The thresholds in force (thresholds.c). */
struct policy_limits thresholds_limits(void);

void engine_init(struct leat_engine *engine);
void engine_fini(struct leat_engine *engine);

const struct caps *engine_caps(struct leat_engine *engine);
/* BOUNCE_BYTES that nobody uses across calls; NULL when there is no memory. */
char *engine_scratch(struct leat_engine *engine);
int engine_take_pipe(struct leat_engine *engine, struct pipe_pair *ret);
void engine_give_pipe(struct leat_engine *engine, struct pipe_pair *pipe, bool empty);
/* One send(2) of memory to a socket, for answers so small that a chain would be most of the work.
 * What the sink took, or -errno; in the totals like any other transfer. Doesn't wait. */
ssize_t engine_send(struct leat_engine *engine, int socket, const void *data, size_t len);
/* NULL when there is no memory. */
char *engine_take_bounce(struct leat_engine *engine);
void engine_give_bounce(struct leat_engine *engine, char *bounce);

#endif
