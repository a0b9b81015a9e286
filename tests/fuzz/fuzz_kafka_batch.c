/*
 * A stream of record batches. The last byte says whether the checksums are put right first: else
 * nothing behind them would be reached.
 */
#include "fuzz/fuzz.h"
#include "fuzz/kafka_batches.h"

static void walk_headers(struct record *record)
{
	struct slice key, value;
	int32_t count = record->headers_count, seen = 0;

	while (record_header_next(record, &key, &value))
		seen++;
	HOLDS(seen == count && record->headers.len == 0);
}

static void walk(const struct record_batch *batch)
{
	struct slice records = batch->records;
	struct records_summary summary;
	struct record record;
	int32_t count = 0;

	if (records_check(batch, records, &summary) != RECORD_BATCH_OK)
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
	(void)record_batch_check_produced(stream, &batch);
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
