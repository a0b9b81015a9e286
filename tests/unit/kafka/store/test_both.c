/*
 * A directory that Kafka and leat use in turn: which topics there are, and what was set for them.
 */
#include "unit/unit.h"

#include "metadata_kit.h"

#include <stdlib.h>

static void set_own(struct store *store, const char *name, enum topic_config_id id, int64_t value)
{
	struct topic *topic = store_topic(store, slice_of(name));
	struct topic_config config;

	topic_config_own(topic, &config);
	topic_config_set(&config, id, value);
	assert_int_equal(store_topic_configure(store, topic, &config), KAFKA_NONE);
	topic_unref(topic);
}

static void what_was_set_last_holds_wherever_it_was_set(void **state)
{
	struct metadata *metadata = metadata_new();
	struct store *store;

	add_topic(metadata, "orders", 1, 2);
	add_config(metadata, 2, "orders", "retention.ms", "1000");
	add_config(metadata, 2, "orders", "segment.ms", "1000");
	store_log(metadata);
	store = kit_open(folder, NULL);
	set_own(store, "orders", TOPIC_CONFIG_RETENTION_MS, 2000);
	set_own(store, "orders", TOPIC_CONFIG_SEGMENT_MS, 2000);
	set_own(store, "orders", TOPIC_CONFIG_FLUSH_MS, 2000);
	assert_int_equal(store_close(store), 0);
	/* Kafka runs, where one of them is set again, and partitions are added. */
	add_config(metadata, 2, "orders", "segment.ms", "3000");
	add_topic(metadata, "new", 2, 1);
	struct kafka_partition_record partition;
	int32_t replica = 1;
	kafka_partition_record_init(&partition);
	partition.partition_id = 2;
	partition.topic_id = id_of(1);
	partition.replicas.at = &replica;
	partition.replicas.count = 1;
	add(metadata, 3, 2, &kafka_partition_record_message, &partition);
	store_log(metadata);
	store = kit_open(folder, NULL);
	assert_value(store, "orders", TOPIC_CONFIG_RETENTION_MS, 2000);
	assert_value(store, "orders", TOPIC_CONFIG_SEGMENT_MS, 3000);
	assert_value(store, "orders", TOPIC_CONFIG_FLUSH_MS, 2000);
	assert_int_equal(partitions_of(store, "orders"), 3);
	assert_true(has_topic(store, "new"));
	assert_int_equal(store_close(store), 0);
	free(metadata);
}

static void deleted_topics_stay_deleted(void **state)
{
	struct metadata *metadata = metadata_new();
	struct store *store;
	struct topic *topic;

	add_topic(metadata, "ours", 1, 1);
	add_topic(metadata, "kafkas", 2, 1);
	store_log(metadata);
	store = kit_open(folder, NULL);
	topic = store_topic(store, SLICE_LITERAL("ours"));
	assert_int_equal(store_topic_delete(store, topic, KIT_NOW), KAFKA_NONE);
	topic_unref(topic);
	assert_int_equal(store_close(store), 0);
	store = kit_open(folder, NULL);
	assert_false(has_topic(store, "ours"));
	assert_true(has_topic(store, "kafkas"));
	assert_int_equal(store_close(store), 0);
	/* Kafka deletes the other, and does not come to renaming the folder. */
	add_removal(metadata, 2);
	store_log(metadata);
	store = kit_open(folder, NULL);
	assert_false(has_topic(store, "ours"));
	assert_false(has_topic(store, "kafkas"));
	assert_false(kit_there(folder, "kafkas-0"));
	assert_non_null(strstr(said, "topic kafkas is no longer there: Kafka has deleted it"));
	assert_int_equal(store_close(store), 0);
	/* It is still known to be of nobody when the log is gone. */
	store = kit_open(folder, NULL);
	assert_false(has_topic(store, "kafkas"));
	assert_int_equal(store_close(store), 0);
	free(metadata);
}

static void a_topic_that_kafka_did_not_know_is_gone_with_its_folder(void **state)
{
	struct metadata *metadata = metadata_new();
	struct store *store;

	add_topic(metadata, "orders", 1, 1);
	store_log(metadata);
	store = kit_open(folder, NULL);
	assert_int_equal(store_topic_create(store, SLICE_LITERAL("leats"), 1, NULL, NULL),
			 KAFKA_NONE);
	assert_int_equal(store_topic_create(store, SLICE_LITERAL("stays"), 1, NULL, NULL),
			 KAFKA_NONE);
	assert_int_equal(store_close(store), 0);
	/* Kafka has run and set one of them aside. */
	add(metadata, 20, 0, NULL, NULL);
	store_log(metadata);
	rename_in("leats-0", "leats-0.0123456789abcdef0123456789abcdef-stray");
	store = kit_open(folder, NULL);
	assert_false(has_topic(store, "leats"));
	assert_true(has_topic(store, "stays"));
	assert_true(kit_there(folder, "leats-0.0123456789abcdef0123456789abcdef-stray"));
	assert_non_null(strstr(said, "topic leats is no longer there"));
	assert_non_null(strstr(said, "are left alone: leats-0.0123456789abcdef0123456789abcdef"));
	assert_int_equal(store_close(store), 0);
	/* Called by its name again it is back. */
	rename_in("leats-0.0123456789abcdef0123456789abcdef-stray", "leats-0");
	store = kit_open(folder, NULL);
	assert_true(has_topic(store, "leats"));
	assert_int_equal(store_close(store), 0);
	free(metadata);
}

static void of_two_topics_of_a_name_the_folder_decides(void **state)
{
	struct kafka_uuid id = id_of(7), two;
	struct metadata *metadata = metadata_new();
	struct store *store;

	add(metadata, 20, 0, NULL, NULL);
	store_log(metadata);
	store = kit_open(folder, NULL);
	assert_int_equal(store_topic_create(store, SLICE_LITERAL("one"), 1, NULL, NULL),
			 KAFKA_NONE);
	assert_int_equal(store_topic_create(store, SLICE_LITERAL("two"), 1, NULL, NULL),
			 KAFKA_NONE);
	two = *id_in(store, "two");
	assert_int_equal(store_close(store), 0);
	/* Kafka makes its own; for one of them it has set ours aside and made a folder. */
	add_topic(metadata, "one", 7, 1);
	add_topic(metadata, "two", 8, 1);
	store_log(metadata);
	rename_in("one-0", "one-0.0123456789abcdef0123456789abcdef-stray");
	make_partition("one-0", &id);
	store = kit_open(folder, NULL);
	assert_id(store, "one", 7);
	assert_memory_equal(id_in(store, "two"), &two, sizeof(two));
	assert_int_equal(store_close(store), 0);
	free(metadata);
}

static void a_folder_of_another_topic_is_set_aside(void **state)
{
	struct kafka_uuid old = id_of(5), id = id_of(6);
	struct metadata *metadata = metadata_new();
	struct partition_ends ends;
	struct store *store;

	/* Deleted and made again, of which the folders have only seen a part. */
	add_topic(metadata, "orders", 6, 2);
	store_log(metadata);
	make_partition("orders-0", &id);
	make_partition("orders-1", &old);
	store = kit_open(folder, NULL);
	assert_id(store, "orders", 6);
	assert_non_null(strstr(said, "orders-1 is of another topic of this name"));
	assert_int_equal(partition_ends(kit_partition(store, "orders", 1), &ends), KAFKA_NONE);
	assert_int_equal(store_close(store), 0);
	free(metadata);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, metadata_set_up, metadata_tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(what_was_set_last_holds_wherever_it_was_set),
	    TEST(deleted_topics_stay_deleted),
	    TEST(a_topic_that_kafka_did_not_know_is_gone_with_its_folder),
	    TEST(of_two_topics_of_a_name_the_folder_decides),
	    TEST(a_folder_of_another_topic_is_set_aside),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
