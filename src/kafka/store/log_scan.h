/*
 * A segment's bytes, walked batch by batch: what is good, where it ends and why. The decisions of
 * recovery; the caller reads the file and cuts it.
 *
 * Pure.
 */
#ifndef KAFKA_STORE_LOG_SCAN_H
#define KAFKA_STORE_LOG_SCAN_H

#include "kafka/wire/record_batch.h"

enum log_scan_step {
	LOG_SCAN_BATCH, /* a good batch, or message of an old format; scan->position is behind it */
	LOG_SCAN_MORE,  /* the window must be longer */
	LOG_SCAN_END,   /* nothing is left */
	LOG_SCAN_CUT,   /* what is left is not good: scan->why */
};

struct log_scan {
	int64_t base_offset; /* of the segment */
	int64_t next_offset; /* the next batch begins here or later */
	uint64_t position;   /* bytes found good */
	uint64_t size;       /* of the file */
	/* Checksums are not looked at, and of batches other than control batches only the header
	 * has to be in the window: the rest of record_batch.bytes may not be touched. */
	bool headers_only;
	bool sparse; /* offsets are missing: it was compacted */
	const char *why;
};

/* `window`: what the file has from scan->position on, as far as it was read; not longer than the
 * file. MORE: *ret_want bytes are needed, never more than the file has. */
enum log_scan_step log_scan_next(struct log_scan *scan, struct slice window,
				 struct record_batch *ret, size_t *ret_want);

#endif
