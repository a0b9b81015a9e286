/*
 * Making durable: the order in which things reach the disk.
 *
 * First the segments from the durable end on, and complete ones before it that were never synced as
 * a whole (with the indexes and the snapshot behind them, since a recovery will not look at them
 * again), then the folder with the names of new
 * files, and the epochs; only then do the durable end and the recovery point move. So whatever lies
 * below them is there after a power cut.
 *
 * A sync that fails is not tried again: the kernel has dropped the pages that it could not write
 * and calls them clean (fsync(2), "Dealing with fsync failure" on the kernel's errseq_t). The
 * partition goes offline.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "kafka/store/files.h"
#include "kafka/store/internal.h"
#include "sys/sys.h"

/* Segments that one round takes on. */
#define ROUND_SEGMENTS 16u

struct round {
	struct log_segment *segments[ROUND_SEGMENTS];
	bool complete[ROUND_SEGMENTS];
	int64_t ends[ROUND_SEGMENTS]; /* offsets */
	unsigned count;
	int64_t end;
	bool folder, was_cut;
	bool put_off; /* for want of something: nothing is known to be lost */
	char *epochs; /* the file's new text */
	size_t epochs_len;
};

/* Under the lock. */
static int take_epochs(struct partition *partition, struct round *round)
{
	size_t size = 32 + (size_t)partition->epochs.count * EPOCHS_TEXT_ENTRY;
	struct buf buf;

	if (!partition->epochs.dirty)
		return 0;
	buf = buf_over(malloc(size), size);
	if (!buf.ptr)
		return -ENOMEM;
	epochs_format(&partition->epochs, &buf);
	CHECK(!buf.overflow);
	round->epochs = buf.ptr;
	round->epochs_len = buf.len;
	partition->epochs.dirty = false;
	return 0;
}

/* Under the lock: what is to be made durable. */
static int begin(struct partition *partition, struct round *round)
{
	uint32_t nth = partition_segment_at(partition, partition->durable_end);
	int r = take_epochs(partition, round);

	if (r < 0)
		return r;
	while (nth > 0 && !partition->segments[nth - 1]->synced)
		nth--;
	for (; nth < partition->segment_count && round->count < ROUND_SEGMENTS; nth++) {
		struct log_segment *segment = partition->segments[nth];
		bool complete = nth + 1 < partition->segment_count;

		round->end = partition_segment_end(partition, nth);
		if (segment->synced ||
		    (!complete && !partition->was_cut && round->end == partition->durable_end))
			continue;
		log_segment_ref(segment);
		round->complete[round->count] = complete;
		round->ends[round->count] = round->end;
		round->segments[round->count++] = segment;
	}
	round->folder = partition->folder_dirty;
	partition->folder_dirty = false;
	round->was_cut = partition->was_cut;
	/* Where the last segment was reached. */
	partition->was_cut = partition->was_cut && nth < partition->segment_count;
	partition->wants_sync = nth < partition->segment_count;
	partition->dirty_since = 0;
	return 0;
}

/* The snapshot that was written when the segment was completed; it may not be there. */
static int sync_snapshot(const struct partition *partition, int64_t offset)
{
	char path[SEGMENT_PATH_MAX];
	int r;

	log_segment_path(partition->folder, offset, LOG_FILE_SNAPSHOT, path);
	r = files_sync(partition->topic->store->fd, path);
	return r == -ENOENT ? 0 : r;
}

/* Nothing was tried for want of something: nothing is known to be lost. */
static bool is_passing(int error)
{
	return log_files_lack(error) || error == -ENOMEM;
}

static int replace_epochs(const struct partition *partition, struct round *round)
{
	char path[SEGMENT_PATH_MAX];
	int r;

	snprintf(path, sizeof(path), "%s/leader-epoch-checkpoint", partition->folder);
	r = files_replace(partition->topic->store->fd, path,
			  slice_make(round->epochs, round->epochs_len));
	/* Whatever it is: the old one is there, and this one can be made again. */
	round->put_off = r < 0;
	return r;
}

static int carry_out(const struct partition *partition, struct round *round)
{
	int dir = partition->topic->store->fd, r = 0;

	for (unsigned i = 0; i < round->count && r == 0; i++) {
		struct log_segment *segment = round->segments[i];

		r = log_segment_sync(segment, round->complete[i]);
		if (r == 0 && round->complete[i])
			r = sync_snapshot(partition, round->ends[i]);
	}
	round->put_off = is_passing(r);
	if (r == 0 && round->epochs)
		r = replace_epochs(partition, round);
	if (r == 0 && (round->folder || round->epochs)) {
		r = files_sync_folder(dir, partition->folder);
		round->put_off = is_passing(r);
	}
	return r;
}

static void put_off(struct partition *partition, const struct round *round)
{
	partition->epochs.dirty |= round->epochs != NULL;
	partition->folder_dirty |= round->folder;
	partition->was_cut |= round->was_cut;
	partition->wants_sync = true;
}

/* Under the lock. */
static void conclude(struct partition *partition, struct round *round, int r)
{
	if (partition->epoch_error < 0 && round->epochs && !partition->epochs.dirty)
		partition->epoch_error = r;
	/* An epoch that began meanwhile keeps appends away: maintenance is to write it down. */
	else if (partition->epoch_error < 0 && partition->epochs.dirty)
		partition->wants_sync = true;
	if (r < 0 && round->put_off)
		put_off(partition, round);
	else if (r < 0)
		partition_fail(partition, r, "a sync of the disk failed");
	for (unsigned i = 0; i < round->count; i++)
		if (r == 0 && round->complete[i])
			round->segments[i]->synced = true;
	if (r < 0 || partition->state != PARTITION_GOOD)
		return;
	if (round->end > partition->durable_end)
		partition->durable_end = round->end;
	if (partition->durable_end > partition->recovery_point) {
		partition->recovery_point = partition->durable_end;
		partition->topic->store->checkpoints_dirty = true;
	}
	partition_advance(partition);
	partition_verify(partition);
}

static int carry_out_timed(const struct partition *partition, struct round *round)
{
	struct store *store = partition->topic->store;
	uint64_t start = sys_now_ns();
	int r = carry_out(partition, round);

	pthread_mutex_lock(&store->flushes.lock);
	histogram_add(&store->flushes.times, sys_now_ns() - start);
	pthread_mutex_unlock(&store->flushes.lock);
	return r;
}

static bool has_work(const struct round *round)
{
	return round->count > 0 || round->epochs || round->folder;
}

/* One round; partition->sync is held. */
static int run(struct partition *partition)
{
	struct round round = {.count = 0};
	int r = 0;

	pthread_mutex_lock(&partition->lock);
	if (partition->state == PARTITION_GOOD) {
		r = begin(partition, &round);
		/* Without memory it is put off. */
		partition->wants_sync |= r < 0;
	} else {
		r = -EIO;
	}
	pthread_mutex_unlock(&partition->lock);
	if (r < 0)
		return r;
	if (has_work(&round))
		r = carry_out_timed(partition, &round);
	pthread_mutex_lock(&partition->lock);
	conclude(partition, &round, r);
	pthread_mutex_unlock(&partition->lock);
	for (unsigned i = 0; i < round.count; i++)
		log_segment_unref(round.segments[i]);
	free(round.epochs);
	return r;
}

bool partition_flush(struct partition *partition)
{
	bool again;
	int r;

	pthread_mutex_lock(&partition->sync);
	r = run(partition);
	pthread_mutex_unlock(&partition->sync);
	pthread_mutex_lock(&partition->lock);
	/* Somebody may have been told to wait before flush.messages was changed. What was put off is
	 * for the next append, or for maintenance. */
	again = r == 0 && partition->state == PARTITION_GOOD &&
		(partition->durable_wanted > partition->durable_end ||
		 partition->log_end - partition->durable_end >=
		     partition_config(partition, TOPIC_CONFIG_FLUSH_MESSAGES));
	partition->flush_running = again;
	pthread_mutex_unlock(&partition->lock);
	return again;
}

void partition_make_durable(struct partition *partition, int64_t end)
{
	bool done = false;

	pthread_mutex_lock(&partition->sync);
	while (!done) {
		pthread_mutex_lock(&partition->lock);
		done =
		    partition->durable_end >= end || partition->durable_end == partition->log_end;
		pthread_mutex_unlock(&partition->lock);
		/* Each round comes nearer to the end. */
		done = done || run(partition) < 0;
	}
	pthread_mutex_unlock(&partition->sync);
}

int partition_sync(struct partition *partition)
{
	bool done = false;
	int r = 0;

	pthread_mutex_lock(&partition->sync);
	while (r == 0 && !done) {
		r = run(partition);
		pthread_mutex_lock(&partition->lock);
		/* What is appended meanwhile is for the next time. */
		done = !partition->wants_sync;
		pthread_mutex_unlock(&partition->lock);
	}
	pthread_mutex_unlock(&partition->sync);
	return r;
}

int partition_keep_epoch(struct partition *partition, struct load *unused)
{
	struct round round = {.end = 0};
	int r = 0;

	pthread_mutex_lock(&partition->sync);
	pthread_mutex_lock(&partition->lock);
	if (partition->state == PARTITION_GOOD && partition->epoch_error < 0)
		r = take_epochs(partition, &round);
	round.put_off = is_passing(r);
	pthread_mutex_unlock(&partition->lock);
	if (round.epochs)
		r = carry_out_timed(partition, &round);
	pthread_mutex_lock(&partition->lock);
	conclude(partition, &round, r);
	pthread_mutex_unlock(&partition->lock);
	pthread_mutex_unlock(&partition->sync);
	free(round.epochs);
	return r;
}

static int close_active(struct partition *partition)
{
	struct log_segment *active = partition_active(partition);
	int r;

	/* Nothing was appended, and it was closed like this before. */
	if (!active->tail && partition->snapshot_offset == partition->log_end)
		return 0;
	if (active->size == 0 && partition->segment_count == 1)
		return 0;
	r = log_segment_finish(active);
	if (r == 0)
		r = partition_write_snapshot(partition);
	if (r == 0)
		r = log_segment_sync(active, true);
	if (r == 0)
		r = sync_snapshot(partition, partition->log_end);
	return r == 0 ? files_sync_folder(partition->topic->store->fd, partition->folder) : r;
}

int partition_close(struct partition *partition, struct load *unused)
{
	int r = partition_sync(partition);

	pthread_mutex_lock(&partition->lock);
	if (r == 0)
		r = close_active(partition);
	pthread_mutex_unlock(&partition->lock);
	return r;
}
