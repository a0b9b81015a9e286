/*
 * The APIs that are answered: one table.
 */
#include "kafka/broker/kafka_call.h"

static const struct {
	int16_t key;
	enum handled (*handle)(struct kafka_call *call);
} handlers[] = {
    {KAFKA_API_PRODUCE, handle_produce},
    {KAFKA_API_FETCH, handle_fetch},
    {KAFKA_API_LIST_OFFSETS, handle_list_offsets},
    {KAFKA_API_METADATA, handle_metadata},
    {KAFKA_API_OFFSET_COMMIT, handle_offset_commit},
    {KAFKA_API_OFFSET_FETCH, handle_offset_fetch},
    {KAFKA_API_FIND_COORDINATOR, handle_find_coordinator},
    {KAFKA_API_JOIN_GROUP, handle_join_group},
    {KAFKA_API_HEARTBEAT, handle_heartbeat},
    {KAFKA_API_LEAVE_GROUP, handle_leave_group},
    {KAFKA_API_SYNC_GROUP, handle_sync_group},
    {KAFKA_API_DESCRIBE_GROUPS, handle_describe_groups},
    {KAFKA_API_LIST_GROUPS, handle_list_groups},
    {KAFKA_API_API_VERSIONS, handle_api_versions},
    {KAFKA_API_DELETE_GROUPS, handle_delete_groups},
    {KAFKA_API_OFFSET_DELETE, handle_offset_delete},
    {KAFKA_API_CREATE_TOPICS, handle_create_topics},
    {KAFKA_API_DELETE_TOPICS, handle_delete_topics},
    {KAFKA_API_DELETE_RECORDS, handle_delete_records},
    {KAFKA_API_INIT_PRODUCER_ID, handle_init_producer_id},
    {KAFKA_API_OFFSET_FOR_LEADER_EPOCH, handle_offset_for_leader_epoch},
    {KAFKA_API_DESCRIBE_CONFIGS, handle_describe_configs},
    {KAFKA_API_ALTER_CONFIGS, handle_alter_configs},
    {KAFKA_API_DESCRIBE_LOG_DIRS, handle_describe_log_dirs},
    {KAFKA_API_CREATE_PARTITIONS, handle_create_partitions},
    {KAFKA_API_INCREMENTAL_ALTER_CONFIGS, handle_incremental_alter_configs},
    {KAFKA_API_DESCRIBE_CLUSTER, handle_describe_cluster},
    {KAFKA_API_DESCRIBE_PRODUCERS, handle_describe_producers},
    {KAFKA_API_DESCRIBE_TOPIC_PARTITIONS, handle_describe_topic_partitions},
    {KAFKA_API_SASL_HANDSHAKE, handle_sasl_handshake},
    {KAFKA_API_SASL_AUTHENTICATE, handle_sasl_authenticate},
    {KAFKA_API_DESCRIBE_ACLS, handle_describe_acls},
    {KAFKA_API_CREATE_ACLS, handle_create_acls},
    {KAFKA_API_DELETE_ACLS, handle_delete_acls},
    {KAFKA_API_DESCRIBE_CLIENT_QUOTAS, handle_describe_client_quotas},
    {KAFKA_API_DESCRIBE_USER_SCRAM_CREDENTIALS, handle_describe_user_scram_credentials},
    {KAFKA_API_ELECT_LEADERS, handle_elect_leaders},
    {KAFKA_API_LIST_PARTITION_REASSIGNMENTS, handle_list_partition_reassignments},
    {KAFKA_API_DESCRIBE_TRANSACTIONS, handle_describe_transactions},
    {KAFKA_API_LIST_TRANSACTIONS, handle_list_transactions},
    {KAFKA_API_LIST_CONFIG_RESOURCES, handle_list_config_resources},
    {KAFKA_API_DESCRIBE_QUORUM, handle_describe_quorum},
    {KAFKA_API_UPDATE_FEATURES, handle_update_features},
    {KAFKA_API_UNREGISTER_BROKER, handle_unregister_broker},
    {KAFKA_API_ALTER_PARTITION_REASSIGNMENTS, handle_alter_partition_reassignments},
};

enum handled (*kafka_handler(int16_t key))(struct kafka_call *)
{
	for (size_t i = 0; i < ARRAY_SIZE(handlers); i++)
		if (handlers[i].key == key)
			return handlers[i].handle;
	return NULL;
}

/* What is in the schemas and not in the table is not said. */
int32_t kafka_api_advertised(struct kafka_api_versions_response_api_key *ret, bool itself_only)
{
	int32_t all = kafka_api_list(ret, itself_only), count = 0;

	for (int32_t i = 0; i < all; i++)
		if (kafka_handler(ret[i].api_key))
			ret[count++] = ret[i];
	return count;
}

/* Letters and digits, and '.' and '-' between them: what clients call themselves. */
static bool is_software_name(struct slice name)
{
	for (size_t i = 0; i < name.len; i++) {
		char c = name.ptr[i];
		bool plain =
		    (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');

		if (!plain && ((c != '.' && c != '-') || i == 0 || i == name.len - 1))
			return false;
	}
	return name.len > 0;
}

/* From version 5 on a client may say whom it takes us for. */
static enum kafka_error check_api_versions(const struct kafka_call *call,
					   const struct kafka_api_versions_request *request)
{
	struct store *store = call->server->store;

	if (call->header.version >= 3 && (!is_software_name(request->client_software_name) ||
					  !is_software_name(request->client_software_version)))
		return KAFKA_INVALID_REQUEST;
	if ((request->cluster_id.ptr != NULL) != (request->node_id != -1))
		return KAFKA_INVALID_REQUEST;
	if (request->cluster_id.ptr &&
	    (!slice_eq(request->cluster_id, slice_of(store_cluster_id(store))) ||
	     request->node_id != store_node_id(store)))
		return KAFKA_REBOOTSTRAP_REQUIRED;
	return KAFKA_NONE;
}

enum handled handle_api_versions(struct kafka_call *call)
{
	struct kafka_api_versions_response_api_key *keys;
	struct kafka_api_versions_response response;
	struct kafka_api_versions_request request;
	enum kafka_error error = KAFKA_UNSUPPORTED_VERSION;

	if (!call->header.unsupported) {
		if (!call_decode(call, &request))
			return CALL_CLOSES;
		error = check_api_versions(call, &request);
	}
	keys = call_take(call, kafka_apis_count, sizeof(*keys));
	if (!keys)
		return CALL_ENDS;
	kafka_api_versions_response_init(&response);
	response.error_code = (int16_t)error;
	response.api_keys.at = keys;
	if (error == KAFKA_NONE || call->header.unsupported)
		response.api_keys.count = kafka_api_advertised(keys, call->header.unsupported);
	return call_answer(call, &response);
}
