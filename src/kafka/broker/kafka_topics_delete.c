/*
 * Topics deleted, and the beginnings of their logs: DeleteTopics, DeleteRecords; in steps
 * (kafka_change.h).
 */
#include "kafka/broker/coordinator.h"
#include "kafka/broker/kafka_change.h"
#include "kafka/broker/kafka_log.h"
#include "kafka/broker/names.h"
#include "kafka/broker/watch.h"
#include "sys/sys.h"

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

struct deleting {
	struct kafka_call *call;
	struct kafka_delete_topics_response response;
	struct doomed_name *doomed;
	int32_t count, next;
	struct batch batch;
	struct kafka_delete_topics_response_response *answers[KAFKA_CHANGES_A_STEP];
};

static void delete_told(struct deleting *deleting, struct topic *topic, enum kafka_error error,
			struct kafka_delete_topics_response_response *to)
{
	struct kafka_server *server = deleting->call->server;
	struct client_text client;

	to->error_code = (int16_t)error;
	to->error_message = call_error_text(error, NULL);
	if (error != KAFKA_NONE)
		return;
	coordinator_topic_deleted(server->coordinator, slice_of(topic_name(topic)));
	/* Who waits for it hears that it is gone. */
	for (int32_t i = 0; i < topic_partition_count(topic); i++)
		partition_wake(topic_partition(topic, i));
	log_bursts(sys_now_ns(), LOG_LEVEL_INFO, "topic %s was deleted by %s", topic_name(topic),
		   log_client(deleting->call, &client));
}

static void delete_batch(struct deleting *deleting)
{
	struct batch *batch = &deleting->batch;

	store_topics_delete(deleting->call->server->store, batch->changes, batch->count,
			    sys_wall_ms());
	for (unsigned i = 0; i < batch->count; i++) {
		delete_told(deleting, batch->changes[i].topic, batch->changes[i].error,
			    deleting->answers[i]);
		topic_unref(batch->changes[i].topic);
	}
	batch->count = 0;
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

static struct topic *find_doomed(const struct kafka_call *call, const struct doomed_name *doomed)
{
	struct store *store = call->server->store;

	return doomed->name.ptr ? store_topic(store, doomed->name)
				: store_topic_by_id(store, &doomed->id);
}

/* Into the batch, or answered. */
static bool delete_take(struct deleting *deleting, const struct doomed_name *doomed,
			struct kafka_delete_topics_response_response *to)
{
	struct kafka_call *call = deleting->call;
	struct batch *batch = &deleting->batch;
	const char *text = NULL;
	enum kafka_error error = check_doomed(call, doomed, &text);
	struct topic *topic = NULL;

	to->name = doomed->name;
	to->topic_id = doomed->id;
	if (error == KAFKA_NONE && call->ending)
		error = KAFKA_NOT_CONTROLLER;
	if (error == KAFKA_NONE) {
		topic = find_doomed(call, doomed);
		if (!topic)
			error = doomed->name.ptr ? KAFKA_UNKNOWN_TOPIC_OR_PARTITION
						 : KAFKA_UNKNOWN_TOPIC_ID;
	}
	if (topic) {
		to->name = call_keep(call, slice_of(topic_name(topic)));
		to->topic_id = *topic_id(topic);
	}
	if (topic && kafka_topic_is_internal(slice_of(topic_name(topic)))) {
		text = TOPIC_IS_OURS;
		error = KAFKA_INVALID_TOPIC_EXCEPTION;
	}
	if (topic && error == KAFKA_NONE) {
		deleting->answers[batch->count] = to;
		batch->changes[batch->count++] = (struct store_change){.topic = topic};
		return to->name.ptr;
	}
	to->error_code = (int16_t)error;
	to->error_message = call_error_text(error, text);
	if (topic)
		topic_unref(topic);
	return !topic || to->name.ptr;
}

static enum handled delete_step(struct kafka_call *call)
{
	struct deleting *deleting = call->state;
	bool fits = true;

	while (fits && deleting->next < deleting->count && batch_has_room(&deleting->batch)) {
		const struct doomed_name *doomed = &deleting->doomed[deleting->next++];

		if (doomed->twin != NAME_AGAIN)
			fits = delete_take(
			    deleting, doomed,
			    &deleting->response.responses.at[deleting->response.responses.count++]);
	}
	delete_batch(deleting);
	if (!fits)
		return CALL_ENDS;
	return deleting->next < deleting->count ? CALL_CONTINUES
						: call_answer(call, &deleting->response);
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
	bool ids = call->header.version >= 6;
	const enum name_twin *twins;
	struct deleting *deleting;
	struct slice *keys;
	int32_t count;

	if (!call->may_block)
		return call_change(call);
	if (!call_decode(call, &request))
		return CALL_CLOSES;
	count = ids ? request.topics.count : request.topic_names.count;
	deleting = call_take(call, 1, sizeof(*deleting));
	keys = call_take(call, (size_t)count, sizeof(*keys));
	if (!deleting || !keys)
		return CALL_ENDS;
	kafka_delete_topics_response_init(&deleting->response);
	deleting->doomed = call_take(call, (size_t)count, sizeof(*deleting->doomed));
	if (!deleting->doomed || !call_array(call, &deleting->response.responses, count))
		return CALL_ENDS;
	deleting->response.responses.count = 0;
	take_doomed(&request, ids, deleting->doomed, keys, count);
	twins = names_twins(call, keys, count);
	for (int32_t i = 0; twins && i < count; i++)
		deleting->doomed[i].twin = twins[i];
	deleting->call = call;
	deleting->count = count;
	return twins ? call_in_steps(call, delete_step, deleting) : CALL_ENDS;
}

/* ---- DeleteRecords ---- */

/* So many logs are cut by one writing of their starts. */
#define DELETIONS_A_STEP 256

struct cutting {
	struct kafka_call *call;
	struct kafka_delete_records_request request;
	struct kafka_delete_records_response response;
	int32_t topic, partition; /* the next */
	struct store_deletion deletions[DELETIONS_A_STEP];
	struct topic *topics[DELETIONS_A_STEP]; /* held */
	struct kafka_delete_records_response_partition *answers[DELETIONS_A_STEP];
	unsigned count;
};

static enum kafka_error cut_check(const struct kafka_call *call, const struct topic *topic,
				  const struct kafka_delete_records_request_partition *from)
{
	if (call->ending)
		return KAFKA_NOT_LEADER_OR_FOLLOWER;
	if (!topic || !topic_partition(topic, from->partition_index))
		return KAFKA_UNKNOWN_TOPIC_OR_PARTITION;
	if (kafka_topic_is_internal(slice_of(topic_name(topic))))
		return KAFKA_INVALID_TOPIC_EXCEPTION;
	if (!topic_config_lists(topic_config_value(topic, TOPIC_CONFIG_CLEANUP_POLICY),
				TOPIC_CLEANUP_DELETE))
		return KAFKA_POLICY_VIOLATION;
	return from->offset < -1 ? KAFKA_OFFSET_OUT_OF_RANGE : KAFKA_NONE;
}

/* Into the batch, or answered. */
static void cut_take(struct cutting *cutting, const struct kafka_delete_records_request_topic *in,
		     const struct kafka_delete_records_request_partition *from,
		     struct kafka_delete_records_response_partition *to)
{
	struct topic *topic = store_topic(cutting->call->server->store, in->name);
	enum kafka_error error = cut_check(cutting->call, topic, from);

	to->partition_index = from->partition_index;
	to->error_code = (int16_t)error;
	to->low_watermark = -1;
	if (error != KAFKA_NONE) {
		if (topic)
			topic_unref(topic);
		return;
	}
	cutting->deletions[cutting->count] =
	    (struct store_deletion){.partition = topic_partition(topic, from->partition_index),
				    .offset = from->offset};
	cutting->topics[cutting->count] = topic;
	cutting->answers[cutting->count++] = to;
}

static void cut_batch(struct cutting *cutting)
{
	struct client_text client;

	store_delete_records(cutting->call->server->store, cutting->deletions, cutting->count);
	for (unsigned i = 0; i < cutting->count; i++) {
		const struct store_deletion *deletion = &cutting->deletions[i];

		cutting->answers[i]->error_code = (int16_t)deletion->error;
		if (deletion->error == KAFKA_NONE) {
			cutting->answers[i]->low_watermark = deletion->log_start;
			log_bursts(sys_now_ns(), LOG_LEVEL_INFO,
				   "%s-%d: what lies before %lld was deleted by %s",
				   topic_name(cutting->topics[i]),
				   partition_number(deletion->partition),
				   (long long)deletion->log_start,
				   log_client(cutting->call, &client));
			partition_wake(deletion->partition);
		}
		topic_unref(cutting->topics[i]);
	}
	cutting->count = 0;
}

static enum handled cut_step(struct kafka_call *call)
{
	struct cutting *cutting = call->state;

	while (cutting->topic < cutting->request.topics.count &&
	       cutting->count < DELETIONS_A_STEP) {
		const struct kafka_delete_records_request_topic *from =
		    &cutting->request.topics.at[cutting->topic];
		int32_t i = cutting->partition;

		if (i == from->partitions.count) {
			cutting->topic++;
			cutting->partition = 0;
			continue;
		}
		cut_take(cutting, from, &from->partitions.at[i],
			 &cutting->response.topics.at[cutting->topic].partitions.at[i]);
		cutting->partition++;
	}
	cut_batch(cutting);
	return cutting->topic < cutting->request.topics.count
		   ? CALL_CONTINUES
		   : call_answer(call, &cutting->response);
}

enum handled handle_delete_records(struct kafka_call *call)
{
	struct kafka_delete_records_request request;
	struct cutting *cutting;

	if (!call->may_block)
		return call_change(call);
	if (!call_decode(call, &request))
		return CALL_CLOSES;
	cutting = call_take(call, 1, sizeof(*cutting));
	if (!cutting)
		return CALL_ENDS;
	kafka_delete_records_response_init(&cutting->response);
	if (!call_array(call, &cutting->response.topics, request.topics.count))
		return CALL_ENDS;
	for (int32_t i = 0; i < request.topics.count; i++) {
		struct kafka_delete_records_response_topic *to = &cutting->response.topics.at[i];

		to->name = request.topics.at[i].name;
		if (!call_array(call, &to->partitions, request.topics.at[i].partitions.count))
			return CALL_ENDS;
	}
	cutting->call = call;
	cutting->request = request;
	return call_in_steps(call, cut_step, cutting);
}
