/*
 * Reading: under the lock it is settled which segment, and up to where; finding the batch in it and
 * all that may touch the disk comes after.
 */
#include <errno.h>
#include <stdlib.h>

#include "kafka/store/internal.h"
#include "sys/sys.h"

/* What was settled under the lock. A reference to the segment is held. */
struct sight {
	struct log_segment *segment;
	uint32_t size;   /* of the log, now */
	int64_t end;     /* the offset behind the segment */
	int64_t bound;   /* nothing at or above is read */
	int64_t offset;  /* what is looked for */
	bool from_known; /* `from` comes from the tail */
	bool newest;
	uint32_t from;
	uint32_t bound_from; /* for looking for the bound, where it is in here */
	bool bound_known;
};

static int64_t bound_of(const struct partition_ends *ends, enum partition_isolation isolation)
{
	switch (isolation) {
	case PARTITION_READ_UNCOMMITTED:
		return ends->high_watermark;
	case PARTITION_READ_COMMITTED:
		return ends->last_stable;
	case PARTITION_READ_ALL:
		return ends->log_end;
	}
	CHECK(false);
}

/* Under the lock: the nth segment, for an offset. */
static void look(const struct partition *partition, uint32_t nth, struct sight *sight)
{
	struct log_segment *segment = partition->segments[nth];

	log_segment_ref(segment);
	sight->segment = segment;
	sight->size = segment->size;
	sight->end = partition_segment_end(partition, nth);
	sight->newest = nth + 1 == partition->segment_count;
	sight->from_known = log_segment_lookup_tail(segment, sight->offset, &sight->from);
	sight->bound_known = sight->bound < sight->end &&
			     log_segment_lookup_tail(segment, sight->bound, &sight->bound_from);
}

/* The position of the batch that has the bound, or begins behind it. */
static int find_bound(const struct sight *sight, bool nowait, uint32_t *ret_position)
{
	uint32_t from = sight->bound_from;
	struct log_place place;
	int r = 0;

	*ret_position = sight->size;
	if (sight->bound >= sight->end)
		return 0;
	if (!sight->bound_known)
		r = log_segment_lookup(sight->segment, sight->bound, sight->end, sight->size,
				       nowait, &from);
	if (r == 0)
		r = log_segment_find(sight->segment, from, sight->size, sight->bound, nowait,
				     &place);
	if (r == 0)
		*ret_position = place.position;
	return r == -ENODATA ? 0 : r;
}

/* The batch that has the offset, or the first behind it: compaction leaves gaps. */
static int find_start(const struct sight *sight, bool nowait, struct log_place *ret)
{
	uint32_t from = sight->from;
	int r = 0;

	if (!sight->from_known)
		r = log_segment_lookup(sight->segment, sight->offset, sight->end, sight->size,
				       nowait, &from);
	if (r == 0)
		r = log_segment_find(sight->segment, from, sight->size, sight->offset, nowait, ret);
	return r;
}

static int fill_slice(const struct sight *sight, const struct partition_read *read,
		      struct partition_slice *ret)
{
	struct log_place first;
	uint32_t bound = 0;
	size_t len;
	int r = find_start(sight, read->nowait, &first);

	if (r == 0)
		r = find_bound(sight, read->nowait, &bound);
	if (r < 0)
		return r;
	ret->base_offset = first.base_offset;
	if (first.position >= bound)
		return 0;
	len = min_size(bound - first.position, read->max_bytes);
	if (len < first.length)
		len = read->whole_first ? min_size(first.length, bound - first.position) : 0;
	ret->at_bound = sight->bound <= sight->end && first.position + len == bound;
	if (len == 0)
		return 0;
	ret->file = sight->segment->number;
	ret->position = first.position;
	ret->len = len;
	return 0;
}

/* The slice keeps the descriptor, and a reference to the segment. */
static int open_slice(const struct sight *sight, const struct partition_read *read,
		      struct partition_slice *ret)
{
	struct log_segment *segment = sight->segment;
	int fd = read->lent ? log_segment_lend(segment, read->nowait)
			    : log_segment_use(segment, LOG_FILE_LOG, read->nowait),
	    r;

	if (fd < 0)
		return fd;
	r = fill_slice(sight, read, ret);
	if (r < 0 || ret->len == 0) {
		log_segment_done(segment);
		return r;
	}
	log_segment_ref(segment);
	ret->segment = segment;
	ret->fd = fd;
	return 0;
}

/* Under the lock. False: there is nothing to look for, *ret_error says why, if it is an error. */
static bool settle(struct partition *partition, const struct partition_read *read, uint32_t skip,
		   struct sight *sight, struct partition_slice *ret, enum kafka_error *ret_error)
{
	uint32_t nth;

	*ret_error = partition_check(partition);
	if (*ret_error != KAFKA_NONE)
		return false;
	partition_fill_ends(partition, &ret->ends);
	*sight =
	    (struct sight){.offset = read->offset, .bound = bound_of(&ret->ends, read->isolation)};
	if (read->offset < ret->ends.log_start ||
	    read->offset > max_i64(ret->ends.high_watermark, sight->bound)) {
		*ret_error = KAFKA_OFFSET_OUT_OF_RANGE;
		return false;
	}
	ret->at_bound = true;
	ret->newest_segment = true;
	ret->base_offset = read->offset;
	/* The ends alone are wanted. */
	if (read->max_bytes == 0 && !read->whole_first) {
		ret->at_bound = read->offset >= sight->bound;
		return false;
	}
	nth = partition_segment_at(partition, read->offset) + skip;
	if (read->offset >= sight->bound || nth >= partition->segment_count ||
	    partition->segments[nth]->base_offset >= sight->bound)
		return false;
	look(partition, nth, sight);
	ret->at_bound = false;
	ret->newest_segment = sight->newest;
	return true;
}

int partition_read(struct partition *partition, const struct partition_read *read,
		   struct partition_slice *ret, enum kafka_error *ret_error)
{
	struct sight sight;
	bool found;
	int r;

	/* A segment that ends in a gap has nothing: then the next one. One that retention took
	 * while we looked: once more from the beginning. */
	for (uint32_t skip = 0, tries = 0;;) {
		*ret = (struct partition_slice){.fd = -1};
		pthread_mutex_lock(&partition->lock);
		found = settle(partition, read, skip, &sight, ret, ret_error);
		pthread_mutex_unlock(&partition->lock);
		if (!found)
			return 0;
		r = open_slice(&sight, read, ret);
		if (r == -ENOENT && sight.segment->dropped && tries < 3) {
			tries++;
			skip = 0;
		} else if (r == -ENODATA && !sight.newest) {
			skip++;
		} else {
			break;
		}
		log_segment_unref(sight.segment);
	}
	log_segment_unref(sight.segment);
	if (r == -EAGAIN && read->nowait)
		return r;
	/* Nothing of it for now, as where other partitions have used up what may be sent. */
	if (r < 0 && r != -ENODATA && !(read->lent && log_files_lack(r)))
		*ret_error = KAFKA_KAFKA_STORAGE_ERROR;
	return 0;
}

void partition_slice_release(struct partition_slice *slice)
{
	if (!slice->segment)
		return;
	log_segment_done(slice->segment);
	log_segment_unref(slice->segment);
	slice->segment = NULL;
}

/* ---- by time ---- */

/* The offset of `record` or batch that was found, as the caller wants it. */
static int read_batch(struct log_segment *segment, const struct log_place *place, char **ret)
{
	int fd = log_segment_use(segment, LOG_FILE_LOG, false), r = 0;
	char *bytes;
	size_t done = 0;

	if (fd < 0)
		return fd;
	bytes = malloc(place->length);
	if (!bytes)
		r = -ENOMEM;
	while (r == 0 && done < place->length) {
		ssize_t n =
		    sys_pread(fd, bytes + done, place->length - done, place->position + done);

		if (n <= 0)
			r = n < 0 ? (int)n : -EIO;
		else
			done += (size_t)n;
	}
	log_segment_done(segment);
	if (r < 0)
		free(bytes);
	else
		*ret = bytes;
	return r;
}

/* The first record of the batch with a time of `timestamp` or later, and an offset of `from` or
 * higher. */
static int find_record(struct log_segment *segment, const struct log_place *place, int64_t from,
		       int64_t timestamp, struct partition_found *ret)
{
	struct record_batch batch;
	struct record record;
	struct slice stream;
	char *bytes;
	int r = read_batch(segment, place, &bytes);

	if (r < 0)
		return r;
	stream = slice_make(bytes, place->length);
	r = record_batch_next(&stream, &batch) == RECORD_BATCH_OK ? -ENODATA : -EBADMSG;
	stream = batch.records;
	while (r == -ENODATA && record_next(&batch, &stream, &record) == RECORD_BATCH_OK)
		if (record.timestamp >= timestamp && record.offset >= from) {
			ret->offset = record.offset;
			ret->timestamp = record.timestamp;
			r = 0;
		}
	free(bytes);
	return r;
}

static int hand_out_batch(struct log_segment *segment, const struct log_place *place,
			  struct partition_found *ret)
{
	int fd = log_segment_use(segment, LOG_FILE_LOG, false);

	if (fd < 0)
		return fd;
	log_segment_ref(segment);
	ret->compressed = true;
	ret->batch.segment = segment;
	ret->batch.fd = fd;
	ret->batch.file = segment->number;
	ret->batch.position = place->position;
	ret->batch.len = place->length;
	ret->batch.base_offset = place->base_offset;
	return 0;
}

/* -ENODATA: no record of it is meant. */
static int found_batch(struct log_segment *segment, const struct log_place *place, int64_t from,
		       int64_t timestamp, struct partition_found *ret)
{
	ret->leader_epoch = place->leader_epoch;
	ret->offset = place->base_offset > from ? place->base_offset : from;
	ret->timestamp = place->max_timestamp;
	/* All records have the time of the append; or it is a message, and that is the record, or
	 * has it inside. */
	if ((place->attributes & RECORD_ATTRIBUTE_LOG_APPEND_TIME) || place->old)
		return 0;
	if (place->attributes & RECORD_ATTRIBUTE_CODEC)
		return hand_out_batch(segment, place, ret);
	return find_record(segment, place, from, timestamp, ret);
}

/* In one segment: -ENODATA if it has none. */
static int find_time_in(struct log_segment *segment, uint32_t size, int64_t end, int64_t log_start,
			int64_t timestamp, struct partition_found *ret)
{
	struct log_time_entry before;
	struct log_place place;
	int64_t offset = log_start;
	uint32_t from;
	int r = log_segment_time(segment, timestamp, &before);

	if (r < 0)
		return r;
	if (before.timestamp >= 0 && segment->base_offset + before.offset > offset)
		offset = segment->base_offset + before.offset;
	r = log_segment_lookup(segment, offset, end, size, false, &from);
	while (r == 0) {
		r = log_segment_find_time(segment, from, size, offset, timestamp, &place);
		if (r < 0)
			break;
		from = place.position + place.length;
		offset = INT64_MAX;
		if (place.last_offset < log_start)
			continue;
		r = found_batch(segment, &place, log_start, timestamp, ret);
		if (r != -ENODATA)
			return r;
		r = 0;
	}
	return r;
}

/* Under the lock: the first segment that begins at `from` or later; or segment_count. By the offset,
 * since their numbers change while retention takes some. */
static uint32_t segment_from(const struct partition *partition, int64_t from)
{
	uint32_t nth = partition_segment_at(partition, from);

	return nth + (partition->segments[nth]->base_offset < from);
}

/* That one, with a reference, and *from for the one behind it. False: there is none. Entries in memory
 * go to the files, where they are looked for. */
static bool next_segment(struct partition *partition, int64_t *from, struct sight *sight,
			 int64_t *ret_log_start)
{
	bool there = false;
	uint32_t nth;

	pthread_mutex_lock(&partition->lock);
	if (partition->state == PARTITION_GOOD) {
		nth = segment_from(partition, *from);
		there = nth < partition->segment_count;
	}
	if (there) {
		(void)log_segment_write_tail(partition->segments[nth]);
		*sight = (struct sight){.bound = INT64_MAX};
		look(partition, nth, sight);
		*from = partition->segments[nth]->base_offset + 1;
		*ret_log_start = partition->log_start;
	}
	pthread_mutex_unlock(&partition->lock);
	return there;
}

static enum kafka_error check_found(struct partition *partition, int r, struct partition_found *ret)
{
	struct partition_ends ends;
	enum kafka_error error = partition_ends(partition, &ends);

	if (error == KAFKA_NONE && r < 0 && r != -ENODATA)
		error = KAFKA_KAFKA_STORAGE_ERROR;
	/* Nobody may hear of what is not safe yet. */
	if (error != KAFKA_NONE || r < 0 || ret->offset >= ends.high_watermark) {
		partition_slice_release(&ret->batch);
		*ret = (struct partition_found){.offset = PARTITION_NOT_FOUND,
						.timestamp = PARTITION_NOT_FOUND,
						.leader_epoch = -1,
						.batch.fd = -1};
	}
	return error;
}

enum kafka_error partition_find_time_from(struct partition *partition, int64_t timestamp,
					  int64_t from, struct partition_found *ret)
{
	int64_t log_start, at = 0;
	struct sight sight;
	int r = -ENODATA;

	*ret = (struct partition_found){.batch.fd = -1};
	while (r == -ENODATA && next_segment(partition, &at, &sight, &log_start)) {
		if (log_start < from)
			log_start = from;
		r = log_segment_learn_times(sight.segment);
		if (r == 0)
			r = sight.segment->max_timestamp < timestamp || sight.end <= log_start
				? -ENODATA
				: find_time_in(sight.segment, sight.size, sight.end, log_start,
					       timestamp, ret);
		/* Retention was faster. */
		if (r == -ENOENT && sight.segment->dropped)
			r = -ENODATA;
		log_segment_unref(sight.segment);
	}
	return check_found(partition, r, ret);
}

enum kafka_error partition_find_time(struct partition *partition, int64_t timestamp,
				     struct partition_found *ret)
{
	return partition_find_time_from(partition, timestamp, 0, ret);
}

enum kafka_error partition_find_latest(struct partition *partition, struct partition_found *ret)
{
	int64_t greatest = -1, log_start, at = 0;
	struct sight sight;
	int r = 0;

	*ret = (struct partition_found){.batch.fd = -1};
	while (r == 0 && next_segment(partition, &at, &sight, &log_start)) {
		r = log_segment_learn_times(sight.segment);
		if (r == 0 && sight.segment->max_timestamp > greatest)
			greatest = sight.segment->max_timestamp;
		/* Retention was faster. */
		if (r == -ENOENT && sight.segment->dropped)
			r = 0;
		log_segment_unref(sight.segment);
	}
	if (r == 0 && greatest >= 0)
		return partition_find_time(partition, greatest, ret);
	return check_found(partition, r == 0 ? -ENODATA : r, ret);
}

/* ---- aborted transactions ----
 *
 *     .txnindex  version 2, producer id 8, first offset 8, last offset 8, last stable offset 8
 */

#define ABORTED_ENTRY 34u

static unsigned aborted_in(struct log_segment *segment, int64_t from, int64_t to,
			   struct partition_aborted *ret, unsigned max)
{
	char path[SEGMENT_PATH_MAX], entry[ABORTED_ENTRY];
	unsigned count = 0;
	int fd;

	log_segment_path(segment->folder, segment->base_offset, LOG_FILE_TRANSACTIONS, path);
	fd = sys_openat(segment->files->dir, path, O_RDONLY, 0);
	if (fd < 0)
		return 0;
	for (uint64_t at = 0; sys_pread(fd, entry, sizeof(entry), at) == (ssize_t)sizeof(entry);
	     at += sizeof(entry)) {
		int64_t first = (int64_t)be_load64(entry + 10),
			last = (int64_t)be_load64(entry + 18);

		if (last < from || first >= to)
			continue;
		if (count < max)
			ret[count] =
			    (struct partition_aborted){(int64_t)be_load64(entry + 2), first};
		count++;
	}
	sys_close(fd);
	return count;
}

unsigned partition_aborted(struct partition *partition, int64_t from, int64_t to,
			   struct partition_aborted *ret, unsigned max)
{
	int64_t log_start, at = 0;
	struct sight sight;
	unsigned count = 0;

	/* Of a log without transactions nothing is asked. */
	if (!partition->has_aborted)
		return 0;
	/* The marker, and with it the entry, may lie far behind what it aborts. */
	while (next_segment(partition, &at, &sight, &log_start)) {
		unsigned room = count < max ? max - count : 0;

		if (sight.end > from && sight.segment->has_aborted)
			count += aborted_in(sight.segment, from, to, ret + (max - room), room);
		log_segment_unref(sight.segment);
	}
	return count;
}
