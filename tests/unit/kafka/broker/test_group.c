/*
 * The group machine: against its model with random events, and the situations worth a name.
 */
#include "unit/unit.h"

#include <stdio.h>
#include <stdlib.h>

#include "unit/kafka/broker/group_model.h"

static const struct group_limits limits = {
    .session_min_ms = MODEL_SESSION_MIN,
    .session_max_ms = MODEL_SESSION_MAX,
    .size_max = MODEL_SIZE,
    .initial_delay_ms = MODEL_DELAY,
};

/* ---- what the machine said ---- */

static struct model_answer said[MODEL_WAITERS];
static enum kafka_error store_says;
static int stores;

static int number(struct slice s)
{
	char text[24] = "";

	assert_true(s.len < sizeof(text));
	if (s.len)
		memcpy(text, s.ptr, s.len);
	return s.len ? atoi(text + 1) : 0;
}

static int waiter_of(void *waiter)
{
	int n = (int)(uintptr_t)waiter;

	assert_in_range(n, 1, MODEL_WAITERS - 1);
	assert_false(said[n].given);
	return n;
}

static void joined(struct group *group, void *waiter, const struct group_joined *answer)
{
	said[waiter_of(waiter)] = (struct model_answer){
	    .given = true,
	    .error = answer->error,
	    .generation = answer->generation,
	    .leader = number(answer->leader),
	    .member = number(answer->member_id),
	    .protocol = (char)(answer->protocol.ptr ? answer->protocol.ptr[0] : 0),
	    .count = answer->with_members ? group->members_count : 0,
	    .skip = answer->skip_assignment,
	};
}

static void synced(struct group *group, void *waiter, enum kafka_error error,
		   struct slice assignment)
{
	said[waiter_of(waiter)] =
	    (struct model_answer){.given = true, .error = error, .assigned = number(assignment)};
}

static enum kafka_error store(struct group *group)
{
	stores++;
	return store_says;
}

static const struct group_ops ops = {.joined = joined, .synced = synced, .store = store};

/* ---- what has been seen ---- */

enum event { JOINS, RETURNS, COMES_BACK, SYNCS, BEATS, LEAVES, COMMITS, TIME_PASSES, EVENTS };

static const char *const event_names[EVENTS] = {
    "a new member joins", "a member joins again", "a static member comes back",
    "a member syncs",     "a heartbeat",          "a member leaves",
    "a commit",           "time passes"};

/* How often an event in a state had an outcome: an error at once, KAFKA_NONE, or nothing yet. */
#define NOTHING_YET 100
#define OUTCOMES    101
static unsigned outcomes[EVENTS][GROUP_DEAD][OUTCOMES];
static unsigned transitions[GROUP_DEAD][GROUP_DEAD];

struct before {
	enum group_state state;
	int generation;
};

static void note(enum event event, const struct before *before, int outcome,
		 const struct model *after)
{
	outcomes[event][before->state][outcome]++;
	transitions[before->state][after->state]++;
}

/* ---- the same events for both ---- */

struct both {
	struct group *group;
	struct model model;
	uint64_t now;
	int next_waiter, next_id;
};

static struct both both;

static struct group_time now(void)
{
	return (struct group_time){both.now, 1000000 + (int64_t)both.now};
}

static struct slice name(char kind, int n, char text[16])
{
	int len = n ? snprintf(text, 16, "%c%d", kind, n) : 0;

	return n ? slice_make(text, (size_t)len)
		 : slice_make(kind == 'i' ? NULL : "", 0); /* instance ids are nullable */
}

static int setup(void **state)
{
	memset(&both, 0, sizeof(both));
	memset(said, 0, sizeof(said));
	store_says = KAFKA_NONE;
	stores = 0;
	both.now = 1000;
	both.next_waiter = both.next_id = 1;
	both.model.join_deadline = both.model.sync_deadline = GROUP_NEVER;
	both.group = group_new(slice_of("g"), &ops, &limits, now());
	return both.group ? 0 : -1;
}

static int teardown(void **state)
{
	group_free(both.group);
	return 0;
}

static void compare(void)
{
	group_check(both.group);
	assert_int_equal(both.group->state, both.model.state);
	assert_int_equal(both.group->generation, both.model.generation);
	assert_int_equal(both.group->members_count, both.model.count);
	assert_int_equal(both.group->pending_count, both.model.pending_count);
	assert_int_equal(both.group->leader ? number(both.group->leader->id) : 0,
			 both.model.leader);
	for (int i = 1; i < both.next_waiter; i++) {
		const struct model_answer *a = &said[i], *b = &both.model.answers[i];

		assert_int_equal(a->given, b->given);
		assert_int_equal(a->error, b->error);
		assert_int_equal(a->generation, b->generation);
		assert_int_equal(a->leader, b->leader);
		assert_int_equal(a->member, b->member);
		assert_int_equal(a->protocol, b->protocol);
		assert_int_equal(a->count, b->count);
		assert_int_equal(a->skip, b->skip);
		assert_int_equal(a->assigned, b->assigned);
	}
}

static int join(struct model_join j)
{
	char id[16], instance[16], fresh[16], version[16];
	struct group_protocol protocols[4];
	struct group_join event = {
	    .member_id = name('m', j.member, id),
	    .instance_id = name('i', j.instance, instance),
	    .client_id = slice_of("client"),
	    .client_host = slice_of("/127.0.0.1"),
	    .protocol_type = slice_of("consumer"),
	    .protocols = protocols,
	    .session_ms = j.session ? j.session : 200,
	    .rebalance_ms = j.rebalance ? j.rebalance : 100,
	    .returns_with_id = j.returns,
	    .skips_assignment = j.skips,
	};

	const struct before before = {both.model.state, both.model.generation};
	enum event kind = j.member                             ? RETURNS
			  : model_has(&both.model, j.instance) ? COMES_BACK
							       : JOINS;

	j.session = event.session_ms;
	j.rebalance = event.rebalance_ms;
	j.waiter = both.next_waiter++;
	j.fresh = both.next_id++;
	event.waiter = (void *)(uintptr_t)j.waiter;
	event.fresh_id = name('m', j.fresh, fresh);
	snprintf(version, sizeof(version), "v%d", j.version);
	for (const char *p = model_protocols[j.protocols]; *p; p++)
		protocols[event.protocols_count++] =
		    (struct group_protocol){slice_make(p, 1), slice_of(version)};
	group_join(both.group, &event, now());
	model_join(&both.model, &j, both.now);
	compare();
	note(kind, &before, said[j.waiter].given ? said[j.waiter].error : NOTHING_YET, &both.model);
	return j.waiter;
}

static int sync(int member, int instance, int generation, int factor)
{
	char id[16], i[16], ids[MODEL_MEMBERS][16], values[MODEL_MEMBERS][16];
	struct group_assignment assignments[MODEL_MEMBERS];
	struct group_sync event = {
	    .waiter = (void *)(uintptr_t)both.next_waiter,
	    .member_id = name('m', member, id),
	    .instance_id = name('i', instance, i),
	    .generation = generation,
	    .assignments = assignments,
	    .assignments_count = both.model.count,
	};

	for (int n = 0; n < both.model.count; n++) {
		int each = both.model.members[n].id;

		assignments[n].member_id = name('m', each, ids[n]);
		assignments[n].assignment = name('a', each * factor, values[n]);
	}
	const struct before before = {both.model.state, both.model.generation};

	model_sync(&both.model, both.next_waiter, member, instance, generation, factor, both.now);
	event.order = group_assignments_order(assignments, event.assignments_count);
	assert_non_null(event.order);
	group_sync(both.group, &event, now());
	free((void *)event.order);
	both.next_waiter++;
	compare();
	note(SYNCS, &before,
	     said[both.next_waiter - 1].given ? said[both.next_waiter - 1].error : NOTHING_YET,
	     &both.model);
	return both.next_waiter - 1;
}

static int heartbeat(int member, int instance, int generation)
{
	const struct before before = {both.model.state, both.model.generation};
	char id[16], i[16];
	int error = group_heartbeat(both.group, name('m', member, id), name('i', instance, i),
				    generation, now());

	assert_int_equal(error,
			 model_heartbeat(&both.model, member, instance, generation, both.now));
	compare();
	note(BEATS, &before, error, &both.model);
	return error;
}

static int leave(int member, int instance)
{
	const struct before before = {both.model.state, both.model.generation};
	char id[16], i[16];
	int error = group_leave(both.group, name('m', member, id), name('i', instance, i),
				slice_make(NULL, 0), now());

	assert_int_equal(error, model_leave(&both.model, member, instance, both.now));
	compare();
	note(LEAVES, &before, error, &both.model);
	return error;
}

static int commit(int member, int instance, int generation)
{
	const struct before before = {both.model.state, both.model.generation};
	char id[16], i[16];
	int error = group_commit(both.group, name('m', member, id), name('i', instance, i),
				 generation, now());

	assert_int_equal(error, model_commit(&both.model, member, instance, generation, both.now));
	compare();
	note(COMMITS, &before, error, &both.model);
	return error;
}

static void pass(uint64_t ms)
{
	const struct before before = {both.model.state, both.model.generation};

	both.now += ms;
	group_tick(both.group, now());
	model_tick(&both.model, both.now);
	compare();
	note(TIME_PASSES, &before, KAFKA_NONE, &both.model);
}

/* ---- random ---- */

static uint64_t seed;

static int dice(int sides)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (int)((seed >> 11) % (uint64_t)sides);
}

/* Mostly somebody there is; sometimes a stranger, nobody, or somebody with another's name. */
static void somebody(int *member, int *instance)
{
	const struct model *m = &both.model;
	int pick = dice(20);

	*member = *instance = 0;
	if (pick == 0)
		*member = both.next_id + 5;
	else if (pick == 1)
		*instance = 1 + dice(3);
	else if (pick < 4 && m->pending_count)
		*member = m->pending[dice(m->pending_count)].id;
	else if (pick < 17 && m->count) {
		const struct model_member *chosen = &m->members[dice(m->count)];

		*member = chosen->id;
		*instance = dice(30) == 0 ? 1 + dice(3) : chosen->instance;
	}
}

/* Without this it would seldom become stable. */
static void the_leader_assigns(void)
{
	const struct model *m = &both.model;

	for (int i = 0; i < m->count; i++)
		if (m->members[i].id == m->leader) {
			sync(m->leader, m->members[i].instance, m->generation, 1 + dice(3));
			return;
		}
}

static void random_event(void)
{
	int member, instance, generation = dice(12) ? both.model.generation : dice(4) - 1;

	somebody(&member, &instance);
	store_says = dice(15) ? KAFKA_NONE : KAFKA_NOT_COORDINATOR;
	both.model.store_fails = store_says != KAFKA_NONE;
	if (both.model.state == GROUP_COMPLETING && dice(6) == 0) {
		the_leader_assigns();
		return;
	}
	switch (dice(8)) {
	case 0:
		join((struct model_join){.instance = dice(3) ? 0 : 1 + dice(3),
					 .protocols =
					     dice(40) ? dice(MODEL_PROTOCOLS) : MODEL_NO_PROTOCOLS,
					 .session = dice(40) ? 50 + dice(200) : 5,
					 .rebalance = 20 + dice(200),
					 .returns = dice(2),
					 .skips = dice(2)});
		break;
	case 1:
	case 2:
		join((struct model_join){.member = member,
					 .instance = instance,
					 .protocols = dice(MODEL_PROTOCOLS),
					 .version = dice(8) == 0,
					 .session = 50 + dice(200),
					 .rebalance = 20 + dice(200),
					 .returns = dice(2),
					 .skips = dice(2)});
		break;
	case 3:
	case 4:
		sync(member, instance, generation, 1 + dice(3));
		break;
	case 5:
		if (dice(3) == 0)
			leave(member, instance);
		else
			commit(member, instance, generation);
		break;
	case 6:
		heartbeat(member, instance, generation);
		break;
	default:
		pass((uint64_t)dice(40));
		break;
	}
}

/* All that can happen: what each event may come to in each state. */
static const struct {
	enum event event;
	enum group_state state;
	int outcomes[8];
} possible[] = {
    {JOINS,
     GROUP_EMPTY,
     {KAFKA_INCONSISTENT_GROUP_PROTOCOL, KAFKA_INVALID_SESSION_TIMEOUT, KAFKA_MEMBER_ID_REQUIRED,
      KAFKA_GROUP_MAX_SIZE_REACHED, NOTHING_YET}},
    {JOINS,
     GROUP_PREPARING,
     {KAFKA_INCONSISTENT_GROUP_PROTOCOL, KAFKA_INVALID_SESSION_TIMEOUT, KAFKA_MEMBER_ID_REQUIRED,
      KAFKA_GROUP_MAX_SIZE_REACHED, NOTHING_YET}},
    {JOINS,
     GROUP_COMPLETING,
     {KAFKA_INCONSISTENT_GROUP_PROTOCOL, KAFKA_INVALID_SESSION_TIMEOUT, KAFKA_MEMBER_ID_REQUIRED,
      KAFKA_GROUP_MAX_SIZE_REACHED, NOTHING_YET}},
    {JOINS,
     GROUP_STABLE,
     {KAFKA_INCONSISTENT_GROUP_PROTOCOL, KAFKA_INVALID_SESSION_TIMEOUT, KAFKA_MEMBER_ID_REQUIRED,
      KAFKA_GROUP_MAX_SIZE_REACHED, NOTHING_YET}},
    {RETURNS, GROUP_EMPTY, {KAFKA_UNKNOWN_MEMBER_ID, NOTHING_YET}},
    {RETURNS,
     GROUP_PREPARING,
     {KAFKA_NONE, KAFKA_INCONSISTENT_GROUP_PROTOCOL, KAFKA_UNKNOWN_MEMBER_ID,
      KAFKA_GROUP_MAX_SIZE_REACHED, KAFKA_FENCED_INSTANCE_ID, NOTHING_YET}},
    {RETURNS,
     GROUP_COMPLETING,
     {KAFKA_NONE, KAFKA_INCONSISTENT_GROUP_PROTOCOL, KAFKA_UNKNOWN_MEMBER_ID,
      KAFKA_GROUP_MAX_SIZE_REACHED, KAFKA_FENCED_INSTANCE_ID, NOTHING_YET}},
    {RETURNS,
     GROUP_STABLE,
     {KAFKA_NONE, KAFKA_INCONSISTENT_GROUP_PROTOCOL, KAFKA_UNKNOWN_MEMBER_ID,
      KAFKA_GROUP_MAX_SIZE_REACHED, KAFKA_FENCED_INSTANCE_ID, NOTHING_YET}},
    {COMES_BACK,
     GROUP_PREPARING,
     {KAFKA_NONE, KAFKA_INCONSISTENT_GROUP_PROTOCOL, KAFKA_INVALID_SESSION_TIMEOUT,
      KAFKA_GROUP_MAX_SIZE_REACHED, NOTHING_YET}},
    {COMES_BACK,
     GROUP_COMPLETING,
     {KAFKA_NONE, KAFKA_INCONSISTENT_GROUP_PROTOCOL, KAFKA_INVALID_SESSION_TIMEOUT, NOTHING_YET}},
    {COMES_BACK,
     GROUP_STABLE,
     {KAFKA_NONE, KAFKA_NOT_COORDINATOR, KAFKA_INCONSISTENT_GROUP_PROTOCOL,
      KAFKA_INVALID_SESSION_TIMEOUT, NOTHING_YET}},
    {SYNCS, GROUP_EMPTY, {KAFKA_UNKNOWN_MEMBER_ID}},
    {SYNCS,
     GROUP_PREPARING,
     {KAFKA_ILLEGAL_GENERATION, KAFKA_UNKNOWN_MEMBER_ID, KAFKA_REBALANCE_IN_PROGRESS,
      KAFKA_FENCED_INSTANCE_ID}},
    {SYNCS,
     GROUP_COMPLETING,
     {KAFKA_NONE, KAFKA_NOT_COORDINATOR, KAFKA_ILLEGAL_GENERATION, KAFKA_UNKNOWN_MEMBER_ID,
      KAFKA_FENCED_INSTANCE_ID, NOTHING_YET}},
    {SYNCS,
     GROUP_STABLE,
     {KAFKA_NONE, KAFKA_ILLEGAL_GENERATION, KAFKA_UNKNOWN_MEMBER_ID, KAFKA_FENCED_INSTANCE_ID}},
    {BEATS, GROUP_EMPTY, {KAFKA_UNKNOWN_MEMBER_ID}},
    {BEATS,
     GROUP_PREPARING,
     {KAFKA_ILLEGAL_GENERATION, KAFKA_UNKNOWN_MEMBER_ID, KAFKA_REBALANCE_IN_PROGRESS,
      KAFKA_FENCED_INSTANCE_ID}},
    {BEATS,
     GROUP_COMPLETING,
     {KAFKA_NONE, KAFKA_ILLEGAL_GENERATION, KAFKA_UNKNOWN_MEMBER_ID, KAFKA_FENCED_INSTANCE_ID}},
    {BEATS,
     GROUP_STABLE,
     {KAFKA_NONE, KAFKA_ILLEGAL_GENERATION, KAFKA_UNKNOWN_MEMBER_ID, KAFKA_FENCED_INSTANCE_ID}},
    {LEAVES, GROUP_EMPTY, {KAFKA_NONE, KAFKA_UNKNOWN_MEMBER_ID}},
    {LEAVES, GROUP_PREPARING, {KAFKA_NONE, KAFKA_UNKNOWN_MEMBER_ID, KAFKA_FENCED_INSTANCE_ID}},
    {LEAVES, GROUP_COMPLETING, {KAFKA_NONE, KAFKA_UNKNOWN_MEMBER_ID, KAFKA_FENCED_INSTANCE_ID}},
    {LEAVES, GROUP_STABLE, {KAFKA_NONE, KAFKA_UNKNOWN_MEMBER_ID, KAFKA_FENCED_INSTANCE_ID}},
    {COMMITS, GROUP_EMPTY, {KAFKA_NONE, KAFKA_UNKNOWN_MEMBER_ID}},
    {COMMITS,
     GROUP_PREPARING,
     {KAFKA_NONE, KAFKA_ILLEGAL_GENERATION, KAFKA_UNKNOWN_MEMBER_ID, KAFKA_FENCED_INSTANCE_ID}},
    {COMMITS,
     GROUP_COMPLETING,
     {KAFKA_ILLEGAL_GENERATION, KAFKA_UNKNOWN_MEMBER_ID, KAFKA_REBALANCE_IN_PROGRESS,
      KAFKA_FENCED_INSTANCE_ID}},
    {COMMITS,
     GROUP_STABLE,
     {KAFKA_NONE, KAFKA_ILLEGAL_GENERATION, KAFKA_UNKNOWN_MEMBER_ID, KAFKA_FENCED_INSTANCE_ID}},
};

/* Which states follow each other in one event. Between PREPARING and EMPTY or COMPLETING may lie
 * another: a rebalance that is complete at once. */
static const bool follow[GROUP_DEAD][GROUP_DEAD] = {
    [GROUP_EMPTY] = {[GROUP_EMPTY] = true, [GROUP_PREPARING] = true},
    [GROUP_PREPARING] = {[GROUP_EMPTY] = true, [GROUP_PREPARING] = true, [GROUP_COMPLETING] = true},
    [GROUP_COMPLETING] = {true, true, true, true},
    [GROUP_STABLE] = {true, true, true, true},
};

static bool is_possible(enum event event, enum group_state state, int outcome)
{
	for (size_t i = 0; i < ARRAY_SIZE(possible); i++)
		for (size_t n = 0; n < ARRAY_SIZE(possible[i].outcomes); n++)
			if (possible[i].event == event && possible[i].state == state &&
			    possible[i].outcomes[n] == outcome && (outcome != KAFKA_NONE || n == 0))
				return true;
	return false;
}

/* The random events have reached all of it, and nothing else. */
static void everything_has_happened(void)
{
	for (int e = 0; e < TIME_PASSES; e++)
		for (int s = 0; s < GROUP_DEAD; s++)
			for (int o = 0; o < OUTCOMES; o++)
				if ((outcomes[e][s][o] > 0) != is_possible(e, s, o))
					fail_msg("%s, %s, %d: %u times", event_names[e],
						 group_state_name(s), o, outcomes[e][s][o]);
	for (int from = 0; from < GROUP_DEAD; from++)
		for (int to = 0; to < GROUP_DEAD; to++)
			if ((transitions[from][to] > 0) != follow[from][to])
				fail_msg("%s -> %s: %u times", group_state_name(from),
					 group_state_name(to), transitions[from][to]);
}

static void does_what_its_model_does(void **state)
{
	unsigned reached = 0;

	for (uint64_t run = 1; run <= 400; run++) {
		setup(NULL);
		seed = run * 0x9e3779b97f4a7c15u;
		for (int i = 0; i < 500; i++) {
			if (both.model.pending_count == MODEL_MEMBERS ||
			    both.model.count == MODEL_MEMBERS)
				break;
			random_event();
			reached |= 1u << both.model.state;
		}
		/* Whoever is left ends by time alone: nothing waits for ever. */
		for (int i = 0; i < 400 && both.model.state != GROUP_EMPTY; i++)
			pass(1000);
		pass(GROUP_NEW_MEMBER_MS);
		assert_int_equal(both.model.state, GROUP_EMPTY);
		assert_int_equal(both.model.pending_count, 0);
		assert_true(group_next(both.group) == GROUP_NEVER);
		for (int i = 1; i < both.next_waiter; i++)
			assert_true(said[i].given);
		teardown(NULL);
	}
	assert_int_equal(reached, 0xf);
	everything_has_happened();
}

/* ---- by name ---- */

static void the_leader_alone_is_told_the_members(void **state)
{
	int first = join((struct model_join){0}), second = join((struct model_join){0});

	assert_false(said[first].given);
	pass(MODEL_DELAY); /* a newcomer puts it off once more */
	assert_false(said[first].given);
	pass(MODEL_DELAY);
	assert_int_equal(said[first].count, 2);
	assert_int_equal(said[second].count, 0);
	assert_int_equal(said[second].leader, said[first].member);
	int follower = sync(said[second].member, 0, 1, 1);
	assert_false(said[follower].given);
	int leader = sync(said[first].member, 0, 1, 7);
	assert_int_equal(said[follower].assigned, said[second].member * 7);
	assert_int_equal(said[leader].assigned, said[first].member * 7);
	assert_int_equal(both.group->state, GROUP_STABLE);
	assert_int_equal(stores, 1);
}

static int alone(int instance)
{
	int waiter = join((struct model_join){.instance = instance});

	pass(MODEL_DELAY);
	assert_true(said[waiter].given);
	sync(said[waiter].member, instance, said[waiter].generation, 1);
	assert_int_equal(both.group->state, GROUP_STABLE);
	return said[waiter].member;
}

static void a_new_member_first_gets_its_id(void **state)
{
	int asked = join((struct model_join){.returns = true});

	assert_int_equal(said[asked].error, KAFKA_MEMBER_ID_REQUIRED);
	assert_int_equal(both.group->members_count, 0);
	int waiter = join((struct model_join){.member = said[asked].member, .returns = true});
	pass(MODEL_DELAY);
	assert_int_equal(said[waiter].member, said[asked].member);
	assert_int_equal(both.group->pending_count, 0);
}

static void an_id_that_nobody_comes_back_with_is_forgotten(void **state)
{
	int member = alone(0);

	join((struct model_join){.returns = true, .session = 50});
	/* The rebalance waits for it: it may come any moment. */
	int waiter = join((struct model_join){.member = member});
	assert_false(said[waiter].given);
	pass(50);
	assert_true(said[waiter].given);
}

static void a_session_ends_without_heartbeats(void **state)
{
	int member = alone(0);

	pass(150);
	assert_int_equal(heartbeat(member, 0, 1), KAFKA_NONE);
	pass(150);
	assert_int_equal(commit(member, 0, 1), KAFKA_NONE);
	pass(200);
	assert_int_equal(heartbeat(member, 0, 1), KAFKA_UNKNOWN_MEMBER_ID);
	assert_int_equal(both.group->state, GROUP_EMPTY);
	assert_int_equal(both.group->generation, 2);
	assert_int_equal(stores, 2);
}

static void a_static_member_comes_back_without_a_rebalance(void **state)
{
	int old = alone(1);
	int quiet = join((struct model_join){.instance = 1});

	assert_int_equal(said[quiet].error, KAFKA_NONE);
	assert_int_equal(said[quiet].generation, 1);
	/* Or it would assign anew. */
	assert_int_equal(said[quiet].leader, old);
	assert_int_equal(heartbeat(old, 1, 1), KAFKA_FENCED_INSTANCE_ID);
	assert_int_equal(said[sync(said[quiet].member, 1, 1, 1)].assigned, old);
	int skips = join((struct model_join){.instance = 1, .skips = true});
	assert_true(said[skips].skip);
	assert_int_equal(said[skips].count, 1);
}

static void commits_by_who_may_when(void **state)
{
	assert_int_equal(commit(0, 0, -1), KAFKA_NONE);
	int member = alone(0);
	assert_int_equal(commit(0, 0, -1), KAFKA_UNKNOWN_MEMBER_ID);
	assert_int_equal(commit(member, 0, 1), KAFKA_NONE);
	assert_int_equal(commit(member, 0, 0), KAFKA_ILLEGAL_GENERATION);
	join((struct model_join){0});
	/* PREPARING: what was read under the old generation still counts. */
	assert_int_equal(commit(member, 0, 1), KAFKA_NONE);
	assert_int_equal(heartbeat(member, 0, 1), KAFKA_REBALANCE_IN_PROGRESS);
	join((struct model_join){.member = member});
	assert_int_equal(both.group->state, GROUP_COMPLETING);
	assert_int_equal(commit(member, 0, 2), KAFKA_REBALANCE_IN_PROGRESS);
	assert_int_equal(heartbeat(member, 0, 2), KAFKA_NONE);
}

static void who_does_not_fetch_its_assignment_is_removed(void **state)
{
	int first = join((struct model_join){.session = 900}),
	    second = join((struct model_join){.session = 900});

	pass(MODEL_DELAY);
	pass(MODEL_DELAY);
	sync(said[first].member, 0, 1, 1);
	assert_int_equal(both.group->state, GROUP_STABLE);
	pass(100);
	assert_int_equal(both.group->state, GROUP_PREPARING);
	assert_int_equal(heartbeat(said[second].member, 0, 1), KAFKA_UNKNOWN_MEMBER_ID);
}

static void an_assignment_that_was_not_stored_does_not_count(void **state)
{
	int waiter = join((struct model_join){0});

	pass(MODEL_DELAY);
	store_says = KAFKA_NOT_COORDINATOR;
	both.model.store_fails = true;
	int asked = sync(said[waiter].member, 0, 1, 1);
	assert_int_equal(said[asked].error, KAFKA_NOT_COORDINATOR);
	assert_int_equal(both.group->state, GROUP_PREPARING);
}

static void restored_members_have_their_sessions(void **state)
{
	const struct group_restored from = {
	    .generation = 7,
	    .protocol_type = slice_of("consumer"),
	    .protocol = slice_of("a"),
	    .leader = slice_of("m2"),
	    .state_since_ms = 5,
	};
	const struct group_restored_member members[] = {
	    {.id = slice_of("m1"),
	     .session_ms = 100,
	     .rebalance_ms = 50,
	     .assignment = slice_of("a1")},
	    {.id = slice_of("m2"), .session_ms = 300, .rebalance_ms = 50},
	};

	assert_int_equal(group_restore(both.group, &from, members, 2, now()), 0);
	group_check(both.group);
	assert_int_equal(both.group->state, GROUP_STABLE);
	assert_true(slice_eq(both.group->leader->id, slice_of("m2")));
	assert_int_equal(group_heartbeat(both.group, slice_of("m1"), slice_make(NULL, 0), 7, now()),
			 KAFKA_NONE);
	both.now += 100;
	group_tick(both.group, now());
	assert_int_equal(both.group->state, GROUP_PREPARING);
	both.now += 300;
	group_tick(both.group, now());
	assert_int_equal(both.group->state, GROUP_EMPTY);
	assert_int_equal(both.group->generation, 8);
}

static void the_end_answers_everyone(void **state)
{
	int waiter = join((struct model_join){0});

	group_end(both.group, KAFKA_NOT_COORDINATOR);
	assert_int_equal(said[waiter].error, KAFKA_NOT_COORDINATOR);
	assert_int_equal(group_heartbeat(both.group, slice_of("m1"), slice_make(NULL, 0), 0, now()),
			 KAFKA_COORDINATOR_NOT_AVAILABLE);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(does_what_its_model_does),
	    TEST(the_leader_alone_is_told_the_members),
	    TEST(a_new_member_first_gets_its_id),
	    TEST(an_id_that_nobody_comes_back_with_is_forgotten),
	    TEST(a_session_ends_without_heartbeats),
	    TEST(a_static_member_comes_back_without_a_rebalance),
	    TEST(commits_by_who_may_when),
	    TEST(who_does_not_fetch_its_assignment_is_removed),
	    TEST(an_assignment_that_was_not_stored_does_not_count),
	    TEST(restored_members_have_their_sessions),
	    TEST(the_end_answers_everyone),
	};

	return cmocka_run_group_tests_name("kafka/broker/group", tests, NULL, NULL);
}
