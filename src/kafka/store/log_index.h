/*
 * The two indexes of a segment: .index (offset to position) and .timeindex (time to offset), both
 * sparse. Offsets in them are relative to the segment's first one.
 *
 *     .index      relative offset of a batch's last record 4, position of that batch 4
 *     .timeindex  the greatest timestamp so far 8, relative offset of (its batch's) last record 4
 *
 * An entry is made for a batch when more than index.interval.bytes have gone by since the batch of
 * the last one, exactly as Kafka does it, whose tools look. Pure.
 */
#ifndef KAFKA_STORE_LOG_INDEX_H
#define KAFKA_STORE_LOG_INDEX_H

#include "base/be.h"
#include "base/slice.h"

#define LOG_INDEX_ENTRY 8u
#define LOG_TIME_ENTRY  12u

struct log_index_entry {
	uint32_t offset, position;
};

struct log_time_entry {
	int64_t timestamp; /* -1: there is none */
	uint32_t offset;
};

static inline struct log_index_entry log_index_load(const char *at)
{
	return (struct log_index_entry){be_load32(at), be_load32(at + 4)};
}

static inline void log_index_store(char *at, struct log_index_entry entry)
{
	be_store32(at, entry.offset);
	be_store32(at + 4, entry.position);
}

static inline struct log_time_entry log_time_load(const char *at)
{
	return (struct log_time_entry){(int64_t)be_load64(at), be_load32(at + 8)};
}

static inline void log_time_store(char *at, struct log_time_entry entry)
{
	be_store64(at, (uint64_t)entry.timestamp);
	be_store32(at + 8, entry.offset);
}

/* What decides about the next entries. */
struct log_indexer {
	uint64_t bytes_since;            /* the batch of the last entry */
	struct log_time_entry max;       /* the greatest timestamp so far */
	struct log_time_entry last_time; /* the last entry of .timeindex */
};

#define LOG_INDEXER_INIT ((struct log_indexer){.max.timestamp = -1, .last_time.timestamp = -1})

#define LOG_INDEX_NEW 1u /* *ret_index is to be added */
#define LOG_TIME_NEW  2u /* *ret_time is */

/* A batch of `bytes` follows at `position`. */
unsigned log_indexer_note(struct log_indexer *indexer, uint64_t interval,
			  struct log_index_entry batch, uint64_t bytes, int64_t max_timestamp,
			  struct log_index_entry *ret_index, struct log_time_entry *ret_time);
/* The segment is complete: the entry for its greatest timestamp is missing; *ret_time is it. */
bool log_indexer_finish(struct log_indexer *indexer, struct log_time_entry *ret_time);

/* In `count` stored entries, upwards: how many are at or before the target. The time index is asked
 * for those strictly before: the record with just that time may lie before the entry's. */
uint32_t log_index_upto(const char *entries, uint32_t count, uint32_t offset);
uint32_t log_time_before(const char *entries, uint32_t count, int64_t timestamp);

#endif
