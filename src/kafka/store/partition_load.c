/*
 * Loading a partition from its folder.
 *
 * After a clean stop everything is believed: the names, the sizes, and of the last segment the
 * headers behind its last index entry, which say where the log ends. After an unclean one the
 * segments from the recovery point on are gone through with their checksums. Where a batch is not good
 * the log is cut, or the partition is not served: partition_damage.c decides. Producers come from the
 * newest good snapshot before that, and from the batches behind it.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "kafka/store/checkpoint.h"
#include "kafka/store/files.h"
#include "kafka/store/internal.h"
#include "sys/sys.h"

#define SNAPSHOT_BYTES_MAX (1u << 30)
/* More than a file system takes by itself for a file's end: it was reserved by `preallocate`. */
#define RESERVED_MIN 1048576u
#define STAT_BLOCK   512u

/* Offsets that the folder's names begin with, by kind. */
struct offsets {
	int64_t *list;
	size_t count, capacity;
};

struct names {
	struct offsets of[LOG_FILE_COUNT];
	bool leftovers; /* something is there that an end in the middle of it has left */
};

static int offsets_add(struct offsets *offsets, int64_t offset)
{
	size_t capacity = offsets->capacity ? 2 * offsets->capacity : 8;
	int64_t *larger;

	if (offsets->count == offsets->capacity) {
		larger = realloc(offsets->list, capacity * sizeof(*larger));
		if (!larger)
			return -ENOMEM;
		offsets->list = larger;
		offsets->capacity = capacity;
	}
	offsets->list[offsets->count++] = offset;
	return 0;
}

static int compare_offsets(const void *a, const void *b)
{
	const int64_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

static bool offsets_have(const struct offsets *offsets, int64_t offset)
{
	return offsets->count > 0 &&
	       bsearch(&offset, offsets->list, offsets->count, sizeof(offset), compare_offsets);
}

static void names_fini(struct names *names)
{
	for (unsigned i = 0; i < LOG_FILE_COUNT; i++)
		free(names->of[i].list);
	*names = (struct names){.leftovers = false};
}

static void unlink_in(const struct partition *partition, const char *name)
{
	char path[FOLDER_NAME_MAX + 256 + 2];

	snprintf(path, sizeof(path), "%s/%s", partition->folder, name);
	(void)sys_unlinkat(partition->topic->store->fd, path, 0);
}

static int sort_name(void *arg, const char *name)
{
	struct names *names = arg;
	const char *dot = strchr(name, '.');
	int64_t offset;

	names->leftovers |= partition_is_leftover(name);
	if (!dot || dot - name != 20 || checkpoint_number(slice_make(name, 20), &offset) < 0 ||
	    offset < 0 || offset > OFFSET_MAX)
		return 0;
	for (unsigned i = 0; i < LOG_FILE_COUNT; i++)
		if (strcmp(dot, log_file_suffixes[i]) == 0)
			return offsets_add(&names->of[i], offset);
	return 0;
}

static int list_names(const struct partition *partition, struct names *names)
{
	*names = (struct names){.leftovers = false};
	return files_list(partition->topic->store->fd, partition->folder, sort_name, names);
}

static int read_names(struct partition *partition, struct load *load, struct names *names)
{
	int r = list_names(partition, names);

	if (r == 0 && names->leftovers) {
		names_fini(names);
		r = partition_clear_leftovers(partition, load);
		if (r == 0)
			r = list_names(partition, names);
	}
	for (unsigned i = 0; i < LOG_FILE_COUNT; i++)
		if (names->of[i].count > 1)
			qsort(names->of[i].list, names->of[i].count, sizeof(int64_t),
			      compare_offsets);
	return r;
}

/* ---- segments ---- */

static int add_found(struct partition *partition, const struct load *load,
		     const struct names *names, int64_t base)
{
	struct store *store = partition->topic->store;
	char path[SEGMENT_PATH_MAX];
	struct log_segment *segment;
	struct stat st;
	int r = partition_reserve_segment(partition);

	log_segment_path(partition->folder, base, LOG_FILE_LOG, path);
	if (r == 0)
		r = sys_fstatat(store->fd, path, &st, 0);
	if (r < 0)
		return r;
	if (st.st_size > INT32_MAX)
		return -EFBIG;
	segment = log_segment_new(&store->files, partition->folder, base);
	if (!segment)
		return -ENOMEM;
	segment->size = (uint32_t)st.st_size;
	segment->created_ms = load->now_ms;
	segment->written_ms = (int64_t)st.st_mtim.tv_sec * 1000 + st.st_mtim.tv_nsec / 1000000;
	segment->reserved =
	    (uint64_t)st.st_blocks * STAT_BLOCK > (uint64_t)st.st_size + RESERVED_MIN;
	segment->has_aborted = offsets_have(&names->of[LOG_FILE_TRANSACTIONS], base);
	partition->has_aborted |= segment->has_aborted;
	partition->segments[partition->segment_count++] = segment;
	return 0;
}

static int find_segments(struct partition *partition, const struct load *load,
			 const struct names *names)
{
	const struct offsets *logs = &names->of[LOG_FILE_LOG];
	int r = 0;

	for (size_t i = 0; i < logs->count && r == 0; i++)
		r = add_found(partition, load, names, logs->list[i]);
	if (r < 0 || partition->segment_count > 0)
		return r;
	partition->log_end = partition->log_start;
	return partition_create(partition, load->now_ms);
}

/* ---- producers ---- */

static int restore(struct partition *partition, const struct load *load, int64_t offset)
{
	struct store *store = partition->topic->store;
	char path[SEGMENT_PATH_MAX], *bytes;
	size_t len;
	int r;

	log_segment_path(partition->folder, offset, LOG_FILE_SNAPSHOT, path);
	r = files_read(store->fd, path, SNAPSHOT_BYTES_MAX, &bytes, &len);
	if (r < 0)
		return r;
	r = producers_restore(&partition->producers, slice_make(bytes, len),
			      load->now_ms - store->producer_expiry_ms);
	free(bytes);
	if (r == -EBADMSG) {
		log_warning("%s/%s is damaged: it is left out", store->dir, path);
		(void)sys_unlinkat(store->fd, path, 0);
	}
	return r;
}

/* The newest snapshot that is good and not beyond `limit`; its offset, or -1. */
static int restore_newest(struct partition *partition, const struct load *load,
			  const struct names *names, int64_t limit)
{
	const struct offsets *snapshots = &names->of[LOG_FILE_SNAPSHOT];

	for (size_t i = snapshots->count; i > 0; i--) {
		int64_t offset = snapshots->list[i - 1];
		int r = offset > limit ? -EBADMSG : restore(partition, load, offset);

		if (r == 0) {
			partition->snapshot_offset = offset;
			return 0;
		}
		if (r != -EBADMSG)
			return r;
	}
	return 0;
}

/* Those that are no segment's and not the newest, and those beyond the log's end. */
static void remove_stray_snapshots(struct partition *partition, const struct names *names)
{
	const struct offsets *snapshots = &names->of[LOG_FILE_SNAPSHOT];
	char name[SEGMENT_NAME_MAX];

	for (size_t i = 0; i < snapshots->count; i++) {
		int64_t offset = snapshots->list[i];

		if (offset == partition->snapshot_offset ||
		    (offset <= partition->log_end &&
		     offsets_have(&names->of[LOG_FILE_LOG], offset)))
			continue;
		log_segment_name(offset, LOG_FILE_SNAPSHOT, name);
		unlink_in(partition, name);
	}
}

/* ---- the last segment of a log that was closed properly ---- */

static int read_last_entry(struct log_segment *segment, struct log_index_entry *ret)
{
	char entry[LOG_INDEX_ENTRY];
	int fd = log_segment_use(segment, LOG_FILE_INDEX, false), r;
	struct stat st;

	*ret = (struct log_index_entry){0, 0};
	/* Of an empty segment. */
	if (fd == -ENOENT)
		segment->index_entries = 0;
	if (fd < 0)
		return fd == -ENOENT ? 0 : fd;
	r = sys_fstat(fd, &st);
	if (r == 0 && st.st_size % LOG_INDEX_ENTRY != 0)
		r = -EBADMSG;
	if (r == 0) {
		segment->index_entries = (uint32_t)(st.st_size / LOG_INDEX_ENTRY);
		if (segment->index_entries > 0 &&
		    sys_pread(fd, entry, sizeof(entry), (uint64_t)st.st_size - sizeof(entry)) ==
			(ssize_t)sizeof(entry))
			*ret = log_index_load(entry);
	}
	log_segment_done(segment);
	return r == 0 && ret->position > segment->size ? -EBADMSG : r;
}

/* What the entry points to is the batch that it was made for. */
static int check_entry(struct log_segment *segment, struct log_index_entry entry)
{
	struct log_place place;
	int r;

	if (segment->index_entries == 0)
		return 0;
	r = log_segment_place(segment, entry.position, segment->size, false, &place);
	if (r == 0 && place.last_offset - segment->base_offset != entry.offset)
		r = -EBADMSG;
	return r == -ENODATA ? -EBADMSG : r;
}

/* 0, or -EBADMSG: it is not as a clean stop leaves it. */
static int load_active(struct partition *partition, struct load *load)
{
	struct log_segment *active = partition_active(partition);
	uint32_t nth = partition->segment_count - 1;
	struct log_index_entry entry;
	int r = read_last_entry(active, &entry);

	partition->log_end = active->base_offset;
	if (r == 0)
		r = check_entry(active, entry);
	if (r == 0)
		r = log_segment_time(active, INT64_MAX, &active->indexer.last_time);
	active->indexer.max = active->indexer.last_time;
	active->max_timestamp = active->indexer.max.timestamp;
	if (r == 0 && load->epochs_lost)
		r = partition_scan(partition, load, nth, 0, SCAN_HEADERS, false, false);
	if (r == 0)
		r = partition_scan(partition, load, nth, entry.position, SCAN_HEADERS, true, false);
	if (r == 1 || partition->snapshot_offset > partition->log_end)
		r = -EBADMSG;
	/* The snapshot of a clean stop is of the very end; where there is none, nobody is known. */
	if (r == 0 && partition->snapshot_offset >= 0 &&
	    partition->snapshot_offset < partition->log_end)
		r = partition_scan(partition, load, nth, 0, SCAN_HEADERS, false, true);
	if (r == 0)
		r = log_segment_learn_times(active);
	/* The time index is not of these batches. */
	return r == 0 && active->max_timestamp < active->first_timestamp ? -EBADMSG : r;
}

/* ---- all of it ---- */

static bool lacks_index(const struct names *names, const struct log_segment *segment)
{
	return segment->size > 0 &&
	       (!offsets_have(&names->of[LOG_FILE_INDEX], segment->base_offset) ||
		!offsets_have(&names->of[LOG_FILE_TIME], segment->base_offset));
}

/* The segments from `first` on are not part of the log: they lie behind a cut, and are set aside, or are
 * `deleted`. */
static int drop_from(struct partition *partition, uint32_t first, bool deleted)
{
	char path[SEGMENT_PATH_MAX];
	int r = 0;

	while (partition->segment_count > first) {
		struct log_segment *last = partition_active(partition);

		if (!deleted)
			r = partition_drop_segment(partition, last);
		for (enum log_file file = deleted ? LOG_FILE_LOG : LOG_FILE_INDEX;
		     file < LOG_FILE_SNAPSHOT && r == 0; file++) {
			log_segment_path(partition->folder, last->base_offset, file, path);
			r = sys_unlinkat(partition->topic->store->fd, path, 0);
			r = r == -ENOENT ? 0 : r;
		}
		if (r < 0)
			return r;
		partition->segment_count--;
		log_segment_unref(last);
	}
	partition->folder_dirty = true;
	return 0;
}

/* Of a segment that was gone through. On a disk that is full they may stay behind, which costs time
 * later: the log can be read all the same. */
static int write_indexes(const struct partition *partition, struct log_segment *segment,
			 bool complete)
{
	int r = complete ? log_segment_finish(segment) : log_segment_trim(segment);

	if (r != -ENOSPC && r != -EDQUOT)
		return r;
	log_warning("%s/%s: no room for the indexes of segment %lld: looking for an offset there "
		    "will take longer",
		    partition->topic->store->dir, partition->folder,
		    (long long)segment->base_offset);
	return 0;
}

/* The segments from `first` on: everything is looked at. */
static int recover(struct partition *partition, struct load *load, uint32_t first)
{
	for (uint32_t nth = first; nth < partition->segment_count; nth++) {
		int r = partition_scan(partition, load, nth, 0, SCAN_SUMS, true, true);

		if (r == 1)
			r = drop_from(partition, nth + 1, false);
		if (r == 0)
			r = write_indexes(partition, partition->segments[nth],
					  nth + 1 < partition->segment_count);
		if (r < 0)
			return r;
	}
	return 0;
}

/* Before `first`: what the snapshot does not know, and indexes that are missing. */
static int catch_up(struct partition *partition, struct load *load, const struct names *names,
		    uint32_t first)
{
	for (uint32_t nth = 0; nth < first; nth++) {
		struct log_segment *segment = partition->segments[nth];
		bool deleted = partition_segment_end(partition, nth) <= partition->log_start;
		bool reindex = !deleted && lacks_index(names, segment);
		bool producers = !deleted && (partition->snapshot_offset >= 0 || !load->clean);
		bool epochs = !deleted && load->epochs_lost;
		int r = 0;

		producers =
		    producers && partition_segment_end(partition, nth) > partition->snapshot_offset;
		/* Its indexes were lost: they have to be synced again. */
		segment->synced = !reindex;
		if (reindex || producers || epochs)
			r = partition_scan(partition, load, nth, 0, SCAN_HEADERS, reindex,
					   producers);
		if (r == 1)
			log_error("%s/%s: segment %lld is damaged below the recovery point; what "
				  "lies behind the damage may not be readable",
				  partition->topic->store->dir, partition->folder,
				  (long long)segment->base_offset);
		if (r >= 0 && reindex)
			r = write_indexes(partition, segment, true);
		if (r < 0)
			return r;
	}
	return 0;
}

static int load_segments(struct partition *partition, struct load *load, const struct names *names)
{
	uint32_t first = partition->segment_count - 1;
	int r = -EBADMSG;

	if (load->clean && !lacks_index(names, partition->segments[first])) {
		r = restore_newest(partition, load, names, INT64_MAX);
		if (r == 0)
			r = catch_up(partition, load, names, first);
		if (r == 0)
			r = load_active(partition, load);
	}
	if (r != -EBADMSG)
		return r;
	if (load->clean)
		log_warning("%s/%s: the last segment is not as a clean stop leaves it: it is "
			    "gone through",
			    partition->topic->store->dir, partition->folder);
	else
		/* Where it is just a segment's end, that one may have been synced before it was
		 * complete. What is deleted is not looked at: what is missing or damaged there
		 * would take what follows with it. */
		first = partition_segment_at(partition, max_i64(partition->recovery_point - 1,
								partition->log_start));
	producers_clear(&partition->producers);
	partition->snapshot_offset = -1;
	r = restore_newest(partition, load, names, partition->segments[first]->base_offset);
	if (r == 0)
		r = catch_up(partition, load, names, first);
	return r == 0 ? recover(partition, load, first) : r;
}

/* The log's ends are known: what depends on them. */
static int settle(struct partition *partition, const struct load *load)
{
	int64_t first = partition->segments[0]->base_offset;
	int r;

	partition->log_start = max_i64(partition->log_start, first);
	/* DeleteRecords went further than what a crash has left of the log: offsets never go back.
	 */
	if (partition->log_start > partition->log_end) {
		r = drop_from(partition, 0, true);
		partition->log_end = partition->log_start;
		if (r == 0)
			r = partition_create(partition, load->now_ms);
		if (r < 0)
			return r;
	}
	if (partition->recovery_point > partition->log_end) {
		log_error("%s/%s: the log ends at %lld, but %lld was on disk: records are lost",
			  partition->topic->store->dir, partition->folder,
			  (long long)partition->log_end, (long long)partition->recovery_point);
		partition->topic->store->checkpoints_dirty = true;
	}
	partition_active(partition)->jitter_ms = partition_jitter(partition);
	r = partition_settle_epochs(partition, load);
	if (r < 0)
		return r;
	partition->durable_end = load->clean ? partition->log_end
					     : (int64_t)min_u64((uint64_t)partition->recovery_point,
								(uint64_t)partition->log_end);
	/* Of what is deleted nothing can be lost. */
	partition->durable_end = max_i64(partition->durable_end, partition->log_start);
	partition->recovery_point = partition->durable_end;
	partition->high_watermark = partition->durable_end;
	return 0;
}

/* There is no folder. Unless there is one after all, which can't be read: its first segment would be
 * written over. */
static int create_missing(struct partition *partition, struct load *load)
{
	int r = sys_mkdirat(partition->topic->store->fd, partition->folder, 0755);

	if (r < 0)
		return r == -EEXIST ? -EIO : r;
	partition->topic->store->folders_made = true;
	load->begins_epochs = true;
	partition->log_end = partition->log_start;
	return partition_create(partition, load->now_ms);
}

static int load_partition(struct partition *partition, struct load *load, struct names *names)
{
	int r = read_names(partition, load, names);

	if (r == -ENOENT)
		return create_missing(partition, load);
	if (r == 0)
		r = find_segments(partition, load, names);
	if (r == 0)
		r = partition_load_epochs(partition, load);
	if (r == 0)
		r = load_segments(partition, load, names);
	if (r == 0)
		remove_stray_snapshots(partition, names);
	return r;
}

int partition_load(struct partition *partition, struct load *load)
{
	struct names names = {.leftovers = false};
	bool undurable;
	int r;

	load->begins_epochs = partition->topic->store->was_moved;
	load->epochs_lost = false;
	r = load_partition(partition, load, &names);
	if (r == 0)
		r = settle(partition, load);
	names_fini(&names);
	if (r < 0)
		partition_fail(partition, r, "it can't be loaded");
	if (partition->state != PARTITION_GOOD)
		return 0;
	undurable = partition->durable_end < partition->log_end || partition->folder_dirty ||
		    partition->was_cut;
	/* What a crash has left in the page cache, names as well, is on disk before anybody is
	 * shown it, where that was promised; else soon. */
	partition->folder_dirty |= !load->clean;
	if (undurable && partition_config(partition, TOPIC_CONFIG_FLUSH_MESSAGES) == 1)
		(void)partition_sync(partition);
	/* And so is, soon, that it has left no more than this. */
	partition->was_cut |= !load->clean;
	partition->wants_sync = undurable || partition->was_cut;
	partition_advance(partition);
	partition_verify(partition);
	return 0;
}
