/*
 * What the files of the group machine share: members come and go, states change, rebalances begin
 * and end.
 */
#ifndef KAFKA_BROKER_CORE_GROUP_INTERNAL_H
#define KAFKA_BROKER_CORE_GROUP_INTERNAL_H

#include "kafka/broker/core/group.h"

/* ---- group_member.c ---- */

/* A copy of `s`, which stays null if it is; false: no memory. */
bool text_copy(struct slice *ret, struct slice s);
void text_free(struct slice *s);

/* In no list yet; NULL: no memory, or the account has no room. The same is false below. */
struct group_member *member_new(struct group *group, const struct group_join *join,
				struct slice id);
void member_free(struct group *group, struct group_member *member);
bool member_set_protocols(struct group *group, struct group_member *member,
			  const struct group_protocol *protocols, int32_t count);
bool member_has_protocols(const struct group_member *member, const struct group_protocol *protocols,
			  int32_t count);
bool member_set_assignment(struct group *group, struct group_member *member,
			   struct slice assignment);
void member_drop_assignment(struct group *group, struct group_member *member);
/* `id` is the member's from now on, in place of the one that it had, which is the caller's. */
void group_rename(struct group *group, struct group_member *member, struct slice id);
/* The first of that name: clients may name as many as fit into a request, so all searches are by
 * halves. -1, NULL: it has none. */
int32_t member_protocol_number(const struct group_member *member, struct slice name);
const struct group_protocol *member_protocol(const struct group_member *member, struct slice name);
/* Room for a number for each of its protocols, for the counting of votes. */
int32_t *member_votes(const struct group_member *member);

struct group_member *group_find(const struct group *group, struct slice id);
struct group_member *group_find_static(const struct group *group, struct slice instance_id);
struct group_member *group_find_pending(const struct group *group, struct slice id);
/* The member that a request speaks for, or why it does not. */
enum kafka_error group_identify(const struct group *group, struct slice id,
				struct slice instance_id, struct group_member **ret);

void group_add(struct group *group, struct group_member *member);
void group_add_pending(struct group *group, struct group_member *pending);
/* Whoever waits for it is answered with `error`; frees it. */
void group_remove(struct group *group, struct group_member *member, enum kafka_error error);
void group_forget_pending(struct group *group, struct group_member *pending);

/* ---- group.c ---- */

/* The one door of the state. */
void group_enter(struct group *group, enum group_state state, struct group_time time);
/* `deadline_ms` is one of the group's now. */
void group_wake_by(struct group *group, uint64_t deadline_ms);
/* The member has shown that it lives. */
void group_renew(struct group *group, struct group_member *member, struct group_time time);

/* To ops->tell, if there is one. */
void group_tell(const struct group *group, enum group_cause cause,
		const struct group_member *member, struct slice reason);

void group_answer_join(struct group *group, struct group_member *member,
		       const struct group_joined *answer);
void group_answer_sync(struct group *group, struct group_member *member, enum kafka_error error);
/* What a member of the present generation is told. */
struct group_joined group_present(const struct group *group, const struct group_member *member);

/* ---- group_rebalance.c ---- */

/* The protocol that most members prefer of those that all have; NULL: there is none. */
const struct group_protocol *group_choose_protocol(const struct group *group);
/* Has each member one of these? */
bool group_supports(const struct group *group, struct slice type,
		    const struct group_protocol *protocols, int32_t count);
/* A rebalance begins; one that is under way may be complete by now. */
void group_rebalance(struct group *group, enum group_cause cause, struct group_time time);
void group_begin_rebalance(struct group *group, enum group_cause cause, struct group_time time);
/* All are there? Then the next generation begins. */
void group_try_complete(struct group *group, struct group_time time);
void group_join_time_is_up(struct group *group, struct group_time time);
void group_sync_time_is_up(struct group *group, struct group_time time);

#endif
