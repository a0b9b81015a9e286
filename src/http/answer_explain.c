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

/* Helpers read it (http_body.h), and the pipe goes out as the file would. */
static void explain_read(struct answer *a, uint64_t length, struct http_writer *w)
{
	enum leat_technique technique = answer_site(a)->technique;
	bool splices = technique == LEAT_AUTO || technique == LEAT_SPLICE;
	enum leat_verdict verdict = LEAT_COPIED;
	struct chain_promise promise;

	if (splices && !ask(a->c, length, &promise))
		return;
	if (splices)
		verdict = promise.verdict;
	http_put_literal(w, "Server-Timing: ");
	http_put_timing(w, leat_technique_name(splices ? LEAT_SPLICE : LEAT_COPY),
			"read by a helper: this file system may wait", leat_verdict_name(verdict));
	http_put_literal(w, "\r\n");
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
	if (entry->system != FILE_SYSTEM_LOCAL) {
		explain_read(a, longest, w);
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
