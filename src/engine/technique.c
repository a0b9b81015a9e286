#include "engine/technique.h"

#include "engine/techniques.h"

/* The one table of techniques: a new one adds a line here and in techniques.h. */
static const struct technique *const table[LEAT_TECHNIQUE_COUNT] = {
    [LEAT_COPY] = &technique_copy,
    [LEAT_SENDFILE] = &technique_sendfile,
    [LEAT_SPLICE] = &technique_splice,
};

const struct technique *technique_find(enum leat_technique id)
{
	return (unsigned)id < LEAT_TECHNIQUE_COUNT ? table[id] : NULL;
}
