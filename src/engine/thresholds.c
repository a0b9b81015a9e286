/*
 * The thresholds that new engines begin with: those of policy.c, until the program brings others.
 * Each is read and written for itself; they mean nothing to one another.
 */
#include <stdatomic.h>

#include "engine/border.h"
#include "engine/engine.h"

static _Atomic uint32_t copy_below, zerocopy_above;
static _Atomic bool replaced;

struct policy_limits thresholds_limits(void)
{
	if (!atomic_load(&replaced))
		return policy_default_limits;
	return (struct policy_limits){.copy_below = copy_below, .zerocopy_above = zerocopy_above};
}

void leat_thresholds_get(struct leat_thresholds *ret)
{
	const struct policy_limits limits = thresholds_limits();
	const struct leat_thresholds all = {
	    .copy_below = limits.copy_below,
	    .zerocopy_above = limits.zerocopy_above,
	};

	border_give(ret, &all, sizeof(all));
}

void leat_thresholds_set(const struct leat_thresholds *thresholds)
{
	struct leat_thresholds all = {.size = sizeof(all)};

	leat_thresholds_get(&all);
	if (border_take(&all, thresholds, sizeof(all)) < 0)
		return;
	copy_below = all.copy_below;
	zerocopy_above = all.zerocopy_above;
	atomic_store(&replaced, true);
}
