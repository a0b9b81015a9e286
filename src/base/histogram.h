/*
 * A histogram of durations (or sizes) in fixed memory: log-linear, so that every value is counted
 * within 1/32 (3.2 %) of itself, from 0 up to 2^42 (73 minutes in nanoseconds); what is larger
 * counts as that.
 *
 * One thread adds; others may read at any time (relaxed atomics: a reader may see a value counted
 * and not yet summed, never a torn number).
 */
#ifndef BASE_HISTOGRAM_H
#define BASE_HISTOGRAM_H

#include <stdatomic.h>

#include "base/check.h"

enum {
	HISTOGRAM_STEP_BITS = 5, /* linear steps in each power of two */
	HISTOGRAM_VALUE_BITS = 42,
	HISTOGRAM_BUCKETS = (HISTOGRAM_VALUE_BITS - HISTOGRAM_STEP_BITS + 1) << HISTOGRAM_STEP_BITS,
};

/* 9.5 KiB. Zeroed: empty. */
struct histogram {
	_Atomic uint64_t counts[HISTOGRAM_BUCKETS];
	_Atomic uint64_t count, sum, max;
};

void histogram_add(struct histogram *h, uint64_t value);
/* The same `times`. */
void histogram_add_times(struct histogram *h, uint64_t value, uint64_t times);
/* Adds what `from` holds to `to`, which belongs to the calling thread. */
void histogram_merge(struct histogram *to, const struct histogram *from);
/* The value that `permille` thousandths of the values do not exceed (500: the median), rounded up
 * to the end of its bucket but not above the largest value; 0 when empty. */
uint64_t histogram_quantile(const struct histogram *h, unsigned permille);
uint64_t histogram_count(const struct histogram *h);
uint64_t histogram_sum(const struct histogram *h);
/* Of how many it is certain that they are not above `value`: those of the buckets that end there or
 * before. */
uint64_t histogram_count_to(const struct histogram *h, uint64_t value);
uint64_t histogram_max(const struct histogram *h);
/* 0 when empty. */
uint64_t histogram_mean(const struct histogram *h);

#endif
