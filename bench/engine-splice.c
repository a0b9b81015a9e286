/*
 * The engine against floor-splice, through the public header only: one stream segment in a
 * chain, poll(2) where the chain says that it waits.
 */
#include <errno.h>
#include <string.h>

#include <leat/leat.h>

#include "relay.h"

static void check(int result, const char *what)
{
	if (result >= 0)
		return;
	fprintf(stderr, "%s: %s\n", what, strerror(-result));
	die_text("the engine failed");
}

void engine_relay(int in, int out, uint64_t bytes)
{
	struct leat_report report = LEAT_REPORT_INIT;
	struct leat_engine *engine;
	struct leat_chain *chain;
	struct leat_wait wait = LEAT_WAIT_INIT;
	int step;

	check(leat_engine_new(&engine), "leat_engine_new");
	check(leat_chain_new(engine, out, NULL, &chain), "leat_chain_new");
	check(leat_chain_add_stream(chain, in, bytes, NULL, NULL), "leat_chain_add_stream");
	while ((step = leat_chain_step(chain, 0)) != LEAT_DONE) {
		check(step, "leat_chain_step");
		if (step == LEAT_MORE)
			continue;
		leat_chain_wait(chain, &wait);
		wait_for(wait.fd, wait.events);
	}
	leat_chain_report(chain, &report);
	if (report.ledger.bytes != bytes)
		die_text("the ledger counts other bytes than asked for");
	leat_chain_free(chain);
	leat_engine_free(engine);
}
