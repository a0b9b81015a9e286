/*
 * An engine: what the chains of one thread share. Nothing in it is made before it is needed: a
 * server that never splices owns no pipe, a transfer between files asks for no route.
 *
 * Owner: one thread; only `totals` is read by others (relaxed atomics, ledger_publish).
 */
#ifndef ENGINE_ENGINE_H
#define ENGINE_ENGINE_H

#include "base/check.h"
#include "engine/policy.h"
#include "engine/sigpipe.h"
#include "leat/leat.h"
#include "sys/caps.h"
#include "sys/pipe_pool.h"
#include "sys/route.h"

/* 256 KiB: four times the kernel's default, so that a splice moves as much as a socket usually
 * holds, while 256 such pipes still fit an unprivileged user's soft limit of 64 MiB. */
#define ENGINE_PIPE_BYTES  (256u * 1024u)
#define ENGINE_PIPES_SPARE 32u
/* Spare bounce buffers kept; those above are freed at once. */
#define ENGINE_BOUNCES_SPARE 8u

struct leat_engine {
	struct policy_limits limits;
	const struct caps *caps;    /* NULL: not asked yet */
	struct pipe_pool *pipes;    /* NULL: none was needed yet */
	struct route_cache *routes; /* the same */
	char *scratch; /* BOUNCE_BYTES; empty between two calls; NULL: not needed yet */
	char *bounces[ENGINE_BOUNCES_SPARE];
	unsigned bounce_count;
	uint32_t page_bytes;
	bool no_cachestat; /* this kernel does not have it */
	struct sigpipe_guard sigpipe;
	struct leat_ledger totals;
};

void engine_init(struct leat_engine *engine);
void engine_fini(struct leat_engine *engine);

const struct caps *engine_caps(struct leat_engine *engine);
/* BOUNCE_BYTES that nobody uses across calls; NULL when there is no memory. */
char *engine_scratch(struct leat_engine *engine);
int engine_take_pipe(struct leat_engine *engine, struct pipe_pair *ret);
void engine_give_pipe(struct leat_engine *engine, struct pipe_pair *pipe, bool empty);
/* NULL when there is no memory. */
char *engine_take_bounce(struct leat_engine *engine);
void engine_give_bounce(struct leat_engine *engine, char *bounce);

#endif
