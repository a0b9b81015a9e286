/*
 * The words of the public enums, and the version.
 */
#include <errno.h>
#include <string.h>

#include "base/check.h"
#include "config.h"
#include "leat/leat.h"

static const char *const technique_names[LEAT_TECHNIQUE_COUNT] = {
    [LEAT_AUTO] = "auto",         [LEAT_COPY] = "copy",         [LEAT_MMAP] = "mmap",
    [LEAT_SENDFILE] = "sendfile", [LEAT_SPLICE] = "splice",     [LEAT_TEE] = "tee",
    [LEAT_VMSPLICE] = "vmsplice", [LEAT_ZEROCOPY] = "zerocopy", [LEAT_RANGE_COPY] = "range-copy",
    [LEAT_URING] = "uring",
};

static const char *const verdict_names[] = {
    [LEAT_BY_REFERENCE] = "by-reference",
    [LEAT_COPIED] = "copied",
    [LEAT_TRANSFORMED] = "transformed",
    [LEAT_UNKNOWN] = "unknown",
};

const char *leat_technique_name(enum leat_technique technique)
{
	return (unsigned)technique < LEAT_TECHNIQUE_COUNT ? technique_names[technique] : "unknown";
}

int leat_technique_parse(const char *name, enum leat_technique *ret_technique)
{
	for (unsigned i = 0; i < LEAT_TECHNIQUE_COUNT; i++)
		if (strcmp(name, technique_names[i]) == 0) {
			*ret_technique = (enum leat_technique)i;
			return 0;
		}
	return -EINVAL;
}

const char *leat_verdict_name(enum leat_verdict verdict)
{
	return (unsigned)verdict < ARRAY_SIZE(verdict_names) ? verdict_names[verdict] : "unknown";
}

const char *leat_version(void)
{
	return LEAT_VERSION;
}
