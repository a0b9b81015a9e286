/*
 * Groups seen from outside: DescribeGroups, ListGroups, DeleteGroups.
 */
#include <limits.h>

#include "kafka/broker/coordinator.h"
#include "sys/sys.h"

/* ---- DescribeGroups ---- */

static struct slice keep(struct kafka_call *call, struct slice s)
{
	struct slice copy = call_keep(call, s);

	return copy.ptr ? copy : slice_make("", 0);
}

static void put_member(struct kafka_call *call, const struct group *group,
		       const struct group_member *member,
		       struct kafka_describe_groups_response_member *to)
{
	bool chosen = group->state == GROUP_STABLE;

	to->member_id = keep(call, member->id);
	to->group_instance_id =
	    member->instance_id.ptr ? keep(call, member->instance_id) : slice_make(NULL, 0);
	to->client_id = keep(call, member->client_id);
	to->client_host = keep(call, member->client_host);
	to->member_metadata =
	    chosen ? keep(call, group_member_metadata(group, member)) : slice_make("", 0);
	/* Of the last generation that got one, also while the next is being made. */
	to->member_assignment =
	    member->assignment.ptr ? keep(call, member->assignment) : slice_make("", 0);
}

static bool describe(struct kafka_call *call, const struct group *group,
		     struct kafka_describe_groups_response_group *to)
{
	struct list *node;

	to->group_state = slice_of(group_state_name(group->state));
	to->protocol_type = keep(call, group->protocol_type);
	if (group->state == GROUP_STABLE)
		to->protocol_data = keep(call, group->protocol);
	if (!call_work(call, (size_t)group->members_count + 1))
		return false;
	to->members.at = call_take(call, (size_t)group->members_count, sizeof(*to->members.at));
	if (!to->members.at)
		return false;
	list_for_each (node, &group->members)
		put_member(call, group, container_of(node, struct group_member, node),
			   &to->members.at[to->members.count++]);
	return true;
}

static bool describe_one(struct kafka_call *call, struct slice group_id, bool operations,
			 struct kafka_describe_groups_response_group *to)
{
	struct visit visit;
	enum kafka_error error = visit_begin(call->server->coordinator, group_id, &visit);
	bool fits = true;

	to->group_id = group_id;
	to->group_state = slice_of(group_state_name(GROUP_DEAD));
	to->protocol_type = to->protocol_data = slice_make("", 0);
	to->authorized_operations = OPERATIONS_UNKNOWN;
	if (error == KAFKA_NONE) {
		if (visit.found)
			fits = describe(call, visit.found->group, to);
		else if (call->header.version >= 6)
			error = KAFKA_GROUP_ID_NOT_FOUND;
		visit_end(&visit);
	}
	to->error_code = (int16_t)error;
	to->error_message = call_error_text(error, NULL);
	if (error == KAFKA_NONE && operations)
		to->authorized_operations = OPERATIONS_ON_GROUP;
	return fits;
}

enum handled handle_describe_groups(struct kafka_call *call)
{
	struct kafka_describe_groups_request request;
	struct kafka_describe_groups_response response;

	if (!call_decode(call, &request))
		return CALL_CLOSES;
	kafka_describe_groups_response_init(&response);
	if (!call_array(call, &response.groups, request.groups.count))
		return CALL_ENDS;
	for (int32_t i = 0; i < request.groups.count; i++)
		if (!call_step(call, 1) ||
		    !describe_one(call, request.groups.at[i], request.include_authorized_operations,
				  &response.groups.at[i]))
			return CALL_ENDS;
	return call_answer(call, &response);
}

/* ---- ListGroups ---- */

/* The states that are asked for, a bit each: however many filters there are, they are read once. */
static unsigned wanted_states(const struct kafka_list_groups_request *request)
{
	bool type = request->types_filter.count <= 0;
	unsigned states = request->states_filter.count <= 0 ? UINT_MAX : 0;

	for (int32_t i = 0; i < request->types_filter.count; i++)
		type |= slice_eq_nocase(request->types_filter.at[i], SLICE_LITERAL("classic"));
	for (int32_t i = 0; i < request->states_filter.count; i++)
		for (unsigned state = 0; state <= GROUP_DEAD; state++)
			if (slice_eq_nocase(request->states_filter.at[i],
					    slice_of(group_state_name((enum group_state)state))))
				states |= 1u << state;
	return type ? states : 0;
}

static void list_shard(struct kafka_call *call, struct shard *shard, unsigned states,
		       struct kafka_list_groups_response_group *to, int32_t *count)
{
	for (unsigned i = 0; i < SHARD_BUCKETS; i++) {
		struct list *node;

		list_for_each (node, &shard->groups[i]) {
			const struct group *group =
			    container_of(node, struct coordinator_group, node)->group;

			if (!(states >> group->state & 1))
				continue;
			to[*count].group_id = keep(call, group->id);
			to[*count].protocol_type = keep(call, group->protocol_type);
			to[*count].group_state = slice_of(group_state_name(group->state));
			to[*count].group_type = SLICE_LITERAL("classic");
			(*count)++;
		}
	}
}

/* Each shard's groups in an array of their own, then all in one. */
enum handled handle_list_groups(struct kafka_call *call)
{
	struct coordinator *coordinator = call->server->coordinator;
	struct kafka_list_groups_request request;
	struct kafka_list_groups_response response;
	struct kafka_list_groups_response_group *all;
	struct shard *shard;
	unsigned states;
	size_t room = 0;

	if (!call_decode(call, &request))
		return CALL_CLOSES;
	kafka_list_groups_response_init(&response);
	for (int32_t i = 0; (shard = coordinator_shard(coordinator, i)); i++) {
		pthread_mutex_lock(&shard->lock);
		room += shard->groups_count + 1; /* one more may come meanwhile */
		pthread_mutex_unlock(&shard->lock);
	}
	states = wanted_states(&request);
	all = call_work(call, room) ? call_take(call, room, sizeof(*all)) : NULL;
	if (!all)
		return CALL_ENDS;
	response.groups.at = all;
	for (int32_t i = 0; (shard = coordinator_shard(coordinator, i)); i++) {
		pthread_mutex_lock(&shard->lock);
		if (room >= (size_t)response.groups.count + shard->groups_count)
			list_shard(call, shard, states, all, &response.groups.count);
		pthread_mutex_unlock(&shard->lock);
	}
	return call_answer(call, &response);
}

/* ---- DeleteGroups ---- */

static enum kafka_error delete_one(struct kafka_call *call, struct slice group_id)
{
	struct visit visit;
	enum kafka_error error = visit_begin(call->server->coordinator, group_id, &visit);

	if (error != KAFKA_NONE)
		return error;
	if (!visit.found) {
		error = KAFKA_GROUP_ID_NOT_FOUND;
	} else if (visit.found->group->members_count > 0 || visit.found->group->pending_count > 0) {
		error = KAFKA_NON_EMPTY_GROUP;
	} else {
		error = shard_delete_group(visit.shard, visit.found, sys_wall_ms());
		if (error == KAFKA_NONE)
			visit.found = NULL;
	}
	visit_end(&visit);
	return error;
}

enum handled handle_delete_groups(struct kafka_call *call)
{
	struct kafka_delete_groups_request request;
	struct kafka_delete_groups_response response;

	/* A group may have any number of offsets, each of which is written. */
	if (!call->may_block)
		return CALL_BLOCKS;
	if (!call_decode(call, &request))
		return CALL_CLOSES;
	kafka_delete_groups_response_init(&response);
	if (!call_array(call, &response.results, request.groups_names.count))
		return CALL_ENDS;
	for (int32_t i = 0; i < request.groups_names.count; i++) {
		if (!call_step(call, 1))
			return CALL_ENDS;
		response.results.at[i].group_id = request.groups_names.at[i];
		response.results.at[i].error_code =
		    (int16_t)delete_one(call, request.groups_names.at[i]);
	}
	return call_answer(call, &response);
}
