#include "kafka/broker/coordinator_staged.h"

#include <errno.h>
#include <stdlib.h>

struct staged_offset {
	struct list node;
	int64_t producer;
	struct slice group, topic;
	struct committed value;
	char bytes[]; /* what they point at */
};

static struct list *bucket_of(struct staged_offsets *staged, int64_t producer)
{
	return &staged->buckets[(uint64_t)producer % STAGED_BUCKETS];
}

void staged_init(struct staged_offsets *staged)
{
	staged->count = 0;
	for (unsigned i = 0; i < STAGED_BUCKETS; i++)
		list_init(&staged->buckets[i]);
}

static void free_staged(struct staged_offsets *staged, struct staged_offset *offset)
{
	list_remove(&offset->node);
	staged->count--;
	free(offset);
}

void staged_fini(struct staged_offsets *staged)
{
	for (unsigned i = 0; i < STAGED_BUCKETS; i++)
		while (!list_empty(&staged->buckets[i]))
			free_staged(staged, container_of(staged->buckets[i].next,
							 struct staged_offset, node));
	CHECK(staged->count == 0);
}

static struct slice copy_into(char **at, struct slice from)
{
	struct slice copy = slice_make(*at, from.len);

	if (from.len > 0)
		memcpy(*at, from.ptr, from.len);
	*at += from.len;
	return copy;
}

int staged_add(struct staged_offsets *staged, int64_t producer, struct slice group,
	       struct slice topic, const struct committed *value)
{
	struct staged_offset *offset =
	    malloc(sizeof(*offset) + group.len + topic.len + value->metadata.len);
	char *at;

	if (!offset)
		return -ENOMEM;
	at = offset->bytes;
	offset->producer = producer;
	offset->group = copy_into(&at, group);
	offset->topic = copy_into(&at, topic);
	offset->value = *value;
	offset->value.metadata = copy_into(&at, value->metadata);
	list_push_back(bucket_of(staged, producer), &offset->node);
	staged->count++;
	return 0;
}

void staged_drop(struct staged_offsets *staged, struct slice group, struct slice topic,
		 int32_t partition)
{
	for (unsigned i = 0; i < STAGED_BUCKETS && staged->count > 0; i++)
		for (struct list *node = staged->buckets[i].next, *next;
		     node != &staged->buckets[i]; node = next) {
			struct staged_offset *offset =
			    container_of(node, struct staged_offset, node);

			next = node->next;
			if (offset->value.partition == partition &&
			    slice_eq(offset->topic, topic) && slice_eq(offset->group, group))
				free_staged(staged, offset);
		}
}

/* As if it had been committed where its record stands. */
static int commit_staged(const struct staged_offset *offset, struct shard *shard,
			 struct group_time time)
{
	struct coordinator_group *cg = shard_group(shard, offset->group, time);
	const struct committed *before;

	if (!cg)
		return -ENOMEM;
	before = group_offsets_find(&cg->offsets, offset->topic, offset->value.partition);
	if (before && before->stored_at > offset->value.stored_at)
		return 0;
	return group_offsets_set(&cg->offsets, offset->topic, &offset->value);
}

int staged_end(struct staged_offsets *staged, int64_t producer, bool commits, struct shard *shard,
	       struct group_time time)
{
	struct list *bucket = bucket_of(staged, producer), *next;
	int r = 0;

	for (struct list *node = bucket->next; node != bucket && r == 0; node = next) {
		struct staged_offset *offset = container_of(node, struct staged_offset, node);

		next = node->next;
		if (offset->producer != producer)
			continue;
		if (commits)
			r = commit_staged(offset, shard, time);
		free_staged(staged, offset);
	}
	return r;
}

int staged_keep(struct staged_offsets *staged, struct shard *shard, struct group_time time)
{
	int r = 0;

	for (unsigned i = 0; i < STAGED_BUCKETS; i++)
		while (r == 0 && !list_empty(&staged->buckets[i])) {
			struct staged_offset *offset =
			    container_of(staged->buckets[i].next, struct staged_offset, node);
			struct coordinator_group *cg = shard_group(shard, offset->group, time);

			r = cg ? group_offsets_set(&cg->staged, offset->topic, &offset->value)
			       : -ENOMEM;
			free_staged(staged, offset);
		}
	return r;
}
