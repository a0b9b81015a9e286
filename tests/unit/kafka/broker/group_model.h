/*
 * The classic group protocol once more, as plainly as it can be said: small arrays, everything
 * looked for by going through them, time looked at for each member at each step. What it says is
 * what the machine has to do.
 */
#ifndef TESTS_GROUP_MODEL_H
#define TESTS_GROUP_MODEL_H

#include "kafka/broker/core/group.h"

enum {
	MODEL_MEMBERS = 12,
	MODEL_WAITERS = 4096,
	MODEL_SESSION_MIN = 10,
	MODEL_SESSION_MAX = 1000,
	MODEL_SIZE = 4,
	MODEL_DELAY = 30,
};

/* Ids are small numbers, 0: none. Protocols: a list by its number, see model_protocols. */
struct model_member {
	int id, instance;
	int protocols, version;
	int session, rebalance;
	uint64_t deadline;
	int join, sync;
	bool is_new, missing;
	int assigned;
};

struct model_answer {
	bool given;
	int error, generation, leader, member, count;
	char protocol;
	bool skip;
	int assigned;
};

struct model {
	enum group_state state, before;
	int generation, leader;
	char protocol;
	struct model_member members[MODEL_MEMBERS], pending[MODEL_MEMBERS];
	int count, pending_count;
	uint64_t join_deadline, sync_deadline;
	int delay_left;
	bool newcomers, store_fails;
	struct model_answer answers[MODEL_WAITERS];
};

/* The names of the protocols in each list, the best first. */
extern const char *const model_protocols[];
#define MODEL_PROTOCOLS    5
#define MODEL_NO_PROTOCOLS 5 /* the list of none */

struct model_join {
	int waiter, member, instance, protocols, version, session, rebalance, fresh;
	bool returns, skips;
};

/* Is there a member of that instance? */
bool model_has(struct model *m, int instance);
void model_join(struct model *m, const struct model_join *join, uint64_t now);
/* The leader assigns each member its id times `factor`. */
void model_sync(struct model *m, int waiter, int member, int instance, int generation, int factor,
		uint64_t now);
int model_heartbeat(struct model *m, int member, int instance, int generation, uint64_t now);
int model_leave(struct model *m, int member, int instance, uint64_t now);
int model_commit(struct model *m, int member, int instance, int generation, uint64_t now);
void model_tick(struct model *m, uint64_t now);

#endif
