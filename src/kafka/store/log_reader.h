/*
 * A file's batches, one after the other: what log_scan.h decides about, read as it is needed, into
 * memory that one scan hands on to the next.
 */
#ifndef KAFKA_STORE_LOG_READER_H
#define KAFKA_STORE_LOG_READER_H

#include "kafka/store/log_scan.h"

/* Grows as batches need it; the owner frees `memory`. */
struct log_buffer {
	char *memory;
	size_t size;
};

struct log_reader {
	struct log_scan scan; /* set by the caller: base_offset, next_offset, position, size ... */
	struct log_buffer *buffer;
	int fd;
	uint64_t at; /* of the file: what the buffer begins with */
	size_t len;
};

/* 0: *ret_step says what was found, never MORE; a BATCH's bytes stay until the next call. -errno. */
int log_reader_next(struct log_reader *reader, struct record_batch *ret,
		    enum log_scan_step *ret_step);

/* Too much looks like batches to look at all of it. */
#define LOG_READER_UNKNOWN 2

/* A CUT came last. 1: a whole batch that is good, and may follow, lies behind, at *ret_position, with
 * *ret_offset; 0: none does; or LOG_READER_UNKNOWN. The scan stays where it is. -errno. */
int log_reader_find_good(struct log_reader *reader, uint64_t *ret_position, int64_t *ret_offset);

#endif
