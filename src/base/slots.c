#include "base/slots.h"

void slots_init(struct slots *slots, void *memory, size_t slot_size, uint32_t count)
{
	CHECK(slot_size >= sizeof(struct slot) && slot_size % _Alignof(struct slot) == 0);
	CHECK(count < SLOTS_NONE);
	*slots = (struct slots){.memory = memory,
				.slot_size = slot_size,
				.count = count,
				.free = SLOTS_NONE};
}

static struct slot *slot_at(const struct slots *slots, uint32_t index)
{
	return (struct slot *)(void *)(slots->memory + (size_t)index * slots->slot_size);
}

void *slots_take(struct slots *slots, bool *ret_fresh)
{
	bool fresh = slots->free == SLOTS_NONE;
	struct slot *slot;

	if (fresh && slots->touched == slots->count)
		return NULL;
	slot = slot_at(slots, fresh ? slots->touched++ : slots->free);
	if (!fresh)
		slots->free = slot->next_free;
	CHECK(!slot_is_taken(slot));
	slot->generation++;
	slots->taken++;
	*ret_fresh = fresh;
	return slot;
}

void slots_give(struct slots *slots, void *memory)
{
	struct slot *slot = memory;
	size_t offset = (size_t)((char *)memory - slots->memory);

	CHECK(offset % slots->slot_size == 0 && offset / slots->slot_size < slots->touched);
	CHECK(slot_is_taken(slot));
	slot->generation++;
	slot->next_free = slots->free;
	slots->free = (uint32_t)(offset / slots->slot_size);
	slots->taken--;
}
