/*
 * Server-Timing: how the body goes, for --explain.
 *
 * Said before a byte has moved: it is what the engine promises for this file and this peer. Where
 * the kernel then refuses the technique the ledger has the fallback; the header is gone by then.
 */
#include "http/answer.h"

static bool ask(struct http_conn *c, uint64_t length, struct chain_promise *ret)
{
	struct leat_chain chain;
	int r;

	http_flight_chain(c, &chain);
	r = chain_promise_file(&chain, length, ret);
	c->reference_column = (int8_t)chain.reference_column;
	chain_fini(&chain);
	return r == 0;
}

static void put_promise(struct http_writer *w, const struct chain_promise *promise)
{
	http_put_timing(w, leat_technique_name(promise->technique), promise->reason,
			leat_verdict_name(promise->verdict));
}

void answer_put_explain(struct answer *a, const struct file_entry *entry, uint64_t shortest,
			uint64_t longest, struct http_writer *w)
{
	struct chain_promise first, second;

	if (!answer_site(a)->explain)
		return;
	if (entry->fd < 0) {
		file_entry_put_explain(w);
		return;
	}
	if (!ask(a->c, longest, &first) || !ask(a->c, shortest, &second))
		return;
	http_put_literal(w, "Server-Timing: ");
	put_promise(w, &first);
	if (second.technique != first.technique) {
		http_put_literal(w, ", ");
		put_promise(w, &second);
	}
	http_put_literal(w, "\r\n");
}
