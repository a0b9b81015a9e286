/*
 * A fixed pool of equal slots in memory that the caller has reserved. Slots never used are never
 * touched, so a large reservation (mmap) costs nothing until it is needed; the slot given back last
 * is taken first, while it is still in the cache.
 *
 * Each slot begins with a struct slot. Its generation is odd while the slot is taken and moves on
 * with every take and give: a reference that remembers it knows when it has gone stale. The memory
 * stays readable for the life of the pool, so a stale reference may be asked safely.
 *
 * One thread.
 */
#ifndef BASE_SLOTS_H
#define BASE_SLOTS_H

#include "base/check.h"

/* The first member of what a slot holds. */
struct slot {
	uint32_t generation;
	uint32_t next_free; /* the pool's, while the slot is free */
};

struct slots {
	char *memory;
	size_t slot_size;
	uint32_t count;
	uint32_t touched; /* slots from here on were never taken */
	uint32_t free;    /* the one given back last; SLOTS_NONE */
	uint32_t taken;
};

#define SLOTS_NONE UINT32_MAX

/* `memory`: count * slot_size zeroed bytes; slot_size a multiple of the alignment slots need. */
void slots_init(struct slots *slots, void *memory, size_t slot_size, uint32_t count);
/* NULL when all are taken. *ret_fresh: never used before, so all but its struct slot is zero. */
void *slots_take(struct slots *slots, bool *ret_fresh);
void slots_give(struct slots *slots, void *slot);

static inline bool slot_is_taken(const struct slot *slot)
{
	return slot->generation & 1;
}

#endif
