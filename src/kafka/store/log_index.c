#include "kafka/store/log_index.h"

static bool time_is_new(struct log_indexer *indexer, struct log_time_entry *ret)
{
	if (indexer->max.timestamp <= indexer->last_time.timestamp)
		return false;
	indexer->last_time = indexer->max;
	*ret = indexer->max;
	return true;
}

unsigned log_indexer_note(struct log_indexer *indexer, uint64_t interval,
			  struct log_index_entry batch, uint64_t bytes, int64_t max_timestamp,
			  struct log_index_entry *ret_index, struct log_time_entry *ret_time)
{
	unsigned news = 0;

	if (max_timestamp > indexer->max.timestamp)
		indexer->max = (struct log_time_entry){max_timestamp, batch.offset};
	if (indexer->bytes_since > interval) {
		*ret_index = batch;
		indexer->bytes_since = 0;
		news = LOG_INDEX_NEW | (time_is_new(indexer, ret_time) ? LOG_TIME_NEW : 0);
	}
	indexer->bytes_since += bytes;
	return news;
}

bool log_indexer_finish(struct log_indexer *indexer, struct log_time_entry *ret_time)
{
	return time_is_new(indexer, ret_time);
}

uint32_t log_index_upto(const char *entries, uint32_t count, uint32_t offset)
{
	uint32_t low = 0, high = count;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (log_index_load(entries + (size_t)middle * LOG_INDEX_ENTRY).offset <= offset)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

uint32_t log_time_before(const char *entries, uint32_t count, int64_t timestamp)
{
	uint32_t low = 0, high = count;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (log_time_load(entries + (size_t)middle * LOG_TIME_ENTRY).timestamp < timestamp)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}
