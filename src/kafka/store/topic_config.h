/*
 * What can be set for a topic: one table, for the store, for DescribeConfigs and AlterConfigs, for
 * server.properties and for documentation.
 *
 * A topic has the server's value of each unless it was set for the topic itself. Every value is a
 * number; where Kafka writes words, the number counts them from 0 (CHOICE), or has four bits for each
 * that is in the list, the first one lowest (LIST): the word's number, from 1. So lists keep their
 * order, which tools compare. Lists without words of ours have the number of a text (setting_texts.h).
 *
 * Pure; any thread.
 */
#ifndef KAFKA_STORE_TOPIC_CONFIG_H
#define KAFKA_STORE_TOPIC_CONFIG_H

#include "base/buf.h"
#include "base/slice.h"
#include "kafka/store/setting_texts.h"

/* X(ID, the topic's name for it, the server's name for the default (NULL: it has none), kind, words,
 * default, min, max, what it does), by name. The numbers are Kafka's. */
/* clang-format off */
#define TOPIC_CONFIGS(X) \
	X(CLEANUP_POLICY, "cleanup.policy", "log.cleanup.policy", \
	  LIST, "delete,compact", 1, 0, INT64_MAX, \
	  "What becomes of old records: delete, compact, both, or nothing: all is kept. Nothing is compacted so far.") \
	X(GZIP_LEVEL, "compression.gzip.level", "compression.gzip.level", \
	  INT, NULL, -1, -1, 9, \
	  "Kept, without effect: nothing is compressed anew.") \
	X(LZ4_LEVEL, "compression.lz4.level", "compression.lz4.level", \
	  INT, NULL, 9, 1, 17, \
	  "Kept, without effect: nothing is compressed anew.") \
	X(COMPRESSION_TYPE, "compression.type", "compression.type", \
	  CHOICE, "producer,uncompressed,gzip,snappy,lz4,zstd", 0, 0, 5, \
	  "Kept, without effect: batches are stored as they came.") \
	X(ZSTD_LEVEL, "compression.zstd.level", "compression.zstd.level", \
	  INT, NULL, 3, -131072, 22, \
	  "Kept, without effect: nothing is compressed anew.") \
	X(DELETE_RETENTION_MS, "delete.retention.ms", "log.cleaner.delete.retention.ms", \
	  LONG, NULL, 86400000, 0, INT64_MAX, \
	  "Kept, for compaction: how long tombstones stay.") \
	X(ERRORS_DEADLETTERQUEUE, "errors.deadletterqueue.group.enable", NULL, \
	  BOOLEAN, "false,true", 0, 0, 1, \
	  "Kept, without effect: there are no share groups.") \
	X(FILE_DELETE_DELAY_MS, "file.delete.delay.ms", "log.segment.delete.delay.ms", \
	  LONG, NULL, 60000, 0, INT64_MAX, \
	  "How long files stay after what they hold was deleted.") \
	X(FLUSH_MESSAGES, "flush.messages", "log.flush.interval.messages", \
	  LONG, NULL, INT64_MAX, 1, INT64_MAX, \
	  "After so many records the disk is synced. 1: nothing is acknowledged before it is on disk.") \
	X(FLUSH_MS, "flush.ms", "log.flush.interval.ms", \
	  LONG, NULL, INT64_MAX, 0, INT64_MAX, \
	  "A record is synced to disk after at most this long.") \
	X(FOLLOWER_THROTTLED, "follower.replication.throttled.replicas", NULL, \
	  LIST, NULL, 0, 0, INT64_MAX, \
	  "Kept, without effect: there is one replica. A list of PARTITION:BROKER, or *.") \
	X(INDEX_INTERVAL_BYTES, "index.interval.bytes", "log.index.interval.bytes", \
	  INT, NULL, 4096, 0, INT32_MAX, \
	  "After so many bytes an entry goes into the index.") \
	X(LEADER_THROTTLED, "leader.replication.throttled.replicas", NULL, \
	  LIST, NULL, 0, 0, INT64_MAX, \
	  "Kept, without effect: there is one replica. A list of PARTITION:BROKER, or *.") \
	X(LOCAL_RETENTION_BYTES, "local.retention.bytes", "log.local.retention.bytes", \
	  LONG, NULL, -2, -2, INT64_MAX, \
	  "Kept, for tiered storage: how much stays here. -2: as retention.bytes.") \
	X(LOCAL_RETENTION_MS, "local.retention.ms", "log.local.retention.ms", \
	  LONG, NULL, -2, -2, INT64_MAX, \
	  "Kept, for tiered storage: how long records stay here. -2: as retention.ms.") \
	X(MAX_COMPACTION_LAG_MS, "max.compaction.lag.ms", "log.cleaner.max.compaction.lag.ms", \
	  LONG, NULL, INT64_MAX, 1, INT64_MAX, \
	  "Kept, for compaction: a record is compacted after at most this long.") \
	X(MAX_DECOMPRESSED, "max.decompressed.message.bytes", "max.decompressed.message.bytes", \
	  INT, NULL, 2147483639, 1, INT32_MAX, \
	  "Kept, without effect: a batch may expand to 128 MiB.") \
	X(MAX_MESSAGE_BYTES, "max.message.bytes", "message.max.bytes", \
	  INT, NULL, 1048588, 0, INT32_MAX, \
	  "The largest batch that is taken.") \
	X(TIMESTAMP_AFTER_MAX_MS, "message.timestamp.after.max.ms", "log.message.timestamp.after.max.ms", \
	  LONG, NULL, 3600000, 0, INT64_MAX, \
	  "How far in the future a timestamp may lie.") \
	X(TIMESTAMP_BEFORE_MAX_MS, "message.timestamp.before.max.ms", "log.message.timestamp.before.max.ms", \
	  LONG, NULL, INT64_MAX, 0, INT64_MAX, \
	  "How far in the past a timestamp may lie.") \
	X(TIMESTAMP_TYPE, "message.timestamp.type", "log.message.timestamp.type", \
	  CHOICE, "CreateTime,LogAppendTime", 0, 0, 1, \
	  "Whose time a record has: the producer's, or that of its arrival.") \
	X(DIRTY_RATIO, "min.cleanable.dirty.ratio", "log.cleaner.min.cleanable.ratio", \
	  RATIO, NULL, 500000000, 0, 1000000000, \
	  "Kept, for compaction: it begins when so much of a log is not compacted.") \
	X(MIN_COMPACTION_LAG_MS, "min.compaction.lag.ms", "log.cleaner.min.compaction.lag.ms", \
	  LONG, NULL, 0, 0, INT64_MAX, \
	  "Kept, for compaction: a record is not compacted before this long.") \
	X(MIN_INSYNC_REPLICAS, "min.insync.replicas", "min.insync.replicas", \
	  INT, NULL, 1, 1, INT32_MAX, \
	  "How many replicas have to be in sync for acks=all; at most as many as there are: one.") \
	X(PREALLOCATE, "preallocate", "log.preallocate", \
	  BOOLEAN, "false,true", 0, 0, 1, \
	  "A segment's space is taken when it is made.") \
	X(REMOTE_COPY_LAG_BYTES, "remote.copy.lag.bytes", "log.remote.copy.lag.bytes", \
	  LONG, NULL, -1, -1, INT64_MAX, \
	  "Kept, for tiered storage: so much is not copied there yet.") \
	X(REMOTE_COPY_LAG_MS, "remote.copy.lag.ms", "log.remote.copy.lag.ms", \
	  LONG, NULL, 0, -1, INT64_MAX, \
	  "Kept, for tiered storage: for so long a segment is not copied there.") \
	X(REMOTE_COPY_DISABLE, "remote.log.copy.disable", NULL, \
	  BOOLEAN, "false,true", 0, 0, 1, \
	  "Kept, for tiered storage: nothing more is copied there.") \
	X(REMOTE_DELETE_ON_DISABLE, "remote.log.delete.on.disable", NULL, \
	  BOOLEAN, "false,true", 0, 0, 1, \
	  "Kept, for tiered storage: what is there goes when it is switched off.") \
	X(REMOTE_STORAGE_ENABLE, "remote.storage.enable", NULL, \
	  BOOLEAN, "false,true", 0, 0, 0, \
	  "Always false: there is no tiered storage.") \
	X(RETENTION_BYTES, "retention.bytes", "log.retention.bytes", \
	  LONG, NULL, -1, INT64_MIN, INT64_MAX, \
	  "How large a partition may become before its oldest segments go. -1: without limit.") \
	X(RETENTION_MS, "retention.ms", "log.retention.ms", \
	  LONG, NULL, 604800000, -1, INT64_MAX, \
	  "How long records are kept. -1: for ever.") \
	X(SEGMENT_BYTES, "segment.bytes", "log.segment.bytes", \
	  INT, NULL, 1073741824, 1024, INT32_MAX, \
	  "A new segment begins when one would become larger.") \
	X(SEGMENT_INDEX_BYTES, "segment.index.bytes", "log.index.size.max.bytes", \
	  INT, NULL, 10485760, 4, INT32_MAX, \
	  "A new segment begins when the index of one would become larger.") \
	X(SEGMENT_JITTER_MS, "segment.jitter.ms", "log.roll.jitter.ms", \
	  LONG, NULL, 0, 0, INT64_MAX, \
	  "Segments begin earlier by a random part of this, so that not all do at once.") \
	X(SEGMENT_MS, "segment.ms", "log.roll.ms", \
	  LONG, NULL, 604800000, 1, INT64_MAX, \
	  "A new segment begins when one is this old.") \
	X(UNCLEAN_LEADER_ELECTION_ENABLE, "unclean.leader.election.enable", "unclean.leader.election.enable", \
	  BOOLEAN, "false,true", 0, 0, 1, \
	  "Kept, without effect: there is one replica.")
/* clang-format on */

#define TOPIC_CONFIG_ENUM(id, ...) TOPIC_CONFIG_##id,
enum topic_config_id { TOPIC_CONFIGS(TOPIC_CONFIG_ENUM) TOPIC_CONFIG_COUNT };
#undef TOPIC_CONFIG_ENUM

/* How DescribeConfigs calls the types. */
enum topic_config_kind {
	TOPIC_CONFIG_BOOLEAN = 1,
	TOPIC_CONFIG_CHOICE = 2, /* a string */
	TOPIC_CONFIG_INT = 3,
	TOPIC_CONFIG_SHORT = 4,
	TOPIC_CONFIG_LONG = 5,
	TOPIC_CONFIG_RATIO = 6, /* a double, counted in units of 10^-9 */
	TOPIC_CONFIG_LIST = 7,
	TOPIC_CONFIG_CLASS = 8,
	TOPIC_CONFIG_PASSWORD = 9,
};

/* Words of cleanup.policy, as its lists have them. */
#define TOPIC_CLEANUP_DELETE  1
#define TOPIC_CLEANUP_COMPACT 2

/* Is the word in a LIST? */
static inline bool topic_config_lists(int64_t list, int64_t word)
{
	for (; list > 0; list >>= 4)
		if ((list & 15) == word)
			return true;
	return false;
}

struct topic_config_info {
	const char *name, *server_name; /* the second may be NULL */
	enum topic_config_kind kind;
	const char *words; /* separated by commas; NULL for numbers */
	int64_t preset, min, max;
	const char *text;
};

extern const struct topic_config_info topic_configs[TOPIC_CONFIG_COUNT];

/* The number of one of the words (-EINVAL), and the word of a number (ptr NULL: it has none). */
int config_word_parse(const char *words, struct slice text, int64_t *ret);
struct slice config_word(const char *words, int64_t number);

/* By the topic's name for it, or the server's; -ENOENT. */
int topic_config_find(struct slice name);
int topic_config_find_server(struct slice name);

/* -EINVAL: no such value; -ERANGE: out of bounds, too long; of texts also -ENOSPC, -ENOMEM. */
int topic_config_parse(enum topic_config_id id, struct slice text, int64_t *ret);
/* Of two LISTs: the first with what is in the second behind it, or without that. Errors as of
 * topic_config_parse(). */
int topic_config_join(enum topic_config_id id, int64_t list, int64_t more, bool append,
		      int64_t *ret);
/* The longest value as a text. */
#define TOPIC_CONFIG_TEXT_MAX (SETTING_TEXT_MAX + 96)
/* Why the value is none, behind the setting's name: "is from 1 to 9, not '0'". `unit`: of which there
 * are so many in the value's place (1000: seconds of a setting in milliseconds); 0 or 1: itself. */
void topic_config_explain(enum topic_config_id id, int64_t unit, struct slice text, int error,
			  struct buf *buf);
/* Of a value that is none, so much is shown. */
#define TOPIC_CONFIG_SHOWN 200
void topic_config_format(enum topic_config_id id, int64_t value, struct buf *buf);

/* Values, and which of them were set: a topic's own, or the server's defaults. */
struct topic_config {
	int64_t values[TOPIC_CONFIG_COUNT];
	uint64_t set; /* a bit for each */
};

static inline bool topic_config_is_set(const struct topic_config *config, enum topic_config_id id)
{
	return config->set >> id & 1;
}

static inline void topic_config_set(struct topic_config *config, enum topic_config_id id,
				    int64_t value)
{
	config->values[id] = value;
	config->set |= UINT64_C(1) << id;
}

static inline void topic_config_unset(struct topic_config *config, enum topic_config_id id)
{
	config->set &= ~(UINT64_C(1) << id);
}

/* Kafka's defaults, none of them set. */
void topic_config_init(struct topic_config *ret);

#endif
