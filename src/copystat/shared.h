/*
 * What the eBPF programs and copystat.c agree on, besides the counts.
 */
#ifndef COPYSTAT_SHARED_H
#define COPYSTAT_SHARED_H

#include <stdint.h>

enum {
	COPYSTAT_PROCESSES_MAX = 16384,
	COPYSTAT_CALL_NUMBERS = 512, /* system calls above are "others" */
};

/* Of each process that is watched. */
struct copystat_entry {
	char comm[16];     /* when it was first seen, or when it ended */
	uint32_t children; /* are watched as well */
	uint32_t ended;
};

#endif
