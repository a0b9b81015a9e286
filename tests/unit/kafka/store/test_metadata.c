/*
 * A directory of Kafka's: what its metadata log says goes into the topics. Logs and snapshots that
 * Apache Kafka 3.9 and 4.4 have written (captured_metadata.txt), and logs that are made here, for
 * what those don't have: transactions, damage, versions of tomorrow, and directories that have been
 * used by both.
 */
#include "unit/unit.h"

#include "kit.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/varint.h"
#include "kafka/wire/messages.h"

#define METADATA "__cluster_metadata-0"
#define APART    (INT64_C(1) << 40) /* where our producer ids begin in Kafka's directories */

static const char *captured_path;
static char folder[64];
static char said[16384]; /* what was logged */

static void note(void *arg, enum log_level level, const char *line, size_t len)
{
	size_t have = strlen(said);

	if (have + len + 1 < sizeof(said)) {
		memcpy(said + have, line, len);
		said[have + len] = '\0';
	}
}

static void write_file(const char *name, const void *bytes, size_t len)
{
	char path[256];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
	assert_true(fd >= 0 && write(fd, bytes, len) == (ssize_t)len);
	close(fd);
}

static void make_folder(const char *name)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	assert_int_equal(mkdir(path, 0755), 0);
}

static void rename_in(const char *from, const char *to)
{
	char path[256], other[256];

	snprintf(path, sizeof(path), "%s/%s", folder, from);
	snprintf(other, sizeof(other), "%s/%s", folder, to);
	assert_int_equal(rename(path, other), 0);
}

static bool there(const char *name)
{
	char path[256];
	struct stat st;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	return stat(path, &st) == 0;
}

static char *read_file(const char *name, size_t *ret_len)
{
	static char bytes[65536];
	char path[256];
	int fd;
	ssize_t n;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	fd = open(path, O_RDONLY);
	assert_true(fd >= 0);
	n = read(fd, bytes, sizeof(bytes) - 1);
	assert_true(n >= 0);
	bytes[n] = '\0';
	if (ret_len)
		*ret_len = (size_t)n;
	close(fd);
	return bytes;
}

/* As Kafka leaves it after a clean stop. */
static int set_up(void **state)
{
	static const char identity[] =
	    "#\nnode.id=1\ndirectory.id=twPOvc3G3Qd3z-1CFCGQDA\nversion=1\n"
	    "cluster.id=eQCdAexjTYWqIINzNzvaZA\n";
	static const char mark[] = "{\"version\":0,\"brokerEpoch\":4}";

	kit_folder(folder);
	write_file("meta.properties", identity, sizeof(identity) - 1);
	write_file(".kafka_cleanshutdown", mark, sizeof(mark) - 1);
	make_folder(METADATA);
	said[0] = '\0';
	return 0;
}

static int tear_down(void **state)
{
	kit_remove(folder);
	return 0;
}

/* ---- logs that are made here ---- */

struct metadata {
	char bytes[65536];
	size_t len;
	int64_t offset;
};

static struct metadata *metadata_new(void)
{
	return calloc(1, sizeof(struct metadata));
}

/* One record, in a batch of its own. */
static void add_value(struct metadata *metadata, struct slice value)
{
	size_t len;
	char *batch = kit_batch_of(value, KIT_NOW, &len);

	record_batch_place(batch, metadata->offset++, 1);
	assert_true(metadata->len + len <= sizeof(metadata->bytes));
	memcpy(metadata->bytes + metadata->len, batch, len);
	metadata->len += len;
	free(batch);
}

static void add(struct metadata *metadata, unsigned kind, int version,
		const struct kafka_message *message, const void *record)
{
	char bytes[1024];
	size_t len = 0;
	struct kafka_writer writer;

	len += varint_write((uint8_t *)bytes + len, 1);
	len += varint_write((uint8_t *)bytes + len, kind);
	len += varint_write((uint8_t *)bytes + len, (uint64_t)version);
	writer = kafka_writer_over(bytes + len, sizeof(bytes) - len);
	if (message)
		kafka_encode(message, version, record, &writer);
	else
		kafka_put(&writer, "", 1); /* no tagged fields, and that is all */
	assert_true(kafka_writer_fits(&writer));
	add_value(metadata, slice_make(bytes, len + writer.len));
}

/* Told apart by their last byte. */
static struct kafka_uuid id_of(uint8_t number)
{
	struct kafka_uuid id = {{1, 2, 3, 4, 5, 6, 0x40, 8, 0x80}};

	id.bytes[15] = number;
	return id;
}

static void add_topic(struct metadata *metadata, const char *name, uint8_t id, int32_t partitions)
{
	struct kafka_topic_record topic = {.name = slice_of(name), .topic_id = id_of(id)};

	add(metadata, 2, 0, &kafka_topic_record_message, &topic);
	for (int32_t i = 0; i < partitions; i++) {
		int32_t replica = 1;
		struct kafka_partition_record partition;

		kafka_partition_record_init(&partition);
		partition.partition_id = i;
		partition.topic_id = id_of(id);
		partition.replicas.at = &replica;
		partition.replicas.count = 1;
		partition.leader_epoch = 3;
		add(metadata, 3, 1, &kafka_partition_record_message, &partition);
	}
}

static void add_config(struct metadata *metadata, int8_t type, const char *resource,
		       const char *name, const char *value)
{
	struct kafka_config_record config = {.resource_type = type,
					     .resource_name = slice_of(resource),
					     .name = slice_of(name)};

	if (value)
		config.value = slice_of(value);
	add(metadata, 4, 0, &kafka_config_record_message, &config);
}

static void add_removal(struct metadata *metadata, uint8_t id)
{
	struct kafka_remove_topic_record removal = {.topic_id = id_of(id)};

	add(metadata, 9, 0, &kafka_remove_topic_record_message, &removal);
}

static void store_log(const struct metadata *metadata)
{
	write_file(METADATA "/00000000000000000000.log", metadata->bytes, metadata->len);
}

/* A folder as Kafka makes it, of a topic's partition. */
static void make_partition(const char *name, const struct kafka_uuid *id)
{
	char path[256], text[128], id_text[STORE_UUID_TEXT + 1];

	make_folder(name);
	snprintf(path, sizeof(path), "%s/00000000000000000000.log", name);
	write_file(path, "", 0);
	snprintf(path, sizeof(path), "%s/partition.metadata", name);
	store_uuid_format(id, id_text);
	snprintf(text, sizeof(text), "version: 0\ntopic_id: %s", id_text);
	write_file(path, text, strlen(text));
}

static void assert_value(struct store *store, const char *name, enum topic_config_id config,
			 int64_t own)
{
	struct topic *topic = store_topic(store, slice_of(name));
	struct topic_config values;

	assert_non_null(topic);
	topic_config_own(topic, &values);
	assert_int_equal(topic_config_is_set(&values, config), own >= 0);
	if (own >= 0)
		assert_int_equal(values.values[config], own);
	topic_unref(topic);
}

static bool has_topic(struct store *store, const char *name)
{
	struct topic *topic = store_topic(store, slice_of(name));

	if (topic)
		topic_unref(topic);
	return topic;
}

static int32_t partitions_of(struct store *store, const char *name)
{
	struct topic *topic = store_topic(store, slice_of(name));
	int32_t count;

	assert_non_null(topic);
	count = topic_partition_count(topic);
	topic_unref(topic);
	return count;
}

static const struct kafka_uuid *id_in(struct store *store, const char *name)
{
	struct topic *topic = store_topic(store, slice_of(name));

	assert_non_null(topic);
	topic_unref(topic);
	return topic_id(topic);
}

static void assert_id(struct store *store, const char *name, uint8_t id)
{
	struct kafka_uuid expected = id_of(id);

	assert_memory_equal(id_in(store, name), &expected, sizeof(expected));
}

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
		write_file(path, bytes, len);
	}
	fclose(file);
}

static void assert_captured(struct store *store)
{
	assert_int_equal(partitions_of(store, "orders"), 2);
	assert_value(store, "orders", TOPIC_CONFIG_RETENTION_MS, 2000000);
	assert_value(store, "orders", TOPIC_CONFIG_MAX_MESSAGE_BYTES, 70000);
	assert_value(store, "orders", TOPIC_CONFIG_SEGMENT_BYTES, -1);
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
	assert_non_null(strstr(said, "log.cleaner.threads"));
	assert_null(strstr(said, "min.insync.replicas"));
	assert_int_equal(store_take_producer_ids(store, 1, &first), 0);
	assert_true(first >= APART);
	assert_int_equal(store_close(store), 0);
	/* Kafka's controllers look for it. */
	assert_non_null(strstr(read_file(".kafka_cleanshutdown", NULL), epoch));
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
	assert_int_equal(store_close(store), 0);
	assert_null(strstr(read_file("leat-topics", NULL), "kafka-metadata"));
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
	write_file(METADATA "/00000000000000000100.log", metadata->bytes, metadata->len);
	assert_not_used("what comes before it is missing");
	free(metadata);
}

static void a_snapshot_that_is_not_whole_is_not_used(void **state)
{
	struct metadata *metadata = metadata_new();

	add_topic(metadata, "orders", 1, 1);
	write_file(METADATA "/00000000000000000100-0000000001.checkpoint", metadata->bytes,
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
	write_file(METADATA "/00000000000000000000.log", metadata->bytes, whole + 40);
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
	add_config(metadata, 2, "orders", "follower.replication.throttled.replicas", "*");
	add_config(metadata, 2, "orders", "remote.storage.enable", "true");
	add_config(metadata, 2, "orders", "remote.storage.enable", NULL);
	add_config(metadata, 2, "orders", "retention.ms", "soon");
	add_config(metadata, 2, "orders", "segment.ms", "777");
	store_log(metadata);
	store = kit_open(folder, NULL);
	assert_non_null(strstr(said, "follower.replication.throttled.replicas=*"));
	assert_non_null(strstr(said, "retention.ms=soon"));
	assert_null(strstr(said, "remote.storage.enable"));
	assert_value(store, "orders", TOPIC_CONFIG_SEGMENT_MS, 777);
	assert_value(store, "orders", TOPIC_CONFIG_RETENTION_MS, -1);
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
		assert_int_equal(ends.leader_epoch, 4);
		assert_int_equal(store_close(store), 0);
	}
	free(metadata);
}

/* ---- there and back ---- */

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
	assert_false(there("kafkas-0"));
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
	assert_true(there("leats-0.0123456789abcdef0123456789abcdef-stray"));
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

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
	    TEST(what_kafka_3_has_written),
	    TEST(what_kafka_4_has_written),
	    TEST(the_snapshot_alone_is_enough_for_what_it_has),
	    TEST(transactions_count_as_a_whole_or_not_at_all),
	    TEST(records_of_a_later_version_are_not_guessed_at),
	    TEST(records_that_contradict_others_are_damage),
	    TEST(a_flipped_byte_after_a_clean_stop_is_damage),
	    TEST(what_comes_before_the_log_must_be_known),
	    TEST(a_snapshot_that_is_not_whole_is_not_used),
	    TEST(a_torn_end_after_a_crash_is_no_damage),
	    TEST(settings_that_are_not_known_are_said),
	    TEST(the_leader_epoch_does_not_go_back),
	    TEST(what_was_set_last_holds_wherever_it_was_set),
	    TEST(deleted_topics_stay_deleted),
	    TEST(a_topic_that_kafka_did_not_know_is_gone_with_its_folder),
	    TEST(of_two_topics_of_a_name_the_folder_decides),
	    TEST(a_folder_of_another_topic_is_set_aside),
	};

	CHECK(argc == 2);
	captured_path = argv[1];
	log_set_sink(note, NULL, LOG_LEVEL_INFO);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
