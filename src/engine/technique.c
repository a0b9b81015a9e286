#include "engine/technique.h"

#include "config.h"

/* The one table of techniques: a new one adds a line here and in technique.h. */
static const struct technique *const table[LEAT_TECHNIQUE_COUNT] = {
    [LEAT_COPY] = &technique_copy,         [LEAT_MMAP] = &technique_mmap,
    [LEAT_SENDFILE] = &technique_sendfile, [LEAT_SPLICE] = &technique_splice,
    [LEAT_TEE] = &technique_tee,           [LEAT_VMSPLICE] = &technique_vmsplice,
    [LEAT_ZEROCOPY] = &technique_zerocopy, [LEAT_RANGE_COPY] = &technique_range_copy,
#if HAVE_URING
    [LEAT_URING] = &technique_uring,
#endif
};

const struct technique *technique_find(enum leat_technique id)
{
	return (unsigned)id < LEAT_TECHNIQUE_COUNT ? table[id] : NULL;
}
