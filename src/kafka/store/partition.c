/*
 * What a partition is: making it, its state, its ends, its segments.
 */
#include "kafka/store/partition.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "kafka/store/files.h"
#include "kafka/store/internal.h"
#include "sys/sys.h"

struct topic *partition_topic(const struct partition *partition)
{
	return partition->topic;
}

int32_t partition_number(const struct partition *partition)
{
	return partition->number;
}

void *partition_user(struct partition *partition)
{
	return partition->user;
}

struct partition *partition_new(struct topic *topic, int32_t number)
{
	struct store *store = topic->store;
	struct partition *partition = calloc(1, sizeof(*partition) + store->user_bytes);
	char folder[FOLDER_NAME_MAX];

	if (!partition)
		return NULL;
	snprintf(folder, sizeof(folder), "%s-%d", topic->name, number);
	partition->folder = strdup(folder);
	if (!partition->folder) {
		free(partition);
		return NULL;
	}
	partition->topic = topic;
	partition->number = number;
	partition->snapshot_offset = -1;
	pthread_mutex_init(&partition->sync, NULL);
	pthread_mutex_init(&partition->lock, NULL);
	if (store->user_init)
		store->user_init(partition->user, partition);
	return partition;
}

void partition_free(struct partition *partition)
{
	struct store *store = partition->topic->store;

	if (store->user_fini)
		store->user_fini(partition->user);
	for (uint32_t i = 0; i < partition->segment_count; i++)
		log_segment_unref(partition->segments[i]);
	free(partition->segments);
	producers_fini(&partition->producers);
	epochs_fini(&partition->epochs);
	pthread_mutex_destroy(&partition->sync);
	pthread_mutex_destroy(&partition->lock);
	free(partition->folder);
	free(partition);
}

/* ---- state ---- */

enum kafka_error partition_check(const struct partition *partition)
{
	switch (partition->state) {
	case PARTITION_GOOD:
		return KAFKA_NONE;
	case PARTITION_OFFLINE:
		return KAFKA_KAFKA_STORAGE_ERROR;
	case PARTITION_GONE:
		return KAFKA_UNKNOWN_TOPIC_OR_PARTITION;
	}
	CHECK(false);
}

void partition_fail(struct partition *partition, int error, const char *what)
{
	if (partition->state != PARTITION_GOOD)
		return;
	partition->state = PARTITION_OFFLINE;
	partition->failed = error;
	log_error("%s/%s: %s: %s; the partition is offline until the next start",
		  partition->topic->store->dir, partition->folder, what, strerror(-error));
}

void partition_advance(struct partition *partition)
{
	bool to_disk = partition_config(partition, TOPIC_CONFIG_FLUSH_MESSAGES) == 1;
	int64_t mark = to_disk ? partition->durable_end : partition->log_end;

	if (mark > partition->high_watermark)
		partition->high_watermark = mark;
}

void partition_fill_ends(const struct partition *partition, struct partition_ends *ret)
{
	int64_t open = producers_first_open(&partition->producers);

	*ret = (struct partition_ends){
	    .log_start = partition->log_start,
	    .last_stable = partition->high_watermark,
	    .high_watermark = partition->high_watermark,
	    .log_end = partition->log_end,
	    .durable_end = partition->durable_end,
	    .leader_epoch = partition->leader_epoch,
	};
	/* A transaction that is open may have begun in what is deleted. */
	if (open >= 0 && open < ret->last_stable)
		ret->last_stable = max_i64(open, ret->log_start);
}

void partition_verify(const struct partition *partition)
{
	struct partition_ends ends;

	if (partition->state != PARTITION_GOOD)
		return;
	partition_fill_ends(partition, &ends);
	CHECK(ends.log_start >= 0 && ends.log_start <= ends.last_stable);
	CHECK(ends.last_stable <= ends.high_watermark && ends.high_watermark <= ends.log_end);
	CHECK(ends.durable_end <= ends.log_end && partition->recovery_point <= ends.log_end);
	CHECK(partition->segment_count > 0 &&
	      partition->segments[0]->base_offset <= ends.log_start &&
	      partition_active(partition)->base_offset <= ends.log_end);
	CHECK(ends.leader_epoch >= epochs_latest(&partition->epochs));
}

enum kafka_error partition_ends(struct partition *partition, struct partition_ends *ret)
{
	enum kafka_error error;

	pthread_mutex_lock(&partition->lock);
	error = partition_check(partition);
	if (error == KAFKA_NONE)
		partition_fill_ends(partition, ret);
	pthread_mutex_unlock(&partition->lock);
	return error;
}

uint64_t partition_bytes(struct partition *partition)
{
	uint64_t bytes = 0;

	pthread_mutex_lock(&partition->lock);
	for (uint32_t i = 0; i < partition->segment_count; i++)
		bytes += partition->segments[i]->size;
	pthread_mutex_unlock(&partition->lock);
	return bytes;
}

unsigned partition_producers(struct partition *partition, struct partition_producer *ret,
			     unsigned max)
{
	const struct producers *producers = &partition->producers;
	unsigned count = 0;

	pthread_mutex_lock(&partition->lock);
	for (uint32_t i = 0; i < producers->capacity; i++) {
		const struct producer *producer = &producers->table[i];

		if (producer->id == -1)
			continue;
		if (count < max)
			ret[count] = (struct partition_producer){
			    .id = producer->id,
			    .last_timestamp = producer->last_timestamp,
			    .transaction_start = producer->transaction_start,
			    .last_sequence =
				producer->batch_count
				    ? producer->batches[producer->batch_count - 1].last_sequence
				    : -1,
			    .coordinator_epoch = producer->coordinator_epoch,
			    .epoch = producer->epoch,
			};
		count++;
	}
	pthread_mutex_unlock(&partition->lock);
	return count;
}

enum kafka_error partition_epoch_end(struct partition *partition, int32_t epoch, int32_t *ret_epoch,
				     int64_t *ret_end)
{
	enum kafka_error error;

	pthread_mutex_lock(&partition->lock);
	error = partition_check(partition);
	if (error == KAFKA_NONE) {
		epochs_end_of(&partition->epochs, epoch, partition->log_end, ret_epoch, ret_end);
		/* The present one may not have written anything. */
		if (epoch == partition->leader_epoch && *ret_epoch < 0) {
			*ret_epoch = epoch;
			*ret_end = partition->log_end;
		}
	}
	pthread_mutex_unlock(&partition->lock);
	return error;
}

/* ---- segments ---- */

uint32_t partition_segment_at(const struct partition *partition, int64_t offset)
{
	uint32_t low = 0, high = partition->segment_count;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (partition->segments[middle]->base_offset <= offset)
			low = middle + 1;
		else
			high = middle;
	}
	return low > 0 ? low - 1 : 0;
}

int64_t partition_segment_end(const struct partition *partition, uint32_t nth)
{
	return nth + 1 < partition->segment_count ? partition->segments[nth + 1]->base_offset
						  : partition->log_end;
}

int partition_reserve_segment(struct partition *partition)
{
	uint32_t capacity = partition->segment_capacity ? 2 * partition->segment_capacity : 2;
	struct log_segment **larger;

	if (partition->segment_count < partition->segment_capacity)
		return 0;
	larger = realloc(partition->segments, capacity * sizeof(struct log_segment *));
	if (!larger)
		return -ENOMEM;
	partition->segments = larger;
	partition->segment_capacity = capacity;
	return 0;
}

int64_t partition_jitter(const struct partition *partition)
{
	int64_t limit = partition_config(partition, TOPIC_CONFIG_SEGMENT_JITTER_MS);
	int64_t segment_ms = partition_config(partition, TOPIC_CONFIG_SEGMENT_MS);
	uint64_t any;

	limit = limit < segment_ms ? limit : segment_ms;
	if (limit <= 0 || sys_random(&any, sizeof(any)) < 0)
		return 0;
	return (int64_t)(any % (uint64_t)limit);
}

static int add_segment(struct partition *partition, int64_t now_ms)
{
	struct log_segment *segment;
	int r = partition_reserve_segment(partition);

	if (r < 0)
		return r;
	segment =
	    log_segment_new(&partition->topic->store->files, partition->folder, partition->log_end);
	if (!segment)
		return -ENOMEM;
	r = log_segment_create(segment, partition_config(partition, TOPIC_CONFIG_PREALLOCATE)
					    ? (uint64_t)partition_config(partition,
									 TOPIC_CONFIG_SEGMENT_BYTES)
					    : 0);
	if (r < 0) {
		log_segment_unref(segment);
		return r;
	}
	segment->created_ms = segment->written_ms = now_ms;
	segment->jitter_ms = partition_jitter(partition);
	partition->segments[partition->segment_count++] = segment;
	partition->folder_dirty = true;
	return 0;
}

int partition_write_snapshot(struct partition *partition)
{
	size_t size = producers_snapshot_size(&partition->producers);
	char path[SEGMENT_PATH_MAX], *bytes;
	int r;

	if (partition->snapshot_offset == partition->log_end)
		return 0;
	bytes = malloc(size);
	if (!bytes)
		return -ENOMEM;
	producers_snapshot(&partition->producers, bytes);
	log_segment_path(partition->folder, partition->log_end, LOG_FILE_SNAPSHOT, path);
	r = files_write_plain(partition->topic->store->fd, path, slice_make(bytes, size));
	free(bytes);
	if (r == 0)
		partition->snapshot_offset = partition->log_end;
	return r;
}

int partition_roll(struct partition *partition, int64_t now_ms)
{
	struct log_segment *active = partition_active(partition);
	int r = add_segment(partition, now_ms);

	if (r < 0)
		return r;
	/* Missing index entries and a missing snapshot cost time later, not data. */
	r = log_segment_finish(active);
	if (r == 0)
		r = partition_write_snapshot(partition);
	if (r < 0)
		log_limited(sys_now_ns(), LOG_LEVEL_WARNING,
			    "%s/%s: could not write an index or snapshot: %s",
			    partition->topic->store->dir, partition->folder, strerror(-r));
	partition->wants_sync = true;
	return 0;
}

/* ---- making one ---- */

static int write_metadata(struct partition *partition)
{
	char path[SEGMENT_PATH_MAX], text[64], id[STORE_UUID_TEXT + 1];
	struct buf buf = buf_over(text, sizeof(text));
	int r;

	snprintf(path, sizeof(path), "%s/partition.metadata", partition->folder);
	store_uuid_format(&partition->topic->id, id);
	buf_printf(&buf, "version: 0\ntopic_id: %s", id);
	r = files_write_plain(partition->topic->store->fd, path, buf_slice(&buf));
	return r == 0 ? files_sync(partition->topic->store->fd, path) : r;
}

int partition_create(struct partition *partition, int64_t now_ms)
{
	int dir = partition->topic->store->fd;
	int r = sys_mkdirat(dir, partition->folder, 0755);

	if (r < 0 && r != -EEXIST)
		return r;
	r = write_metadata(partition);
	if (r == 0)
		r = add_segment(partition, now_ms);
	if (r == 0)
		r = files_sync_folder(dir, partition->folder);
	if (r == 0)
		partition->folder_dirty = false;
	return r;
}
