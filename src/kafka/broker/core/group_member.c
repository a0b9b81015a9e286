#include "kafka/broker/core/group_internal.h"

#include <stdlib.h>

#include "base/be.h"
#include "base/hash.h"

bool text_copy(struct slice *ret, struct slice s)
{
	char *copy = NULL;

	if (s.ptr) {
		copy = malloc(s.len + 1);
		if (!copy)
			return false;
		memcpy(copy, s.ptr, s.len);
	}
	*ret = slice_make(copy, s.len);
	return true;
}

void text_free(struct slice *s)
{
	free((void *)s->ptr);
	*s = slice_make(NULL, 0);
}

/* ---- one member ---- */

static bool take_held(struct group *group, uint64_t bytes)
{
	if (!group->loading)
		return held_take(group->limits->held, HELD_GROUPS, bytes);
	held_add(group->limits->held, HELD_GROUPS, bytes);
	return true;
}

static void give_held(struct group *group, uint64_t bytes)
{
	held_give(group->limits->held, HELD_GROUPS, bytes);
}

struct group_member *member_new(struct group *group, const struct group_join *join, struct slice id)
{
	uint64_t bytes = sizeof(struct group_member) + id.len + join->instance_id.len +
			 join->client_id.len + join->client_host.len;
	bool counted = take_held(group, bytes);
	struct group_member *member = counted ? calloc(1, sizeof(*member)) : NULL;

	if (!member) {
		if (counted)
			give_held(group, bytes);
		return NULL;
	}
	list_init(&member->node);
	member->group = group;
	member->held = bytes;
	member->session_ms = join->session_ms;
	member->rebalance_ms = join->rebalance_ms;
	if (text_copy(&member->id, id) && text_copy(&member->instance_id, join->instance_id) &&
	    text_copy(&member->client_id, join->client_id) &&
	    text_copy(&member->client_host, join->client_host) &&
	    member_set_protocols(group, member, join->protocols, join->protocols_count))
		return member;
	member_free(group, member);
	return NULL;
}

void member_free(struct group *group, struct group_member *member)
{
	CHECK(!member->join && !member->sync);
	member_drop_assignment(group, member);
	give_held(group, member->held + member->held_protocols);
	text_free(&member->id);
	text_free(&member->instance_id);
	text_free(&member->client_id);
	text_free(&member->client_host);
	free(member->protocols);
	free(member);
}

static char *put(char **at, struct slice s)
{
	char *start = *at;

	if (s.len)
		memcpy(start, s.ptr, s.len);
	*at += s.len;
	return start;
}

/* Behind the protocols: their numbers, in the order of the names; votes; the bytes. */
static uint32_t *by_name(const struct group_member *member)
{
	return (uint32_t *)(member->protocols + member->protocols_count);
}

int32_t *member_votes(const struct group_member *member)
{
	return (int32_t *)(by_name(member) + member->protocols_count);
}

/* Of equal names the first comes first. */
static int by_name_and_number(const void *a, const void *b, void *protocols)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
	const struct group_protocol *at = protocols;
	int order = slice_compare(at[x].name, at[y].name);

	return order ? order : (x > y) - (x < y);
}

static void sort(struct group_member *member)
{
	uint32_t *order = by_name(member);

	for (int32_t i = 0; i < member->protocols_count; i++)
		order[i] = (uint32_t)i;
	qsort_r(order, (size_t)member->protocols_count, sizeof(*order), by_name_and_number,
		member->protocols);
}

bool member_set_protocols(struct group *group, struct group_member *member,
			  const struct group_protocol *protocols, int32_t count)
{
	size_t bytes = (size_t)count * (sizeof(*protocols) + sizeof(uint32_t) + sizeof(int32_t));
	struct group_protocol *copy;
	char *at;

	for (int32_t i = 0; i < count; i++)
		bytes += protocols[i].name.len + protocols[i].metadata.len;
	if (!take_held(group, bytes))
		return false;
	copy = malloc(bytes + 1);
	if (!copy) {
		give_held(group, bytes);
		return false;
	}
	give_held(group, member->held_protocols);
	free(member->protocols);
	member->held_protocols = bytes;
	member->protocols = copy;
	member->protocols_count = count;
	at = (char *)(member_votes(member) + count);
	for (int32_t i = 0; i < count; i++) {
		copy[i].name = slice_make(put(&at, protocols[i].name), protocols[i].name.len);
		copy[i].metadata =
		    slice_make(put(&at, protocols[i].metadata), protocols[i].metadata.len);
	}
	sort(member);
	return true;
}

bool member_has_protocols(const struct group_member *member, const struct group_protocol *protocols,
			  int32_t count)
{
	if (member->protocols_count != count)
		return false;
	for (int32_t i = 0; i < count; i++)
		if (!slice_eq(member->protocols[i].name, protocols[i].name) ||
		    !slice_eq(member->protocols[i].metadata, protocols[i].metadata))
			return false;
	return true;
}

void member_drop_assignment(struct group *group, struct group_member *member)
{
	give_held(group, member->assignment.len);
	text_free(&member->assignment);
}

bool member_set_assignment(struct group *group, struct group_member *member,
			   struct slice assignment)
{
	struct slice copy;

	if (!take_held(group, assignment.len))
		return false;
	if (!text_copy(&copy, assignment.ptr ? assignment : slice_make("", 0))) {
		give_held(group, assignment.len);
		return false;
	}
	member_drop_assignment(group, member);
	member->assignment = copy;
	return true;
}

int32_t member_protocol_number(const struct group_member *member, struct slice name)
{
	const uint32_t *order = by_name(member);
	int32_t low = 0, high = member->protocols_count;

	while (low < high) {
		int32_t middle = low + (high - low) / 2;

		if (slice_compare(member->protocols[order[middle]].name, name) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == member->protocols_count || !slice_eq(member->protocols[order[low]].name, name))
		return -1;
	return (int32_t)order[low];
}

const struct group_protocol *member_protocol(const struct group_member *member, struct slice name)
{
	int32_t number = member_protocol_number(member, name);

	return number < 0 ? NULL : &member->protocols[number];
}

/* ---- the members of a group ---- */

static uint64_t hash_name(const struct group *group, struct slice name)
{
	return hash_slice_from(group->limits->secret, name);
}

static struct group_member *find_in(const struct group *group, const struct table *members,
				    struct slice id)
{
	uint64_t hash = hash_name(group, id);
	struct table_node *node = table_first(members, hash);

	for (; node; node = node->next) {
		struct group_member *member = container_of(node, struct group_member, by_id);

		if (node->hash == hash && slice_eq(member->id, id))
			return member;
	}
	return NULL;
}

struct group_member *group_find(const struct group *group, struct slice id)
{
	return find_in(group, &group->by_id, id);
}

struct group_member *group_find_pending(const struct group *group, struct slice id)
{
	return find_in(group, &group->pending_by_id, id);
}

struct group_member *group_find_static(const struct group *group, struct slice instance_id)
{
	uint64_t hash = hash_name(group, instance_id);
	struct table_node *node = table_first(&group->by_instance, hash);

	for (; node; node = node->next) {
		struct group_member *member = container_of(node, struct group_member, by_instance);

		if (node->hash == hash && slice_eq(member->instance_id, instance_id))
			return member;
	}
	return NULL;
}

enum kafka_error group_identify(const struct group *group, struct slice id,
				struct slice instance_id, struct group_member **ret)
{
	struct group_member *member =
	    instance_id.ptr ? group_find_static(group, instance_id) : group_find(group, id);

	if (!member)
		return KAFKA_UNKNOWN_MEMBER_ID;
	if (!slice_eq(member->id, id))
		return KAFKA_FENCED_INSTANCE_ID;
	*ret = member;
	return KAFKA_NONE;
}

void group_add(struct group *group, struct group_member *member)
{
	list_push_back(&group->members, &member->node);
	table_add(&group->by_id, &member->by_id, hash_name(group, member->id));
	if (member->instance_id.ptr)
		table_add(&group->by_instance, &member->by_instance,
			  hash_name(group, member->instance_id));
	group->members_count++;
	if (member->join)
		group->joining++;
	if (!group->leader)
		group->leader = member;
}

void group_remove(struct group *group, struct group_member *member, enum kafka_error error)
{
	const struct group_joined refusal = {.error = error,
					     .generation = -1,
					     .member_id = member->id};

	if (member->join)
		group_answer_join(group, member, &refusal);
	if (member->sync)
		group_answer_sync(group, member, error);
	if (member->sync_missing)
		group->syncs_missing--;
	list_remove(&member->node);
	table_remove(&group->by_id, &member->by_id);
	if (member->instance_id.ptr)
		table_remove(&group->by_instance, &member->by_instance);
	group->members_count--;
	if (group->leader == member)
		group->leader = list_empty(&group->members)
				    ? NULL
				    : container_of(group->members.next, struct group_member, node);
	member_free(group, member);
}

void group_rename(struct group *group, struct group_member *member, struct slice id)
{
	table_remove(&group->by_id, &member->by_id);
	member->id = id;
	table_add(&group->by_id, &member->by_id, hash_name(group, id));
}

void group_add_pending(struct group *group, struct group_member *pending)
{
	list_push_back(&group->pending, &pending->node);
	table_add(&group->pending_by_id, &pending->by_id, hash_name(group, pending->id));
	group->pending_count++;
}

void group_forget_pending(struct group *group, struct group_member *pending)
{
	list_remove(&pending->node);
	table_remove(&group->pending_by_id, &pending->by_id);
	group->pending_count--;
	member_free(group, pending);
}

/* ---- what they read ---- */

bool group_is_consumer(const struct group *group)
{
	return slice_eq(group->protocol_type, SLICE_LITERAL("consumer"));
}

/* Takes an int16 length and so many bytes; false: there are fewer. */
static bool take_text(struct slice *bytes, struct slice *ret)
{
	size_t len;

	if (bytes->len < 2)
		return false;
	len = be_load16(bytes->ptr);
	if (len > bytes->len - 2)
		return false;
	*ret = slice_make(bytes->ptr + 2, len);
	*bytes = slice_make(bytes->ptr + 2 + len, bytes->len - 2 - len);
	return true;
}

/* A subscription begins with its version, int16, and the topics, an int32 and so many names; what
 * later versions have stands behind. */
static bool subscribes(struct slice subscription, struct slice topic)
{
	struct slice name;
	uint32_t count;

	if (subscription.len < 6)
		return true;
	count = be_load32(subscription.ptr + 2);
	subscription = slice_make(subscription.ptr + 6, subscription.len - 6);
	for (; count > 0; count--)
		if (!take_text(&subscription, &name) || slice_eq(name, topic))
			return true;
	return false;
}

bool group_reads(const struct group *group, struct slice topic)
{
	struct list *node;

	if (!group->protocol.ptr)
		return group->members_count > 0;
	list_for_each (node, &group->members)
		if (subscribes(group_member_metadata(group,
						     container_of(node, struct group_member, node)),
			       topic))
			return true;
	return false;
}
