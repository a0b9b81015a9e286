/*
 * Reading Kafka's metadata: the folder __cluster_metadata-0 of a node that was a controller as well.
 *
 *     OFFSET.log                  records as in any log, in batches
 *     OFFSET-EPOCH.checkpoint     a snapshot: all that held before this offset, as batches between
 *                                 two control records
 *
 * It is read whenever the store is opened, and never written to. What can't be read as a whole is
 * not used at all: a setting that was taken back, or a topic that was removed, must not come back
 * because a later part is missing.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/be.h"
#include "base/log.h"
#include "kafka/store/checkpoint.h"
#include "kafka/store/files.h"
#include "kafka/store/internal.h"
#include "sys/sys.h"

#define FOLDER   "__cluster_metadata-0"
#define NAME_LEN 20u /* the digits of an offset */

/* Control records of a snapshot: its last. */
#define SNAPSHOT_FOOTER 4

struct snapshot_name {
	int64_t end; /* it says what held before this offset */
	int64_t epoch;
};

struct source {
	struct store *store;
	struct image *image;
	struct log_buffer buffer;
	bool there;
	int64_t *logs;
	size_t log_count, log_capacity;
	struct snapshot_name *snapshots;
	size_t snapshot_count, snapshot_capacity;
	int64_t next; /* what was read goes up to here */
};

/* ---- names ---- */

static int add_log(struct source *source, int64_t base)
{
	size_t capacity = source->log_capacity ? 2 * source->log_capacity : 8;
	int64_t *larger;

	if (source->log_count == source->log_capacity) {
		larger = realloc(source->logs, capacity * sizeof(*larger));
		if (!larger)
			return -ENOMEM;
		source->logs = larger;
		source->log_capacity = capacity;
	}
	source->logs[source->log_count++] = base;
	return 0;
}

static int add_snapshot(struct source *source, struct snapshot_name name)
{
	size_t capacity = source->snapshot_capacity ? 2 * source->snapshot_capacity : 8;
	struct snapshot_name *larger;

	if (source->snapshot_count == source->snapshot_capacity) {
		larger = realloc(source->snapshots, capacity * sizeof(*larger));
		if (!larger)
			return -ENOMEM;
		source->snapshots = larger;
		source->snapshot_capacity = capacity;
	}
	source->snapshots[source->snapshot_count++] = name;
	return 0;
}

static int see_name(void *arg, const char *name)
{
	struct source *source = arg;
	size_t len = strlen(name), epoch_len;
	struct snapshot_name snapshot;
	const char *dot;
	int64_t offset;

	if (len < NAME_LEN || checkpoint_number(slice_make(name, NAME_LEN), &offset) < 0 ||
	    offset < 0)
		return 0;
	if (strcmp(name + NAME_LEN, ".log") == 0)
		return add_log(source, offset);
	dot = strchr(name, '.');
	if (name[NAME_LEN] != '-' || !dot || strcmp(dot, ".checkpoint") != 0)
		return 0;
	snapshot.end = offset;
	epoch_len = (size_t)(dot - name) - NAME_LEN - 1;
	if (checkpoint_number(slice_make(name + NAME_LEN + 1, epoch_len), &snapshot.epoch) < 0)
		return 0;
	return add_snapshot(source, snapshot);
}

static int compare_logs(const void *a, const void *b)
{
	const int64_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static int compare_snapshots(const void *a, const void *b)
{
	const struct snapshot_name *x = a, *y = b;

	return (x->end > y->end) - (x->end < y->end);
}

/* ---- batches ---- */

static int unreadable(const struct source *source, const char *name, const char *why)
{
	log_warning("%s/" FOLDER "/%s: %s: topics and their settings are not taken from there",
		    source->store->dir, name, why);
	return -EBADMSG;
}

static int apply_record(struct source *source, const char *name, int64_t offset,
			const struct record *record)
{
	int r = image_apply(source->image, offset, record->value);

	if (r == -EPROTONOSUPPORT)
		return unreadable(source, name,
				  "it has records of a newer version than this program knows");
	if (r == -EBADMSG)
		return unreadable(source, name, "it has a record that makes no sense");
	return r;
}

/* 1: it is the footer of a snapshot. */
static int is_footer(const struct record_batch *batch)
{
	struct slice records = batch->records;
	struct record record;

	return record_next(batch, &records, &record) == RECORD_BATCH_OK && record.key.len == 4 &&
	       be_load16(record.key.ptr + 2) == SNAPSHOT_FOOTER;
}

/* Records from `from` on. `said_at`: the offset that they are taken to be of; -1: their own. */
static int apply_batch(struct source *source, const char *name, const struct record_batch *batch,
		       int64_t from, int64_t said_at)
{
	struct slice records = batch->records;
	enum record_batch_fault fault;
	struct record record;
	int r = 0;

	if (batch->magic != 2 || record_batch_codec(batch) != RECORD_CODEC_NONE)
		return unreadable(source, name, "it has batches of a kind that is not read here");
	while (r == 0 && (fault = record_next(batch, &records, &record)) == RECORD_BATCH_OK)
		if (record.offset >= from)
			r = apply_record(source, name, said_at >= 0 ? said_at : record.offset,
					 &record);
	if (r == 0 && fault != RECORD_BATCH_END)
		r = unreadable(source, name, record_batch_text(fault));
	return r;
}

/* What is wanted of a file. */
struct reading {
	const char *name;
	int64_t base;
	int64_t from, said_at; /* see apply_batch() */
	bool may_be_torn;      /* it may end in the middle of a batch */
	bool footer;           /* found one */
};

static int read_batches(struct source *source, struct reading *reading, struct log_reader *reader)
{
	struct record_batch batch;
	enum log_scan_step step;
	int r;

	while ((r = log_reader_next(reader, &batch, &step)) == 0 && step == LOG_SCAN_BATCH) {
		if (batch.attributes & RECORD_ATTRIBUTE_CONTROL)
			reading->footer |= is_footer(&batch);
		else
			r = apply_batch(source, reading->name, &batch, reading->from,
					reading->said_at);
		if (r < 0)
			return r;
	}
	if (r == 0 && step == LOG_SCAN_CUT && !reading->may_be_torn)
		return unreadable(source, reading->name, reader->scan.why);
	source->next = reader->scan.next_offset;
	return r;
}

static int read_file(struct source *source, struct reading *reading)
{
	char path[SEGMENT_PATH_MAX];
	struct log_reader reader = {.buffer = &source->buffer};
	struct stat st;
	int r;

	snprintf(path, sizeof(path), FOLDER "/%s", reading->name);
	reader.fd = sys_openat(source->store->fd, path, O_RDONLY, 0);
	if (reader.fd < 0)
		return reader.fd;
	r = sys_fstat(reader.fd, &st);
	if (r == 0) {
		reader.scan = (struct log_scan){.base_offset = reading->base,
						.next_offset = reading->base,
						.size = (uint64_t)st.st_size};
		r = read_batches(source, reading, &reader);
	}
	sys_close(reader.fd);
	return r;
}

/* ---- all of it ---- */

/* Which snapshot to begin with: one from before `since`, so that it is seen what was said after
 * that; else the newest. But the log has to go on from it. */
static const struct snapshot_name *choose(const struct source *source, int64_t since)
{
	const struct snapshot_name *newest = NULL, *chosen = NULL;

	for (size_t i = 0; i < source->snapshot_count; i++) {
		newest = &source->snapshots[i];
		if (newest->end <= since && source->log_count > 0 && source->logs[0] <= newest->end)
			chosen = newest;
	}
	return chosen ? chosen : newest;
}

static int read_snapshot(struct source *source, const struct snapshot_name *snapshot)
{
	char name[64];
	struct reading reading = {.name = name, .said_at = snapshot->end - 1};
	int r;

	snprintf(name, sizeof(name), "%020lld-%010lld.checkpoint", (long long)snapshot->end,
		 (long long)snapshot->epoch);
	r = read_file(source, &reading);
	if (r == 0 && !reading.footer)
		r = unreadable(source, name, "it has no end");
	source->next = snapshot->end;
	return r;
}

static int read_logs(struct source *source, int64_t from)
{
	int r = 0;

	for (size_t i = 0; i < source->log_count && r == 0; i++) {
		char name[SEGMENT_NAME_MAX];
		struct reading reading = {.name = name,
					  .base = source->logs[i],
					  .from = from,
					  .said_at = -1,
					  .may_be_torn = i + 1 == source->log_count &&
							 !source->store->was_clean};

		/* All of it was said before. */
		if (i + 1 < source->log_count && source->logs[i + 1] <= from)
			continue;
		log_segment_name(reading.base, LOG_FILE_LOG, name);
		if (reading.base > source->next)
			return unreadable(source, name, "what comes before it is missing");
		r = read_file(source, &reading);
	}
	return r;
}

static int read_all(struct source *source, int64_t since)
{
	const struct snapshot_name *snapshot;
	int64_t from = 0;
	int r;

	if (source->log_count > 1)
		qsort(source->logs, source->log_count, sizeof(*source->logs), compare_logs);
	if (source->snapshot_count > 1)
		qsort(source->snapshots, source->snapshot_count, sizeof(*source->snapshots),
		      compare_snapshots);
	snapshot = choose(source, since);
	if (snapshot) {
		r = read_snapshot(source, snapshot);
		if (r < 0)
			return r;
		from = snapshot->end;
	}
	r = read_logs(source, from);
	source->image->end = max_i64(source->next, from);
	return r;
}

int metadata_log_read(struct store *store, int64_t since, struct image *ret)
{
	struct source source = {.store = store, .image = ret};
	int r;

	image_init(ret, store->identity.node_id);
	r = files_list(store->fd, FOLDER, see_name, &source);
	if (r == 0)
		r = source.log_count + source.snapshot_count > 0 ? read_all(&source, since)
								 : -ENOENT;
	free(source.logs);
	free(source.snapshots);
	free(source.buffer.memory);
	if (r < 0)
		image_fini(ret);
	if (r == -ENOENT || r == -EBADMSG || r == -ENOMEM)
		return r;
	if (r < 0)
		log_warning("%s/" FOLDER ": %s: topics and their settings are not taken from there",
			    store->dir, strerror(-r));
	return r < 0 ? -EBADMSG : 0;
}
