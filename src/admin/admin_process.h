/*
 * What the kernel says of this process, for the admin listener: the metrics that every Prometheus
 * client has, and what was built.
 *
 * /proc is opened at the start and read again from there, so that it is to be had also when the
 * process has confined itself since. What can't be had is left out.
 */
#ifndef ADMIN_ADMIN_PROCESS_H
#define ADMIN_ADMIN_PROCESS_H

#include "base/buf.h"

struct admin_process {
	int statm;           /* /proc/self/statm; -1: none */
	int fds;             /* /proc/self/fd */
	int64_t started;     /* seconds since 1970 */
	uint64_t started_ns; /* by the clock that nobody sets */
	char kernel[65];
};

void admin_process_open(struct admin_process *process);
void admin_process_close(struct admin_process *process);
/* One thread at a time. */
void admin_process_metrics(const struct admin_process *process, struct buf *out);
void admin_process_status(const struct admin_process *process, struct buf *out);

#endif
