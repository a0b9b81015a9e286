#include "kafka/wire/record_batch.h"

#include "base/be.h"
#include "base/crc32c.h"

enum {
	AT_BASE_OFFSET = 0,
	AT_LENGTH = 8,
	AT_LEADER_EPOCH = 12,
	AT_MAGIC = 16,
	AT_CRC = 17,
	AT_ATTRIBUTES = 21,
	AT_LAST_OFFSET_DELTA = 23,
	AT_BASE_TIMESTAMP = 27,
	AT_MAX_TIMESTAMP = 35,
	AT_PRODUCER_ID = 43,
	AT_PRODUCER_EPOCH = 51,
	AT_BASE_SEQUENCE = 53,
	AT_COUNT = 57,
};

/* The shortest message of format 0: crc, magic, attributes, null key, null value. */
#define OLD_MESSAGE_MIN 14

#define ROW_ERROR(name, error, text) KAFKA_##error,
#define ROW_TEXT(name, error, text)  text,

enum kafka_error record_batch_error(enum record_batch_fault fault)
{
	static const int16_t errors[] = {RECORD_BATCH_FAULTS(ROW_ERROR)};

	return (enum kafka_error)errors[fault];
}

const char *record_batch_text(enum record_batch_fault fault)
{
	static const char *const texts[] = {RECORD_BATCH_FAULTS(ROW_TEXT)};

	return texts[fault];
}

int64_t record_batch_length(struct slice start)
{
	if (start.len < RECORD_BATCH_PREFIX)
		return 0;
	int32_t length = (int32_t)be_load32(start.ptr + AT_LENGTH);

	return length < OLD_MESSAGE_MIN ? -1 : (int64_t)length + RECORD_BATCH_PREFIX;
}

static void load(const char *at, int64_t length, struct record_batch *ret)
{
	*ret = (struct record_batch){
	    .bytes = slice_make(at, (size_t)length),
	    .records = slice_make(at + RECORD_BATCH_HEADER, (size_t)length - RECORD_BATCH_HEADER),
	    .base_offset = (int64_t)be_load64(at + AT_BASE_OFFSET),
	    .leader_epoch = (int32_t)be_load32(at + AT_LEADER_EPOCH),
	    .magic = (int8_t)at[AT_MAGIC],
	    .crc = be_load32(at + AT_CRC),
	    .attributes = (int16_t)be_load16(at + AT_ATTRIBUTES),
	    .last_offset_delta = (int32_t)be_load32(at + AT_LAST_OFFSET_DELTA),
	    .base_timestamp = (int64_t)be_load64(at + AT_BASE_TIMESTAMP),
	    .max_timestamp = (int64_t)be_load64(at + AT_MAX_TIMESTAMP),
	    .producer_id = (int64_t)be_load64(at + AT_PRODUCER_ID),
	    .producer_epoch = (int16_t)be_load16(at + AT_PRODUCER_EPOCH),
	    .base_sequence = (int32_t)be_load32(at + AT_BASE_SEQUENCE),
	    .count = (int32_t)be_load32(at + AT_COUNT),
	};
}

bool record_batch_is_transactional(struct slice stream)
{
	return stream.len >= RECORD_BATCH_HEADER && stream.ptr[AT_MAGIC] == 2 &&
	       be_load16(stream.ptr + AT_ATTRIBUTES) & RECORD_ATTRIBUTE_TRANSACTIONAL;
}

enum record_batch_fault record_batch_next(struct slice *stream, struct record_batch *ret)
{
	int64_t length = record_batch_length(*stream);

	if (stream->len == 0)
		return RECORD_BATCH_END;
	if (length < 0)
		return RECORD_BATCH_LENGTH;
	/* The magic stands at the same place in all formats. */
	if (stream->len <= AT_MAGIC)
		return RECORD_BATCH_CUT;
	int8_t magic = (int8_t)stream->ptr[AT_MAGIC];

	if (magic == 0 || magic == 1)
		return RECORD_BATCH_OLD_MAGIC;
	if (magic != 2)
		return RECORD_BATCH_MAGIC;
	if (length < RECORD_BATCH_HEADER)
		return RECORD_BATCH_LENGTH;
	if ((uint64_t)length > stream->len)
		return RECORD_BATCH_CUT;
	load(stream->ptr, length, ret);
	*stream = slice_make(stream->ptr + length, stream->len - (size_t)length);
	return RECORD_BATCH_OK;
}

enum record_batch_fault record_batch_check_header(const struct record_batch *batch)
{
	if (record_batch_codec(batch) > RECORD_CODEC_ZSTD)
		return RECORD_BATCH_CODEC;
	/* A batch covers at least one offset, and no more records than offsets. */
	if (batch->last_offset_delta < 0 || batch->count < 0 ||
	    (int64_t)batch->count > (int64_t)batch->last_offset_delta + 1)
		return RECORD_BATCH_COUNT;
	return RECORD_BATCH_OK;
}

static uint32_t checksum(struct slice bytes)
{
	return crc32c(0, bytes.ptr + AT_ATTRIBUTES, bytes.len - AT_ATTRIBUTES);
}

enum record_batch_fault record_batch_check(const struct record_batch *batch)
{
	if (checksum(batch->bytes) != batch->crc)
		return RECORD_BATCH_CHECKSUM;
	return record_batch_check_header(batch);
}

enum record_batch_fault record_batch_only(struct slice records, struct record_batch *ret)
{
	enum record_batch_fault fault = record_batch_next(&records, ret);

	if (fault == RECORD_BATCH_END || (fault == RECORD_BATCH_OK && records.len > 0))
		return RECORD_BATCH_SEVERAL;
	return fault;
}

/* In Kafka's order. */
enum record_batch_fault record_batch_check_produced(const struct record_batch *batch,
						    size_t max_bytes)
{
	enum record_batch_fault fault;

	if (batch->base_offset != 0)
		return RECORD_BATCH_BASE_OFFSET;
	if (batch->bytes.len > max_bytes)
		return RECORD_BATCH_TOO_LARGE;
	fault = record_batch_check(batch);
	if (fault != RECORD_BATCH_OK)
		return fault;
	if (batch->count <= 0 || batch->count - 1 != batch->last_offset_delta)
		return RECORD_BATCH_COUNT;
	if (batch->attributes & RECORD_ATTRIBUTE_CONTROL)
		return RECORD_BATCH_CONTROL;
	if (batch->producer_id >= 0 && (batch->producer_epoch < 0 || batch->base_sequence < 0))
		return RECORD_BATCH_SEQUENCE;
	return RECORD_BATCH_OK;
}

void record_batch_place(char *batch, int64_t base_offset, int32_t leader_epoch)
{
	be_store64(batch + AT_BASE_OFFSET, (uint64_t)base_offset);
	be_store32(batch + AT_LEADER_EPOCH, (uint32_t)leader_epoch);
}

static void set_times(char *batch, size_t len, uint16_t append_time, int64_t timestamp_ms)
{
	uint16_t attributes = be_load16(batch + AT_ATTRIBUTES);

	attributes &= (uint16_t)~RECORD_ATTRIBUTE_LOG_APPEND_TIME;
	be_store16(batch + AT_ATTRIBUTES, attributes | append_time);
	be_store64(batch + AT_MAX_TIMESTAMP, (uint64_t)timestamp_ms);
	be_store32(batch + AT_CRC, checksum(slice_make(batch, len)));
}

void record_batch_set_log_append_time(char *batch, size_t len, int64_t timestamp_ms)
{
	set_times(batch, len, RECORD_ATTRIBUTE_LOG_APPEND_TIME, timestamp_ms);
}

void record_batch_set_max_timestamp(char *batch, size_t len, int64_t timestamp_ms)
{
	set_times(batch, len, 0, timestamp_ms);
}
