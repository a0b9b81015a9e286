#include "kafka/store/log_segment.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

#include "sys/sys.h"

const char *const log_file_suffixes[LOG_FILE_COUNT] = {
    [LOG_FILE_LOG] = ".log",           [LOG_FILE_INDEX] = ".index",
    [LOG_FILE_TIME] = ".timeindex",    [LOG_FILE_TRANSACTIONS] = ".txnindex",
    [LOG_FILE_SNAPSHOT] = ".snapshot",
};

void log_segment_name(int64_t offset, enum log_file file, char ret[SEGMENT_NAME_MAX])
{
	snprintf(ret, SEGMENT_NAME_MAX, "%020lld%s", (long long)offset, log_file_suffixes[file]);
}

void log_segment_path(const char *folder, int64_t offset, enum log_file file,
		      char ret[SEGMENT_PATH_MAX])
{
	snprintf(ret, SEGMENT_PATH_MAX, "%s/%020lld%s", folder, (long long)offset,
		 log_file_suffixes[file]);
}

struct log_segment *log_segment_new(struct log_files *files, const char *folder, int64_t base)
{
	static _Atomic uint64_t made;
	struct log_segment *segment = calloc(1, sizeof(*segment));

	if (!segment)
		return NULL;
	segment->number = atomic_fetch_add_explicit(&made, 1, memory_order_relaxed) + 1;
	list_init(&segment->in_idle);
	segment->files = files;
	segment->folder = folder;
	segment->base_offset = base;
	segment->indexer = LOG_INDEXER_INIT;
	segment->refs = 1;
	for (unsigned i = 0; i < LOG_FILE_KEEPS; i++)
		segment->fds[i] = -1;
	segment->index_entries = SEGMENT_UNKNOWN;
	segment->time_entries = SEGMENT_UNKNOWN;
	segment->max_timestamp = SEGMENT_TIME_UNKNOWN;
	segment->first_timestamp = SEGMENT_TIME_UNKNOWN;
	return segment;
}

/* Behind the file's end, so that recovery finds nothing there. Without room an append will say so. */
static bool reserve_room(int fd, uint64_t bytes)
{
	return bytes > 0 && sys_fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, bytes) == 0;
}

int log_segment_create(struct log_segment *segment, uint64_t reserve)
{
	char path[SEGMENT_PATH_MAX];
	int fd;

	log_segment_path(segment->folder, segment->base_offset, LOG_FILE_LOG, path);
	/* A file of that name is what an attempt has left that failed later on. */
	fd = sys_openat(segment->files->dir, path, O_RDWR | O_CREAT | O_TRUNC, 0644);
	if (fd < 0)
		return fd;
	segment->reserved = reserve_room(fd, reserve);
	sys_close(fd);
	segment->index_entries = 0;
	segment->time_entries = 0;
	segment->max_timestamp = -1;
	segment->first_timestamp = -1;
	return 0;
}

/* ---- writing ---- */

static int write_all(int fd, const char *data, size_t len, uint64_t position)
{
	while (len > 0) {
		ssize_t n = sys_pwrite(fd, data, len, position);

		if (n <= 0)
			return n < 0 ? (int)n : -EIO;
		data += n;
		len -= (size_t)n;
		position += (uint64_t)n;
	}
	return 0;
}

int log_segment_write(struct log_segment *segment, const char *data, size_t len, bool *ret_broken)
{
	int fd = log_segment_use(segment, LOG_FILE_LOG, false), r;

	*ret_broken = false;
	if (fd < 0)
		return fd;
	r = write_all(fd, data, len, segment->size);
	/* Behind it: a sync that does not see this one does not count it. */
	atomic_fetch_add_explicit(&segment->writes, 1, memory_order_release);
	/* What a disk that is full did take must not be found by a recovery. */
	if (r < 0)
		*ret_broken = sys_ftruncate(fd, segment->size) < 0 ||
			      (r != -ENOSPC && r != -EDQUOT && r != -EFBIG);
	log_segment_done(segment);
	return r;
}

int log_segment_tail(struct log_segment *segment)
{
	if (segment->tail)
		return 0;
	segment->tail = calloc(1, sizeof(*segment->tail));
	return segment->tail ? 0 : -ENOMEM;
}

static void add_index(struct log_tail *tail, struct log_index_entry entry)
{
	log_index_store(tail->index + tail->index_count++ * LOG_INDEX_ENTRY, entry);
}

static void add_time(struct log_tail *tail, struct log_time_entry entry)
{
	log_time_store(tail->time + tail->time_count++ * LOG_TIME_ENTRY, entry);
}

int log_segment_note(struct log_segment *segment, const struct record_batch *batch,
		     uint32_t position, uint64_t interval)
{
	int64_t last = record_batch_last_offset(batch);
	struct log_index_entry index;
	struct log_time_entry time;
	struct log_tail *tail;
	unsigned news =
	    log_indexer_note(&segment->indexer, interval,
			     (struct log_index_entry){(uint32_t)(last - segment->base_offset),
						      position},
			     batch->bytes.len, batch->max_timestamp, &index, &time);

	segment->max_timestamp = segment->indexer.max.timestamp;
	if (position == 0)
		segment->first_timestamp = batch->max_timestamp;
	if (news && log_segment_tail(segment) < 0)
		return -ENOMEM;
	tail = segment->tail;
	if (!tail)
		return 0;
	if (tail->index_count == TAIL_ENTRIES || tail->time_count == TAIL_ENTRIES)
		(void)log_segment_write_tail(segment);
	if (news & LOG_INDEX_NEW)
		add_index(tail, index);
	if (news & LOG_TIME_NEW)
		add_time(tail, time);
	tail->starts[tail->start_count++ % TAIL_STARTS] =
	    (struct log_index_entry){(uint32_t)(batch->base_offset - segment->base_offset),
				     position};
	return 0;
}

static int write_index(struct log_segment *segment)
{
	struct log_tail *tail = segment->tail;
	int fd = log_segment_use(segment, LOG_FILE_INDEX, false), r;

	if (fd == -ENOENT) {
		fd = log_segment_open(segment, LOG_FILE_INDEX, O_CREAT);
		fd = fd < 0 ? fd : log_segment_adopt(segment, LOG_FILE_INDEX, fd);
	}
	if (fd < 0)
		return fd;
	r = write_all(fd, tail->index, tail->index_count * LOG_INDEX_ENTRY,
		      (uint64_t)segment->index_entries * LOG_INDEX_ENTRY);
	log_segment_done(segment);
	if (r == 0)
		segment->index_entries += tail->index_count;
	return r;
}

static int write_times(struct log_segment *segment)
{
	struct log_tail *tail = segment->tail;
	int fd = log_segment_open(segment, LOG_FILE_TIME, O_CREAT), r;

	if (fd < 0)
		return fd;
	r = write_all(fd, tail->time, tail->time_count * LOG_TIME_ENTRY,
		      (uint64_t)segment->time_entries * LOG_TIME_ENTRY);
	sys_close(fd);
	if (r == 0)
		segment->time_entries += tail->time_count;
	return r;
}

int log_segment_write_tail(struct log_segment *segment)
{
	struct log_tail *tail = segment->tail;
	int r = 0, r2 = 0;

	if (tail && tail->index_count > 0)
		r = write_index(segment);
	if (tail && tail->time_count > 0)
		r2 = write_times(segment);
	/* They may be missing: a search then begins earlier. */
	if (tail)
		tail->index_count = tail->time_count = 0;
	return r < 0 ? r : r2;
}

/* Half an entry that a failed write left goes; a file that is not there is made. */
static int trim(struct log_segment *segment, enum log_file file, uint64_t len)
{
	struct stat st;
	int fd = log_segment_open(segment, file, O_CREAT), r;

	if (fd < 0)
		return fd;
	r = sys_fstat(fd, &st);
	if (r == 0 && (uint64_t)st.st_size != len)
		r = sys_ftruncate(fd, len);
	sys_close(fd);
	return r;
}

int log_segment_trim(struct log_segment *segment)
{
	int r = log_segment_write_tail(segment), r2;

	if (segment->index_entries == SEGMENT_UNKNOWN || segment->time_entries == SEGMENT_UNKNOWN)
		return r;
	r2 = trim(segment, LOG_FILE_INDEX, (uint64_t)segment->index_entries * LOG_INDEX_ENTRY);
	r = r < 0 ? r : r2;
	r2 = trim(segment, LOG_FILE_TIME, (uint64_t)segment->time_entries * LOG_TIME_ENTRY);
	return r < 0 ? r : r2;
}

/* What was reserved and not needed is given back: cutting a file at its end does that. */
static int give_back_room(struct log_segment *segment)
{
	int fd, r;

	if (!segment->reserved)
		return 0;
	fd = log_segment_use(segment, LOG_FILE_LOG, false);
	if (fd < 0)
		return fd;
	r = sys_ftruncate(fd, segment->size);
	log_segment_done(segment);
	segment->reserved = r < 0;
	return r;
}

int log_segment_finish(struct log_segment *segment)
{
	struct log_time_entry time;
	int r = log_segment_write_tail(segment), r2;

	if (log_indexer_finish(&segment->indexer, &time) && log_segment_tail(segment) == 0)
		add_time(segment->tail, time);
	r2 = log_segment_trim(segment);
	r = r < 0 ? r : r2;
	r2 = give_back_room(segment);
	free(segment->tail);
	segment->tail = NULL;
	return r < 0 ? r : r2;
}

/* There may have been no room for it: then the next start makes it. */
static int sync_index(const struct log_segment *segment, enum log_file file)
{
	int fd = log_segment_open(segment, file, 0), r;

	if (fd < 0)
		return fd == -ENOENT ? 0 : fd;
	r = sys_fdatasync(fd);
	sys_close(fd);
	return r;
}

int log_segment_sync(struct log_segment *segment, bool all_files)
{
	uint64_t writes = atomic_load_explicit(&segment->writes, memory_order_acquire);
	int fd = log_segment_use(segment, LOG_FILE_LOG, false), r;

	if (fd < 0)
		return fd;
	r = sys_fdatasync(fd);
	/* The kernel calls clean what it could not write, and would show it to the next start as
	 * if it were on disk: that one is to see what the disk has. */
	if (r < 0)
		(void)sys_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
	else
		log_segment_is_synced(segment, writes);
	log_segment_done(segment);
	if (r == 0 && all_files)
		r = sync_index(segment, LOG_FILE_INDEX);
	if (r == 0 && all_files)
		r = sync_index(segment, LOG_FILE_TIME);
	return r;
}
