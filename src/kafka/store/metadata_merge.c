/*
 * Kafka's metadata and leat-topics, put together.
 *
 * A directory may go from Kafka to leat and back. Each of them keeps a record of its own of which
 * topics there are, and of their settings: Kafka's is its metadata log, ours is leat-topics, which
 * also notes up to which offset of that log it is up to date. So when the log has got longer, Kafka
 * has run since, and what it says from that offset on is what was done last: it is put into ours. What
 * was not touched there stays as leat has it.
 *
 *     topic of Kafka's that ours lacks    made since, or its folder is there: taken in, with its
 *                                         settings; else leat deleted it
 *     of the same name and id             settings that were changed since; partitions that were added
 *     of the same name, another id        the folder says whose it is
 *     topic of ours that Kafka lacks      Kafka deleted it, or took it for nobody's and set its folder
 *                                         aside: no longer there. Its folder is there: it stays
 */
#include <errno.h>
#include <stdio.h>

#include "base/log.h"
#include "kafka/store/internal.h"

struct merge {
	struct store *store;
	struct image *image;
	int64_t since; /* -1: leat-topics knows nothing of Kafka's yet */
	unsigned topics, settings, left_out;
	unsigned missing; /* folders */
	char first_missing[FOLDER_NAME_MAX];
};

/* ---- settings ---- */

static void leave_out(struct merge *merge, const char *topic, const struct image_setting *setting)
{
	if (merge->left_out++ < 20)
		log_warning("%s: topic %s: Kafka's setting %s=%s is not known here and has no "
			    "effect",
			    merge->store->dir, topic, setting->name, setting->value);
}

/* Was it changed after ours was written? Where that is not known, what is set here stays. */
static bool is_news(const struct merge *merge, const struct image_setting *setting, bool ours)
{
	return merge->since >= 0 ? setting->at >= merge->since : !ours;
}

static void merge_setting(struct merge *merge, const char *topic,
			  const struct image_setting *setting, struct topic_config *config)
{
	int id = topic_config_find(slice_of(setting->name));
	int64_t value;

	if (id >= 0 && !is_news(merge, setting, topic_config_is_set(config, id)))
		return;
	if (!setting->value) {
		if (id >= 0)
			topic_config_unset(config, id);
		return;
	}
	if (id < 0 || topic_config_parse(id, slice_of(setting->value), &value) < 0) {
		leave_out(merge, topic, setting);
		return;
	}
	topic_config_set(config, id, value);
	merge->settings++;
}

static void merge_settings(struct merge *merge, const struct image_topic *from,
			   struct topic_config *config)
{
	for (uint32_t i = 0; i < from->settings.count; i++)
		merge_setting(merge, from->name, &from->settings.list[i], config);
}

/* ---- topics ---- */

static void merge_epochs(const struct topic *topic, const struct image_topic *from)
{
	int32_t count = topic_partition_count(topic);

	for (int32_t i = 0; i < from->partitions && i < count; i++)
		topic_partition(topic, i)->leader_epoch = from->leader_epochs[i];
}

static int grow(struct topic *topic, int32_t partitions)
{
	struct partition_table *table;

	if (partitions <= topic_partition_count(topic))
		return 0;
	table = topic_extend(topic, partitions);
	if (!table)
		return -ENOMEM;
	topic->table = table;
	return 0;
}

/* The same topic in both. */
static int update(struct merge *merge, struct topic *topic, const struct image_topic *from)
{
	struct topic_config config;

	topic_config_own(topic, &config);
	merge_settings(merge, from, &config);
	topic_set_config(topic, &config);
	return grow(topic, from->partitions);
}

/* Kafka may have had them in another of its directories. */
static void count_missing(struct merge *merge, const struct image_topic *from)
{
	for (int32_t i = 0; i < from->partitions; i++)
		if (!folder_exists(merge->store, from->name, i) && merge->missing++ == 0)
			snprintf(merge->first_missing, sizeof(merge->first_missing), "%s-%d",
				 from->name, i);
}

static int take_in(struct merge *merge, const struct image_topic *from)
{
	struct topic_config config;
	int64_t since = merge->since;

	/* Nothing is set here yet: all of it holds. */
	merge->since = 0;
	topic_config_init(&config);
	merge_settings(merge, from, &config);
	merge->since = since;
	merge->topics++;
	count_missing(merge, from);
	return store_link_known(merge->store, slice_of(from->name), &from->id, from->partitions,
				&config);
}

static void drop(struct merge *merge, struct topic *topic, const char *why)
{
	log_warning("%s: topic %s is no longer there: %s", merge->store->dir, topic->name, why);
	store_unlink_topic(merge->store, topic);
	topic_unref(topic);
}

/* The id in any of the folders of a name. -ENOENT. */
static int id_on_disk(const struct store *store, const char *name, int32_t partitions,
		      struct kafka_uuid *ret)
{
	int r = -ENOENT;

	for (int32_t i = 0; i < partitions && r < 0; i++)
		r = folder_id(store, name, i, ret);
	return r;
}

static bool any_folder(const struct store *store, const char *name, int32_t partitions)
{
	for (int32_t i = 0; i < partitions; i++)
		if (folder_exists(store, name, i))
			return true;
	return false;
}

/* Two topics of one name: one of them is gone. */
static int decide(struct merge *merge, struct topic *topic, const struct image_topic *from)
{
	int32_t count = (int32_t)max_i64(topic_partition_count(topic), from->partitions);
	struct kafka_uuid id;
	bool kafkas = from->made >= merge->since;

	if (id_on_disk(merge->store, from->name, count, &id) == 0)
		kafkas = memcmp(&id, &from->id, sizeof(id)) == 0;
	if (!kafkas)
		return 0;
	drop(merge, topic, "Kafka has made another one of this name");
	return take_in(merge, from);
}

static bool can_be_had(const struct merge *merge, const struct image_topic *from)
{
	return from->here && from->partitions > 0 && from->partitions <= PARTITIONS_MAX &&
	       store_topic_name_valid(slice_of(from->name));
}

static int merge_topic(struct merge *merge, const struct image_topic *from)
{
	struct topic *topic;
	int r = 0;

	if (!can_be_had(merge, from))
		return 0;
	topic = store_topic(merge->store, slice_of(from->name));
	/* Nobody else is here: the store's own reference lasts. */
	if (topic)
		topic_unref(topic);
	if (topic && memcmp(&topic->id, &from->id, sizeof(from->id)) == 0)
		r = update(merge, topic, from);
	else if (topic)
		r = decide(merge, topic, from);
	else if (from->made >= merge->since ||
		 any_folder(merge->store, from->name, from->partitions))
		r = take_in(merge, from);
	return r;
}

/* Topics that Kafka does not know. */
static void drop_lost(struct merge *merge)
{
	struct store *store = merge->store;

	for (uint32_t i = store->topic_count; i > 0; i--) {
		struct topic *topic = store->by_name[i - 1];

		if (image_topic(merge->image, topic_name_slice(topic)))
			continue;
		if (image_was_removed(merge->image, &topic->id))
			drop(merge, topic, "Kafka has deleted it");
		else if (merge->since >= 0 &&
			 !any_folder(store, topic->name, topic_partition_count(topic)))
			drop(merge, topic,
			     "its folders are gone: Kafka, which did not know it, may have called "
			     "them -stray");
	}
}

/* Folders that say they are of a topic of another id. */
static int set_strays_aside(struct store *store)
{
	int r = 0;

	for (uint32_t i = 0; i < store->topic_count; i++) {
		const struct topic *topic = store->by_name[i];
		struct kafka_uuid id;

		for (int32_t n = 0; n < topic_partition_count(topic) && r == 0; n++)
			if (folder_id(store, topic->name, n, &id) == 0 &&
			    memcmp(&id, &topic->id, sizeof(id)) != 0)
				r = folder_set_aside(store, topic->name, n);
	}
	return r;
}

/* ---- all of it ---- */

/* It is set, and not to what holds here anyhow: Kafka 4 itself sets min.insync.replicas to 1. */
static bool makes_a_difference(const struct store *store, const struct image_setting *setting)
{
	int id = topic_config_find_server(slice_of(setting->name));
	int64_t value;

	return setting->value &&
	       (id < 0 || topic_config_parse(id, slice_of(setting->value), &value) < 0 ||
		value != store->defaults.values[id]);
}

static void warn_of_broker(const struct merge *merge)
{
	const struct image_settings *broker = &merge->image->broker;
	char text[300];
	struct buf buf = buf_over(text, sizeof(text));

	if (merge->image->others)
		log_warning("%s: Kafka's metadata tells of other brokers: here there is one alone, "
			    "with what this directory has",
			    merge->store->dir);
	for (uint32_t i = 0; i < broker->count; i++)
		if (makes_a_difference(merge->store, &broker->list[i]))
			buf_printf(&buf, "%s%s", buf.len ? ", " : "", broker->list[i].name);
	if (buf.len > 0)
		log_warning("%s: settings that Kafka's brokers were given while they ran have no "
			    "effect here: give them by -o or in server.properties: %.*s%s",
			    merge->store->dir, (int)buf.len, buf.ptr, buf.overflow ? ", ..." : "");
}

int metadata_merge(struct store *store, struct image *image, bool *ret_news)
{
	struct merge merge = {.store = store, .image = image, .since = store->metadata_end};
	int r = 0;

	warn_of_broker(&merge);
	*ret_news = image->end != merge.since;
	if (*ret_news) {
		for (size_t i = 0; i < image->topic_count && r == 0; i++)
			r = merge_topic(&merge, &image->topics[i]);
		if (r == 0)
			drop_lost(&merge);
		if (r == 0)
			r = set_strays_aside(store);
		store->metadata_end = image->end;
		log_info("%s: Kafka's metadata up to offset %lld: %u topics and %u settings are "
			 "new here",
			 store->dir, (long long)image->end, merge.topics, merge.settings);
		if (merge.missing > 0)
			log_warning("%s: %u partitions that Kafka's metadata tells of have no "
				    "folder here and start empty: %s%s",
				    store->dir, merge.missing, merge.first_missing,
				    merge.missing > 1 ? " and others" : "");
	}
	for (size_t i = 0; i < image->topic_count; i++) {
		const struct image_topic *from = &image->topics[i];
		struct topic *topic = store_topic(store, slice_of(from->name));

		if (topic && memcmp(&topic->id, &from->id, sizeof(from->id)) == 0)
			merge_epochs(topic, from);
		if (topic)
			topic_unref(topic);
	}
	return r;
}
