/*
 * Appending: everything is looked at first, then one write, then what can't fail.
 */
#include <errno.h>

#include "base/log.h"
#include "kafka/store/internal.h"
#include "sys/sys.h"

/* What is known of a request's batches before they are written. */
struct arrival {
	char *records;
	size_t len;
	uint32_t batches;
	int64_t offsets; /* how many they take */
	int64_t max_timestamp;
	int64_t now_ms;
	struct record_batch first;
};

static enum kafka_error survey(const struct partition *partition, struct arrival *arrival)
{
	struct slice rest = slice_make(arrival->records, arrival->len);
	int64_t bytes_max = partition_config(partition, TOPIC_CONFIG_MAX_MESSAGE_BYTES);
	enum record_batch_fault fault;
	struct record_batch batch;

	arrival->max_timestamp = -1;
	while ((fault = record_batch_next(&rest, &batch)) == RECORD_BATCH_OK) {
		fault = record_batch_check_header(&batch);
		if (fault != RECORD_BATCH_OK)
			break;
		if ((int64_t)batch.bytes.len > bytes_max)
			return KAFKA_MESSAGE_TOO_LARGE;
		if (arrival->batches == 0)
			arrival->first = batch;
		/* Sequences are checked against the log, and not against one another. */
		if (batch.producer_id >= 0 && batch.bytes.len != arrival->len)
			return KAFKA_INVALID_RECORD;
		arrival->batches++;
		arrival->offsets += (int64_t)batch.last_offset_delta + 1;
		if (batch.max_timestamp > arrival->max_timestamp)
			arrival->max_timestamp = batch.max_timestamp;
	}
	if (fault != RECORD_BATCH_END)
		return record_batch_error(fault);
	if (arrival->batches == 0)
		return KAFKA_INVALID_RECORD;
	if (arrival->len > (uint64_t)partition_config(partition, TOPIC_CONFIG_SEGMENT_BYTES))
		return KAFKA_RECORD_LIST_TOO_LARGE;
	return KAFKA_NONE;
}

/* A segment is complete when it is full, or old: by its records' times, or its own where they have
 * none. */
static bool is_old(const struct partition *partition, const struct log_segment *active,
		   const struct arrival *arrival)
{
	int64_t limit = partition_config(partition, TOPIC_CONFIG_SEGMENT_MS) - active->jitter_ms;
	int64_t since;

	if (active->first_timestamp >= 0)
		return __builtin_sub_overflow(arrival->max_timestamp, active->first_timestamp,
					      &since) ||
		       since > limit;
	return arrival->now_ms - active->created_ms > limit;
}

static bool wants_roll(const struct partition *partition, const struct arrival *arrival)
{
	const struct log_segment *active = partition_active(partition);
	uint64_t segment_max = (uint64_t)partition_config(partition, TOPIC_CONFIG_SEGMENT_BYTES);
	uint64_t index_max =
	    (uint64_t)partition_config(partition, TOPIC_CONFIG_SEGMENT_INDEX_BYTES);
	uint64_t index_entries = active->index_entries, time_entries = active->time_entries;

	if (active->tail) {
		index_entries += active->tail->index_count;
		time_entries += active->tail->time_count;
	}
	if (active->size == 0)
		return false;
	return active->size > segment_max - min_u64(arrival->len, segment_max) ||
	       is_old(partition, active, arrival) ||
	       index_entries >= max_u64(index_max / LOG_INDEX_ENTRY, 1) ||
	       time_entries + 1 >= max_u64(index_max / LOG_TIME_ENTRY, 2) ||
	       partition->log_end + arrival->offsets - 1 - active->base_offset > INT32_MAX;
}

/* All that the steps behind the write need. */
static int reserve(struct partition *partition)
{
	int r = producers_reserve(&partition->producers);

	if (r == 0)
		r = epochs_reserve(&partition->epochs);
	return r == 0 ? log_segment_tail(partition_active(partition)) : r;
}

static void place(struct partition *partition, struct arrival *arrival)
{
	struct slice rest = slice_make(arrival->records, arrival->len);
	int64_t offset = partition->log_end;
	struct record_batch batch;

	while (record_batch_next(&rest, &batch) == RECORD_BATCH_OK) {
		record_batch_place(arrival->records + (batch.bytes.ptr - arrival->records), offset,
				   partition->leader_epoch);
		offset += (int64_t)batch.last_offset_delta + 1;
	}
}

/* The bytes are written: now they are part of the log. */
static void take_in(struct partition *partition, struct arrival *arrival)
{
	uint64_t interval =
	    (uint64_t)partition_config(partition, TOPIC_CONFIG_INDEX_INTERVAL_BYTES);
	struct log_segment *active = partition_active(partition);
	struct slice rest = slice_make(arrival->records, arrival->len);
	struct record_batch batch;

	epochs_assign(&partition->epochs, partition->leader_epoch, partition->log_end);
	while (record_batch_next(&rest, &batch) == RECORD_BATCH_OK) {
		/* The tail is there: this does not fail. */
		(void)log_segment_note(active, &batch, active->size, interval);
		active->size += (uint32_t)batch.bytes.len;
		partition->log_end = record_batch_last_offset(&batch) + 1;
		producers_update(&partition->producers, &batch);
	}
	active->written_ms = arrival->now_ms;
	if (partition->dirty_since == 0)
		partition->dirty_since = arrival->now_ms;
}

static void full(const struct partition *partition, int error)
{
	log_limited(sys_now_ns(), LOG_LEVEL_ERROR, "%s/%s: can't append: %s",
		    partition->topic->store->dir, partition->folder, strerror(-error));
}

static int write_arrival(struct partition *partition, struct arrival *arrival)
{
	bool broken;
	int r;

	if (partition->log_end > OFFSET_MAX - arrival->offsets)
		return -EOVERFLOW;
	/* Maintenance tries again to write it down. */
	if (partition->epoch_error < 0)
		return partition->epoch_error;
	if (wants_roll(partition, arrival)) {
		r = partition_roll(partition, arrival->now_ms);
		if (r < 0)
			return r;
	}
	r = reserve(partition);
	if (r < 0)
		return r;
	place(partition, arrival);
	r = log_segment_write(partition_active(partition), arrival->records, arrival->len, &broken);
	/* It was taken back: a power cut must not bring it again. */
	partition->was_cut |= r < 0;
	if (broken)
		partition_fail(partition, r, "a write failed");
	return r;
}

static bool flush_is_due(struct partition *partition)
{
	if (partition->flush_running ||
	    partition->log_end - partition->durable_end <
		partition_config(partition, TOPIC_CONFIG_FLUSH_MESSAGES))
		return false;
	partition->flush_running = true;
	return true;
}

static enum kafka_error append(struct partition *partition, struct arrival *arrival,
			       struct partition_appended *ret)
{
	const struct producer_batch *duplicate = NULL;
	enum kafka_error error = survey(partition, arrival);
	int r;

	if (error == KAFKA_NONE && arrival->first.producer_id >= 0 &&
	    !(arrival->first.attributes & RECORD_ATTRIBUTE_CONTROL))
		error = producers_check(&partition->producers, &arrival->first, &duplicate);
	if (error != KAFKA_NONE)
		return error;
	ret->duplicate = duplicate;
	if (duplicate) {
		ret->base_offset = duplicate->last_offset - duplicate->offset_delta;
		ret->last_offset = duplicate->last_offset;
		ret->timestamp = duplicate->timestamp;
		return KAFKA_NONE;
	}
	ret->base_offset = partition->log_end;
	ret->timestamp = arrival->max_timestamp;
	r = write_arrival(partition, arrival);
	if (r < 0) {
		store_note_room(partition->topic->store, r);
		if (partition->state == PARTITION_GOOD)
			full(partition, r);
		ret->error = r;
		return KAFKA_KAFKA_STORAGE_ERROR;
	}
	store_note_room(partition->topic->store, 0);
	take_in(partition, arrival);
	ret->last_offset = partition->log_end - 1;
	partition_advance(partition);
	return KAFKA_NONE;
}

enum kafka_error partition_append(struct partition *partition, char *records, size_t len,
				  int64_t now_ms, struct partition_appended *ret)
{
	struct arrival arrival = {.records = records, .len = len, .now_ms = now_ms};
	enum kafka_error error;

	*ret = (struct partition_appended){.base_offset = -1, .last_offset = -1};
	pthread_mutex_lock(&partition->lock);
	error = partition_check(partition);
	if (error == KAFKA_NONE)
		error = append(partition, &arrival, ret);
	else if (error == KAFKA_KAFKA_STORAGE_ERROR)
		ret->error = partition->failed;
	if (error == KAFKA_NONE) {
		partition_verify(partition);
		ret->flush_due = flush_is_due(partition);
		ret->wait_durable = partition->durable_end <= ret->last_offset &&
				    partition_config(partition, TOPIC_CONFIG_FLUSH_MESSAGES) == 1;
		if (ret->wait_durable && ret->last_offset >= partition->durable_wanted)
			partition->durable_wanted = ret->last_offset + 1;
	}
	ret->log_start = partition->log_start;
	pthread_mutex_unlock(&partition->lock);
	return error;
}
