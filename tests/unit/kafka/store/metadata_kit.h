/*
 * What the tests with a directory of Kafka's share: the directory, metadata logs made record by record,
 * and questions about the topics.
 */
#ifndef TESTS_KAFKA_STORE_METADATA_KIT_H
#define TESTS_KAFKA_STORE_METADATA_KIT_H

#include "kit.h"

#include "kafka/wire/messages.h"

#define METADATA "__cluster_metadata-0"

extern char folder[64];
extern char said[16384]; /* what was logged */

/* The folder as Kafka leaves it after a clean stop, and what is logged goes to `said`. */
int metadata_set_up(void **state);
int metadata_tear_down(void **state);

void make_folder(const char *name);
void rename_in(const char *from, const char *to);
const char *text_of(const char *name);
/* A folder as Kafka makes it, of a topic's partition. */
void make_partition(const char *name, const struct kafka_uuid *id);

/* ---- logs ---- */

struct metadata {
	char bytes[65536];
	size_t len;
	int64_t offset;
};

struct metadata *metadata_new(void);
/* A record of this value, in a batch of its own. */
void add_value(struct metadata *metadata, struct slice value);
/* A record in a batch of its own; `message` NULL: without any fields. */
void add(struct metadata *metadata, unsigned kind, int version, const struct kafka_message *message,
	 const void *record);
/* Told apart by their last byte. */
struct kafka_uuid id_of(uint8_t number);
void add_topic(struct metadata *metadata, const char *name, uint8_t id, int32_t partitions);
void add_config(struct metadata *metadata, int8_t type, const char *resource, const char *name,
		const char *value);
void add_removal(struct metadata *metadata, uint8_t id);
void store_log(const struct metadata *metadata);

/* ---- topics ---- */

#define NOT_SET INT64_MIN

/* What the topic has of its own. */
void assert_value(struct store *store, const char *name, enum topic_config_id config, int64_t own);
bool has_topic(struct store *store, const char *name);
int32_t partitions_of(struct store *store, const char *name);
const struct kafka_uuid *id_in(struct store *store, const char *name);
void assert_id(struct store *store, const char *name, uint8_t id);

#endif
