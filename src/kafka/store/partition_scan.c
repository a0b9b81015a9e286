/*
 * Going through a segment's batches while loading: checking them, making the indexes, learning what
 * producers and epochs were. What is good log_scan.c decides, and partition_damage.c what it is that is
 * not; here files are read, and cut, or gone on with behind the damage.
 */
#include <errno.h>
#include <stdlib.h>

#include "base/log.h"
#include "kafka/store/internal.h"
#include "sys/sys.h"

struct pass {
	struct partition *partition;
	struct log_segment *segment;
	struct log_reader reader;
	uint64_t interval;
	bool reindex, producers, sums, epochs;
	struct log_gaps gaps; /* gone past */
};

static int take_batch(struct pass *pass, const struct record_batch *batch)
{
	struct partition *partition = pass->partition;
	uint32_t position =
	    (uint32_t)(pass->reader.scan.position - batch->bytes.len - pass->gaps.bytes);
	int r;

	if (pass->reindex) {
		r = log_segment_note(pass->segment, batch, position, pass->interval);
		if (r < 0)
			return r;
	}
	if (pass->epochs) {
		r = partition_learn_epoch(partition, batch);
		if (r < 0)
			return r;
	}
	if (pass->producers && batch->producer_id >= 0) {
		r = producers_reserve(&partition->producers);
		if (r < 0)
			return r;
		producers_update(&partition->producers, batch);
	}
	return 0;
}

/* 0: all good, up to the end; 1: what scan.position is at is not. */
static int go_on(struct pass *pass)
{
	struct record_batch batch;
	enum log_scan_step step;
	int r;

	while ((r = log_reader_next(&pass->reader, &batch, &step)) == 0 && step == LOG_SCAN_BATCH) {
		r = take_batch(pass, &batch);
		if (r < 0)
			return r;
	}
	return r < 0 ? r : step == LOG_SCAN_CUT;
}

/* The segment ends before the next one begins, and not because it was compacted: its last batches
 * never reached the disk, though the next segment's name did. What lies behind is not to be served
 * as if nothing were missing. */
static bool ends_early(const struct pass *pass, uint32_t nth)
{
	const struct partition *partition = pass->partition;
	int64_t policy = partition_config(partition, TOPIC_CONFIG_CLEANUP_POLICY);

	/* What lies below the recovery point was on disk: there it is compaction. */
	return nth + 1 < partition->segment_count && !pass->reader.scan.sparse &&
	       partition->topic->store->damage != STORE_DAMAGE_SKIP &&
	       pass->reader.scan.next_offset >= partition->recovery_point &&
	       !topic_config_lists(policy, TOPIC_CLEANUP_COMPACT) &&
	       pass->reader.scan.next_offset != partition->segments[nth + 1]->base_offset;
}

/* A copy is on disk of what is going to be cut. Where there is no room for it, and nothing of it is good,
 * it is done without: the start does not depend on what a full disk does not have. */
static int save_tail(const struct pass *pass, const struct damage *damage)
{
	const struct partition *partition = pass->partition;
	int r = partition_set_aside(partition, pass->segment, pass->reader.scan.position,
				    pass->reader.scan.size);

	if ((r != -ENOSPC && r != -EDQUOT) || damage->kind != DAMAGE_TORN)
		return r;
	log_warning("%s/%s: no room for a copy of what is cut", partition->topic->store->dir,
		    partition->folder);
	return 0;
}

static int cut_here(struct pass *pass)
{
	struct partition *partition = pass->partition;
	struct store *store = partition->topic->store;

	log_warning("%s/%s: cut %llu bytes behind offset %lld, at %llu of segment %lld: %s",
		    store->dir, partition->folder,
		    (unsigned long long)(pass->reader.scan.size - pass->reader.scan.position),
		    (long long)pass->reader.scan.next_offset - 1,
		    (unsigned long long)pass->reader.scan.position,
		    (long long)pass->segment->base_offset, pass->reader.scan.why);
	store->cuts++;
	partition->was_cut = true;
	pass->segment->size = (uint32_t)pass->reader.scan.position;
	return sys_ftruncate(pass->reader.fd, pass->reader.scan.position);
}

static int cut(struct pass *pass, const struct damage *damage)
{
	int r = save_tail(pass, damage);

	if (r < 0)
		return r;
	return cut_here(pass);
}

/* 0: goes on behind it. */
static int skip_damage(struct pass *pass, const struct damage *damage)
{
	struct partition *partition = pass->partition;
	struct log_scan *scan = &pass->reader.scan;
	int r = partition_set_aside(partition, pass->segment, damage->begin, damage->end);

	if (r == 0)
		r = log_gaps_add(&pass->gaps, damage->begin, damage->end);
	if (r < 0)
		return r;
	log_warning("%s/%s: offsets %lld to %lld are taken out, %llu bytes at %llu of segment "
		    "%lld: %s",
		    partition->topic->store->dir, partition->folder, (long long)scan->next_offset,
		    (long long)damage->next_offset - 1,
		    (unsigned long long)(damage->end - damage->begin),
		    (unsigned long long)damage->begin, (long long)pass->segment->base_offset,
		    scan->why);
	partition->topic->store->cuts++;
	partition->was_cut = true;
	scan->position = damage->end;
	scan->sparse = true;
	return 0;
}

/* The scan has come to what is not good. 0: it can go on; 1: it was cut there. */
static int mend(struct pass *pass, uint32_t nth)
{
	enum store_damage way = pass->partition->topic->store->damage;
	struct damage damage;
	int r = partition_judge(pass->partition, nth, &pass->reader, &damage);

	if (r < 0)
		return r;
	if (damage.follows && way == STORE_DAMAGE_SKIP)
		return skip_damage(pass, &damage);
	if (damage.kind == DAMAGE_ROT && way == STORE_DAMAGE_OFFLINE) {
		partition_tell_rot(pass->partition, pass->segment, &pass->reader.scan, &damage);
		return -EUCLEAN;
	}
	r = cut(pass, &damage);
	return r < 0 ? r : 1;
}

/* 0: all good, or gone past; 1: cut. */
static int go_through(struct pass *pass, uint32_t nth)
{
	int r = go_on(pass);

	while (r == 1 && pass->sums && (r = mend(pass, nth)) == 0)
		r = go_on(pass);
	return r;
}

/* `r` stays what it is, where that goes well. */
static int close_gaps(const struct pass *pass, int r)
{
	int r2 = partition_close_gaps(pass->partition, pass->segment, &pass->gaps);

	return r2 < 0 ? r2 : r;
}

static void start_indexes(struct log_segment *segment)
{
	segment->index_entries = 0;
	segment->time_entries = 0;
	segment->indexer = LOG_INDEXER_INIT;
	segment->max_timestamp = -1;
	segment->first_timestamp = -1;
	if (segment->tail)
		segment->tail->index_count = segment->tail->time_count = 0;
}

int partition_scan(struct partition *partition, struct load *load, uint32_t nth, uint32_t from,
		   enum scan_depth depth, bool reindex, bool producers)
{
	struct log_segment *segment = partition->segments[nth];
	struct pass pass = {
	    .partition = partition,
	    .segment = segment,
	    .reader = {.scan = {.base_offset = segment->base_offset,
				.next_offset = segment->base_offset,
				.position = from,
				.size = segment->size,
				.headers_only = depth == SCAN_HEADERS},
		       .buffer = &load->buffer},
	    .interval = (uint64_t)partition_config(partition, TOPIC_CONFIG_INDEX_INTERVAL_BYTES),
	    .reindex = reindex,
	    .producers = producers,
	    .sums = depth == SCAN_SUMS,
	    .epochs = depth == SCAN_SUMS || load->epochs_lost,
	};
	int r;

	pass.reader.fd = log_segment_use(segment, LOG_FILE_LOG, false);
	if (pass.reader.fd < 0)
		return pass.reader.fd;
	if (reindex && from == 0)
		start_indexes(segment);
	r = go_through(&pass, nth);
	if (r == 0 && pass.sums && ends_early(&pass, nth)) {
		pass.reader.scan.why = "batches are missing before the next segment";
		r = cut_here(&pass);
		r = r == 0 ? 1 : r;
	}
	partition->topic->store->recovered_bytes += pass.sums ? pass.reader.scan.position : 0;
	log_segment_done(segment);
	if (r >= 0 && pass.gaps.count > 0)
		r = close_gaps(&pass, r);
	free(pass.gaps.list);
	if (r < 0)
		return r;
	if (nth + 1 == partition->segment_count || r == 1)
		partition->log_end = pass.reader.scan.next_offset;
	/* Only what a failed append had left: the next segment goes on from there. */
	if (pass.sums && nth + 1 < partition->segment_count &&
	    pass.reader.scan.next_offset == partition->segments[nth + 1]->base_offset)
		return 0;
	return r;
}
