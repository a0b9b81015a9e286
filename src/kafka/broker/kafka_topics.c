/*
 * Topics made, changed and removed: CreateTopics, DeleteTopics, CreatePartitions, DeleteRecords. All
 * of it by helpers.
 */
#include "kafka/broker/coordinator.h"
#include "kafka/broker/kafka_configs.h"
#include "kafka/broker/kafka_log.h"
#include "kafka/broker/names.h"
#include "kafka/broker/watch.h"
#include "sys/sys.h"

#define TOPIC_IS_OURS "the topic is the broker's own"
#define NAMED_TWICE   "the topic is named twice"

/* A name in a text: printf's "%.*s". */
#define NAME(s) (int)(s).len, (s).ptr

/* ---- CreateTopics ---- */

typedef struct kafka_create_topics_request_topic new_topic;

static enum kafka_error check_assignments(struct kafka_call *call, const new_topic *from,
					  const char **text)
{
	int32_t count = from->assignments.count;
	bool *seen = call_take(call, (size_t)count, sizeof(*seen));

	if (!seen)
		return KAFKA_UNKNOWN_SERVER_ERROR;
	for (int32_t i = 0; i < count; i++) {
		const struct kafka_create_topics_request_assignment *each =
		    &from->assignments.at[i];
		int32_t number = each->partition_index;
		enum kafka_error error =
		    call_check_place(call, each->broker_ids.at, each->broker_ids.count, text);

		if (error != KAFKA_NONE)
			return error;
		if (number < 0 || number >= count || seen[number]) {
			*text = call_printf(call, "partitions count up from 0: %d is %s", number,
					    number < 0 || number >= count ? "not among them"
									  : "there twice");
			return KAFKA_INVALID_REPLICA_ASSIGNMENT;
		}
		seen[number] = true;
	}
	return KAFKA_NONE;
}

static enum kafka_error check_assigned(struct kafka_call *call, const new_topic *from,
				       int32_t *ret_partitions, const char **text)
{
	if (from->num_partitions != -1 || from->replication_factor != -1) {
		*text = "with assignments, no number of partitions and no replication factor";
		return KAFKA_INVALID_REQUEST;
	}
	*ret_partitions = from->assignments.count;
	return check_assignments(call, from, text);
}

static enum kafka_error check_counts(struct kafka_call *call, const new_topic *from,
				     int32_t *ret_partitions, const char **text)
{
	*ret_partitions = from->num_partitions;
	if (*ret_partitions == -1)
		*ret_partitions =
		    (int32_t)config_value(call->server->config, KAFKA_CONFIG_PARTITIONS);
	if (from->replication_factor != -1 && from->replication_factor != 1) {
		*text = call_printf(call, "there is one broker: no replication factor of %d",
				    from->replication_factor);
		return KAFKA_INVALID_REPLICATION_FACTOR;
	}
	if (*ret_partitions < 1) {
		*text = call_printf(call, "a topic can't have %d partitions", *ret_partitions);
		return KAFKA_INVALID_PARTITIONS;
	}
	return KAFKA_NONE;
}

static enum kafka_error check_name(struct kafka_call *call, struct slice name, const char **text)
{
	enum kafka_error error = store_topic_check(call->server->store, name);

	if (error == KAFKA_TOPIC_ALREADY_EXISTS) {
		*text = call_printf(call, "topic '%.*s' exists", NAME(name));
	} else if (!store_topic_name_valid(name)) {
		*text = call_printf(call,
				    "'%.*s' is no name of a topic: 1 to %d letters, digits, '.', "
				    "'_' and '-', but not '.' or '..' alone",
				    NAME(name), STORE_TOPIC_NAME_MAX);
	} else if (error == KAFKA_INVALID_TOPIC_EXCEPTION) {
		*text =
		    call_printf(call, "'%.*s' collides with a topic in which '.' and '_' differ",
				NAME(name));
	} else if (error == KAFKA_NONE && kafka_topic_is_internal(name)) {
		*text = TOPIC_IS_OURS;
		error = KAFKA_INVALID_TOPIC_EXCEPTION;
	}
	return error;
}

static enum kafka_error check_new(struct kafka_call *call, const new_topic *from,
				  struct topic_config *config, int32_t *ret_partitions,
				  const char **text)
{
	enum kafka_error error = check_name(call, from->name, text);

	for (int32_t i = 0; i < from->configs.count && error == KAFKA_NONE; i++)
		error = config_change(call, config, CONFIG_SET, from->configs.at[i].name,
				      from->configs.at[i].value, text);
	if (error != KAFKA_NONE)
		return error;
	return from->assignments.count > 0 ? check_assigned(call, from, ret_partitions, text)
					   : check_counts(call, from, ret_partitions, text);
}

/* One request is one change: it has a bound as a whole. */
static bool wants_too_many(const struct kafka_call *call,
			   const struct kafka_create_topics_request *request,
			   const enum name_twin *twins)
{
	int64_t sum = 0;

	for (int32_t i = 0; i < request->topics.count; i++) {
		const new_topic *topic = &request->topics.at[i];

		if (twins[i] == NAME_AGAIN)
			continue;
		if (topic->assignments.count > 0)
			sum += topic->assignments.count;
		else if (topic->num_partitions == -1)
			sum += config_value(call->server->config, KAFKA_CONFIG_PARTITIONS);
		else if (topic->num_partitions > 0)
			sum += topic->num_partitions;
	}
	return sum > KAFKA_PARTITIONS_MAX;
}

static const char *too_many_text(struct kafka_call *call)
{
	return call_printf(call, "at most %d partitions can be made by one request",
			   KAFKA_PARTITIONS_MAX);
}

/* What a topic would get: it is nobody's. */
static enum kafka_error make_id(struct kafka_uuid *ret)
{
	return sys_random(ret, sizeof(*ret)) < 0 ? KAFKA_UNKNOWN_SERVER_ERROR : KAFKA_NONE;
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

static enum kafka_error make(struct kafka_call *call, struct slice name, int32_t partitions,
			     const struct topic_config *config, struct kafka_uuid *ret_id)
{
	struct client_text client;
	struct topic *topic;
	enum kafka_error error =
	    store_topic_create(call->server->store, name, partitions, config, &topic);

	if (error != KAFKA_NONE)
		return error;
	*ret_id = *topic_id(topic);
	log_bursts(sys_now_ns(), LOG_LEVEL_INFO, "topic %s was made with %d partitions by %s",
		   topic_name(topic), partitions, log_client(call, &client));
	config_tell_undone(topic);
	topic_unref(topic);
	return KAFKA_NONE;
}

struct creating {
	struct kafka_call *call;
	bool too_many, validate_only;
};

static bool create_one(const struct creating *creating, const new_topic *from, bool twice,
		       struct kafka_create_topics_response_topic *to)
{
	struct kafka_call *call = creating->call;
	struct topic_config config = {0};
	const char *text = NULL;
	int32_t partitions;
	enum kafka_error error = KAFKA_INVALID_REQUEST;

	to->name = from->name;
	to->num_partitions = to->replication_factor = -1;
	if (twice) {
		text = NAMED_TWICE;
	} else if (creating->too_many) {
		error = KAFKA_POLICY_VIOLATION;
		text = too_many_text(call);
	} else {
		error = check_new(call, from, &config, &partitions, &text);
	}
	if (error == KAFKA_NONE)
		error = creating->validate_only
			    ? make_id(&to->topic_id)
			    : make(call, from->name, partitions, &config, &to->topic_id);
	to->error_code = (int16_t)error;
	to->error_message = call_error_text(error, text);
	return error != KAFKA_NONE || put_made(call, &config, partitions, to);
}

enum handled handle_create_topics(struct kafka_call *call)
{
	struct kafka_create_topics_request request;
	struct kafka_create_topics_response response;
	struct creating creating = {.call = call};
	const enum name_twin *twins;
	struct slice *names;
	int32_t count = 0;

	if (!call->may_block)
		return CALL_BLOCKS;
	if (!call_decode(call, &request))
		return CALL_CLOSES;
	kafka_create_topics_response_init(&response);
	names = NAMES_TAKE(call, request.topics, name);
	twins = names ? names_twins(call, names, request.topics.count) : NULL;
	if (!twins || !call_array(call, &response.topics, request.topics.count))
		return CALL_ENDS;
	creating.validate_only = request.validate_only;
	creating.too_many = wants_too_many(call, &request, twins);
	for (int32_t i = 0; i < request.topics.count; i++)
		if (twins[i] != NAME_AGAIN &&
		    !create_one(&creating, &request.topics.at[i], twins[i] == NAME_FIRST,
				&response.topics.at[count++]))
			return CALL_ENDS;
	response.topics.count = count;
	return call_answer(call, &response);
}

/* ---- DeleteTopics ---- */

/* As it is named in a request: by one of the two. */
struct doomed_name {
	struct slice name; /* ptr NULL: by id */
	struct kafka_uuid id;
	enum name_twin twin;
};

static const struct kafka_uuid no_id;

static bool has_id(const struct doomed_name *doomed)
{
	return memcmp(&doomed->id, &no_id, sizeof(no_id)) != 0;
}

static enum kafka_error delete_found(struct kafka_call *call, struct topic *topic,
				     const char **text)
{
	struct client_text client;
	enum kafka_error error;

	if (kafka_topic_is_internal(slice_of(topic_name(topic)))) {
		*text = TOPIC_IS_OURS;
		return KAFKA_INVALID_TOPIC_EXCEPTION;
	}
	error = store_topic_delete(call->server->store, topic, sys_wall_ms());
	if (error != KAFKA_NONE)
		return error;
	coordinator_topic_deleted(call->server->coordinator, slice_of(topic_name(topic)));
	/* Who waits for it hears that it is gone. */
	for (int32_t i = 0; i < topic_partition_count(topic); i++)
		partition_wake(topic_partition(topic, i));
	log_bursts(sys_now_ns(), LOG_LEVEL_INFO, "topic %s was deleted by %s", topic_name(topic),
		   log_client(call, &client));
	return KAFKA_NONE;
}

/* What is wrong with the request for it. */
static enum kafka_error check_doomed(const struct kafka_call *call,
				     const struct doomed_name *doomed, const char **text)
{
	if (!config_value(call->server->config, KAFKA_CONFIG_DELETE_TOPICS))
		return call->header.version >= 3 ? KAFKA_TOPIC_DELETION_DISABLED
						 : KAFKA_INVALID_REQUEST;
	if (doomed->name.ptr && has_id(doomed))
		*text = "a topic is named by its name or its id, not by both";
	else if (!doomed->name.ptr && !has_id(doomed))
		*text = "a topic is named by its name or its id";
	else if (doomed->twin != NAME_ALONE)
		*text = NAMED_TWICE;
	return *text ? KAFKA_INVALID_REQUEST : KAFKA_NONE;
}

static bool delete_one(struct kafka_call *call, const struct doomed_name *doomed,
		       struct kafka_delete_topics_response_response *to)
{
	struct store *store = call->server->store;
	const char *text = NULL;
	enum kafka_error error = check_doomed(call, doomed, &text);
	struct topic *topic = NULL;

	to->name = doomed->name;
	to->topic_id = doomed->id;
	if (error == KAFKA_NONE) {
		topic = doomed->name.ptr ? store_topic(store, doomed->name)
					 : store_topic_by_id(store, &doomed->id);
		error =
		    doomed->name.ptr ? KAFKA_UNKNOWN_TOPIC_OR_PARTITION : KAFKA_UNKNOWN_TOPIC_ID;
	}
	if (topic) {
		to->name = call_keep(call, slice_of(topic_name(topic)));
		to->topic_id = *topic_id(topic);
		error = delete_found(call, topic, &text);
		topic_unref(topic);
	}
	to->error_code = (int16_t)error;
	to->error_message = call_error_text(error, text);
	return !topic || to->name.ptr;
}

/* What is named, in `ret`; and by what it is told from others. */
static void take_doomed(const struct kafka_delete_topics_request *request, bool ids,
			struct doomed_name *ret, struct slice *ret_keys, int32_t count)
{
	for (int32_t i = 0; i < count; i++) {
		ret[i].name = ids ? request->topics.at[i].name : request->topic_names.at[i];
		if (ids)
			ret[i].id = request->topics.at[i].topic_id;
		ret_keys[i] = ret[i].name.ptr ? ret[i].name
					      : slice_make((const char *)&ret[i].id, sizeof(no_id));
	}
}

enum handled handle_delete_topics(struct kafka_call *call)
{
	struct kafka_delete_topics_request request;
	struct kafka_delete_topics_response response;
	bool ids = call->header.version >= 6;
	int32_t count, answers = 0;
	const enum name_twin *twins;
	struct doomed_name *doomed;
	struct slice *keys;

	if (!call->may_block)
		return CALL_BLOCKS;
	if (!call_decode(call, &request))
		return CALL_CLOSES;
	kafka_delete_topics_response_init(&response);
	count = ids ? request.topics.count : request.topic_names.count;
	doomed = call_take(call, (size_t)count, sizeof(*doomed));
	keys = call_take(call, (size_t)count, sizeof(*keys));
	if (!doomed || !keys || !call_array(call, &response.responses, count))
		return CALL_ENDS;
	take_doomed(&request, ids, doomed, keys, count);
	twins = names_twins(call, keys, count);
	for (int32_t i = 0; twins && i < count; i++) {
		doomed[i].twin = twins[i];
		if (twins[i] != NAME_AGAIN &&
		    !delete_one(call, &doomed[i], &response.responses.at[answers++]))
			return CALL_ENDS;
	}
	response.responses.count = answers;
	return twins ? call_answer(call, &response) : CALL_ENDS;
}

/* ---- CreatePartitions ---- */

/* How many come with it; 0: that is to be refused for something else. */
static int32_t growth_of(const struct kafka_call *call,
			 const struct kafka_create_partitions_request_topic *from)
{
	struct topic *topic = store_topic(call->server->store, from->name);
	int32_t more = topic ? from->count - topic_partition_count(topic) : 0;

	if (topic)
		topic_unref(topic);
	return more > 0 ? more : 0;
}

static enum kafka_error check_growth(struct kafka_call *call, const struct topic *topic,
				     const struct kafka_create_partitions_request_topic *from,
				     const char **text)
{
	int32_t has = topic_partition_count(topic), more = from->count - has;
	enum kafka_error error = KAFKA_NONE;

	if (kafka_topic_is_internal(slice_of(topic_name(topic)))) {
		*text = TOPIC_IS_OURS;
		return KAFKA_INVALID_TOPIC_EXCEPTION;
	}
	if (from->count <= has) {
		*text = call_printf(call, "the topic has %d partitions: %d would not be more", has,
				    from->count);
		return KAFKA_INVALID_PARTITIONS;
	}
	if (from->assignments.count >= 0 && from->assignments.count != more) {
		*text = call_printf(call, "%d partitions would come, and %d assignments are there",
				    more, from->assignments.count);
		return KAFKA_INVALID_REPLICA_ASSIGNMENT;
	}
	for (int32_t i = 0; i < from->assignments.count && error == KAFKA_NONE; i++)
		error = call_check_place(call, from->assignments.at[i].broker_ids.at,
					 from->assignments.at[i].broker_ids.count, text);
	return error;
}

static enum kafka_error grow_found(struct kafka_call *call, struct topic *topic, int32_t count)
{
	int32_t before = topic_partition_count(topic);
	enum kafka_error error = store_topic_grow(call->server->store, topic, count);
	struct client_text client;

	if (error == KAFKA_NONE)
		log_bursts(sys_now_ns(), LOG_LEVEL_INFO, "topic %s: %d partitions, before %d: %s",
			   topic_name(topic), count, before, log_client(call, &client));
	return error;
}

static void grow(const struct creating *creating,
		 const struct kafka_create_partitions_request_topic *from, bool twice,
		 struct kafka_create_partitions_response_result *to)
{
	struct kafka_call *call = creating->call;
	bool looks = !twice && !creating->too_many;
	struct topic *topic = looks ? store_topic(call->server->store, from->name) : NULL;
	enum kafka_error error = KAFKA_UNKNOWN_TOPIC_OR_PARTITION;
	const char *text = NULL;

	if (twice) {
		error = KAFKA_INVALID_REQUEST;
		text = NAMED_TWICE;
	} else if (creating->too_many) {
		error = KAFKA_POLICY_VIOLATION;
		text = too_many_text(call);
	}
	if (topic) {
		error = check_growth(call, topic, from, &text);
		if (error == KAFKA_NONE && !creating->validate_only)
			error = grow_found(call, topic, from->count);
		topic_unref(topic);
	}
	to->name = from->name;
	to->error_code = (int16_t)error;
	to->error_message = call_error_text(error, text);
}

enum handled handle_create_partitions(struct kafka_call *call)
{
	struct kafka_create_partitions_request request;
	struct kafka_create_partitions_response response;
	struct creating creating = {.call = call};
	const enum name_twin *twins;
	int64_t more = 0;
	struct slice *names;
	int32_t count = 0;

	if (!call->may_block)
		return CALL_BLOCKS;
	if (!call_decode(call, &request))
		return CALL_CLOSES;
	kafka_create_partitions_response_init(&response);
	names = NAMES_TAKE(call, request.topics, name);
	twins = names ? names_twins(call, names, request.topics.count) : NULL;
	if (!twins || !call_array(call, &response.results, request.topics.count))
		return CALL_ENDS;
	for (int32_t i = 0; i < request.topics.count; i++)
		more += twins[i] == NAME_ALONE ? growth_of(call, &request.topics.at[i]) : 0;
	creating.too_many = more > KAFKA_PARTITIONS_MAX;
	creating.validate_only = request.validate_only;
	for (int32_t i = 0; i < request.topics.count; i++)
		if (twins[i] != NAME_AGAIN)
			grow(&creating, &request.topics.at[i], twins[i] == NAME_FIRST,
			     &response.results.at[count++]);
	response.results.count = count;
	return call_answer(call, &response);
}

/* ---- DeleteRecords ---- */

static enum kafka_error delete_records(struct kafka_call *call, struct topic *topic,
				       const struct kafka_delete_records_request_partition *from,
				       int64_t *ret_low)
{
	struct partition *partition = topic ? topic_partition(topic, from->partition_index) : NULL;
	struct client_text client;
	enum kafka_error error;

	if (!partition)
		return KAFKA_UNKNOWN_TOPIC_OR_PARTITION;
	if (kafka_topic_is_internal(slice_of(topic_name(topic))))
		return KAFKA_INVALID_TOPIC_EXCEPTION;
	if (!topic_config_lists(topic_config_value(topic, TOPIC_CONFIG_CLEANUP_POLICY),
				TOPIC_CLEANUP_DELETE))
		return KAFKA_POLICY_VIOLATION;
	if (from->offset < -1)
		return KAFKA_OFFSET_OUT_OF_RANGE;
	error = partition_delete_records(partition, from->offset, ret_low);
	if (error != KAFKA_NONE)
		return error;
	log_bursts(sys_now_ns(), LOG_LEVEL_INFO, "%s-%d: what lies before %lld was deleted by %s",
		   topic_name(topic), from->partition_index, (long long)*ret_low,
		   log_client(call, &client));
	partition_wake(partition);
	return KAFKA_NONE;
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
			enum kafka_error error =
			    delete_records(call, topic, &from->partitions.at[n], &low);

			to->partitions.at[n].partition_index =
			    from->partitions.at[n].partition_index;
			to->partitions.at[n].error_code = (int16_t)error;
			to->partitions.at[n].low_watermark = error == KAFKA_NONE ? low : -1;
		}
		if (topic)
			topic_unref(topic);
		if (!fits)
			return CALL_ENDS;
	}
	return call_answer(call, &response);
}
