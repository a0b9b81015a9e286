#include "base/wheel.h"

enum {
	PLACE_NONE = 0, /* in no list */
	PLACE_DUE = 1,
	PLACE_SLOT = 2, /* + level * WHEEL_SLOTS + slot */
};

void wheel_init(struct wheel *wheel, uint64_t now_ms)
{
	wheel->now_ms = now_ms;
	for (unsigned level = 0; level < WHEEL_LEVELS; level++) {
		wheel->occupied[level] = 0;
		for (unsigned slot = 0; slot < WHEEL_SLOTS; slot++)
			list_init(&wheel->slots[level][slot]);
	}
	list_init(&wheel->due);
}

static void unlink_timer(struct wheel *wheel, struct wheel_timer *timer)
{
	if (timer->place == PLACE_NONE)
		return;
	list_remove(&timer->node);
	if (timer->place >= PLACE_SLOT) {
		unsigned level = (timer->place - PLACE_SLOT) / WHEEL_SLOTS;
		unsigned slot = (timer->place - PLACE_SLOT) % WHEEL_SLOTS;

		if (list_empty(&wheel->slots[level][slot]))
			wheel->occupied[level] &= ~(1ull << slot);
	}
	timer->place = PLACE_NONE;
}

/* Files a timer that is in no list, for a time after the present. */
static void file_timer(struct wheel *wheel, struct wheel_timer *timer)
{
	uint64_t differs = timer->deadline_ms ^ wheel->now_ms;
	unsigned level = (63u - (unsigned)__builtin_clzll(differs)) / WHEEL_LEVEL_BITS;
	unsigned slot = (timer->deadline_ms >> (level * WHEEL_LEVEL_BITS)) % WHEEL_SLOTS;

	timer->filed_ms = timer->deadline_ms;
	timer->place = PLACE_SLOT + level * WHEEL_SLOTS + slot;
	list_push_back(&wheel->slots[level][slot], &timer->node);
	wheel->occupied[level] |= 1ull << slot;
}

void wheel_set(struct wheel *wheel, struct wheel_timer *timer, uint64_t deadline_ms)
{
	if (deadline_ms != WHEEL_NEVER)
		deadline_ms = min_u64(max_u64(deadline_ms, wheel->now_ms + 1), WHEEL_END_MS - 1);
	timer->deadline_ms = deadline_ms;
	if (timer->place == PLACE_NONE ? deadline_ms == WHEEL_NEVER
				       : deadline_ms >= timer->filed_ms)
		return;
	unlink_timer(wheel, timer);
	file_timer(wheel, timer);
}

void wheel_cancel(struct wheel *wheel, struct wheel_timer *timer)
{
	timer->deadline_ms = WHEEL_NEVER;
	unlink_timer(wheel, timer);
}

/* The lowest level that holds anything holds what comes first. */
static uint64_t first_slot(const struct wheel *wheel, unsigned *ret_level, unsigned *ret_slot)
{
	for (unsigned level = 0; level < WHEEL_LEVELS; level++) {
		unsigned slot, shift = level * WHEEL_LEVEL_BITS;

		if (!wheel->occupied[level])
			continue;
		slot = (unsigned)__builtin_ctzll(wheel->occupied[level]);
		*ret_level = level;
		*ret_slot = slot;
		return (wheel->now_ms >> shift >> WHEEL_LEVEL_BITS << WHEEL_LEVEL_BITS | slot)
		       << shift;
	}
	return WHEEL_NEVER;
}

uint64_t wheel_next(const struct wheel *wheel)
{
	unsigned level, slot;

	return list_empty(&wheel->due) ? first_slot(wheel, &level, &slot) : wheel->now_ms;
}

/* Its time has come: what is in it is due, belongs on a lower level, or was moved or given up. */
static void take_apart(struct wheel *wheel, struct list *slot)
{
	struct list moved, *node;

	list_init(&moved);
	list_move_all(&moved, slot);
	while ((node = list_pop_front(&moved))) {
		struct wheel_timer *timer = container_of(node, struct wheel_timer, node);

		if (timer->deadline_ms <= wheel->now_ms) {
			timer->place = PLACE_DUE;
			list_push_back(&wheel->due, node);
		} else if (timer->deadline_ms == WHEEL_NEVER) {
			timer->place = PLACE_NONE;
		} else {
			file_timer(wheel, timer);
		}
	}
}

void wheel_advance(struct wheel *wheel, uint64_t now_ms)
{
	unsigned level, slot;
	uint64_t start_ms;

	CHECK(now_ms < WHEEL_END_MS - 1);
	while ((start_ms = first_slot(wheel, &level, &slot)) <= now_ms) {
		wheel->now_ms = start_ms;
		wheel->occupied[level] &= ~(1ull << slot);
		take_apart(wheel, &wheel->slots[level][slot]);
	}
	wheel->now_ms = max_u64(wheel->now_ms, now_ms);
}

struct wheel_timer *wheel_expired(struct wheel *wheel)
{
	struct list *node;

	while ((node = list_pop_front(&wheel->due))) {
		struct wheel_timer *timer = container_of(node, struct wheel_timer, node);

		timer->place = PLACE_NONE;
		if (timer->deadline_ms <= wheel->now_ms) {
			timer->deadline_ms = WHEEL_NEVER;
			return timer;
		}
		/* Moved later by the handler of another timer. */
		if (timer->deadline_ms != WHEEL_NEVER)
			file_timer(wheel, timer);
	}
	return NULL;
}
