/*
 * Making, deleting and changing topics, several at once: each has its own outcome, and the disk's work
 * is done once for all of them.
 *
 * A change is on disk as a whole or not at all: leat-topics says which topics there are, and it is
 * replaced by a rename. The order:
 *
 *     looked at     names, counts; memory for what comes; nobody else sees any of it
 *     written       leat-topics as it will be (the topics' `planned`), once
 *     carried out   folders of new partitions, all together; or settings, or names that go
 *     shown         what others find changes, which can't fail
 *
 * What leat-topics says and the folders don't have yet (a topic half made) is made at the next start;
 * what it calls deleted is renamed then. Where a step fails everything before it is taken back on disk,
 * folders first, so that an answer of failure means that nothing has happened, also to a start after a
 * kill. leat-topics goes back by the reserve where the disk is full (reserve.c), and if even that fails
 * maintenance tries again (`unsettled`). store->change is held all the while.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "kafka/store/files.h"
#include "kafka/store/internal.h"
#include "sys/sys.h"

/* ---- names ---- */

/* Kafka's metrics take '.' and '_' for the same. */
static bool same_but_dots(struct slice a, struct slice b)
{
	if (a.len != b.len)
		return false;
	for (size_t i = 0; i < a.len; i++) {
		char x = a.ptr[i] == '.' ? '_' : a.ptr[i], y = b.ptr[i] == '.' ? '_' : b.ptr[i];

		if (x != y)
			return false;
	}
	return true;
}

static enum kafka_error check_beside(struct slice name, struct slice other)
{
	if (slice_eq(other, name))
		return KAFKA_TOPIC_ALREADY_EXISTS;
	return same_but_dots(other, name) ? KAFKA_INVALID_TOPIC_EXCEPTION : KAFKA_NONE;
}

static enum kafka_error check_name(const struct store *store, struct slice name)
{
	enum kafka_error error = KAFKA_NONE;

	if (!store_topic_name_valid(name))
		return KAFKA_INVALID_TOPIC_EXCEPTION;
	if (store_name_is_taken(store, name))
		return KAFKA_TOPIC_ALREADY_EXISTS;
	/* Others can't differ in just these. */
	if (!memchr(name.ptr, '.', name.len) && !memchr(name.ptr, '_', name.len))
		return KAFKA_NONE;
	for (uint32_t i = 0; i < store->topic_count && error == KAFKA_NONE; i++)
		error = check_beside(name, topic_name_slice(store->by_name[i]));
	return error;
}

enum kafka_error store_topic_check(struct store *store, struct slice name)
{
	enum kafka_error error;

	pthread_rwlock_rdlock(&store->lock);
	error = check_name(store, name);
	pthread_rwlock_unlock(&store->lock);
	return error;
}

static int random_id(struct kafka_uuid *ret)
{
	int r;

	/* As Java's random UUIDs; those that would begin with '-' are a nuisance on command lines,
	 * and Kafka too leaves them out. */
	do {
		r = sys_random(ret->bytes, sizeof(ret->bytes));
		if (r < 0)
			return r;
		ret->bytes[6] = (uint8_t)((ret->bytes[6] & 0x0f) | 0x40);
		ret->bytes[8] = (uint8_t)((ret->bytes[8] & 0x3f) | 0x80);
	} while (ret->bytes[0] >> 2 == 62);
	return 0;
}

/* ---- what all changes share ---- */

static int64_t wall_ms(void)
{
	return (int64_t)sys_wall_time() * 1000;
}

/* Those that were good so far have failed. */
static void fail_changes(const struct store *store, struct store_change *changes, unsigned count,
			 const char *what, int error)
{
	for (unsigned i = 0; i < count; i++) {
		if (changes[i].error != KAFKA_NONE)
			continue;
		changes[i].error = KAFKA_KAFKA_STORAGE_ERROR;
		if (error == -ECANCELED)
			changes[i].error = KAFKA_REQUEST_TIMED_OUT;
		else
			log_bursts(sys_now_ns(), LOG_LEVEL_ERROR, "%s: could not %s topic %s: %s",
				   store->dir, what, changes[i].topic->name, strerror(-error));
	}
}

static unsigned count_good(const struct store_change *changes, unsigned count)
{
	unsigned good = 0;

	for (unsigned i = 0; i < count; i++)
		good += changes[i].error == KAFKA_NONE;
	return good;
}

void store_settle_topics(struct store *store)
{
	int r = store_write_topics(store, NULL, 0, true, NULL);

	if (r == 0)
		return;
	store->unsettled = true;
	log_error("%s/leat-topics: a change that failed can't be taken back for now, and may come "
		  "true if the process ends: %s",
		  store->dir, strerror(-r));
}

/* ---- folders of new partitions ---- */

/* The partitions of changes that are new, together; NULL: no memory. */
struct new_partitions {
	struct partition **list;
	size_t count;
};

static int collect_new(const struct store_change *changes, unsigned count,
		       struct new_partitions *ret)
{
	size_t all = 0;

	for (unsigned i = 0; i < count; i++)
		if (changes[i].error == KAFKA_NONE)
			all += (size_t)changes[i].table->count;
	*ret = (struct new_partitions){.list = malloc((all + 1) * sizeof(struct partition *))};
	if (!ret->list)
		return -ENOMEM;
	for (unsigned i = 0; i < count; i++) {
		const struct partition_table *table = changes[i].table;

		if (changes[i].error != KAFKA_NONE)
			continue;
		for (int32_t nth = table->older->count; nth < table->count; nth++)
			ret->list[ret->count++] = table->partitions[nth];
	}
	return 0;
}

static int make_folder(struct partition *partition, struct load *load)
{
	return partition_create(partition, load->now_ms);
}

/* At once: nobody has used them, and a name that says "later" may find no room. */
static void remove_folders(struct store *store, const struct new_partitions *news)
{
	for (size_t i = 0; i < news->count; i++) {
		int r = files_remove_folder(store->fd, news->list[i]->folder);

		if (r < 0 && r != -ENOENT)
			log_error("%s/%s: can't be removed: %s", store->dir, news->list[i]->folder,
				  strerror(-r));
	}
}

/* leat-topics, then the folders: a start after a crash in between makes what is missing. */
static int make_partitions(struct store *store, struct store_change *changes, unsigned count,
			   struct topic *const *joining, const _Atomic bool *cancelled)
{
	struct new_partitions news;
	bool replaced = false;
	int r = collect_new(changes, count, &news);

	if (r < 0)
		return r;
	r = store_write_topics(store, joining, joining ? count_good(changes, count) : 0, false,
			       &replaced);
	if (r == 0)
		r = crew_run_until(news.list, news.count, store->syncing, make_folder, wall_ms(),
				   cancelled);
	if (r == 0)
		r = files_sync_folder(store->fd, ".");
	if (r < 0 && replaced) {
		remove_folders(store, &news);
		for (unsigned i = 0; i < count; i++)
			if (changes[i].error == KAFKA_NONE)
				changes[i].topic->planned = (struct topic_plan){.partitions = 0};
		store_settle_topics(store);
	}
	free(news.list);
	return r;
}

/* ---- making ---- */

static bool is_leaving(const struct store *store, struct slice name)
{
	const struct topic *topic = store->leaving;

	while (topic && !slice_eq(topic_name_slice(topic), name))
		topic = topic->next_leaving;
	return topic;
}

static enum kafka_error check_creation(struct store *store, const struct store_change *changes,
				       unsigned nth)
{
	const struct store_change *change = &changes[nth];
	enum kafka_error error = check_name(store, change->name);

	for (unsigned i = 0; i < nth && error == KAFKA_NONE; i++)
		if (changes[i].error == KAFKA_NONE)
			error = check_beside(change->name, changes[i].name);
	if (error == KAFKA_NONE && (change->partitions < 1 || change->partitions > PARTITIONS_MAX))
		error = KAFKA_INVALID_PARTITIONS;
	if (error != KAFKA_NONE || !is_leaving(store, change->name))
		return error;
	store_finish_deletions(store);
	if (!is_leaving(store, change->name))
		return KAFKA_NONE;
	log_error(
	    "%s: could not make topic %.*s: the folders of the one that was deleted are still "
	    "there",
	    store->dir, (int)change->name.len, change->name.ptr);
	return KAFKA_KAFKA_STORAGE_ERROR;
}

/* The topic, which nobody sees yet, with its partitions. */
static void prepare_creation(struct store *store, struct store_change *change)
{
	struct kafka_uuid id;
	int r = random_id(&id);

	change->topic = r == 0 ? topic_new(store, change->name, &id, change->config) : NULL;
	change->table = change->topic ? topic_extend(change->topic, change->partitions) : NULL;
	if (change->table) {
		atomic_store_explicit(&change->topic->table, change->table, memory_order_relaxed);
		return;
	}
	if (change->topic)
		topic_unref(change->topic);
	change->topic = NULL;
	change->error = KAFKA_KAFKA_STORAGE_ERROR;
	log_error("%s: could not make topic %.*s: %s", store->dir, (int)change->name.len,
		  change->name.ptr, strerror(r < 0 ? -r : ENOMEM));
}

static int create_all(struct store *store, struct store_change *changes, unsigned count,
		      const _Atomic bool *cancelled)
{
	struct topic **joining = malloc((count + 1) * sizeof(struct topic *));
	unsigned good = 0;
	int r = joining ? 0 : -ENOMEM;

	for (unsigned i = 0; i < count && joining; i++)
		if (changes[i].error == KAFKA_NONE)
			joining[good++] = changes[i].topic;
	/* Nothing that a checkpoint says of a deleted topic may be taken for this one's. */
	if (r == 0 && store->checkpoints_dirty)
		r = store_write_checkpoints(store);
	pthread_rwlock_wrlock(&store->lock);
	if (r == 0)
		r = store_reserve_topics(store, good);
	pthread_rwlock_unlock(&store->lock);
	if (r == 0)
		r = make_partitions(store, changes, count, joining, cancelled);
	pthread_rwlock_wrlock(&store->lock);
	for (unsigned i = 0; i < good && r == 0; i++)
		CHECK(store_link_topic(store, joining[i]) == 0);
	pthread_rwlock_unlock(&store->lock);
	free(joining);
	return r;
}

void store_topics_create(struct store *store, struct store_change *changes, unsigned count,
			 const _Atomic bool *cancelled)
{
	int r;

	pthread_mutex_lock(&store->change);
	for (unsigned i = 0; i < count; i++) {
		changes[i].topic = NULL;
		changes[i].error = check_creation(store, changes, i);
		if (changes[i].error == KAFKA_NONE)
			prepare_creation(store, &changes[i]);
	}
	r = count_good(changes, count) ? create_all(store, changes, count, cancelled) : 0;
	if (r < 0)
		fail_changes(store, changes, count, "make", r);
	for (unsigned i = 0; i < count; i++) {
		if (changes[i].error == KAFKA_NONE) {
			topic_ref(changes[i].topic);
		} else if (changes[i].topic) {
			topic_unref(changes[i].topic);
			changes[i].topic = NULL;
		}
	}
	pthread_mutex_unlock(&store->change);
}

/* ---- deleting ---- */

static int doom_partition(struct partition *partition, int64_t now_ms)
{
	int64_t delay = partition_config(partition, TOPIC_CONFIG_FILE_DELETE_DELAY_MS);
	struct topic *topic = partition->topic;
	char renamed[NAME_ASIDE_MAX];

	store_name_aside(topic_name_slice(topic), partition->number, "-delete", renamed);
	return store_doom(topic->store, partition->folder, renamed, true, now_ms + delay);
}

static int rename_folders(const struct topic *topic)
{
	int r = 0;

	for (int32_t i = 0; i < topic->table->count && r == 0; i++)
		r = doom_partition(topic->table->partitions[i], topic->deleted_ms);
	return r;
}

void store_finish_deletions(struct store *store)
{
	bool done = store->leaving;

	for (const struct topic *topic = store->leaving; topic; topic = topic->next_leaving)
		done = rename_folders(topic) == 0 && done;
	/* The names are away for good before the file forgets what they were. */
	if (!done || files_sync_folder(store->fd, ".") < 0)
		return;
	while (store->leaving) {
		struct topic *topic = store->leaving;

		store->leaving = topic->next_leaving;
		topic_unref(topic);
	}
	(void)store_write_topics(store, NULL, 0, true, NULL);
}

/* Nobody can use the partition any more. */
static void retire(struct partition *partition)
{
	pthread_mutex_lock(&partition->sync);
	pthread_mutex_lock(&partition->lock);
	partition->state = PARTITION_GONE;
	for (uint32_t i = 0; i < partition->segment_count; i++)
		partition->segments[i]->dropped = true;
	pthread_mutex_unlock(&partition->lock);
	pthread_mutex_unlock(&partition->sync);
}

/* What leat-topics says is so now. */
static void show_deletion(struct store *store, struct topic *topic, int64_t now_ms)
{
	topic->deleted = true;
	topic->deleted_ms = now_ms;
	pthread_rwlock_wrlock(&store->lock);
	store_unlink_topic(store, topic);
	pthread_rwlock_unlock(&store->lock);
	for (int32_t i = 0; i < topic->table->count; i++)
		retire(topic->table->partitions[i]);
	topic->next_leaving = store->leaving;
	store->leaving = topic;
	store->checkpoints_dirty = true;
}

/* A change of what a topic says in leat-topics alone. */
static int write_plans(struct store *store, struct store_change *changes, unsigned count)
{
	bool replaced = false;
	int r = store_write_topics(store, NULL, 0, true, &replaced);

	for (unsigned i = 0; i < count; i++)
		changes[i].topic->planned = (struct topic_plan){.partitions = 0};
	if (r < 0 && replaced)
		store_settle_topics(store);
	return r;
}

/* Those whose topic is gone, or comes twice, have no part in it. */
static void look_at_topics(struct store_change *changes, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		changes[i].error = KAFKA_NONE;
		if (changes[i].topic->deleted)
			changes[i].error = KAFKA_UNKNOWN_TOPIC_OR_PARTITION;
		for (unsigned j = 0; j < i && changes[i].error == KAFKA_NONE; j++)
			if (changes[j].topic == changes[i].topic)
				changes[i].error = KAFKA_INVALID_REQUEST;
	}
}

void store_topics_delete(struct store *store, struct store_change *changes, unsigned count,
			 int64_t now_ms)
{
	int r = 0;

	pthread_mutex_lock(&store->change);
	look_at_topics(changes, count);
	for (unsigned i = 0; i < count; i++)
		if (changes[i].error == KAFKA_NONE)
			changes[i].topic->planned.deletion = true;
	if (count_good(changes, count))
		r = write_plans(store, changes, count);
	if (r < 0)
		fail_changes(store, changes, count, "delete", r);
	for (unsigned i = 0; i < count; i++)
		if (changes[i].error == KAFKA_NONE)
			show_deletion(store, changes[i].topic, now_ms);
	if (count_good(changes, count))
		store_finish_deletions(store);
	pthread_mutex_unlock(&store->change);
}

/* ---- growing ---- */

static void prepare_growth(struct store_change *change)
{
	if (change->partitions <= change->topic->table->count ||
	    change->partitions > PARTITIONS_MAX) {
		change->error = KAFKA_INVALID_PARTITIONS;
		return;
	}
	change->table = topic_extend(change->topic, change->partitions);
	if (change->table)
		change->topic->planned.partitions = change->partitions;
	else
		change->error = KAFKA_KAFKA_STORAGE_ERROR;
}

void store_topics_grow(struct store *store, struct store_change *changes, unsigned count,
		       const _Atomic bool *cancelled)
{
	int r = 0;

	pthread_mutex_lock(&store->change);
	look_at_topics(changes, count);
	for (unsigned i = 0; i < count; i++) {
		changes[i].table = NULL;
		if (changes[i].error == KAFKA_NONE)
			prepare_growth(&changes[i]);
	}
	if (count_good(changes, count))
		r = make_partitions(store, changes, count, NULL, cancelled);
	if (r < 0)
		fail_changes(store, changes, count, "grow", r);
	for (unsigned i = 0; i < count; i++) {
		struct topic *topic = changes[i].topic;

		if (!changes[i].table)
			continue;
		topic->planned = (struct topic_plan){.partitions = 0};
		if (changes[i].error == KAFKA_NONE)
			atomic_store_explicit(&topic->table, changes[i].table,
					      memory_order_release);
		else
			topic_shrink(changes[i].table, topic->table->count);
	}
	pthread_mutex_unlock(&store->change);
}

/* ---- settings ---- */

void store_topics_configure(struct store *store, struct store_change *changes, unsigned count)
{
	int r = 0;

	pthread_mutex_lock(&store->change);
	look_at_topics(changes, count);
	for (unsigned i = 0; i < count; i++)
		if (changes[i].error == KAFKA_NONE)
			changes[i].topic->planned.config = changes[i].config;
	if (count_good(changes, count))
		r = write_plans(store, changes, count);
	if (r < 0)
		fail_changes(store, changes, count, "configure", r);
	pthread_rwlock_wrlock(&store->lock);
	for (unsigned i = 0; i < count; i++)
		if (changes[i].error == KAFKA_NONE)
			topic_set_config(changes[i].topic, changes[i].config);
	pthread_rwlock_unlock(&store->lock);
	pthread_mutex_unlock(&store->change);
}

/* ---- one at a time ---- */

enum kafka_error store_topic_create(struct store *store, struct slice name, int32_t partitions,
				    const struct topic_config *config, struct topic **ret)
{
	struct store_change change = {.name = name, .partitions = partitions, .config = config};

	store_topics_create(store, &change, 1, NULL);
	if (ret)
		*ret = change.topic;
	else if (change.topic)
		topic_unref(change.topic);
	return change.error;
}

enum kafka_error store_topic_delete(struct store *store, struct topic *topic, int64_t now_ms)
{
	struct store_change change = {.topic = topic};

	store_topics_delete(store, &change, 1, now_ms);
	return change.error;
}

enum kafka_error store_topic_grow(struct store *store, struct topic *topic, int32_t partitions)
{
	struct store_change change = {.topic = topic, .partitions = partitions};

	store_topics_grow(store, &change, 1, NULL);
	return change.error;
}

enum kafka_error store_topic_configure(struct store *store, struct topic *topic,
				       const struct topic_config *config)
{
	struct store_change change = {.topic = topic, .config = config};

	store_topics_configure(store, &change, 1);
	return change.error;
}
