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

static const struct group_limits limits = {.session_max_ms = INT32_MAX, .size_max = INT32_MAX};

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
	return 0;
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
	const struct group_sync sync = {
	    .waiter = (void *)(uintptr_t)number,
	    .member_id = slice_of(names[number]),
	    .generation = group->generation,
	    .assignments = assignments,
	    .assignments_count = count,
	};

	said[number].given = false;
	group_sync(group, &sync, now);
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

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
	    TEST(as_many_protocols_as_members_like),
	    TEST(as_many_assignments_as_a_leader_likes),
	};

	return cmocka_run_group_tests_name("kafka/broker/group_many", tests, NULL, NULL);
}
