/*
 * Checking a segment: its log batch by batch, and beside that the indexes, whose entries have to lead to
 * batches as they are passed. Where a batch is not good the next one that is is looked for, so that all
 * that is wrong is told, and not only the first.
 *
 * Entries of zeros at an index's end are room that Kafka has reserved. What a crash may leave of an index,
 * or not, is no damage: a start makes it anew. So an index is only looked at where it is there.
 */
#include <errno.h>
#include <stdlib.h>

#include "kafka/store/check_internal.h"
#include "kafka/store/files.h"
#include "sys/sys.h"

#define INDEX_BYTES_MAX (1u << 30)

struct log_check {
	struct check *check;
	const char *path; /* of the log */
	int64_t base;
	struct log_reader reader;
	/* .index: what is left of it. */
	struct slice index;
	uint64_t index_wrong;
	bool torn; /* nothing good follows: where it ends is not known */
};

static uint64_t count_entries(struct slice file, size_t size)
{
	size_t len = file.len;

	while (len >= size) {
		size_t zeros = 0;

		while (zeros < size && file.ptr[len - 1 - zeros] == 0)
			zeros++;
		/* The first may be of the first batch of all, and then it is zeros. */
		if (zeros < size || len == size)
			break;
		len -= size;
	}
	return len / size;
}

/* The batch that was passed is at `position`. */
static void match_index(struct log_check *log, const struct record_batch *batch, uint64_t position)
{
	while (log->index.len >= LOG_INDEX_ENTRY) {
		struct log_index_entry entry = log_index_load(log->index.ptr);

		if (entry.position > position)
			return;
		if (entry.position < position ||
		    (int64_t)entry.offset != record_batch_last_offset(batch) - log->base)
			log->index_wrong++;
		log->index =
		    slice_make(log->index.ptr + LOG_INDEX_ENTRY, log->index.len - LOG_INDEX_ENTRY);
	}
}

/* Entries of what is damaged are told with that. */
static void pass_index(struct log_check *log, uint64_t position)
{
	while (log->index.len >= LOG_INDEX_ENTRY &&
	       log_index_load(log->index.ptr).position < position)
		log->index =
		    slice_make(log->index.ptr + LOG_INDEX_ENTRY, log->index.len - LOG_INDEX_ENTRY);
}

/* The scan has come to what is not good. True: it goes on behind it. */
static bool pass_damage(struct log_check *log)
{
	struct log_scan *scan = &log->reader.scan;
	uint64_t behind;
	int64_t offset;
	int r = log_reader_find_good(&log->reader, &behind, &offset);

	if (r < 0) {
		log->check->error = r;
		return false;
	}
	if (r != 1) {
		check_tell(log->check, log->path,
			   "position %llu (offset %lld): %s; %s in %llu bytes",
			   (unsigned long long)scan->position, (long long)scan->next_offset,
			   scan->why,
			   r == 0 ? "nothing that is whole follows"
				  : "nothing that is whole was found",
			   (unsigned long long)(scan->size - scan->position));
		pass_index(log, scan->size);
		log->torn = true;
		return false;
	}
	check_tell(log->check, log->path,
		   "position %llu (offset %lld): %s; whole batches follow from position %llu "
		   "(offset %lld) on",
		   (unsigned long long)scan->position, (long long)scan->next_offset, scan->why,
		   (unsigned long long)behind, (long long)offset);
	pass_index(log, behind);
	scan->position = behind;
	scan->sparse = true;
	return true;
}

static void read_batches(struct log_check *log)
{
	struct log_scan *scan = &log->reader.scan;
	struct check *check = log->check;
	struct record_batch batch;
	enum log_scan_step step;

	for (;;) {
		check->error = log_reader_next(&log->reader, &batch, &step);
		if (check->error < 0 || step == LOG_SCAN_END)
			return;
		if (step == LOG_SCAN_BATCH) {
			check->totals->batches++;
			match_index(log, &batch, scan->position - batch.bytes.len);
		} else if (!pass_damage(log)) {
			return;
		}
	}
}

/* An index, or nothing where there is none; `entry` bytes each. */
static char *read_index(struct log_check *log, const char *folder, enum log_file file, size_t entry,
			struct slice *ret)
{
	char path[SEGMENT_PATH_MAX], *bytes = NULL;
	size_t len = 0;
	int r;

	*ret = slice_make(NULL, 0);
	log_segment_path(folder, log->base, file, path);
	r = files_read(log->check->fd, path, INDEX_BYTES_MAX, &bytes, &len);
	if (r == -ENOENT)
		return NULL;
	if (r < 0) {
		check_tell(log->check, path, "can't be read: %s", strerror(-r));
		return NULL;
	}
	if (len % entry != 0)
		check_tell(log->check, path, "it ends in the middle of an entry");
	*ret = slice_make(bytes, len / entry * entry);
	ret->len = count_entries(*ret, entry) * entry;
	return bytes;
}

static void check_times(struct log_check *log, const char *folder)
{
	struct log_time_entry before = {.timestamp = INT64_MIN};
	struct slice rest;
	char *bytes = read_index(log, folder, LOG_FILE_TIME, LOG_TIME_ENTRY, &rest);
	char path[SEGMENT_PATH_MAX];
	uint64_t wrong = 0;

	for (; rest.len >= LOG_TIME_ENTRY;
	     rest = slice_make(rest.ptr + LOG_TIME_ENTRY, rest.len - LOG_TIME_ENTRY)) {
		struct log_time_entry entry = log_time_load(rest.ptr);

		wrong += entry.timestamp < before.timestamp || entry.offset < before.offset ||
			 (entry.offset > 0 && !log->torn &&
			  log->base + (int64_t)entry.offset >= log->reader.scan.next_offset);
		before = entry;
	}
	log_segment_path(folder, log->base, LOG_FILE_TIME, path);
	if (wrong > 0)
		check_tell(log->check, path, "%llu entries are not of this log",
			   (unsigned long long)wrong);
	free(bytes);
}

static void check_open_log(struct log_check *log, const char *folder)
{
	char path[SEGMENT_PATH_MAX];
	char *index = read_index(log, folder, LOG_FILE_INDEX, LOG_INDEX_ENTRY, &log->index);

	/* An entry of zeros at the front, and nothing else, says nothing. */
	if (log->index.len == LOG_INDEX_ENTRY && log_index_load(log->index.ptr).offset == 0)
		log->index.len = 0;
	read_batches(log);
	log_segment_path(folder, log->base, LOG_FILE_INDEX, path);
	log->index_wrong += log->index.len / LOG_INDEX_ENTRY;
	if (log->check->error == 0 && log->index_wrong > 0)
		check_tell(log->check, path, "%llu entries lead to no batch",
			   (unsigned long long)log->index_wrong);
	if (log->check->error == 0)
		check_times(log, folder);
	free(index);
}

void check_segment(struct check *check, const char *folder, int64_t base, int64_t *next)
{
	char path[SEGMENT_PATH_MAX];
	struct log_check log = {.check = check, .path = path, .base = base};
	struct stat st;
	int r;

	log_segment_path(folder, base, LOG_FILE_LOG, path);
	log.reader.buffer = &check->buffer;
	log.reader.fd = sys_openat(check->fd, path, O_RDONLY, 0);
	r = log.reader.fd < 0 ? log.reader.fd : sys_fstat(log.reader.fd, &st);
	if (r < 0) {
		check_tell(check, path, "can't be read: %s", strerror(-r));
	} else {
		log.reader.scan = (struct log_scan){.base_offset = base,
						    .next_offset = base,
						    .size = (uint64_t)st.st_size};
		check->totals->segments++;
		check->totals->bytes += (uint64_t)st.st_size;
		check_open_log(&log, folder);
		*next = log.reader.scan.next_offset;
	}
	if (log.reader.fd >= 0)
		sys_close(log.reader.fd);
	/* A disk that can't read it is what is looked for. */
	if (check->error < 0 && check->error != -ENOMEM) {
		check_tell(check, path, "can't be read at position %llu: %s",
			   (unsigned long long)log.reader.scan.position, strerror(-check->error));
		check->error = 0;
	}
}
