/*
 * Several topics changed at once: one writing of leat-topics for all of them, and each with its own outcome.
 */
#include "unit/unit.h"

#include "kit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MANY 50u

static char folder[64];
static struct store *store;
static unsigned lists_written;

int __real_sys_renameat(int from_dir, const char *from, int to_dir, const char *to);
int __wrap_sys_renameat(int from_dir, const char *from, int to_dir, const char *to);

int __wrap_sys_renameat(int from_dir, const char *from, int to_dir, const char *to)
{
	lists_written += strcmp(to, "leat-topics") == 0;
	return __real_sys_renameat(from_dir, from, to_dir, to);
}

static int set_up(void **state)
{
	kit_folder(folder);
	store = kit_open(folder, NULL);
	lists_written = 0;
	return 0;
}

static int tear_down(void **state)
{
	assert_int_equal(store_close(store), 0);
	kit_remove(folder);
	return 0;
}

/* Each with two partitions, by names of their own. */
static void name_changes(struct store_change changes[MANY], char names[MANY][16])
{
	memset(changes, 0, MANY * sizeof(*changes));
	for (unsigned i = 0; i < MANY; i++) {
		snprintf(names[i], 16, "topic%u", i);
		changes[i].name = slice_of(names[i]);
		changes[i].partitions = 2;
	}
}

static unsigned topics(void)
{
	struct store_stats stats;

	store_stats(store, &stats);
	return stats.topics;
}

static void many_topics_share_one_writing_of_the_list(void **state)
{
	struct store_change changes[MANY];
	struct topic_config config;
	char names[MANY][16];

	name_changes(changes, names);
	store_topics_create(store, changes, MANY, NULL);
	for (unsigned i = 0; i < MANY; i++)
		assert_int_equal(changes[i].error, KAFKA_NONE);
	assert_int_equal(lists_written, 1);
	for (unsigned i = 0; i < MANY; i++)
		changes[i].partitions = 3;
	store_topics_grow(store, changes, MANY, NULL);
	assert_int_equal(lists_written, 2);
	topic_config_init(&config);
	topic_config_set(&config, TOPIC_CONFIG_RETENTION_MS, 5);
	for (unsigned i = 0; i < MANY; i++)
		changes[i].config = &config;
	store_topics_configure(store, changes, MANY);
	assert_int_equal(lists_written, 3);
	for (unsigned i = 0; i < MANY; i++) {
		assert_int_equal(changes[i].error, KAFKA_NONE);
		assert_int_equal(topic_partition_count(changes[i].topic), 3);
		assert_int_equal(topic_config_value(changes[i].topic, TOPIC_CONFIG_RETENTION_MS),
				 5);
	}
	/* And once more, when their folders have other names. */
	store_topics_delete(store, changes, MANY, KIT_NOW);
	assert_int_equal(lists_written, 5);
	for (unsigned i = 0; i < MANY; i++) {
		assert_int_equal(changes[i].error, KAFKA_NONE);
		topic_unref(changes[i].topic);
	}
	assert_int_equal(topics(), 0);
}

static void each_has_its_own_outcome(void **state)
{
	struct store_change changes[] = {
	    {.name = slice_of("a.b"), .partitions = 1},
	    {.name = slice_of("a_b"), .partitions = 1},
	    {.name = slice_of(".."), .partitions = 1},
	    {.name = slice_of("none"), .partitions = 0},
	    {.name = slice_of("good"), .partitions = 2},
	    {.name = slice_of("good"), .partitions = 2},
	};
	struct store_change both[2];

	store_topics_create(store, changes, ARRAY_SIZE(changes), NULL);
	assert_int_equal(changes[0].error, KAFKA_NONE);
	assert_int_equal(changes[1].error, KAFKA_INVALID_TOPIC_EXCEPTION);
	assert_int_equal(changes[2].error, KAFKA_INVALID_TOPIC_EXCEPTION);
	assert_int_equal(changes[3].error, KAFKA_INVALID_PARTITIONS);
	assert_int_equal(changes[4].error, KAFKA_NONE);
	assert_int_equal(changes[5].error, KAFKA_TOPIC_ALREADY_EXISTS);
	assert_int_equal(topics(), 2);
	/* The same topic twice, and one that is gone. */
	both[0] = both[1] = (struct store_change){.topic = changes[0].topic};
	store_topics_delete(store, both, 2, KIT_NOW);
	assert_int_equal(both[0].error, KAFKA_NONE);
	assert_int_equal(both[1].error, KAFKA_INVALID_REQUEST);
	both[1] = (struct store_change){.topic = changes[4].topic, .partitions = 4};
	both[0].partitions = 4;
	store_topics_grow(store, both, 2, NULL);
	assert_int_equal(both[0].error, KAFKA_UNKNOWN_TOPIC_OR_PARTITION);
	assert_int_equal(both[1].error, KAFKA_NONE);
	topic_unref(changes[0].topic);
	topic_unref(changes[4].topic);
}

static void what_is_cancelled_has_not_happened(void **state)
{
	const _Atomic bool cancelled = true;
	struct store_change changes[MANY];
	char names[MANY][16];

	name_changes(changes, names);
	store_topics_create(store, changes, MANY, &cancelled);
	for (unsigned i = 0; i < MANY; i++) {
		assert_int_equal(changes[i].error, KAFKA_REQUEST_TIMED_OUT);
		assert_null(changes[i].topic);
	}
	assert_int_equal(topics(), 0);
	assert_false(kit_there(folder, "topic0-0"));
	assert_int_equal(store_close(store), 0);
	store = kit_open(folder, NULL);
	assert_int_equal(topics(), 0);
	/* And the names are free. */
	store_topics_create(store, changes, MANY, NULL);
	for (unsigned i = 0; i < MANY; i++) {
		assert_int_equal(changes[i].error, KAFKA_NONE);
		topic_unref(changes[i].topic);
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(many_topics_share_one_writing_of_the_list),
	    TEST(each_has_its_own_outcome),
	    TEST(what_is_cancelled_has_not_happened),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
