/*
 * Record batches of our own: what is stored in __consumer_offsets. One uncompressed batch in memory
 * that grows.
 *
 * Pure; one thread at a time.
 */
#ifndef KAFKA_BROKER_CORE_BATCH_WRITER_H
#define KAFKA_BROKER_CORE_BATCH_WRITER_H

#include "base/slice.h"

struct batch_writer {
	char *memory; /* its own */
	size_t len, size;
	int64_t timestamp_ms;
	int32_t count;
	bool failed; /* no memory: the batch is not to be used */
};

/* Empty, with what memory it has from before; zeroed for the first time. */
void batch_begin(struct batch_writer *writer, int64_t timestamp_ms);
/* `value.ptr` NULL: a tombstone. */
void batch_add(struct batch_writer *writer, struct slice key, struct slice value);
/* The whole batch, to be appended; empty after a failure or without a record. */
struct slice batch_end(struct batch_writer *writer);
void batch_writer_fini(struct batch_writer *writer);

#endif
