/*
 * What the chains of a thread share: the pools of pipes and buffers, the one scratch buffer, what
 * the kernel can do, and the totals.
 *
 * A chain takes a pipe or a bounce buffer when bytes have to wait in it, and gives it back when it
 * is empty, mostly within the same step: so a few of them serve many chains. The scratch buffer is
 * for the length of one call: nothing is in it between two. Totals and counters are written by the
 * engine's thread alone and read by any; the rest is the thread's.
 */
#include "engine/engine.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/border.h"
#include "engine/chain.h"
#include "engine/ledger.h"
#include "sys/sys.h"

void engine_init(struct leat_engine *engine)
{
	memset(engine, 0, sizeof(*engine));
	engine->limits = thresholds_limits();
	for (size_t i = 0; i < ENGINE_RESIDENTS; i++)
		engine->residents[i].file = CHAIN_NO_FILE;
	engine->page_bytes = (uint32_t)sysconf(_SC_PAGESIZE);
}

void engine_fini(struct leat_engine *engine)
{
	CHECK(engine->large_taken == 0);
	pipe_pool_free(engine->large_pipes);
	pipe_pool_free(engine->small_pipes);
	free(engine->scratch);
	while (engine->bounce_count > 0)
		free(engine->bounces[--engine->bounce_count]);
}

int leat_engine_new(struct leat_engine **ret_engine)
{
	struct leat_engine *engine = malloc(sizeof(*engine));

	if (!engine)
		return -ENOMEM;
	engine_init(engine);
	*ret_engine = engine;
	return 0;
}

void leat_engine_free(struct leat_engine *engine)
{
	if (!engine)
		return;
	engine_fini(engine);
	free(engine);
}

void leat_engine_ledger(const struct leat_engine *engine, struct leat_ledger *ret_ledger)
{
	struct leat_ledger totals = LEAT_LEDGER_INIT;

	ledger_snapshot(&engine->totals, &totals);
	border_give(ret_ledger, &totals, sizeof(totals));
}

void engine_counters(const struct leat_engine *engine, struct engine_counters *ret)
{
	const struct engine_counters *from = &engine->counters;

	for (size_t t = 0; t < LEAT_TECHNIQUE_COUNT; t++) {
		ret->technique_bytes[t] = counter_get(&from->technique_bytes[t]);
		for (size_t i = 0; i < REFUSAL_COUNT; i++)
			ret->fallbacks[t][i] = counter_get(&from->fallbacks[t][i]);
	}
}

void engine_account_add(struct engine_account *sum, const struct leat_engine *engine)
{
	struct engine_counters more;
	struct leat_ledger ledger;

	ledger_snapshot(&engine->totals, &ledger);
	ledger_add(&sum->ledger, &ledger);
	engine_counters(engine, &more);
	for (unsigned t = 0; t < LEAT_TECHNIQUE_COUNT; t++) {
		sum->counters.technique_bytes[t] += more.technique_bytes[t];
		for (unsigned i = 0; i < REFUSAL_COUNT; i++)
			sum->counters.fallbacks[t][i] += more.fallbacks[t][i];
	}
}

const struct caps *engine_caps(struct leat_engine *engine)
{
	if (!engine->caps)
		engine->caps = caps_get();
	return engine->caps;
}

char *engine_scratch(struct leat_engine *engine)
{
	if (!engine->scratch)
		engine->scratch = malloc(BOUNCE_BYTES);
	return engine->scratch;
}

static int engine_make_pools(struct leat_engine *engine)
{
	int r = 0;

	if (!engine->large_pipes)
		r = pipe_pool_new(ENGINE_LARGE_PIPE_BYTES, ENGINE_LARGE_PIPES,
				  &engine->large_pipes);
	if (r == 0 && !engine->small_pipes)
		r = pipe_pool_new(ENGINE_SMALL_PIPE_BYTES, ENGINE_SMALL_PIPES_SPARE,
				  &engine->small_pipes);
	return r;
}

/* By its true size: a large pipe that the kernel did not let grow is a small one. */
static bool engine_pipe_is_large(const struct pipe_pair *pipe)
{
	return pipe->capacity > ENGINE_SMALL_PIPE_BYTES;
}

ssize_t engine_send(struct leat_engine *engine, int socket, const void *data, size_t len)
{
	static const struct leat_ledger nothing;
	struct leat_ledger sent = {.syscalls = 1};
	ssize_t n = sys_send(socket, data, len, 0);

	if (n >= 0) {
		ledger_account(&sent, COLUMN_COPIED, (uint64_t)n);
		sent.transfers = (size_t)n == len;
	}
	sent.would_block = n == -EAGAIN;
	counter_add(&engine->counters.technique_bytes[LEAT_COPY], sent.bytes);
	ledger_publish(&engine->totals, &sent, &nothing);
	return n;
}

int engine_take_pipe(struct leat_engine *engine, struct pipe_pair *ret)
{
	bool large = engine->large_taken < ENGINE_LARGE_PIPES;
	int r = engine_make_pools(engine);

	if (r == 0)
		r = pipe_pool_take(large ? engine->large_pipes : engine->small_pipes, ret);
	if (r == 0)
		engine->large_taken += engine_pipe_is_large(ret);
	return r;
}

void engine_give_pipe(struct leat_engine *engine, struct pipe_pair *pipe, bool empty)
{
	bool large = engine_pipe_is_large(pipe);

	engine->large_taken -= large;
	pipe_pool_give(large ? engine->large_pipes : engine->small_pipes, pipe, empty);
}

char *engine_take_bounce(struct leat_engine *engine)
{
	if (engine->bounce_count > 0)
		return engine->bounces[--engine->bounce_count];
	return malloc(BOUNCE_BYTES);
}

void engine_give_bounce(struct leat_engine *engine, char *bounce)
{
	if (engine->bounce_count < ENGINE_BOUNCES_SPARE)
		engine->bounces[engine->bounce_count++] = bounce;
	else
		free(bounce);
}
