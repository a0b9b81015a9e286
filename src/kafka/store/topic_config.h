/*
 * What can be set for a topic: one table, for the store, for DescribeConfigs and AlterConfigs, for
 * server.properties and for documentation.
 *
 * A topic has the server's value of each unless it was set for the topic itself. Every value is a
 * number; where Kafka writes words, the number counts them from 0 (CHOICE) or has a bit for each
 * (LIST).
 *
 * Pure; any thread.
 */
#ifndef KAFKA_STORE_TOPIC_CONFIG_H
#define KAFKA_STORE_TOPIC_CONFIG_H

#include "base/buf.h"
#include "base/slice.h"

/* X(ID, the topic's name for it, the server's name for the default, kind, words, default, min,
 * max), by name. The numbers are Kafka's. */
#define TOPIC_CONFIGS(X)                                                                           \
	X(CLEANUP_POLICY, "cleanup.policy", "log.cleanup.policy", LIST, "delete,compact", 1, 0, 3) \
	X(COMPRESSION_TYPE, "compression.type", "compression.type", CHOICE,                        \
	  "producer,uncompressed,gzip,snappy,lz4,zstd", 0, 0, 5)                                   \
	X(DELETE_RETENTION_MS, "delete.retention.ms", "log.cleaner.delete.retention.ms", LONG,     \
	  NULL, 86400000, 0, INT64_MAX)                                                            \
	X(FILE_DELETE_DELAY_MS, "file.delete.delay.ms", "log.segment.delete.delay.ms", LONG, NULL, \
	  60000, 0, INT64_MAX)                                                                     \
	X(FLUSH_MESSAGES, "flush.messages", "log.flush.interval.messages", LONG, NULL, INT64_MAX,  \
	  1, INT64_MAX)                                                                            \
	X(FLUSH_MS, "flush.ms", "log.flush.interval.ms", LONG, NULL, INT64_MAX, 0, INT64_MAX)      \
	X(INDEX_INTERVAL_BYTES, "index.interval.bytes", "log.index.interval.bytes", INT, NULL,     \
	  4096, 0, INT32_MAX)                                                                      \
	X(MAX_COMPACTION_LAG_MS, "max.compaction.lag.ms", "log.cleaner.max.compaction.lag.ms",     \
	  LONG, NULL, INT64_MAX, 1, INT64_MAX)                                                     \
	X(MAX_MESSAGE_BYTES, "max.message.bytes", "message.max.bytes", INT, NULL, 1048588, 0,      \
	  INT32_MAX)                                                                               \
	X(TIMESTAMP_AFTER_MAX_MS, "message.timestamp.after.max.ms",                                \
	  "log.message.timestamp.after.max.ms", LONG, NULL, 3600000, 0, INT64_MAX)                 \
	X(TIMESTAMP_BEFORE_MAX_MS, "message.timestamp.before.max.ms",                              \
	  "log.message.timestamp.before.max.ms", LONG, NULL, INT64_MAX, 0, INT64_MAX)              \
	X(TIMESTAMP_TYPE, "message.timestamp.type", "log.message.timestamp.type", CHOICE,          \
	  "CreateTime,LogAppendTime", 0, 0, 1)                                                     \
	X(MIN_COMPACTION_LAG_MS, "min.compaction.lag.ms", "log.cleaner.min.compaction.lag.ms",     \
	  LONG, NULL, 0, 0, INT64_MAX)                                                             \
	X(MIN_INSYNC_REPLICAS, "min.insync.replicas", "min.insync.replicas", INT, NULL, 1, 1,      \
	  INT32_MAX)                                                                               \
	X(PREALLOCATE, "preallocate", "log.preallocate", BOOLEAN, "false,true", 0, 0, 1)           \
	X(RETENTION_BYTES, "retention.bytes", "log.retention.bytes", LONG, NULL, -1, INT64_MIN,    \
	  INT64_MAX)                                                                               \
	X(RETENTION_MS, "retention.ms", "log.retention.ms", LONG, NULL, 604800000, -1, INT64_MAX)  \
	X(SEGMENT_BYTES, "segment.bytes", "log.segment.bytes", INT, NULL, 1073741824, 1024,        \
	  INT32_MAX)                                                                               \
	X(SEGMENT_INDEX_BYTES, "segment.index.bytes", "log.index.size.max.bytes", INT, NULL,       \
	  10485760, 4, INT32_MAX)                                                                  \
	X(SEGMENT_JITTER_MS, "segment.jitter.ms", "log.roll.jitter.ms", LONG, NULL, 0, 0,          \
	  INT64_MAX)                                                                               \
	X(SEGMENT_MS, "segment.ms", "log.roll.ms", LONG, NULL, 604800000, 1, INT64_MAX)            \
	X(UNCLEAN_LEADER_ELECTION_ENABLE, "unclean.leader.election.enable",                        \
	  "unclean.leader.election.enable", BOOLEAN, "false,true", 0, 0, 1)

#define TOPIC_CONFIG_ENUM(id, ...) TOPIC_CONFIG_##id,
enum topic_config_id { TOPIC_CONFIGS(TOPIC_CONFIG_ENUM) TOPIC_CONFIG_COUNT };
#undef TOPIC_CONFIG_ENUM

/* How DescribeConfigs calls the types. */
enum topic_config_kind {
	TOPIC_CONFIG_BOOLEAN = 1,
	TOPIC_CONFIG_CHOICE = 2, /* a string */
	TOPIC_CONFIG_INT = 3,
	TOPIC_CONFIG_LONG = 5,
	TOPIC_CONFIG_LIST = 7,
};

#define TOPIC_CLEANUP_DELETE  1
#define TOPIC_CLEANUP_COMPACT 2

struct topic_config_info {
	const char *name, *server_name;
	enum topic_config_kind kind;
	const char *words; /* separated by commas; NULL for numbers */
	int64_t preset, min, max;
};

extern const struct topic_config_info topic_configs[TOPIC_CONFIG_COUNT];

/* The number of one of the words (-EINVAL), and the word of a number (ptr NULL: it has none). */
int config_word_parse(const char *words, struct slice text, int64_t *ret);
struct slice config_word(const char *words, int64_t number);

/* By the topic's name for it, or the server's; -ENOENT. */
int topic_config_find(struct slice name);
int topic_config_find_server(struct slice name);

/* -EINVAL: no such value; -ERANGE: out of bounds. */
int topic_config_parse(enum topic_config_id id, struct slice text, int64_t *ret);
void topic_config_format(enum topic_config_id id, int64_t value, struct buf *buf);

/* Values, and which of them were set: a topic's own, or the server's defaults. */
struct topic_config {
	int64_t values[TOPIC_CONFIG_COUNT];
	uint32_t set; /* a bit for each */
};

static inline bool topic_config_is_set(const struct topic_config *config, enum topic_config_id id)
{
	return config->set >> id & 1;
}

static inline void topic_config_set(struct topic_config *config, enum topic_config_id id,
				    int64_t value)
{
	config->values[id] = value;
	config->set |= UINT32_C(1) << id;
}

static inline void topic_config_unset(struct topic_config *config, enum topic_config_id id)
{
	config->set &= ~(UINT32_C(1) << id);
}

/* Kafka's defaults, none of them set. */
void topic_config_init(struct topic_config *ret);

#endif
