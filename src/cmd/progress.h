/*
 * The progress bar of a transfer: one line on a terminal, drawn over itself at most ten times a
 * second.
 */
#ifndef CMD_PROGRESS_H
#define CMD_PROGRESS_H

#include "base/buf.h"

#define PROGRESS_UNKNOWN UINT64_MAX

struct progress {
	int terminal;   /* descriptor, -1: draws nothing */
	uint64_t total; /* bytes, or PROGRESS_UNKNOWN */
	uint64_t start_ns, drawn_ns;
	bool visible;
};

void progress_start(struct progress *progress, int terminal, uint64_t total);
void progress_update(struct progress *progress, uint64_t bytes);
/* Wipes the line away. */
void progress_end(struct progress *progress);

/* The line itself, at most 79 columns: "1.2 GiB of 3.0 GiB [####      ]  40 %  1.1 GiB/s  0:02
 * left". */
void progress_text(struct buf *line, uint64_t bytes, uint64_t total, uint64_t elapsed_ns);

#endif
