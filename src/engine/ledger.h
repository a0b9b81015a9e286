/*
 * The ledger: what was moved, how, and at what price (struct leat_ledger in leat/leat.h). Pure.
 *
 * A chain counts in its own ledger; the engine's totals get the difference at the end of each step,
 * as relaxed atomics, so that a metrics thread may read them at any time.
 */
#ifndef ENGINE_LEDGER_H
#define ENGINE_LEDGER_H

#include "base/check.h"
#include "leat/leat.h"

/* Why a technique was refused, as far as it is told apart (policy_is_refusal() says what they
 * mean).
 */
enum refusal {
	REFUSAL_EINVAL,
	REFUSAL_ENOSYS,
	REFUSAL_EOPNOTSUPP,
	REFUSAL_EXDEV,
	REFUSAL_EPERM,    /* and EACCES */
	REFUSAL_SHORTAGE, /* EMFILE, ENFILE, ENOMEM, ENOBUFS */
	REFUSAL_OTHER,
	REFUSAL_COUNT,
};

/* Where the bytes of an engine's chains went, beside the ledger that everybody sees. One writer, as
 * for the totals. */
struct engine_counters {
	uint64_t technique_bytes[LEAT_TECHNIQUE_COUNT]; /* their sum is the ledger's bytes */
	uint64_t fallbacks[LEAT_TECHNIQUE_COUNT][REFUSAL_COUNT]; /* their sum is its fallbacks */
};

enum refusal refusal_of(int error);
/* "EINVAL", "shortage", "other" ... */
const char *refusal_name(enum refusal refusal);

enum column {
	COLUMN_BY_REFERENCE,
	COLUMN_COPIED,
	COLUMN_COPIED_LATER,
	COLUMN_TRANSFORMED,
	COLUMN_UNKNOWN,
	COLUMN_COUNT,
};

/* `bytes` accepted by the sink, in this column. */
void ledger_account(struct leat_ledger *ledger, enum column column, uint64_t bytes);
/* MSG_ZEROCOPY's completion: what was counted as `from` turned out to be `to`. */
void ledger_move(struct leat_ledger *ledger, enum column from, enum column to, uint64_t bytes);
/* Whether the columns sum to the bytes. */
bool ledger_sums(const struct leat_ledger *ledger);
/* A ledger that no other thread writes to, into another. */
void ledger_add(struct leat_ledger *sum, const struct leat_ledger *more);
/* Adds what `now` has more than `before` to totals that other threads read. */
void ledger_publish(struct leat_ledger *totals, const struct leat_ledger *now,
		    const struct leat_ledger *before);
/* Reads totals that another thread publishes to. */
void ledger_snapshot(const struct leat_ledger *totals, struct leat_ledger *ret);

#endif
