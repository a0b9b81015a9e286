/*
 * Spare blocks of one size: taken and given back last in, first out, so that what is taken next is
 * still in the processor's cache. Up to `max` are kept, the rest goes back to the allocator; and what
 * nobody needed for a while, if the owner calls spare_trim() now and then.
 *
 * One thread; what is taken is not zeroed.
 */
#ifndef BASE_SPARE_H
#define BASE_SPARE_H

#include <stdlib.h>

#include "base/check.h"

struct spare_block {
	struct spare_block *next;
};

struct spare {
	struct spare_block *first;
	unsigned count, max;
	unsigned unused; /* the fewest there were since spare_trim() */
	size_t size;
};

static inline void spare_init(struct spare *spare, size_t size, unsigned max)
{
	*spare = (struct spare){.size = size, .max = max};
}

/* NULL: no memory. */
static inline void *spare_take(struct spare *spare)
{
	struct spare_block *block = spare->first;

	if (unlikely(!block))
		return malloc(spare->size);
	spare->first = block->next;
	spare->count--;
	if (spare->count < spare->unused)
		spare->unused = spare->count;
	return block;
}

static inline void spare_give(struct spare *spare, void *memory)
{
	struct spare_block *block = memory;

	if (unlikely(spare->count >= spare->max)) {
		free(block);
		return;
	}
	block->next = spare->first;
	spare->first = block;
	spare->count++;
}

static inline void spare_drop(struct spare *spare, unsigned count)
{
	for (; count > 0; count--) {
		struct spare_block *block = spare->first;

		spare->first = block->next;
		spare->count--;
		free(block);
	}
}

/* Those that were never taken since the last time go. */
static inline void spare_trim(struct spare *spare)
{
	spare_drop(spare, spare->unused);
	spare->unused = spare->count;
}

static inline void spare_fini(struct spare *spare)
{
	spare_drop(spare, spare->count);
}

#endif
