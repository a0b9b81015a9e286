/*
 * Memory for one request: taken piece by piece, given back all at once.
 *
 * The memory is the caller's and bounded. What does not fit is NULL, never more memory: how much a
 * peer may make us spend is decided where the arena is made. One thread.
 */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include "base/check.h"

struct arena {
	char *memory;
	size_t size, used;
};

#define ARENA_ALIGN 8 /* of every piece */

/* `memory` is aligned to ARENA_ALIGN. */
static inline struct arena arena_over(void *memory, size_t size)
{
	CHECK((uintptr_t)memory % ARENA_ALIGN == 0);
	return (struct arena){.memory = memory, .size = size};
}

/* NULL when it does not fit. Not cleared. */
static inline void *arena_take(struct arena *arena, size_t size)
{
	size_t room = arena->size - arena->used;

	if (unlikely(size > room || (size + ARENA_ALIGN - 1) / ARENA_ALIGN * ARENA_ALIGN > room))
		return NULL;
	void *piece = arena->memory + arena->used;
	arena->used += (size + ARENA_ALIGN - 1) / ARENA_ALIGN * ARENA_ALIGN;
	return piece;
}

/* `count` things of `size` bytes each; NULL as well when their product overflows. */
static inline void *arena_take_array(struct arena *arena, size_t count, size_t size)
{
	size_t bytes;

	if (unlikely(__builtin_mul_overflow(count, size, &bytes)))
		return NULL;
	return arena_take(arena, bytes);
}

/* Every piece is gone. */
static inline void arena_reset(struct arena *arena)
{
	arena->used = 0;
}

#endif
