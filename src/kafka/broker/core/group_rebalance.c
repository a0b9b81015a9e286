/*
 * Rebalances: from "somebody came or went" to a new generation, and until everyone has fetched what
 * it got.
 */
#include "kafka/broker/core/group_internal.h"

/* ---- protocols ---- */

static bool all_have(const struct group *group, struct slice name)
{
	struct list *node;

	list_for_each (node, &group->members)
		if (!member_protocol(container_of(node, struct group_member, node), name))
			return false;
	return true;
}

bool group_supports(const struct group *group, struct slice type,
		    const struct group_protocol *protocols, int32_t count)
{
	if (group->members_count == 0)
		return type.len > 0 && count > 0;
	if (!slice_eq(type, group->protocol_type))
		return false;
	for (int32_t i = 0; i < count; i++)
		if (all_have(group, protocols[i].name))
			return true;
	return false;
}

/* A member's vote: the first in its own order that all have. What all have the first member has,
 * where votes are counted; those of the others are below 0 there. */
static void vote(const struct group_member *member, const struct group_member *first)
{
	int32_t *votes = member_votes(first);

	for (int32_t i = 0; i < member->protocols_count; i++) {
		int32_t number = member_protocol_number(first, member->protocols[i].name);

		if (number >= 0 && votes[number] >= 0) {
			votes[number]++;
			return;
		}
	}
}

const struct group_protocol *group_choose_protocol(const struct group *group)
{
	const struct group_protocol *best = NULL;
	const struct group_member *first;
	struct list *node;
	int32_t most = -1, *votes;

	if (list_empty(&group->members))
		return NULL;
	first = container_of(group->members.next, struct group_member, node);
	votes = member_votes(first);
	for (int32_t i = 0; i < first->protocols_count; i++)
		votes[i] = all_have(group, first->protocols[i].name) ? 0 : -1;
	list_for_each (node, &group->members)
		vote(container_of(node, struct group_member, node), first);
	/* Between equals, the first member's order decides. */
	for (int32_t i = 0; i < first->protocols_count; i++) {
		if (votes[i] > most) {
			best = &first->protocols[i];
			most = votes[i];
		}
	}
	return best;
}

/* ---- beginning ---- */

static uint64_t rebalance_ms(const struct group *group)
{
	int32_t longest = 0;
	struct list *node;

	list_for_each (node, &group->members) {
		int32_t ms = container_of(node, struct group_member, node)->rebalance_ms;

		longest = ms > longest ? ms : longest;
	}
	return (uint64_t)longest;
}

static void forget_syncs(struct group *group, struct group_time time)
{
	struct list *node;

	list_for_each (node, &group->members) {
		struct group_member *member = container_of(node, struct group_member, node);

		member->sync_missing = false;
		/* What they had was of another generation than this, which ends without. */
		if (group->state == GROUP_COMPLETING)
			member_drop_assignment(group, member);
		if (member->sync) {
			group_answer_sync(group, member, KAFKA_REBALANCE_IN_PROGRESS);
			group_renew(group, member, time);
		}
	}
	group->syncs_missing = 0;
	group->sync_deadline_ms = GROUP_NEVER;
}

static void wait_for_joins(struct group *group, uint64_t ms, struct group_time time)
{
	group->join_deadline_ms = time.now_ms + ms;
	group_wake_by(group, group->join_deadline_ms);
}

void group_begin_rebalance(struct group *group, enum group_cause cause, struct group_time time)
{
	uint64_t delay = (uint64_t)group->limits->initial_delay_ms, longest = rebalance_ms(group);
	bool initial = group->state == GROUP_EMPTY;

	group->cause = cause;
	group_tell(group, cause, NULL, slice_make(NULL, 0));
	forget_syncs(group, time);
	group_enter(group, GROUP_PREPARING, time);
	if (!initial) {
		wait_for_joins(group, longest, time);
		group_try_complete(group, time);
		return;
	}
	/* More members are about to come: a rebalance for each of them would be for nothing. */
	group->newcomers = false;
	group->initial_left_ms = (int32_t)(longest > delay ? longest - delay : 0);
	wait_for_joins(group, delay, time);
	if (delay == 0)
		group_join_time_is_up(group, time);
}

void group_rebalance(struct group *group, enum group_cause cause, struct group_time time)
{
	if (group->state == GROUP_PREPARING)
		group_try_complete(group, time);
	else
		group_begin_rebalance(group, cause, time);
}

/* ---- the next generation ---- */

static void drop_absent(struct group *group)
{
	for (struct list *node = group->members.next, *next; node != &group->members; node = next) {
		struct group_member *member = container_of(node, struct group_member, node);

		next = node->next;
		if (member->join || member->instance_id.ptr)
			continue;
		group_tell(group, GROUP_LATE, member, slice_make(NULL, 0));
		group_remove(group, member, KAFKA_UNKNOWN_MEMBER_ID);
	}
}

/* The leader must be one that will get this answer. */
static bool elect(struct group *group)
{
	struct list *node;

	if (group->leader->join)
		return true;
	list_for_each (node, &group->members) {
		struct group_member *member = container_of(node, struct group_member, node);

		if (member->join) {
			group->leader = member;
			return true;
		}
	}
	return false;
}

static void next_generation(struct group *group)
{
	group->generation = group->generation == INT32_MAX ? 1 : group->generation + 1;
	group->join_deadline_ms = GROUP_NEVER;
}

static void become_empty(struct group *group, struct group_time time)
{
	next_generation(group);
	text_free(&group->protocol);
	group_enter(group, GROUP_EMPTY, time);
	/* If this is lost, the group has members after a restart, whose sessions end. */
	group->ops->store(group);
}

static void answer_joins(struct group *group, struct group_time time)
{
	struct list *node;

	list_for_each (node, &group->members) {
		struct group_member *member = container_of(node, struct group_member, node);
		const struct group_joined answer = group_present(group, member);

		member->is_new = member->orphan = false;
		member->sync_missing = true;
		group->syncs_missing++;
		group_renew(group, member, time);
		if (member->join)
			group_answer_join(group, member, &answer);
	}
}

static void complete(struct group *group, struct group_time time)
{
	const struct group_protocol *chosen;
	struct slice name;

	drop_absent(group);
	if (group->members_count == 0) {
		become_empty(group, time);
		return;
	}
	if (!elect(group)) {
		/* Only static members, and all of them away: until they come or their sessions end.
		 */
		wait_for_joins(group, rebalance_ms(group), time);
		return;
	}
	chosen = group_choose_protocol(group);
	CHECK(chosen); /* group_supports() let nobody in without */
	if (!text_copy(&name, chosen->name)) {
		wait_for_joins(group, 1000, time); /* no memory: later */
		return;
	}
	text_free(&group->protocol);
	group->protocol = name;
	next_generation(group);
	group_enter(group, GROUP_COMPLETING, time);
	group->sync_deadline_ms = time.now_ms + rebalance_ms(group);
	group_wake_by(group, group->sync_deadline_ms);
	answer_joins(group, time);
}

void group_try_complete(struct group *group, struct group_time time)
{
	if (group->state == GROUP_PREPARING && group->before != GROUP_EMPTY &&
	    group->joining == group->members_count && group->pending_count == 0)
		complete(group, time);
}

void group_join_time_is_up(struct group *group, struct group_time time)
{
	int32_t more = group->limits->initial_delay_ms;

	if (group->before == GROUP_EMPTY && group->newcomers && group->initial_left_ms > 0) {
		more = more < group->initial_left_ms ? more : group->initial_left_ms;
		group->newcomers = false;
		group->initial_left_ms -= more;
		wait_for_joins(group, (uint64_t)more, time);
		return;
	}
	complete(group, time);
}

void group_sync_time_is_up(struct group *group, struct group_time time)
{
	group->sync_deadline_ms = GROUP_NEVER;
	if (group->syncs_missing == 0)
		return;
	for (struct list *node = group->members.next, *next; node != &group->members; node = next) {
		struct group_member *member = container_of(node, struct group_member, node);

		next = node->next;
		if (!member->sync_missing)
			continue;
		group_tell(group, GROUP_UNASSIGNED, member, slice_make(NULL, 0));
		group_remove(group, member, KAFKA_UNKNOWN_MEMBER_ID);
	}
	group_begin_rebalance(group, GROUP_UNASSIGNED, time);
}
