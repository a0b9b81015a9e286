/*
 * A hierarchical timer wheel with a resolution of one millisecond: setting, moving and cancelling
 * are constant time, whatever the number of timers. Pure: the caller brings the clock.
 *
 * Seven levels of 64 slots cover times up to 2^42 ms (139 years of uptime). A timer is filed by the
 * highest group of six bits in which its time differs from the wheel's own time, so a slot is
 * always wholly in the future, all timers of a level come before all timers of the next, and the
 * earliest slot is found with one bit scan a level. A slot whose time has come is taken apart: what
 * is due leaves, the rest is filed again on a lower level (at most six times in a timer's life).
 *
 * Moving a deadline later is one store: the timer stays where it is filed and is filed anew only
 * when that time comes. So is taking it away for now (WHEEL_NEVER). The price is that wheel_next()
 * may name a time at which nothing turns out to be due.
 *
 * Timers belong to the caller: zeroed before the first use, cancelled before the memory goes. One
 * thread.
 */
#ifndef BASE_WHEEL_H
#define BASE_WHEEL_H

#include "base/list.h"

#define WHEEL_NEVER UINT64_MAX

enum {
	WHEEL_LEVEL_BITS = 6,
	WHEEL_SLOTS = 1 << WHEEL_LEVEL_BITS,
	WHEEL_LEVELS = 7,
};

/* All times, the present too, are below this. */
#define WHEEL_END_MS (1ull << (WHEEL_LEVEL_BITS * WHEEL_LEVELS))

struct wheel_timer {
	struct list node;
	uint64_t filed_ms;    /* when the wheel looks at it; never after deadline_ms */
	uint64_t deadline_ms; /* when it is due */
	unsigned place;       /* where it is filed: level and slot, or one of wheel.c's marks */
};

struct wheel {
	uint64_t now_ms;
	uint64_t occupied[WHEEL_LEVELS]; /* one bit a slot that may hold timers */
	struct list slots[WHEEL_LEVELS][WHEEL_SLOTS];
	struct list due; /* past their time, not yet taken by wheel_expired() */
};

void wheel_init(struct wheel *wheel, uint64_t now_ms);

/* Due at deadline_ms; what is not in the future is due in the next millisecond. WHEEL_NEVER: not
 * due any more, but the wheel may still hold the timer (wheel_cancel() makes sure that it does
 * not). */
void wheel_set(struct wheel *wheel, struct wheel_timer *timer, uint64_t deadline_ms);
void wheel_cancel(struct wheel *wheel, struct wheel_timer *timer);

/* The earliest time at which a timer may be due; WHEEL_NEVER when none is set, the present when
 * wheel_expired() has something to give. Never later than the earliest deadline. */
uint64_t wheel_next(const struct wheel *wheel);

/* Moves the time on (never back) and sets aside what is due by then. */
void wheel_advance(struct wheel *wheel, uint64_t now_ms);
/* One timer that is due, no longer set; NULL when there is none. Whoever handles it may set and
 * cancel any timer, also those that are due and not yet taken. */
struct wheel_timer *wheel_expired(struct wheel *wheel);

#endif
