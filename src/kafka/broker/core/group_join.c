/*
 * JoinGroup and SyncGroup: who may come in, and what it gets.
 */
#include "kafka/broker/core/group_internal.h"

#include <stdlib.h>

#include "base/hash.h"

static void refuse(struct group *group, const struct group_join *join, enum kafka_error error,
		   struct slice member_id)
{
	const struct group_joined answer = {.error = error,
					    .generation = -1,
					    .member_id = member_id};

	group->ops->joined(group, join->waiter, &answer);
}

static void answer_at_once(struct group *group, const struct group_join *join,
			   struct group_member *member, struct group_time time)
{
	const struct group_joined answer = group_present(group, member);

	group_renew(group, member, time);
	group->ops->joined(group, join->waiter, &answer);
}

/* A client that has lost its connection asks again on another one. */
static void wait_in_join(struct group *group, struct group_member *member, void *waiter)
{
	const struct group_joined superseded = {.error = KAFKA_REBALANCE_IN_PROGRESS,
						.generation = -1,
						.member_id = member->id};

	if (member->join)
		group_answer_join(group, member, &superseded);
	member->orphan = false;
	member->join = waiter;
	group->joining++;
}

/* ---- a new member ---- */

static void add_member(struct group *group, const struct group_join *join, struct slice id,
		       struct group_time time)
{
	struct group_member *member = member_new(group, join, id);
	struct slice type = {0};

	if (!member || (group->members_count == 0 && !text_copy(&type, join->protocol_type))) {
		if (member)
			member_free(group, member);
		refuse(group, join, KAFKA_COORDINATOR_NOT_AVAILABLE, id);
		return;
	}
	if (group->members_count == 0) {
		text_free(&group->protocol_type);
		group->protocol_type = type;
	}
	if (group->state == GROUP_PREPARING && group->before == GROUP_EMPTY)
		group->newcomers = true;
	member->is_new = true;
	member->untold = join->member_id.len == 0;
	member->join = join->waiter;
	member->deadline_ms = time.now_ms + GROUP_NEW_MEMBER_MS;
	group_wake_by(group, member->deadline_ms);
	group_add(group, member);
	group_tell(group, GROUP_JOINED, member, join->reason);
	group_rebalance(group, GROUP_JOINED, time);
}

static void give_id(struct group *group, const struct group_join *join, struct group_time time)
{
	const struct group_join nothing = {.session_ms = join->session_ms};
	int32_t others = group->state == GROUP_PREPARING ? group->joining : group->members_count;
	struct group_member *pending = NULL;

	if (group->pending_count >= group->limits->size_max - others) {
		refuse(group, join, KAFKA_GROUP_MAX_SIZE_REACHED, slice_make("", 0));
		return;
	}
	if (group->pending_count < GROUP_PENDING_MAX)
		pending = member_new(group, &nothing, join->fresh_id);
	if (!pending) {
		refuse(group, join, KAFKA_COORDINATOR_NOT_AVAILABLE, slice_make("", 0));
		return;
	}
	group_add_pending(group, pending);
	group_renew(group, pending, time);
	refuse(group, join, KAFKA_MEMBER_ID_REQUIRED, pending->id);
}

/* ---- a static member that comes back under a new id ---- */

struct static_change {
	struct group_member *member;
	struct slice old_id;
	struct group_protocol *old_protocols;
	int32_t old_protocols_count;
	uint64_t old_held;
};

static bool rename_static(struct group *group, const struct group_join *join,
			  struct group_member *member, struct static_change *ret)
{
	struct slice id;

	if (!text_copy(&id, join->fresh_id))
		return false;
	*ret = (struct static_change){member, member->id, member->protocols,
				      member->protocols_count, member->held_protocols};
	member->protocols = NULL;
	member->held_protocols = 0;
	if (!member_set_protocols(group, member, join->protocols, join->protocols_count)) {
		member->protocols = ret->old_protocols;
		member->held_protocols = ret->old_held;
		text_free(&id);
		return false;
	}
	group_rename(group, member, id);
	return true;
}

static void rename_back(struct group *group, struct static_change *change)
{
	struct group_member *member = change->member;
	struct slice new_id = member->id;

	group_rename(group, member, change->old_id);
	text_free(&new_id);
	free(member->protocols);
	held_give(group->limits->held, HELD_GROUPS, member->held_protocols);
	member->held_protocols = change->old_held;
	change->old_held = 0;
	member->protocols = change->old_protocols;
	member->protocols_count = change->old_protocols_count;
	change->old_id = slice_make(NULL, 0);
	change->old_protocols = NULL;
}

/* In STABLE, when the protocol stays: it gets its old assignment by SyncGroup. A leader that can't
 * be told to skip the assignment is told that its former self leads. */
static void replace_quietly(struct group *group, const struct group_join *join,
			    struct static_change *change, struct group_time time)
{
	struct group_member *member = change->member;
	bool leads = group->leader == member;
	enum kafka_error error = group->ops->store(group);
	struct group_joined answer;

	if (error != KAFKA_NONE) {
		rename_back(group, change);
		refuse(group, join, error, slice_make("", 0));
		return;
	}
	group_renew(group, member, time);
	answer = group_present(group, member);
	answer.skip_assignment = answer.with_members = leads && join->skips_assignment;
	if (leads && !join->skips_assignment)
		answer.leader = change->old_id;
	group->ops->joined(group, join->waiter, &answer);
}

static void replace_static(struct group *group, const struct group_join *join,
			   struct group_member *member, struct group_time time)
{
	const struct group_joined fenced = {.error = KAFKA_FENCED_INSTANCE_ID,
					    .generation = -1,
					    .member_id = member->id};
	struct static_change change;
	const struct group_protocol *chosen;

	if (!rename_static(group, join, member, &change)) {
		refuse(group, join, KAFKA_COORDINATOR_NOT_AVAILABLE, slice_make("", 0));
		return;
	}
	if (member->join)
		group_answer_join(group, member, &fenced);
	if (member->sync)
		group_answer_sync(group, member, KAFKA_FENCED_INSTANCE_ID);
	member->session_ms = join->session_ms;
	member->rebalance_ms = join->rebalance_ms;
	group_renew(group, member, time);
	group_tell(group, GROUP_REPLACED, member, join->reason);
	chosen = group_choose_protocol(group);
	if (group->state == GROUP_STABLE && chosen && slice_eq(chosen->name, group->protocol)) {
		replace_quietly(group, join, &change, time);
	} else {
		/* In COMPLETING, too: the leader may be assigning to the old id. */
		wait_in_join(group, member, join->waiter);
		group_rebalance(group, GROUP_REPLACED, time);
	}
	held_give(group->limits->held, HELD_GROUPS, change.old_held);
	text_free(&change.old_id);
	free(change.old_protocols);
}

/* ---- joins ---- */

static void join_new(struct group *group, const struct group_join *join, struct group_time time)
{
	struct group_member *existing =
	    join->instance_id.ptr ? group_find_static(group, join->instance_id) : NULL;

	if (existing)
		replace_static(group, join, existing, time);
	else if (join->returns_with_id && !join->instance_id.ptr)
		give_id(group, join, time);
	else
		add_member(group, join, join->fresh_id, time);
}

static void rejoin(struct group *group, const struct group_join *join, struct group_member *member,
		   struct group_time time)
{
	bool same = member_has_protocols(member, join->protocols, join->protocols_count);

	/* Its answer was lost. A leader of a stable group that joins wants a rebalance. */
	if (same && (group->state == GROUP_COMPLETING ||
		     (group->state == GROUP_STABLE && group->leader != member))) {
		answer_at_once(group, join, member, time);
		return;
	}
	if (!same && !member_set_protocols(group, member, join->protocols, join->protocols_count)) {
		refuse(group, join, KAFKA_COORDINATOR_NOT_AVAILABLE, member->id);
		return;
	}
	member->session_ms = join->session_ms;
	member->rebalance_ms = join->rebalance_ms;
	/* In a rebalance everybody joins again. */
	if (group->state != GROUP_PREPARING)
		group_tell(group, GROUP_REJOINED, member, join->reason);
	wait_in_join(group, member, join->waiter);
	group_rebalance(group, GROUP_REJOINED, time);
}

static void join_known(struct group *group, const struct group_join *join, struct group_time time)
{
	struct group_member *member = group_find_pending(group, join->member_id);
	enum kafka_error error;

	if (member && !join->instance_id.ptr) {
		group_forget_pending(group, member);
		add_member(group, join, join->member_id, time);
		return;
	}
	error = group_identify(group, join->member_id, join->instance_id, &member);
	if (error != KAFKA_NONE)
		refuse(group, join, error, join->member_id);
	else
		rejoin(group, join, member, time);
}

static bool has_room(const struct group *group, const struct group_join *join)
{
	const struct group_member *member = join->instance_id.ptr
						? group_find_static(group, join->instance_id)
						: group_find(group, join->member_id);

	if (group->state == GROUP_PREPARING)
		return (member && member->join) || group->joining < group->limits->size_max;
	return member || group->members_count < group->limits->size_max;
}

static void refuse_full(struct group *group, const struct group_join *join, struct group_time time)
{
	struct group_member *pending = group_find_pending(group, join->member_id);

	if (pending) {
		group_forget_pending(group, pending);
		group_try_complete(group, time);
	}
	refuse(group, join, KAFKA_GROUP_MAX_SIZE_REACHED, slice_make("", 0));
}

void group_join(struct group *group, const struct group_join *join, struct group_time time)
{
	if (group->state == GROUP_DEAD)
		refuse(group, join, KAFKA_COORDINATOR_NOT_AVAILABLE, join->member_id);
	else if (!group_allows_session(group->limits, join->session_ms))
		refuse(group, join, KAFKA_INVALID_SESSION_TIMEOUT, join->member_id);
	else if (!has_room(group, join))
		refuse_full(group, join, time);
	else if (!group_supports(group, join->protocol_type, join->protocols,
				 join->protocols_count))
		refuse(group, join, KAFKA_INCONSISTENT_GROUP_PROTOCOL, join->member_id);
	else if (join->member_id.len == 0)
		join_new(group, join, time);
	else
		join_known(group, join, time);
}

/* ---- syncs ---- */

static enum kafka_error may_sync(const struct group *group, const struct group_sync *sync,
				 struct group_member **ret)
{
	enum kafka_error error;

	if (group->state == GROUP_DEAD)
		return KAFKA_COORDINATOR_NOT_AVAILABLE;
	error = group_identify(group, sync->member_id, sync->instance_id, ret);
	if (error != KAFKA_NONE)
		return error;
	if (sync->generation != group->generation)
		return KAFKA_ILLEGAL_GENERATION;
	if (sync->protocol_type.ptr && !slice_eq(sync->protocol_type, group->protocol_type))
		return KAFKA_INCONSISTENT_GROUP_PROTOCOL;
	if (sync->protocol.ptr && group->protocol.ptr && !slice_eq(sync->protocol, group->protocol))
		return KAFKA_INCONSISTENT_GROUP_PROTOCOL;
	return group->state == GROUP_PREPARING ? KAFKA_REBALANCE_IN_PROGRESS : KAFKA_NONE;
}

/* Numbers of assignments; of equal members in the order they were named. */
static int by_member(const void *a, const void *b, void *assignments)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
	const struct group_assignment *at = assignments;
	int order = slice_compare(at[x].member_id, at[y].member_id);

	return order ? order : (x > y) - (x < y);
}

/* The last for the member; whoever the leader has forgotten gets nothing. */
static struct slice assignment_of(const struct group_sync *sync, struct slice member_id)
{
	const struct group_assignment *at = sync->assignments;
	const uint32_t *order = sync->order;
	int32_t low = 0, high = sync->assignments_count;

	while (low < high) {
		int32_t middle = low + (high - low) / 2;

		if (slice_compare(at[order[middle]].member_id, member_id) <= 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low > 0 && slice_eq(at[order[low - 1]].member_id, member_id)
		   ? at[order[low - 1]].assignment
		   : slice_make("", 0);
}

uint32_t *group_assignments_order(const struct group_assignment *assignments, int32_t count)
{
	uint32_t *order = malloc(((size_t)count + 1) * sizeof(*order));

	for (uint32_t i = 0; order && i < (uint32_t)count; i++)
		order[i] = i;
	if (order)
		qsort_r(order, (size_t)count, sizeof(*order), by_member, (void *)assignments);
	return order;
}

static enum kafka_error take_assignments(struct group *group, const struct group_sync *sync)
{
	struct list *node;

	list_for_each (node, &group->members) {
		struct group_member *member = container_of(node, struct group_member, node);

		if (!member_set_assignment(group, member, assignment_of(sync, member->id)))
			return KAFKA_COORDINATOR_NOT_AVAILABLE;
	}
	return KAFKA_NONE;
}

static void answer_syncs(struct group *group, enum kafka_error error, struct group_time time)
{
	struct list *node;

	list_for_each (node, &group->members) {
		struct group_member *member = container_of(node, struct group_member, node);

		if (member->sync) {
			group_renew(group, member, time);
			group_answer_sync(group, member, error);
		}
	}
}

static void assign(struct group *group, const struct group_sync *sync, struct group_time time)
{
	enum kafka_error error = take_assignments(group, sync);

	if (error == KAFKA_NONE)
		error = group->ops->store(group);
	if (error == KAFKA_NONE)
		group_enter(group, GROUP_STABLE, time);
	answer_syncs(group, error, time);
	if (error != KAFKA_NONE)
		group_begin_rebalance(group, GROUP_UNSTORED, time);
}

static void sync_arrived(struct group *group, struct group_member *member)
{
	if (!member->sync_missing)
		return;
	member->sync_missing = false;
	if (--group->syncs_missing == 0)
		group->sync_deadline_ms = GROUP_NEVER;
}

void group_sync(struct group *group, const struct group_sync *sync, struct group_time time)
{
	struct group_member *member = NULL;
	enum kafka_error error = may_sync(group, sync, &member);

	if (error != KAFKA_NONE) {
		group->ops->synced(group, sync->waiter, error, slice_make(NULL, 0));
		return;
	}
	sync_arrived(group, member);
	if (member->sync)
		group_answer_sync(group, member, KAFKA_REBALANCE_IN_PROGRESS);
	member->orphan = false;
	member->sync = sync->waiter;
	if (group->state == GROUP_STABLE) {
		group_renew(group, member, time);
		group_answer_sync(group, member, KAFKA_NONE);
	} else if (group->leader == member) {
		assign(group, sync, time);
	}
}
