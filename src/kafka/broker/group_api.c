/*
 * What members of groups say: FindCoordinator, JoinGroup, SyncGroup, Heartbeat, LeaveGroup.
 *
 * A join or a sync may be answered inside of its own event, or later by somebody else's, on another
 * loop: then the answer is made there, in memory of the call's own, and sent home by a message.
 */
#include <stdio.h>
#include <stdlib.h>

#include "kafka/broker/coordinator.h"
#include "kafka/broker/kafka_log.h"
#include "sys/sys.h"

#define COORDINATOR_GROUP       0
#define COORDINATOR_TRANSACTION 1

/* ---- FindCoordinator ---- */

static enum kafka_error find(struct kafka_call *call, int8_t type)
{
	/* Clients ask again after any other error, for as long as they may. */
	if (type == COORDINATOR_TRANSACTION)
		return KAFKA_TRANSACTIONAL_ID_AUTHORIZATION_FAILED;
	if (type != COORDINATOR_GROUP)
		return KAFKA_INVALID_REQUEST;
	if (coordinator_is_ready(call->server->coordinator))
		return KAFKA_NONE;
	return coordinator_make(call->server->coordinator);
}

static const char *find_text(enum kafka_error error)
{
	if (error == KAFKA_TRANSACTIONAL_ID_AUTHORIZATION_FAILED)
		return "transactions are not supported";
	return error == KAFKA_INVALID_REQUEST ? "only groups have coordinators here" : NULL;
}

static void put_coordinator(struct kafka_call *call, enum kafka_error error,
			    struct kafka_find_coordinator_response_coordinator *to)
{
	bool found = error == KAFKA_NONE;
	const char *text = find_text(error);

	to->node_id = found ? store_node_id(call->server->store) : -1;
	to->host = found ? slice_of(call->listener->host) : slice_make("", 0);
	to->port = found ? call->listener->port : -1;
	to->error_code = (int16_t)error;
	to->error_message = text ? slice_of(text) : slice_make(NULL, 0);
}

enum handled handle_find_coordinator(struct kafka_call *call)
{
	struct kafka_find_coordinator_request request;
	struct kafka_find_coordinator_response response;
	struct kafka_find_coordinator_response_coordinator one = {0};
	enum kafka_error error;

	if (!call_decode(call, &request))
		return CALL_CLOSES;
	if (!call->may_block && !coordinator_is_ready(call->server->coordinator))
		return call_change(call);
	error = find(call, request.key_type);
	kafka_find_coordinator_response_init(&response);
	put_coordinator(call, error, &one);
	response.error_code = one.error_code;
	response.error_message = one.error_message;
	response.node_id = one.node_id;
	response.host = one.host;
	response.port = one.port;
	if (!call_array(call, &response.coordinators, request.coordinator_keys.count))
		return CALL_ENDS;
	for (int32_t i = 0; i < request.coordinator_keys.count; i++) {
		response.coordinators.at[i] = one;
		response.coordinators.at[i].key = request.coordinator_keys.at[i];
	}
	return call_answer(call, &response);
}

/* ---- answers to waiting calls ---- */

static void sent_home(struct message *message)
{
	struct kafka_call *call = container_of(message, struct kafka_call, message);

	call_answered(call, call->handled);
}

/* The answer is there: inside of its own event the handler takes it. */
static void finish(struct kafka_call *call, enum handled handled)
{
	bool own_event = call->handled == CALL_BLOCKS;

	call->handled = handled;
	if (own_event)
		return;
	call->message.fn = sent_home;
	inbox_send(&call->home->inbox, &call->message);
}

/* Until finish(): the handler is still in the event. */
static void begin(struct kafka_call *call)
{
	call->handled = CALL_BLOCKS;
}

/* With the shard's lock; `id` and `instance_id` are the member's that waits, if one does. */
static enum handled end(struct kafka_call *call, struct visit *visit, struct slice id,
			struct slice instance_id)
{
	if (call->handled != CALL_BLOCKS)
		return call->handled;
	call->handled = CALL_WAITS;
	call->shard = visit->shard;
	call->state = group_waiting(visit->found->group, call, id, instance_id);
	CHECK(call->state);
	call->abandoned = coordinator_abandoned;
	return CALL_WAITS;
}

/* ---- JoinGroup ---- */

static void put_members(struct kafka_call *call, const struct group *group,
			struct kafka_join_group_response *response)
{
	struct list *node;

	response->members.at =
	    call_take(call, (size_t)group->members_count, sizeof(*response->members.at));
	if (!response->members.at)
		return;
	list_for_each (node, &group->members) {
		const struct group_member *member = container_of(node, struct group_member, node);
		struct kafka_join_group_response_member *to =
		    &response->members.at[response->members.count++];

		to->member_id = member->id;
		to->group_instance_id = member->instance_id;
		to->metadata = group_member_metadata(group, member);
	}
}

/* By a limit of ours, whose name an operator wants to know. */
static void log_refused_join(const struct kafka_call *call, enum kafka_error error)
{
	const struct kafka_config *config = call->server->config;
	struct client_text client;

	if (error == KAFKA_INVALID_SESSION_TIMEOUT)
		log_limited(sys_now_ns(), LOG_LEVEL_WARNING,
			    "%s: its session timeout is refused: group.min.session.timeout.ms is "
			    "%lld, group.max.session.timeout.ms %lld",
			    log_client(call, &client),
			    (long long)config_value(config, KAFKA_CONFIG_GROUP_SESSION_MIN),
			    (long long)config_value(config, KAFKA_CONFIG_GROUP_SESSION_MAX));
	else if (error == KAFKA_GROUP_MAX_SIZE_REACHED)
		log_limited(sys_now_ns(), LOG_LEVEL_WARNING,
			    "%s: its group takes no more members: group.max.size is %lld",
			    log_client(call, &client),
			    (long long)config_value(config, KAFKA_CONFIG_GROUP_SIZE));
}

void group_api_joined(struct group *group, void *waiter, const struct group_joined *answer)
{
	struct kafka_call *call = waiter;
	struct kafka_join_group_response response;

	if (call->handled == CALL_BLOCKS) /* its own event, on its own loop */
		log_refused_join(call, answer->error);
	call->apart = true;
	call_renew_work(call);
	kafka_join_group_response_init(&response);
	response.error_code = (int16_t)answer->error;
	response.generation_id = answer->generation;
	response.protocol_type = answer->protocol_type;
	response.protocol_name = answer->protocol;
	response.leader = answer->leader;
	response.member_id = answer->member_id;
	response.skip_assignment = answer->skip_assignment;
	if (answer->with_members)
		put_members(call, group, &response);
	finish(call, call_answer(call, &response));
}

static enum handled refuse_join(struct kafka_call *call, enum kafka_error error,
				struct slice member_id)
{
	struct kafka_join_group_response response;

	log_refused_join(call, error);
	kafka_join_group_response_init(&response);
	response.error_code = (int16_t)error;
	response.protocol_name = slice_make(NULL, 0);
	response.member_id = member_id;
	return call_answer(call, &response);
}

/* "-" and the UUID. */
#define UUID_SUFFIX 37

/* As much of the name as leaves room for the rest in a string of the protocol, in whole characters:
 * clients send the id back as they have read it. */
static struct slice id_prefix(struct slice name)
{
	if (name.len > INT16_MAX - UUID_SUFFIX) {
		name.len = INT16_MAX - UUID_SUFFIX;
		while (name.len > 0 && ((uint8_t)name.ptr[name.len] & 0xc0) == 0x80)
			name.len--;
	}
	return name;
}

/* "client-uuid", or "instance-uuid" for a static member; NULL: no memory. */
static struct slice fresh_id(struct kafka_call *call, struct slice instance_id)
{
	struct slice prefix = id_prefix(instance_id.ptr ? instance_id : call->header.client_id);
	char *memory = call_take(call, prefix.len + UUID_SUFFIX + 1, 1);
	uint8_t r[SECRET_ID_BYTES];
	int len;

	if (!memory || sys_random(r, sizeof(r)) < 0)
		return slice_make(NULL, 0);
	r[6] = (uint8_t)((r[6] & 0x0f) | 0x40); /* version 4, RFC 4122 */
	r[8] = (uint8_t)((r[8] & 0x3f) | 0x80);
	len = snprintf(memory, prefix.len + UUID_SUFFIX + 1,
		       "%.*s-%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x",
		       (int)prefix.len, prefix.ptr ? prefix.ptr : "", r[0], r[1], r[2], r[3], r[4],
		       r[5], r[6], r[7], r[8], r[9], r[10], r[11], r[12], r[13], r[14], r[15]);
	return slice_make(memory, (size_t)len);
}

static enum handled join_visited(struct kafka_call *call, struct visit *visit,
				 const struct kafka_join_group_request *request)
{
	struct group_join join = {
	    .waiter = call,
	    .member_id = request->member_id,
	    .instance_id = request->group_instance_id,
	    .client_id = call->header.client_id.ptr ? call->header.client_id : slice_make("", 0),
	    .client_host = call_client_host(call),
	    .protocol_type = request->protocol_type,
	    .protocols = (const struct group_protocol *)request->protocols.at,
	    .protocols_count = request->protocols.count,
	    .session_ms = request->session_timeout_ms,
	    .rebalance_ms = request->rebalance_timeout_ms < 0 ? request->session_timeout_ms
							      : request->rebalance_timeout_ms,
	    .returns_with_id = call->header.version >= 4,
	    .skips_assignment = call->header.version >= 9,
	    .fresh_id = fresh_id(call, request->group_instance_id),
	    .reason = request->reason,
	};

	_Static_assert(sizeof(struct group_protocol) ==
			       sizeof(struct kafka_join_group_request_protocol) &&
			   offsetof(struct group_protocol, metadata) ==
			       offsetof(struct kafka_join_group_request_protocol, metadata),
		       "the same fields");
	if (!visit->found && request->member_id.len > 0)
		return refuse_join(call,
				   group_allows_session(&visit->shard->coordinator->limits,
							request->session_timeout_ms)
				       ? KAFKA_UNKNOWN_MEMBER_ID
				       : KAFKA_INVALID_SESSION_TIMEOUT,
				   request->member_id);
	if (!join.fresh_id.ptr || !visit_make(visit, request->group_id))
		return CALL_ENDS;
	begin(call);
	group_join(visit->found->group, &join, visit->time);
	return end(call, visit, request->member_id.len ? request->member_id : join.fresh_id,
		   request->group_instance_id);
}

enum handled handle_join_group(struct kafka_call *call)
{
	struct kafka_join_group_request request;
	struct visit visit;
	enum kafka_error error;
	enum handled handled;

	if (!call_decode(call, &request))
		return CALL_CLOSES;
	if (request.group_id.len == 0)
		return refuse_join(call, KAFKA_INVALID_GROUP_ID, request.member_id);
	/* Each is looked for with each member. What was too much for a loop has more. */
	if (request.protocols.count > KAFKA_GROUP_PROTOCOLS_MAX)
		return refuse_join(call, KAFKA_INCONSISTENT_GROUP_PROTOCOL, request.member_id);
	CHECK(!call->may_block);
	error = visit_begin(call->server->coordinator, request.group_id, &visit);
	if (error != KAFKA_NONE)
		return refuse_join(call, error, request.member_id);
	handled = join_visited(call, &visit, &request);
	/* Before anybody else can answer it: what the request took is not waited with. */
	if (handled == CALL_WAITS)
		call_renew_work(call);
	visit_end(&visit);
	return handled;
}

/* ---- SyncGroup ---- */

static enum handled answer_sync(struct kafka_call *call, const struct group *group,
				enum kafka_error error, struct slice assignment)
{
	struct kafka_sync_group_response response;

	kafka_sync_group_response_init(&response);
	response.error_code = (int16_t)error;
	if (group && error == KAFKA_NONE) {
		response.protocol_type = group->protocol_type;
		response.protocol_name = group->protocol;
	}
	response.assignment = assignment.ptr ? assignment : slice_make("", 0);
	return call_answer(call, &response);
}

void group_api_synced(struct group *group, void *waiter, enum kafka_error error,
		      struct slice assignment)
{
	struct kafka_call *call = waiter;

	call->apart = true;
	call_renew_work(call);
	finish(call, answer_sync(call, group, error, assignment));
}

/* From version 5 on a member must say what it believes the group has chosen. */
static bool says_protocol(const struct kafka_call *call,
			  const struct kafka_sync_group_request *request)
{
	return call->header.version < 5 ||
	       (request->protocol_type.ptr && request->protocol_name.ptr);
}

static enum handled sync_in_order(struct kafka_call *call,
				  const struct kafka_sync_group_request *request,
				  const uint32_t *order)
{
	const struct group_sync sync = {
	    .waiter = call,
	    .member_id = request->member_id,
	    .instance_id = request->group_instance_id,
	    .generation = request->generation_id,
	    .protocol_type = request->protocol_type,
	    .protocol = request->protocol_name,
	    .assignments = (const struct group_assignment *)request->assignments.at,
	    .order = order,
	    .assignments_count = request->assignments.count,
	};
	struct visit visit;
	enum handled handled;
	enum kafka_error error = visit_begin(call->server->coordinator, request->group_id, &visit);

	_Static_assert(sizeof(struct group_assignment) ==
			       sizeof(struct kafka_sync_group_request_assignment) &&
			   offsetof(struct group_assignment, assignment) ==
			       offsetof(struct kafka_sync_group_request_assignment, assignment),
		       "the same fields");
	if (error != KAFKA_NONE)
		return answer_sync(call, NULL, error, slice_make(NULL, 0));
	begin(call);
	if (visit.found)
		group_sync(visit.found->group, &sync, visit.time);
	else
		call->handled =
		    answer_sync(call, NULL, KAFKA_UNKNOWN_MEMBER_ID, slice_make(NULL, 0));
	handled = end(call, &visit, request->member_id, request->group_instance_id);
	if (handled == CALL_WAITS)
		call_renew_work(call);
	visit_end(&visit);
	return handled;
}

/* A request that was too large for a loop, read and put in order by a helper: in memory of its own,
 * with slices of call->body. */
struct large_sync {
	struct kafka_sync_group_request request;
	uint32_t *order;
	struct kafka_sync_group_request_assignment assignments[];
};

static void release_large(struct kafka_call *call)
{
	struct large_sync *large = call->state;

	free(large->order);
	free(large);
}

static enum handled sync_resume(struct kafka_call *call)
{
	struct large_sync *large = call->state;
	enum handled handled = CALL_ENDS;

	call->resume = NULL;
	call->state = NULL;
	call->release_state = NULL;
	if (conn_deref(call->conn))
		handled = sync_in_order(call, &large->request, large->order);
	free(large->order);
	free(large);
	if (handled == CALL_WAITS)
		call_drop_body(call);
	return handled;
}

static enum handled sync_large(struct kafka_call *call,
			       const struct kafka_sync_group_request *request, uint32_t *order)
{
	size_t bytes = (size_t)request->assignments.count * sizeof(*request->assignments.at);
	struct large_sync *large = malloc(sizeof(*large) + bytes);

	if (!large) {
		free(order);
		return CALL_ENDS;
	}
	large->request = *request;
	large->order = order;
	memcpy(large->assignments, request->assignments.at, bytes);
	large->request.assignments.at = large->assignments;
	call->state = large;
	call->release_state = release_large;
	call->resume = sync_resume;
	return CALL_ENDS; /* unless the loop says otherwise */
}

enum handled handle_sync_group(struct kafka_call *call)
{
	struct kafka_sync_group_request request;
	enum handled handled;
	uint32_t *order;

	if (!call_decode(call, &request))
		return CALL_CLOSES;
	if (!says_protocol(call, &request))
		return answer_sync(call, NULL, KAFKA_INCONSISTENT_GROUP_PROTOCOL,
				   slice_make(NULL, 0));
	if (request.group_id.len == 0)
		return answer_sync(call, NULL, KAFKA_INVALID_GROUP_ID, slice_make(NULL, 0));
	order = group_assignments_order((const struct group_assignment *)request.assignments.at,
					request.assignments.count);
	if (!order)
		return CALL_ENDS;
	if (call->may_block)
		return sync_large(call, &request, order);
	handled = sync_in_order(call, &request, order);
	free(order);
	return handled;
}

/* ---- Heartbeat ---- */

enum handled handle_heartbeat(struct kafka_call *call)
{
	struct kafka_heartbeat_request request;
	struct kafka_heartbeat_response response;
	struct visit visit;
	enum kafka_error error;

	if (!call_decode(call, &request))
		return CALL_CLOSES;
	error = request.group_id.len == 0
		    ? KAFKA_INVALID_GROUP_ID
		    : visit_begin(call->server->coordinator, request.group_id, &visit);
	if (error == KAFKA_NONE) {
		error = visit.found ? group_heartbeat(visit.found->group, request.member_id,
						      request.group_instance_id,
						      request.generation_id, visit.time)
				    : KAFKA_UNKNOWN_MEMBER_ID;
		visit_end(&visit);
	}
	kafka_heartbeat_response_init(&response);
	response.error_code = (int16_t)error;
	return call_answer(call, &response);
}

/* ---- LeaveGroup ---- */

static enum kafka_error leave(struct visit *visit, struct slice member_id, struct slice instance_id,
			      struct slice reason)
{
	if (!visit->found)
		return KAFKA_UNKNOWN_MEMBER_ID;
	return group_leave(visit->found->group, member_id, instance_id, reason, visit->time);
}

/* From the `first` on as many as are done in one step; how many there are. */
static int32_t leave_some(struct visit *visit, const struct kafka_leave_group_request *request,
			  int32_t first, struct kafka_leave_group_response *response)
{
	int32_t left = request->members.count - first, count = left < (int32_t)KAFKA_ELEMENTS_A_STEP
								   ? left
								   : (int32_t)KAFKA_ELEMENTS_A_STEP;

	for (int32_t i = first; i < first + count; i++) {
		const struct kafka_leave_group_request_member *member = &request->members.at[i];
		struct kafka_leave_group_response_member *to = &response->members.at[i];

		to->member_id = member->member_id;
		to->group_instance_id = member->group_instance_id;
		to->error_code = (int16_t)leave(visit, member->member_id, member->group_instance_id,
						member->reason);
	}
	return count;
}

/* The shard is everybody's between the steps. false: nobody waits for it any more. */
static bool leave_all(struct kafka_call *call, const struct kafka_leave_group_request *request,
		      struct kafka_leave_group_response *response)
{
	enum kafka_error error = KAFKA_NONE;
	struct visit visit;
	int32_t done = 0;

	while (done < request->members.count && error == KAFKA_NONE) {
		int32_t before = done;

		error = visit_begin(call->server->coordinator, request->group_id, &visit);
		if (error != KAFKA_NONE)
			break;
		done += leave_some(&visit, request, done, response);
		visit_end(&visit);
		if (!call_step(call, (size_t)(done - before)))
			return false;
	}
	response->members.count = error == KAFKA_NONE ? request->members.count : 0;
	response->error_code = (int16_t)error;
	return true;
}

/* Before version 3: one. */
static enum kafka_error leave_alone(struct kafka_call *call,
				    const struct kafka_leave_group_request *request)
{
	struct visit visit;
	enum kafka_error error = visit_begin(call->server->coordinator, request->group_id, &visit);

	if (error != KAFKA_NONE)
		return error;
	error = leave(&visit, request->member_id, slice_make(NULL, 0), slice_make(NULL, 0));
	visit_end(&visit);
	return error;
}

enum handled handle_leave_group(struct kafka_call *call)
{
	struct kafka_leave_group_request request;
	struct kafka_leave_group_response response;

	if (!call_decode(call, &request))
		return CALL_CLOSES;
	kafka_leave_group_response_init(&response);
	response.members.at =
	    call_take(call, (size_t)request.members.count, sizeof(*response.members.at));
	if (!response.members.at)
		return CALL_ENDS;
	if (request.group_id.len == 0)
		response.error_code = KAFKA_INVALID_GROUP_ID;
	else if (call->header.version < 3)
		response.error_code = (int16_t)leave_alone(call, &request);
	else if (!leave_all(call, &request, &response))
		return CALL_ENDS;
	return call_answer(call, &response);
}
