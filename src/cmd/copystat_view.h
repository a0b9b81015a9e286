/*
 * How copystat's counts look: rows of a table, the closing summary, JSON. Only writes to `out`.
 */
#ifndef CMD_COPYSTAT_VIEW_H
#define CMD_COPYSTAT_VIEW_H

#include <stdio.h>

#include "copystat/copystat.h"

/* The table is 79 columns wide. `between`: what happened in the last `seconds`. */
void copystat_view_head(FILE *out);
void copystat_view_row(FILE *out, const struct copystat_process *process,
		       const struct copystat_counts *between, double seconds);

/* "nginx (1234): " and the verdict. */
void copystat_view_verdict(FILE *out, const struct copystat_process *process,
			   const struct copystat_counts *counts);
/* That, and all columns, of the whole time. */
void copystat_view_summary(FILE *out, const struct copystat_process *process,
			   const struct copystat_counts *counts);

/* One line. */
void copystat_view_json(FILE *out, const struct copystat_process *process,
			const struct copystat_counts *between, const char *backend);

#endif
