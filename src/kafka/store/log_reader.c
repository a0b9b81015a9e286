#include "kafka/store/log_reader.h"

#include <errno.h>
#include <stdlib.h>

#include "base/be.h"
#include "sys/sys.h"

/* Checksums are made in the second level cache; headers alone are a page each. */
#define SUMS_BYTES    (256u * 1024u)
#define HEADERS_BYTES 4096u
/* Offset and length, as they stand in front of every batch. */
#define LENGTH_END 12

static int grow(struct log_buffer *buffer, size_t size)
{
	char *larger;

	if (size <= buffer->size)
		return 0;
	larger = realloc(buffer->memory, size);
	if (!larger)
		return -ENOMEM;
	buffer->memory = larger;
	buffer->size = size;
	return 0;
}

static struct slice window(const struct log_reader *reader)
{
	uint64_t begin = reader->scan.position;

	if (begin < reader->at || begin >= reader->at + reader->len)
		return slice_make(NULL, 0);
	return slice_make(reader->buffer->memory + (begin - reader->at),
			  (size_t)(reader->at + reader->len - begin));
}

/* The window begins at scan.position now and has at least `want` bytes. */
static int fill_window(struct log_reader *reader, size_t want)
{
	struct log_buffer *buffer = reader->buffer;
	uint64_t position = reader->scan.position, left = reader->scan.size - position;
	size_t size = reader->scan.headers_only ? HEADERS_BYTES : SUMS_BYTES;
	struct slice kept = window(reader);
	size_t offset = kept.len > 0 ? (size_t)(kept.ptr - buffer->memory) : 0;
	int r = grow(buffer, max_u64(size, want));

	if (r < 0)
		return r;
	memmove(buffer->memory, buffer->memory + offset, kept.len);
	reader->at = position;
	reader->len = kept.len;
	size = (size_t)min_u64(max_u64(size, want), left);
	while (reader->len < want) {
		ssize_t n = sys_pread(reader->fd, buffer->memory + reader->len, size - reader->len,
				      position + reader->len);

		if (n <= 0)
			return n < 0 ? (int)n : -EIO;
		reader->len += (size_t)n;
	}
	return 0;
}

int log_reader_next(struct log_reader *reader, struct record_batch *ret,
		    enum log_scan_step *ret_step)
{
	size_t want = 0;
	int r = 0;

	do
		*ret_step = log_scan_next(&reader->scan, window(reader), ret, &want);
	while (*ret_step == LOG_SCAN_MORE && (r = fill_window(reader, want)) == 0);
	return r;
}

/* ---- behind what is not good ---- */

/* Bytes of candidates that are looked at, for each byte of the file: one that is made of what looks like
 * batches does not hold up a start. */
#define CANDIDATES_PART 8u

/* 1: there is one at `position`. */
static int is_good_at(struct log_reader *reader, uint64_t position, int64_t *ret_offset)
{
	const struct log_scan scan = reader->scan;
	struct record_batch batch;
	enum log_scan_step step;
	int r;

	reader->scan.position = position;
	r = log_reader_next(reader, &batch, &step);
	if (r == 0 && step == LOG_SCAN_BATCH)
		*ret_offset = batch.base_offset;
	reader->scan = scan;
	return r < 0 ? r : step == LOG_SCAN_BATCH;
}

/* A header of a batch that may follow, and would fit. */
static bool may_be_batch(const struct log_scan *scan, const char *at, uint64_t left)
{
	int64_t offset = (int64_t)be_load64(at), length = (int32_t)be_load32(at + 8);

	return at[16] == 2 && offset >= scan->next_offset &&
	       offset - scan->base_offset <= INT32_MAX &&
	       length >= (int64_t)RECORD_BATCH_HEADER - 12 && (uint64_t)length + 12 <= left;
}

/* From `from` on, byte by byte. */
static int search_good(struct log_reader *reader, uint64_t from, uint64_t *ret_position,
		       int64_t *ret_offset)
{
	uint64_t size = reader->scan.size, budget = CANDIDATES_PART * size;
	char *bytes = malloc(SUMS_BYTES);
	int r = bytes ? 0 : -ENOMEM;

	while (r == 0 && from + RECORD_BATCH_HEADER <= size && budget > 0) {
		ssize_t n = sys_pread(reader->fd, bytes, min_u64(SUMS_BYTES, size - from), from);
		ssize_t at = 0;

		if (n < (ssize_t)RECORD_BATCH_HEADER) {
			r = n < 0 ? (int)n : -EIO;
			break;
		}
		for (; at + (ssize_t)RECORD_BATCH_HEADER <= n && r == 0 && budget > 0; at++)
			if (may_be_batch(&reader->scan, bytes + at, size - from - (uint64_t)at)) {
				*ret_position = from + (uint64_t)at;
				budget -= min_u64(budget, be_load32(bytes + at + 8));
				r = is_good_at(reader, *ret_position, ret_offset);
			}
		from += (uint64_t)at;
	}
	free(bytes);
	if (r == 0 && from + RECORD_BATCH_HEADER <= size)
		return LOG_READER_UNKNOWN;
	return r;
}

int log_reader_find_good(struct log_reader *reader, uint64_t *ret_position, int64_t *ret_offset)
{
	uint64_t position = reader->scan.position, left = reader->scan.size - position;
	char head[LENGTH_END];
	int64_t length;
	int r;

	if (left < 2 * RECORD_BATCH_HEADER)
		return 0;
	if (sys_pread(reader->fd, head, sizeof(head), position) != (ssize_t)sizeof(head))
		return -EIO;
	/* Where its length is right, what it contains may look like batches. */
	length = (int64_t)(int32_t)be_load32(head + LENGTH_END - 4) + LENGTH_END;
	if (length > LENGTH_END && (uint64_t)length < left) {
		*ret_position = position + (uint64_t)length;
		r = is_good_at(reader, *ret_position, ret_offset);
		if (r != 0)
			return r;
	}
	return search_good(reader, position + 1, ret_position, ret_offset);
}
