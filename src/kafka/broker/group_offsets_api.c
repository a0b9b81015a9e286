/*
 * Offsets of groups: OffsetCommit, OffsetFetch, OffsetDelete.
 *
 * A request may name any number of partitions. Up to what a loop handles at once they are done under the
 * shard's lock in one go, and a commit in one batch. More are a helper's, which takes the lock for one
 * step after the other, so that others of the shard (heartbeats, joins) have their turn between them.
 */
#include "kafka/broker/coordinator.h"
#include "kafka/broker/kafka_log.h"
#include "kafka/broker/durable.h"
#include "kafka/broker/flush.h"
#include "sys/sys.h"

/* ---- OffsetCommit ---- */

/* A partition of the request. */
struct commit_place {
	int32_t topic, partition;
};

struct commit {
	struct kafka_call *call;
	const struct kafka_offset_commit_request *request;
	struct kafka_offset_commit_response *response;
	struct visit visit;
	int64_t wall_ms;
	int64_t expire_ms;
	size_t step; /* partitions, and topics, that are done at once */
	struct commit_place at;
	enum kafka_error error; /* of all of a step's */
	unsigned accepted;
	struct partition *partition; /* of the shard */
	int64_t last_offset;         /* to wait for, until it is on the disk; -1: none */
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
	struct client_text client;

	if (!topic || !topic_partition(topic, from->partition_index))
		return KAFKA_UNKNOWN_TOPIC_OR_PARTITION;
	if ((int64_t)from->committed_metadata.len <= max)
		return KAFKA_NONE;
	log_limited(
	    sys_now_ns(), LOG_LEVEL_WARNING,
	    "%s: %zu bytes of metadata with an offset are refused: offset.metadata.max.bytes is "
	    "%lld",
	    log_client(commit->call, &client), from->committed_metadata.len, (long long)max);
	return KAFKA_OFFSET_METADATA_TOO_LARGE;
}

/* The answer's arrays, as many as the request has. */
static bool take_answers(struct commit *commit)
{
	const struct kafka_offset_commit_request *request = commit->request;
	struct kafka_offset_commit_response *response = commit->response;

	if (!call_array(commit->call, &response->topics, request->topics.count))
		return false;
	for (int32_t i = 0; i < request->topics.count; i++) {
		response->topics.at[i].name = request->topics.at[i].name;
		if (!call_array(commit->call, &response->topics.at[i].partitions,
				request->topics.at[i].partitions.count))
			return false;
	}
	return true;
}

/* Does one topic's partitions from `first` to `end`. */
typedef void (*commit_some)(struct commit *commit, int32_t topic, int32_t first, int32_t end);

/* From `at` on as many partitions as are done in one step: where the next one begins. */
static struct commit_place each_of_step(struct commit *commit, struct commit_place at,
					commit_some some)
{
	int32_t left = (int32_t)commit->step;

	for (; at.topic < commit->request->topics.count && left > 0;
	     at.topic++, at.partition = 0, left--) {
		int32_t count = commit->request->topics.at[at.topic].partitions.count,
			end = count - at.partition < left ? count : at.partition + left;

		some(commit, at.topic, at.partition, end);
		left -= end - at.partition;
		if (end < count) {
			at.partition = end;
			break;
		}
	}
	return at;
}

/* Each partition its error, the commit's where there is none of its own; what is right is recorded. */
static void record_some(struct commit *commit, int32_t number, int32_t first, int32_t end)
{
	const struct kafka_offset_commit_request *request = commit->request;
	const struct kafka_offset_commit_request_topic *from = &request->topics.at[number];
	struct kafka_offset_commit_response_topic *to = &commit->response->topics.at[number];
	struct topic *topic = commit->error == KAFKA_NONE
				  ? store_topic(commit->call->server->store, from->name)
				  : NULL;

	for (int32_t n = first; n < end; n++) {
		const struct kafka_offset_commit_request_partition *each = &from->partitions.at[n];
		const struct committed value = value_of(commit, each);
		enum kafka_error one =
		    commit->error != KAFKA_NONE ? commit->error : check_one(commit, topic, each);

		if (one == KAFKA_NONE &&
		    !group_offsets_reserve(&commit->visit.found->offsets, from->name, &value))
			one = KAFKA_COORDINATOR_NOT_AVAILABLE;
		to->partitions.at[n].partition_index = each->partition_index;
		to->partitions.at[n].error_code = (int16_t)one;
		if (one != KAFKA_NONE)
			continue;
		record_offset(&commit->visit.shard->writer, request->group_id, from->name, &value);
		commit->accepted++;
	}
	if (topic)
		topic_unref(topic);
}

/* What was recorded is stored: it holds from now on. Or it is not. */
static void settle_some(struct commit *commit, int32_t number, int32_t first, int32_t end)
{
	const struct kafka_offset_commit_request_topic *from = &commit->request->topics.at[number];

	for (int32_t n = first; n < end; n++) {
		const struct committed value = value_of(commit, &from->partitions.at[n]);
		int16_t *error = &commit->response->topics.at[number].partitions.at[n].error_code;

		if (*error != KAFKA_NONE)
			continue;
		*error = (int16_t)commit->error;
		if (commit->error == KAFKA_NONE &&
		    group_offsets_set(&commit->visit.found->offsets, from->name, &value) < 0)
			*error = KAFKA_COORDINATOR_NOT_AVAILABLE;
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

/* One step: what it commits holds when it returns, on the disk too where that is due, or may be waited
 * for. The shard is everybody's between two of them. */
static void commit_step(struct commit *commit)
{
	struct coordinator *coordinator = commit->call->server->coordinator;
	struct commit_place before = commit->at;
	struct partition_appended appended = {0};

	commit->accepted = 0;
	commit->error = visit_begin(coordinator, commit->request->group_id, &commit->visit);
	if (commit->error != KAFKA_NONE) {
		commit->at = each_of_step(commit, before, record_some);
		return;
	}
	commit->error = may_commit(commit);
	batch_begin(&commit->visit.shard->writer, commit->wall_ms);
	commit->at = each_of_step(commit, before, record_some);
	if (commit->accepted > 0) {
		commit->error = shard_append(commit->visit.shard, commit->wall_ms, &appended);
		each_of_step(commit, before, settle_some);
	}
	/* What an earlier step has to wait for stays, whatever becomes of this one. */
	if (appended.wait_durable)
		commit->last_offset = max_i64(commit->last_offset, appended.last_offset);
	commit->partition = commit->visit.shard->partition;
	visit_end(&commit->visit);
}

static enum handled commit_answer(struct commit *commit)
{
	bool waits = commit->last_offset >= 0;
	struct kafka_call *call = commit->call;

	/* Before the answer, what it promises must be on disk: a helper sees to it itself. */
	if (waits && call->may_block &&
	    flush_now(commit->partition, commit->last_offset + 1) != KAFKA_NONE)
		return CALL_ENDS;
	call->apart |= waits;
	if (call_answer(call, commit->response) != CALL_ANSWERED)
		return CALL_ENDS;
	return waits && !call->may_block
		   ? durable_wait(call, commit->partition, commit->last_offset)
		   : CALL_ANSWERED;
}

enum handled handle_offset_commit(struct kafka_call *call)
{
	struct kafka_offset_commit_request request;
	struct kafka_offset_commit_response response;
	struct commit commit = {
	    .call = call,
	    .request = &request,
	    .response = &response,
	    .wall_ms = sys_wall_ms(),
	    .last_offset = -1,
	    .step = call->may_block ? KAFKA_ELEMENTS_A_STEP : KAFKA_ELEMENTS_ON_LOOP,
	};

	if (!call_decode(call, &request))
		return CALL_CLOSES;
	kafka_offset_commit_response_init(&response);
	if (!take_answers(&commit))
		return CALL_ENDS;
	/* Of versions 2 to 4. */
	commit.expire_ms =
	    request.retention_time_ms >= 0 ? commit.wall_ms + request.retention_time_ms : -1;
	/* Once at least: a commit of nothing is a sign of life. On a loop, once. */
	do {
		commit_step(&commit);
		if (!call_step(call, commit.step))
			return CALL_ENDS;
	} while (commit.at.topic < request.topics.count);
	return commit_answer(&commit);
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

/* Between two steps of a helper the shard is everybody's; the group may be another one then. */
static bool fetch_step(struct kafka_call *call, struct visit *visit, struct slice group_id)
{
	if (!call->may_block || call->elements + 1 < KAFKA_ELEMENTS_A_STEP)
		return call_step(call, 1);
	visit_end(visit);
	/* It was ready, and stays so. */
	CHECK(visit_begin(call->server->coordinator, group_id, visit) == KAFKA_NONE);
	return call_step(call, 1);
}

static bool put_asked(struct kafka_call *call, struct visit *visit, struct slice group_id,
		      const struct kafka_offset_fetch_request_group_topic *from,
		      struct kafka_offset_fetch_response_group_topic *to)
{
	bool fits = call_array(call, &to->partitions, from->partition_indexes.count);

	to->name = from->name;
	for (int32_t i = 0; fits && i < to->partitions.count; i++) {
		int32_t partition = from->partition_indexes.at[i];
		const struct committed *committed =
		    visit->found ? group_offsets_find(&visit->found->offsets, from->name, partition)
				 : NULL;

		fits = put_offset(call, committed ? committed : &nothing, partition,
				  &to->partitions.at[i]) &&
		       fetch_step(call, visit, group_id);
	}
	return fits && fetch_step(call, visit, group_id);
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

static bool put_all(struct kafka_call *call, const struct coordinator_group *cg,
		    struct kafka_offset_fetch_response_group *to)
{
	int32_t count = 0;
	struct list *node;

	if (!cg)
		return call_array(call, &to->topics, 0);
	if (!call_work(call, (size_t)cg->offsets.count + 1) ||
	    !call_array(call, &to->topics, cg->offsets.topics_count))
		return false;
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
	if (!call_array(call, &to->topics, from->topics.count < 0 ? 0 : from->topics.count))
		return false;
	for (int32_t i = 0; i < to->topics.count; i++) {
		const struct kafka_offset_fetch_request_group_topic *topic = &from->topics.at[i];

		to->topics.at[i].name = topic->name;
		if (!call_array(call, &to->topics.at[i].partitions, topic->partition_indexes.count))
			return false;
		for (int32_t n = 0; n < topic->partition_indexes.count; n++) {
			if (!put_offset(call, &nothing, topic->partition_indexes.at[n],
					&to->topics.at[i].partitions.at[n]))
				return false;
			to->topics.at[i].partitions.at[n].error_code = to->error_code;
		}
	}
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
	enum kafka_error error;
	bool fits = true;

	to->group_id = from->group_id;
	if (from->topics.count >= 0 && !call_array(call, &to->topics, from->topics.count))
		return false;
	error = visit_begin(call->server->coordinator, from->group_id, &visit);
	to->error_code = (int16_t)error;
	if (error != KAFKA_NONE) {
		to->topics.count = 0;
		return call->header.version >= 2 || put_refused(call, from, to);
	}
	for (int32_t i = 0; fits && i < from->topics.count; i++)
		fits =
		    put_asked(call, &visit, from->group_id, &from->topics.at[i], &to->topics.at[i]);
	if (from->topics.count < 0)
		fits = put_all(call, visit.found, to);
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
		if (!call_step(call, 1) ||
		    !put_group(call, request.require_stable, &request.groups.at[i],
			       &response.groups.at[i]))
			return CALL_ENDS;
	return call_answer(call, &response);
}

/* ---- OffsetDelete ---- */

/* Some partitions of one topic, done in one visit. */
struct deleting {
	struct kafka_call *call;
	struct visit visit;
	const struct kafka_offset_delete_request_topic *from;
	struct kafka_offset_delete_response_topic *to;
	int32_t first, end;
};

/* Consumers say what they read: the rest may go. What other members need only they know. */
static enum kafka_error may_delete_of(const struct coordinator_group *cg)
{
	if (!cg)
		return KAFKA_GROUP_ID_NOT_FOUND;
	if (cg->group->members_count > 0 && !group_is_consumer(cg->group))
		return KAFKA_NON_EMPTY_GROUP;
	return KAFKA_NONE;
}

/* Tombstones for what may go. */
static void record_deleted(struct deleting *d)
{
	const struct coordinator_group *cg = d->visit.found;
	struct topic *topic = store_topic(d->call->server->store, d->from->name);
	bool is_read = cg->group->members_count > 0 && group_reads(cg->group, d->from->name);

	for (int32_t i = d->first; i < d->end; i++) {
		int32_t partition = d->from->partitions.at[i].partition_index;
		enum kafka_error error = KAFKA_NONE;

		if (!topic || !topic_partition(topic, partition))
			error = KAFKA_UNKNOWN_TOPIC_OR_PARTITION;
		else if (is_read)
			error = KAFKA_GROUP_SUBSCRIBED_TO_TOPIC;
		d->to->partitions.at[i].partition_index = partition;
		d->to->partitions.at[i].error_code = (int16_t)error;
		if (error == KAFKA_NONE &&
		    (group_offsets_find(&cg->offsets, d->from->name, partition) ||
		     group_offsets_find(&cg->staged, d->from->name, partition)))
			record_offset_gone(&d->visit.shard->writer, cg->group->id, d->from->name,
					   partition);
	}
	if (topic)
		topic_unref(topic);
}

static void remove_deleted(struct deleting *d)
{
	for (int32_t i = d->first; i < d->end; i++)
		if (d->to->partitions.at[i].error_code == KAFKA_NONE) {
			group_offsets_remove(&d->visit.found->offsets, d->from->name,
					     d->to->partitions.at[i].partition_index);
			group_offsets_remove(&d->visit.found->staged, d->from->name,
					     d->to->partitions.at[i].partition_index);
		}
}

static enum kafka_error delete_some(struct deleting *d, struct slice group_id)
{
	struct partition_appended appended = {0};
	int64_t wall_ms = sys_wall_ms();
	enum kafka_error error = visit_begin(d->call->server->coordinator, group_id, &d->visit);

	if (error != KAFKA_NONE)
		return error;
	error = may_delete_of(d->visit.found);
	if (error == KAFKA_NONE && d->from) {
		batch_begin(&d->visit.shard->writer, wall_ms);
		record_deleted(d);
		error = shard_append(d->visit.shard, wall_ms, &appended);
		if (error == KAFKA_NONE)
			remove_deleted(d);
	}
	visit_end(&d->visit);
	return error;
}

static bool delete_topic(struct kafka_call *call, struct slice group_id,
			 const struct kafka_offset_delete_request_topic *from,
			 struct kafka_offset_delete_response_topic *to, enum kafka_error *error)
{
	struct deleting d = {.call = call, .from = from, .to = to};

	to->name = from->name;
	if (!call_array(call, &to->partitions, from->partitions.count))
		return false;
	while (d.end < from->partitions.count && *error == KAFKA_NONE) {
		int32_t left = from->partitions.count - d.first;

		d.end =
		    d.first +
		    (left < (int32_t)KAFKA_ELEMENTS_A_STEP ? left : (int32_t)KAFKA_ELEMENTS_A_STEP);
		*error = delete_some(&d, group_id);
		if (!call_step(call, (size_t)(d.end - d.first)))
			return false;
		d.first = d.end;
	}
	return true;
}

enum handled handle_offset_delete(struct kafka_call *call)
{
	struct kafka_offset_delete_request request;
	struct kafka_offset_delete_response response;
	struct deleting none = {.call = call};
	enum kafka_error error;

	if (!call_decode(call, &request))
		return CALL_CLOSES;
	kafka_offset_delete_response_init(&response);
	/* Each topic is a write. */
	if ((!call->may_block && !call_work(call, 4 * (size_t)request.topics.count)) ||
	    !call_array(call, &response.topics, request.topics.count))
		return CALL_ENDS;
	/* The group is asked once, also where nothing is to be deleted. */
	error = request.group_id.len == 0 ? KAFKA_INVALID_GROUP_ID
					  : delete_some(&none, request.group_id);
	for (int32_t i = 0; i < request.topics.count && error == KAFKA_NONE; i++)
		if (!delete_topic(call, request.group_id, &request.topics.at[i],
				  &response.topics.at[i], &error))
			return CALL_ENDS;
	if (error != KAFKA_NONE)
		response.topics.count = 0;
	response.error_code = (int16_t)error;
	return call_answer(call, &response);
}
