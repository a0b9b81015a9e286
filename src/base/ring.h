/*
 * A bounded ring of messages: any thread pushes, one thread pops. Lock-free; a full ring refuses.
 *
 * Each cell carries a turn: 2n while the n-th lap may write it, 2n + 1 while the n-th lap may read
 * it. A writer claims a cell by moving `head` past it and publishes it by its turn, so the reader
 * never waits for a writer that was interrupted half way: that cell and those behind it are simply
 * not there yet. Zeroed memory is an empty ring, and cells never used are never touched.
 *
 * Publishing a message and looking whether there is one are sequentially consistent: a reader that
 * says "asleep" and then finds the ring empty will be seen asleep by whoever pushes later.
 */
#ifndef BASE_RING_H
#define BASE_RING_H

#include <stdatomic.h>

#include "base/check.h"

struct ring_message {
	void (*fn)(void *arg);
	void *arg;
};

struct ring_cell {
	_Atomic uint64_t turn;
	struct ring_message message;
};

struct ring {
	_Alignas(64) _Atomic uint64_t head; /* writers: the next to claim */
	struct ring_cell *cells;
	uint64_t mask;
	_Alignas(64) uint64_t tail; /* the reader's alone */
};

/* `cells`: zeroed, the caller's; `count` a power of two. */
void ring_init(struct ring *ring, struct ring_cell *cells, size_t count);
/* Any thread; false when the ring is full. */
bool ring_push(struct ring *ring, struct ring_message message);
/* The reader's thread: false when there is nothing (yet). */
bool ring_pop(struct ring *ring, struct ring_message *ret);
bool ring_empty(const struct ring *ring);
/* How many have been claimed and not popped: what a reader takes in one go without chasing writers.
 */
uint64_t ring_pending(const struct ring *ring);

#endif
