/*
 * Topics made, changed and removed: CreateTopics, DeleteTopics, CreatePartitions, DeleteRecords. All
 * of it by helpers.
 */
#include <stdio.h>

#include "base/log.h"
#include "kafka/broker/coordinator.h"
#include "kafka/broker/kafka_call.h"
#include "kafka/broker/kafka_configs.h"
#include "kafka/broker/watch.h"
#include "sys/sys.h"

#define TOPIC_IS_OURS "the topic is the broker's own"

static struct slice text_of(const char *text)
{
	return text ? slice_of(text) : slice_make(NULL, 0);
}

/* Replicas are placed by hand: there is one place. */
static bool is_here(const struct kafka_call *call, const int32_t *nodes, int32_t count)
{
	return count == 1 && nodes[0] == store_node_id(call->server->store);
}

/* ---- CreateTopics ---- */

typedef struct kafka_create_topics_request_topic new_topic;

static enum kafka_error check_replicas(const struct kafka_call *call, const new_topic *from,
				       int32_t *ret_partitions, const char **text)
{
	if (from->assignments.count == 0) {
		if (from->replication_factor != -1 && from->replication_factor != 1) {
			*text = "there is one broker: the replication factor is 1";
			return KAFKA_INVALID_REPLICATION_FACTOR;
		}
		if (from->num_partitions != -1)
			*ret_partitions = from->num_partitions;
		return KAFKA_NONE;
	}
	if (from->num_partitions != -1 || from->replication_factor != -1) {
		*text = "with assignments, no number of partitions and no replication factor";
		return KAFKA_INVALID_REQUEST;
	}
	*ret_partitions = from->assignments.count;
	for (int32_t i = 0; i < from->assignments.count; i++) {
		const struct kafka_create_topics_request_assignment *each =
		    &from->assignments.at[i];

		if (!is_here(call, each->broker_ids.at, each->broker_ids.count) ||
		    each->partition_index < 0 || each->partition_index >= from->assignments.count) {
			*text = "there is one broker, and partitions count up from 0";
			return KAFKA_INVALID_REPLICA_ASSIGNMENT;
		}
	}
	return KAFKA_NONE;
}

static enum kafka_error check_new(struct kafka_call *call, const new_topic *from,
				  struct topic_config *config, int32_t *ret_partitions,
				  const char **text)
{
	enum kafka_error error;

	*ret_partitions = (int32_t)config_value(call->server->config, KAFKA_CONFIG_PARTITIONS);
	if (!store_topic_name_valid(from->name))
		return KAFKA_INVALID_TOPIC_EXCEPTION;
	if (kafka_topic_is_internal(from->name)) {
		*text = TOPIC_IS_OURS;
		return KAFKA_INVALID_TOPIC_EXCEPTION;
	}
	error = check_replicas(call, from, ret_partitions, text);
	if (error != KAFKA_NONE)
		return error;
	if (*ret_partitions < 1 || *ret_partitions > KAFKA_PARTITIONS_MAX) {
		*text = "from 1 to 10000 partitions";
		return KAFKA_INVALID_PARTITIONS;
	}
	for (int32_t i = 0; i < from->configs.count; i++) {
		error = config_change(call, config, CONFIG_SET, from->configs.at[i].name,
				      from->configs.at[i].value, text);
		if (error != KAFKA_NONE)
			return error;
	}
	return KAFKA_NONE;
}

static bool named_twice(const struct kafka_create_topics_request *request, int32_t which)
{
	for (int32_t i = 0; i < request->topics.count; i++)
		if (i != which &&
		    slice_eq(request->topics.at[i].name, request->topics.at[which].name))
			return true;
	return false;
}

static bool put_made(struct kafka_call *call, const struct topic_config *own, int32_t partitions,
		     struct kafka_create_topics_response_topic *to)
{
	to->num_partitions = partitions;
	to->replication_factor = 1;
	if (!call_array(call, &to->configs, TOPIC_CONFIG_COUNT))
		return false;
	for (int32_t i = 0; i < TOPIC_CONFIG_COUNT; i++) {
		struct kafka_create_topics_response_config *config = &to->configs.at[i];

		config->name = slice_of(topic_configs[i].name);
		config->value = config_topic_text(call, own, (enum topic_config_id)i);
		config->config_source =
		    (int8_t)config_topic_source(call, own, (enum topic_config_id)i);
	}
	return true;
}

static bool create_one(struct kafka_call *call, const struct kafka_create_topics_request *request,
		       int32_t which, struct kafka_create_topics_response_topic *to)
{
	const new_topic *from = &request->topics.at[which];
	struct topic_config config = {0};
	struct topic *topic = NULL;
	const char *text = NULL;
	int32_t partitions;
	enum kafka_error error = KAFKA_INVALID_REQUEST;

	to->name = from->name;
	to->num_partitions = to->replication_factor = -1;
	to->configs.count = -1;
	if (named_twice(request, which))
		text = "the topic is named twice";
	else
		error = check_new(call, from, &config, &partitions, &text);
	if (error == KAFKA_NONE && request->validate_only) {
		topic = store_topic(call->server->store, from->name);
		error = topic ? KAFKA_TOPIC_ALREADY_EXISTS : KAFKA_NONE;
	} else if (error == KAFKA_NONE) {
		error = store_topic_create(call->server->store, from->name, partitions, &config,
					   &topic);
		if (error == KAFKA_NONE) {
			to->topic_id = *topic_id(topic);
			log_info("topic %s was made with %d partitions", topic_name(topic),
				 partitions);
		}
	}
	if (topic)
		topic_unref(topic);
	to->error_code = (int16_t)error;
	to->error_message = text_of(text);
	return error != KAFKA_NONE || put_made(call, &config, partitions, to);
}

enum handled handle_create_topics(struct kafka_call *call)
{
	struct kafka_create_topics_request request;
	struct kafka_create_topics_response response;

	if (!call->may_block)
		return CALL_BLOCKS;
	if (!call_decode(call, &request))
		return CALL_CLOSES;
	kafka_create_topics_response_init(&response);
	if (!call_array(call, &response.topics, request.topics.count))
		return CALL_ENDS;
	for (int32_t i = 0; i < request.topics.count; i++)
		if (!create_one(call, &request, i, &response.topics.at[i]))
			return CALL_ENDS;
	return call_answer(call, &response);
}

/* ---- DeleteTopics ---- */

static enum kafka_error delete_topic(struct kafka_call *call, struct topic *topic,
				     const char **text)
{
	enum kafka_error error;

	if (kafka_topic_is_internal(slice_of(topic_name(topic)))) {
		*text = TOPIC_IS_OURS;
		return KAFKA_INVALID_TOPIC_EXCEPTION;
	}
	if (!config_value(call->server->config, KAFKA_CONFIG_DELETE_TOPICS))
		return call->header.version >= 3 ? KAFKA_TOPIC_DELETION_DISABLED
						 : KAFKA_INVALID_REQUEST;
	error = store_topic_delete(call->server->store, topic, sys_wall_ms());
	if (error == KAFKA_NONE)
		coordinator_topic_deleted(call->server->coordinator, slice_of(topic_name(topic)));
	/* Who waits for it hears that it is gone. */
	for (int32_t i = 0; error == KAFKA_NONE && i < topic_partition_count(topic); i++)
		partition_wake(topic_partition(topic, i));
	if (error == KAFKA_NONE)
		log_info("topic %s was deleted", topic_name(topic));
	return error;
}

static bool delete_one(struct kafka_call *call, struct slice name, const struct kafka_uuid *id,
		       struct kafka_delete_topics_response_response *to)
{
	struct store *store = call->server->store;
	struct topic *topic = name.ptr ? store_topic(store, name) : store_topic_by_id(store, id);
	const char *text = NULL;
	enum kafka_error error =
	    name.ptr ? KAFKA_UNKNOWN_TOPIC_OR_PARTITION : KAFKA_UNKNOWN_TOPIC_ID;

	to->name = name;
	to->topic_id = *id;
	if (topic) {
		to->name = call_keep(call, slice_of(topic_name(topic)));
		to->topic_id = *topic_id(topic);
		error = delete_topic(call, topic, &text);
		topic_unref(topic);
	}
	to->error_code = (int16_t)error;
	to->error_message = text_of(text);
	return !topic || to->name.ptr;
}

enum handled handle_delete_topics(struct kafka_call *call)
{
	static const struct kafka_uuid none;
	struct kafka_delete_topics_request request;
	struct kafka_delete_topics_response response;
	bool ids = call->header.version >= 6;

	if (!call->may_block)
		return CALL_BLOCKS;
	if (!call_decode(call, &request))
		return CALL_CLOSES;
	kafka_delete_topics_response_init(&response);
	if (!call_array(call, &response.responses,
			ids ? request.topics.count : request.topic_names.count))
		return CALL_ENDS;
	for (int32_t i = 0; i < response.responses.count; i++)
		if (!delete_one(call, ids ? request.topics.at[i].name : request.topic_names.at[i],
				ids ? &request.topics.at[i].topic_id : &none,
				&response.responses.at[i]))
			return CALL_ENDS;
	return call_answer(call, &response);
}

/* ---- CreatePartitions ---- */

static enum kafka_error grow(struct kafka_call *call, struct topic *topic,
			     const struct kafka_create_partitions_request_topic *from,
			     bool validate_only, const char **text)
{
	int32_t has = topic_partition_count(topic), more = from->count - has;

	if (kafka_topic_is_internal(slice_of(topic_name(topic)))) {
		*text = TOPIC_IS_OURS;
		return KAFKA_INVALID_TOPIC_EXCEPTION;
	}
	if (more <= 0 || from->count > KAFKA_PARTITIONS_MAX) {
		*text = more == 0  ? "the topic has that many partitions already"
			: more < 0 ? "the topic has more partitions than that"
				   : "from 1 to 10000 partitions";
		return KAFKA_INVALID_PARTITIONS;
	}
	if (from->assignments.count >= 0 && from->assignments.count != more) {
		*text = "one assignment for each new partition";
		return KAFKA_INVALID_REPLICA_ASSIGNMENT;
	}
	for (int32_t i = 0; i < from->assignments.count; i++)
		if (!is_here(call, from->assignments.at[i].broker_ids.at,
			     from->assignments.at[i].broker_ids.count)) {
			*text = "there is one broker";
			return KAFKA_INVALID_REPLICA_ASSIGNMENT;
		}
	return validate_only ? KAFKA_NONE
			     : store_topic_grow(call->server->store, topic, from->count);
}

enum handled handle_create_partitions(struct kafka_call *call)
{
	struct kafka_create_partitions_request request;
	struct kafka_create_partitions_response response;

	if (!call->may_block)
		return CALL_BLOCKS;
	if (!call_decode(call, &request))
		return CALL_CLOSES;
	kafka_create_partitions_response_init(&response);
	if (!call_array(call, &response.results, request.topics.count))
		return CALL_ENDS;
	for (int32_t i = 0; i < request.topics.count; i++) {
		const struct kafka_create_partitions_request_topic *from = &request.topics.at[i];
		struct kafka_create_partitions_response_result *to = &response.results.at[i];
		struct topic *topic = store_topic(call->server->store, from->name);
		enum kafka_error error = KAFKA_UNKNOWN_TOPIC_OR_PARTITION;
		const char *text = NULL;

		if (topic) {
			error = grow(call, topic, from, request.validate_only, &text);
			topic_unref(topic);
		}
		to->name = from->name;
		to->error_code = (int16_t)error;
		to->error_message = text_of(text);
	}
	return call_answer(call, &response);
}

/* ---- DeleteRecords ---- */

static enum kafka_error delete_records(struct topic *topic,
				       const struct kafka_delete_records_request_partition *from,
				       int64_t *ret_low)
{
	struct partition *partition = topic ? topic_partition(topic, from->partition_index) : NULL;
	enum kafka_error error;

	if (!partition)
		return KAFKA_UNKNOWN_TOPIC_OR_PARTITION;
	if (kafka_topic_is_internal(slice_of(topic_name(topic))))
		return KAFKA_INVALID_TOPIC_EXCEPTION;
	if (!(topic_config_value(topic, TOPIC_CONFIG_CLEANUP_POLICY) & TOPIC_CLEANUP_DELETE))
		return KAFKA_POLICY_VIOLATION;
	if (from->offset < -1)
		return KAFKA_OFFSET_OUT_OF_RANGE;
	error = partition_delete_records(partition, from->offset, ret_low);
	if (error == KAFKA_NONE)
		partition_wake(partition);
	return error;
}

enum handled handle_delete_records(struct kafka_call *call)
{
	struct kafka_delete_records_request request;
	struct kafka_delete_records_response response;

	if (!call->may_block)
		return CALL_BLOCKS;
	if (!call_decode(call, &request))
		return CALL_CLOSES;
	kafka_delete_records_response_init(&response);
	if (!call_array(call, &response.topics, request.topics.count))
		return CALL_ENDS;
	for (int32_t i = 0; i < request.topics.count; i++) {
		const struct kafka_delete_records_request_topic *from = &request.topics.at[i];
		struct kafka_delete_records_response_topic *to = &response.topics.at[i];
		struct topic *topic = store_topic(call->server->store, from->name);

		bool fits = call_array(call, &to->partitions, from->partitions.count);

		to->name = from->name;
		for (int32_t n = 0; fits && n < from->partitions.count; n++) {
			int64_t low = -1;

			to->partitions.at[n].partition_index =
			    from->partitions.at[n].partition_index;
			to->partitions.at[n].error_code =
			    (int16_t)delete_records(topic, &from->partitions.at[n], &low);
			to->partitions.at[n].low_watermark = low;
		}
		if (topic)
			topic_unref(topic);
		if (!fits)
			return CALL_ENDS;
	}
	return call_answer(call, &response);
}
