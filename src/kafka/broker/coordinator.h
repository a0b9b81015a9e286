/*
 * The coordinator of consumer groups: which groups there are, where their state is kept.
 *
 * Groups are spread over as many shards as __consumer_offsets has partitions, by the hash that Kafka
 * uses. A shard has its groups, one lock that guards them, its partition of the topic, and a timer
 * that runs on one loop. Requests come from any loop: they take the shard's lock, for as long as the
 * group machine thinks and for an append to the page cache, never across a wait.
 *
 * What a group is and what it has committed is stored as Kafka stores it, and loaded at start. The
 * topic is made when the first client looks for its coordinator.
 *
 * A shard's log is kept small by writing it anew: when most of it is out of date, all that the shard
 * knows is appended once more, and, once that is on disk, what lies before is deleted.
 */
#ifndef KAFKA_BROKER_COORDINATOR_H
#define KAFKA_BROKER_COORDINATOR_H

#include "kafka/broker/core/batch_writer.h"
#include "kafka/broker/core/group.h"
#include "kafka/broker/core/group_offsets.h"
#include "kafka/broker/kafka_call.h"

#define OFFSETS_TOPIC   "__consumer_offsets"
#define SHARD_BUCKETS   64u
#define SECRET_ID_BYTES 16

struct shard;

struct coordinator {
	struct kafka_server *server;
	struct group_limits limits;
	struct topic *topic;
	struct shard *shards;
	int32_t shards_count;
	_Atomic bool ready;
	uint64_t secret;       /* of the hash: strangers choose the names */
	int64_t next_check_ms; /* of offsets that may have expired; coordinator_maintain()'s */
};

struct shard {
	struct coordinator *coordinator;
	struct partition *partition;
	pthread_mutex_t lock;
	struct list groups[SHARD_BUCKETS];
	uint32_t groups_count;
	uint64_t generations[GROUP_CAUSE_COUNT]; /* that its groups have begun */
	struct batch_writer writer;
	uint64_t live_bytes, log_bytes; /* of the last rewriting; since then */
	bool flush_due;                 /* see shard_unlock_and_flush() */
	/* What lies before the one can go once what lies before the other is on disk; 0: nothing is to go.
	 * coordinator_maintain()'s. */
	int64_t old_end, new_end;

	/* The groups' deadlines, and the loop's timer for the earliest. */
	struct wheel wheel;
	uint64_t armed_ms;
	struct kafka_loop *home;
	struct timer timer;
	struct message rearm;
	bool rearming; /* the message is under way */
	bool timed;    /* the timer is set; the home loop's alone */
};

struct coordinator_group {
	struct list node; /* in its bucket */
	struct shard *shard;
	uint64_t hash;
	struct group *group;
	struct group_offsets offsets;
	/* Of transactions that are open in a log of Kafka's, and stay so: see coordinator_staged.h. They
	 * go with a tombstone. */
	struct group_offsets staged;
	struct wheel_timer timer;
	int32_t generation;  /* as it was looked at last */
	struct slice stored; /* while loading: the group's last value; ptr NULL: none */
};

/* Loads what is there. Blocks; before the loops run. */
int coordinator_new(struct kafka_server *server, struct coordinator **ret, struct err *err);
/* After the loops have ended: whoever waits is answered. */
void coordinator_end(struct coordinator *coordinator);
void coordinator_free(struct coordinator *coordinator);
/* A loop ends: its timers. On its thread. */
void coordinator_loop_closes(struct coordinator *coordinator, struct kafka_loop *loop);
/* Blocks: makes the topic. */
enum kafka_error coordinator_make(struct coordinator *coordinator);
bool coordinator_is_ready(const struct coordinator *coordinator);
/* Any thread. Takes the shards' locks, one after the other. */
struct coordinator_stats {
	uint64_t all, groups[GROUP_DEAD]; /* by state */
	uint64_t members, offsets;
	uint64_t generations[GROUP_CAUSE_COUNT]; /* that groups have begun since the start */
};
void coordinator_stats(struct coordinator *coordinator, struct coordinator_stats *ret);

/* ---- coordinator_maintain.c ---- */

/* Blocks. Offsets that have expired, logs that have grown. */
void coordinator_maintain(struct coordinator *coordinator, int64_t wall_ms);
/* Blocks. What groups have committed of the topic goes with it: a new one of that name begins anew. */
void coordinator_topic_deleted(struct coordinator *coordinator, struct slice topic);

/* ---- inside of a shard ---- */

struct visit {
	struct shard *shard;
	struct coordinator_group *found; /* NULL: there is no such group */
	struct group_time time;
};

/* Takes the lock of the group's shard. Not NONE: nothing was taken. */
enum kafka_error visit_begin(struct coordinator *coordinator, struct slice group_id,
			     struct visit *ret);
/* The group, made if it isn't there; false: no memory. */
bool visit_make(struct visit *visit, struct slice group_id);
/* Its deadlines are looked at, it goes if nothing is left of it, and the lock is given back. On a
 * helper: blocks, where a sync is due for what was appended. */
void visit_end(struct visit *visit);
/* The call of a join or a sync that waits: its connection has ended. On its loop. */
void coordinator_abandoned(struct kafka_call *call);
/* With the shard's lock: each of its groups, which may be dropped. */
typedef void (*shard_visitor)(struct shard *shard, struct coordinator_group *cg, void *arg);
void shard_each_group(struct shard *shard, shard_visitor visit, void *arg);
/* All shards one after the other, NULL behind the last: for those who list. */
struct shard *coordinator_shard(struct coordinator *coordinator, int32_t number);

/* With the shard's lock: what was written there by batch_...() on shard->writer is appended. */
enum kafka_error shard_append(struct shard *shard, int64_t wall_ms, struct partition_appended *ret);
/* So much more is to be written there: if it does not fit into the batch, what is there is appended
 * first. Where that fails, so will shard_append(). */
void shard_make_room(struct shard *shard, size_t bytes, int64_t wall_ms);
/* Blocks: for helpers, who have appended. */
void shard_unlock_and_flush(struct shard *shard);
/* Removes the group, with tombstones for all that is stored of it. */
enum kafka_error shard_delete_group(struct shard *shard, struct coordinator_group *cg,
				    int64_t wall_ms);

/* ---- coordinator_records.c: Kafka's format ---- */

/* Without its members: as an empty one, of its generation. */
void record_group(struct batch_writer *writer, const struct group *group, bool with_members);
void record_group_gone(struct batch_writer *writer, struct slice group_id);
void record_offset(struct batch_writer *writer, struct slice group_id, struct slice topic,
		   const struct committed *committed);
void record_offset_gone(struct batch_writer *writer, struct slice group_id, struct slice topic,
			int32_t partition);
/* What either of the two takes at most. */
size_t record_offset_max(struct slice group_id, struct slice topic,
			 const struct committed *committed);

/* ---- coordinator_load.c ---- */

/* Blocks. Before anybody else sees the shard. */
int shard_load(struct shard *shard, struct group_time time);
/* For the loader: the group of that name. NULL: no memory. */
struct coordinator_group *shard_group(struct shard *shard, struct slice group_id,
				      struct group_time time);
struct coordinator_group *shard_find(struct shard *shard, struct slice group_id);
void shard_drop(struct shard *shard, struct coordinator_group *cg);

/* ---- group_api.c: the machine's answers ---- */

void group_api_joined(struct group *group, void *waiter, const struct group_joined *answer);
void group_api_synced(struct group *group, void *waiter, enum kafka_error error,
		      struct slice assignment);

#endif
