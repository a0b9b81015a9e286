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

enum handled handle_api_versions(struct kafka_call *call)
{
	struct kafka_api_versions_response_api_key *keys;
	struct kafka_api_versions_response response;
	struct kafka_api_versions_request request;

	if (!call->header.unsupported && !call_decode(call, &request))
		return CALL_CLOSES;
	keys = call_take(call, kafka_apis_count, sizeof(*keys));
	if (!keys)
		return CALL_ENDS;
	kafka_api_versions_response_init(&response);
	if (call->header.unsupported)
		response.error_code = KAFKA_UNSUPPORTED_VERSION;
	response.api_keys.at = keys;
	response.api_keys.count = kafka_api_advertised(keys, call->header.unsupported);
	return call_answer(call, &response);
}
