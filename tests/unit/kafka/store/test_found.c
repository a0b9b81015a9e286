/*
 * Folders with what others, or an end in the middle of something, have left in them.
 */
#include "unit/unit.h"

#include "kit.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static char folder[64];

static int set_up(void **state)
{
	kit_folder(folder);
	return 0;
}

static int tear_down(void **state)
{
	kit_remove(folder);
	return 0;
}

/* What the slices from an offset on have, as bytes. */
static size_t read_raw(struct partition *partition, int64_t offset, char *out, size_t size)
{
	struct partition_read read = {.offset = offset, .max_bytes = size, .whole_first = true};
	struct partition_slice slice;
	enum kafka_error error;
	ssize_t n;

	assert_int_equal(partition_read(partition, &read, &slice, &error), 0);
	assert_int_equal(error, KAFKA_NONE);
	assert_true(slice.len <= size);
	n = pread(slice.fd, out, slice.len, (off_t)slice.position);
	partition_slice_release(&slice);
	return (size_t)n;
}

/* A message by its number, of either format, with times that grow; its length. */
static size_t old_message(char *out, int64_t nth)
{
	char text[32];

	snprintf(text, sizeof(text), "old message %d", (int)nth);
	return kit_old_message(out, nth >= 100, nth, KIT_NOW + nth, text);
}

static void messages_of_old_formats_are_kept_and_served_as_they_are(void **state)
{
	struct store *store = kit_open(folder, NULL);
	struct partition_found found;
	struct partition *partition;
	static char log[20000], out[20000];
	size_t len = 0, begins[200];

	kit_create(store, "old", 1);
	assert_int_equal(store_close(store), 0);
	for (int64_t i = 0; i < 200; i++) {
		begins[i] = len;
		len += old_message(log + len, i);
	}
	/* The end is torn, as a crash leaves it. */
	kit_write(folder, "old-0/00000000000000000000.log", log, len + 30);
	kit_unlink(folder, ".kafka_cleanshutdown");
	for (int round = 0; round < 3; round++) {
		store = kit_open(folder, NULL);
		partition = kit_partition(store, "old", 0);
		assert_int_equal(kit_ends(partition).log_end, 200 + round);
		for (int64_t i = 0; i < 200; i++) {
			size_t n = read_raw(partition, i, out, sizeof(out));

			assert_true(n >= len - begins[i]);
			assert_memory_equal(out, log + begins[i], len - begins[i]);
		}
		assert_int_equal(partition_find_time(partition, KIT_NOW + 150, &found), KAFKA_NONE);
		assert_int_equal(found.offset, 150);
		assert_int_equal(found.timestamp, KIT_NOW + 150);
		assert_false(found.compressed);
		/* What comes now is of today's format. */
		assert_int_equal(kit_append(partition, &KIT_PLAIN(1, 10, KIT_NOW + 1000), NULL),
				 KAFKA_NONE);
		assert_int_equal(store_close(store), 0);
		if (round == 0)
			kit_unlink(folder, "old-0/00000000000000000000.index");
	}
}

/* Three segments of two batches each, 10 records a batch, as a stopped store has them. */
static void make_three_segments(void)
{
	struct topic_config config;
	struct partition *partition;
	struct store *store;
	struct topic *topic;

	topic_config_init(&config);
	topic_config_set(&config, TOPIC_CONFIG_SEGMENT_BYTES, 2500);
	topic_config_set(&config, TOPIC_CONFIG_CLEANUP_POLICY, TOPIC_CLEANUP_COMPACT);
	store = kit_open(folder, NULL);
	assert_int_equal(store_topic_create(store, slice_of("orders"), 1, &config, &topic),
			 KAFKA_NONE);
	partition = topic_partition(topic, 0);
	for (int i = 0; i < 6; i++)
		assert_int_equal(kit_append(partition, &KIT_PLAIN(10, 100, KIT_NOW), NULL),
				 KAFKA_NONE);
	topic_unref(topic);
	assert_int_equal(store_close(store), 0);
	assert_true(kit_there(folder, "orders-0/00000000000000000040.log"));
	kit_unlink(folder, ".kafka_cleanshutdown");
}

/* What compaction makes of the first two: their first batches. */
static void make_swap(const char *suffix)
{
	char first[4000], second[4000], name[64];
	size_t batch, len;

	len = kit_load(folder, "orders-0/00000000000000000000.log", first, sizeof(first));
	batch = (size_t)record_batch_length(slice_make(first, len));
	assert_true(len == 2 * batch);
	kit_load(folder, "orders-0/00000000000000000020.log", second, sizeof(second));
	memcpy(first + batch, second, batch);
	snprintf(name, sizeof(name), "orders-0/00000000000000000000.log%s", suffix);
	kit_write(folder, name, first, 2 * batch);
	snprintf(name, sizeof(name), "orders-0/00000000000000000000.index%s", suffix);
	kit_write(folder, name, "", 0);
	snprintf(name, sizeof(name), "orders-0/00000000000000000000.timeindex%s", suffix);
	kit_write(folder, name, "", 0);
}

static void assert_batch_at(struct partition *partition, int64_t offset, int64_t base)
{
	char bytes[4000];
	struct record_batch batch;
	struct slice stream = slice_make(bytes, read_raw(partition, offset, bytes, sizeof(bytes)));

	assert_int_equal(record_batch_next(&stream, &batch), RECORD_BATCH_OK);
	assert_int_equal(batch.base_offset, base);
}

static void a_compaction_that_kafka_was_stopped_in_is_finished(void **state)
{
	struct partition *partition;
	struct store *store;

	make_three_segments();
	make_swap(".swap");
	kit_write(folder, "orders-0/00000000000000000020.log.deleted", "x", 1);
	kit_write(folder, "orders-0/00000000000000000040.log.cleaned", "x", 1);
	store = kit_open(folder, NULL);
	partition = kit_partition(store, "orders", 0);
	assert_int_equal(kit_ends(partition).log_end, 60);
	assert_batch_at(partition, 9, 0);
	assert_batch_at(partition, 10, 20);
	assert_batch_at(partition, 30, 40);
	assert_batch_at(partition, 59, 50);
	assert_false(kit_there(folder, "orders-0/00000000000000000000.log.swap"));
	assert_false(kit_there(folder, "orders-0/00000000000000000020.log"));
	assert_false(kit_there(folder, "orders-0/00000000000000000020.log.deleted"));
	assert_false(kit_there(folder, "orders-0/00000000000000000040.log.cleaned"));
	assert_int_equal(store_close(store), 0);
}

static void a_compaction_that_was_not_finished_counts_for_nothing(void **state)
{
	struct partition *partition;
	struct store *store;

	make_three_segments();
	make_swap(".swap");
	kit_write(folder, "orders-0/00000000000000000000.log.cleaned", "x", 1);
	store = kit_open(folder, NULL);
	partition = kit_partition(store, "orders", 0);
	for (int64_t offset = 0; offset < 60; offset++)
		assert_batch_at(partition, offset, offset / 10 * 10);
	assert_false(kit_there(folder, "orders-0/00000000000000000000.log.swap"));
	assert_false(kit_there(folder, "orders-0/00000000000000000000.log.cleaned"));
	assert_int_equal(store_close(store), 0);
}

static void a_swap_that_is_not_whole_takes_nobodys_place(void **state)
{
	char log[4000];
	size_t len;
	struct partition_ends ends;
	struct store *store;

	make_three_segments();
	make_swap(".swap");
	len = kit_load(folder, "orders-0/00000000000000000000.log.swap", log, sizeof(log));
	kit_write(folder, "orders-0/00000000000000000000.log.swap", log, len - 5);
	store = kit_open(folder, NULL);
	assert_int_equal(partition_ends(kit_partition(store, "orders", 0), &ends),
			 KAFKA_KAFKA_STORAGE_ERROR);
	assert_true(kit_there(folder, "orders-0/00000000000000000020.log"));
	assert_true(store_close(store) < 0);
}

/* A file that somebody has given such a name, and a checkpoint that was damaged. */
static void no_log_comes_to_the_end_of_all_offsets(void **state)
{
	static const char checkpoint[] = "0\n1\norders 0 9223372036854775807\n";
	struct partition *partition;
	struct store *store;

	make_three_segments();
	kit_write(folder, "orders-0/09223372036854775807.log", "", 0);
	store = kit_open(folder, NULL);
	partition = kit_partition(store, "orders", 0);
	assert_int_equal(kit_ends(partition).log_end, 60);
	assert_int_equal(kit_append(partition, &KIT_PLAIN(10, 100, KIT_NOW), NULL), KAFKA_NONE);
	kit_assert_whole(partition, 4000);
	assert_int_equal(store_close(store), 0);

	kit_write(folder, "log-start-offset-checkpoint", checkpoint, sizeof(checkpoint) - 1);
	for (int i = 0; i < 2; i++) {
		store = kit_open(folder, NULL);
		partition = kit_partition(store, "orders", 0);
		assert_int_equal(kit_ends(partition).log_end, INT64_MAX);
		assert_int_equal(kit_append(partition, &KIT_PLAIN(10, 100, KIT_NOW), NULL),
				 KAFKA_KAFKA_STORAGE_ERROR);
		assert_int_equal(store_close(store), 0);
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(messages_of_old_formats_are_kept_and_served_as_they_are),
	    TEST(a_compaction_that_kafka_was_stopped_in_is_finished),
	    TEST(a_compaction_that_was_not_finished_counts_for_nothing),
	    TEST(a_swap_that_is_not_whole_takes_nobodys_place),
	    TEST(no_log_comes_to_the_end_of_all_offsets),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
