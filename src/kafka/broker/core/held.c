#include "kafka/broker/core/held.h"

#include "base/check.h"

static const uint64_t most[HELD_KINDS] = {
    [HELD_FETCHES] = HELD_FETCHES_MAX,
    [HELD_SESSIONS] = HELD_SESSIONS_MAX,
    [HELD_GROUPS] = HELD_GROUPS_MAX,
    [HELD_OFFSETS] = HELD_OFFSETS_MAX,
};

const char *const held_names[HELD_KINDS] = {
    [HELD_FETCHES] = "fetches",
    [HELD_SESSIONS] = "sessions",
    [HELD_GROUPS] = "groups",
    [HELD_OFFSETS] = "offsets",
};

void held_add(struct held *held, enum held_kind kind, uint64_t bytes)
{
	if (held)
		atomic_fetch_add_explicit(&held->bytes[kind], bytes, memory_order_relaxed);
}

void held_give(struct held *held, enum held_kind kind, uint64_t bytes)
{
	if (held)
		CHECK(atomic_fetch_sub_explicit(&held->bytes[kind], bytes, memory_order_relaxed) >=
		      bytes);
}

bool held_has_room(struct held *held, enum held_kind kind, uint64_t bytes)
{
	if (!held ||
	    atomic_load_explicit(&held->bytes[kind], memory_order_relaxed) + bytes <= most[kind])
		return true;
	atomic_fetch_add_explicit(&held->refused[kind], 1, memory_order_relaxed);
	return false;
}

bool held_take(struct held *held, enum held_kind kind, uint64_t bytes)
{
	uint64_t before;

	if (!held)
		return true;
	before = atomic_fetch_add_explicit(&held->bytes[kind], bytes, memory_order_relaxed);
	if (before + bytes <= most[kind])
		return true;
	held_give(held, kind, bytes);
	atomic_fetch_add_explicit(&held->refused[kind], 1, memory_order_relaxed);
	return false;
}
