/*
 * Committed offsets, their expiry, and which partition a group belongs to.
 */
#include "unit/unit.h"

#include <stdio.h>
#include <stdlib.h>

#include "kafka/broker/core/group_internal.h"
#include "kafka/broker/core/group_offsets.h"

static struct group_offsets offsets;

static int setup(void **state)
{
	group_offsets_init(&offsets);
	return 0;
}

static int teardown(void **state)
{
	group_offsets_fini(&offsets);
	return 0;
}

static void set(const char *topic, int32_t partition, int64_t offset, const char *metadata)
{
	const struct committed value = {.partition = partition,
					.offset = offset,
					.leader_epoch = 3,
					.expire_ms = -1,
					.metadata = slice_of(metadata)};

	assert_int_equal(group_offsets_set(&offsets, slice_of(topic), &value), 0);
}

static void what_was_set_last_is_found(void **state)
{
	set("t", 1, 10, "first");
	set("t", 0, 5, "");
	set("u", 1, 7, "u");
	set("t", 1, 20, "second");
	const struct committed *found = group_offsets_find(&offsets, slice_of("t"), 1);
	assert_int_equal(found->offset, 20);
	assert_true(slice_eq(found->metadata, slice_of("second")));
	assert_int_equal(group_offsets_find(&offsets, slice_of("t"), 0)->offset, 5);
	assert_null(group_offsets_find(&offsets, slice_of("t"), 2));
	assert_null(group_offsets_find(&offsets, slice_of("v"), 0));
	assert_int_equal(offsets.count, 3);
	assert_int_equal(offsets.topics_count, 2);
}

/* Against an array. */
static void any_order_of_sets_and_removals(void **state)
{
	int64_t model[3][8];
	char name[4];

	memset(model, 0xff, sizeof(model));
	srand(7);
	for (int i = 0; i < 20000; i++) {
		int topic = rand() % 3, partition = rand() % 8, count = 0;

		snprintf(name, sizeof(name), "t%d", topic);
		if (rand() % 3) {
			set(name, partition, i, "m");
			model[topic][partition] = i;
		} else {
			assert_int_equal(group_offsets_remove(&offsets, slice_of(name), partition),
					 model[topic][partition] >= 0);
			model[topic][partition] = -1;
		}
		for (int t = 0; t < 3; t++)
			for (int p = 0; p < 8; p++)
				count += model[t][p] >= 0;
		assert_int_equal(offsets.count, count);
		const struct committed *found =
		    group_offsets_find(&offsets, slice_of(name), partition);
		assert_int_equal(found ? found->offset : -1, model[topic][partition]);
	}
}

static void expiry_begins_when_the_group_is_empty(void **state)
{
	struct group group = {.state = GROUP_PREPARING,
			      .protocol_type = slice_of("consumer"),
			      .state_since_ms = 1000};
	struct committed committed = {.commit_ms = 500, .expire_ms = -1};

	assert_true(group_keeps(&group, slice_of("t")));
	group.state = GROUP_EMPTY;
	assert_false(group_keeps(&group, slice_of("t")));
	assert_false(group_offset_is_expired(&group, &committed, 1099, 100));
	assert_true(group_offset_is_expired(&group, &committed, 1100, 100));
	/* Committed by hand since. */
	committed.commit_ms = 1050;
	assert_false(group_offset_is_expired(&group, &committed, 1100, 100));
	/* Never had members. */
	group.protocol_type = slice_make("", 0);
	committed.commit_ms = 500;
	assert_true(group_offset_is_expired(&group, &committed, 600, 100));
	/* Old clients said when. */
	committed.expire_ms = 2000;
	assert_false(group_offset_is_expired(&group, &committed, 1999, 100));
	assert_true(group_offset_is_expired(&group, &committed, 2000, 100));
}

/* Subscriptions as consumers write them: version, topics, what later versions have. */
#define TO_T       "\0\1\0\0\0\1\0\1t\xff\xff\xff\xff"
#define TO_U_AND_V "\0\3\0\0\0\2\0\1u\0\1v\0\0\0\0rest"
#define CUT        "\0\0\0\0\0\2\0\1u\0\5v"

static void add(struct group *group, const char *subscription, size_t len)
{
	const struct group_protocol range = {slice_of("range"), slice_make(subscription, len)};
	const struct group_join join = {.protocols = &range, .protocols_count = 1};
	struct group_member *member = member_new(group, &join, slice_of("m"));

	assert_non_null(member);
	group_add(group, member);
}

static void a_stable_group_of_consumers_keeps_what_it_reads(void **state)
{
	const struct group_limits limits = {0};
	struct group group = {.state = GROUP_STABLE,
			      .limits = &limits,
			      .protocol_type = slice_of("consumer"),
			      .protocol = slice_of("range")};

	list_init(&group.members);
	add(&group, TO_T, sizeof(TO_T) - 1);
	add(&group, TO_U_AND_V, sizeof(TO_U_AND_V) - 1);
	assert_true(group_keeps(&group, slice_of("t")));
	assert_true(group_keeps(&group, slice_of("v")));
	assert_false(group_keeps(&group, slice_of("w")));
	assert_false(group_keeps(&group, slice_of("")));
	/* Between generations nobody knows what they will read. */
	group.state = GROUP_PREPARING;
	assert_true(group_keeps(&group, slice_of("w")));
	/* Others than consumers may say what they like. */
	group.state = GROUP_STABLE;
	group.protocol_type = slice_of("connect");
	assert_true(group_keeps(&group, slice_of("w")));
	/* What is no subscription may be one to anything. */
	group.protocol_type = slice_of("consumer");
	add(&group, CUT, sizeof(CUT) - 1);
	assert_true(group_reads(&group, slice_of("w")));
	while (group.members_count > 0)
		group_remove(&group, group.leader, KAFKA_NONE);
	table_fini(&group.by_id);
}

static void what_is_marked_goes_or_stays(void **state)
{
	for (int32_t i = 0; i < 6; i++)
		set(i < 4 ? "t" : "u", i, i, "m");
	for (int32_t i = 0; i < 6; i++)
		((struct committed *)group_offsets_find(&offsets, slice_of(i < 4 ? "t" : "u"), i))
		    ->goes = i != 1;
	group_offsets_sweep(&offsets, false);
	assert_int_equal(offsets.count, 6);
	group_offsets_sweep(&offsets, true);
	assert_int_equal(offsets.count, 6);
	for (int32_t i = 0; i < 6; i++)
		((struct committed *)group_offsets_find(&offsets, slice_of(i < 4 ? "t" : "u"), i))
		    ->goes = i != 1;
	group_offsets_sweep(&offsets, true);
	assert_int_equal(offsets.count, 1);
	assert_int_equal(offsets.topics_count, 1);
	assert_int_equal(group_offsets_find(&offsets, slice_of("t"), 1)->offset, 1);
}

static void partitions_are_those_of_java(void **state)
{
	/* "".hashCode() 0, "a" 97, "console-consumer-1" as computed by its definition. */
	assert_int_equal(group_partition(slice_make("", 0), 50), 0);
	assert_int_equal(group_partition(slice_of("a"), 50), 97 % 50);
	assert_int_equal(group_partition(slice_of("ab"), 1000000), 97 * 31 + 98);
	/* A hash below 0: "polygenelubricants" is the word known for INT_MIN, which counts as 0. */
	assert_int_equal(group_partition(slice_of("polygenelubricants"), 50), 0);
	/* U+00E4 is one character, U+1F600 two: d83d de00. */
	assert_int_equal(group_partition(slice_of("\xc3\xa4"), 1000000), 0xe4);
	assert_int_equal(group_partition(slice_of("\xf0\x9f\x98\x80"), 100000000),
			 0xd83d * 31 + 0xde00);
	/* Cut or wrong bytes end, too. */
	assert_int_equal(group_partition(slice_of("\xf0\x9f"), 1000000000), 0xfffd * 31 + 0xfffd);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
	    TEST(what_was_set_last_is_found),
	    TEST(any_order_of_sets_and_removals),
	    TEST(expiry_begins_when_the_group_is_empty),
	    TEST(a_stable_group_of_consumers_keeps_what_it_reads),
	    TEST(what_is_marked_goes_or_stays),
	    TEST(partitions_are_those_of_java),
	};

	return cmocka_run_group_tests_name("kafka/broker/group_offsets", tests, NULL, NULL);
}
