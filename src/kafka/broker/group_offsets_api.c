/*
 * Offsets of groups: OffsetCommit, OffsetFetch, OffsetDelete.
 */
#include "kafka/broker/coordinator.h"
#include "kafka/broker/durable.h"
#include "sys/sys.h"

/* ---- OffsetCommit ---- */

struct commit {
	struct kafka_call *call;
	const struct kafka_offset_commit_request *request;
	struct kafka_offset_commit_response *response;
	struct visit visit;
	int64_t wall_ms;
	int64_t expire_ms;
	unsigned accepted;
};

static struct committed value_of(const struct commit *commit,
				 const struct kafka_offset_commit_request_partition *from)
{
	return (struct committed){
	    .partition = from->partition_index,
	    .leader_epoch = from->committed_leader_epoch,
	    .offset = from->committed_offset,
	    .commit_ms = commit->wall_ms,
	    .expire_ms = commit->expire_ms,
	    .metadata = from->committed_metadata.ptr ? from->committed_metadata : slice_make("", 0),
	};
}

static enum kafka_error check_one(const struct commit *commit, const struct topic *topic,
				  const struct kafka_offset_commit_request_partition *from)
{
	int64_t max = config_value(commit->call->server->config, KAFKA_CONFIG_OFFSET_METADATA);

	if (!topic || !topic_partition(topic, from->partition_index))
		return KAFKA_UNKNOWN_TOPIC_OR_PARTITION;
	if ((int64_t)from->committed_metadata.len > max)
		return KAFKA_OFFSET_METADATA_TOO_LARGE;
	return KAFKA_NONE;
}

/* Each partition its error, `error` where there is none of its own; what is right is recorded. */
static bool record_topics(struct commit *commit, enum kafka_error error)
{
	const struct kafka_offset_commit_request *request = commit->request;
	struct kafka_offset_commit_response *response = commit->response;

	response->topics.count = request->topics.count;
	response->topics.at =
	    call_take(commit->call, (size_t)request->topics.count, sizeof(*response->topics.at));
	for (int32_t i = 0; response->topics.at && i < request->topics.count; i++) {
		const struct kafka_offset_commit_request_topic *from = &request->topics.at[i];
		struct kafka_offset_commit_response_topic *to = &response->topics.at[i];
		struct topic *topic = error == KAFKA_NONE
					  ? store_topic(commit->call->server->store, from->name)
					  : NULL;

		to->name = from->name;
		to->partitions.at = call_take(commit->call, (size_t)from->partitions.count,
					      sizeof(*to->partitions.at));
		for (int32_t n = 0; to->partitions.at && n < from->partitions.count; n++) {
			const struct kafka_offset_commit_request_partition *each =
			    &from->partitions.at[n];
			const struct committed value = value_of(commit, each);
			enum kafka_error one =
			    error != KAFKA_NONE ? error : check_one(commit, topic, each);

			to->partitions.at[n].partition_index = each->partition_index;
			to->partitions.at[n].error_code = (int16_t)one;
			if (one != KAFKA_NONE)
				continue;
			record_offset(&commit->visit.shard->writer, request->group_id, from->name,
				      &value);
			commit->accepted++;
		}
		to->partitions.count = from->partitions.count;
		if (topic)
			topic_unref(topic);
		if (!to->partitions.at)
			return false;
	}
	return response->topics.at != NULL;
}

/* What was recorded is stored: it holds from now on. Or it is not. */
static void settle(struct commit *commit, enum kafka_error stored)
{
	for (int32_t i = 0; i < commit->request->topics.count; i++) {
		const struct kafka_offset_commit_request_topic *from =
		    &commit->request->topics.at[i];

		for (int32_t n = 0; n < from->partitions.count; n++) {
			const struct committed value = value_of(commit, &from->partitions.at[n]);
			int16_t *error =
			    &commit->response->topics.at[i].partitions.at[n].error_code;

			if (*error != KAFKA_NONE)
				continue;
			*error = (int16_t)stored;
			if (stored == KAFKA_NONE && group_offsets_set(&commit->visit.found->offsets,
								      from->name, &value) < 0)
				*error = KAFKA_COORDINATOR_NOT_AVAILABLE;
		}
	}
}

static enum kafka_error may_commit(struct commit *commit)
{
	const struct kafka_offset_commit_request *request = commit->request;
	struct visit *visit = &commit->visit;

	if (!visit->found && request->generation_id_or_member_epoch >= 0)
		return commit->call->header.version >= 9 ? KAFKA_GROUP_ID_NOT_FOUND
							 : KAFKA_ILLEGAL_GENERATION;
	if (!visit_make(visit, request->group_id))
		return KAFKA_COORDINATOR_NOT_AVAILABLE;
	return group_commit(visit->found->group, request->member_id, request->group_instance_id,
			    request->generation_id_or_member_epoch, visit->time);
}

static enum handled commit_visited(struct commit *commit)
{
	struct shard *shard = commit->visit.shard;
	struct partition_appended appended = {0};
	enum kafka_error error = may_commit(commit);

	batch_begin(&shard->writer, commit->wall_ms);
	if (!record_topics(commit, error))
		return CALL_ENDS;
	if (commit->accepted > 0)
		settle(commit, shard_append(shard, commit->wall_ms, &appended));
	/* Before the answer, what it promises must be on disk. */
	commit->call->apart |= appended.wait_durable;
	if (call_answer(commit->call, commit->response) != CALL_ANSWERED)
		return CALL_ENDS;
	return appended.wait_durable
		   ? durable_wait(commit->call, shard->partition, appended.last_offset)
		   : CALL_ANSWERED;
}

enum handled handle_offset_commit(struct kafka_call *call)
{
	struct kafka_offset_commit_request request;
	struct kafka_offset_commit_response response;
	struct commit commit = {.call = call,
				.request = &request,
				.response = &response,
				.wall_ms = sys_wall_ms()};
	enum kafka_error error;
	enum handled handled;

	if (!call_decode(call, &request))
		return CALL_CLOSES;
	kafka_offset_commit_response_init(&response);
	/* Of versions 2 to 4. */
	commit.expire_ms =
	    request.retention_time_ms >= 0 ? commit.wall_ms + request.retention_time_ms : -1;
	error = visit_begin(call->server->coordinator, request.group_id, &commit.visit);
	if (error != KAFKA_NONE)
		return record_topics(&commit, error) ? call_answer(call, &response) : CALL_ENDS;
	handled = commit_visited(&commit);
	visit_end(&commit.visit);
	return handled;
}

/* ---- OffsetFetch ---- */

static const struct committed nothing = {.leader_epoch = -1, .offset = -1, .metadata = {"", 0}};

/* A copy: the group may commit anew once the lock is given back. */
static bool put_offset(struct kafka_call *call, const struct committed *committed,
		       int32_t partition,
		       struct kafka_offset_fetch_response_group_topic_partition *to)
{
	char *metadata = call_take(call, committed->metadata.len + 1, 1);

	if (!metadata)
		return false;
	memcpy(metadata, committed->metadata.ptr, committed->metadata.len);
	to->partition_index = partition;
	to->committed_offset = committed->offset;
	to->committed_leader_epoch = committed->leader_epoch;
	to->metadata = slice_make(metadata, committed->metadata.len);
	return true;
}

static bool put_asked(struct kafka_call *call, const struct coordinator_group *cg,
		      const struct kafka_offset_fetch_request_group_topic *from,
		      struct kafka_offset_fetch_response_group_topic *to)
{
	to->name = from->name;
	to->partitions.count = from->partition_indexes.count;
	to->partitions.at =
	    call_take(call, (size_t)to->partitions.count, sizeof(*to->partitions.at));
	for (int32_t i = 0; to->partitions.at && i < to->partitions.count; i++) {
		int32_t partition = from->partition_indexes.at[i];
		const struct committed *committed =
		    cg ? group_offsets_find(&cg->offsets, from->name, partition) : NULL;

		if (!put_offset(call, committed ? committed : &nothing, partition,
				&to->partitions.at[i]))
			return false;
	}
	return to->partitions.at != NULL;
}

static bool put_all_of(struct kafka_call *call, const struct committed_topic *from,
		       struct kafka_offset_fetch_response_group_topic *to)
{
	char *name = call_take(call, from->name.len + 1, 1);

	to->partitions.count = from->count;
	to->partitions.at = call_take(call, (size_t)from->count, sizeof(*to->partitions.at));
	if (!name || !to->partitions.at)
		return false;
	memcpy(name, from->name.ptr, from->name.len);
	to->name = slice_make(name, from->name.len);
	for (int32_t i = 0; i < from->count; i++)
		if (!put_offset(call, &from->entries[i], from->entries[i].partition,
				&to->partitions.at[i]))
			return false;
	return true;
}

static bool put_group_topics(struct kafka_call *call, const struct coordinator_group *cg,
			     const struct kafka_offset_fetch_request_group *from,
			     struct kafka_offset_fetch_response_group *to)
{
	int32_t count = from->topics.count >= 0 ? from->topics.count
			: cg                    ? cg->offsets.topics_count
						: 0;
	struct list *node;

	to->topics.at = call_take(call, (size_t)count, sizeof(*to->topics.at));
	if (!to->topics.at)
		return false;
	to->topics.count = count;
	for (int32_t i = 0; i < from->topics.count; i++)
		if (!put_asked(call, cg, &from->topics.at[i], &to->topics.at[i]))
			return false;
	if (from->topics.count >= 0 || !cg)
		return true;
	count = 0;
	list_for_each (node, &cg->offsets.topics)
		if (!put_all_of(call, container_of(node, struct committed_topic, node),
				&to->topics.at[count++]))
			return false;
	return true;
}

/* Version 1 has no other place for an error. */
static bool put_refused(struct kafka_call *call,
			const struct kafka_offset_fetch_request_group *from,
			struct kafka_offset_fetch_response_group *to)
{
	if (!put_group_topics(call, NULL, from, to))
		return false;
	for (int32_t i = 0; i < to->topics.count; i++)
		for (int32_t n = 0; n < to->topics.at[i].partitions.count; n++)
			to->topics.at[i].partitions.at[n].error_code = to->error_code;
	return true;
}

/* A transaction that is open may change it: whoever asks for stable offsets has to ask again. */
static void mark_unstable(const struct coordinator_group *cg,
			  struct kafka_offset_fetch_response_group *to)
{
	for (int32_t i = 0; i < to->topics.count; i++) {
		struct kafka_offset_fetch_response_group_topic *topic = &to->topics.at[i];

		for (int32_t n = 0; n < topic->partitions.count; n++) {
			struct kafka_offset_fetch_response_group_topic_partition *each =
			    &topic->partitions.at[n];

			if (!group_offsets_find(&cg->staged, topic->name, each->partition_index))
				continue;
			each->committed_offset = -1;
			each->committed_leader_epoch = -1;
			each->metadata = slice_make("", 0);
			each->error_code = KAFKA_UNSTABLE_OFFSET_COMMIT;
		}
	}
}

static bool put_group(struct kafka_call *call, bool stable,
		      const struct kafka_offset_fetch_request_group *from,
		      struct kafka_offset_fetch_response_group *to)
{
	struct visit visit;
	enum kafka_error error = visit_begin(call->server->coordinator, from->group_id, &visit);
	bool fits;

	to->group_id = from->group_id;
	to->error_code = (int16_t)error;
	if (error != KAFKA_NONE)
		return call->header.version >= 2 || put_refused(call, from, to);
	fits = put_group_topics(call, visit.found, from, to);
	if (fits && stable && visit.found && visit.found->staged.count > 0)
		mark_unstable(visit.found, to);
	visit_end(&visit);
	return fits;
}

/* Before version 8: one group, its topics at the top. The structs of topics have the same fields. */
static enum handled answer_single(struct kafka_call *call,
				  const struct kafka_offset_fetch_request *request,
				  struct kafka_offset_fetch_response *response)
{
	struct kafka_offset_fetch_response_group to = {0};
	struct kafka_offset_fetch_request_group from = {.group_id = request->group_id};

	from.topics.count = request->topics.count;
	if (request->topics.count > 0)
		from.topics.at =
		    call_take(call, (size_t)request->topics.count, sizeof(*from.topics.at));
	for (int32_t i = 0; i < request->topics.count; i++) {
		if (!from.topics.at)
			return CALL_ENDS;
		from.topics.at[i].name = request->topics.at[i].name;
		from.topics.at[i].partition_indexes.at = request->topics.at[i].partition_indexes.at;
		from.topics.at[i].partition_indexes.count =
		    request->topics.at[i].partition_indexes.count;
	}
	if (!put_group(call, request->require_stable, &from, &to))
		return CALL_ENDS;
	response->error_code = to.error_code;
	if (!call_array(call, &response->topics, to.topics.count))
		return CALL_ENDS;
	for (int32_t i = 0; i < to.topics.count; i++) {
		struct kafka_offset_fetch_response_topic *topic = &response->topics.at[i];

		topic->name = to.topics.at[i].name;
		if (!call_array(call, &topic->partitions, to.topics.at[i].partitions.count))
			return CALL_ENDS;
		for (int32_t n = 0; n < topic->partitions.count; n++) {
			const struct kafka_offset_fetch_response_group_topic_partition *each =
			    &to.topics.at[i].partitions.at[n];

			topic->partitions.at[n].partition_index = each->partition_index;
			topic->partitions.at[n].committed_offset = each->committed_offset;
			topic->partitions.at[n].committed_leader_epoch =
			    each->committed_leader_epoch;
			topic->partitions.at[n].metadata = each->metadata;
			topic->partitions.at[n].error_code = each->error_code;
		}
	}
	return call_answer(call, response);
}

enum handled handle_offset_fetch(struct kafka_call *call)
{
	struct kafka_offset_fetch_request request;
	struct kafka_offset_fetch_response response;

	if (!call_decode(call, &request))
		return CALL_CLOSES;
	kafka_offset_fetch_response_init(&response);
	if (call->header.version < 8)
		return answer_single(call, &request, &response);
	if (!call_array(call, &response.groups, request.groups.count))
		return CALL_ENDS;
	for (int32_t i = 0; i < request.groups.count; i++)
		if (!put_group(call, request.require_stable, &request.groups.at[i],
			       &response.groups.at[i]))
			return CALL_ENDS;
	return call_answer(call, &response);
}

/* ---- OffsetDelete ---- */

/* Why this one may not go. */
static enum kafka_error may_delete(const struct group *group, struct slice name,
				   const struct topic *topic, int32_t partition)
{
	if (!topic || !topic_partition(topic, partition))
		return KAFKA_UNKNOWN_TOPIC_OR_PARTITION;
	if (group->members_count > 0 && group_reads(group, name))
		return KAFKA_GROUP_SUBSCRIBED_TO_TOPIC;
	return KAFKA_NONE;
}

/* Tombstones for what may go. */
static void record_deleted(struct visit *visit,
			   const struct kafka_offset_delete_request_topic *from,
			   const struct topic *topic, struct kafka_offset_delete_response_topic *to)
{
	const struct coordinator_group *cg = visit->found;

	for (int32_t i = 0; i < from->partitions.count; i++) {
		int32_t partition = from->partitions.at[i].partition_index;
		enum kafka_error error = may_delete(cg->group, from->name, topic, partition);

		to->partitions.at[i].partition_index = partition;
		to->partitions.at[i].error_code = (int16_t)error;
		if (error == KAFKA_NONE &&
		    (group_offsets_find(&cg->offsets, from->name, partition) ||
		     group_offsets_find(&cg->staged, from->name, partition)))
			record_offset_gone(&visit->shard->writer, cg->group->id, from->name,
					   partition);
	}
}

static void remove_deleted(struct visit *visit, const struct kafka_offset_delete_response *response)
{
	for (int32_t i = 0; i < response->topics.count; i++) {
		const struct kafka_offset_delete_response_topic *topic = &response->topics.at[i];

		for (int32_t n = 0; n < topic->partitions.count; n++)
			if (topic->partitions.at[n].error_code == KAFKA_NONE) {
				group_offsets_remove(&visit->found->offsets, topic->name,
						     topic->partitions.at[n].partition_index);
				group_offsets_remove(&visit->found->staged, topic->name,
						     topic->partitions.at[n].partition_index);
			}
	}
}

static bool delete_topics(struct kafka_call *call, struct visit *visit,
			  const struct kafka_offset_delete_request *request,
			  struct kafka_offset_delete_response *response)
{
	if (!call_array(call, &response->topics, request->topics.count))
		return false;
	for (int32_t i = 0; i < request->topics.count; i++) {
		const struct kafka_offset_delete_request_topic *from = &request->topics.at[i];
		struct kafka_offset_delete_response_topic *to = &response->topics.at[i];
		struct topic *topic;

		to->name = from->name;
		if (!call_array(call, &to->partitions, from->partitions.count))
			return false;
		topic = store_topic(call->server->store, from->name);
		record_deleted(visit, from, topic, to);
		if (topic)
			topic_unref(topic);
	}
	return true;
}

/* Consumers say what they read: the rest may go. What other members need only they know. */
static enum kafka_error may_delete_of(const struct coordinator_group *cg)
{
	if (!cg)
		return KAFKA_GROUP_ID_NOT_FOUND;
	if (cg->group->members_count > 0 && !group_is_consumer(cg->group))
		return KAFKA_NON_EMPTY_GROUP;
	return KAFKA_NONE;
}

static enum handled delete_visited(struct kafka_call *call, struct visit *visit,
				   const struct kafka_offset_delete_request *request)
{
	struct kafka_offset_delete_response response;
	struct partition_appended appended = {0};
	int64_t wall_ms = sys_wall_ms();
	enum kafka_error error = may_delete_of(visit->found);

	kafka_offset_delete_response_init(&response);
	if (error == KAFKA_NONE) {
		batch_begin(&visit->shard->writer, wall_ms);
		if (!delete_topics(call, visit, request, &response))
			return CALL_ENDS;
		error = shard_append(visit->shard, wall_ms, &appended);
		if (error == KAFKA_NONE)
			remove_deleted(visit, &response);
		else
			response.topics.count = 0;
	}
	response.error_code = (int16_t)error;
	return call_answer(call, &response);
}

static enum handled refuse_delete(struct kafka_call *call, enum kafka_error error)
{
	struct kafka_offset_delete_response response;

	kafka_offset_delete_response_init(&response);
	response.error_code = (int16_t)error;
	return call_answer(call, &response);
}

enum handled handle_offset_delete(struct kafka_call *call)
{
	struct kafka_offset_delete_request request;
	enum kafka_error error;
	enum handled handled;
	struct visit visit;

	if (!call_decode(call, &request))
		return CALL_CLOSES;
	error = request.group_id.len == 0
		    ? KAFKA_INVALID_GROUP_ID
		    : visit_begin(call->server->coordinator, request.group_id, &visit);
	if (error != KAFKA_NONE)
		return refuse_delete(call, error);
	handled = delete_visited(call, &visit, &request);
	visit_end(&visit);
	return handled;
}
