/* What the files of the check share: see check.h. */
#ifndef KAFKA_STORE_CHECK_INTERNAL_H
#define KAFKA_STORE_CHECK_INTERNAL_H

#include "kafka/store/check.h"
#include "kafka/store/internal.h"

struct check {
	const char *dir;
	int fd;
	void (*tell)(const char *line);
	struct check_totals *totals;
	struct log_buffer buffer;
	int error; /* the check itself can't go on: -errno */
};

/* One thing that is wrong with DIR/name. */
void check_tell(struct check *check, const char *name, const char *fmt, ...) PRINTF_LIKE(3, 4);

/* A partition's folder. */
void check_partition(struct check *check, const char *folder);

/* ---- check_log.c ---- */

/* A segment: its log and its indexes. *next: the first offset that may follow; behind it, then. */
void check_segment(struct check *check, const char *folder, int64_t base, int64_t *next);

#endif
