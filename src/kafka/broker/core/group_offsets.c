#include "kafka/broker/core/group_offsets.h"

#include <errno.h>
#include <stdlib.h>

#include "base/hash.h"
#include "kafka/broker/core/group_internal.h"

void group_offsets_init(struct group_offsets *offsets)
{
	*offsets = (struct group_offsets){0};
	list_init(&offsets->topics);
}

/* What is held for them, in the account. */
static uint64_t topic_bytes(struct slice name)
{
	return sizeof(struct committed_topic) + name.len;
}

static uint64_t entry_bytes(struct slice metadata)
{
	return sizeof(struct committed) + metadata.len;
}

static void drop_entry(struct group_offsets *offsets, struct committed *entry)
{
	held_give(offsets->held, HELD_OFFSETS, entry_bytes(entry->metadata));
	text_free(&entry->metadata);
	offsets->count--;
}

static void topic_free(struct group_offsets *offsets, struct committed_topic *topic)
{
	for (int32_t i = 0; i < topic->count; i++)
		drop_entry(offsets, &topic->entries[i]);
	held_give(offsets->held, HELD_OFFSETS, topic_bytes(topic->name));
	list_remove(&topic->node);
	table_remove(&offsets->by_name, &topic->by_name);
	offsets->topics_count--;
	text_free(&topic->name);
	free(topic->entries);
	free(topic);
}

void group_offsets_fini(struct group_offsets *offsets)
{
	while (!list_empty(&offsets->topics))
		topic_free(offsets,
			   container_of(offsets->topics.next, struct committed_topic, node));
	table_fini(&offsets->by_name);
}

struct committed_topic *group_offsets_topic(const struct group_offsets *offsets, struct slice name)
{
	uint64_t hash = hash_slice_from(offsets->secret, name);
	struct table_node *node = table_first(&offsets->by_name, hash);

	for (; node; node = node->next) {
		struct committed_topic *topic = container_of(node, struct committed_topic, by_name);

		if (node->hash == hash && slice_eq(topic->name, name))
			return topic;
	}
	return NULL;
}

/* Where the partition's entry is, or belongs. */
static int32_t place(const struct committed_topic *topic, int32_t partition)
{
	int32_t low = 0, high = topic->count;

	while (low < high) {
		int32_t middle = low + (high - low) / 2;

		if (topic->entries[middle].partition < partition)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static struct committed *find_in(const struct committed_topic *topic, int32_t partition)
{
	int32_t at = place(topic, partition);

	return at < topic->count && topic->entries[at].partition == partition ? &topic->entries[at]
									      : NULL;
}

const struct committed *group_offsets_find(const struct group_offsets *offsets, struct slice name,
					   int32_t partition)
{
	const struct committed_topic *topic = group_offsets_topic(offsets, name);

	return topic ? find_in(topic, partition) : NULL;
}

static struct committed_topic *add_topic(struct group_offsets *offsets, struct slice name)
{
	struct committed_topic *topic = calloc(1, sizeof(*topic));

	if (!topic || !text_copy(&topic->name, name)) {
		free(topic);
		return NULL;
	}
	list_push_back(&offsets->topics, &topic->node);
	table_add(&offsets->by_name, &topic->by_name, hash_slice_from(offsets->secret, name));
	held_add(offsets->held, HELD_OFFSETS, topic_bytes(name));
	offsets->topics_count++;
	return topic;
}

static struct committed *add_entry(struct committed_topic *topic, int32_t partition)
{
	int32_t at = place(topic, partition);

	if (topic->count == topic->size) {
		int32_t size = topic->size ? topic->size * 2 : 4;
		struct committed *more = realloc(topic->entries, (size_t)size * sizeof(*more));

		if (!more)
			return NULL;
		topic->entries = more;
		topic->size = size;
	}
	memmove(&topic->entries[at + 1], &topic->entries[at],
		(size_t)(topic->count - at) * sizeof(*topic->entries));
	topic->count++;
	topic->entries[at] = (struct committed){.partition = partition};
	return &topic->entries[at];
}

bool group_offsets_reserve(const struct group_offsets *offsets, struct slice name,
			   const struct committed *value)
{
	const struct committed_topic *topic = group_offsets_topic(offsets, name);
	uint64_t bytes = entry_bytes(value->metadata) + (topic ? 0 : topic_bytes(name));
	const struct committed *before = topic ? find_in(topic, value->partition) : NULL;

	/* In place of as much or more it may always come. */
	if (before && before->metadata.len >= value->metadata.len)
		return true;
	return held_has_room(offsets->held, HELD_OFFSETS, bytes);
}

int group_offsets_set(struct group_offsets *offsets, struct slice name,
		      const struct committed *value)
{
	struct committed_topic *topic = group_offsets_topic(offsets, name);
	bool fresh = !topic;
	struct committed *entry;
	struct slice metadata;

	if (!text_copy(&metadata, value->metadata.ptr ? value->metadata : slice_make("", 0)))
		return -ENOMEM;
	if (fresh)
		topic = add_topic(offsets, name);
	entry = topic ? find_in(topic, value->partition) : NULL;
	if (topic && !entry) {
		entry = add_entry(topic, value->partition);
		if (entry) {
			offsets->count++;
			held_add(offsets->held, HELD_OFFSETS, entry_bytes(entry->metadata));
		}
	}
	if (!entry) {
		text_free(&metadata);
		if (topic && fresh)
			topic_free(offsets, topic);
		return -ENOMEM;
	}
	held_give(offsets->held, HELD_OFFSETS, entry_bytes(entry->metadata));
	held_add(offsets->held, HELD_OFFSETS, entry_bytes(metadata));
	text_free(&entry->metadata);
	*entry = *value;
	entry->metadata = metadata;
	return 0;
}

bool group_offsets_remove(struct group_offsets *offsets, struct slice name, int32_t partition)
{
	struct committed_topic *topic = group_offsets_topic(offsets, name);
	struct committed *entry = topic ? find_in(topic, partition) : NULL;

	if (!entry)
		return false;
	drop_entry(offsets, entry);
	topic->count--;
	memmove(entry, entry + 1, (size_t)(topic->entries + topic->count - entry) * sizeof(*entry));
	if (topic->count == 0)
		topic_free(offsets, topic);
	return true;
}

void group_offsets_sweep(struct group_offsets *offsets, bool go)
{
	for (struct list *node = offsets->topics.next, *next; node != &offsets->topics;
	     node = next) {
		struct committed_topic *topic = container_of(node, struct committed_topic, node);
		int32_t kept = 0;

		next = node->next;
		for (int32_t i = 0; i < topic->count; i++) {
			if (topic->entries[i].goes && go) {
				drop_entry(offsets, &topic->entries[i]);
				continue;
			}
			topic->entries[kept] = topic->entries[i];
			topic->entries[kept++].goes = false;
		}
		topic->count = kept;
		if (kept == 0)
			topic_free(offsets, topic);
	}
}

bool group_keeps(const struct group *group, struct slice topic)
{
	if (group->state == GROUP_STABLE && group_is_consumer(group))
		return group_reads(group, topic);
	return group->state != GROUP_EMPTY;
}

bool group_offset_is_expired(const struct group *group, const struct committed *committed,
			     int64_t now_ms, int64_t retention_ms)
{
	int64_t since = committed->commit_ms;

	if (committed->expire_ms >= 0)
		return now_ms >= committed->expire_ms;
	if (group->state == GROUP_EMPTY && group->protocol_type.len > 0 &&
	    group->state_since_ms > since)
		since = group->state_since_ms;
	return now_ms - since >= retention_ms;
}

/* One character of UTF-8, taken off the front; what is none counts as U+FFFD, as Java reads it. */
static uint32_t take_character(struct slice *s)
{
	const uint8_t *at = (const uint8_t *)s->ptr;
	unsigned more = at[0] < 0x80 ? 0 : at[0] < 0xe0 ? 1 : at[0] < 0xf0 ? 2 : 3;
	uint32_t character = more ? at[0] & (0x3fu >> more) : at[0];
	bool bad = (at[0] >= 0x80 && at[0] < 0xc2) || at[0] > 0xf4 || s->len <= more;

	for (unsigned i = 1; i <= more && !bad; i++) {
		bad = (at[i] & 0xc0) != 0x80;
		character = character << 6 | (at[i] & 0x3f);
	}
	more = bad ? 0 : more;
	s->ptr += more + 1;
	s->len -= more + 1;
	return bad ? 0xfffd : character;
}

int32_t group_partition(struct slice id, int32_t partitions)
{
	uint32_t hash = 0;

	while (id.len > 0) {
		uint32_t character = take_character(&id);

		if (character >= 0x10000) {
			character -= 0x10000;
			hash = hash * 31 + (0xd800 | character >> 10);
			character = 0xdc00 | (character & 0x3ff);
		}
		hash = hash * 31 + character;
	}
	/* abs(); the one number that has none counts as 0. */
	return (int32_t)((hash & 0x80000000 ? -hash & 0x7fffffff : hash) % (uint32_t)partitions);
}
