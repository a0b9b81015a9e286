#include "base/histogram.h"

enum { STEPS = 1 << HISTOGRAM_STEP_BITS };

#define VALUE_MAX ((1ull << HISTOGRAM_VALUE_BITS) - 1)

static uint64_t get(const _Atomic uint64_t *counter)
{
	return atomic_load_explicit(counter, memory_order_relaxed);
}

/* One thread writes, so no locked instruction is needed. */
static void add(_Atomic uint64_t *counter, uint64_t n)
{
	atomic_store_explicit(counter, get(counter) + n, memory_order_relaxed);
}

/* Values below STEPS have a bucket each; above, the top bit picks the power of two and the next
 * HISTOGRAM_STEP_BITS bits the step within it. */
static unsigned bucket_of(uint64_t value)
{
	unsigned shift;

	if (value < STEPS)
		return (unsigned)value;
	shift = 63u - (unsigned)__builtin_clzll(value) - HISTOGRAM_STEP_BITS;
	return shift * STEPS + (unsigned)(value >> shift);
}

/* The largest value that bucket_of() puts there. */
static uint64_t bucket_end(unsigned bucket)
{
	unsigned shift;

	if (bucket < 2 * STEPS)
		return bucket;
	shift = bucket / STEPS - 1;
	return ((uint64_t)(bucket % STEPS + STEPS + 1) << shift) - 1;
}

void histogram_add(struct histogram *h, uint64_t value)
{
	histogram_add_times(h, value, 1);
}

void histogram_add_times(struct histogram *h, uint64_t value, uint64_t times)
{
	value = min_u64(value, VALUE_MAX);
	add(&h->counts[bucket_of(value)], times);
	add(&h->sum, value * times);
	add(&h->count, times);
	if (value > get(&h->max))
		atomic_store_explicit(&h->max, value, memory_order_relaxed);
}

void histogram_merge(struct histogram *to, const struct histogram *from)
{
	for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
		uint64_t n = get(&from->counts[i]);

		/* Empty buckets are most of them: leave their cache lines clean. */
		if (n)
			add(&to->counts[i], n);
	}
	add(&to->sum, get(&from->sum));
	add(&to->count, get(&from->count));
	atomic_store_explicit(&to->max, max_u64(get(&to->max), get(&from->max)),
			      memory_order_relaxed);
}

uint64_t histogram_quantile(const struct histogram *h, unsigned permille)
{
	uint64_t count = get(&h->count), seen = 0;
	uint64_t rank = (uint64_t)(((unsigned __int128)count * permille + 999) / 1000);

	if (count == 0)
		return 0;
	for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
		seen += get(&h->counts[i]);
		if (seen >= max_u64(rank, 1))
			return min_u64(bucket_end(i), get(&h->max));
	}
	return get(&h->max);
}

uint64_t histogram_count(const struct histogram *h)
{
	return get(&h->count);
}

uint64_t histogram_sum(const struct histogram *h)
{
	return get(&h->sum);
}

uint64_t histogram_count_to(const struct histogram *h, uint64_t value)
{
	uint64_t count = 0;

	for (unsigned i = 0; i < HISTOGRAM_BUCKETS && bucket_end(i) <= value; i++)
		count += get(&h->counts[i]);
	return count;
}

uint64_t histogram_max(const struct histogram *h)
{
	return get(&h->max);
}

uint64_t histogram_mean(const struct histogram *h)
{
	uint64_t count = get(&h->count);

	return count ? get(&h->sum) / count : 0;
}
