/*
 * Reading the store's folder: which topics there are, by leat-topics and by the folders that are
 * there; then all partitions, by several threads.
 *
 * Folders of topics that leat-topics does not name are Kafka's: they are taken in, with the ids that
 * their partition.metadata say.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "kafka/store/checkpoint.h"
#include "kafka/store/files.h"
#include "kafka/store/internal.h"
#include "sys/sys.h"

#define TOPICS_BYTES_MAX   (1u << 28)
#define METADATA_BYTES_MAX 4096u

struct found {
	char *name;
	int32_t number;
};

struct folders {
	struct store *store;
	struct found *list;
	size_t count, capacity;
	int64_t now_ms;
};

/* ---- what leat-topics says ---- */

static int link_topic(struct store *store, struct slice name, const struct kafka_uuid *id,
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

static bool is_linked(struct store *store, struct slice name)
{
	struct topic *topic = store_topic(store, name);

	if (topic)
		topic_unref(topic);
	return topic;
}

/* Deletion was promised: the folders get their new names now. */
static int finish_delete(struct store *store, const struct topics_line *line, int64_t now_ms)
{
	char folder[FOLDER_NAME_MAX + 1], renamed[FOLDER_NAME_MAX + 64];

	int r = 0;

	for (int32_t i = 0; i < line->partitions && r == 0; i++) {
		snprintf(folder, sizeof(folder), "%.*s-%d", (int)line->name.len, line->name.ptr, i);
		snprintf(renamed, sizeof(renamed), "%.*s-%d.%016llx-delete",
			 (int)min_size(line->name.len, 200), line->name.ptr, i,
			 (unsigned long long)now_ms);
		r = store_doom(store, folder, renamed, true, now_ms);
	}
	return r;
}

static int read_topics_text(struct store *store, struct slice text, int64_t now_ms)
{
	struct checkpoint_reader reader;
	struct topics_line parsed;
	struct slice line;
	int r = checkpoint_open(text, &reader);

	while (r == 0 && checkpoint_line(&reader, &line)) {
		r = topics_parse_line(line, &parsed);
		if (r == 0 && is_linked(store, parsed.name))
			r = -EBADMSG;
		if (r == 0 && parsed.deleted)
			r = finish_delete(store, &parsed, now_ms);
		else if (r == 0)
			r = link_topic(store, parsed.name, &parsed.id, parsed.partitions,
				       &parsed.config);
	}
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
		return err_set(err, r, "%s/leat-topics: of a newer format than this program knows",
			       store->dir);
	if (r == -EBADMSG)
		return err_set(err, r,
			       "%s/leat-topics: damaged: mend it, or remove it and set the topics' "
			       "configurations again",
			       store->dir);
	return r < 0 ? err_set(err, r, "%s/leat-topics: %s", store->dir, strerror(-r)) : 0;
}

/* ---- what the folders say ---- */

static int add_found(struct folders *folders, struct slice name, int32_t number)
{
	size_t capacity = folders->capacity ? 2 * folders->capacity : 64;
	struct found *larger;
	char *copy;

	if (folders->count == folders->capacity) {
		larger = realloc(folders->list, capacity * sizeof(*larger));
		if (!larger)
			return -ENOMEM;
		folders->list = larger;
		folders->capacity = capacity;
	}
	copy = strndup(name.ptr, name.len);
	if (!copy)
		return -ENOMEM;
	folders->list[folders->count++] = (struct found){copy, number};
	return 0;
}

static int see_name(void *arg, const char *name)
{
	struct folders *folders = arg;
	const char *dash = strrchr(name, '-');
	struct slice topic;
	int64_t number;

	if (!dash)
		return 0;
	if (strcmp(dash, "-delete") == 0) {
		return store_doom(folders->store, name, name, true, folders->now_ms);
	}
	topic = slice_make(name, (size_t)(dash - name));
	/* Kafka's own log of what the cluster is like, which is no topic. */
	if (slice_eq(topic, SLICE_LITERAL("__cluster_metadata")) ||
	    !store_topic_name_valid(topic) || dash[1] < '0' || dash[1] > '9' ||
	    checkpoint_number(slice_of(dash + 1), &number) < 0 || number > INT32_MAX)
		return 0;
	if (is_linked(folders->store, topic))
		return 0;
	return add_found(folders, topic, (int32_t)number);
}

static int compare_found(const void *a, const void *b)
{
	const struct found *x = a, *y = b;
	int r = strcmp(x->name, y->name);

	return r ? r : (x->number > y->number) - (x->number < y->number);
}

/* -ENOENT: it does not say. */
static int read_id(struct store *store, const struct found *found, struct kafka_uuid *ret)
{
	static const char key[] = "topic_id: ";
	char path[FOLDER_NAME_MAX + 32], *text;
	const char *at;
	size_t len;
	int r;

	snprintf(path, sizeof(path), "%s-%d/partition.metadata", found->name, found->number);
	r = files_read(store->fd, path, METADATA_BYTES_MAX, &text, &len);
	if (r < 0)
		return -ENOENT;
	at = memmem(text, len, key, sizeof(key) - 1);
	r = -ENOENT;
	if (at && (size_t)(text + len - at) >= sizeof(key) - 1 + STORE_UUID_TEXT &&
	    store_uuid_parse(slice_make(at + sizeof(key) - 1, STORE_UUID_TEXT), ret) == 0)
		r = 0;
	free(text);
	return r;
}

/* The partitions of one topic, found from `first` to before `end`. */
static int adopt_topic(struct folders *folders, size_t first, size_t end)
{
	struct store *store = folders->store;
	int32_t count = folders->list[end - 1].number + 1;
	struct kafka_uuid id;
	int r = -ENOENT;

	for (size_t i = first; i < end && r < 0; i++)
		r = read_id(store, &folders->list[i], &id);
	if (r < 0)
		r = sys_random(&id, sizeof(id));
	if (r < 0)
		return r;
	if ((size_t)count != end - first)
		log_warning("%s: topic %s has folders for %zu of %d partitions: the others start "
			    "empty",
			    store->dir, folders->list[first].name, end - first, count);
	return link_topic(store, slice_of(folders->list[first].name), &id, count, NULL);
}

static int adopt(struct folders *folders)
{
	size_t first = 0;
	int r = 0;

	if (folders->count > 1)
		qsort(folders->list, folders->count, sizeof(*folders->list), compare_found);
	for (size_t end = 1; end <= folders->count && r == 0; end++) {
		if (end < folders->count &&
		    strcmp(folders->list[end].name, folders->list[first].name) == 0)
			continue;
		r = adopt_topic(folders, first, end);
		first = end;
	}
	return r;
}

static int read_folders(struct store *store, int64_t now_ms, bool *ret_new)
{
	struct folders folders = {.store = store, .now_ms = now_ms};
	int r = files_list(store->fd, ".", see_name, &folders);

	if (r == 0)
		r = adopt(&folders);
	*ret_new = folders.count > 0;
	for (size_t i = 0; i < folders.count; i++)
		free(folders.list[i].name);
	free(folders.list);
	return r;
}

/* ---- producer ids ---- */

static int read_producer_ids(struct store *store)
{
	struct checkpoint_reader reader;
	struct slice line, word;
	size_t len;
	char *text;
	int r = files_read(store->fd, "leat-producer-ids", METADATA_BYTES_MAX, &text, &len);

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
				if (known->table[k].id >= store->next_producer_id)
					store->next_producer_id = known->table[k].id + 1;
		}
}

int store_load(struct store *store, const struct store_options *options, struct err *err)
{
	bool adopted = false;
	int r = read_topics(store, options->now_ms, err);

	if (r < 0)
		return r;
	r = read_folders(store, options->now_ms, &adopted);
	if (r < 0)
		return err_set(err, r, "%s: can't be read: %s", store->dir, strerror(-r));
	r = read_producer_ids(store);
	if (r < 0)
		return err_set(err, r, "%s/leat-producer-ids: %s", store->dir,
			       r == -EBADMSG ? "damaged: remove it" : strerror(-r));
	store_read_checkpoints(store);
	r = crew_run_all(store, options->threads ? options->threads : (unsigned)sys_cpu_count(),
			 partition_load, store->was_clean, options->now_ms);
	if (r < 0)
		return err_set(err, r, "%s: not enough memory", store->dir);
	pass_known_producers(store);
	r = adopted ? store_write_topics(store, NULL) : 0;
	if (r < 0)
		return err_set(err, r, "%s/leat-topics: can't be written: %s", store->dir,
			       strerror(-r));
	return 0;
}
