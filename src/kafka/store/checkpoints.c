/*
 * The checkpoints of all partitions: recovery points, high watermarks, log starts.
 */
#include <errno.h>
#include <stdlib.h>

#include "base/log.h"
#include "kafka/store/checkpoint.h"
#include "kafka/store/files.h"
#include "kafka/store/internal.h"

#define CHECKPOINT_BYTES_MAX (1u << 28)
/* Topic, partition, offset. */
#define LINE_MAX_BYTES (STORE_TOPIC_NAME_MAX + 1 + 11 + 1 + 20 + 1)

enum { RECOVERY_POINT, HIGH_WATERMARK, LOG_START, KINDS }; /* LOG_START is the last */

static const char *const names[KINDS] = {
    "recovery-point-offset-checkpoint",
    "replication-offset-checkpoint",
    LOG_STARTS_FILE,
};

/* What a start does where the file can't be read. */
static const char *const without[KINDS] = {
    "a start after a crash goes through all segments",
    "nothing depends on it",
    "each log begins with its first segment, also where DeleteRecords had deleted more",
};

struct offsets {
	int64_t of[KINDS];
};

static struct offsets take_offsets(struct partition *partition)
{
	struct offsets offsets;

	pthread_mutex_lock(&partition->lock);
	offsets = (struct offsets){
	    {[RECOVERY_POINT] = partition->recovery_point,
	     [HIGH_WATERMARK] = partition->high_watermark,
	     [LOG_START] = max_i64(partition->log_start, partition->start_wanted)}};
	pthread_mutex_unlock(&partition->lock);
	return offsets;
}

/* What there is to write for all partitions: the lines of each file, and how many. */
struct texts {
	struct buf bufs[KINDS];
	uint64_t lines[KINDS];
};

static void add_topic(const struct topic *topic, struct texts *texts)
{
	for (int32_t i = 0; i < topic_partition_count(topic); i++) {
		struct offsets offsets = take_offsets(topic_partition(topic, i));

		for (unsigned kind = 0; kind < KINDS; kind++) {
			/* Also where it is just the first segment's: one before that may come back
			 * with a crash, its renaming not yet being on disk. */
			if (kind == LOG_START && offsets.of[kind] == 0)
				continue;
			buf_printf(&texts->bufs[kind], "%s %d %lld\n", topic->name, i,
				   (long long)offsets.of[kind]);
			texts->lines[kind]++;
		}
	}
}

static int write_text(struct store *store, const char *name, uint64_t lines, struct slice text,
		      bool frees)
{
	size_t size = text.len + 32;
	struct buf whole = buf_over(malloc(size), size);
	int r;

	if (!whole.ptr)
		return -ENOMEM;
	checkpoint_begin(&whole, lines);
	buf_add_slice(&whole, text);
	r = frees ? store_replace_file(store, name, buf_slice(&whole), true, NULL)
		  : files_write(store->fd, name, buf_slice(&whole));
	free(whole.ptr);
	return r;
}

/* The kinds from `first` on. */
static int write_kinds(struct store *store, unsigned first)
{
	struct texts texts = {.lines = {0}};
	uint64_t partitions = 0;
	int r = 0;

	/* store->change is held: the tables stay. */
	for (uint32_t i = 0; i < store->topic_count; i++)
		partitions += (uint64_t)topic_partition_count(store->by_name[i]);
	for (unsigned kind = 0; kind < KINDS; kind++) {
		size_t size = partitions * LINE_MAX_BYTES + 1;

		texts.bufs[kind] = buf_over(malloc(size), size);
		if (!texts.bufs[kind].ptr)
			r = -ENOMEM;
	}
	for (uint32_t i = 0; i < store->topic_count && r == 0; i++)
		add_topic(store->by_name[i], &texts);
	for (unsigned kind = first; kind < KINDS && r == 0; kind++) {
		CHECK(!texts.bufs[kind].overflow);
		r = write_text(store, names[kind], texts.lines[kind], buf_slice(&texts.bufs[kind]),
			       first == LOG_START);
	}
	for (unsigned kind = 0; kind < KINDS; kind++)
		free(texts.bufs[kind].ptr);
	if (r < 0) {
		store->checkpoints_dirty = true;
		store_note_room(store, r);
		log_error("%s: could not write the checkpoints: %s", store->dir, strerror(-r));
	}
	return r;
}

int store_write_checkpoints(struct store *store)
{
	store->checkpoints_dirty = false;
	return write_kinds(store, 0);
}

int store_write_log_starts(struct store *store)
{
	return write_kinds(store, LOG_START);
}

static void apply(struct store *store, unsigned kind, const struct checkpoint_offset *line)
{
	struct topic *topic = store_topic(store, line->topic);
	struct partition *partition = topic ? topic_partition(topic, line->partition) : NULL;

	if (partition && line->offset >= 0 && kind == RECOVERY_POINT)
		partition->recovery_point = line->offset;
	if (partition && line->offset >= 0 && kind == LOG_START)
		partition->log_start = line->offset;
	if (topic)
		topic_unref(topic);
}

/* `store` NULL: only looks whether it can be read. */
static int read_text(struct store *store, unsigned kind, struct slice text)
{
	struct checkpoint_reader reader;
	struct checkpoint_offset offset;
	struct slice line;
	int r = checkpoint_open(text, &reader);

	while (r == 0 && checkpoint_line(&reader, &line)) {
		r = checkpoint_parse_offset(line, &offset);
		if (r == 0 && store)
			apply(store, kind, &offset);
	}
	return r == 0 ? checkpoint_end(&reader) : r;
}

void store_read_checkpoints(struct store *store)
{
	for (unsigned kind = 0; kind < KINDS; kind++) {
		char *text;
		size_t len;
		int r = files_read(store->fd, names[kind], CHECKPOINT_BYTES_MAX, &text, &len);

		if (r == 0) {
			/* All of it or nothing: a line of a file that is damaged further on may
			 * be damaged, too. */
			r = read_text(NULL, kind, slice_make(text, len));
			if (r == 0)
				r = read_text(store, kind, slice_make(text, len));
			free(text);
		}
		/* One that is missing only makes the recovery longer. */
		if (r < 0 && r != -ENOENT)
			log_warning("%s/%s can't be used: %s: %s, and it is written anew",
				    store->dir, names[kind],
				    r == -EBADMSG ? "it is damaged"
				    : r == -EPROTONOSUPPORT
					? "it is of a version that this program does not know"
					: strerror(-r),
				    without[kind]);
	}
}
