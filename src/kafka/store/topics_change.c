/*
 * Making, deleting and changing topics.
 *
 * A change is on disk as a whole or not at all: leat-topics says which topics there are, and it is
 * replaced by a rename. What it says and the folders don't have yet (a topic half made) is made at
 * the next start; what it calls deleted is renamed then. store->change is held all the while.
 */
#include <errno.h>
#include <stdio.h>

#include "base/log.h"
#include "kafka/store/files.h"
#include "kafka/store/internal.h"
#include "sys/sys.h"

static enum kafka_error storage_error(const struct store *store, const char *what,
				      struct slice name, int error)
{
	log_error("%s: could not %s topic %.*s: %s", store->dir, what, (int)name.len, name.ptr,
		  strerror(-error));
	return KAFKA_KAFKA_STORAGE_ERROR;
}

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

static enum kafka_error check_name(const struct store *store, struct slice name)
{
	if (!store_topic_name_valid(name))
		return KAFKA_INVALID_TOPIC_EXCEPTION;
	for (uint32_t i = 0; i < store->topic_count; i++) {
		struct slice other = topic_name_slice(store->by_name[i]);

		if (slice_eq(other, name))
			return KAFKA_TOPIC_ALREADY_EXISTS;
		if (same_but_dots(other, name))
			return KAFKA_INVALID_TOPIC_EXCEPTION;
	}
	return KAFKA_NONE;
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

/* The folders of a table's partitions from `first` on. */
static int make_folder(struct partition *partition, struct load *load)
{
	return partition_create(partition, load->now_ms);
}

static int make_folders(struct store *store, struct partition_table *table, int32_t first,
			int64_t now_ms)
{
	return crew_run(table->partitions + first, (size_t)(table->count - first), store->syncing,
			make_folder, false, now_ms);
}

static int doom_partition(struct partition *partition, int64_t now_ms)
{
	int64_t delay = partition_config(partition, TOPIC_CONFIG_FILE_DELETE_DELAY_MS);
	struct topic *topic = partition->topic;
	char renamed[NAME_ASIDE_MAX];

	store_name_aside(topic_name_slice(topic), partition->number, "-delete", renamed);
	return store_doom(topic->store, partition->folder, renamed, true, now_ms + delay);
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

static void undo_create(struct partition_table *table, int32_t first, int64_t now_ms)
{
	for (int32_t i = first; i < table->count; i++)
		(void)doom_partition(table->partitions[i], now_ms);
}

static int link_locked(struct store *store, struct topic *topic)
{
	int r;

	pthread_rwlock_wrlock(&store->lock);
	r = store_link_topic(store, topic);
	pthread_rwlock_unlock(&store->lock);
	return r;
}

static void unlink_locked(struct store *store, struct topic *topic)
{
	pthread_rwlock_wrlock(&store->lock);
	store_unlink_topic(store, topic);
	pthread_rwlock_unlock(&store->lock);
}

static int64_t wall_ms(void)
{
	return (int64_t)sys_wall_time() * 1000;
}

static int create(struct store *store, struct topic *topic, int32_t partitions)
{
	struct partition_table *table = topic_extend(topic, partitions);
	int64_t now_ms = wall_ms();
	int r;

	if (!table)
		return -ENOMEM;
	topic->table = table;
	/* Nothing that a checkpoint says of a deleted topic may be taken for this one's. */
	r = store->checkpoints_dirty ? store_write_checkpoints(store) : 0;
	/* The file first: a start after a crash from here on makes what is missing. */
	if (r == 0)
		r = store_write_topics(store, topic);
	if (r == 0)
		r = make_folders(store, table, 0, now_ms);
	if (r == 0)
		r = files_sync_folder(store->fd, ".");
	if (r == 0)
		r = link_locked(store, topic);
	if (r < 0) {
		undo_create(table, 0, now_ms);
		(void)store_write_topics(store, NULL);
	}
	return r;
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
	(void)store_write_topics(store, NULL);
}

static bool is_leaving(const struct store *store, struct slice name)
{
	const struct topic *topic = store->leaving;

	while (topic && !slice_eq(topic_name_slice(topic), name))
		topic = topic->next_leaving;
	return topic;
}

enum kafka_error store_topic_create(struct store *store, struct slice name, int32_t partitions,
				    const struct topic_config *config, struct topic **ret)
{
	enum kafka_error error;
	struct kafka_uuid id;
	struct topic *topic;
	int r;

	pthread_mutex_lock(&store->change);
	error = check_name(store, name);
	if (error == KAFKA_NONE && (partitions < 1 || partitions > PARTITIONS_MAX))
		error = KAFKA_INVALID_PARTITIONS;
	if (error == KAFKA_NONE && is_leaving(store, name)) {
		store_finish_deletions(store);
		if (is_leaving(store, name))
			error = storage_error(store, "make", name, -EBUSY);
	}
	if (error == KAFKA_NONE) {
		r = random_id(&id);
		topic = r == 0 ? topic_new(store, name, &id, config) : NULL;
		if (topic)
			r = create(store, topic, partitions);
		else if (r == 0)
			r = -ENOMEM;
		if (r == 0 && ret) {
			topic_ref(topic);
			*ret = topic;
		} else if (r < 0) {
			error = storage_error(store, "make", name, r);
			if (topic)
				topic_unref(topic);
		}
	}
	pthread_mutex_unlock(&store->change);
	return error;
}

enum kafka_error store_topic_delete(struct store *store, struct topic *topic, int64_t now_ms)
{
	enum kafka_error error = KAFKA_NONE;
	int r;

	pthread_mutex_lock(&store->change);
	if (topic->deleted) {
		pthread_mutex_unlock(&store->change);
		return KAFKA_UNKNOWN_TOPIC_OR_PARTITION;
	}
	topic->deleted = true;
	topic->deleted_ms = now_ms;
	r = store_write_topics(store, NULL);
	if (r < 0) {
		topic->deleted = false;
		/* The file may say so already, and what is appended now would go with it. */
		(void)store_write_topics(store, NULL);
		error = storage_error(store, "delete", topic_name_slice(topic), r);
	} else {
		unlink_locked(store, topic);
		for (int32_t i = 0; i < topic->table->count; i++)
			retire(topic->table->partitions[i]);
		topic->next_leaving = store->leaving;
		store->leaving = topic;
		store->checkpoints_dirty = true;
		store_finish_deletions(store);
	}
	pthread_mutex_unlock(&store->change);
	return error;
}

static int grow(struct store *store, struct topic *topic, int32_t partitions)
{
	struct partition_table *table = topic_extend(topic, partitions);
	int32_t before = topic->table->count;
	int r;

	if (!table)
		return -ENOMEM;
	topic->planned = partitions;
	r = store_write_topics(store, NULL);
	if (r == 0)
		r = make_folders(store, table, before, wall_ms());
	if (r == 0)
		r = files_sync_folder(store->fd, ".");
	topic->planned = 0;
	if (r == 0) {
		atomic_store_explicit(&topic->table, table, memory_order_release);
		return 0;
	}
	undo_create(table, before, wall_ms());
	(void)store_write_topics(store, NULL);
	topic_shrink(table, before);
	return r;
}

enum kafka_error store_topic_grow(struct store *store, struct topic *topic, int32_t partitions)
{
	enum kafka_error error = KAFKA_NONE;
	int r;

	pthread_mutex_lock(&store->change);
	if (topic->deleted)
		error = KAFKA_UNKNOWN_TOPIC_OR_PARTITION;
	else if (partitions <= topic->table->count || partitions > PARTITIONS_MAX)
		error = KAFKA_INVALID_PARTITIONS;
	if (error == KAFKA_NONE) {
		r = grow(store, topic, partitions);
		if (r < 0)
			error = storage_error(store, "grow", topic_name_slice(topic), r);
	}
	pthread_mutex_unlock(&store->change);
	return error;
}

enum kafka_error store_topic_configure(struct store *store, struct topic *topic,
				       const struct topic_config *config)
{
	struct topic_config before;
	enum kafka_error error = KAFKA_NONE;
	int r;

	topic_config_own(topic, &before);
	pthread_mutex_lock(&store->change);
	if (topic->deleted) {
		error = KAFKA_UNKNOWN_TOPIC_OR_PARTITION;
	} else {
		topic_set_config(topic, config);
		r = store_write_topics(store, NULL);
		if (r < 0) {
			topic_set_config(topic, &before);
			(void)store_write_topics(store, NULL);
			error = storage_error(store, "configure", topic_name_slice(topic), r);
		}
	}
	pthread_mutex_unlock(&store->change);
	return error;
}
