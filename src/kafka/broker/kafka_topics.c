/*
 * Topics made and grown: CreateTopics, CreatePartitions; in steps (kafka_change.h).
 */
#include "kafka/broker/kafka_change.h"
#include "kafka/broker/kafka_configs.h"
#include "kafka/broker/kafka_log.h"
#include "kafka/broker/names.h"
#include "sys/sys.h"

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

struct creating {
	struct kafka_call *call;
	bool too_many, validate_only;
	struct kafka_create_topics_request request;
	struct kafka_create_topics_response response;
	const enum name_twin *twins;
	int32_t next; /* of the request's topics */
	struct batch batch;
	struct topic_config configs[KAFKA_CHANGES_A_STEP]; /* the batch's, as the next */
	struct kafka_create_topics_response_topic *answers[KAFKA_CHANGES_A_STEP];
};

/* NONE: it may be made. */
static enum kafka_error create_check(struct creating *creating, const new_topic *from, bool twice,
				     struct topic_config *config, int32_t *ret_partitions,
				     const char **text)
{
	*config = (struct topic_config){0};
	if (twice) {
		*text = NAMED_TWICE;
		return KAFKA_INVALID_REQUEST;
	}
	if (creating->too_many) {
		*text = too_many_text(creating->call);
		return KAFKA_POLICY_VIOLATION;
	}
	if (creating->call->ending)
		return KAFKA_NOT_CONTROLLER;
	return check_new(creating->call, from, config, ret_partitions, text);
}

/* Into the batch, or answered. */
static bool create_take(struct creating *creating, const new_topic *from, bool twice,
			struct kafka_create_topics_response_topic *to)
{
	struct batch *batch = &creating->batch;
	struct topic_config *config = &creating->configs[batch->count];
	const char *text = NULL;
	int32_t partitions = 0;
	enum kafka_error error = create_check(creating, from, twice, config, &partitions, &text);

	to->name = from->name;
	to->num_partitions = to->replication_factor = -1;
	if (error == KAFKA_NONE && !creating->validate_only) {
		creating->answers[batch->count] = to;
		batch->changes[batch->count++] = (struct store_change){.name = from->name,
								       .partitions = partitions,
								       .config = config};
		batch->partitions += partitions;
		return true;
	}
	if (error == KAFKA_NONE)
		error = make_id(&to->topic_id);
	to->error_code = (int16_t)error;
	to->error_message = call_error_text(error, text);
	return error != KAFKA_NONE || put_made(creating->call, config, partitions, to);
}

static bool create_told(struct creating *creating, const struct store_change *change,
			struct kafka_create_topics_response_topic *to)
{
	struct client_text client;

	to->error_code = (int16_t)change->error;
	to->error_message = call_error_text(change->error, NULL);
	if (change->error != KAFKA_NONE)
		return true;
	to->topic_id = *topic_id(change->topic);
	log_bursts(sys_now_ns(), LOG_LEVEL_INFO, "topic %s was made with %d partitions by %s",
		   topic_name(change->topic), change->partitions,
		   log_client(creating->call, &client));
	config_tell_undone(change->topic);
	topic_unref(change->topic);
	return put_made(creating->call, change->config, change->partitions, to);
}

static bool create_batch(struct creating *creating)
{
	struct batch *batch = &creating->batch;
	bool fits = true;

	store_topics_create(creating->call->server->store, batch->changes, batch->count,
			    &creating->call->cancelled);
	for (unsigned i = 0; i < batch->count; i++)
		fits = create_told(creating, &batch->changes[i], creating->answers[i]) && fits;
	batch->count = 0;
	batch->partitions = 0;
	return fits;
}

static enum handled create_step(struct kafka_call *call)
{
	struct creating *creating = call->state;
	int32_t count = creating->request.topics.count;

	while (creating->next < count && batch_has_room(&creating->batch)) {
		int32_t i = creating->next++;

		if (creating->twins[i] != NAME_AGAIN &&
		    !create_take(creating, &creating->request.topics.at[i],
				 creating->twins[i] == NAME_FIRST,
				 &creating->response.topics.at[creating->response.topics.count++]))
			return CALL_ENDS;
	}
	if (!create_batch(creating))
		return CALL_ENDS;
	return creating->next < count ? CALL_CONTINUES : call_answer(call, &creating->response);
}

enum handled handle_create_topics(struct kafka_call *call)
{
	struct kafka_create_topics_request request;
	struct creating *creating;
	struct slice *names;

	if (!call->may_block)
		return call_change(call);
	if (!call_decode(call, &request))
		return CALL_CLOSES;
	creating = call_take(call, 1, sizeof(*creating));
	names = NAMES_TAKE(call, request.topics, name);
	if (!creating || !names)
		return CALL_ENDS;
	kafka_create_topics_response_init(&creating->response);
	creating->twins = names_twins(call, names, request.topics.count);
	if (!creating->twins || !call_array(call, &creating->response.topics, request.topics.count))
		return CALL_ENDS;
	creating->response.topics.count = 0;
	creating->call = call;
	creating->request = request;
	creating->validate_only = request.validate_only;
	creating->too_many = wants_too_many(call, &request, creating->twins);
	return call_in_steps(call, create_step, creating);
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

struct growing {
	struct kafka_call *call;
	bool too_many, validate_only;
	struct kafka_create_partitions_request request;
	struct kafka_create_partitions_response response;
	const enum name_twin *twins;
	int32_t next;
	struct batch batch;
	int32_t before[KAFKA_CHANGES_A_STEP];
	struct kafka_create_partitions_response_result *answers[KAFKA_CHANGES_A_STEP];
};

static void grow_told(const struct growing *growing, unsigned nth)
{
	const struct store_change *change = &growing->batch.changes[nth];
	struct kafka_create_partitions_response_result *to = growing->answers[nth];
	struct client_text client;

	to->error_code = (int16_t)change->error;
	to->error_message = call_error_text(change->error, NULL);
	if (change->error == KAFKA_NONE)
		log_bursts(sys_now_ns(), LOG_LEVEL_INFO, "topic %s: %d partitions, before %d: %s",
			   topic_name(change->topic), change->partitions, growing->before[nth],
			   log_client(growing->call, &client));
}

static void grow_batch(struct growing *growing)
{
	struct batch *batch = &growing->batch;

	store_topics_grow(growing->call->server->store, batch->changes, batch->count,
			  &growing->call->cancelled);
	for (unsigned i = 0; i < batch->count; i++) {
		grow_told(growing, i);
		topic_unref(batch->changes[i].topic);
	}
	batch->count = 0;
	batch->partitions = 0;
}

/* NONE, and a topic: it may grow. */
static enum kafka_error grow_check(struct growing *growing,
				   const struct kafka_create_partitions_request_topic *from,
				   bool twice, struct topic **ret, const char **text)
{
	struct kafka_call *call = growing->call;

	*ret = NULL;
	if (twice) {
		*text = NAMED_TWICE;
		return KAFKA_INVALID_REQUEST;
	}
	if (growing->too_many) {
		*text = too_many_text(call);
		return KAFKA_POLICY_VIOLATION;
	}
	if (call->ending)
		return KAFKA_NOT_CONTROLLER;
	*ret = store_topic(call->server->store, from->name);
	return *ret ? check_growth(call, *ret, from, text) : KAFKA_UNKNOWN_TOPIC_OR_PARTITION;
}

/* Into the batch, or answered. */
static void grow_take(struct growing *growing,
		      const struct kafka_create_partitions_request_topic *from, bool twice,
		      struct kafka_create_partitions_response_result *to)
{
	struct batch *batch = &growing->batch;
	const char *text = NULL;
	struct topic *topic;
	enum kafka_error error = grow_check(growing, from, twice, &topic, &text);

	to->name = from->name;
	if (error == KAFKA_NONE && !growing->validate_only) {
		growing->before[batch->count] = topic_partition_count(topic);
		growing->answers[batch->count] = to;
		batch->partitions += from->count - growing->before[batch->count];
		batch->changes[batch->count++] =
		    (struct store_change){.topic = topic, .partitions = from->count};
		return;
	}
	if (topic)
		topic_unref(topic);
	to->error_code = (int16_t)error;
	to->error_message = call_error_text(error, text);
}

static enum handled grow_step(struct kafka_call *call)
{
	struct growing *growing = call->state;
	int32_t count = growing->request.topics.count;

	while (growing->next < count && batch_has_room(&growing->batch)) {
		int32_t i = growing->next++;

		if (growing->twins[i] != NAME_AGAIN)
			grow_take(growing, &growing->request.topics.at[i],
				  growing->twins[i] == NAME_FIRST,
				  &growing->response.results.at[growing->response.results.count++]);
	}
	grow_batch(growing);
	return growing->next < count ? CALL_CONTINUES : call_answer(call, &growing->response);
}

enum handled handle_create_partitions(struct kafka_call *call)
{
	struct kafka_create_partitions_request request;
	struct growing *growing;
	struct slice *names;
	int64_t more = 0;

	if (!call->may_block)
		return call_change(call);
	if (!call_decode(call, &request))
		return CALL_CLOSES;
	growing = call_take(call, 1, sizeof(*growing));
	names = NAMES_TAKE(call, request.topics, name);
	if (!growing || !names)
		return CALL_ENDS;
	kafka_create_partitions_response_init(&growing->response);
	growing->twins = names_twins(call, names, request.topics.count);
	if (!growing->twins || !call_array(call, &growing->response.results, request.topics.count))
		return CALL_ENDS;
	growing->response.results.count = 0;
	for (int32_t i = 0; i < request.topics.count; i++)
		more +=
		    growing->twins[i] == NAME_ALONE ? growth_of(call, &request.topics.at[i]) : 0;
	growing->call = call;
	growing->request = request;
	growing->too_many = more > KAFKA_PARTITIONS_MAX;
	growing->validate_only = request.validate_only;
	return call_in_steps(call, grow_step, growing);
}
