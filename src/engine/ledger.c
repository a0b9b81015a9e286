#include "engine/ledger.h"

#include <errno.h>

static uint64_t *ledger_column(struct leat_ledger *ledger, enum column column)
{
	switch (column) {
	case COLUMN_BY_REFERENCE:
		return &ledger->bytes_by_reference;
	case COLUMN_COPIED:
		return &ledger->bytes_copied;
	case COLUMN_COPIED_LATER:
		return &ledger->bytes_copied_later;
	case COLUMN_TRANSFORMED:
		return &ledger->bytes_transformed;
	case COLUMN_UNKNOWN:
		return &ledger->bytes_unknown;
	case COLUMN_COUNT:
		break;
	}
	check_failed(__FILE__, __LINE__, __func__, "column is a column");
}

void ledger_account(struct leat_ledger *ledger, enum column column, uint64_t bytes)
{
	ledger->bytes += bytes;
	*ledger_column(ledger, column) += bytes;
}

void ledger_move(struct leat_ledger *ledger, enum column from, enum column to, uint64_t bytes)
{
	CHECK(*ledger_column(ledger, from) >= bytes);
	*ledger_column(ledger, from) -= bytes;
	*ledger_column(ledger, to) += bytes;
}

bool ledger_sums(const struct leat_ledger *ledger)
{
	return ledger->bytes == ledger->bytes_by_reference + ledger->bytes_copied +
				    ledger->bytes_copied_later + ledger->bytes_transformed +
				    ledger->bytes_unknown;
}

/* Behind its size a ledger is nothing but uint64_t counters, so that these can be gone through as
 * an array. */
#define COUNTERS_AT offsetof(struct leat_ledger, bytes)
#define COUNTERS    ((sizeof(struct leat_ledger) - COUNTERS_AT) / sizeof(uint64_t))

static uint64_t *ledger_counters(struct leat_ledger *ledger)
{
	return &ledger->bytes;
}

static const uint64_t *ledger_const_counters(const struct leat_ledger *ledger)
{
	return &ledger->bytes;
}

void ledger_publish(struct leat_ledger *totals, const struct leat_ledger *now,
		    const struct leat_ledger *before)
{
	uint64_t *total = ledger_counters(totals);
	const uint64_t *to = ledger_const_counters(now), *from = ledger_const_counters(before);

	/* One writer: load and store are enough, and cheaper than an atomic add. A column may
	 * shrink (ledger_move): unsigned arithmetic gets that right. */
	for (size_t i = 0; i < COUNTERS; i++)
		if (to[i] != from[i])
			__atomic_store_n(&total[i], total[i] + (to[i] - from[i]), __ATOMIC_RELAXED);
}

void ledger_snapshot(const struct leat_ledger *totals, struct leat_ledger *ret)
{
	const uint64_t *total = ledger_const_counters(totals);
	uint64_t *copy = ledger_counters(ret);

	for (size_t i = 0; i < COUNTERS; i++)
		copy[i] = __atomic_load_n(&total[i], __ATOMIC_RELAXED);
}

void ledger_add(struct leat_ledger *sum, const struct leat_ledger *more)
{
	uint64_t *total = ledger_counters(sum);
	const uint64_t *from = ledger_const_counters(more);

	for (size_t i = 0; i < COUNTERS; i++)
		total[i] += from[i];
}

enum refusal refusal_of(int error)
{
	switch (error) {
	case -EINVAL:
		return REFUSAL_EINVAL;
	case -ENOSYS:
		return REFUSAL_ENOSYS;
	case -EOPNOTSUPP:
		return REFUSAL_EOPNOTSUPP;
	case -EXDEV:
		return REFUSAL_EXDEV;
	case -EPERM:
	case -EACCES:
		return REFUSAL_EPERM;
	case -EMFILE:
	case -ENFILE:
	case -ENOMEM:
	case -ENOBUFS:
		return REFUSAL_SHORTAGE;
	default:
		return REFUSAL_OTHER;
	}
}

const char *refusal_name(enum refusal refusal)
{
	static const char *const names[REFUSAL_COUNT] = {
	    [REFUSAL_EINVAL] = "EINVAL",         [REFUSAL_ENOSYS] = "ENOSYS",
	    [REFUSAL_EOPNOTSUPP] = "EOPNOTSUPP", [REFUSAL_EXDEV] = "EXDEV",
	    [REFUSAL_EPERM] = "EPERM",           [REFUSAL_SHORTAGE] = "shortage",
	    [REFUSAL_OTHER] = "other",
	};

	return names[refusal];
}
