/*
 * Going through a segment's batches while loading: checking them, making the indexes, learning what
 * producers and epochs were. What is good log_scan.c decides; here files are read and cut.
 */
#include "base/log.h"
#include "kafka/store/internal.h"
#include "sys/sys.h"

struct pass {
	struct partition *partition;
	struct log_segment *segment;
	struct log_reader reader;
	uint64_t interval;
	bool reindex, producers, sums, epochs;
};

static int take_batch(struct pass *pass, const struct record_batch *batch)
{
	struct partition *partition = pass->partition;
	uint32_t position = (uint32_t)(pass->reader.scan.position - batch->bytes.len);
	int r;

	if (pass->reindex) {
		r = log_segment_note(pass->segment, batch, position, pass->interval);
		if (r < 0)
			return r;
	}
	if (pass->epochs) {
		r = epochs_reserve(&partition->epochs);
		if (r < 0)
			return r;
		epochs_assign(&partition->epochs, batch->leader_epoch, batch->base_offset);
	}
	if (pass->producers && batch->producer_id >= 0) {
		r = producers_reserve(&partition->producers);
		if (r < 0)
			return r;
		producers_update(&partition->producers, batch);
	}
	return 0;
}

/* 0: all good; 1: cut where scan.position is. */
static int go_through(struct pass *pass)
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
	       pass->reader.scan.next_offset >= partition->recovery_point &&
	       !topic_config_lists(policy, TOPIC_CLEANUP_COMPACT) &&
	       pass->reader.scan.next_offset != partition->segments[nth + 1]->base_offset;
}

static int cut(struct pass *pass)
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
	return sys_ftruncate(pass->reader.fd, pass->reader.scan.position);
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
	int r, was_cut;

	pass.reader.fd = log_segment_use(segment, LOG_FILE_LOG, false);
	if (pass.reader.fd < 0)
		return pass.reader.fd;
	if (reindex && from == 0)
		start_indexes(segment);
	was_cut = r = go_through(&pass);
	if (r == 0 && depth == SCAN_SUMS && ends_early(&pass, nth)) {
		pass.reader.scan.why = "batches are missing before the next segment";
		was_cut = r = 1;
	}
	partition->topic->store->recovered_bytes += pass.sums ? pass.reader.scan.position : 0;
	if (r == 1 && depth == SCAN_SUMS) {
		r = cut(&pass);
		segment->size = (uint32_t)pass.reader.scan.position;
		/* Only what a failed append had left: the next segment goes on from there. */
		if (nth + 1 < partition->segment_count &&
		    pass.reader.scan.next_offset == partition->segments[nth + 1]->base_offset)
			was_cut = 0;
	}
	log_segment_done(segment);
	if (r < 0)
		return r;
	if (nth + 1 == partition->segment_count || was_cut)
		partition->log_end = pass.reader.scan.next_offset;
	return was_cut;
}
