#include "kafka/broker/core/group_internal.h"

#include <errno.h>
#include <stdlib.h>

#include "base/hash.h"

const char *group_state_name(enum group_state state)
{
	static const char *const names[] = {
	    [GROUP_EMPTY] = "Empty",
	    [GROUP_PREPARING] = "PreparingRebalance",
	    [GROUP_COMPLETING] = "CompletingRebalance",
	    [GROUP_STABLE] = "Stable",
	    [GROUP_DEAD] = "Dead",
	};

	return names[state];
}

/* ---- life ---- */

struct group *group_new(struct slice id, const struct group_ops *ops,
			const struct group_limits *limits, struct group_time time)
{
	struct group *group = calloc(1, sizeof(*group));

	if (!group || !text_copy(&group->id, id)) {
		free(group);
		return NULL;
	}
	group->ops = ops;
	group->limits = limits;
	group->state_since_ms = time.wall_ms;
	group->join_deadline_ms = group->sync_deadline_ms = group->next_ms = GROUP_NEVER;
	list_init(&group->members);
	list_init(&group->pending);
	return group;
}

void group_end(struct group *group, enum kafka_error error)
{
	while (!list_empty(&group->members))
		group_remove(group, container_of(group->members.next, struct group_member, node),
			     error);
	while (!list_empty(&group->pending))
		group_forget_pending(group,
				     container_of(group->pending.next, struct group_member, node));
	group->state = GROUP_DEAD;
	group->join_deadline_ms = group->sync_deadline_ms = group->next_ms = GROUP_NEVER;
}

void group_free(struct group *group)
{
	if (!group)
		return;
	group_end(group, KAFKA_COORDINATOR_NOT_AVAILABLE);
	table_fini(&group->by_id);
	table_fini(&group->by_instance);
	table_fini(&group->pending_by_id);
	text_free(&group->id);
	text_free(&group->protocol_type);
	text_free(&group->protocol);
	free(group);
}

void group_enter(struct group *group, enum group_state state, struct group_time time)
{
	static const uint8_t may_follow[] = {
	    [GROUP_EMPTY] = 1u << GROUP_PREPARING,
	    [GROUP_PREPARING] = 1u << GROUP_EMPTY | 1u << GROUP_COMPLETING | 1u << GROUP_STABLE,
	    [GROUP_COMPLETING] = 1u << GROUP_PREPARING,
	    [GROUP_STABLE] = 1u << GROUP_COMPLETING,
	    [GROUP_DEAD] = 0, /* group_end() */
	};

	CHECK(may_follow[state] & 1u << group->state);
	group->before = group->state;
	group->state = state;
	group->state_since_ms = time.wall_ms;
}

/* ---- time ---- */

void group_wake_by(struct group *group, uint64_t deadline_ms)
{
	group->next_ms = min_u64(group->next_ms, deadline_ms);
}

void group_renew(struct group *group, struct group_member *member, struct group_time time)
{
	member->deadline_ms = time.now_ms + (uint64_t)member->session_ms;
	group_wake_by(group, member->deadline_ms);
}

/* Who waits for an answer of ours is alive as far as we can know. But a new member whose client is
 * gone would wait for ever. */
static uint64_t deadline_of(const struct group_member *member)
{
	bool waits = (member->join || member->sync) && !member->is_new && !member->orphan;

	return waits ? GROUP_NEVER : member->deadline_ms;
}

static bool expire_members(struct group *group, uint64_t now_ms)
{
	bool any = false;

	for (struct list *node = group->members.next, *next; node != &group->members; node = next) {
		struct group_member *member = container_of(node, struct group_member, node);

		next = node->next;
		if (deadline_of(member) > now_ms)
			continue;
		group_tell(group, GROUP_EXPIRED, member, slice_make(NULL, 0));
		group_remove(group, member, KAFKA_UNKNOWN_MEMBER_ID);
		any = true;
	}
	for (struct list *node = group->pending.next, *next; node != &group->pending; node = next) {
		struct group_member *pending = container_of(node, struct group_member, node);

		next = node->next;
		if (pending->deadline_ms > now_ms)
			continue;
		group_forget_pending(group, pending);
		any = true;
	}
	return any;
}

static uint64_t earliest(const struct group *group)
{
	uint64_t next = min_u64(group->join_deadline_ms, group->sync_deadline_ms);
	struct list *node;

	list_for_each (node, &group->members)
		next = min_u64(next, deadline_of(container_of(node, struct group_member, node)));
	list_for_each (node, &group->pending)
		next = min_u64(next, container_of(node, struct group_member, node)->deadline_ms);
	return next;
}

void group_tick(struct group *group, struct group_time time)
{
	int32_t before = group->members_count;

	if (time.now_ms < group->next_ms)
		return;
	if (expire_members(group, time.now_ms)) {
		if (group->members_count < before && group->state != GROUP_PREPARING)
			group_begin_rebalance(group, GROUP_EXPIRED, time);
		else
			group_try_complete(group, time);
	}
	if (group->join_deadline_ms <= time.now_ms)
		group_join_time_is_up(group, time);
	if (group->sync_deadline_ms <= time.now_ms)
		group_sync_time_is_up(group, time);
	group->next_ms = earliest(group);
}

/* ---- for people ---- */

#define GROUP_CAUSE_ROW(id, name, text) [GROUP_##id] = {name, text},
static const struct {
	const char *name, *text;
} causes[GROUP_CAUSE_COUNT] = {GROUP_CAUSES(GROUP_CAUSE_ROW)};
#undef GROUP_CAUSE_ROW

const char *group_cause_name(enum group_cause cause)
{
	return causes[cause].name;
}

const char *group_cause_text(enum group_cause cause)
{
	return causes[cause].text;
}

void group_tell(const struct group *group, enum group_cause cause,
		const struct group_member *member, struct slice reason)
{
	if (group->ops->tell)
		group->ops->tell(group, cause, member, reason);
}

/* ---- answers ---- */

void group_answer_join(struct group *group, struct group_member *member,
		       const struct group_joined *answer)
{
	void *waiter = member->join;

	member->join = NULL;
	group->joining--;
	group->ops->joined(group, waiter, answer);
}

void group_answer_sync(struct group *group, struct group_member *member, enum kafka_error error)
{
	void *waiter = member->sync;

	member->sync = NULL;
	group->ops->synced(group, waiter, error,
			   error == KAFKA_NONE ? member->assignment : slice_make(NULL, 0));
}

struct group_joined group_present(const struct group *group, const struct group_member *member)
{
	return (struct group_joined){
	    .generation = group->generation,
	    .protocol_type = group->protocol_type,
	    .protocol = group->protocol,
	    .leader = group->leader->id,
	    .member_id = member->id,
	    .with_members = group->leader == member,
	};
}

/* ---- what members say ---- */

enum kafka_error group_heartbeat(struct group *group, struct slice member_id,
				 struct slice instance_id, int32_t generation,
				 struct group_time time)
{
	struct group_member *member;
	enum kafka_error error;

	if (group->state == GROUP_DEAD)
		return KAFKA_COORDINATOR_NOT_AVAILABLE;
	error = group_identify(group, member_id, instance_id, &member);
	if (error != KAFKA_NONE)
		return error;
	if (generation != group->generation)
		return KAFKA_ILLEGAL_GENERATION;
	group_renew(group, member, time);
	return group->state == GROUP_PREPARING ? KAFKA_REBALANCE_IN_PROGRESS : KAFKA_NONE;
}

static void left(struct group *group, struct group_time time)
{
	if (group->state == GROUP_COMPLETING || group->state == GROUP_STABLE)
		group_begin_rebalance(group, GROUP_LEFT, time);
	else
		group_try_complete(group, time);
}

enum kafka_error group_leave(struct group *group, struct slice member_id, struct slice instance_id,
			     struct slice reason, struct group_time time)
{
	struct group_member *member = group_find_pending(group, member_id);
	enum kafka_error error;

	if (group->state == GROUP_DEAD)
		return KAFKA_COORDINATOR_NOT_AVAILABLE;
	if (member && !instance_id.ptr) {
		group_forget_pending(group, member);
		group_try_complete(group, time);
		return KAFKA_NONE;
	}
	if (member_id.len == 0 && instance_id.ptr) {
		member = group_find_static(group, instance_id);
		error = member ? KAFKA_NONE : KAFKA_UNKNOWN_MEMBER_ID;
	} else {
		error = group_identify(group, member_id, instance_id, &member);
	}
	if (error != KAFKA_NONE)
		return error;
	group_tell(group, GROUP_LEFT, member, reason);
	group_remove(group, member, KAFKA_UNKNOWN_MEMBER_ID);
	left(group, time);
	return KAFKA_NONE;
}

struct group_member *group_waiting(const struct group *group, const void *waiter, struct slice id,
				   struct slice instance_id)
{
	struct group_member *member =
	    instance_id.ptr ? group_find_static(group, instance_id) : group_find(group, id);

	return member && (member->join == waiter || member->sync == waiter) ? member : NULL;
}

void group_abandon(struct group *group, struct group_member *member, struct group_time time)
{
	CHECK(member->join || member->sync);
	if (member->is_new && member->untold) {
		group_remove(group, member, KAFKA_UNKNOWN_MEMBER_ID);
		left(group, time);
		return;
	}
	/* Of a new one the time that it may wait is running. */
	member->orphan = true;
	if (!member->is_new)
		group_renew(group, member, time);
}

enum kafka_error group_commit(struct group *group, struct slice member_id, struct slice instance_id,
			      int32_t generation, struct group_time time)
{
	struct group_member *member;
	enum kafka_error error;

	if (group->state == GROUP_DEAD)
		return KAFKA_COORDINATOR_NOT_AVAILABLE;
	/* An admin client, or a consumer that assigns partitions to itself. */
	if (generation < 0 && group->state == GROUP_EMPTY)
		return KAFKA_NONE;
	if (generation < 0 && member_id.len == 0 && !instance_id.ptr)
		return KAFKA_UNKNOWN_MEMBER_ID;
	error = group_identify(group, member_id, instance_id, &member);
	if (error != KAFKA_NONE)
		return error;
	if (generation != group->generation)
		return KAFKA_ILLEGAL_GENERATION;
	if (group->state == GROUP_COMPLETING)
		return KAFKA_REBALANCE_IN_PROGRESS;
	group_renew(group, member, time);
	return KAFKA_NONE;
}

struct slice group_member_metadata(const struct group *group, const struct group_member *member)
{
	const struct group_protocol *protocol =
	    group->protocol.ptr ? member_protocol(member, group->protocol) : NULL;

	return protocol ? protocol->metadata : slice_make("", 0);
}

/* ---- from storage ---- */

static int restore_member(struct group *group, const struct group_restored *from,
			  const struct group_restored_member *stored, struct group_time time)
{
	const struct group_protocol protocol = {from->protocol, stored->subscription};
	const struct group_join join = {
	    .instance_id = stored->instance_id,
	    .client_id = stored->client_id,
	    .client_host = stored->client_host,
	    .protocols = &protocol,
	    .protocols_count = 1,
	    .session_ms = stored->session_ms,
	    .rebalance_ms = stored->rebalance_ms,
	};
	struct group_member *member = member_new(group, &join, stored->id);

	if (!member || !member_set_assignment(group, member, stored->assignment)) {
		if (member)
			member_free(group, member);
		return -ENOMEM;
	}
	group_add(group, member);
	if (slice_eq(member->id, from->leader))
		group->leader = member;
	group_renew(group, member, time);
	return 0;
}

int group_restore(struct group *group, const struct group_restored *from,
		  const struct group_restored_member *members, int32_t count,
		  struct group_time time)
{
	int r = 0;

	CHECK(group->state == GROUP_EMPTY && group->members_count == 0);
	if (!text_copy(&group->protocol_type, from->protocol_type) ||
	    !text_copy(&group->protocol, from->protocol))
		return -ENOMEM;
	group->generation = from->generation;
	group->state_since_ms = from->state_since_ms;
	group->loading = true;
	for (int32_t i = 0; i < count && r == 0; i++)
		r = restore_member(group, from, &members[i], time);
	group->loading = false;
	if (group->members_count)
		group->state = GROUP_STABLE;
	return r;
}

/* ---- invariants ---- */

static void check_member(const struct group *group, const struct group_member *member)
{
	CHECK(!member->join || group->state == GROUP_PREPARING);
	CHECK(!member->sync || group->state == GROUP_COMPLETING);
	CHECK(!member->sync_missing || group->state == GROUP_COMPLETING ||
	      group->state == GROUP_STABLE);
	CHECK(group_find(group, member->id) == member);
	CHECK(!member->instance_id.ptr || group_find_static(group, member->instance_id) == member);
}

void group_check(const struct group *group)
{
	int32_t count = 0, joining = 0, missing = 0;
	bool empty = group->state == GROUP_EMPTY || group->state == GROUP_DEAD;
	struct list *node;

	list_for_each (node, &group->members) {
		const struct group_member *member = container_of(node, struct group_member, node);

		check_member(group, member);
		count++;
		joining += member->join != NULL;
		missing += member->sync_missing;
	}
	CHECK(count == group->members_count && joining == group->joining);
	CHECK(missing == group->syncs_missing);
	CHECK(!empty || count == 0);
	CHECK((count == 0) == !group->leader);
	if (group->state == GROUP_COMPLETING || group->state == GROUP_STABLE)
		CHECK(count > 0 && group->protocol.ptr);
	CHECK((group->join_deadline_ms != GROUP_NEVER) == (group->state == GROUP_PREPARING));
	CHECK(group->next_ms <= earliest(group));
}
