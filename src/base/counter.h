/*
 * Counters with one writer and any readers: each is current and never torn, and adding costs no
 * locked instruction.
 */
#ifndef BASE_COUNTER_H
#define BASE_COUNTER_H

#include "base/check.h"

/* The writer's. `n` may be negative: unsigned arithmetic gets that right. */
static inline void counter_add(uint64_t *counter, uint64_t n)
{
	__atomic_store_n(counter, *counter + n, __ATOMIC_RELAXED);
}

/* For what is not added up but looked at from time to time. */
static inline void counter_set(uint64_t *counter, uint64_t n)
{
	__atomic_store_n(counter, n, __ATOMIC_RELAXED);
}

static inline uint64_t counter_get(const uint64_t *counter)
{
	return __atomic_load_n(counter, __ATOMIC_RELAXED);
}

/* How many of what began have not ended: both are counted up while they are read, so that an end may be
 * seen whose beginning was not. */
static inline uint64_t counter_between(uint64_t begun, uint64_t ended)
{
	return begun > ended ? begun - ended : 0;
}

#endif
