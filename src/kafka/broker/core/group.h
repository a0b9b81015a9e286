/*
 * A consumer group of the classic protocol: who is in it, which generation it is at, who waits.
 *
 *     EMPTY --a member joins--> PREPARING --all have joined, or time is up--> COMPLETING
 *       ^                        ^ |  ^                                         |  |
 *       |  nobody joined         | |  +--------- a member comes, goes, ---------+  | the leader has
 *       +------------------------|-+             joins differently              |  | assigned
 *                                |                                              v  v
 *                                +------------- the same, or a deadline ------- STABLE
 *
 *     any --group_end()--> DEAD
 *
 * Pure: events come in with the time they happen at, what is to be done goes out by group_ops, at
 * once and from inside the event. The machine has one time of its own to be woken at: group_next().
 *
 * JoinGroup and SyncGroup wait: the request is a `waiter`, any pointer of the caller's, that the
 * machine holds until it gives it back by ops->joined or ops->synced. Each is given back exactly
 * once.
 *
 * Invariants, CHECKed by group_check():
 *   1. EMPTY and DEAD have no members; COMPLETING and STABLE have some, a leader and a protocol.
 *   2. who waits in a join is there in PREPARING only; who waits in a sync in COMPLETING only.
 *   3. the leader is a member; instance ids and member ids are unique.
 *   4. group_next() is never later than the earliest deadline.
 *
 * One thread at a time.
 */
#ifndef KAFKA_BROKER_CORE_GROUP_H
#define KAFKA_BROKER_CORE_GROUP_H

#include "base/list.h"
#include "base/slice.h"
#include "base/table.h"
#include "kafka/broker/core/held.h"
#include "kafka/wire/error.h"

#define GROUP_NEVER UINT64_MAX

enum group_state { GROUP_EMPTY, GROUP_PREPARING, GROUP_COMPLETING, GROUP_STABLE, GROUP_DEAD };

/* As DescribeGroups and ListGroups call them. */
const char *group_state_name(enum group_state state);

struct group;

struct group_protocol {
	struct slice name, metadata;
};

struct group_member {
	struct list node;
	struct group *group;
	struct table_node by_id, by_instance;
	struct slice id;
	struct slice instance_id; /* ptr NULL: a dynamic member */
	struct slice client_id, client_host;
	struct group_protocol *protocols; /* the best first; with their bytes, one allocation */
	int32_t protocols_count;
	uint64_t held;           /* of the account, for it and its names */
	uint64_t held_protocols; /* for these */
	int32_t session_ms, rebalance_ms;
	struct slice assignment;
	uint64_t deadline_ms; /* its session's end */
	void *join, *sync;    /* who waits; NULL: nobody */
	bool is_new;          /* its first join has not been answered: it can't send heartbeats */
	bool untold;          /* ... nor does its client know its id */
	bool orphan;          /* its client's connection has ended while it waited */
	bool sync_missing;    /* of this generation */
};

struct group_joined {
	enum kafka_error error;
	int32_t generation;
	struct slice protocol_type, protocol; /* ptr NULL: none */
	struct slice leader, member_id;
	bool skip_assignment;
	bool with_members; /* to the leader: list group->members with their metadata */
};

/* What happens to a member, and so why a group rebalances. X(ID, its name in metrics, what the log says
 * of the member) */
#define GROUP_CAUSES(X)                                                             \
	X(JOINED, "joined", "joined")                                               \
	X(REJOINED, "rejoined", "joined again, as the leader or with other topics") \
	X(REPLACED, "replaced", "came back under a new id")                         \
	X(LEFT, "left", "left")                                                     \
	X(EXPIRED, "expired", "was not heard of until its session ended")           \
	X(LATE, "late", "did not join again in time")                               \
	X(UNASSIGNED, "unassigned", "did not ask for its assignment in time")       \
	X(UNSTORED, "unstored", "has assigned what could not be stored")

#define GROUP_CAUSE_ENUM(id, ...) GROUP_##id,
enum group_cause { GROUP_CAUSES(GROUP_CAUSE_ENUM) GROUP_CAUSE_COUNT };
#undef GROUP_CAUSE_ENUM

/* As metrics call it, and the log. */
const char *group_cause_name(enum group_cause cause);
const char *group_cause_text(enum group_cause cause);

/* Called from inside events: what they point at is valid until they return, and they must not call
 * the group's events. */
struct group_ops {
	void (*joined)(struct group *group, void *waiter, const struct group_joined *answer);
	void (*synced)(struct group *group, void *waiter, enum kafka_error error,
		       struct slice assignment);
	/* The group's state, as it is now, must be kept. NONE, or why that failed. */
	enum kafka_error (*store)(struct group *group);
	/* For people; NULL: nobody reads it. Of a member; `reason`: its own words, ptr NULL: none. And
	 * with NULL for the member: a rebalance begins. */
	void (*tell)(const struct group *group, enum group_cause cause,
		     const struct group_member *member, struct slice reason);
};

struct group_limits {
	int32_t session_min_ms, session_max_ms; /* group.min/max.session.timeout.ms */
	int32_t size_max;                       /* group.max.size; of members and pending ones */
	int32_t initial_delay_ms;               /* group.initial.rebalance.delay.ms */
	uint64_t secret;                        /* of hashes: strangers choose the names */
	struct held *held;                      /* NULL: nobody counts what members take */
};

/* Who were given an id and have not come back: a client has one or two, so this is many clients, or one
 * that does nothing but ask. */
#define GROUP_PENDING_MAX 10000

/* How long a member that has never got an answer may wait for it. As it has no id yet, a retry of
 * its makes another member, so those left behind must end. */
#define GROUP_NEW_MEMBER_MS (5 * 60 * 1000)

struct group {
	void *owner; /* the caller's */
	const struct group_ops *ops;
	const struct group_limits *limits;
	struct slice id;
	enum group_state state;
	enum group_state before; /* PREPARING: where it came from */
	enum group_cause cause;  /* of the last rebalance */
	int32_t generation;
	struct slice protocol_type, protocol; /* ptr NULL: none */
	int64_t state_since_ms;               /* wall clock, of the last change of state */

	struct list members; /* in the order they came */
	struct list pending; /* they were given an id and have not come back with it */
	struct table by_id, by_instance, pending_by_id;
	int32_t members_count, joining, syncs_missing, pending_count;
	struct group_member *leader;

	uint64_t join_deadline_ms; /* of PREPARING */
	uint64_t sync_deadline_ms; /* until all have asked for their assignment */
	int32_t initial_left_ms;   /* how much longer the first rebalance may be put off */
	bool newcomers;            /* since it was put off last */
	bool loading;              /* from storage: what is there, is there */
	uint64_t next_ms;
};

/* What the events need to know of the time: a clock that never runs backwards, and the wall's. */
struct group_time {
	uint64_t now_ms;
	int64_t wall_ms;
};

/* EMPTY, at generation 0. NULL: no memory. */
struct group *group_new(struct slice id, const struct group_ops *ops,
			const struct group_limits *limits, struct group_time time);
/* Whoever waits is answered with `error`; DEAD. */
void group_end(struct group *group, enum kafka_error error);
/* After group_end(), or when nobody waits. */
void group_free(struct group *group);

struct group_join {
	void *waiter;
	struct slice member_id;   /* empty: a new member */
	struct slice instance_id; /* ptr NULL: dynamic */
	struct slice client_id, client_host;
	struct slice protocol_type;
	const struct group_protocol *protocols;
	int32_t protocols_count;
	int32_t session_ms, rebalance_ms;
	bool returns_with_id;  /* version 4 and later: a new member first gets its id */
	bool skips_assignment; /* version 9 and later */
	struct slice fresh_id; /* for a new member: "client-uuid" */
	struct slice reason;   /* for people; ptr NULL: none */
};

void group_join(struct group *group, const struct group_join *join, struct group_time time);

static inline bool group_allows_session(const struct group_limits *limits, int32_t session_ms)
{
	return session_ms >= limits->session_min_ms && session_ms <= limits->session_max_ms;
}

struct group_assignment {
	struct slice member_id, assignment;
};

struct group_sync {
	void *waiter;
	struct slice member_id, instance_id;
	int32_t generation;
	struct slice protocol_type, protocol; /* ptr NULL: not said */
	const struct group_assignment *assignments;
	const uint32_t *order; /* of them: group_assignments_order() */
	int32_t assignments_count;
};

/* The numbers of the assignments in the order of their members, so that each member's is found by
 * halves, however many its leader names. To be freed; NULL: no memory. Any thread, without the
 * group. */
uint32_t *group_assignments_order(const struct group_assignment *assignments, int32_t count);

void group_sync(struct group *group, const struct group_sync *sync, struct group_time time);

enum kafka_error group_heartbeat(struct group *group, struct slice member_id,
				 struct slice instance_id, int32_t generation,
				 struct group_time time);
/* One member goes; an empty id with an instance id names a static one. `reason`: for people. */
enum kafka_error group_leave(struct group *group, struct slice member_id, struct slice instance_id,
			     struct slice reason, struct group_time time);
/* May these commit offsets now? A member's session is renewed by it. */
enum kafka_error group_commit(struct group *group, struct slice member_id, struct slice instance_id,
			      int32_t generation, struct group_time time);

/* The client of this member, which waits, is gone. A member whose id nobody knows goes, any other has its
 * session's time to come back. */
void group_abandon(struct group *group, struct group_member *member, struct group_time time);
/* Who waits as `waiter`: of those the member that is named so; NULL: it has been answered. */
struct group_member *group_waiting(const struct group *group, const void *waiter, struct slice id,
				   struct slice instance_id);

/* When group_tick() has something to do; GROUP_NEVER. It may turn out to be nothing. */
static inline uint64_t group_next(const struct group *group)
{
	return group->next_ms;
}

void group_tick(struct group *group, struct group_time time);

/* From storage: a group without members becomes EMPTY at this generation, then each of its members
 * comes. -ENOMEM. */
struct group_restored {
	int32_t generation;
	struct slice protocol_type, protocol; /* ptr NULL: none */
	struct slice leader;
	int64_t state_since_ms;
};
struct group_restored_member {
	struct slice id, instance_id, client_id, client_host;
	struct slice subscription, assignment;
	int32_t session_ms, rebalance_ms;
};
int group_restore(struct group *group, const struct group_restored *from,
		  const struct group_restored_member *members, int32_t count,
		  struct group_time time);

/* Its members are consumers: what they say of themselves has a known form. */
bool group_is_consumer(const struct group *group);
/* Does a member of a consumer group subscribe to the topic? true also where that can't be told. */
bool group_reads(const struct group *group, struct slice topic);

/* Of the protocol that the group has chosen; empty without. */
struct slice group_member_metadata(const struct group *group, const struct group_member *member);

void group_check(const struct group *group);

#endif
