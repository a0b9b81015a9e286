#include "base/ring.h"

void ring_init(struct ring *ring, struct ring_cell *cells, size_t count)
{
	CHECK(count && (count & (count - 1)) == 0);
	ring->cells = cells;
	ring->mask = count - 1;
	atomic_init(&ring->head, 0);
	ring->tail = 0;
}

/* The turn at which the cell of `position` may be written; plus one: read. */
static uint64_t turn_of(const struct ring *ring, uint64_t position)
{
	return position / (ring->mask + 1) * 2;
}

bool ring_push(struct ring *ring, struct ring_message message)
{
	uint64_t head = atomic_load_explicit(&ring->head, memory_order_relaxed);

	for (;;) {
		struct ring_cell *cell = &ring->cells[head & ring->mask];
		uint64_t turn = atomic_load_explicit(&cell->turn, memory_order_acquire);

		if (turn < turn_of(ring, head))
			return false; /* the lap before has not been read */
		if (turn > turn_of(ring, head)) {
			head = atomic_load_explicit(&ring->head, memory_order_relaxed);
			continue; /* another writer was faster */
		}
		if (!atomic_compare_exchange_weak_explicit(&ring->head, &head, head + 1,
							   memory_order_relaxed,
							   memory_order_relaxed))
			continue;
		cell->message = message;
		atomic_store(&cell->turn, turn + 1);
		return true;
	}
}

bool ring_empty(const struct ring *ring)
{
	const struct ring_cell *cell = &ring->cells[ring->tail & ring->mask];

	return atomic_load(&cell->turn) != turn_of(ring, ring->tail) + 1;
}

bool ring_pop(struct ring *ring, struct ring_message *ret)
{
	struct ring_cell *cell = &ring->cells[ring->tail & ring->mask];

	if (ring_empty(ring))
		return false;
	*ret = cell->message;
	atomic_store_explicit(&cell->turn, turn_of(ring, ring->tail) + 2, memory_order_release);
	ring->tail++;
	return true;
}

uint64_t ring_pending(const struct ring *ring)
{
	return atomic_load_explicit(&ring->head, memory_order_relaxed) - ring->tail;
}
