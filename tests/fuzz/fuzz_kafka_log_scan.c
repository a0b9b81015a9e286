/*
 * Recovery's decisions about a segment of any bytes. Read in windows of any size they are the same
 * as with all of it at once; what they call good is good, and in order; they end.
 *
 * From the end of the input: flags, and the size of the windows.
 */
#include "fuzz/fuzz.h"
#include "fuzz/kafka_batches.h"
#include "kafka/store/log_index.h"
#include "kafka/store/log_scan.h"
#include "kafka/wire/old_message.h"

static enum log_scan_step scan(struct log_scan *scan, const char *bytes, size_t window_max)
{
	size_t window = min_size(window_max, scan->size), want;
	struct log_indexer indexer = LOG_INDEXER_INIT;
	struct log_index_entry index;
	struct log_time_entry time;
	struct record_batch batch;

	for (;;) {
		uint64_t before = scan->position;
		int64_t next = scan->next_offset;
		/* A heap copy: reading beyond the window is seen. */
		size_t len = min_size(window, (size_t)(scan->size - before));
		char *copy = heap_copy(bytes + before, len);
		enum log_scan_step step = log_scan_next(scan, slice_make(copy, len), &batch, &want);

		if (step == LOG_SCAN_BATCH) {
			HOLDS(batch.base_offset >= next && scan->position > before);
			HOLDS(scan->next_offset > batch.base_offset);
			HOLDS(scan->headers_only ||
			      (record_batch_is_old(&batch)
				   ? old_message_check(batch.bytes)
				   : record_batch_check(&batch) == RECORD_BATCH_OK));
			log_indexer_note(&indexer, 100,
					 (struct log_index_entry){0, (uint32_t)before},
					 batch.bytes.len, batch.max_timestamp, &index, &time);
			window = min_size(window_max, scan->size);
		}
		free(copy);
		if (step == LOG_SCAN_MORE) {
			HOLDS(want > len && want <= scan->size - before);
			window = want;
		} else if (step != LOG_SCAN_BATCH) {
			HOLDS(step != LOG_SCAN_END || scan->position == scan->size);
			HOLDS(step != LOG_SCAN_CUT || scan->why);
			return step;
		}
	}
}

/* An index of any bytes is searched within its bounds. */
static void search(const char *bytes, size_t size, uint64_t number)
{
	uint32_t count = (uint32_t)(size / LOG_INDEX_ENTRY);

	HOLDS(log_index_upto(bytes, count, (uint32_t)number) <= count);
	count = (uint32_t)(size / LOG_TIME_ENTRY);
	HOLDS(log_time_before(bytes, count, (int64_t)number) <= count);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint64_t flags = take_number(data, &size, 1), window = take_number(data, &size, 1);
	char *copy = heap_copy(data, size);
	struct log_scan whole = {.size = size, .headers_only = flags & 2}, parts = whole;
	enum log_scan_step a, b;

	if (flags & 1)
		put_checksums_right(copy, size);
	a = scan(&whole, copy, size);
	b = scan(&parts, copy, (size_t)window);
	HOLDS(a == b && whole.position == parts.position && whole.next_offset == parts.next_offset);
	search(copy, size, flags << 8 | window);
	free(copy);
	return 0;
}
