/*
 * Going through a segment's batches while loading: checking them, making the indexes, learning what
 * producers and epochs were. What is good log_scan.c decides; here files are read and cut.
 */
#include <errno.h>
#include <stdlib.h>

#include "base/log.h"
#include "kafka/store/internal.h"
#include "kafka/store/log_scan.h"
#include "sys/sys.h"

/* Checksums are made in the second level cache; headers alone are a page each. */
#define SUMS_BYTES    (256u * 1024u)
#define HEADERS_BYTES 4096u

struct pass {
	struct partition *partition;
	struct load *load;
	struct log_segment *segment;
	struct log_scan scan;
	uint64_t interval;
	uint64_t at; /* the window's position */
	size_t len;
	int fd;
	bool reindex, producers, sums;
};

static int grow_buffer(struct load *load, size_t size)
{
	char *larger;

	if (size <= load->buffer_size)
		return 0;
	larger = realloc(load->buffer, size);
	if (!larger)
		return -ENOMEM;
	load->buffer = larger;
	load->buffer_size = size;
	return 0;
}

/* The window begins at scan.position now and has at least `want` bytes. */
static int fill_window(struct pass *pass, size_t want)
{
	struct load *load = pass->load;
	uint64_t position = pass->scan.position, left = pass->scan.size - position;
	size_t keep = 0, size = pass->sums ? SUMS_BYTES : HEADERS_BYTES;
	int r = grow_buffer(load, max_u64(size, want));

	if (r < 0)
		return r;
	if (position < pass->at + pass->len) {
		keep = (size_t)(pass->at + pass->len - position);
		memmove(load->buffer, load->buffer + (position - pass->at), keep);
	}
	pass->at = position;
	pass->len = keep;
	size = (size_t)min_u64(max_u64(size, want), left);
	while (pass->len < want) {
		ssize_t n = sys_pread(pass->fd, load->buffer + pass->len, size - pass->len,
				      position + pass->len);

		if (n <= 0)
			return n < 0 ? (int)n : -EIO;
		pass->len += (size_t)n;
	}
	return 0;
}

static int take_batch(struct pass *pass, const struct record_batch *batch)
{
	struct partition *partition = pass->partition;
	uint32_t position = (uint32_t)(pass->scan.position - batch->bytes.len);
	int r;

	if (pass->reindex) {
		r = log_segment_note(pass->segment, batch, position, pass->interval);
		if (r < 0)
			return r;
	}
	if (pass->sums) {
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

static struct slice window(const struct pass *pass)
{
	uint64_t begin = pass->scan.position;

	if (begin < pass->at || begin >= pass->at + pass->len)
		return slice_make(NULL, 0);
	return slice_make(pass->load->buffer + (begin - pass->at),
			  (size_t)(pass->at + pass->len - begin));
}

/* 0: all good; 1: cut where scan.position is. */
static int go_through(struct pass *pass)
{
	struct record_batch batch;
	size_t want = 0;
	int r = 0;

	while (r == 0) {
		switch (log_scan_next(&pass->scan, window(pass), &batch, &want)) {
		case LOG_SCAN_BATCH:
			r = take_batch(pass, &batch);
			break;
		case LOG_SCAN_MORE:
			r = fill_window(pass, want);
			break;
		case LOG_SCAN_END:
			return 0;
		case LOG_SCAN_CUT:
			return 1;
		case LOG_SCAN_FOREIGN:
			return -EPROTONOSUPPORT;
		}
	}
	return r;
}

/* The segment ends before the next one begins, and not because it was compacted: its last batches
 * never reached the disk, though the next segment's name did. What lies behind is not to be served
 * as if nothing were missing. */
static bool ends_early(const struct pass *pass, uint32_t nth)
{
	const struct partition *partition = pass->partition;
	int64_t policy = partition_config(partition, TOPIC_CONFIG_CLEANUP_POLICY);

	return nth + 1 < partition->segment_count && !pass->scan.sparse &&
	       !(policy & TOPIC_CLEANUP_COMPACT) &&
	       pass->scan.next_offset != partition->segments[nth + 1]->base_offset;
}

static int cut(struct pass *pass)
{
	struct partition *partition = pass->partition;
	struct store *store = partition->topic->store;

	log_warning("%s/%s: cut %llu bytes behind offset %lld, at %llu of segment %lld: %s",
		    store->dir, partition->folder,
		    (unsigned long long)(pass->scan.size - pass->scan.position),
		    (long long)pass->scan.next_offset - 1, (unsigned long long)pass->scan.position,
		    (long long)pass->segment->base_offset, pass->scan.why);
	store->cuts++;
	partition->was_cut = true;
	return sys_ftruncate(pass->fd, pass->scan.position);
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
	    .load = load,
	    .segment = segment,
	    .scan = {.base_offset = segment->base_offset,
		     .next_offset = segment->base_offset,
		     .position = from,
		     .size = segment->size,
		     .headers_only = depth == SCAN_HEADERS},
	    .interval = (uint64_t)partition_config(partition, TOPIC_CONFIG_INDEX_INTERVAL_BYTES),
	    .reindex = reindex,
	    .producers = producers,
	    .sums = depth == SCAN_SUMS,
	};
	int r, was_cut;

	pass.fd = log_segment_use(segment, LOG_FILE_LOG, false);
	if (pass.fd < 0)
		return pass.fd;
	if (reindex && from == 0)
		start_indexes(segment);
	was_cut = r = go_through(&pass);
	if (r == 0 && depth == SCAN_SUMS && ends_early(&pass, nth)) {
		pass.scan.why = "batches are missing before the next segment";
		was_cut = r = 1;
	}
	partition->topic->store->recovered_bytes += pass.sums ? pass.scan.position : 0;
	if (r == 1 && depth == SCAN_SUMS) {
		r = cut(&pass);
		segment->size = (uint32_t)pass.scan.position;
		/* Only what a failed append had left: the next segment goes on from there. */
		if (nth + 1 < partition->segment_count &&
		    pass.scan.next_offset == partition->segments[nth + 1]->base_offset)
			was_cut = 0;
	}
	log_segment_done(segment);
	if (r < 0)
		return r;
	if (nth + 1 == partition->segment_count || was_cut)
		partition->log_end = pass.scan.next_offset;
	return was_cut;
}
