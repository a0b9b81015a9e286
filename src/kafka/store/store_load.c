/*
 * Reading the store's folder: which topics there are, by leat-topics, by Kafka's metadata
 * (metadata_merge.c) and by the folders that are there (folders.c); then all partitions, by several
 * threads.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "kafka/store/checkpoint.h"
#include "kafka/store/files.h"
#include "kafka/store/internal.h"
#include "sys/sys.h"

#define TOPICS_BYTES_MAX (1u << 28)
/* A line of leat-topics that is no topic's: see topics_file.c. */
#define METADATA_KEY  SLICE_LITERAL(TOPICS_METADATA_KEY)
#define IDS_BYTES_MAX 4096u

/* ---- what leat-topics says ---- */

int store_link_known(struct store *store, struct slice name, const struct kafka_uuid *id,
		     int32_t partitions, const struct topic_config *config)
{
	struct topic *topic = topic_new(store, name, id, config);
	struct partition_table *table = topic ? topic_extend(topic, partitions) : NULL;
	int r = table ? 0 : -ENOMEM;

	if (r == 0) {
		topic->table = table;
		r = store_link_topic(store, topic);
	}
	if (r < 0 && topic)
		topic_unref(topic);
	return r;
}

/* Deletion was promised: the folders get their new names now. Kafka may have made another topic of
 * this name since. */
static int finish_delete(struct store *store, const struct topics_line *line, int64_t now_ms)
{
	char name[STORE_TOPIC_NAME_MAX + 1], folder[FOLDER_NAME_MAX], renamed[NAME_ASIDE_MAX];
	struct kafka_uuid id;
	int r = 0;

	snprintf(name, sizeof(name), "%.*s", (int)line->name.len, line->name.ptr);
	for (int32_t i = 0; i < line->partitions && r == 0; i++) {
		if (folder_id(store, name, i, &id) == 0 && memcmp(&id, &line->id, sizeof(id)) != 0)
			continue;
		snprintf(folder, sizeof(folder), "%s-%d", name, i);
		store_name_aside(line->name, i, "-delete", renamed);
		r = store_doom(store, folder, renamed, true, now_ms);
	}
	return r;
}

static int take_line(struct store *store, struct slice line, int64_t now_ms)
{
	struct topics_line parsed;
	int r;

	if (slice_starts_with(line, METADATA_KEY))
		return checkpoint_number(slice_make(line.ptr + METADATA_KEY.len,
						    line.len - METADATA_KEY.len),
					 &store->metadata_end);
	r = topics_parse_line(line, &parsed);
	if (r == 0 && store_has_topic(store, parsed.name))
		r = -EBADMSG;
	if (r < 0)
		return r;
	return parsed.deleted ? finish_delete(store, &parsed, now_ms)
			      : store_link_known(store, parsed.name, &parsed.id, parsed.partitions,
						 &parsed.config);
}

static int read_topics_text(struct store *store, struct slice text, int64_t now_ms)
{
	struct checkpoint_reader reader;
	struct slice line;
	int r = checkpoint_open(text, &reader);

	while (r == 0 && checkpoint_line(&reader, &line))
		r = take_line(store, line, now_ms);
	return r == 0 ? checkpoint_end(&reader) : r;
}

static int read_topics(struct store *store, int64_t now_ms, struct err *err)
{
	size_t len;
	char *text;
	int r = files_read(store->fd, "leat-topics", TOPICS_BYTES_MAX, &text, &len);

	if (r == -ENOENT)
		return 0;
	if (r == 0) {
		r = read_topics_text(store, slice_make(text, len), now_ms);
		free(text);
	}
	if (r == -EPROTONOSUPPORT)
		return err_set(err, r,
			       "%s/leat-topics: its first line is of a format that this program "
			       "does not know: use the version of leat that wrote it, or remove it "
			       "and set the topics' configurations again",
			       store->dir);
	if (r == -EBADMSG)
		return err_set(err, r,
			       "%s/leat-topics: damaged: mend it, or remove it and set the topics' "
			       "configurations again",
			       store->dir);
	return r < 0 ? err_set(err, r, "%s/leat-topics: %s", store->dir, strerror(-r)) : 0;
}

/* ---- producer ids ---- */

/* Kafka, which counts from 0, does not get there. An id that somebody has made up is no reason to
 * begin behind the end. */
#define PRODUCER_IDS_APART (INT64_C(1) << 40)
#define PRODUCER_IDS_END   (INT64_C(1) << 62)

static int read_producer_ids(struct store *store)
{
	struct checkpoint_reader reader;
	struct slice line, word;
	size_t len;
	char *text;
	int r = files_read(store->fd, "leat-producer-ids", IDS_BYTES_MAX, &text, &len);

	if (r == -ENOENT)
		return 0;
	if (r < 0)
		return r;
	r = checkpoint_open(slice_make(text, len), &reader);
	if (r == 0 && (!checkpoint_line(&reader, &line) || !checkpoint_word(&line, &word) ||
		       checkpoint_number(line, &store->next_producer_id) < 0))
		r = -EBADMSG;
	free(text);
	return r;
}

/* Above every one that a partition knows: Kafka, or a lost file, may have given it away. */
static void pass_known_producers(struct store *store)
{
	for (uint32_t i = 0; i < store->topic_count; i++)
		for (int32_t j = 0; j < topic_partition_count(store->by_name[i]); j++) {
			const struct producers *known =
			    &topic_partition(store->by_name[i], j)->producers;

			for (uint32_t k = 0; k < known->capacity; k++)
				if (known->table[k].id >= store->next_producer_id &&
				    known->table[k].id < PRODUCER_IDS_END)
					store->next_producer_id = known->table[k].id + 1;
		}
}

/* ---- all of it ---- */

/* 0 too where there is no metadata of Kafka's, or none that can be used. */
static int merge_metadata(struct store *store, struct image *image, bool *ret_usable,
			  bool *ret_news)
{
	int r = metadata_log_read(store, store->metadata_end, image);

	*ret_usable = r == 0;
	if (r == -ENOMEM)
		return r;
	/* Where Kafka gives ids away as well, ours are others. */
	if (r != -ENOENT)
		store->next_producer_id = max_i64(store->next_producer_id, PRODUCER_IDS_APART);
	if (r < 0)
		return 0;
	if (image->broker_epoch >= 0)
		store->broker_epoch = image->broker_epoch;
	return metadata_merge(store, image, ret_news);
}

static int find_topics(struct store *store, int64_t now_ms, bool *ret_news)
{
	bool usable = false, merged = false, adopted = false;
	struct image image;
	int r = merge_metadata(store, &image, &usable, &merged);

	if (r == 0)
		r = folders_adopt(store, now_ms, usable ? &image : NULL, &adopted);
	if (usable)
		image_fini(&image);
	*ret_news = merged || adopted;
	return r;
}

int store_load(struct store *store, const struct store_options *options, struct err *err)
{
	bool news = false;
	int r = read_topics(store, options->now_ms, err);

	if (r < 0)
		return r;
	r = read_producer_ids(store);
	if (r < 0)
		return err_set(err, r, "%s/leat-producer-ids: %s", store->dir,
			       r == -EBADMSG ? "damaged: remove it"
			       : r == -EPROTONOSUPPORT
				   ? "its first line is of a format that this program does not "
				     "know: use the version of leat that wrote it, or remove it"
				   : strerror(-r));
	r = find_topics(store, options->now_ms, &news);
	if (r < 0)
		return err_set(err, r, "%s: can't be read: %s", store->dir, strerror(-r));
	r = news ? store_write_topics(store, NULL, 0, true, NULL) : 0;
	if (r < 0)
		return err_set(err, r, "%s/leat-topics: can't be written: %s", store->dir,
			       strerror(-r));
	store_read_checkpoints(store);
	r = store_take_mark(store, err);
	if (r < 0)
		return r;
	r = crew_run_all(store, options->threads ? options->threads : (unsigned)sys_cpu_count(),
			 partition_load, store->was_clean, options->now_ms);
	if (r < 0)
		return err_set(err, r, "%s: not enough memory", store->dir);
	/* Before anybody is told of them. Where one can't be written down nothing is appended. */
	(void)crew_run_all(store, store->syncing, partition_keep_epoch, store->was_clean,
			   options->now_ms);
	if (store->folders_made)
		r = files_sync_folder(store->fd, ".");
	if (r < 0)
		return err_set(err, r, "%s: can't be written to: %s", store->dir, strerror(-r));
	/* What is appended from here on is not to be taken for what had been on disk before. */
	if (store->checkpoints_dirty)
		(void)store_write_checkpoints(store);
	pass_known_producers(store);
	return 0;
}
