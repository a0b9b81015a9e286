/*
 * Metadata: who the brokers are (one), which topics there are and where (here). A topic that a
 * client asks for by name is made if that is allowed.
 */
#include "kafka/broker/kafka_configs.h"
#include "kafka/broker/kafka_log.h"

#include "kafka/broker/names.h"
#include "sys/sys.h"

struct asked {
	struct slice name;
	struct kafka_uuid id;
};

static const struct kafka_uuid no_id;

static bool put_partitions(struct kafka_call *call, struct topic *topic,
			   struct kafka_metadata_response_topic *to)
{
	int32_t count = topic_partition_count(topic);
	int32_t *node = call_take(call, 1, sizeof(*node));

	to->partitions.at = call_take(call, (size_t)count, sizeof(*to->partitions.at));
	to->partitions.count = count;
	if (!to->partitions.at || !node || !call_work(call, (size_t)count))
		return false;
	*node = (int32_t)store_node_id(call->server->store);
	for (int32_t i = 0; i < count; i++) {
		struct kafka_metadata_response_partition *partition = &to->partitions.at[i];
		struct partition_ends ends = {.leader_epoch = -1};

		/* An offline one has no leader. */
		bool here = partition_ends(topic_partition(topic, i), &ends) == KAFKA_NONE;

		partition->error_code = here ? KAFKA_NONE : KAFKA_LEADER_NOT_AVAILABLE;
		partition->partition_index = i;
		partition->leader_id = here ? *node : -1;
		partition->leader_epoch = ends.leader_epoch;
		partition->replica_nodes.at = node;
		partition->replica_nodes.count = 1;
		partition->isr_nodes.at = node;
		partition->isr_nodes.count = here;
		partition->offline_replicas.at = node;
		partition->offline_replicas.count = !here;
	}
	return true;
}

/* What the request asks for beside topics. */
struct wishes {
	bool may_make, operations;
	const struct making *made; /* NULL: nothing was */
};

static bool put_topic(struct kafka_call *call, struct topic *topic, const struct wishes *wishes,
		      struct kafka_metadata_response_topic *to)
{
	/* The reference may be the last. */
	to->name = call_keep(call, slice_of(topic_name(topic)));
	if (!to->name.ptr)
		return false;
	to->topic_id = *topic_id(topic);
	to->is_internal = kafka_topic_is_internal(to->name);
	to->topic_authorized_operations =
	    wishes->operations ? OPERATIONS_ON_TOPIC : OPERATIONS_UNKNOWN;
	return put_partitions(call, topic, to);
}

/* ---- topics that are asked for and not there ---- */

/* So many are made for one request, together; its client will ask again for the rest. */
struct making {
	struct store_change changes[KAFKA_CHANGES_A_STEP];
	unsigned count;
};

static bool may_be_made(const struct kafka_call *call, struct slice name)
{
	return name.ptr && store_topic_name_valid(name) && !kafka_topic_is_internal(name) &&
	       store_topic_check(call->server->store, name) == KAFKA_NONE;
}

static void make_topics(struct kafka_call *call, struct making *making)
{
	struct client_text client;

	store_topics_create(call->server->store, making->changes, making->count, &call->cancelled);
	for (unsigned i = 0; i < making->count; i++) {
		const struct store_change *change = &making->changes[i];

		if (change->error != KAFKA_NONE)
			continue;
		log_bursts(sys_now_ns(), LOG_LEVEL_INFO,
			   "topic %s was made, as it was asked for by %s",
			   topic_name(change->topic), log_client(call, &client));
		config_tell_undone(change->topic);
		topic_unref(change->topic);
	}
}

/* What has become of it; one that there was no turn for is still unknown. */
static enum kafka_error made(const struct making *making, struct slice name)
{
	for (unsigned i = 0; i < making->count; i++)
		if (slice_eq(making->changes[i].name, name))
			return making->changes[i].error;
	return KAFKA_UNKNOWN_TOPIC_OR_PARTITION;
}

enum put { PUT, PUT_BLOCKS, PUT_FAILED };

static enum put put_asked(struct kafka_call *call, const struct asked *asked,
			  const struct wishes *wishes, struct kafka_metadata_response_topic *to)
{
	struct store *store = call->server->store;
	bool by_name = asked->name.ptr != NULL;
	struct topic *topic =
	    by_name ? store_topic(store, asked->name) : store_topic_by_id(store, &asked->id);
	enum kafka_error error = KAFKA_NONE;
	bool fits = call_step(call, 1);

	if (!topic)
		error = by_name ? KAFKA_UNKNOWN_TOPIC_OR_PARTITION : KAFKA_UNKNOWN_TOPIC_ID;
	if (!topic && by_name && !store_topic_name_valid(asked->name)) {
		error = KAFKA_INVALID_TOPIC_EXCEPTION;
	} else if (!topic && by_name && wishes->may_make && !kafka_topic_is_internal(asked->name)) {
		if (!call->may_block)
			return PUT_BLOCKS;
		/* Not where one went meanwhile: its client will ask again. */
		if (wishes->made)
			error = made(wishes->made, asked->name);
	}
	if (topic) {
		fits = fits && put_topic(call, topic, wishes, to);
		topic_unref(topic);
	} else {
		to->error_code = (int16_t)error;
		to->name = asked->name;
		to->topic_id = asked->id;
		to->topic_authorized_operations = OPERATIONS_UNKNOWN;
	}
	return fits ? PUT : PUT_FAILED;
}

static enum put put_all(struct kafka_call *call, const struct wishes *wishes,
			struct kafka_metadata_response *response)
{
	struct store_stats stats;
	struct slice after = slice_make(NULL, 0);
	struct topic *topic;
	bool fits = true;

	store_stats(call->server->store, &stats);
	/* A few may come meanwhile. */
	response->topics.at = call_take(call, stats.topics + 16, sizeof(*response->topics.at));
	if (!response->topics.at)
		return PUT_FAILED;
	while (fits && response->topics.count < (int32_t)stats.topics + 16 &&
	       (topic = store_topic_next(call->server->store, after))) {
		struct kafka_metadata_response_topic *to =
		    &response->topics.at[response->topics.count++];

		fits = call_work(call, 1) && put_topic(call, topic, wishes, to);
		topic_unref(topic);
		after = to->name;
	}
	return fits ? PUT : PUT_FAILED;
}

static bool is_by_id(const struct kafka_call *call,
		     const struct kafka_metadata_request_topic *topic)
{
	return call->header.version >= 10 && memcmp(&topic->topic_id, &no_id, sizeof(no_id)) != 0;
}

/* A topic that is asked for more than once is told once, as by Kafka: or a few bytes of a request
 * could ask for any number of its partitions. NULL: no memory. */
static const enum name_twin *twins_of(struct kafka_call *call,
				      const struct kafka_metadata_request *request)
{
	struct slice *keys = NAMES_TAKE(call, request->topics, name);

	for (int32_t i = 0; keys && i < request->topics.count; i++)
		if (is_by_id(call, &request->topics.at[i]))
			keys[i] = slice_make((const char *)&request->topics.at[i].topic_id,
					     sizeof(no_id));
	return keys ? names_twins(call, keys, request->topics.count) : NULL;
}

/* On a helper, before they are told. NULL: no memory. */
static struct making *make_missing(struct kafka_call *call,
				   const struct kafka_metadata_request *request,
				   const enum name_twin *twins)
{
	int64_t partitions = config_value(call->server->config, KAFKA_CONFIG_PARTITIONS);
	unsigned most = (unsigned)max_i64(min_u64(KAFKA_CHANGES_A_STEP,
						  KAFKA_PARTITIONS_A_STEP / (uint64_t)partitions),
					  1);
	struct making *making = call_take(call, 1, sizeof(*making));

	for (int32_t i = 0; making && i < request->topics.count && making->count < most; i++) {
		const struct kafka_metadata_request_topic *topic = &request->topics.at[i];

		if (twins[i] != NAME_AGAIN && !is_by_id(call, topic) &&
		    may_be_made(call, topic->name))
			making->changes[making->count++] =
			    (struct store_change){.name = topic->name,
						  .partitions = (int32_t)partitions};
	}
	if (making && making->count > 0)
		make_topics(call, making);
	return making;
}

static bool makes_topics(const struct kafka_call *call)
{
	return config_value(call->server->config, KAFKA_CONFIG_AUTO_CREATE) != 0;
}

/* What was too much for a loop is a bulk helper's, unless topics are to be made. */
static enum handled leave_to_helper(struct kafka_call *call,
				    const struct kafka_metadata_request *request)
{
	bool makes = call->heavy && makes_topics(call) && request->allow_auto_topic_creation;

	for (int32_t i = 0; makes && i < request->topics.count; i++)
		if (!is_by_id(call, &request->topics.at[i]) &&
		    may_be_made(call, request->topics.at[i].name))
			return call_change(call);
	return CALL_ENDS;
}

static enum put put_topics(struct kafka_call *call, const struct kafka_metadata_request *request,
			   struct kafka_metadata_response *response)
{
	struct wishes wishes = {
	    .may_make = makes_topics(call) && request->allow_auto_topic_creation,
	    .operations = request->include_topic_authorized_operations,
	};
	const enum name_twin *twins;
	int32_t count = 0;
	enum put put = PUT;

	if (request->topics.count < 0 || (request->topics.count == 0 && call->header.version == 0))
		return put_all(call, &wishes, response);
	twins = twins_of(call, request);
	if (!twins || !call_array(call, &response->topics, request->topics.count))
		return PUT_FAILED;
	if (wishes.may_make && call->is_change) {
		wishes.made = make_missing(call, request, twins);
		if (!wishes.made)
			return PUT_FAILED;
	}
	for (int32_t i = 0; i < request->topics.count && put == PUT; i++) {
		const struct kafka_metadata_request_topic *topic = &request->topics.at[i];
		const struct asked asked = {
		    .name = is_by_id(call, topic) ? slice_make(NULL, 0) : topic->name,
		    .id = topic->topic_id,
		};

		if (twins[i] != NAME_AGAIN)
			put = put_asked(call, &asked, &wishes, &response->topics.at[count++]);
	}
	response->topics.count = count;
	return put;
}

enum handled handle_metadata(struct kafka_call *call)
{
	struct kafka_server *server = call->server;
	struct kafka_metadata_response_broker *broker;
	struct kafka_metadata_request request;
	struct kafka_metadata_response response;

	/* Where it is too large to be looked at, topics may have to be made. */
	if (!call_decode(call, &request))
		return call->heavy && !call->may_block && makes_topics(call) ? call_change(call)
									     : CALL_CLOSES;
	kafka_metadata_response_init(&response);
	switch (put_topics(call, &request, &response)) {
	case PUT:
		break;
	case PUT_BLOCKS:
		return call_change(call);
	case PUT_FAILED:
		return call->may_block ? CALL_ENDS : leave_to_helper(call, &request);
	}
	broker = call_take(call, 1, sizeof(*broker));
	if (!broker)
		return CALL_ENDS;
	broker->node_id = store_node_id(server->store);
	broker->host = slice_of(call->listener->host);
	broker->port = call->listener->port;
	broker->rack = config_slice(server->config, KAFKA_TEXT_RACK);
	response.brokers.at = broker;
	response.brokers.count = 1;
	response.cluster_id = slice_of(store_cluster_id(server->store));
	response.controller_id = broker->node_id;
	if (request.include_cluster_authorized_operations)
		response.cluster_authorized_operations = OPERATIONS_ON_CLUSTER;
	return call_answer(call, &response);
}
