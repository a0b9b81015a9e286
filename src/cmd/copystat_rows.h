/*
 * The processes that copystat watches, with what they have done: in all, and since the last look.
 * Who has ended stays here for the summary, and is forgotten by the ledger; not before the look that
 * follows its end, since the kernel sends what the process has left behind.
 */
#ifndef CMD_COPYSTAT_ROWS_H
#define CMD_COPYSTAT_ROWS_H

#include "copystat/copystat.h"

struct row {
	struct copystat_process process;
	struct copystat_counts total, between;
	bool last;   /* it had ended by the look before: nothing comes after these counts */
	bool closed; /* and they have been shown */
};

struct rows {
	struct row *row;
	size_t count, room;
};

void rows_free(struct rows *rows);

/* Looks again. `name`: processes that have another name by now are dropped; NULL: none. */
int rows_update(struct rows *rows, struct copystat *cs, const char *name);

/* Did something with sockets since the last look. */
bool row_active(const struct row *row);
/* Rows of processes that were running at the last look. */
size_t rows_running(const struct rows *rows);
/* Those that have sent most come first: since the last look, or in all. */
void rows_sort_by_sent(struct rows *rows, bool in_all);

#endif
