/*
 * Settings as clients see and change them.
 */
#ifndef KAFKA_BROKER_KAFKA_CONFIGS_H
#define KAFKA_BROKER_KAFKA_CONFIGS_H

#include "kafka/broker/kafka_call.h"

/* What has settings, as clients number it. */
enum config_resource {
	RESOURCE_TOPIC = 2,
	RESOURCE_BROKER = 4,
	RESOURCE_BROKER_LOGGER = 8,
	RESOURCE_CLIENT_METRICS = 16,
	RESOURCE_GROUP = 32,
};

/* As IncrementalAlterConfigs numbers them. */
enum config_operation { CONFIG_SET, CONFIG_DELETE, CONFIG_APPEND, CONFIG_SUBTRACT };

/* Where a value comes from, as DescribeConfigs numbers it. */
enum config_source {
	CONFIG_FROM_TOPIC = 1,
	CONFIG_FROM_FILE = 4,
	CONFIG_FROM_DEFAULT = 5,
};

/* One of a topic's settings is changed in `config`. INVALID_CONFIG with a text. */
enum kafka_error config_change(struct kafka_call *call, struct topic_config *config,
			       enum config_operation operation, struct slice name,
			       struct slice value, const char **ret_text);
/* A resource's type and name, as one name; ptr NULL: no memory. */
struct slice config_resource_key(struct kafka_call *call, int8_t type, struct slice name);
bool config_is_this_broker(const struct kafka_call *call, struct slice name);
/* What holds for a topic that has `own`; ptr NULL: no memory. */
struct slice config_topic_text(struct kafka_call *call, const struct topic_config *own,
			       enum topic_config_id id);
enum config_source config_topic_source(const struct kafka_call *call,
				       const struct topic_config *own, enum topic_config_id id);

/* Logged where a topic has just been made or changed: what it asks for that is not done. */
void config_tell_undone(const struct topic *topic);

#endif
