/*
 * The offsets that a group has committed: by topic and partition.
 *
 * Pure; one thread at a time.
 */
#ifndef KAFKA_BROKER_CORE_GROUP_OFFSETS_H
#define KAFKA_BROKER_CORE_GROUP_OFFSETS_H

#include "base/table.h"
#include "kafka/broker/core/group.h"
#include "kafka/broker/core/held.h"

struct committed {
	int32_t partition;
	int32_t leader_epoch; /* -1: not said */
	int64_t offset;
	int64_t commit_ms;
	int64_t expire_ms; /* -1: by the group's rules */
	int64_t stored_at; /* while loading: the offset of its record */
	struct slice metadata;
	bool goes; /* its end is being stored; see group_offsets_sweep() */
};

struct committed_topic {
	struct list node;
	struct table_node by_name;
	struct slice name;
	struct committed *entries; /* by partition */
	int32_t count, size;
};

struct group_offsets {
	struct held *held; /* NULL: nobody counts; the caller's, as the secret is */
	uint64_t secret;   /* of the hash */
	struct list topics;
	struct table by_name;
	int32_t topics_count, count;
};

void group_offsets_init(struct group_offsets *offsets);
void group_offsets_fini(struct group_offsets *offsets);

struct committed_topic *group_offsets_topic(const struct group_offsets *offsets,
					    struct slice topic);
/* NULL: nothing was committed. */
const struct committed *group_offsets_find(const struct group_offsets *offsets, struct slice topic,
					   int32_t partition);
/* Before it is made to last: is there room for it, by the account? */
bool group_offsets_reserve(const struct group_offsets *offsets, struct slice topic,
			   const struct committed *value);
/* In place of what was there; what it points at is copied. -ENOMEM: nothing has changed. */
int group_offsets_set(struct group_offsets *offsets, struct slice topic,
		      const struct committed *value);
bool group_offsets_remove(struct group_offsets *offsets, struct slice topic, int32_t partition);

/* Those that are marked go, or stay after all. */
void group_offsets_sweep(struct group_offsets *offsets, bool go);

/* Members need what was committed of the topic: nothing of it expires. In a consumer group that is
 * stable only what they subscribe to, in any other that has members everything. */
bool group_keeps(const struct group *group, struct slice topic);
/* Of a topic that it does not keep: what an empty group has committed holds `retention_ms` after its
 * last member or the commit; everything else, after the commit. */
bool group_offset_is_expired(const struct group *group, const struct committed *committed,
			     int64_t now_ms, int64_t retention_ms);

/* Which of the partitions of __consumer_offsets a group belongs to: Java's String.hashCode(). */
int32_t group_partition(struct slice id, int32_t partitions);

#endif
