/*
 * The account of a chain: the ledger's columns, and the verdict with its evidence.
 *
 * A technique that copies knows the column of its bytes. One that hands over pages asks
 * chain_reference_column(): of the sink's kind, of the self-probe, and for TCP of the device on the
 * way to the peer; with mirrors it is the worst of all sinks. The answer costs system calls and
 * stays for the chain's life, with the text that says what it rests on. The report takes the worst
 * column of the bytes that count (payload; memory only when there was nothing else) for its
 * verdict.
 */
#include <stdio.h>
#include <string.h>

#include "engine/border.h"
#include "engine/mirror.h"
#include "sys/route.h"

static uint32_t *account_segment_columns(struct leat_chain *chain, const struct segment *segment)
{
	return segment->kind == SOURCE_MEMORY ? &chain->memory_columns : &chain->payload_columns;
}

void chain_account(struct leat_chain *chain, struct segment *segment, enum column column,
		   uint64_t bytes)
{
	ledger_account(&chain->ledger, column, bytes);
	segment->sent += bytes;
	chain->technique_bytes[segment->technique->id] += bytes;
	counter_add(&chain->engine->counters.technique_bytes[segment->technique->id], bytes);
	chain->technique_reason[segment->technique->id] = segment->reason;
	if (segment->refused != 0)
		chain->ledger.bytes_fallen_back += bytes;
	*account_segment_columns(chain, segment) |= 1u << column;
}

void chain_fell_back(struct leat_chain *chain, enum leat_technique refused, int error)
{
	chain->ledger.fallbacks++;
	counter_add(&chain->engine->counters.fallbacks[refused][refusal_of(error)], 1);
}

/* ---- By reference, or not? ---- */

/* What an answer rests on: as long as chain->route_text. */
struct basis {
	char text[sizeof(((struct leat_chain *)0)->route_text)];
};

#define SAY(basis, ...) snprintf((basis)->text, sizeof((basis)->text), __VA_ARGS__)

/* What the self-probe saw on a socket pair: the worse of its two answers, since a chain may use
 * both calls. */
static enum column account_probe_column(struct leat_chain *chain, struct basis *basis)
{
	const struct caps *caps = engine_caps(chain->engine);

	if (caps->sendfile_by_reference == CAPS_NO || caps->splice_by_reference == CAPS_NO) {
		SAY(basis, "this kernel copies what sendfile or splice hand over");
		return COLUMN_COPIED;
	}
	if (caps->sendfile_by_reference != CAPS_YES || caps->splice_by_reference != CAPS_YES) {
		SAY(basis, "the self-probe could not be made");
		return COLUMN_UNKNOWN;
	}
	SAY(basis, "the self-probe saw pages go by reference");
	return COLUMN_BY_REFERENCE;
}

static enum column account_route_column(struct leat_chain *chain, int sink, struct basis *basis)
{
	enum column column = account_probe_column(chain, basis);
	struct route_features features = {.known = false};

	if (column != COLUMN_BY_REFERENCE)
		return column;
	if (route_features_of(sink, &features) < 0 || !features.known) {
		SAY(basis, "the outgoing device is not known");
		return COLUMN_UNKNOWN;
	}
	if (!features.scatter_gather) {
		SAY(basis, "%s has no scatter-gather: every byte is copied", features.device);
		return COLUMN_COPIED_LATER;
	}
	if (!features.checksum) {
		SAY(basis, "%s has no transmit checksum: every byte is copied", features.device);
		return COLUMN_COPIED_LATER;
	}
	SAY(basis, "self-probe by reference; %s has scatter-gather", features.device);
	return COLUMN_BY_REFERENCE;
}

static const char *account_transformed_by(enum sink_kind sink)
{
	return sink == SINK_KTLS ? "the kernel encrypts what is sent (kTLS)"
				 : "the sink's writer makes other bytes of them, such as TLS";
}

static enum column account_ask_sink(struct leat_chain *chain, int fd, enum sink_kind kind,
				    struct basis *basis)
{
	switch (kind) {
	case SINK_TCP:
		return account_route_column(chain, fd, basis);
	case SINK_UNIX:
	case SINK_PIPE:
		return account_probe_column(chain, basis);
	case SINK_FILE:
	case SINK_APPEND:
		/* generic_perform_write copies from the page it is handed. */
		SAY(basis, "the kernel copies into the file's page cache");
		return COLUMN_COPIED;
	case SINK_KTLS:
	case SINK_WRITER:
		SAY(basis, "%s", account_transformed_by(kind));
		return COLUMN_TRANSFORMED;
	case SINK_OTHER:
	case SINK_KIND_COUNT:
		break;
	}
	SAY(basis, "nothing is known of such a sink");
	return COLUMN_UNKNOWN;
}

static const enum column from_worst[] = {COLUMN_COPIED_LATER, COLUMN_COPIED, COLUMN_TRANSFORMED,
					 COLUMN_UNKNOWN, COLUMN_BY_REFERENCE};

static bool account_is_worse(enum column column, enum column than)
{
	size_t i = 0;

	while (from_worst[i] != column && from_worst[i] != than)
		i++;
	return from_worst[i] != than;
}

enum column mirror_reference_column(struct leat_chain *chain, struct mirror *mirror)
{
	struct basis basis;

	if (mirror->reference_column < 0) {
		mirror->reference_column =
		    (int)account_ask_sink(chain, mirror->fd, mirror->kind, &basis);
		memcpy(mirror->route_text, basis.text, sizeof(mirror->route_text));
	}
	return (enum column)mirror->reference_column;
}

/* Mirrors get the same pages: what one sink copies was copied. */
static enum column account_ask_all_sinks(struct leat_chain *chain)
{
	struct basis basis;
	enum column worst = account_ask_sink(chain, chain->sink.fd, chain->sink.kind, &basis);

	for (unsigned i = 0; i < chain->mirror_count; i++) {
		struct mirror *mirror = &chain->mirrors[i];
		enum column column = mirror_reference_column(chain, mirror);

		if (account_is_worse(column, worst)) {
			worst = column;
			SAY(&basis, "mirror %u: %.44s", i + 1, mirror->route_text);
		}
	}
	memcpy(chain->route_text, basis.text, sizeof(chain->route_text));
	return worst;
}

enum column chain_reference_column(struct leat_chain *chain)
{
	/* Of a pseudo-file or device the kernel copies the bytes into fresh pages
	 * (copy_splice_read), and hands over those. */
	if (chain->count > 0) {
		enum source_kind source = chain_segment(chain, 0)->kind;

		if (source == SOURCE_PSEUDO || source == SOURCE_OTHER)
			return chain_copy_column(chain);
	}
	if (chain->reference_column < 0)
		chain->reference_column = (int)account_ask_all_sinks(chain);
	return (enum column)chain->reference_column;
}

/* ---- The report ---- */

static uint64_t account_column_bytes(const struct leat_ledger *ledger, enum column column)
{
	const uint64_t bytes[COLUMN_COUNT] = {
	    [COLUMN_BY_REFERENCE] = ledger->bytes_by_reference,
	    [COLUMN_COPIED] = ledger->bytes_copied,
	    [COLUMN_COPIED_LATER] = ledger->bytes_copied_later,
	    [COLUMN_TRANSFORMED] = ledger->bytes_transformed,
	    [COLUMN_UNKNOWN] = ledger->bytes_unknown,
	};

	return bytes[column];
}

/* The worst column that counts, or COLUMN_COUNT when nothing was moved. */
static enum column account_worst_column(const struct leat_chain *chain)
{
	uint32_t used = chain->payload_columns ? chain->payload_columns : chain->memory_columns;

	for (size_t i = 0; i < ARRAY_SIZE(from_worst); i++)
		if (used & 1u << from_worst[i] &&
		    account_column_bytes(&chain->ledger, from_worst[i]) > 0)
			return from_worst[i];
	return COLUMN_COUNT;
}

static enum leat_verdict account_verdict(enum column column)
{
	switch (column) {
	case COLUMN_BY_REFERENCE:
		return LEAT_BY_REFERENCE;
	case COLUMN_COPIED:
	case COLUMN_COPIED_LATER:
		return LEAT_COPIED;
	case COLUMN_TRANSFORMED:
		return LEAT_TRANSFORMED;
	case COLUMN_UNKNOWN:
	case COLUMN_COUNT:
		break;
	}
	return LEAT_UNKNOWN;
}

int chain_promise_file(struct leat_chain *chain, uint64_t length, struct chain_promise *ret)
{
	struct segment segment = {.kind = SOURCE_FILE, .fd = -1, .length = length};
	enum column column = chain_copy_column(chain);
	int r = chain_choose(chain, &segment);

	if (r < 0)
		return r;
	if (segment.technique->id != LEAT_COPY && segment.technique->id != LEAT_MMAP)
		column = chain_reference_column(chain);
	if (segment.technique->id == LEAT_ZEROCOPY && column == COLUMN_BY_REFERENCE)
		column = COLUMN_UNKNOWN;
	*ret = (struct chain_promise){
	    .technique = segment.technique->id,
	    .reason = segment.reason,
	    .verdict = account_verdict(column),
	};
	return 0;
}

static enum leat_technique account_main_technique(const struct leat_chain *chain)
{
	unsigned best = LEAT_AUTO;

	for (unsigned i = LEAT_AUTO + 1; i < LEAT_TECHNIQUE_COUNT; i++)
		if (chain->technique_bytes[i] > (best ? chain->technique_bytes[best] : 0))
			best = i;
	return (enum leat_technique)best;
}

static const char *account_evidence(const struct leat_chain *chain, enum column column,
				    enum leat_technique technique)
{
	if (column == COLUMN_COUNT)
		return "nothing was moved";
	if (column == COLUMN_TRANSFORMED && sink_transforms(chain->sink.kind))
		return account_transformed_by(chain->sink.kind);
	if (column == COLUMN_COPIED && technique == LEAT_COPY)
		return "read and written by the CPU";
	if (column == COLUMN_COPIED && technique == LEAT_MMAP)
		return "written from a mapping by the CPU";
	if (column == COLUMN_COPIED && technique == LEAT_ZEROCOPY)
		return "sent the plain way: no room for one more completion";
	/* The route's own verdict comes first: without scatter-gather completions do not tell. */
	if (column == COLUMN_COPIED_LATER && chain->reference_column != COLUMN_COPIED_LATER)
		return "the kernel's completions say that it was copied";
	if (technique == LEAT_RANGE_COPY)
		return column == COLUMN_BY_REFERENCE ? "the files share blocks"
						     : "copied inside the kernel";
	if (chain->route_text[0] != '\0')
		return chain->route_text;
	return "the source's bytes are copied into fresh pages";
}

void report_give(struct leat_report *report, struct leat_report *ret_report)
{
	const size_t ledger_at = offsetof(struct leat_report, ledger);

	if (ret_report->size > ledger_at)
		report->ledger.size =
		    min_size(ret_report->size - ledger_at, sizeof(report->ledger));
	border_give(ret_report, report, sizeof(*report));
}

void leat_chain_report(const struct leat_chain *chain, struct leat_report *ret_report)
{
	enum column column = account_worst_column(chain);
	enum leat_technique technique = account_main_technique(chain);
	struct leat_report report = {
	    .ledger = chain->ledger,
	    .technique = technique,
	    .reason = chain->technique_reason[technique],
	    .verdict = account_verdict(column),
	};

	if (!report.reason)
		report.reason = "nothing was moved";
	snprintf(report.evidence, sizeof(report.evidence), "%s: %s", leat_technique_name(technique),
		 account_evidence(chain, column, technique));
	memcpy(report.fallback, chain->fallback_text, sizeof(report.fallback));
	memcpy(report.error, chain->error_text, sizeof(report.error));
	report_give(&report, ret_report);
}

static enum column account_ledger_worst(const struct leat_ledger *ledger)
{
	for (size_t i = 0; i < ARRAY_SIZE(from_worst); i++)
		if (account_column_bytes(ledger, from_worst[i]) > 0)
			return from_worst[i];
	return COLUMN_COUNT;
}

static const char *account_mirror_evidence(const struct mirror *mirror, enum column column)
{
	if (column == COLUMN_COUNT)
		return "nothing was moved";
	if (sink_transforms(mirror->kind))
		return account_transformed_by(mirror->kind);
	if ((int)column != mirror->reference_column)
		return "read and written by the CPU";
	return mirror->route_text;
}

int leat_chain_mirror_report(const struct leat_chain *chain, unsigned index,
			     struct leat_mirror_report *ret_report)
{
	const size_t ledger_at = offsetof(struct leat_mirror_report, ledger);
	struct leat_mirror_report report = LEAT_MIRROR_REPORT_INIT;
	const struct mirror *mirror;
	enum column column;

	if (index >= chain->mirror_count)
		return -EINVAL;
	mirror = &chain->mirrors[index];
	column = account_ledger_worst(&mirror->ledger);
	report.error = mirror->error;
	report.verdict = account_verdict(column);
	snprintf(report.evidence, sizeof(report.evidence), "%s",
		 account_mirror_evidence(mirror, column));
	report.ledger = mirror->ledger;
	if (ret_report->size > ledger_at)
		report.ledger.size = min_size(ret_report->size - ledger_at, sizeof(report.ledger));
	border_give(ret_report, &report, sizeof(report));
	return 0;
}
