/*
 * What the metadata log of a directory of Kafka's says goes into the topics. Logs and snapshots that
 * Apache Kafka 3.9 and 4.4 have written (captured_metadata.txt), and logs that are made here, for
 * what those don't have: transactions, damage, versions of tomorrow.
 */
#include "unit/unit.h"

#include "metadata_kit.h"

#include <stdio.h>
#include <stdlib.h>

#define APART (INT64_C(1) << 40) /* where our producer ids begin in Kafka's directories */

static const char *captured_path;

/* ---- what Kafka has written ---- */

static void unpack(const char *version)
{
	FILE *file = fopen(captured_path, "r");
	static char line[16384], bytes[8192];
	char of[16], name[64], path[128];

	assert_non_null(file);
	while (fgets(line, sizeof(line), file)) {
		size_t len = 0;
		int at = 0;
		unsigned byte;

		if (line[0] == '#')
			continue;
		assert_int_equal(sscanf(line, "%15s %63s %n", of, name, &at), 2);
		if (strcmp(of, version) != 0)
			continue;
		for (const char *hex = line + at; sscanf(hex, "%2x", &byte) == 1; hex += 2)
			bytes[len++] = (char)byte;
		snprintf(path, sizeof(path), METADATA "/%s", name);
		kit_write(folder, path, bytes, len);
	}
	fclose(file);
}

static void assert_captured(struct store *store)
{
	assert_int_equal(partitions_of(store, "orders"), 2);
	assert_value(store, "orders", TOPIC_CONFIG_RETENTION_MS, 2000000);
	assert_value(store, "orders", TOPIC_CONFIG_MAX_MESSAGE_BYTES, 70000);
	assert_value(store, "orders", TOPIC_CONFIG_SEGMENT_BYTES, NOT_SET);
	assert_int_equal(partitions_of(store, "other"), 3);
	assert_value(store, "other", TOPIC_CONFIG_FLUSH_MESSAGES, 1);
	assert_int_equal(partitions_of(store, "gone"), 1);
	assert_value(store, "late", TOPIC_CONFIG_RETENTION_MS, 5);
	assert_false(has_topic(store, "__cluster_metadata"));
}

static void try_captured(const char *version, const char *epoch)
{
	struct store *store;
	struct store_stats stats;
	int64_t first;

	unpack(version);
	store = kit_open(folder, NULL);
	assert_captured(store);
	store_stats(store, &stats);
	assert_true(stats.topics == 4 && stats.was_clean);
	/* Only the metadata was captured. */
	assert_non_null(strstr(said, "7 partitions that Kafka's metadata tells of have no folder"));
	assert_non_null(strstr(said, "log.cleaner.threads"));
	assert_null(strstr(said, "min.insync.replicas"));
	assert_int_equal(store_take_producer_ids(store, 1, &first), 0);
	assert_true(first >= APART);
	assert_int_equal(store_close(store), 0);
	/* Kafka's controllers look for it. */
	assert_non_null(strstr(text_of(".kafka_cleanshutdown"), epoch));
	said[0] = '\0';
	store = kit_open(folder, NULL);
	assert_captured(store);
	assert_null(strstr(said, "are new here"));
	assert_int_equal(store_close(store), 0);
}

static void what_kafka_3_has_written(void **state)
{
	try_captured("3.9.2", "\"brokerEpoch\":6}");
}

static void what_kafka_4_has_written(void **state)
{
	try_captured("4.4.0", "\"brokerEpoch\":11}");
}

static void the_snapshot_alone_is_enough_for_what_it_has(void **state)
{
	struct store *store;

	unpack("4.4.0");
	rename_in(METADATA "/00000000000000000000.log", METADATA "/away");
	rename_in(METADATA "/00000000000000000047-0000000001.checkpoint", METADATA "/too");
	store = kit_open(folder, NULL);
	/* It was made before the rest was done. */
	assert_value(store, "orders", TOPIC_CONFIG_RETENTION_MS, 1000000);
	assert_value(store, "orders", TOPIC_CONFIG_SEGMENT_BYTES, 2097152);
	assert_false(has_topic(store, "late"));
	assert_int_equal(store_close(store), 0);
}

/* ---- what can be wrong with it ---- */

static void transactions_count_as_a_whole_or_not_at_all(void **state)
{
	struct metadata *metadata = metadata_new();
	struct store *store;

	add(metadata, 23, 0, NULL, NULL);
	add_topic(metadata, "ended", 1, 1);
	add(metadata, 24, 0, NULL, NULL);
	add(metadata, 23, 0, NULL, NULL);
	add_topic(metadata, "aborted", 2, 1);
	add(metadata, 25, 0, NULL, NULL);
	/* Of a kind that nobody knows yet. */
	add(metadata, 1000, 0, NULL, NULL);
	add(metadata, 23, 0, NULL, NULL);
	add_topic(metadata, "open", 3, 1);
	store_log(metadata);
	store = kit_open(folder, NULL);
	assert_true(has_topic(store, "ended"));
	assert_false(has_topic(store, "aborted"));
	assert_false(has_topic(store, "open"));
	assert_int_equal(store_close(store), 0);
	free(metadata);
}

/* The folders alone are left to go by. */
static void assert_not_used(const char *why)
{
	struct kafka_uuid id = id_of(9);
	struct store *store;

	make_partition("folder-0", &id);
	store = kit_open(folder, NULL);
	assert_non_null(strstr(said, why));
	assert_non_null(strstr(said, "are not taken from there"));
	assert_true(has_topic(store, "folder"));
	assert_false(has_topic(store, "orders"));
	/* Who knows for how long it was to be kept. */
	assert_value(store, "folder", TOPIC_CONFIG_RETENTION_MS, -1);
	assert_non_null(strstr(said, "all that is in them is kept"));
	assert_int_equal(store_close(store), 0);
	assert_null(strstr(text_of("leat-topics"), "kafka-metadata"));
}

static void records_of_a_later_version_are_not_guessed_at(void **state)
{
	struct metadata *metadata = metadata_new();

	add_topic(metadata, "orders", 1, 1);
	add(metadata, 2, 1, NULL, NULL);
	store_log(metadata);
	assert_not_used("newer version than this program knows");
	free(metadata);
}

static void records_that_contradict_others_are_damage(void **state)
{
	struct metadata *metadata = metadata_new();

	add_topic(metadata, "orders", 1, 1);
	add_removal(metadata, 2);
	store_log(metadata);
	assert_not_used("a record that makes no sense");
	free(metadata);
}

static void a_record_without_a_value_is_damage(void **state)
{
	struct metadata *metadata = metadata_new();

	add_topic(metadata, "orders", 1, 1);
	add_value(metadata, slice_make(NULL, 0));
	store_log(metadata);
	assert_not_used("a record that makes no sense");
	free(metadata);
}

static void a_flipped_byte_after_a_clean_stop_is_damage(void **state)
{
	struct metadata *metadata = metadata_new();

	add_topic(metadata, "orders", 1, 1);
	metadata->bytes[metadata->len - 3] ^= 1;
	store_log(metadata);
	assert_not_used("the checksum is wrong");
	free(metadata);
}

static void what_comes_before_the_log_must_be_known(void **state)
{
	struct metadata *metadata = metadata_new();

	metadata->offset = 100;
	add_topic(metadata, "orders", 1, 1);
	kit_write(folder, METADATA "/00000000000000000100.log", metadata->bytes, metadata->len);
	assert_not_used("what comes before it is missing");
	free(metadata);
}

static void a_snapshot_that_is_not_whole_is_not_used(void **state)
{
	struct metadata *metadata = metadata_new();

	add_topic(metadata, "orders", 1, 1);
	kit_write(folder, METADATA "/00000000000000000100-0000000001.checkpoint", metadata->bytes,
		  metadata->len);
	assert_not_used("it has no end");
	free(metadata);
}

static void a_torn_end_after_a_crash_is_no_damage(void **state)
{
	struct metadata *metadata = metadata_new();
	struct store *store;
	size_t whole;

	add_topic(metadata, "orders", 1, 1);
	whole = metadata->len;
	add_topic(metadata, "more", 2, 1);
	kit_write(folder, METADATA "/00000000000000000000.log", metadata->bytes, whole + 40);
	rename_in(".kafka_cleanshutdown", "away");
	store = kit_open(folder, NULL);
	assert_true(has_topic(store, "orders"));
	assert_false(has_topic(store, "more"));
	assert_int_equal(store_close(store), 0);
	free(metadata);
}

static void settings_that_are_not_known_are_said(void **state)
{
	struct metadata *metadata = metadata_new();
	struct store *store;

	add_topic(metadata, "orders", 1, 1);
	add_config(metadata, 2, "orders", "no.such.setting", "*");
	add_config(metadata, 2, "orders", "remote.storage.enable", "true");
	add_config(metadata, 2, "orders", "remote.storage.enable", NULL);
	add_config(metadata, 2, "orders", "retention.ms", "soon");
	add_config(metadata, 2, "orders", "segment.ms", "777");
	store_log(metadata);
	store = kit_open(folder, NULL);
	assert_non_null(strstr(said, "no.such.setting=*"));
	assert_non_null(strstr(said, "retention.ms=soon"));
	assert_null(strstr(said, "remote.storage.enable"));
	assert_value(store, "orders", TOPIC_CONFIG_SEGMENT_MS, 777);
	assert_value(store, "orders", TOPIC_CONFIG_RETENTION_MS, NOT_SET);
	assert_int_equal(store_close(store), 0);
	free(metadata);
}

static void the_leader_epoch_does_not_go_back(void **state)
{
	struct kafka_partition_change_record change;
	struct metadata *metadata = metadata_new();
	struct partition_ends ends;
	struct store *store;

	add_topic(metadata, "orders", 1, 1);
	kafka_partition_change_record_init(&change);
	change.partition_id = 0;
	change.topic_id = id_of(1);
	change.leader = 1;
	add(metadata, 5, 0, &kafka_partition_change_record_message, &change);
	change.leader = -2; /* it stays */
	add(metadata, 5, 0, &kafka_partition_change_record_message, &change);
	store_log(metadata);
	for (int round = 0; round < 2; round++) {
		store = kit_open(folder, NULL);
		assert_int_equal(partition_ends(kit_partition(store, "orders", 0), &ends),
				 KAFKA_NONE);
		/* Of the partition nothing is there at first: a later one begins. */
		assert_int_equal(ends.leader_epoch, 5);
		assert_int_equal(store_close(store), 0);
	}
	free(metadata);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, metadata_set_up, metadata_tear_down)

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
	    TEST(what_kafka_3_has_written),
	    TEST(what_kafka_4_has_written),
	    TEST(the_snapshot_alone_is_enough_for_what_it_has),
	    TEST(transactions_count_as_a_whole_or_not_at_all),
	    TEST(records_of_a_later_version_are_not_guessed_at),
	    TEST(records_that_contradict_others_are_damage),
	    TEST(a_record_without_a_value_is_damage),
	    TEST(a_flipped_byte_after_a_clean_stop_is_damage),
	    TEST(what_comes_before_the_log_must_be_known),
	    TEST(a_snapshot_that_is_not_whole_is_not_used),
	    TEST(a_torn_end_after_a_crash_is_no_damage),
	    TEST(settings_that_are_not_known_are_said),
	    TEST(the_leader_epoch_does_not_go_back),
	};

	CHECK(argc == 2);
	captured_path = argv[1];
	return cmocka_run_group_tests(tests, NULL, NULL);
}
