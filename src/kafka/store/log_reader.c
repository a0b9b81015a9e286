#include "kafka/store/log_reader.h"

#include <errno.h>
#include <stdlib.h>

#include "sys/sys.h"

/* Checksums are made in the second level cache; headers alone are a page each. */
#define SUMS_BYTES    (256u * 1024u)
#define HEADERS_BYTES 4096u

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
