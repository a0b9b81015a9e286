/*
 * Batches, compressed or not, as a broker checks and looks through them: by pieces it finds what the
 * reader of whole records finds in all of it.
 */
#include "fuzz/fuzz.h"
#include "fuzz/kafka_batches.h"
#include "kafka/codec/expanded_records.h"

#define LIMIT (1u << 20)

static struct expander *expander;

/* The first record of that time, or -1, among so many. */
static int64_t find(const struct record_batch *batch, struct slice records, int64_t timestamp)
{
	struct record record;

	while (record_next(batch, &records, &record) == RECORD_BATCH_OK)
		if (record.timestamp >= timestamp && record.offset >= batch->base_offset)
			return record.offset;
	return -1;
}

static void look(const struct record_batch *batch, struct slice records)
{
	struct records_summary pieces, whole;
	struct record_head head;
	size_t size;
	enum record_batch_fault fault =
	    expanded_records_check(expander, batch, LIMIT, &RECORDS_ANY, &pieces, &size);

	HOLDS(fault == records_check(batch, records, &RECORDS_ANY, &whole));
	if (fault != RECORD_BATCH_OK)
		return;
	HOLDS(size == records.len && pieces.max_timestamp == whole.max_timestamp);
	fault = expanded_records_find(expander, batch, LIMIT, batch->base_offset,
				      batch->base_timestamp, &head);
	HOLDS(fault == RECORD_BATCH_OK || fault == RECORD_BATCH_END);
	HOLDS((fault == RECORD_BATCH_OK ? batch->base_offset + head.delta : -1) ==
	      find(batch, records, batch->base_timestamp));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *copy = heap_copy(data, size), *records;
	struct slice stream = slice_make(copy, size);
	struct record_batch batch;

	if (!expander)
		expander = expander_new();
	CHECK(expander);
	while (record_batch_next(&stream, &batch) == RECORD_BATCH_OK) {
		struct records_summary summary;
		size_t len;

		if (record_batch_check_header(&batch) != RECORD_BATCH_OK || batch.base_offset < 0 ||
		    batch.base_offset > INT64_MAX / 2)
			continue;
		if (expanded_records_load(expander, &batch, LIMIT, &records, &len) ==
		    RECORD_BATCH_OK) {
			look(&batch, slice_make(records, len));
			free(records);
		} else {
			HOLDS(expanded_records_check(expander, &batch, LIMIT, &RECORDS_ANY,
						     &summary, &len) != RECORD_BATCH_OK);
		}
	}
	free(copy);
	return 0;
}
