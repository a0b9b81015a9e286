/*
 * The structs of leat.h that may grow. Each begins with `size_t size`: as large as it was where the
 * caller was compiled, who may be older or newer than the library. Neither side reads or writes
 * beyond what the other knows; members are added at the end only.
 */
#ifndef ENGINE_BORDER_H
#define ENGINE_BORDER_H

#include <errno.h>
#include <string.h>

#include "base/check.h"

/* What the library says in `ours` (of `size` bytes), as far as the caller's struct goes. His `size`
 * stays as it is. */
static inline void border_give(void *theirs, const void *ours, size_t size)
{
	size_t known;

	memcpy(&known, theirs, sizeof(known));
	known = min_size(known, size);
	if (known > sizeof(known))
		memcpy((char *)theirs + sizeof(known), (const char *)ours + sizeof(known),
		       known - sizeof(known));
}

/* What the caller says, over the defaults in `ours`. -EINVAL: his struct has no size, he forgot its
 * ..._INIT. */
static inline int border_take(void *ours, const void *theirs, size_t size)
{
	size_t known;

	memcpy(&known, theirs, sizeof(known));
	if (known < sizeof(known))
		return -EINVAL;
	memcpy(ours, theirs, min_size(known, size));
	return 0;
}

#endif
