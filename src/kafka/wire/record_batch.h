/*
 * Record batches (format 2, "magic 2"): what producers send, what lies in segments, what consumers
 * get. They are looked at and never made anew: nothing here copies a payload.
 *
 *     0 base offset            8      23 last offset delta   4      51 producer epoch  2
 *     8 length of what follows 4      27 base timestamp      8      53 base sequence   4
 *    12 leader epoch           4      35 max timestamp       8      57 record count    4
 *    16 magic                  1      43 producer id         8      61 records
 *    17 CRC-32C of 21 to end   4
 *    21 attributes             2
 *
 * The checks come in steps, each relying on those before: record_batch_next() frames,
 * record_batch_check() looks at the header and the checksum, record_batch_check_produced() at what
 * a producer may send, records_check() (record_walk.h) at the records themselves, which kafka/codec
 * expands where they are compressed.
 *
 * Pure; any thread.
 */
#ifndef KAFKA_WIRE_RECORD_BATCH_H
#define KAFKA_WIRE_RECORD_BATCH_H

#include "base/slice.h"
#include "kafka/wire/error.h"

#define RECORD_BATCH_HEADER 61
#define RECORD_BATCH_PREFIX 12 /* what its length does not count */

/* X(NAME, the error a producer gets, text). The errors are those of Kafka, whose answer to what it
 * can't expand is UNKNOWN_SERVER_ERROR. */
#define RECORD_BATCH_FAULTS(X)                                                                   \
	X(OK, NONE, "nothing is wrong")                                                          \
	X(END, NONE, "no batch follows")                                                         \
	X(CUT, CORRUPT_MESSAGE, "the batch ends before it should")                               \
	X(LENGTH, CORRUPT_MESSAGE, "the batch is shorter than its header")                       \
	X(OLD_MAGIC, INVALID_RECORD, "messages in format 0 or 1 are not taken: use format 2")    \
	X(MAGIC, INVALID_RECORD, "unknown format of record batches")                             \
	X(CHECKSUM, CORRUPT_MESSAGE, "the checksum is wrong")                                    \
	X(TOO_LARGE, MESSAGE_TOO_LARGE, "the batch is larger than max.message.bytes")            \
	X(CODEC, UNKNOWN_SERVER_ERROR, "unknown compression codec")                              \
	X(COUNT, INVALID_RECORD, "count of records and last offset delta contradict each other") \
	X(SEQUENCE, INVALID_RECORD, "a producer id needs an epoch and a sequence")               \
	X(BASE_OFFSET, INVALID_RECORD, "the base offset of a produced batch must be 0")          \
	X(CONTROL, INVALID_RECORD, "producers may not write control batches")                    \
	X(SEVERAL, INVALID_RECORD, "a produce request has exactly one batch for a partition")    \
	X(RECORD, INVALID_RECORD, "a record is malformed")                                       \
	X(RECORD_COUNT, INVALID_RECORD, "there are more or fewer records than were counted")     \
	X(RECORD_OFFSET, INVALID_RECORD, "the offsets of records do not count up from 0")        \
	X(COMPRESSED, UNKNOWN_SERVER_ERROR, "the compressed records can't be expanded")          \
	X(EXPANDED, MESSAGE_TOO_LARGE, "the records are too large when they are expanded")       \
	X(NO_MEMORY, UNKNOWN_SERVER_ERROR, "no memory to expand the records")

#define RECORD_BATCH_FAULT_ENUM(name, error, text) RECORD_BATCH_##name,
enum record_batch_fault { RECORD_BATCH_FAULTS(RECORD_BATCH_FAULT_ENUM) };
#undef RECORD_BATCH_FAULT_ENUM

enum kafka_error record_batch_error(enum record_batch_fault fault);
const char *record_batch_text(enum record_batch_fault fault);

enum record_codec {
	RECORD_CODEC_NONE,
	RECORD_CODEC_GZIP,
	RECORD_CODEC_SNAPPY,
	RECORD_CODEC_LZ4,
	RECORD_CODEC_ZSTD,
};

#define RECORD_ATTRIBUTE_CODEC           0x07
#define RECORD_ATTRIBUTE_LOG_APPEND_TIME 0x08
#define RECORD_ATTRIBUTE_TRANSACTIONAL   0x10
#define RECORD_ATTRIBUTE_CONTROL         0x20
#define RECORD_ATTRIBUTE_DELETE_HORIZON  0x40

struct record_batch {
	struct slice bytes;   /* all of it */
	struct slice records; /* what follows the header */
	int64_t base_offset;
	int64_t base_timestamp, max_timestamp;
	int64_t producer_id;
	uint32_t crc;
	int32_t leader_epoch;
	int32_t last_offset_delta;
	int32_t base_sequence;
	int32_t count;
	int16_t attributes;
	int16_t producer_epoch;
	int8_t magic;
};

static inline enum record_codec record_batch_codec(const struct record_batch *batch)
{
	return (enum record_codec)(batch->attributes & RECORD_ATTRIBUTE_CODEC);
}

static inline int64_t record_batch_last_offset(const struct record_batch *batch)
{
	/* Unsigned: a header that lies about both does no harm. */
	return (int64_t)((uint64_t)batch->base_offset +
			 (uint64_t)(int64_t)batch->last_offset_delta);
}

/* How long the batch is whose first bytes these are; 0: fewer than RECORD_BATCH_PREFIX bytes, -1: a
 * length that no batch has. */
int64_t record_batch_length(struct slice start);

/* Takes the next batch off the front of *stream: END when it is empty, CUT when only part of one is
 * there. After CUT, LENGTH, OLD_MAGIC and MAGIC *stream is as it was, and of *ret nothing is valid.
 */
enum record_batch_fault record_batch_next(struct slice *stream, struct record_batch *ret);
/* Of the first batch, before anything of it was checked. */
bool record_batch_is_transactional(struct slice stream);

/* The header agrees with itself, and the checksum with the bytes. For any batch: compacted ones
 * have fewer records than offsets, or none. */
enum record_batch_fault record_batch_check_header(const struct record_batch *batch);
enum record_batch_fault record_batch_check(const struct record_batch *batch);

/* The one batch that a produce request has for a partition: framed only. */
enum record_batch_fault record_batch_only(struct slice records, struct record_batch *ret);
/* Its header and checksum: nothing that only a broker may write, and at most `max_bytes`. */
enum record_batch_fault record_batch_check_produced(const struct record_batch *batch,
						    size_t max_bytes);

struct record {
	int64_t timestamp; /* absolute */
	int64_t offset;
	struct slice key, value; /* ptr NULL: null */
	struct slice headers;    /* for record_header_next() */
	int32_t headers_count;
	int8_t attributes;
};

/* Takes the next record off the front. END, RECORD (then *records is as it was) or OK. */
enum record_batch_fault record_next(const struct record_batch *batch, struct slice *records,
				    struct record *ret);
/* Takes the next header off record->headers; false: that was all. */
bool record_header_next(struct record *record, struct slice *ret_key, struct slice *ret_value);

/* The two fields a broker sets, both outside of the checksum. `batch` is RECORD_BATCH_HEADER bytes.
 */
void record_batch_place(char *batch, int64_t base_offset, int32_t leader_epoch);
/* The time of the append in place of the producer's, or the producer's with the right maximum; the
 * checksum with it. `batch` is a whole one of `len` bytes. */
void record_batch_set_log_append_time(char *batch, size_t len, int64_t timestamp_ms);
void record_batch_set_max_timestamp(char *batch, size_t len, int64_t timestamp_ms);

#endif
