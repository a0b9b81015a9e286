/*
 * Finding a batch in a segment: the index says where to begin, the batches' headers lead on.
 *
 * An index is a hint. One that is damaged costs time: what it points to is checked to be a batch, and
 * not to lie behind what is looked for; if it is none, the search begins at the segment's start.
 */
#include <errno.h>

#include "kafka/store/log_scan.h"
#include "kafka/store/log_segment.h"
#include "kafka/wire/old_message.h"
#include "sys/sys.h"

#define BLOCK_ENTRIES 512u /* a page of .index */
#define WINDOW_BYTES  4096u

/* len bytes or less. Where the file system can't say what is in memory (overlayfs, FUSE, NFS), it is
 * taken not to be: -EAGAIN has a helper do it, which costs time, but never a loop's. */
static ssize_t read_at(const struct log_segment *segment, int fd, void *buf, size_t len,
		       uint64_t position, bool nowait)
{
	ssize_t n;

	if (!nowait || segment->files->in_memory)
		return sys_pread(fd, buf, len, position);
	n = sys_pread_nowait(fd, buf, len, position);
	return n == -EOPNOTSUPP ? -EAGAIN : n;
}

static int count_entries(struct log_segment *segment, int fd)
{
	struct stat st;
	int r;

	if (segment->index_entries != SEGMENT_UNKNOWN)
		return 0;
	r = sys_fstat(fd, &st);
	if (r == 0)
		segment->index_entries =
		    (uint32_t)min_u64((uint64_t)st.st_size / LOG_INDEX_ENTRY, INT32_MAX);
	return r;
}

/* A block of entries from *first on, which is moved so that a whole one fits. */
static int read_block(const struct log_segment *segment, int fd, uint32_t *first, uint32_t low,
		      uint32_t high, bool nowait, char *block, uint32_t *ret_count)
{
	ssize_t n;

	if (*first > high - 1)
		*first = high - 1;
	*first = *first > BLOCK_ENTRIES / 2 ? *first - BLOCK_ENTRIES / 2 : 0;
	if (*first < low)
		*first = low;
	*ret_count = (uint32_t)min_u64(high - *first, BLOCK_ENTRIES);
	n = read_at(segment, fd, block, *ret_count * LOG_INDEX_ENTRY,
		    (uint64_t)*first * LOG_INDEX_ENTRY, nowait);
	if (n < 0)
		return (int)n;
	*ret_count = (uint32_t)((size_t)n / LOG_INDEX_ENTRY);
	return *ret_count > 0 ? 0 : -EBADMSG;
}

/* Offsets grow about evenly over the entries: the first guess is mostly right, then halves. */
static uint32_t guess(uint32_t low, uint32_t high, uint32_t offset, int64_t span, bool first_time)
{
	if (first_time && span > 0)
		return low + (uint32_t)((uint64_t)(high - low) * min_u64(offset, (uint64_t)span) /
					((uint64_t)span + 1));
	return low + (high - low) / 2;
}

/* The last entry at or before the offset; its position, or 0 where there is none. */
static int search_index(const struct log_segment *segment, int fd, uint32_t count, uint32_t offset,
			int64_t span, bool nowait, uint32_t *ret_position)
{
	char block[BLOCK_ENTRIES * LOG_INDEX_ENTRY];
	uint32_t low = 0, high = count, position = 0;
	bool first_time = true;

	while (low < high) {
		uint32_t first = guess(low, high, offset, span, first_time), have, upto;
		int r = read_block(segment, fd, &first, low, high, nowait, block, &have);

		if (r < 0)
			return r;
		first_time = false;
		upto = log_index_upto(block, have, offset);
		if (upto == 0) {
			high = first;
			continue;
		}
		position = log_index_load(block + (upto - 1) * LOG_INDEX_ENTRY).position;
		if (upto < have)
			break;
		low = first + have;
	}
	*ret_position = position;
	return 0;
}

static int search_file(struct log_segment *segment, uint32_t offset, int64_t span, bool nowait,
		       uint32_t *ret_position)
{
	int fd = log_segment_use(segment, LOG_FILE_INDEX, nowait), r;
	uint32_t unknown = SEGMENT_UNKNOWN;

	/* There may have been no room for one. It is not looked for again. */
	if (fd == -ENOENT)
		atomic_compare_exchange_strong(&segment->index_entries, &unknown, 0);
	if (fd < 0)
		return fd;
	r = count_entries(segment, fd);
	if (r == 0)
		r = search_index(segment, fd, segment->index_entries, offset, span, nowait,
				 ret_position);
	log_segment_done(segment);
	return r;
}

static uint32_t relative_to(const struct log_segment *segment, int64_t offset)
{
	return (uint32_t)min_u64((uint64_t)(offset - segment->base_offset), INT32_MAX);
}

bool log_segment_lookup_tail(const struct log_segment *segment, int64_t offset,
			     uint32_t *ret_position)
{
	const struct log_tail *tail = segment->tail;
	uint32_t relative, upto;

	if (!tail || offset < segment->base_offset)
		return false;
	relative = relative_to(segment, offset);
	for (unsigned i = 0; i < min_u64(tail->start_count, TAIL_STARTS); i++)
		if (tail->starts[i].offset == relative) {
			*ret_position = tail->starts[i].position;
			return true;
		}
	upto = log_index_upto(tail->index, tail->index_count, relative);
	if (upto > 0)
		*ret_position = log_index_load(tail->index + (upto - 1) * LOG_INDEX_ENTRY).position;
	return upto > 0;
}

int log_segment_lookup(struct log_segment *segment, int64_t offset, int64_t end, uint32_t size,
		       bool nowait, uint32_t *ret_position)
{
	uint32_t position = 0;
	int r = 0;

	if (offset > segment->base_offset && segment->index_entries != 0)
		r = search_file(segment, relative_to(segment, offset), end - segment->base_offset,
				nowait, &position);
	if (r < 0 && r != -EBADMSG && r != -ENOENT)
		return r;
	*ret_position = r == 0 && position < size ? position : 0;
	return 0;
}

/* ---- batches ---- */

/* What was read of the log last. */
struct window {
	char bytes[WINDOW_BYTES];
	size_t len;
	uint32_t position;
};

/* At least `want` bytes of it. */
static int fill(struct log_segment *segment, struct window *window, uint32_t position,
		uint32_t size, uint32_t want, bool nowait)
{
	int fd = log_segment_use(segment, LOG_FILE_LOG, nowait);
	ssize_t n;

	if (fd < 0)
		return fd;
	n = read_at(segment, fd, window->bytes, min_size(WINDOW_BYTES, size - position), position,
		    nowait);
	log_segment_done(segment);
	if (n < 0)
		return (int)n;
	window->position = position;
	window->len = (size_t)n;
	/* A page that is in memory may be followed by one that is not. */
	if ((size_t)n < want)
		return nowait ? -EAGAIN : -EBADMSG;
	return 0;
}

static int parse_header(const struct log_segment *segment, struct slice header, uint32_t position,
			uint32_t size, struct log_place *ret)
{
	int64_t length = record_batch_length(header);
	struct slice start = header;
	enum record_batch_fault fault;
	struct record_batch batch;

	if (length <= 0 || (uint64_t)length > size - position)
		return -EBADMSG;
	/* Only the header is there, and only that is looked at. */
	start.len = (size_t)length;
	fault = record_batch_next(&start, &batch);
	if (fault == RECORD_BATCH_OLD_MAGIC)
		old_message_load(header.ptr, length, &batch);
	else if (fault != RECORD_BATCH_OK || record_batch_check_header(&batch) != RECORD_BATCH_OK)
		return -EBADMSG;
	if (batch.base_offset < segment->base_offset)
		return -EBADMSG;
	*ret = (struct log_place){.position = position,
				  .length = (uint32_t)length,
				  .base_offset = batch.base_offset,
				  .last_offset = record_batch_last_offset(&batch),
				  .max_timestamp = batch.max_timestamp,
				  .leader_epoch = batch.leader_epoch,
				  .attributes = batch.attributes,
				  .old = record_batch_is_old(&batch)};
	return 0;
}

static int read_header(struct log_segment *segment, struct window *window, uint32_t position,
		       uint32_t size, bool nowait, struct log_place *ret)
{
	uint32_t want;
	int r;

	if (position >= size)
		return -ENODATA;
	/* A message of an old format may be shorter than the header of a batch. */
	want = (uint32_t)min_u64(size - position, RECORD_BATCH_HEADER);
	if (want < OLD_MESSAGE_HEADER)
		return -EBADMSG;
	if (position < window->position || position - window->position + want > window->len) {
		r = fill(segment, window, position, size, want, nowait);
		if (r < 0)
			return r;
	}
	return parse_header(segment,
			    slice_make(window->bytes + (position - window->position), want),
			    position, size, ret);
}

int log_segment_place(struct log_segment *segment, uint32_t position, uint32_t size, bool nowait,
		      struct log_place *ret)
{
	struct window window;

	window.len = 0;
	window.position = 0;
	return read_header(segment, &window, position, size, nowait, ret);
}

/* What a walk looks for. */
struct aim {
	int64_t begin;     /* so far on, at most, is the batch that it begins at; INT64_MAX: it is
			    * known to be one */
	int64_t offset;    /* in this batch or before it */
	int64_t timestamp; /* at most the batch's greatest */
};

static int walk(struct log_segment *segment, uint32_t from, uint32_t size, struct aim aim,
		bool nowait, struct log_place *ret)
{
	int64_t before = segment->base_offset - 1; /* at most the last offset before */
	struct window window;
	struct log_place place;
	uint32_t position = from;
	int r;

	window.len = 0;
	window.position = 0;
	for (;;) {
		r = read_header(segment, &window, position, size, nowait, &place);
		/* The index has sent us to a place that is none, or too far on. Bytes inside of a
		 * batch may pass for the message of an old format, but hardly with such an offset.
		 */
		if (r == 0 && from > 0 && position == from && place.base_offset > aim.begin)
			r = -EBADMSG;
		if (r == -EBADMSG && from > 0 && aim.begin != INT64_MAX) {
			from = position = 0;
			continue;
		}
		if (r < 0)
			return r;
		/* A compressed message of an old format has the offset of its last one. */
		if (place.old && (place.attributes & RECORD_ATTRIBUTE_CODEC))
			place.base_offset = before + 1;
		before = place.last_offset;
		if (place.last_offset >= aim.offset && place.max_timestamp >= aim.timestamp)
			break;
		position += place.length;
	}
	*ret = place;
	return 0;
}

int log_segment_find(struct log_segment *segment, uint32_t from, uint32_t size, int64_t offset,
		     bool nowait, struct log_place *ret)
{
	return walk(segment, from, size, (struct aim){offset, offset, INT64_MIN}, nowait, ret);
}

int log_segment_find_time(struct log_segment *segment, uint32_t from, uint32_t size, int64_t begin,
			  int64_t timestamp, struct log_place *ret)
{
	return walk(segment, from, size, (struct aim){begin, INT64_MIN, timestamp}, false, ret);
}

/* ---- time ---- */

static int read_times(struct log_segment *segment, int fd, int64_t timestamp,
		      struct log_time_entry *ret)
{
	uint32_t low = 0, high = segment->time_entries;
	char entry[LOG_TIME_ENTRY];

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		ssize_t n = sys_pread(fd, entry, sizeof(entry), (uint64_t)middle * LOG_TIME_ENTRY);

		if (n < (ssize_t)sizeof(entry))
			return n < 0 ? (int)n : -EBADMSG;
		if (log_time_load(entry).timestamp < timestamp) {
			*ret = log_time_load(entry);
			low = middle + 1;
		} else {
			high = middle;
		}
	}
	return 0;
}

int log_segment_time(struct log_segment *segment, int64_t timestamp, struct log_time_entry *ret)
{
	char path[SEGMENT_PATH_MAX];
	struct stat st;
	int fd, r;

	*ret = (struct log_time_entry){.timestamp = -1};
	log_segment_path(segment->folder, segment->base_offset, LOG_FILE_TIME, path);
	fd = sys_openat(segment->files->dir, path, O_RDONLY, 0);
	if (fd == -ENOENT)
		return 0;
	if (fd < 0)
		return fd;
	r = sys_fstat(fd, &st);
	if (r == 0 && segment->time_entries == SEGMENT_UNKNOWN)
		segment->time_entries =
		    (uint32_t)min_u64((uint64_t)st.st_size / LOG_TIME_ENTRY, INT32_MAX);
	if (r == 0)
		r = read_times(segment, fd, timestamp, ret);
	sys_close(fd);
	return r;
}

/* The greatest of all batches, from their headers. */
static int greatest_time(struct log_segment *segment, int64_t *ret)
{
	struct log_place place;
	uint32_t from = 0;
	int r = 0;

	*ret = -1;
	while (r == 0 && *ret < INT64_MAX) {
		r = log_segment_find_time(segment, from, segment->size, INT64_MAX, *ret + 1,
					  &place);
		if (r == 0) {
			*ret = place.max_timestamp;
			from = place.position + place.length;
		}
	}
	return r == -ENODATA ? 0 : r;
}

int log_segment_learn_times(struct log_segment *segment)
{
	struct log_time_entry last;
	struct log_place first;
	int64_t greatest;
	int r = 0;

	if (segment->first_timestamp == SEGMENT_TIME_UNKNOWN) {
		r = log_segment_place(segment, 0, segment->size, false, &first);
		if (r < 0 && r != -ENODATA)
			return r;
		segment->first_timestamp = r < 0 ? -1 : first.max_timestamp;
	}
	if (segment->max_timestamp != SEGMENT_TIME_UNKNOWN)
		return 0;
	r = log_segment_time(segment, INT64_MAX, &last);
	greatest = last.timestamp;
	/* The index is damaged, and no help. By it retention would take what is not old. */
	if (r == 0 && greatest < segment->first_timestamp) {
		segment->time_entries = 0;
		r = greatest_time(segment, &greatest);
	}
	if (r == 0)
		segment->max_timestamp = greatest;
	return r;
}
