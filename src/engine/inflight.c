#include "engine/inflight.h"

#define SLOT(number) ((number) & (INFLIGHT_MAX - 1))

uint64_t inflight_add(struct inflight *inflight, uint64_t bytes, enum column column, bool payload)
{
	CHECK(inflight_count(inflight) < INFLIGHT_MAX);
	inflight->sends[SLOT(inflight->next)] =
	    (struct inflight_send){.bytes = bytes, .column = column, .payload = payload};
	inflight->open = true;
	inflight->outstanding++;
	return inflight->next++;
}

struct inflight_send *inflight_complete(struct inflight *inflight, uint64_t number)
{
	struct inflight_send *send = &inflight->sends[SLOT(number)];

	if (number < inflight->first || number >= inflight->next || send->completed)
		return NULL;
	send->completed = true;
	inflight->outstanding--;
	return send;
}

bool inflight_hold(struct inflight *inflight, leat_release release, void *release_arg)
{
	struct inflight_send *newest;
	bool open = inflight->open;

	inflight->open = false;
	if (!open || inflight_count(inflight) == 0)
		return false;
	newest = &inflight->sends[SLOT(inflight->next - 1)];
	newest->release = release;
	newest->release_arg = release_arg;
	return true;
}

/* Out of the ring first: the release may look at the chain. */
static void inflight_retire_oldest(struct inflight *inflight)
{
	struct inflight_send send = inflight->sends[SLOT(inflight->first)];

	inflight->first++;
	if (send.release)
		send.release(send.release_arg);
}

void inflight_retire(struct inflight *inflight)
{
	while (inflight_count(inflight) > 0 && inflight->sends[SLOT(inflight->first)].completed)
		inflight_retire_oldest(inflight);
}

void inflight_drop(struct inflight *inflight)
{
	while (inflight_count(inflight) > 0)
		inflight_retire_oldest(inflight);
	inflight->outstanding = 0;
	inflight->open = false;
}

/* Modulo 2^32 the two counts go side by side, so their distance is small and signed. */
void zerocopy_range(struct zerocopy_base *base, const struct inflight *inflight, uint32_t low,
		    uint32_t high, uint64_t *ret_from, uint64_t *ret_to)
{
	uint64_t from, to;
	int64_t number;

	if (!base->known)
		*base = (struct zerocopy_base){true, low, inflight->first, inflight->first};
	number = (int64_t)inflight->first +
		 (int32_t)(low - (base->id + (uint32_t)(inflight->first - base->origin)));
	if (number < (int64_t)base->origin) {
		uint64_t shift = base->origin - number;

		base->id -= (uint32_t)shift;
		from = inflight->first;
		to = base->highest + shift;
	} else {
		from = max_u64(number, inflight->first);
		to = number + (uint32_t)(high - low) + 1;
	}
	to = min_u64(to, inflight->next);
	base->highest = max_u64(base->highest, to);
	*ret_from = min_u64(from, to);
	*ret_to = to;
}
