#include "engine/completion.h"

#include "engine/chain_internal.h"

#define AWAIT_NS     1000000000u
#define AWAIT_NAP_MS 1

struct completions *completion_find(const struct leat_chain *chain,
				    const struct technique *technique)
{
	struct completions *completions = chain->completions;

	while (completions && completions->technique != technique)
		completions = completions->next;
	return completions;
}

void completion_begin(struct leat_chain *chain, struct completions *completions,
		      const struct technique *technique)
{
	CHECK(technique->collect && technique->wait && !completion_find(chain, technique));
	completions->technique = technique;
	completions->next = chain->completions;
	chain->completions = completions;
}

bool completion_hold(struct leat_chain *chain, const struct segment *segment)
{
	for (struct completions *c = chain->completions; c; c = c->next)
		if (inflight_hold(&c->inflight, segment->release, segment->release_arg))
			return true;
	return false;
}

static void completion_take(struct leat_chain *chain, bool all)
{
	for (struct completions *c = chain->completions; c; c = c->next) {
		c->technique->collect(chain, c, all);
		inflight_retire(&c->inflight);
	}
}

void completion_collect(struct leat_chain *chain)
{
	completion_take(chain, false);
}

bool completion_outstanding(struct leat_chain *chain)
{
	completion_take(chain, true);
	for (struct completions *c = chain->completions; c; c = c->next)
		if (c->inflight.outstanding > 0) {
			chain->wait = c->technique->wait(chain, c);
			return true;
		}
	return false;
}

/* A socket with an error or a hang-up polls ready for ever, whether completions come or not: hence
 * the nap when poll was quick and nothing had come. */
static void completion_await_all(struct leat_chain *chain)
{
	uint64_t end = sys_now_ns() + AWAIT_NS;

	while (completion_outstanding(chain) && sys_now_ns() < end) {
		struct pollfd fd = {.fd = chain->wait.fd, .events = chain->wait.events};

		chain_syscall(chain);
		if (sys_poll(&fd, 1, 100) > 0 && completion_outstanding(chain))
			sys_poll(NULL, 0, AWAIT_NAP_MS);
	}
}

void completion_end(struct leat_chain *chain, struct completions *completions)
{
	struct completions **link = &chain->completions;

	completion_await_all(chain);
	inflight_drop(&completions->inflight);
	while (*link != completions)
		link = &(*link)->next;
	*link = completions->next;
}

void completion_note(struct leat_chain *chain, struct completions *completions, uint64_t number,
		     bool copied)
{
	struct inflight_send *send = inflight_complete(&completions->inflight, number);

	if (!send || !copied || send->column == COLUMN_COPIED_LATER)
		return;
	ledger_move(&chain->ledger, send->column, COLUMN_COPIED_LATER, send->bytes);
	*(send->payload ? &chain->payload_columns : &chain->memory_columns) |=
	    1u << COLUMN_COPIED_LATER;
	send->column = COLUMN_COPIED_LATER;
}
