/*
 * The store: a directory of topics in Kafka's own format, opened by one process at a time.
 *
 *     DIR/meta.properties                        whose directory it is
 *     DIR/.lock                                  locked while the store is open, as Kafka does it
 *     DIR/.kafka_cleanshutdown                   there: everything below is as it was closed
 *     DIR/leat-clean-stop                        ours: by which a copy of that is told from it
 *     DIR/recovery-point-offset-checkpoint       what lies below is on disk: recovery begins here
 *     DIR/replication-offset-checkpoint          high watermarks
 *     DIR/log-start-offset-checkpoint            where DeleteRecords moved a log's start to
 *     DIR/leat-topics                            ours: each topic's id, partitions and settings
 *     DIR/leat-producer-ids                      ours: the next producer id to give away
 *     DIR/leat-reserve.N                         ours: room for the way out of a full disk
 *     DIR/TOPIC-N/                               a partition: see partition.h
 *     DIR/TOPIC-N.UUID-delete/                   a deleted one: goes after file.delete.delay.ms
 *
 * A store is made of topics, a topic of partitions. store_topic() and its like hand out a reference
 * to a topic; its partitions live as long as it does, so whoever holds a partition holds its topic.
 * A deleted topic is no longer found, its partitions answer UNKNOWN_TOPIC_OR_PARTITION, and its
 * memory and files go with the last reference.
 *
 * Threads: any function from any thread, unless it says something else. Those marked "blocks" wait
 * for the disk: not for a loop's thread. The others take a lock that is never held across a disk
 * sync. Times are milliseconds since 1970, given by the caller.
 */
#ifndef KAFKA_STORE_STORE_H
#define KAFKA_STORE_STORE_H

#include "base/err.h"
#include "base/histogram.h"
#include "base/slice.h"
#include "kafka/store/partition.h"
#include "kafka/store/topic_config.h"
#include "kafka/wire/error.h"
#include "kafka/wire/message.h"

#define STORE_TOPIC_NAME_MAX 249
#define STORE_CLUSTER_ID_MAX 64

struct store;
struct topic;
struct partition_table;

/* What a start after a crash does where a log is damaged with whole batches behind it, or in what had
 * been on disk. */
enum store_damage {
	STORE_DAMAGE_OFFLINE, /* the partition is offline, its files as they were */
	STORE_DAMAGE_SKIP,    /* it is without what is damaged */
	STORE_DAMAGE_CUT,     /* it ends in front of that */
};

struct store_options {
	/* What the directory must be of; NULL, -1: of any. A new one gets a random cluster id and
	 * node 1 where nothing is said. */
	const char *cluster_id;
	int32_t node_id;
	int64_t now_ms;
	unsigned threads; /* that load partitions while opening; 0: one a CPU. 1: none
				  * are ever started, also not for closing. */
	/* Segments that may have descriptors open at once, two each; 0: as many as the process' limit
	 * allows, up to 8192. */
	unsigned segments_open;
	int64_t producer_expiry_ms; /* of idempotent producers that went silent; 0: a day */
	/* What may go by topics' settings is looked for so long after the start, and so often; 0: by each
	 * store_maintain(). */
	int64_t retention_delay_ms, retention_interval_ms;
	enum store_damage damage;
	/* The server's values (from topic_config_init() on); NULL: Kafka's. */
	const struct topic_config *defaults;
	/* So many bytes, cleared, go with each partition for the caller's own use
	 * (partition_user()); `user_init` is called on them before anybody else sees the partition
	 * (from several threads while opening), `user_fini` before the memory goes. */
	size_t user_bytes;
	void (*user_init)(void *user, struct partition *partition);
	void (*user_fini)(void *user);
	/* Maintenance has moved the partition's ends, or taken it offline: whoever waits for it
	 * should look again. Called by store_maintain(); no lock is held. NULL: nobody waits. */
	void (*moved)(struct partition *partition);
};

struct store_stats {
	unsigned topics, partitions, segments, segments_open;
	unsigned partitions_offline;
	bool no_room;             /* the last write of something new found the disk full */
	bool unsettled;           /* a change of topics that failed could not be taken back yet */
	uint64_t bytes;           /* of all logs */
	bool was_clean;           /* it had been closed properly */
	bool was_moved;           /* it had, but may be a copy of what it was then */
	uint64_t recovered_bytes; /* scanned while opening */
	unsigned cuts;            /* torn tails cut while opening */
};

/* Blocks. The directory is made if it is not there. Of another cluster or node, of a newer format,
 * locked or not writable: `err` says so in a line, and nothing has been changed on disk. A
 * partition that can't be read does not keep the store from opening: it is offline, and logged. */
MUST_CHECK int store_open(const char *dir, const struct store_options *options, struct store **ret,
			  struct err *err);
/* Blocks. All references have been given back, no other call is running. Makes everything durable
 * and leaves the mark of a clean stop, unless a partition is offline. Frees the store whatever it
 * returns: < 0 when the next start will have to recover. */
int store_close(struct store *store);

const char *store_cluster_id(const struct store *store);
int32_t store_node_id(const struct store *store);
/* As it was given: for people. And as clients are told of it: absolute, links as they are. */
const char *store_dir(const struct store *store);
const char *store_path(const struct store *store);
/* The directory's descriptor, borrowed. */
int store_dir_fd(const struct store *store);
const struct topic_config *store_defaults(const struct store *store);
/* How many slices of different segments one reader may keep at once, so that some are left for others. */
unsigned store_slices_max(const struct store *store);
void store_stats(struct store *store, struct store_stats *ret);
/* Adds how long the syncs of partitions took, nanoseconds, to a histogram of the caller's. */
void store_flush_times(struct store *store, struct histogram *sum);

/* Blocks. Everything that has its time: retention, rolling by age, flush.ms, deleting what was
 * renamed, forgetting producers, writing checkpoints. Call it about once a second, from one thread
 * at a time (a helper, not a loop). */
void store_maintain(struct store *store, int64_t now_ms);

/* Blocks. `count` producer ids that nobody was given before, also not before a crash. */
MUST_CHECK int store_take_producer_ids(struct store *store, int64_t count, int64_t *ret_first);

/* ---- topics ---- */

/* A name that Kafka allows: 1 to 249 of letters, digits, '.', '_', '-'; not "." nor "..". */
bool store_topic_name_valid(struct slice name);

/* By name, by id, and the next one by name ({NULL, 0}: the first): a reference to give back, or
 * NULL. */
struct topic *store_topic(struct store *store, struct slice name);
struct topic *store_topic_by_id(struct store *store, const struct kafka_uuid *id);
struct topic *store_topic_next(struct store *store, struct slice after);
void topic_ref(struct topic *topic);
void topic_unref(struct topic *topic);

const char *topic_name(const struct topic *topic);
const struct kafka_uuid *topic_id(const struct topic *topic);
int32_t topic_partition_count(const struct topic *topic);
/* Borrowed from the topic. NULL: there is none of this number. */
struct partition *topic_partition(const struct topic *topic, int32_t number);
bool topic_is_deleted(const struct topic *topic);

/* What holds for the topic: its own value, else the server's. */
int64_t topic_config_value(const struct topic *topic, enum topic_config_id id);
/* Its own ones alone. */
void topic_config_own(struct topic *topic, struct topic_config *ret);

/* Changes of topics. All of these block; on disk each happens as a whole or not at all, and what has
 * failed has not happened, also for a start after a crash. `config`: what is set in it
 * becomes the topic's own; NULL: nothing. Not KAFKA_NONE: TOPIC_ALREADY_EXISTS, INVALID_TOPIC_EXCEPTION
 * (also where '.' and '_' alone make the difference to another name), INVALID_PARTITIONS,
 * UNKNOWN_TOPIC_OR_PARTITION, KAFKA_STORAGE_ERROR (logged). `ret` may be NULL, else gets a
 * reference. */

/* One of several: they share the disk's work, so that many take little more than one. */
struct store_change {
	struct topic *
	    topic; /* held by the caller. Making: a reference to the new one, NULL where it failed */
	struct slice name;                 /* making */
	int32_t partitions;                /* making, growing */
	const struct topic_config *config; /* making (NULL: none), configuring */
	enum kafka_error error;            /* what became of it */
	struct partition_table *table;     /* the store's */
};
/* `cancelled` (may be NULL): what is not done when another thread sets it is taken back, with
 * REQUEST_TIMED_OUT. A topic that comes twice: INVALID_REQUEST. */
void store_topics_create(struct store *store, struct store_change *changes, unsigned count,
			 const _Atomic bool *cancelled);
void store_topics_grow(struct store *store, struct store_change *changes, unsigned count,
		       const _Atomic bool *cancelled);
void store_topics_delete(struct store *store, struct store_change *changes, unsigned count,
			 int64_t now_ms);
void store_topics_configure(struct store *store, struct store_change *changes, unsigned count);

/* Does not block: could there be a topic of that name? What making it would say. */
enum kafka_error store_topic_check(struct store *store, struct slice name);
/* The same, each alone. */
enum kafka_error store_topic_create(struct store *store, struct slice name, int32_t partitions,
				    const struct topic_config *config, struct topic **ret);
enum kafka_error store_topic_delete(struct store *store, struct topic *topic, int64_t now_ms);
/* `partitions`: how many there are to be afterwards. */
enum kafka_error store_topic_grow(struct store *store, struct topic *topic, int32_t partitions);
/* In place of its own settings so far. */
enum kafka_error store_topic_configure(struct store *store, struct topic *topic,
				       const struct topic_config *config);

/* Blocks. Where a log begins, moved up, for several at once: as partition_delete_records() does it. */
struct store_deletion {
	struct partition *partition;
	int64_t offset;    /* -1: the high watermark */
	int64_t log_start; /* as it is afterwards */
	enum kafka_error error;
};
void store_delete_records(struct store *store, struct store_deletion *deletions, unsigned count);

/* ---- ids as Kafka writes them: 22 characters of base64url ---- */

#define STORE_UUID_TEXT 22

void store_uuid_format(const struct kafka_uuid *uuid, char ret[STORE_UUID_TEXT + 1]);
/* -EINVAL. */
int store_uuid_parse(struct slice text, struct kafka_uuid *ret);

#endif
