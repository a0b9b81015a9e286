/*
 * The log's start: retention, DeleteRecords, and what else has its time.
 *
 * Segments leave the list first, then their files get another name, and after file.delete.delay.ms
 * they are unlinked. Where DeleteRecords moved the start to is in a checkpoint before it answers.
 */
#include <errno.h>
#include <stdio.h>

#include "base/log.h"
#include "kafka/store/internal.h"
#include "sys/sys.h"

/* What leaves the log in one go. */
#define LEAVE_MAX 64u

struct leaving {
	struct log_segment *segments[LEAVE_MAX];
	uint32_t count;
	int64_t due_ms;
};

/* Under the lock: takes the first `count` segments, with their references, out of the list. */
static void take_segments(struct partition *partition, uint32_t count, struct leaving *leaving)
{
	CHECK(count < partition->segment_count && count <= LEAVE_MAX);
	leaving->count = count;
	memcpy(leaving->segments, partition->segments, count * sizeof(struct log_segment *));
	for (uint32_t i = 0; i < count; i++)
		leaving->segments[i]->dropped = true;
	partition->segment_count -= count;
	memmove(partition->segments, partition->segments + count,
		partition->segment_count * sizeof(struct log_segment *));
	if (partition->segments[0]->base_offset > partition->log_start) {
		partition->log_start = partition->segments[0]->base_offset;
		partition->topic->store->checkpoints_dirty = true;
	}
	epochs_cut_start(&partition->epochs, partition->log_start);
}

static int drop_files(struct partition *partition, const struct log_segment *segment,
		      int64_t due_ms)
{
	char path[SEGMENT_PATH_MAX], renamed[SEGMENT_PATH_MAX + 16];

	for (enum log_file file = 0; file < LOG_FILE_COUNT; file++) {
		int r;

		log_segment_path(partition->folder, segment->base_offset, file, path);
		snprintf(renamed, sizeof(renamed), "%s.deleted", path);
		r = store_doom(partition->topic->store, path, renamed, false, due_ms);
		/* The others are of no use without it. */
		if (r < 0 && file == LOG_FILE_LOG)
			return r;
	}
	return 0;
}

/* From the oldest on. If one can't go, none behind it may: a start after a crash would find a gap,
 * and take what lies behind it for lost. */
static void drop_segments(struct partition *partition, const struct leaving *leaving)
{
	int r = 0;

	for (uint32_t i = 0; i < leaving->count; i++) {
		if (r == 0)
			r = drop_files(partition, leaving->segments[i], leaving->due_ms);
		log_segment_unref(leaving->segments[i]);
	}
	if (r == 0)
		return;
	pthread_mutex_lock(&partition->lock);
	partition_fail(partition, r, "a segment can't be deleted");
	pthread_mutex_unlock(&partition->lock);
}

/* ---- retention ---- */

static uint64_t log_bytes(const struct partition *partition)
{
	uint64_t bytes = 0;

	for (uint32_t i = 0; i < partition->segment_count; i++)
		bytes += partition->segments[i]->size;
	return bytes;
}

/* By the times of its records; where they have none, by when it was written to last. */
static bool is_expired(struct log_segment *segment, int64_t retention_ms, int64_t now_ms)
{
	int64_t newest;

	newest = segment->max_timestamp;
	if (retention_ms < 0 || newest == SEGMENT_TIME_UNKNOWN)
		return false;
	if (newest < 0)
		newest = segment->written_ms;
	return now_ms - newest > retention_ms;
}

/* How many of the oldest segments may go: all below the log's start and, where it is time for that, what
 * policy says. Nothing that consumers have not been shown yet. */
static uint32_t superfluous(struct partition *partition, const struct upkeep *upkeep)
{
	bool deletes = upkeep->retains &&
		       topic_config_lists(partition_config(partition, TOPIC_CONFIG_CLEANUP_POLICY),
					  TOPIC_CLEANUP_DELETE);
	int64_t retention_ms =
	    deletes ? partition_config(partition, TOPIC_CONFIG_RETENTION_MS) : -1;
	int64_t retention_bytes =
	    deletes ? partition_config(partition, TOPIC_CONFIG_RETENTION_BYTES) : -1;
	uint64_t bytes = log_bytes(partition);
	uint32_t count = 0;

	for (; count < partition->segment_count; count++) {
		struct log_segment *segment = partition->segments[count];
		int64_t end = partition_segment_end(partition, count);
		bool last = count + 1 == partition->segment_count;
		bool large = retention_bytes >= 0 && bytes >= segment->size &&
			     bytes - segment->size >= (uint64_t)retention_bytes;

		if (end > partition->high_watermark || (last && segment->size == 0))
			break;
		if ((last || end > partition->log_start) && !large &&
		    !is_expired(segment, retention_ms, upkeep->now_ms))
			break;
		bytes -= segment->size;
	}
	return count;
}

/* Under the lock. */
static void retain(struct partition *partition, const struct upkeep *upkeep,
		   struct leaving *leaving)
{
	uint32_t count = superfluous(partition, upkeep);
	int64_t now_ms = upkeep->now_ms;

	/* The last one too: the log goes on in an empty one. */
	if (count > 0 && count == partition->segment_count && partition_roll(partition, now_ms) < 0)
		count--;
	leaving->due_ms = now_ms + partition_config(partition, TOPIC_CONFIG_FILE_DELETE_DELAY_MS);
	if (count > 0)
		take_segments(partition, (uint32_t)min_u64(count, LEAVE_MAX), leaving);
}

/* Looks at the oldest segment's files for its times, without the lock. */
static void learn_oldest(struct partition *partition)
{
	struct log_segment *oldest = NULL;

	pthread_mutex_lock(&partition->lock);
	if (partition->state == PARTITION_GOOD &&
	    partition->segments[0]->max_timestamp == SEGMENT_TIME_UNKNOWN) {
		oldest = partition->segments[0];
		log_segment_ref(oldest);
	}
	pthread_mutex_unlock(&partition->lock);
	if (!oldest)
		return;
	(void)log_segment_learn_times(oldest);
	log_segment_unref(oldest);
}

static bool has_superfluous(struct partition *partition, const struct upkeep *upkeep)
{
	bool has;

	pthread_mutex_lock(&partition->lock);
	has = partition->state == PARTITION_GOOD && superfluous(partition, upkeep) > 0;
	pthread_mutex_unlock(&partition->lock);
	return has;
}

/* How many segments went: there may be more. */
static unsigned retain_some(struct partition *partition, const struct upkeep *upkeep)
{
	struct leaving leaving = {.count = 0};

	if (upkeep->retains)
		learn_oldest(partition);
	/* Where there is nothing to do, nobody waits for a sync that is under way. */
	if (!has_superfluous(partition, upkeep))
		return 0;
	/* The topic can't go until the files have their new names: then there may be others of
	 * theirs, of another topic. */
	pthread_mutex_lock(&partition->sync);
	pthread_mutex_lock(&partition->lock);
	if (partition->state == PARTITION_GOOD)
		retain(partition, upkeep, &leaving);
	partition_verify(partition);
	pthread_mutex_unlock(&partition->lock);
	drop_segments(partition, &leaving);
	pthread_mutex_unlock(&partition->sync);
	return leaving.count;
}

/* ---- the rest ---- */

static bool wants_sync(const struct partition *partition, int64_t now_ms)
{
	int64_t flush_ms = partition_config(partition, TOPIC_CONFIG_FLUSH_MS), age;

	if (partition->wants_sync)
		return true;
	if (partition->dirty_since == 0)
		return false;
	age = now_ms - partition->dirty_since;
	/* The clock may have been set back: then nobody knows how long it is. */
	return age >= flush_ms || age <= -flush_ms;
}

/* What others see of it. */
struct look {
	enum kafka_error error;
	struct partition_ends ends;
};

static struct look look_at(struct partition *partition)
{
	struct look look = {.error = KAFKA_NONE};

	look.error = partition_ends(partition, &look.ends);
	return look;
}

static void tell_if_moved(struct partition *partition, const struct look *before)
{
	struct store *store = partition->topic->store;
	struct look after = look_at(partition);

	if (store->moved && (after.error != before->error ||
			     after.ends.high_watermark != before->ends.high_watermark ||
			     after.ends.durable_end != before->ends.durable_end ||
			     after.ends.log_start != before->ends.log_start))
		store->moved(partition);
}

static void tell_retained(struct partition *partition, unsigned segments, const struct look *before)
{
	const struct store *store = partition->topic->store;
	const struct look after = look_at(partition);
	long long start = after.ends.log_start, was = before->ends.log_start;

	if (after.error == KAFKA_NONE && before->error == KAFKA_NONE && start != was)
		log_bursts(
		    sys_now_ns(), LOG_LEVEL_INFO,
		    "%s/%s: by its retention %u segments go: it begins at %lld, before at %lld",
		    store->dir, partition->folder, segments, start, was);
	else
		log_bursts(sys_now_ns(), LOG_LEVEL_INFO,
			   "%s/%s: %u segments go, whose records had been deleted", store->dir,
			   partition->folder, segments);
}

bool partition_maintain(struct partition *partition, const struct upkeep *upkeep)
{
	struct store *store = partition->topic->store;
	struct look before = look_at(partition);
	unsigned gone = 0, more;
	bool sync = false;

	while ((more = retain_some(partition, upkeep)) > 0)
		gone += more;
	if (gone > 0)
		tell_retained(partition, gone, &before);
	pthread_mutex_lock(&partition->lock);
	if (partition->state == PARTITION_GOOD) {
		partition_advance(partition);
		if (upkeep->expires)
			producers_expire(&partition->producers,
					 upkeep->now_ms - store->producer_expiry_ms);
		sync = wants_sync(partition, upkeep->now_ms);
	}
	pthread_mutex_unlock(&partition->lock);
	tell_if_moved(partition, &before);
	return sync;
}

int partition_sync_and_tell(struct partition *partition, struct load *unused)
{
	struct look before = look_at(partition);
	int r = partition_sync(partition);

	tell_if_moved(partition, &before);
	return r;
}

/* ---- DeleteRecords ---- */

/* What is to be said on disk first. */
static void plan_deletion(struct store_deletion *deletion)
{
	struct partition *partition = deletion->partition;
	int64_t offset = deletion->offset;

	pthread_mutex_lock(&partition->lock);
	deletion->error = partition_check(partition);
	if (offset == -1)
		offset = partition->high_watermark;
	if (deletion->error == KAFKA_NONE && (offset < 0 || offset > partition->high_watermark))
		deletion->error = KAFKA_OFFSET_OUT_OF_RANGE;
	else if (deletion->error == KAFKA_NONE && offset > partition->log_start)
		partition->start_wanted = max_i64(partition->start_wanted, offset);
	deletion->log_start = partition->log_start;
	pthread_mutex_unlock(&partition->lock);
}

/* `r`: how that went. */
static void carry_out_deletion(struct store_deletion *deletion, int r)
{
	struct partition *partition = deletion->partition;

	pthread_mutex_lock(&partition->lock);
	if (r < 0 && deletion->error == KAFKA_NONE)
		deletion->error = KAFKA_KAFKA_STORAGE_ERROR;
	if (deletion->error == KAFKA_NONE) {
		partition->log_start = max_i64(partition->log_start, partition->start_wanted);
		/* Only now: without the checkpoint a crash brings back what has these epochs. */
		epochs_cut_start(&partition->epochs, partition->log_start);
		partition_verify(partition);
	}
	deletion->log_start = partition->log_start;
	pthread_mutex_unlock(&partition->lock);
}

void store_delete_records(struct store *store, struct store_deletion *deletions, unsigned count)
{
	bool any = false;
	int r = 0;

	pthread_mutex_lock(&store->change);
	for (unsigned i = 0; i < count; i++) {
		plan_deletion(&deletions[i]);
		any |= deletions[i].error == KAFKA_NONE;
	}
	if (any)
		r = store_write_log_starts(store);
	for (unsigned i = 0; i < count; i++)
		carry_out_deletion(&deletions[i], r);
	for (unsigned i = 0; i < count; i++)
		deletions[i].partition->start_wanted = 0;
	/* The file may say what has not happened. */
	if (r < 0)
		(void)store_write_log_starts(store);
	pthread_mutex_unlock(&store->change);
}

enum kafka_error partition_delete_records(struct partition *partition, int64_t offset,
					  int64_t *ret_log_start)
{
	struct store_deletion deletion = {.partition = partition, .offset = offset};

	store_delete_records(partition->topic->store, &deletion, 1);
	*ret_log_start = deletion.log_start;
	return deletion.error;
}
