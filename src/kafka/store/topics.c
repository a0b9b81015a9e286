/*
 * Topics, and finding them.
 */
#include <errno.h>
#include <stdlib.h>

#include "kafka/store/internal.h"

/* ---- a topic ---- */

void topic_set_config(struct topic *topic, const struct topic_config *config)
{
	topic->own = config ? config->set : 0;
	for (int id = 0; id < TOPIC_CONFIG_COUNT; id++) {
		bool own = config && topic_config_is_set(config, id);

		atomic_store_explicit(&topic->values[id],
				      own ? config->values[id] : topic->store->defaults.values[id],
				      memory_order_relaxed);
	}
}

int64_t topic_config_value(const struct topic *topic, enum topic_config_id id)
{
	return atomic_load_explicit(&topic->values[id], memory_order_relaxed);
}

void topic_config_own(struct topic *topic, struct topic_config *ret)
{
	pthread_rwlock_rdlock(&topic->store->lock);
	ret->set = topic->own;
	for (int id = 0; id < TOPIC_CONFIG_COUNT; id++)
		ret->values[id] = topic->values[id];
	pthread_rwlock_unlock(&topic->store->lock);
}

struct topic *topic_new(struct store *store, struct slice name, const struct kafka_uuid *id,
			const struct topic_config *own)
{
	struct topic *topic = calloc(1, sizeof(*topic) + name.len + 1);
	struct partition_table *none = calloc(1, sizeof(*none));

	if (!topic || !none) {
		free(topic);
		free(none);
		return NULL;
	}
	topic->store = store;
	topic->refs = 1;
	topic->id = *id;
	topic->table = none;
	topic->name_len = name.len;
	memcpy(topic->name, name.ptr, name.len);
	topic_set_config(topic, own);
	return topic;
}

struct partition_table *topic_extend(struct topic *topic, int32_t count)
{
	struct partition_table *old = topic->table;
	struct partition_table *table =
	    calloc(1, sizeof(*table) + (size_t)count * sizeof(struct partition *));

	if (!table)
		return NULL;
	table->count = count;
	memcpy(table->partitions, old->partitions, (size_t)old->count * sizeof(struct partition *));
	for (int32_t i = old->count; i < count; i++) {
		table->partitions[i] = partition_new(topic, i);
		if (!table->partitions[i]) {
			table->count = i;
			topic_shrink(table, old->count);
			return NULL;
		}
	}
	table->older = old;
	return table;
}

void topic_shrink(struct partition_table *table, int32_t count)
{
	for (int32_t i = count; i < table->count; i++)
		partition_free(table->partitions[i]);
	free(table);
}

static void topic_free(struct topic *topic)
{
	struct partition_table *table = topic->table, *older;

	for (int32_t i = 0; i < table->count; i++)
		partition_free(table->partitions[i]);
	for (; table; table = older) {
		older = table->older;
		free(table);
	}
	free(topic);
}

void topic_ref(struct topic *topic)
{
	atomic_fetch_add_explicit(&topic->refs, 1, memory_order_relaxed);
}

void topic_unref(struct topic *topic)
{
	if (atomic_fetch_sub_explicit(&topic->refs, 1, memory_order_acq_rel) == 1)
		topic_free(topic);
}

const char *topic_name(const struct topic *topic)
{
	return topic->name;
}

const struct kafka_uuid *topic_id(const struct topic *topic)
{
	return &topic->id;
}

int32_t topic_partition_count(const struct topic *topic)
{
	return atomic_load_explicit(&topic->table, memory_order_acquire)->count;
}

struct partition *topic_partition(const struct topic *topic, int32_t number)
{
	const struct partition_table *table =
	    atomic_load_explicit(&topic->table, memory_order_acquire);

	return number >= 0 && number < table->count ? table->partitions[number] : NULL;
}

bool topic_is_deleted(const struct topic *topic)
{
	return topic->deleted;
}

/* ---- the store's tables of them: sorted arrays ---- */

static int compare_names(struct slice a, struct slice b)
{
	int r = memcmp(a.ptr, b.ptr, min_size(a.len, b.len));

	return r ? r : (a.len > b.len) - (a.len < b.len);
}

struct slice topic_name_slice(const struct topic *topic)
{
	return slice_make(topic->name, topic->name_len);
}

/* Where the name stands, or would stand. */
static uint32_t place_of_name(const struct store *store, struct slice name, bool *ret_there)
{
	uint32_t low = 0, high = store->topic_count;

	*ret_there = false;
	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		int r = compare_names(topic_name_slice(store->by_name[middle]), name);

		if (r == 0) {
			*ret_there = true;
			return middle;
		}
		if (r < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static uint32_t place_of_id(const struct store *store, const struct kafka_uuid *id, bool *ret_there)
{
	uint32_t low = 0, high = store->topic_count;

	*ret_there = false;
	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		int r = memcmp(&store->by_id[middle]->id, id, sizeof(*id));

		if (r == 0) {
			*ret_there = true;
			return middle;
		}
		if (r < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

int store_reserve_topics(struct store *store, uint32_t count)
{
	uint32_t capacity = store->topic_capacity ? store->topic_capacity : 16;
	struct topic **names, **ids;

	while (capacity < store->topic_count + count)
		capacity *= 2;
	if (capacity == store->topic_capacity)
		return 0;
	names = realloc(store->by_name, capacity * sizeof(struct topic *));
	if (names)
		store->by_name = names;
	ids = realloc(store->by_id, capacity * sizeof(struct topic *));
	if (ids)
		store->by_id = ids;
	if (!names || !ids)
		return -ENOMEM;
	store->topic_capacity = capacity;
	return 0;
}

static void insert_at(struct topic **list, uint32_t count, uint32_t at, struct topic *topic)
{
	memmove(list + at + 1, list + at, (count - at) * sizeof(struct topic *));
	list[at] = topic;
}

static void remove_at(struct topic **list, uint32_t count, uint32_t at)
{
	memmove(list + at, list + at + 1, (count - at - 1) * sizeof(struct topic *));
}

int store_link_topic(struct store *store, struct topic *topic)
{
	int r = store_reserve_topics(store, 1);
	bool there;
	uint32_t at;

	if (r < 0)
		return r;
	at = place_of_name(store, topic_name_slice(topic), &there);
	CHECK(!there);
	insert_at(store->by_name, store->topic_count, at, topic);
	at = place_of_id(store, &topic->id, &there);
	insert_at(store->by_id, store->topic_count, at, topic);
	store->topic_count++;
	return 0;
}

void store_unlink_topic(struct store *store, struct topic *topic)
{
	bool there;
	uint32_t at = place_of_name(store, topic_name_slice(topic), &there);

	CHECK(there);
	remove_at(store->by_name, store->topic_count, at);
	/* Ids are ours to choose, but a directory may have been tampered with: the same twice. */
	at = place_of_id(store, &topic->id, &there);
	CHECK(there);
	for (at = 0; store->by_id[at] != topic; at++)
		;
	remove_at(store->by_id, store->topic_count, at);
	store->topic_count--;
}

struct topic *store_topic(struct store *store, struct slice name)
{
	struct topic *topic = NULL;
	bool there;
	uint32_t at;

	pthread_rwlock_rdlock(&store->lock);
	at = place_of_name(store, name, &there);
	if (there) {
		topic = store->by_name[at];
		topic_ref(topic);
	}
	pthread_rwlock_unlock(&store->lock);
	return topic;
}

bool store_name_is_taken(const struct store *store, struct slice name)
{
	bool there;

	(void)place_of_name(store, name, &there);
	return there;
}

bool store_has_topic(struct store *store, struct slice name)
{
	bool there;

	pthread_rwlock_rdlock(&store->lock);
	there = store_name_is_taken(store, name);
	pthread_rwlock_unlock(&store->lock);
	return there;
}

struct topic *store_topic_by_id(struct store *store, const struct kafka_uuid *id)
{
	struct topic *topic = NULL;
	bool there;
	uint32_t at;

	pthread_rwlock_rdlock(&store->lock);
	at = place_of_id(store, id, &there);
	if (there) {
		topic = store->by_id[at];
		topic_ref(topic);
	}
	pthread_rwlock_unlock(&store->lock);
	return topic;
}

struct topic *store_topic_next(struct store *store, struct slice after)
{
	struct topic *topic = NULL;
	bool there = false;
	uint32_t at = 0;

	pthread_rwlock_rdlock(&store->lock);
	if (after.ptr)
		at = place_of_name(store, after, &there) + there;
	if (at < store->topic_count) {
		topic = store->by_name[at];
		topic_ref(topic);
	}
	pthread_rwlock_unlock(&store->lock);
	return topic;
}
