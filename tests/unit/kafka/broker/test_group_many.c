/*
 * The group machine with as much as fits into a request: what was searched for by going through all of
 * it would take minutes here.
 */
#include "unit/unit.h"

#include <stdio.h>
#include <stdlib.h>

#include "kafka/broker/core/group.h"

#define PROTOCOLS   400000
#define ASSIGNMENTS 2000000
#define MEMBERS     16000

static struct held held;
static struct group_limits limits = {.session_max_ms = INT32_MAX,
				     .size_max = INT32_MAX,
				     .secret = 4711,
				     .held = &held};

/* A waiter is its number. */
static struct {
	enum kafka_error error;
	bool given;
	char assignment[8];
} said[MEMBERS + 1];

static struct group *group;
static char (*names)[12];

static void joined(struct group *of, void *waiter, const struct group_joined *answer)
{
	said[(uintptr_t)waiter].given = true;
	said[(uintptr_t)waiter].error = answer->error;
}

static void synced(struct group *of, void *waiter, enum kafka_error error, struct slice assignment)
{
	char *text = said[(uintptr_t)waiter].assignment;

	said[(uintptr_t)waiter].given = true;
	said[(uintptr_t)waiter].error = error;
	assert_true(assignment.len < sizeof(said->assignment));
	memcpy(text, assignment.ptr, assignment.len);
	text[assignment.len] = '\0';
}

static enum kafka_error store(struct group *of)
{
	return KAFKA_NONE;
}

static const struct group_ops ops = {.joined = joined, .synced = synced, .store = store};
static const struct group_time now = {1000, 1000};

static int setup(void **state)
{
	names = calloc(ASSIGNMENTS, sizeof(*names));
	group = group_new(slice_of("g"), &ops, &limits, now);
	for (int i = 0; names && i < ASSIGNMENTS; i++)
		snprintf(names[i], sizeof(names[i]), "m%d", i);
	memset(said, 0, sizeof(said));
	return names && group ? 0 : -1;
}

static int teardown(void **state)
{
	group_free(group);
	free(names);
	limits.size_max = INT32_MAX;
	return held.bytes[HELD_GROUPS] == 0 ? 0 : -1;
}

static void join(int number, bool again, const struct group_protocol *protocols, int32_t count)
{
	const struct group_join join = {
	    .waiter = (void *)(uintptr_t)number,
	    .member_id = again ? slice_of(names[number]) : slice_make("", 0),
	    .fresh_id = slice_of(names[number]),
	    .protocol_type = slice_of("consumer"),
	    .protocols = protocols,
	    .protocols_count = count,
	    .session_ms = 1000,
	    .rebalance_ms = 1000,
	};

	said[number].given = false;
	group_join(group, &join, now);
}

static void sync(int number, const struct group_assignment *assignments, int32_t count)
{
	uint32_t *order = group_assignments_order(assignments, count);
	const struct group_sync sync = {
	    .waiter = (void *)(uintptr_t)number,
	    .member_id = slice_of(names[number]),
	    .generation = group->generation,
	    .assignments = assignments,
	    .order = order,
	    .assignments_count = count,
	};

	assert_non_null(order);
	said[number].given = false;
	group_sync(group, &sync, now);
	free(order);
}

static void as_many_protocols_as_members_like(void **state)
{
	struct group_protocol *protocols = calloc(PROTOCOLS, sizeof(*protocols));

	assert_non_null(protocols);
	for (int i = 0; i < PROTOCOLS; i++)
		protocols[i].name = slice_of(names[i]);
	join(1, false, protocols, PROTOCOLS);
	assert_true(said[1].given);
	/* The other way round, all twice: half of them. */
	for (int i = 0; i < PROTOCOLS; i++)
		protocols[i].name = slice_of(names[PROTOCOLS - 1 - i / 2]);
	join(2, false, protocols, PROTOCOLS);
	for (int i = 0; i < PROTOCOLS; i++)
		protocols[i].name = slice_of(names[i]);
	join(1, true, protocols, PROTOCOLS);
	assert_true(said[1].given && said[2].given);
	assert_int_equal(said[2].error, KAFKA_NONE);
	/* A vote each; between equals the first member's order decides: its first that both have. */
	assert_true(slice_eq(group->protocol, slice_of(names[PROTOCOLS / 2])));
	free(protocols);
}

static void as_many_assignments_as_a_leader_likes(void **state)
{
	const struct group_protocol range = {slice_of("range"), slice_make("", 0)};
	struct group_assignment *assignments = calloc(ASSIGNMENTS, sizeof(*assignments));

	assert_non_null(assignments);
	for (int i = 0; i < ASSIGNMENTS; i++) {
		assignments[i].member_id = slice_of(names[i]);
		assignments[i].assignment = slice_of(i % 2 ? "odd" : "even");
	}
	/* One is named twice: the last is meant. And one is not named. */
	assignments[ASSIGNMENTS - 1].member_id = slice_of("m7");
	assignments[ASSIGNMENTS - 1].assignment = slice_of("last");
	assignments[8].member_id = slice_of("m0");
	for (int i = 1; i <= MEMBERS; i++)
		join(i, false, &range, 1);
	join(1, true, &range, 1);
	for (int i = 2; i <= MEMBERS; i++)
		sync(i, NULL, 0);
	sync(1, assignments, ASSIGNMENTS);
	assert_int_equal(group->state, GROUP_STABLE);
	for (int i = 1; i <= MEMBERS; i++) {
		assert_true(said[i].given && said[i].error == KAFKA_NONE);
		assert_string_equal(said[i].assignment, i == 7   ? "last"
							: i == 8 ? ""
							: i % 2  ? "odd"
								 : "even");
	}
	free(assignments);
}

/* A new member that first gets an id. */
static enum kafka_error ask_for_an_id(int number, const struct group_protocol *protocol)
{
	const struct group_join join = {
	    .waiter = (void *)(uintptr_t)1,
	    .member_id = slice_make("", 0),
	    .fresh_id = slice_of(names[number]),
	    .protocol_type = slice_of("consumer"),
	    .protocols = protocol,
	    .protocols_count = 1,
	    .session_ms = 1000,
	    .rebalance_ms = 1000,
	    .returns_with_id = true,
	};

	group_join(group, &join, now);
	return said[1].error;
}

static void as_many_that_leave_as_somebody_likes(void **state)
{
	const struct group_protocol range = {slice_of("range"), slice_make("", 0)};
	const struct slice none = slice_make(NULL, 0);

	for (int i = 1; i <= MEMBERS; i++)
		join(i, false, &range, 1);
	for (int i = MEMBERS + 1; i < MEMBERS + 1000; i++)
		assert_int_equal(ask_for_an_id(i, &range), KAFKA_MEMBER_ID_REQUIRED);
	for (int i = MEMBERS + 1000; i < MEMBERS + 300000; i++) {
		assert_int_equal(group_leave(group, slice_of(names[i]), none, none, now),
				 KAFKA_UNKNOWN_MEMBER_ID);
		assert_int_equal(group_leave(group, slice_make("", 0), slice_of(names[i]), none,
					     now),
				 KAFKA_UNKNOWN_MEMBER_ID);
	}
	for (int i = MEMBERS + 999; i > 0; i--)
		assert_int_equal(group_leave(group, slice_of(names[i]), none, none, now),
				 KAFKA_NONE);
	assert_int_equal(group->state, GROUP_EMPTY);
}

static void who_asks_for_ids_and_does_not_come_back_is_bounded(void **state)
{
	const struct group_protocol range = {slice_of("range"), slice_make("", 0)};

	for (int i = 0; i < GROUP_PENDING_MAX; i++)
		assert_int_equal(ask_for_an_id(i, &range), KAFKA_MEMBER_ID_REQUIRED);
	assert_int_equal(ask_for_an_id(GROUP_PENDING_MAX, &range), KAFKA_COORDINATOR_NOT_AVAILABLE);
	assert_int_equal(group->pending_count, GROUP_PENDING_MAX);
	/* By group.max.size, if that is less. */
	limits.size_max = 100;
	assert_int_equal(ask_for_an_id(GROUP_PENDING_MAX, &range), KAFKA_GROUP_MAX_SIZE_REACHED);
	assert_true(held.bytes[HELD_GROUPS] > GROUP_PENDING_MAX * sizeof(struct group_member));
}

static void what_members_bring_is_bounded(void **state)
{
	const size_t size = 10 * 1024 * 1024;
	char *metadata = calloc(1, size);
	const struct group_protocol range = {slice_of("range"), slice_make(metadata, size)};
	int number = 1;

	assert_non_null(metadata);
	do
		join(number++, false, &range, 1);
	while (!said[number - 1].given || said[number - 1].error == KAFKA_NONE);
	assert_int_equal(said[number - 1].error, KAFKA_COORDINATOR_NOT_AVAILABLE);
	assert_int_equal(number - 2, HELD_GROUPS_MAX / size);
	assert_int_equal(held.refused[HELD_GROUPS], 1);
	/* The first is known, and has a session's time; the second's id nobody knows. */
	assert_null(group_waiting(group, (void *)1, slice_of(names[1]), slice_make(NULL, 0)));
	for (int i = 2; i < number - 1; i++)
		group_abandon(group,
			      group_waiting(group, (void *)(uintptr_t)i, slice_of(names[i]),
					    slice_make(NULL, 0)),
			      now);
	assert_int_equal(group->members_count, 1);
	assert_true(held.bytes[HELD_GROUPS] < 2 * size);
	free(metadata);
}

/* One that has its id waits for the others, and its client is gone: its session ends. */
static void whoever_is_gone_while_it_waits_goes_by_its_sessions_end(void **state)
{
	const struct group_protocol range = {slice_of("range"), slice_make("", 0)};
	struct group_time later = {now.now_ms + 1001, 2000};

	join(1, false, &range, 1);
	join(2, false, &range, 1);
	join(1, true, &range, 1);
	assert_true(said[1].given && said[2].given);
	join(3, false, &range, 1);
	join(2, true, &range, 1);
	group_abandon(group,
		      group_waiting(group, (void *)2, slice_of(names[2]), slice_make(NULL, 0)),
		      now);
	assert_int_equal(group->members_count, 3);
	group_tick(group, later);
	assert_true(said[2].given);
	assert_int_equal(said[2].error, KAFKA_UNKNOWN_MEMBER_ID);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
	    TEST(as_many_protocols_as_members_like),
	    TEST(as_many_assignments_as_a_leader_likes),
	    TEST(as_many_that_leave_as_somebody_likes),
	    TEST(who_asks_for_ids_and_does_not_come_back_is_bounded),
	    TEST(what_members_bring_is_bounded),
	    TEST(whoever_is_gone_while_it_waits_goes_by_its_sessions_end),
	};

	return cmocka_run_group_tests_name("kafka/broker/group_many", tests, NULL, NULL);
}
