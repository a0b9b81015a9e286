/*
 * A stream of record batches. The last byte says whether the checksums are put right first: else
 * nothing behind them would be reached.
 */
#include "fuzz/fuzz.h"
#include "fuzz/kafka_batches.h"
#include "kafka/wire/record_walk.h"

static void walk_headers(struct record *record)
{
	struct slice key, value;
	int32_t count = record->headers_count, seen = 0;

	while (record_header_next(record, &key, &value))
		seen++;
	HOLDS(seen == count && record->headers.len == 0);
}

/* In pieces of any size the records are what they are in one. */
static enum record_batch_fault check_in_pieces(const struct record_batch *batch, unsigned seed,
					       struct records_summary *ret)
{
	struct slice rest = batch->records;
	struct records_check check;
	enum record_batch_fault fault = RECORD_BATCH_OK;

	records_check_begin(&check, batch, &RECORDS_ANY, ret);
	while (rest.len > 0 && fault == RECORD_BATCH_OK) {
		size_t len = min_size(1 + seed % 7, rest.len);

		fault = records_check_feed(&check, slice_make(rest.ptr, len));
		rest = slice_make(rest.ptr + len, rest.len - len);
		seed = seed * 1103515245 + 12345;
	}
	return fault == RECORD_BATCH_OK ? records_check_end(&check) : fault;
}

static void walk(const struct record_batch *batch)
{
	struct slice records = batch->records;
	struct records_summary summary, again;
	struct record record;
	int32_t count = 0;
	enum record_batch_fault fault = records_check(batch, records, &RECORDS_ANY, &summary);

	HOLDS(check_in_pieces(batch, batch->crc, &again) == fault);
	HOLDS(fault != RECORD_BATCH_OK || again.max_timestamp == summary.max_timestamp);
	if (fault != RECORD_BATCH_OK)
		return;
	while (record_next(batch, &records, &record) == RECORD_BATCH_OK) {
		HOLDS(record.timestamp <= summary.max_timestamp || record.timestamp < 0);
		walk_headers(&record);
		count++;
	}
	HOLDS(count == batch->count && records.len == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	bool right = take_number(data, &size, 1) & 1;
	char *copy = heap_copy(data, size);
	struct slice stream = slice_make(copy, size);
	struct record_batch batch;

	if (right)
		put_checksums_right(copy, size);
	if (record_batch_only(stream, &batch) == RECORD_BATCH_OK)
		(void)record_batch_check_produced(&batch, INT32_MAX);
	while (record_batch_next(&stream, &batch) == RECORD_BATCH_OK) {
		enum record_batch_fault fault = record_batch_check(&batch);

		HOLDS(!right || fault != RECORD_BATCH_CHECKSUM);
		if (fault == RECORD_BATCH_OK && record_batch_codec(&batch) == RECORD_CODEC_NONE)
			walk(&batch);
		HOLDS(record_batch_text(fault) && record_batch_error(fault) >= -1);
	}
	free(copy);
	return 0;
}
