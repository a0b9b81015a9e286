/*
 * The broker's settings: Kafka's names and defaults, one table for server.properties, for -o and for
 * DescribeConfigs. What can also be set for a topic stands in store/topic_config.h, with its name
 * here.
 *
 * All names of Kafka 3.9 and 4 are known. Those that are in neither table are said clearly: what only
 * tunes Kafka's own machinery is ignored with a warning; what would change what is stored or who may
 * read is refused, and so is what nobody knows.
 *
 * Made before the threads, constant afterwards.
 */
#ifndef KAFKA_BROKER_CONFIG_H
#define KAFKA_BROKER_CONFIG_H

#include "base/err.h"
#include "kafka/store/topic_config.h"

/* X(ID, name, kind as in topic_config_kind, default, min, max, text) */
#define KAFKA_CONFIGS(X)                                                                           \
	X(AUTO_CREATE, "auto.create.topics.enable", TOPIC_CONFIG_BOOLEAN, 1, 0, 1,                 \
	  "A topic that a client asks for is made.")                                               \
	X(IDLE_MS, "connections.max.idle.ms", TOPIC_CONFIG_LONG, 600000, -1, INT64_MAX,            \
	  "Idle connections are closed after this long; -1: never.")                               \
	X(REPLICATION, "default.replication.factor", TOPIC_CONFIG_INT, 1, 1, 1,                    \
	  "There is one replica.")                                                                 \
	X(DELETE_TOPICS, "delete.topic.enable", TOPIC_CONFIG_BOOLEAN, 1, 0, 1,                     \
	  "Topics may be deleted.")                                                                \
	X(FETCH_MAX, "fetch.max.bytes", TOPIC_CONFIG_INT, 57671680, 1024, INT32_MAX,               \
	  "The most bytes of records in one fetch response.")                                      \
	X(GROUP_DELAY, "group.initial.rebalance.delay.ms", TOPIC_CONFIG_INT, 3000, 0, INT32_MAX,   \
	  "How long a new group waits for more members.")                                          \
	X(GROUP_SESSION_MAX, "group.max.session.timeout.ms", TOPIC_CONFIG_INT, 1800000, 1,         \
	  INT32_MAX, "The longest session timeout of a group's members.")                          \
	X(GROUP_SIZE, "group.max.size", TOPIC_CONFIG_INT, INT32_MAX, 1, INT32_MAX,                 \
	  "The most members of a group.")                                                          \
	X(GROUP_SESSION_MIN, "group.min.session.timeout.ms", TOPIC_CONFIG_INT, 6000, 1, INT32_MAX, \
	  "The shortest session timeout of a group's members.")                                    \
	X(VALIDATION, "leat.produce.validation", TOPIC_CONFIG_CHOICE, 0, 0, 2,                     \
	  "Compressed batches: strict checks each record, relaxed where the header can't answer, " \
	  "header never.")                                                                         \
	X(DAMAGE, "leat.recovery.damage", TOPIC_CONFIG_CHOICE, 0, 0, 2,                            \
	  "A log that a crash leaves damaged with whole batches behind, or where it had been on "  \
	  "disk: the partition is offline, "                                                       \
	  "or goes on behind the damage, or is cut before it; what goes is set aside.")            \
	X(LOG_DELAY, "log.initial.task.delay.ms", TOPIC_CONFIG_LONG, 30000, 0, INT64_MAX,          \
	  "Retention waits so long after the start.")                                              \
	X(LOG_RETENTION_CHECK, "log.retention.check.interval.ms", TOPIC_CONFIG_LONG, 300000, 1,    \
	  INT64_MAX, "How often retention looks for segments that may go.")                        \
	X(CONNECTIONS_MAX, "max.connections", TOPIC_CONFIG_INT, INT32_MAX, 0, INT32_MAX,           \
	  "Connections of Kafka clients at once; further ones wait to be accepted.")               \
	X(CONNECTIONS_IP, "max.connections.per.ip", TOPIC_CONFIG_INT, INT32_MAX, 0, INT32_MAX,     \
	  "Of them, those of one address; further ones are closed.")                               \
	X(FETCH_SESSIONS, "max.incremental.fetch.session.cache.slots", TOPIC_CONFIG_INT, 1000, 0,  \
	  1000000, "Fetch sessions that are kept at once.")                                        \
	X(REQUEST_PARTITIONS, "max.request.partition.size.limit", TOPIC_CONFIG_INT, 2000, 1,       \
	  INT32_MAX, "Partitions in one answer of DescribeTopicPartitions.")                       \
	X(NODE_ID, "node.id", TOPIC_CONFIG_INT, 1, 0, INT32_MAX, "This broker's number.")          \
	X(PARTITIONS, "num.partitions", TOPIC_CONFIG_INT, 1, 1, 10000,                             \
	  "Partitions of topics for which none are named.")                                        \
	X(OFFSET_METADATA, "offset.metadata.max.bytes", TOPIC_CONFIG_INT, 4096, 0, INT32_MAX,      \
	  "The longest metadata of a committed offset.")                                           \
	X(OFFSETS_CHECK_MS, "offsets.retention.check.interval.ms", TOPIC_CONFIG_LONG, 600000, 1,   \
	  INT64_MAX, "How often offsets that have expired are looked for.")                        \
	X(OFFSETS_RETENTION, "offsets.retention.minutes", TOPIC_CONFIG_INT, 10080, 1, INT32_MAX,   \
	  "How long offsets are kept after their group has become empty.")                         \
	X(OFFSETS_PARTITIONS, "offsets.topic.num.partitions", TOPIC_CONFIG_INT, 50, 1, 10000,      \
	  "Partitions of __consumer_offsets, when it is made.")                                    \
	X(OFFSETS_REPLICATION, "offsets.topic.replication.factor", TOPIC_CONFIG_SHORT, 1, 1,       \
	  INT16_MAX, "Taken for 1: there is one replica.")                                         \
	X(OFFSETS_SEGMENT, "offsets.topic.segment.bytes", TOPIC_CONFIG_INT, 104857600, 1,          \
	  INT32_MAX, "Segment size of __consumer_offsets.")                                        \
	X(PRODUCER_EXPIRY, "producer.id.expiration.ms", TOPIC_CONFIG_INT, 86400000, 1, INT32_MAX,  \
	  "How long a silent idempotent producer is remembered.")                                  \
	X(REQUEST_MAX, "socket.request.max.bytes", TOPIC_CONFIG_INT, 104857600, 1, INT32_MAX,      \
	  "The longest request.")

/* Texts. X(ID, name, text) */
#define KAFKA_TEXT_CONFIGS(X)                                                              \
	X(ADVERTISED, "advertised.listeners",                                              \
	  "Where clients are told to go, for each of the listeners: NAME://HOST:PORT.")    \
	X(RACK, "broker.rack", "What clients are told of where this broker stands.")       \
	X(CONTROLLERS, "controller.listener.names",                                        \
	  "Listeners that are not opened: no controllers talk to each other here.")        \
	X(PROTOCOLS, "listener.security.protocol.map",                                     \
	  "Which protocol a listener's name stands for: NAME:PLAINTEXT.")                  \
	X(LISTENERS, "listeners",                                                          \
	  "Where clients are served: NAME://HOST:PORT. --listen goes before.")             \
	X(LOG_DIRS, "log.dirs", "The directory of the topics, one. DATA_DIR goes before.") \
	X(CONNECTIONS_OVERRIDES, "max.connections.per.ip.overrides",                       \
	  "Other limits for some addresses: HOST:COUNT, ...")

#define KAFKA_CONFIG_ENUM(id, ...) KAFKA_CONFIG_##id,
enum kafka_config_id { KAFKA_CONFIGS(KAFKA_CONFIG_ENUM) KAFKA_CONFIG_COUNT };
#undef KAFKA_CONFIG_ENUM
#define KAFKA_TEXT_ENUM(id, ...) KAFKA_TEXT_##id,
enum kafka_text_id { KAFKA_TEXT_CONFIGS(KAFKA_TEXT_ENUM) KAFKA_TEXT_COUNT };
#undef KAFKA_TEXT_ENUM

struct kafka_config_info {
	const char *name;
	enum topic_config_kind kind;
	int64_t preset, min, max;
	const char *text;
};

/* Of a CHOICE, in the order of its numbers. */
#define KAFKA_CONFIG_WORDS(X)                                 \
	X(DAMAGE, "offline,skip,cut") /* enum store_damage */ \
	X(VALIDATION, "strict,relaxed,header")

extern const struct kafka_config_info kafka_configs[KAFKA_CONFIG_COUNT];
extern const struct kafka_text_info {
	const char *name, *text;
} kafka_text_configs[KAFKA_TEXT_COUNT];

/* listener.name.NAME.max.connections */
struct kafka_listener_limit {
	char name[64]; /* lower case, as it is written */
	int64_t max;
};
#define KAFKA_LISTENER_LIMITS_MAX 64

struct kafka_config {
	int64_t values[KAFKA_CONFIG_COUNT];
	uint64_t set; /* a bit for each */
	struct topic_config topics;
	int64_t units[TOPIC_CONFIG_COUNT]; /* milliseconds in which a time was given; 0: was not */
	char *texts[KAFKA_TEXT_COUNT];     /* as they were written; NULL: not set */
	struct kafka_listener_limit limits[KAFKA_LISTENER_LIMITS_MAX];
	unsigned limits_count;
};

static inline int64_t config_value(const struct kafka_config *config, enum kafka_config_id id)
{
	return config->values[id];
}

/* NULL: not set. */
static inline const char *config_text(const struct kafka_config *config, enum kafka_text_id id)
{
	return config->texts[id];
}

/* The same as a message has it: null where it is not set. */
static inline struct slice config_slice(const struct kafka_config *config, enum kafka_text_id id)
{
	return config->texts[id] ? slice_of(config->texts[id]) : slice_make(NULL, 0);
}

void kafka_config_init(struct kafka_config *config);
void kafka_config_fini(struct kafka_config *config);
/* -EINVAL, with the reason in `err` (which begins with `where`); a warning is logged. */
int kafka_config_set(struct kafka_config *config, struct slice name, struct slice value,
		     const char *where, struct err *err);
/* The text of a Java properties file. */
int kafka_config_parse(struct kafka_config *config, struct slice text, const char *file,
		       struct err *err);
void kafka_config_format(enum kafka_config_id id, int64_t value, struct buf *buf);

#endif
