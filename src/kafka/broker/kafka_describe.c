/*
 * What the broker tells of itself and its logs: DescribeCluster, DescribeTopicPartitions,
 * DescribeLogDirs, DescribeProducers, OffsetForLeaderEpoch.
 */
#include "kafka/broker/kafka_call.h"
#include "kafka/broker/names.h"
#include "sys/sys.h"

#define ENDPOINT_BROKERS 1

/* ---- DescribeCluster ---- */

enum handled handle_describe_cluster(struct kafka_call *call)
{
	struct kafka_server *server = call->server;
	struct kafka_describe_cluster_request request;
	struct kafka_describe_cluster_response response;

	if (!call_decode(call, &request))
		return CALL_CLOSES;
	kafka_describe_cluster_response_init(&response);
	if (request.endpoint_type != ENDPOINT_BROKERS) {
		response.error_code = request.endpoint_type == 2 ? KAFKA_MISMATCHED_ENDPOINT_TYPE
								 : KAFKA_UNSUPPORTED_ENDPOINT_TYPE;
		response.error_message = call_error_text(response.error_code, NULL);
		return call_answer(call, &response);
	}
	if (!call_array(call, &response.brokers, 1))
		return CALL_ENDS;
	response.brokers.at[0].broker_id = store_node_id(server->store);
	response.brokers.at[0].host = slice_of(call->listener->host);
	response.brokers.at[0].port = call->listener->port;
	response.brokers.at[0].rack = config_slice(server->config, KAFKA_TEXT_RACK);
	response.cluster_id = slice_of(store_cluster_id(server->store));
	response.controller_id = store_node_id(server->store);
	if (request.include_cluster_authorized_operations)
		response.cluster_authorized_operations = OPERATIONS_ON_CLUSTER;
	return call_answer(call, &response);
}

/* ---- DescribeTopicPartitions ---- */

struct paging {
	struct kafka_call *call;
	struct kafka_describe_topic_partitions_response *response;
	int32_t *node; /* an array of one */
	int32_t left;
	bool full;   /* what is left stands in the cursor */
	bool failed; /* no memory */
};

static bool put_partitions(struct paging *p, struct topic *topic, int32_t first,
			   struct kafka_describe_topic_partitions_response_topic *to)
{
	int32_t count = topic_partition_count(topic) - first;

	count = count < 0 ? 0 : count < p->left ? count : p->left;
	if (!call_work(p->call, (size_t)count) || !call_array(p->call, &to->partitions, count))
		return false;
	for (int32_t i = 0; i < count; i++) {
		struct kafka_describe_topic_partitions_response_partition *part =
		    &to->partitions.at[i];
		struct partition_ends ends = {.leader_epoch = -1};
		bool here = partition_ends(topic_partition(topic, first + i), &ends) == KAFKA_NONE;

		part->error_code = here ? KAFKA_NONE : KAFKA_LEADER_NOT_AVAILABLE;
		part->partition_index = first + i;
		part->leader_id = here ? *p->node : -1;
		part->leader_epoch = ends.leader_epoch;
		part->replica_nodes.at = p->node;
		part->replica_nodes.count = 1;
		part->isr_nodes.at = p->node;
		part->isr_nodes.count = here;
		part->offline_replicas.at = p->node;
		part->offline_replicas.count = !here;
	}
	p->left -= count;
	return true;
}

static bool set_cursor(struct paging *p, struct slice name, int32_t partition)
{
	p->full = true;
	p->response->next_cursor = call_take(p->call, 1, sizeof(*p->response->next_cursor));
	if (!p->response->next_cursor)
		return false;
	p->response->next_cursor->topic_name = name;
	p->response->next_cursor->partition_index = partition;
	return true;
}

static bool page_topic(struct paging *p, struct slice name, int32_t first)
{
	struct kafka_describe_topic_partitions_response_topic *to =
	    &p->response->topics.at[p->response->topics.count];
	struct topic *topic;
	bool fits = true;

	if (!call_step(p->call, 1))
		return false;
	if (p->left == 0)
		return set_cursor(p, name, first);
	p->response->topics.count++;
	to->name = name;
	to->topic_authorized_operations = OPERATIONS_ON_TOPIC;
	topic = store_topic(p->call->server->store, name);
	if (!topic) {
		to->error_code = store_topic_name_valid(name) ? KAFKA_UNKNOWN_TOPIC_OR_PARTITION
							      : KAFKA_INVALID_TOPIC_EXCEPTION;
		return true;
	}
	to->topic_id = *topic_id(topic);
	to->is_internal = kafka_topic_is_internal(name);
	fits = put_partitions(p, topic, first, to);
	if (fits && first + to->partitions.count < topic_partition_count(topic))
		fits = set_cursor(p, name, first + to->partitions.count);
	topic_unref(topic);
	return fits;
}

/* The names that were asked for, or all there are; sorted, as cursors need. */
static struct slice *take_names(struct kafka_call *call,
				const struct kafka_describe_topic_partitions_request *request,
				int32_t *ret_count)
{
	struct slice *names;

	if (request->topics.count == 0)
		return names_of_topics(call, ret_count);
	names = NAMES_TAKE(call, request->topics, name);
	if (names)
		*ret_count = names_settle(names, request->topics.count);
	return names;
}

/* Whoever pages goes on with what it asked for before. */
static bool is_cursor_good(const struct kafka_describe_topic_partitions_request *request,
			   const struct slice *names, int32_t count)
{
	if (!request->cursor)
		return true;
	if (request->cursor->partition_index < 0)
		return false;
	if (request->topics.count == 0)
		return true;
	for (int32_t i = 0; i < count; i++)
		if (slice_eq(names[i], request->cursor->topic_name))
			return true;
	return false;
}

static void page_all(struct paging *p,
		     const struct kafka_describe_topic_partitions_request *request,
		     const struct slice *names, int32_t count)
{
	bool good = is_cursor_good(request, names, count);

	p->response->topics.count = 0;
	for (int32_t i = 0; i < count && !p->full && !p->failed; i++) {
		int32_t first = 0;

		if (!good) {
			p->response->topics.at[p->response->topics.count++] =
			    (struct kafka_describe_topic_partitions_response_topic){
				.error_code = KAFKA_INVALID_REQUEST,
				.name = names[i],
				.topic_authorized_operations = OPERATIONS_UNKNOWN};
			continue;
		}
		if (request->cursor && slice_compare(names[i], request->cursor->topic_name) < 0)
			continue;
		if (request->cursor && slice_eq(names[i], request->cursor->topic_name))
			first = request->cursor->partition_index;
		p->failed = !page_topic(p, names[i], first);
	}
}

enum handled handle_describe_topic_partitions(struct kafka_call *call)
{
	struct kafka_describe_topic_partitions_request request;
	struct kafka_describe_topic_partitions_response response;
	struct paging p = {.call = call, .response = &response};
	int32_t count = 0, most;
	struct slice *names;

	if (!call_decode(call, &request))
		return CALL_CLOSES;
	kafka_describe_topic_partitions_response_init(&response);
	names = take_names(call, &request, &count);
	p.node = call_take(call, 1, sizeof(*p.node));
	if (!names || !p.node || !call_array(call, &response.topics, count))
		return CALL_ENDS;
	*p.node = store_node_id(call->server->store);
	p.left = request.response_partition_limit;
	if (p.left < 1)
		p.left = 1;
	most = (int32_t)config_value(call->server->config, KAFKA_CONFIG_REQUEST_PARTITIONS);
	if (p.left > most)
		p.left = most;
	page_all(&p, &request, names, count);
	return p.failed ? CALL_ENDS : call_answer(call, &response);
}

/* ---- DescribeLogDirs ---- */

static bool put_sizes(struct kafka_call *call, struct topic *topic, const int32_t *asked,
		      int32_t asked_count, struct kafka_describe_log_dirs_response_topic *to)
{
	int32_t count = asked_count >= 0 ? asked_count : topic_partition_count(topic);

	to->name = call_keep(call, slice_of(topic_name(topic)));
	if (!to->name.ptr || !call_array(call, &to->partitions, count))
		return false;
	to->partitions.count = 0;
	for (int32_t i = 0; i < count; i++) {
		int32_t number = asked_count >= 0 ? asked[i] : i;
		struct partition *partition = topic_partition(topic, number);

		if (!call_work(call, 1))
			return false;
		if (!partition)
			continue;
		to->partitions.at[to->partitions.count++] =
		    (struct kafka_describe_log_dirs_response_partition){
			.partition_index = number,
			.partition_size = (int64_t)partition_bytes(partition)};
	}
	return true;
}

static bool put_all_sizes(struct kafka_call *call,
			  struct kafka_describe_log_dirs_response_result *to)
{
	struct slice after = slice_make(NULL, 0);
	struct store_stats stats;
	struct topic *topic;
	int32_t room;
	bool fits = true;

	store_stats(call->server->store, &stats);
	room = (int32_t)stats.topics + 16;
	if (!call_array(call, &to->topics, room))
		return false;
	to->topics.count = 0;
	while (fits && to->topics.count < room &&
	       (topic = store_topic_next(call->server->store, after))) {
		struct kafka_describe_log_dirs_response_topic *each =
		    &to->topics.at[to->topics.count++];

		fits = put_sizes(call, topic, NULL, -1, each);
		topic_unref(topic);
		after = each->name;
	}
	return fits;
}

static bool put_asked_sizes(struct kafka_call *call,
			    const struct kafka_describe_log_dirs_request *request,
			    struct kafka_describe_log_dirs_response_result *to)
{
	bool fits = call_array(call, &to->topics, request->topics.count);

	to->topics.count = 0;
	for (int32_t i = 0; fits && i < request->topics.count; i++) {
		const struct kafka_describe_log_dirs_request_topic *from = &request->topics.at[i];
		struct topic *topic = store_topic(call->server->store, from->topic);

		fits = call_work(call, 1);
		if (!topic)
			continue;
		fits = fits && put_sizes(call, topic, from->partitions.at, from->partitions.count,
					 &to->topics.at[to->topics.count]);
		to->topics.count += fits && to->topics.at[to->topics.count].partitions.count > 0;
		topic_unref(topic);
	}
	return fits;
}

enum handled handle_describe_log_dirs(struct kafka_call *call)
{
	struct kafka_describe_log_dirs_request request;
	struct kafka_describe_log_dirs_response response;
	uint64_t total, usable;

	if (!call->may_block)
		return CALL_BLOCKS;
	if (!call_decode(call, &request))
		return CALL_CLOSES;
	kafka_describe_log_dirs_response_init(&response);
	if (!call_array(call, &response.results, 1))
		return CALL_ENDS;
	response.results.at[0].log_dir = slice_of(store_path(call->server->store));
	response.results.at[0].total_bytes = response.results.at[0].usable_bytes = -1;
	if (sys_statfs_bytes(store_dir_fd(call->server->store), &total, &usable) == 0) {
		response.results.at[0].total_bytes = (int64_t)total;
		response.results.at[0].usable_bytes = (int64_t)usable;
	}
	if (request.topics.count < 0 ? !put_all_sizes(call, response.results.at)
				     : !put_asked_sizes(call, &request, response.results.at))
		return CALL_ENDS;
	return call_answer(call, &response);
}

/* ---- DescribeProducers ---- */

static bool put_producers(struct kafka_call *call, struct partition *partition,
			  struct kafka_describe_producers_response_partition *to)
{
	struct partition_producer *found, none;
	unsigned room, count;

	to->error_message = slice_make(NULL, 0);
	if (!partition) {
		to->error_code = KAFKA_UNKNOWN_TOPIC_OR_PARTITION;
		return true;
	}
	room = partition_producers(partition, &none, 0);
	found = call_work(call, room) ? call_take(call, room, sizeof(*found)) : NULL;
	/* More may have come since. */
	count = found ? (unsigned)min_u64(partition_producers(partition, found, room), room) : 0;
	if (!found || !call_array(call, &to->active_producers, count))
		return false;
	for (unsigned i = 0; i < count; i++)
		to->active_producers.at[i] =
		    (struct kafka_describe_producers_response_active_producer){
			.producer_id = found[i].id,
			.producer_epoch = found[i].epoch,
			.last_sequence = found[i].last_sequence,
			.last_timestamp = found[i].last_timestamp,
			.coordinator_epoch = found[i].coordinator_epoch,
			.current_txn_start_offset = found[i].transaction_start,
		    };
	return true;
}

enum handled handle_describe_producers(struct kafka_call *call)
{
	struct kafka_describe_producers_request request;
	struct kafka_describe_producers_response response;

	if (!call_decode(call, &request))
		return CALL_CLOSES;
	kafka_describe_producers_response_init(&response);
	if (!call_array(call, &response.topics, request.topics.count))
		return CALL_ENDS;
	for (int32_t i = 0; i < request.topics.count; i++) {
		const struct kafka_describe_producers_request_topic *from = &request.topics.at[i];
		struct kafka_describe_producers_response_topic *to = &response.topics.at[i];
		struct topic *topic = store_topic(call->server->store, from->name);
		bool fits = call_array(call, &to->partitions, from->partition_indexes.count);

		to->name = from->name;
		for (int32_t n = 0; fits && n < from->partition_indexes.count; n++) {
			int32_t number = from->partition_indexes.at[n];

			to->partitions.at[n].partition_index = number;
			fits = call_step(call, 1) &&
			       put_producers(call, topic ? topic_partition(topic, number) : NULL,
					     &to->partitions.at[n]);
		}
		if (topic)
			topic_unref(topic);
		if (!fits)
			return CALL_ENDS;
	}
	return call_answer(call, &response);
}

/* ---- OffsetForLeaderEpoch ---- */

static void put_epoch(struct partition *partition,
		      const struct kafka_offset_for_leader_epoch_request_partition *from,
		      struct kafka_offset_for_leader_epoch_response_partition *to)
{
	struct partition_ends ends;
	enum kafka_error error = call_partition_ends(partition, from->current_leader_epoch, &ends);
	int32_t epoch = -1;
	int64_t end = -1;

	if (error == KAFKA_NONE)
		error = partition_epoch_end(partition, from->leader_epoch, &epoch, &end);
	to->error_code = (int16_t)error;
	to->partition = from->partition;
	to->leader_epoch = error == KAFKA_NONE ? epoch : -1;
	to->end_offset = error == KAFKA_NONE ? end : -1;
}

enum handled handle_offset_for_leader_epoch(struct kafka_call *call)
{
	struct kafka_offset_for_leader_epoch_request request;
	struct kafka_offset_for_leader_epoch_response response;

	if (!call_decode(call, &request))
		return CALL_CLOSES;
	kafka_offset_for_leader_epoch_response_init(&response);
	if (!call_array(call, &response.topics, request.topics.count))
		return CALL_ENDS;
	for (int32_t i = 0; i < request.topics.count; i++) {
		const struct kafka_offset_for_leader_epoch_request_topic *from =
		    &request.topics.at[i];
		struct kafka_offset_for_leader_epoch_response_topic *to = &response.topics.at[i];
		struct topic *topic = store_topic(call->server->store, from->topic);
		bool fits = call_array(call, &to->partitions, from->partitions.count);

		to->topic = from->topic;
		for (int32_t n = 0; fits && n < from->partitions.count; n++) {
			put_epoch(topic ? topic_partition(topic, from->partitions.at[n].partition)
					: NULL,
				  &from->partitions.at[n], &to->partitions.at[n]);
			fits = call_step(call, 1);
		}
		if (topic)
			topic_unref(topic);
		if (!fits)
			return CALL_ENDS;
	}
	return call_answer(call, &response);
}
