/*
 * What there is nothing of here: access control, passwords, quotas, transactions, other replicas.
 * Tools ask for it all the same, and are answered as by a Kafka that has none of it set up.
 */
#include "kafka/broker/kafka_call.h"
#include "kafka/broker/kafka_configs.h"
#include "kafka/broker/names.h"

#define NO_ACCESS_CONTROL \
	SLICE_LITERAL("there is no access control here: everybody may do everything")

/* ---- SASL ----
 *
 * ApiVersions lists it for listeners without it too, as Kafka's does: tools tell a broker's age by
 * it, and take one that has none for 0.9. */

enum handled handle_sasl_handshake(struct kafka_call *call)
{
	struct kafka_sasl_handshake_request request;
	struct kafka_sasl_handshake_response response;

	if (!call_decode(call, &request))
		return CALL_CLOSES;
	kafka_sasl_handshake_response_init(&response);
	response.error_code = KAFKA_ILLEGAL_SASL_STATE;
	return call_answer(call, &response);
}

enum handled handle_sasl_authenticate(struct kafka_call *call)
{
	struct kafka_sasl_authenticate_request request;
	struct kafka_sasl_authenticate_response response;

	if (!call_decode(call, &request))
		return CALL_CLOSES;
	kafka_sasl_authenticate_response_init(&response);
	response.error_code = KAFKA_ILLEGAL_SASL_STATE;
	response.error_message = SLICE_LITERAL("nobody has to say who they are here");
	return call_answer(call, &response);
}

/* ---- access control ---- */

enum handled handle_describe_acls(struct kafka_call *call)
{
	struct kafka_describe_acls_request request;
	struct kafka_describe_acls_response response;

	if (!call_decode(call, &request))
		return CALL_CLOSES;
	kafka_describe_acls_response_init(&response);
	response.error_code = KAFKA_SECURITY_DISABLED;
	response.error_message = NO_ACCESS_CONTROL;
	return call_answer(call, &response);
}

enum handled handle_create_acls(struct kafka_call *call)
{
	struct kafka_create_acls_request request;
	struct kafka_create_acls_response response;

	if (!call_decode(call, &request))
		return CALL_CLOSES;
	kafka_create_acls_response_init(&response);
	if (!call_array(call, &response.results, request.creations.count))
		return CALL_ENDS;
	for (int32_t i = 0; i < request.creations.count; i++) {
		response.results.at[i].error_code = KAFKA_SECURITY_DISABLED;
		response.results.at[i].error_message = NO_ACCESS_CONTROL;
	}
	return call_answer(call, &response);
}

enum handled handle_delete_acls(struct kafka_call *call)
{
	struct kafka_delete_acls_request request;
	struct kafka_delete_acls_response response;

	if (!call_decode(call, &request))
		return CALL_CLOSES;
	kafka_delete_acls_response_init(&response);
	if (!call_array(call, &response.filter_results, request.filters.count))
		return CALL_ENDS;
	for (int32_t i = 0; i < request.filters.count; i++) {
		response.filter_results.at[i].error_code = KAFKA_SECURITY_DISABLED;
		response.filter_results.at[i].error_message = NO_ACCESS_CONTROL;
	}
	return call_answer(call, &response);
}

/* ---- quotas and passwords ---- */

static enum kafka_error
check_quota_filter(const struct kafka_describe_client_quotas_request_component *filter,
		   const char **text)
{
	enum { MATCH_EXACTLY, MATCH_DEFAULT, MATCH_ANY };

	if (!slice_eq(filter->entity_type, SLICE_LITERAL("user")) &&
	    !slice_eq(filter->entity_type, SLICE_LITERAL("client-id")) &&
	    !slice_eq(filter->entity_type, SLICE_LITERAL("ip"))) {
		*text = "quotas are of a user, a client-id or an ip";
		return KAFKA_UNSUPPORTED_VERSION;
	}
	if (filter->match_type < MATCH_EXACTLY || filter->match_type > MATCH_ANY)
		*text = "there is no such way to match";
	else if ((filter->match_type == MATCH_EXACTLY) != (filter->match.ptr != NULL))
		*text = "a name belongs to an exact match, and only there";
	return *text ? KAFKA_INVALID_REQUEST : KAFKA_NONE;
}

enum handled handle_describe_client_quotas(struct kafka_call *call)
{
	struct kafka_describe_client_quotas_request request;
	struct kafka_describe_client_quotas_response response;
	enum kafka_error error = KAFKA_NONE;
	const char *text = NULL;

	if (!call_decode(call, &request))
		return CALL_CLOSES;
	kafka_describe_client_quotas_response_init(&response);
	for (int32_t i = 0; i < request.components.count && error == KAFKA_NONE; i++)
		error = check_quota_filter(&request.components.at[i], &text);
	response.error_code = (int16_t)error;
	response.error_message = call_error_text(error, text);
	response.entries.count = error == KAFKA_NONE ? 0 : -1;
	return call_answer(call, &response);
}

enum handled handle_describe_user_scram_credentials(struct kafka_call *call)
{
	struct kafka_describe_user_scram_credentials_request request;
	struct kafka_describe_user_scram_credentials_response response;
	const enum name_twin *twins;
	struct slice *names;
	int32_t count = 0;

	if (!call_decode(call, &request))
		return CALL_CLOSES;
	kafka_describe_user_scram_credentials_response_init(&response);
	names = NAMES_TAKE(call, request.users, name);
	twins = names ? names_twins(call, names, request.users.count) : NULL;
	if (!twins || !call_array(call, &response.results, request.users.count))
		return CALL_ENDS;
	for (int32_t i = 0; i < request.users.count; i++) {
		enum kafka_error error =
		    twins[i] == NAME_ALONE ? KAFKA_RESOURCE_NOT_FOUND : KAFKA_DUPLICATE_RESOURCE;

		if (twins[i] == NAME_AGAIN)
			continue;
		response.results.at[count].user = names[i];
		response.results.at[count].error_code = (int16_t)error;
		response.results.at[count++].error_message = call_error_text(error, NULL);
	}
	response.results.count = count;
	return call_answer(call, &response);
}

/* ---- other replicas ---- */

static void elect(struct topic *topic, int32_t number,
		  struct kafka_elect_leaders_response_partition_result *to)
{
	bool there = topic && topic_partition(topic, number);

	to->partition_id = number;
	to->error_code = there ? KAFKA_ELECTION_NOT_NEEDED : KAFKA_UNKNOWN_TOPIC_OR_PARTITION;
	to->error_message = call_error_text(to->error_code, NULL);
}

/* Each partition has the leader it can have. */
enum handled handle_elect_leaders(struct kafka_call *call)
{
	struct kafka_elect_leaders_request request;
	struct kafka_elect_leaders_response response;

	if (!call_decode(call, &request))
		return CALL_CLOSES;
	kafka_elect_leaders_response_init(&response);
	if (request.election_type != 0 && request.election_type != 1) {
		response.error_code = KAFKA_INVALID_REQUEST;
		return call_answer(call, &response);
	}
	/* All of them: what is told are those for which something was done. */
	if (request.topic_partitions.count < 0)
		return call_answer(call, &response);
	if (!call_array(call, &response.replica_election_results, request.topic_partitions.count))
		return CALL_ENDS;
	for (int32_t i = 0; i < request.topic_partitions.count; i++) {
		const struct kafka_elect_leaders_request_topic_partition *from =
		    &request.topic_partitions.at[i];
		struct kafka_elect_leaders_response_replica_election_result *to =
		    &response.replica_election_results.at[i];
		struct topic *topic;

		to->topic = from->topic;
		if (!call_array(call, &to->partition_result, from->partitions.count))
			return CALL_ENDS;
		topic = store_topic(call->server->store, from->topic);
		for (int32_t n = 0; n < from->partitions.count; n++)
			elect(topic, from->partitions.at[n], &to->partition_result.at[n]);
		if (topic)
			topic_unref(topic);
	}
	return call_answer(call, &response);
}

enum handled handle_list_partition_reassignments(struct kafka_call *call)
{
	struct kafka_list_partition_reassignments_request request;
	struct kafka_list_partition_reassignments_response response;

	if (!call_decode(call, &request))
		return CALL_CLOSES;
	kafka_list_partition_reassignments_response_init(&response);
	response.error_message = slice_make(NULL, 0);
	return call_answer(call, &response);
}

/* A partition is to be where it is, or to stay there: nothing else can be asked of one broker. */
static void reassign(struct kafka_call *call, const struct topic *topic,
		     const struct kafka_alter_partition_reassignments_request_partition *from,
		     struct kafka_alter_partition_reassignments_response_partition *to)
{
	enum kafka_error error = KAFKA_NONE;
	const char *text = NULL;

	if (!topic || !topic_partition(topic, from->partition_index))
		error = KAFKA_UNKNOWN_TOPIC_OR_PARTITION;
	else if (from->replicas.count < 0)
		error = KAFKA_NO_REASSIGNMENT_IN_PROGRESS;
	else
		error = call_check_place(call, from->replicas.at, from->replicas.count, &text);
	to->partition_index = from->partition_index;
	to->error_code = (int16_t)error;
	to->error_message = call_error_text(error, text);
}

enum handled handle_alter_partition_reassignments(struct kafka_call *call)
{
	struct kafka_alter_partition_reassignments_request request;
	struct kafka_alter_partition_reassignments_response response;

	if (!call_decode(call, &request))
		return CALL_CLOSES;
	kafka_alter_partition_reassignments_response_init(&response);
	response.allow_replication_factor_change = request.allow_replication_factor_change;
	response.error_message = slice_make(NULL, 0);
	if (!call_array(call, &response.responses, request.topics.count))
		return CALL_ENDS;
	for (int32_t i = 0; i < request.topics.count; i++) {
		const struct kafka_alter_partition_reassignments_request_topic *from =
		    &request.topics.at[i];
		struct kafka_alter_partition_reassignments_response_response *to =
		    &response.responses.at[i];
		struct topic *topic;

		to->name = from->name;
		if (!call_array(call, &to->partitions, from->partitions.count))
			return CALL_ENDS;
		topic = store_topic(call->server->store, from->name);
		for (int32_t n = 0; n < from->partitions.count; n++)
			reassign(call, topic, &from->partitions.at[n], &to->partitions.at[n]);
		if (topic)
			topic_unref(topic);
	}
	return call_answer(call, &response);
}

/* ---- the quorum: this broker alone, without a log of metadata ---- */

#define METADATA_TOPIC "__cluster_metadata"

static bool asks_for_metadata(const struct kafka_describe_quorum_request *request)
{
	return request->topics.count == 1 &&
	       slice_eq(request->topics.at[0].topic_name, SLICE_LITERAL(METADATA_TOPIC)) &&
	       request->topics.at[0].partitions.count == 1 &&
	       request->topics.at[0].partitions.at[0].partition_index == 0;
}

static bool put_quorum(struct kafka_call *call, struct kafka_describe_quorum_response_partition *to)
{
	to->leader_id = store_node_id(call->server->store);
	to->leader_epoch = 1;
	if (!call_array(call, &to->current_voters, 1))
		return false;
	to->current_voters.at[0].replica_id = to->leader_id;
	to->current_voters.at[0].last_fetch_timestamp = call_wall_ms();
	to->current_voters.at[0].last_caught_up_timestamp =
	    to->current_voters.at[0].last_fetch_timestamp;
	return true;
}

static bool put_quorum_node(struct kafka_call *call, struct kafka_describe_quorum_response *to)
{
	struct kafka_describe_quorum_response_listener *listener;

	if (!call_array(call, &to->nodes, 1) || !call_array(call, &to->nodes.at[0].listeners, 1))
		return false;
	to->nodes.at[0].node_id = store_node_id(call->server->store);
	listener = &to->nodes.at[0].listeners.at[0];
	listener->name =
	    call->listener->name[0] ? slice_of(call->listener->name) : SLICE_LITERAL("PLAINTEXT");
	listener->host = slice_of(call->listener->host);
	listener->port = (int16_t)call->listener->port;
	return true;
}

/* Of anything but that one partition there is no quorum. */
static bool put_no_quorum(struct kafka_call *call,
			  const struct kafka_describe_quorum_request_topic *from,
			  struct kafka_describe_quorum_response_topic *to)
{
	to->topic_name = from->topic_name;
	if (!call_array(call, &to->partitions, from->partitions.count))
		return false;
	for (int32_t i = 0; i < from->partitions.count; i++) {
		to->partitions.at[i].partition_index = from->partitions.at[i].partition_index;
		to->partitions.at[i].error_code = KAFKA_UNKNOWN_TOPIC_OR_PARTITION;
		to->partitions.at[i].error_message =
		    call_error_text(KAFKA_UNKNOWN_TOPIC_OR_PARTITION, NULL);
	}
	return true;
}

enum handled handle_describe_quorum(struct kafka_call *call)
{
	struct kafka_describe_quorum_request request;
	struct kafka_describe_quorum_response response;
	bool found, fits = true;

	if (!call_decode(call, &request))
		return CALL_CLOSES;
	kafka_describe_quorum_response_init(&response);
	found = asks_for_metadata(&request);
	if (!call_array(call, &response.topics, request.topics.count))
		return CALL_ENDS;
	for (int32_t i = 0; fits && i < request.topics.count; i++)
		fits = put_no_quorum(call, &request.topics.at[i], &response.topics.at[i]);
	if (fits && found) {
		struct kafka_describe_quorum_response_partition *partition =
		    &response.topics.at[0].partitions.at[0];

		partition->error_code = KAFKA_NONE;
		partition->error_message = slice_make("", 0);
		fits = put_quorum(call, partition) && put_quorum_node(call, &response);
	}
	return fits ? call_answer(call, &response) : CALL_ENDS;
}

/* There are no features, so none can have another level; who wants no change gets it. */
enum handled handle_update_features(struct kafka_call *call)
{
	struct kafka_update_features_request request;
	struct kafka_update_features_response response;
	const char *text = NULL;

	if (!call_decode(call, &request))
		return CALL_CLOSES;
	kafka_update_features_response_init(&response);
	if (request.feature_updates.count > 0) {
		struct slice name = request.feature_updates.at[0].feature;

		response.error_code = KAFKA_INVALID_UPDATE_VERSION;
		text =
		    call_printf(call, "there is no feature '%.*s' here", (int)name.len, name.ptr);
	}
	response.error_message = call_error_text(response.error_code, text);
	return call_answer(call, &response);
}

/* No other broker is registered, and this one serves. */
enum handled handle_unregister_broker(struct kafka_call *call)
{
	struct kafka_unregister_broker_request request;
	struct kafka_unregister_broker_response response;
	const char *text;

	if (!call_decode(call, &request))
		return CALL_CLOSES;
	kafka_unregister_broker_response_init(&response);
	if (request.broker_id == store_node_id(call->server->store)) {
		response.error_code = KAFKA_INVALID_REQUEST;
		text = "this is the broker that serves: it can't be unregistered";
	} else {
		response.error_code = KAFKA_BROKER_ID_NOT_REGISTERED;
		text = call_printf(call, "there is no broker %d", request.broker_id);
	}
	response.error_message = call_error_text(response.error_code, text);
	return call_answer(call, &response);
}

/* ---- transactions ---- */

enum handled handle_describe_transactions(struct kafka_call *call)
{
	struct kafka_describe_transactions_request request;
	struct kafka_describe_transactions_response response;

	if (!call_decode(call, &request))
		return CALL_CLOSES;
	kafka_describe_transactions_response_init(&response);
	if (!call_array(call, &response.transaction_states, request.transactional_ids.count))
		return CALL_ENDS;
	for (int32_t i = 0; i < request.transactional_ids.count; i++) {
		struct slice id = request.transactional_ids.at[i];

		response.transaction_states.at[i].transactional_id = id;
		response.transaction_states.at[i].error_code =
		    id.len == 0 ? KAFKA_INVALID_REQUEST : KAFKA_TRANSACTIONAL_ID_NOT_FOUND;
	}
	return call_answer(call, &response);
}

static bool is_transaction_state(struct slice name)
{
	static const char *const states[] = {
	    "Empty",          "Ongoing",       "PrepareCommit", "PrepareAbort",
	    "CompleteCommit", "CompleteAbort", "Dead",          "PrepareEpochFence",
	};

	for (size_t i = 0; i < ARRAY_SIZE(states); i++)
		if (slice_eq(name, slice_of(states[i])))
			return true;
	return false;
}

enum handled handle_list_transactions(struct kafka_call *call)
{
	struct kafka_list_transactions_request request;
	struct kafka_list_transactions_response response;
	int32_t unknown = 0;

	if (!call_decode(call, &request))
		return CALL_CLOSES;
	kafka_list_transactions_response_init(&response);
	if (!call_array(call, &response.unknown_state_filters, request.state_filters.count))
		return CALL_ENDS;
	for (int32_t i = 0; i < request.state_filters.count; i++)
		if (!is_transaction_state(request.state_filters.at[i]))
			response.unknown_state_filters.at[unknown++] = request.state_filters.at[i];
	response.unknown_state_filters.count = unknown;
	return call_answer(call, &response);
}

/* ---- what has settings: topics and the broker; groups and client metrics have none here ---- */

static void put_resource(struct slice name, enum config_resource type,
			 struct kafka_list_config_resources_response_config_resource *to)
{
	*to = (struct kafka_list_config_resources_response_config_resource){.resource_name = name,
									    .resource_type =
										(int8_t)type};
}

struct wanted_types {
	bool topics, broker;
	enum kafka_error error;
};

static struct wanted_types wanted_types(const struct kafka_call *call,
					const struct kafka_list_config_resources_request *request)
{
	/* Version 0 is about client metrics alone. */
	bool all = call->header.version >= 1 && request->resource_types.count <= 0;
	struct wanted_types wanted = {.topics = all, .broker = all};

	for (int32_t i = 0; i < request->resource_types.count; i++) {
		int8_t type = request->resource_types.at[i];

		wanted.topics |= type == RESOURCE_TOPIC;
		wanted.broker |= type == RESOURCE_BROKER;
		if (type != RESOURCE_TOPIC && type != RESOURCE_BROKER &&
		    type != RESOURCE_BROKER_LOGGER && type != RESOURCE_CLIENT_METRICS &&
		    type != RESOURCE_GROUP)
			wanted.error = KAFKA_UNSUPPORTED_VERSION;
	}
	return wanted;
}

enum handled handle_list_config_resources(struct kafka_call *call)
{
	struct kafka_list_config_resources_request request;
	struct kafka_list_config_resources_response response;
	struct slice *topics;
	const char *node;
	struct wanted_types wanted;
	int32_t count, to = 0;

	if (!call_decode(call, &request))
		return CALL_CLOSES;
	kafka_list_config_resources_response_init(&response);
	wanted = wanted_types(call, &request);
	response.error_code = (int16_t)wanted.error;
	if (wanted.error != KAFKA_NONE)
		return call_answer(call, &response);
	topics = names_of_topics(call, &count);
	node = call_printf(call, "%d", store_node_id(call->server->store));
	if (!topics || !node || !call_array(call, &response.config_resources, count + 1))
		return CALL_ENDS;
	if (wanted.broker)
		put_resource(slice_of(node), RESOURCE_BROKER, &response.config_resources.at[to++]);
	for (int32_t i = 0; wanted.topics && i < count; i++)
		put_resource(topics[i], RESOURCE_TOPIC, &response.config_resources.at[to++]);
	response.config_resources.count = to;
	return call_answer(call, &response);
}
