/*
 * The folders of partitions in the store's folder: which there are, and whose they say they are.
 *
 * Folders of topics that are not known from elsewhere are taken in, with the ids that their
 * partition.metadata say; since nobody knows for how long they are to be kept, for ever. What Kafka
 * has set aside (-stray) or was moving (-future) is left alone.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "kafka/store/checkpoint.h"
#include "kafka/store/files.h"
#include "kafka/store/internal.h"
#include "sys/sys.h"

#define METADATA_BYTES_MAX 4096u

/* ---- one of them ---- */

int folder_id(const struct store *store, const char *topic, int32_t number, struct kafka_uuid *ret)
{
	static const char key[] = "topic_id: ";
	char path[FOLDER_NAME_MAX + 32], *text;
	const char *at;
	size_t len;
	int r;

	snprintf(path, sizeof(path), "%s-%d/partition.metadata", topic, number);
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

bool folder_exists(const struct store *store, const char *topic, int32_t number)
{
	char name[FOLDER_NAME_MAX];
	struct stat st;

	snprintf(name, sizeof(name), "%s-%d", topic, number);
	return sys_fstatat(store->fd, name, &st, 0) == 0 && S_ISDIR(st.st_mode);
}

int folder_set_aside(struct store *store, const char *topic, int32_t number)
{
	char name[FOLDER_NAME_MAX], renamed[NAME_ASIDE_MAX];
	int r;

	snprintf(name, sizeof(name), "%s-%d", topic, number);
	store_name_aside(slice_of(topic), number, "-stray", renamed);
	r = sys_renameat(store->fd, name, store->fd, renamed);
	if (r == 0)
		log_warning("%s/%s is of another topic of this name, which is gone: it is called "
			    "%s now",
			    store->dir, name, renamed);
	return r;
}

/* ---- all of them ---- */

struct found {
	char *name;
	int32_t number;
};

struct folders {
	struct store *store;
	struct found *list;
	size_t count, capacity;
	int64_t now_ms;
	unsigned adopted;
	char first_adopted[STORE_TOPIC_NAME_MAX + 1];
	unsigned left_alone;
	char first_left[NAME_ASIDE_MAX];
};

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

static void leave_alone(struct folders *folders, const char *name)
{
	if (folders->left_alone++ == 0)
		snprintf(folders->first_left, sizeof(folders->first_left), "%s", name);
}

static int see_log(void *arg, const char *name)
{
	size_t len = strlen(name);

	return len > 4 && strcmp(name + len - 4, ".log") == 0;
}

/* Kafka has had a log there: one without anything is nobody's. */
static bool is_partition(const struct store *store, const char *folder, struct slice topic,
			 int32_t number)
{
	char name[STORE_TOPIC_NAME_MAX + 1];
	struct kafka_uuid id;

	snprintf(name, sizeof(name), "%.*s", (int)topic.len, topic.ptr);
	return folder_exists(store, name, number) &&
	       (folder_id(store, name, number, &id) == 0 ||
		files_list(store->fd, folder, see_log, NULL) == 1);
}

static int see_name(void *arg, const char *name)
{
	struct folders *folders = arg;
	const char *dash = strrchr(name, '-');
	struct slice topic;
	int64_t number;

	if (!dash)
		return 0;
	if (strcmp(dash, "-delete") == 0)
		return store_doom(folders->store, name, name, true, folders->now_ms);
	if (strcmp(dash, "-stray") == 0 || strcmp(dash, "-future") == 0)
		leave_alone(folders, name);
	topic = slice_make(name, (size_t)(dash - name));
	/* Kafka's own log of what the cluster is like, which is no topic. */
	if (slice_eq(topic, SLICE_LITERAL("__cluster_metadata")) ||
	    !store_topic_name_valid(topic) || dash[1] < '0' || dash[1] > '9' ||
	    checkpoint_number(slice_of(dash + 1), &number) < 0 || number > INT32_MAX)
		return 0;
	if (store_has_topic(folders->store, topic))
		return 0;
	if (number >= PARTITIONS_MAX ||
	    !is_partition(folders->store, name, topic, (int32_t)number)) {
		leave_alone(folders, name);
		return 0;
	}
	return add_found(folders, topic, (int32_t)number);
}

static int compare_found(const void *a, const void *b)
{
	const struct found *x = a, *y = b;
	int r = strcmp(x->name, y->name);

	return r ? r : (x->number > y->number) - (x->number < y->number);
}

/* The partitions of one topic, found from `first` to before `end`. */
static int adopt_topic(struct folders *folders, size_t first, size_t end)
{
	struct store *store = folders->store;
	int32_t count = folders->list[end - 1].number + 1;
	const char *name = folders->list[first].name;
	struct topic_config config;
	struct kafka_uuid id;
	int r = -ENOENT;

	for (size_t i = first; i < end && r < 0; i++)
		r = folder_id(store, name, folders->list[i].number, &id);
	if (r < 0)
		r = sys_random(&id, sizeof(id));
	if (r < 0)
		return r;
	if ((size_t)count != end - first)
		log_warning("%s: topic %s has folders for %zu of %d partitions: the others start "
			    "empty",
			    store->dir, name, end - first, count);
	if (folders->adopted++ == 0)
		snprintf(folders->first_adopted, sizeof(folders->first_adopted), "%s", name);
	/* It may have been meant to be kept for ever. */
	topic_config_init(&config);
	topic_config_set(&config, TOPIC_CONFIG_RETENTION_MS, -1);
	topic_config_set(&config, TOPIC_CONFIG_RETENTION_BYTES, -1);
	return store_link_known(store, slice_of(name), &id, count, &config);
}

/* Those of topics that Kafka has deleted are not taken in. */
static int drop_removed(struct folders *folders, const struct image *image)
{
	struct found *list = folders->list;
	struct kafka_uuid id;
	size_t kept = 0;
	int r = 0;

	for (size_t i = 0; i < folders->count; i++) {
		if (folder_id(folders->store, list[i].name, list[i].number, &id) == 0 &&
		    image_was_removed(image, &id)) {
			r = folder_set_aside(folders->store, list[i].name, list[i].number);
			if (r < 0)
				return r;
			free(list[i].name);
			list[i].name = NULL;
		}
	}
	for (size_t i = 0; i < folders->count; i++)
		if (list[i].name)
			list[kept++] = list[i];
	folders->count = kept;
	return 0;
}

static int adopt_all(struct folders *folders)
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

int folders_adopt(struct store *store, int64_t now_ms, const struct image *image, bool *ret_news)
{
	struct folders folders = {.store = store, .now_ms = now_ms};
	int r = files_list(store->fd, ".", see_name, &folders);

	if (r == 0 && image)
		r = drop_removed(&folders, image);
	if (r == 0)
		r = adopt_all(&folders);
	if (folders.adopted > 0)
		log_warning("%s: %u topics are taken in as their folders say. Their settings are "
			    "not known: all that is in them is kept until retention.ms and "
			    "retention.bytes are set: %s%s",
			    store->dir, folders.adopted, folders.first_adopted,
			    folders.adopted > 1 ? " and others" : "");
	if (folders.left_alone > 0)
		log_warning("%s: %u folders are no partitions, or were set aside by Kafka, and are "
			    "left alone: %s%s",
			    store->dir, folders.left_alone, folders.first_left,
			    folders.left_alone > 1 ? " and others" : "");
	*ret_news = folders.count > 0;
	for (size_t i = 0; i < folders.count; i++)
		free(folders.list[i].name);
	free(folders.list);
	return r;
}
