#include "unit/unit.h"

#include "kit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/be.h"
#include "base/log.h"
#include "kafka/store/log_index.h"

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

static void what_was_appended_is_read_also_after_a_restart(void **state)
{
	struct topic_config config = kit_small_segments();
	struct store *store = kit_open(folder, &config);
	struct partition *partition = kit_create(store, "orders", 3);
	struct partition_ends before;
	struct store_stats stats;

	kit_fill(partition, 600, KIT_NOW);
	kit_assert_whole(partition, 1 << 20);
	kit_assert_whole(partition, 5000);
	kit_assert_whole(partition, 1);
	before = kit_ends(partition);
	store_stats(store, &stats);
	assert_true(stats.segments > 8);
	assert_int_equal(store_close(store), 0);

	assert_true(kit_there(folder, ".kafka_cleanshutdown"));
	store = kit_open(folder, &config);
	assert_false(kit_there(folder, ".kafka_cleanshutdown"));
	partition = kit_partition(store, "orders", 0);
	assert_int_equal(kit_ends(partition).log_end, before.log_end);
	kit_assert_whole(partition, 5000);
	kit_fill(partition, 100, KIT_NOW + 100000);
	kit_assert_whole(partition, 5000);
	store_stats(store, &stats);
	assert_true(stats.was_clean);
	assert_int_equal(stats.recovered_bytes, 0);
	assert_int_equal(store_close(store), 0);
}

static void every_offset_is_found_in_its_batch(void **state)
{
	struct topic_config config = kit_small_segments();
	struct store *store = kit_open(folder, &config);
	struct partition *partition = kit_create(store, "orders", 1);

	kit_fill(partition, 400, KIT_NOW);
	for (int64_t offset = 0; offset < kit_ends(partition).log_end; offset++) {
		struct partition_read read = {.offset = offset,
					      .max_bytes = 1,
					      .whole_first = true};
		struct partition_slice slice;
		enum kafka_error error;
		char header[RECORD_BATCH_HEADER];
		struct record_batch batch;
		struct slice bytes;

		assert_int_equal(partition_read(partition, &read, &slice, &error), 0);
		assert_int_equal(error, KAFKA_NONE);
		assert_true(slice.len >= sizeof(header));
		assert_int_equal(pread(slice.fd, header, sizeof(header), (off_t)slice.position),
				 sizeof(header));
		bytes = slice_make(header, slice.len);
		assert_int_equal(record_batch_next(&bytes, &batch), RECORD_BATCH_OK);
		assert_int_equal(batch.base_offset, slice.base_offset);
		assert_true(batch.base_offset <= offset &&
			    record_batch_last_offset(&batch) >= offset);
		partition_slice_release(&slice);
	}
	store_close(store);
}

/* From each offset of the log the batch that has it is read. */
static void assert_found(struct partition *partition)
{
	for (int64_t offset = 0; offset < kit_ends(partition).log_end; offset++) {
		struct partition_read read = {.offset = offset,
					      .max_bytes = 1,
					      .whole_first = true};
		struct partition_slice slice;
		enum kafka_error error;

		assert_int_equal(partition_read(partition, &read, &slice, &error), 0);
		assert_int_equal(error, KAFKA_NONE);
		assert_int_equal(slice.base_offset, offset);
		partition_slice_release(&slice);
	}
}

/* Batches of one record that are all as long; what begins INSIDE of each looks like a message of an old
 * format. */
#define INSIDE 100

static void append_alike(struct partition *partition, int count)
{
	static const char old[] = "xxxxxxxx\0\0\0\x20\0\0\0";
	struct partition_appended appended;
	char value[300], *batch;
	size_t len;

	memset(value, 'v', sizeof(value));
	for (int i = 0; i < count; i++) {
		batch = kit_batch_of(slice_make(value, sizeof(value)), KIT_NOW + i, &len);
		memcpy(value + sizeof(value) + 1 + INSIDE - len, old, sizeof(old));
		free(batch);
		batch = kit_batch_of(slice_make(value, sizeof(value)), KIT_NOW + i, &len);
		assert_int_equal(partition_append(partition, batch, len, KIT_NOW, &appended),
				 KAFKA_NONE);
		free(batch);
	}
}

/* The nth entry of the first segment's index gets the position of the one `skip` behind it, and
 * `more`. */
static void bend_index(unsigned skip, uint32_t more)
{
	static const char path[] = "orders-0/00000000000000000000.index";
	char index[8192];
	size_t len = kit_load(folder, path, index, sizeof(index));

	assert_true(len > 10 * LOG_INDEX_ENTRY);
	for (size_t at = 0; at + skip * LOG_INDEX_ENTRY < len; at += LOG_INDEX_ENTRY)
		be_store32(index + at + 4,
			   be_load32(index + at + 4 + skip * LOG_INDEX_ENTRY) + more);
	kit_write(folder, path, index, len);
}

static void an_index_that_is_wrong_costs_time_and_no_more(void **state)
{
	static const struct {
		unsigned skip;
		uint32_t more;
	} bends[] = {{0, 0}, {2, 0}, {0, INSIDE}};
	struct topic_config config = kit_small_segments();
	struct store *store = kit_open(folder, &config);
	struct partition_found found;

	append_alike(kit_create(store, "orders", 1), 300);
	store_close(store);
	for (size_t i = 0; i < ARRAY_SIZE(bends); i++) {
		bend_index(bends[i].skip, bends[i].more);
		store = kit_open(folder, &config);
		assert_found(kit_partition(store, "orders", 0));
		for (int64_t at = 0; at < 300; at++) {
			assert_int_equal(partition_find_time(kit_partition(store, "orders", 0),
							     KIT_NOW + at, &found),
					 KAFKA_NONE);
			assert_int_equal(found.offset, at);
		}
		store_close(store);
	}
}

/* An index that has gone, as with the names that retention takes: there may be no room for another. */
static void who_reads_makes_no_files(void **state)
{
	struct topic_config config = kit_small_segments();
	struct store *store = kit_open(folder, &config);

	append_alike(kit_create(store, "orders", 1), 300);
	store_close(store);
	store = kit_open(folder, &config);
	kit_unlink(folder, "orders-0/00000000000000000000.index");
	assert_found(kit_partition(store, "orders", 0));
	assert_false(kit_there(folder, "orders-0/00000000000000000000.index"));
	store_close(store);
	store = kit_open(folder, &config);
	assert_true(kit_size(folder, "orders-0/00000000000000000000.index") > 0);
	store_close(store);
}

/* Behind batches that were deleted, of which the first would do if one only went by the time. */
static void a_search_by_time_ends_at_damage(void **state)
{
	struct topic_config config = kit_small_segments();
	char path[] = "orders-0/00000000000000000000.log", log[70000];
	struct store *store = kit_open(folder, &config);
	struct partition *partition = kit_create(store, "orders", 1);
	struct partition_found found;
	size_t len, size;
	int64_t start;

	append_alike(partition, 300);
	assert_int_equal(partition_delete_records(partition, 50, &start), KAFKA_NONE);
	store_close(store);
	len = kit_load(folder, path, log, sizeof(log));
	size = (size_t)record_batch_length(slice_make(log, len));
	log[50 * size + 16] = 99;
	kit_write(folder, path, log, len);
	store = kit_open(folder, &config);
	partition = kit_partition(store, "orders", 0);
	assert_int_equal(partition_find_time(partition, KIT_NOW, &found),
			 KAFKA_KAFKA_STORAGE_ERROR);
	assert_int_equal(partition_find_time(partition, KIT_NOW + 299, &found), KAFKA_NONE);
	assert_int_equal(found.offset, 299);
	store_close(store);
}

static void reading_outside_is_refused_and_at_the_end_is_empty(void **state)
{
	struct store *store = kit_open(folder, NULL);
	struct partition *partition = kit_create(store, "orders", 1);
	struct partition_read read = {.offset = 1, .max_bytes = 100};
	struct partition_slice slice;
	enum kafka_error error;

	assert_int_equal(partition_read(partition, &read, &slice, &error), 0);
	assert_int_equal(error, KAFKA_OFFSET_OUT_OF_RANGE);
	read.offset = -1;
	assert_int_equal(partition_read(partition, &read, &slice, &error), 0);
	assert_int_equal(error, KAFKA_OFFSET_OUT_OF_RANGE);
	read.offset = 0;
	assert_int_equal(partition_read(partition, &read, &slice, &error), 0);
	assert_int_equal(error, KAFKA_NONE);
	assert_true(slice.len == 0 && slice.at_bound && slice.newest_segment);
	kit_fill(partition, 1, KIT_NOW);
	/* Too small for the batch, and it must not be cut short at its front. */
	assert_int_equal(partition_read(partition, &read, &slice, &error), 0);
	assert_int_equal(slice.len, 0);
	read.whole_first = true;
	read.nowait = true;
	assert_int_equal(partition_read(partition, &read, &slice, &error), 0);
	assert_true(slice.len > 100 && slice.at_bound);
	partition_slice_release(&slice);
	store_close(store);
}

static void a_torn_tail_is_cut_and_the_rest_stays(void **state)
{
	struct topic_config config = kit_small_segments();
	struct store *store = kit_open(folder, &config);
	struct partition *partition = kit_create(store, "orders", 1);
	char copy[64], path[160];
	struct store_stats stats;
	int64_t end;
	int fd;

	kit_fill(partition, 30, KIT_NOW);
	end = kit_ends(partition).log_end;
	kit_folder(copy);
	kit_copy(folder, copy);
	store_close(store);

	snprintf(path, sizeof(path), "%s/orders-0/00000000000000000000.log", copy);
	fd = open(path, O_WRONLY | O_APPEND);
	assert_true(fd >= 0 && write(fd, "torn", 4) == 4);
	close(fd);
	store = kit_open(copy, &config);
	store_stats(store, &stats);
	assert_false(stats.was_clean);
	assert_int_equal(stats.cuts, 1);
	partition = kit_partition(store, "orders", 0);
	assert_int_equal(kit_ends(partition).log_end, end);
	kit_assert_whole(partition, 4000);
	kit_fill(partition, 300, KIT_NOW + 1000);
	kit_assert_whole(partition, 4000);
	assert_int_equal(store_close(store), 0);
	kit_remove(copy);
}

static void idempotent_producers_are_remembered(void **state)
{
	struct store *store = kit_open(folder, NULL);
	struct partition *partition = kit_create(store, "orders", 1);
	struct partition_appended first, again;
	struct kit_batch batch = {.records = 10,
				  .value_bytes = 10,
				  .timestamp = KIT_NOW,
				  .producer_id = 77,
				  .epoch = 2,
				  .sequence = 0};

	assert_int_equal(kit_append(partition, &batch, &first), KAFKA_NONE);
	batch.sequence = 10;
	assert_int_equal(kit_append(partition, &batch, &first), KAFKA_NONE);
	assert_int_equal(kit_append(partition, &batch, &again), KAFKA_NONE);
	assert_true(again.duplicate && again.base_offset == first.base_offset);
	batch.sequence = 30;
	assert_int_equal(kit_append(partition, &batch, NULL), KAFKA_OUT_OF_ORDER_SEQUENCE_NUMBER);
	batch.epoch = 1;
	assert_int_equal(kit_append(partition, &batch, NULL), KAFKA_INVALID_PRODUCER_EPOCH);
	assert_int_equal(kit_ends(partition).log_end, 20);
	assert_int_equal(store_close(store), 0);

	assert_int_equal(kit_size(folder, "orders-0/00000000000000000020.snapshot"), 10 + 46);
	store = kit_open(folder, NULL);
	partition = kit_partition(store, "orders", 0);
	batch.epoch = 2;
	batch.sequence = 10;
	assert_int_equal(kit_append(partition, &batch, &again), KAFKA_NONE);
	assert_true(again.duplicate && again.base_offset == 10 && again.last_offset == 19);
	batch.sequence = 20;
	assert_int_equal(kit_append(partition, &batch, &again), KAFKA_NONE);
	assert_false(again.duplicate);
	store_close(store);
}

static void a_flush_moves_the_high_watermark(void **state)
{
	struct topic_config config;
	struct store *store;
	struct partition *partition;
	struct partition_appended appended;
	struct kit_batch batch = KIT_PLAIN(5, 10, KIT_NOW);

	topic_config_init(&config);
	topic_config_set(&config, TOPIC_CONFIG_FLUSH_MESSAGES, 1);
	store = kit_open(folder, &config);
	partition = kit_create(store, "orders", 1);
	assert_int_equal(kit_append(partition, &batch, &appended), KAFKA_NONE);
	assert_true(appended.flush_due && appended.wait_durable);
	assert_int_equal(kit_append(partition, &batch, &appended), KAFKA_NONE);
	assert_true(!appended.flush_due && appended.wait_durable);
	assert_int_equal(kit_ends(partition).high_watermark, 0);
	assert_false(partition_flush(partition));
	assert_int_equal(kit_ends(partition).high_watermark, 10);
	assert_int_equal(kit_ends(partition).durable_end, 10);
	kit_assert_whole(partition, 1000);
	assert_int_equal(kit_append(partition, &batch, &appended), KAFKA_NONE);
	assert_true(appended.flush_due);
	kit_assert_whole(partition, 1000);
	store_close(store);
}

/* As for who needs it at once, on a helper: who was told of the flush does it all the same. */
static void what_is_made_durable_leaves_the_flush_to_whom_was_told(void **state)
{
	struct topic_config config = kit_small_segments();
	struct kit_batch batch = KIT_PLAIN(1, 20000, KIT_NOW);
	struct partition_appended appended, first;
	struct partition *partition;
	struct store *store;

	topic_config_set(&config, TOPIC_CONFIG_FLUSH_MESSAGES, 1);
	store = kit_open(folder, &config);
	partition = kit_create(store, "orders", 1);
	assert_int_equal(kit_append(partition, &batch, &first), KAFKA_NONE);
	assert_true(first.flush_due);
	/* More segments than one round takes on. */
	for (int i = 0; i < 60; i++)
		assert_int_equal(kit_append(partition, &batch, &appended), KAFKA_NONE);
	partition_make_durable(partition, first.last_offset + 1);
	assert_true(kit_ends(partition).durable_end > first.last_offset);
	partition_make_durable(partition, INT64_MAX);
	assert_int_equal(kit_ends(partition).durable_end, kit_ends(partition).log_end);
	assert_int_equal(kit_append(partition, &batch, &appended), KAFKA_NONE);
	assert_true(!appended.flush_due && appended.wait_durable);
	assert_false(partition_flush(partition));
	assert_int_equal(kit_append(partition, &batch, &appended), KAFKA_NONE);
	assert_true(appended.flush_due);
	kit_assert_whole(partition, 1000);
	store_close(store);
}

static void topics_are_made_grown_configured_and_deleted(void **state)
{
	struct store *store = kit_open(folder, NULL);
	struct topic *topic, *found;
	struct topic_config config;
	struct kafka_uuid id;

	topic_config_init(&config);
	topic_config_set(&config, TOPIC_CONFIG_RETENTION_MS, 5000);
	assert_int_equal(store_topic_create(store, slice_of("a.b"), 2, &config, &topic),
			 KAFKA_NONE);
	assert_int_equal(store_topic_create(store, slice_of("a.b"), 2, NULL, NULL),
			 KAFKA_TOPIC_ALREADY_EXISTS);
	assert_int_equal(store_topic_create(store, slice_of("a_b"), 2, NULL, NULL),
			 KAFKA_INVALID_TOPIC_EXCEPTION);
	assert_int_equal(store_topic_create(store, slice_of(".."), 2, NULL, NULL),
			 KAFKA_INVALID_TOPIC_EXCEPTION);
	assert_int_equal(store_topic_create(store, slice_of("c"), 0, NULL, NULL),
			 KAFKA_INVALID_PARTITIONS);
	assert_int_equal(store_topic_grow(store, topic, 2), KAFKA_INVALID_PARTITIONS);
	assert_int_equal(store_topic_grow(store, topic, 5), KAFKA_NONE);
	kit_fill(topic_partition(topic, 4), 3, KIT_NOW);
	id = *topic_id(topic);
	topic_unref(topic);
	kit_create(store, "z", 1);
	assert_int_equal(store_close(store), 0);

	store = kit_open(folder, NULL);
	topic = store_topic_next(store, slice_make(NULL, 0));
	assert_string_equal(topic_name(topic), "a.b");
	assert_memory_equal(topic_id(topic), &id, sizeof(id));
	found = store_topic_by_id(store, &id);
	assert_ptr_equal(found, topic);
	topic_unref(found);
	assert_int_equal(topic_partition_count(topic), 5);
	assert_int_equal(topic_config_value(topic, TOPIC_CONFIG_RETENTION_MS), 5000);
	assert_int_equal(kit_ends(topic_partition(topic, 4)).log_end, 9 - 3);
	topic_config_unset(&config, TOPIC_CONFIG_RETENTION_MS);
	assert_int_equal(store_topic_configure(store, topic, &config), KAFKA_NONE);
	assert_int_equal(topic_config_value(topic, TOPIC_CONFIG_RETENTION_MS), 604800000);
	assert_int_equal(store_topic_delete(store, topic, KIT_NOW), KAFKA_NONE);
	assert_int_equal(store_topic_delete(store, topic, KIT_NOW),
			 KAFKA_UNKNOWN_TOPIC_OR_PARTITION);
	assert_null(store_topic(store, slice_of("a.b")));
	assert_int_equal(kit_append(topic_partition(topic, 0), &KIT_PLAIN(1, 1, KIT_NOW), NULL),
			 KAFKA_UNKNOWN_TOPIC_OR_PARTITION);
	topic_unref(topic);
	assert_false(kit_there(folder, "a.b-0"));
	kit_create(store, "a.b", 1);
	store_maintain(store, KIT_NOW + 100000);
	assert_int_equal(store_close(store), 0);
	store = kit_open(folder, NULL);
	assert_int_equal(kit_ends(kit_partition(store, "a.b", 0)).log_end, 0);
	store_close(store);
}

static void records_are_found_by_time(void **state)
{
	struct topic_config config = kit_small_segments();
	struct store *store = kit_open(folder, &config);
	struct partition *partition = kit_create(store, "orders", 1);
	struct partition_found found;

	for (int i = 0; i < 500; i++)
		assert_int_equal(kit_append(partition, &KIT_PLAIN(4, 200, KIT_NOW + i * 100), NULL),
				 KAFKA_NONE);
	for (int round = 0; round < 2; round++) {
		for (int i = 0; i < 500; i++) {
			assert_int_equal(partition_find_time(partition, KIT_NOW + i * 100 + 2,
							     &found),
					 KAFKA_NONE);
			assert_int_equal(found.offset, i * 4 + 2);
			assert_int_equal(found.timestamp, KIT_NOW + i * 100 + 2);
			partition_find_time(partition, KIT_NOW + i * 100 - 50, &found);
			assert_int_equal(found.offset, i * 4);
		}
		assert_int_equal(partition_find_time(partition, KIT_NOW + 500 * 100, &found),
				 KAFKA_NONE);
		assert_int_equal(found.offset, PARTITION_NOT_FOUND);
		assert_int_equal(partition_find_latest(partition, &found), KAFKA_NONE);
		assert_int_equal(found.offset, 1999);
		assert_int_equal(store_close(store), 0);
		store = kit_open(folder, &config);
		partition = kit_partition(store, "orders", 0);
	}
	store_close(store);
}

static void refusals(void **state)
{
	struct store_options options = {.node_id = 2, .now_ms = KIT_NOW};
	struct store *store = kit_open(folder, NULL), *other;
	struct err err = {""};

	options.node_id = -1;
	assert_int_equal(store_open(folder, &options, &other, &err), -EBUSY);
	assert_non_null(strstr(err.text, "locked by another process"));
	store_close(store);
	options.node_id = 2;
	assert_int_equal(store_open(folder, &options, &other, &err), -EPERM);
	assert_non_null(strstr(err.text, "of node 1, not 2"));
	options = (struct store_options){.node_id = -1, .cluster_id = "other"};
	assert_int_equal(store_open(folder, &options, &other, &err), -EPERM);
	assert_non_null(strstr(err.text, "not other"));
	assert_true(kit_there(folder, ".kafka_cleanshutdown"));
}

static void producer_ids_are_given_once(void **state)
{
	struct store *store = kit_open(folder, NULL);
	int64_t first, second;

	assert_int_equal(store_take_producer_ids(store, 1000, &first), 0);
	assert_int_equal(store_take_producer_ids(store, 1, &second), 0);
	assert_int_equal(second, first + 1000);
	store_close(store);
	store = kit_open(folder, NULL);
	assert_int_equal(store_take_producer_ids(store, 1, &second), 0);
	assert_int_equal(second, first + 1001);
	store_close(store);
}

#define MANY 300

static unsigned descriptors(void)
{
	unsigned count = 0;

	for (int fd = 0; fd < 4096; fd++)
		count += fcntl(fd, F_GETFD) >= 0;
	return count;
}

static void more_partitions_than_descriptors(void **state)
{
	struct topic_config config = kit_small_segments();
	struct store_stats stats;
	struct rlimit before;
	struct store *store;
	struct topic *topic;

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &(struct rlimit){200, before.rlim_max}), 0);
	store = kit_open(folder, &config);
	kit_create(store, "orders", MANY);
	topic = store_topic(store, SLICE_LITERAL("orders"));
	for (unsigned round = 0; round < 4; round++) {
		for (int32_t i = 0; i < MANY; i++)
			kit_fill(topic_partition(topic, i), 2, KIT_NOW);
		store_stats(store, &stats);
		assert_true(stats.segments_open <= 200 / 8 + 1);
		assert_true(descriptors() < 100);
	}
	for (int32_t i = 0; i < MANY; i++)
		kit_assert_whole(topic_partition(topic, i), 1 << 20);
	topic_unref(topic);
	assert_int_equal(store_close(store), 0);
	store = kit_open(folder, &config);
	assert_true(descriptors() < 100);
	kit_assert_whole(kit_partition(store, "orders", MANY - 1), 1 << 20);
	assert_int_equal(store_close(store), 0);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(what_was_appended_is_read_also_after_a_restart),
	    TEST(every_offset_is_found_in_its_batch),
	    TEST(an_index_that_is_wrong_costs_time_and_no_more),
	    TEST(who_reads_makes_no_files),
	    TEST(a_search_by_time_ends_at_damage),
	    TEST(reading_outside_is_refused_and_at_the_end_is_empty),
	    TEST(a_torn_tail_is_cut_and_the_rest_stays),
	    TEST(idempotent_producers_are_remembered),
	    TEST(a_flush_moves_the_high_watermark),
	    TEST(what_is_made_durable_leaves_the_flush_to_whom_was_told),
	    TEST(topics_are_made_grown_configured_and_deleted),
	    TEST(records_are_found_by_time),
	    TEST(refusals),
	    TEST(producer_ids_are_given_once),
	    TEST(more_partitions_than_descriptors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
