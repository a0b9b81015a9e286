/*
 * What a log keeps and for how long: rolling, retention, DeleteRecords.
 */
#include "unit/unit.h"

#include "kit.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
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

static void retention_takes_old_segments_and_slices_stay(void **state)
{
	struct topic_config config = kit_small_segments();
	struct store *store;
	struct partition *partition;
	struct partition_read read = {.offset = 0, .max_bytes = 50000, .whole_first = true};
	struct partition_slice slice;
	enum kafka_error error;
	char byte;

	topic_config_set(&config, TOPIC_CONFIG_RETENTION_BYTES, 130 * 1024);
	store = kit_open(folder, &config);
	partition = kit_create(store, "orders", 1);
	kit_fill(partition, 600, KIT_NOW);
	assert_int_equal(partition_read(partition, &read, &slice, &error), 0);
	store_maintain(store, KIT_NOW + 10000);
	assert_true(kit_ends(partition).log_start > 0);
	assert_false(kit_there(folder, "orders-0/00000000000000000000.log"));
	assert_true(kit_there(folder, "orders-0/00000000000000000000.log.deleted"));
	store_maintain(store, KIT_NOW + 20000);
	assert_false(kit_there(folder, "orders-0/00000000000000000000.log.deleted"));
	assert_int_equal(pread(slice.fd, &byte, 1, (off_t)slice.position), 1);
	partition_slice_release(&slice);
	assert_int_equal(partition_read(partition, &read, &slice, &error), 0);
	assert_int_equal(error, KAFKA_OFFSET_OUT_OF_RANGE);
	kit_assert_whole(partition, 5000);
	/* By time everything goes, and offsets go on. */
	store_maintain(store, KIT_NOW + INT64_C(604800000) + 100000);
	assert_int_equal(kit_ends(partition).log_start, kit_ends(partition).log_end);
	kit_fill(partition, 10, KIT_NOW);
	kit_assert_whole(partition, 5000);
	store_close(store);
}

static int64_t start_after(struct store *store, struct partition *partition, int64_t now)
{
	store_maintain(store, now);
	return kit_ends(partition).log_start;
}

static void retention_waits_for_its_time_and_what_was_deleted_does_not(void **state)
{
	struct topic_config config = kit_small_segments();
	struct store_options options = {.node_id = -1,
					.now_ms = KIT_NOW,
					.defaults = &config,
					.retention_delay_ms = 30000,
					.retention_interval_ms = 300000};
	struct err err = {""};
	struct partition *partition;
	struct store *store;
	int64_t start;

	topic_config_set(&config, TOPIC_CONFIG_RETENTION_BYTES, 130 * 1024);
	assert_int_equal(store_open(folder, &options, &store, &err), 0);
	partition = kit_create(store, "orders", 1);
	kit_fill(partition, 600, KIT_NOW);
	assert_int_equal(start_after(store, partition, KIT_NOW + 29999), 0);
	start = start_after(store, partition, KIT_NOW + 30000);
	assert_true(start > 0);
	kit_fill(partition, 600, KIT_NOW);
	assert_int_equal(start_after(store, partition, KIT_NOW + 329999), start);
	assert_true(start_after(store, partition, KIT_NOW + 330000) > start);
	/* A clock that is set back by more than that does not put it off. */
	kit_fill(partition, 600, KIT_NOW);
	start = kit_ends(partition).log_start;
	assert_true(start_after(store, partition, KIT_NOW) > start);
	assert_int_equal(partition_delete_records(partition, -1, &start), KAFKA_NONE);
	kit_fill(partition, 10, KIT_NOW);
	assert_true(partition_bytes(partition) > 60 * 1024);
	store_maintain(store, KIT_NOW + 1000);
	assert_true(partition_bytes(partition) <= 60 * 1024);
	store_close(store);
}

/* ---- a topic that goes while somebody is at work in it, and another one of its name ---- */

int __real_sys_renameat(int from_dir, const char *from, int to_dir, const char *to);
int __wrap_sys_renameat(int from_dir, const char *from, int to_dir, const char *to);

static struct store *replaced_in; /* NULL: nothing is to be done */
static _Atomic bool replaced;
static pthread_t replacing;

static void *replace_topic(void *arg)
{
	struct topic *topic = store_topic(replaced_in, SLICE_LITERAL("orders"));

	assert_int_equal(store_topic_delete(replaced_in, topic, KIT_NOW), KAFKA_NONE);
	topic_unref(topic);
	kit_fill(kit_create(replaced_in, "orders", 1), 5, KIT_NOW);
	replaced = true;
	return NULL;
}

/* Just before retention's first name: somebody is quick, or has to wait. */
int __wrap_sys_renameat(int from_dir, const char *from, int to_dir, const char *to)
{
	static bool begun;

	if (replaced_in && !begun && strstr(to, ".log.deleted")) {
		begun = true;
		assert_int_equal(pthread_create(&replacing, NULL, replace_topic, NULL), 0);
		for (int i = 0; i < 200 && !replaced; i++)
			usleep(1000);
	}
	return __real_sys_renameat(from_dir, from, to_dir, to);
}

static void retention_leaves_another_topic_of_the_same_name_alone(void **state)
{
	struct topic_config config = kit_small_segments();
	struct store *store;

	topic_config_set(&config, TOPIC_CONFIG_RETENTION_BYTES, 1);
	store = kit_open(folder, &config);
	kit_fill(kit_create(store, "orders", 1), 400, KIT_NOW);
	replaced_in = store;
	store_maintain(store, KIT_NOW + 1000);
	assert_int_equal(pthread_join(replacing, NULL), 0);
	assert_true(replaced);
	replaced_in = NULL;
	assert_true(kit_there(folder, "orders-0/00000000000000000000.log"));
	kit_assert_whole(kit_partition(store, "orders", 0), 5000);
	assert_int_equal(store_close(store), 0);
	store = kit_open(folder, &config);
	assert_true(kit_ends(kit_partition(store, "orders", 0)).log_end > 0);
	kit_assert_whole(kit_partition(store, "orders", 0), 5000);
	store_close(store);
}

/* ---- readers, while what they are looking at goes ---- */

int __real_sys_openat(int dir, const char *path, int flags, mode_t mode);
int __wrap_sys_openat(int dir, const char *path, int flags, mode_t mode);

static struct store *retained_in; /* NULL: nothing is to be done */
static bool replaces_before_open;

int __wrap_sys_openat(int dir, const char *path, int flags, mode_t mode)
{
	if (retained_in && strstr(path, "0.log")) {
		struct store *store = retained_in;

		retained_in = NULL;
		store_maintain(store, KIT_NOW + 1000);
	}
	if (replaces_before_open && strcmp(path, "orders-0/00000000000000000000.log") == 0) {
		replaces_before_open = false;
		replace_topic(NULL);
	}
	return __real_sys_openat(dir, path, flags, mode);
}

static void a_search_misses_nothing_where_retention_is_faster(void **state)
{
	for (unsigned latest = 0; latest < 2; latest++) {
		struct topic_config config = kit_small_segments();
		struct partition_found found;
		struct partition *partition;
		struct store *store;
		int64_t end;

		set_up(NULL);
		store = kit_open(folder, &config);
		partition = kit_create(store, "orders", 1);
		kit_fill(partition, 600, KIT_NOW);
		end = kit_ends(partition).log_end;
		store_close(store);
		topic_config_set(&config, TOPIC_CONFIG_RETENTION_BYTES, 130 * 1024);
		store = kit_open(folder, &config);
		partition = kit_partition(store, "orders", 0);
		retained_in = store;
		assert_int_equal(latest ? partition_find_latest(partition, &found)
					: partition_find_time(partition, KIT_NOW, &found),
				 KAFKA_NONE);
		assert_true(kit_ends(partition).log_start > 0);
		assert_int_equal(found.offset, latest ? end - 1 : kit_ends(partition).log_start);
		store_close(store);
		tear_down(NULL);
	}
}

/* ---- a disk that does not come up with its syncs ---- */

int __real_sys_fdatasync(int fd);
int __wrap_sys_fdatasync(int fd);
uint64_t __real_sys_now_ns(void);
uint64_t __wrap_sys_now_ns(void);

static _Atomic uint64_t sync_ns, passed_ns;

int __wrap_sys_fdatasync(int fd)
{
	passed_ns += sync_ns;
	return __real_sys_fdatasync(fd);
}

uint64_t __wrap_sys_now_ns(void)
{
	return __real_sys_now_ns() + passed_ns;
}

static void each_partition_has_its_turn_on_a_slow_disk(void **state)
{
	enum { PARTITIONS = 100, ROUNDS = 10 };
	struct topic_config config = kit_small_segments();
	struct partition *partition;
	struct store *store;

	topic_config_set(&config, TOPIC_CONFIG_FLUSH_MS, 1);
	store = kit_open(folder, &config);
	kit_create(store, "orders", PARTITIONS);
	sync_ns = UINT64_C(1000000000);
	for (int round = 0; round < ROUNDS; round++) {
		for (int32_t i = 0; i < PARTITIONS; i++)
			kit_fill(kit_partition(store, "orders", i), 1, KIT_NOW + round);
		store_maintain(store, KIT_NOW + INT64_C(1000) * (round + 1));
	}
	sync_ns = 0;
	for (int32_t i = 0; i < PARTITIONS; i++) {
		partition = kit_partition(store, "orders", i);
		assert_true(kit_ends(partition).durable_end > 0);
	}
	store_close(store);
}

static void a_clock_that_is_set_back_holds_up_no_sync(void **state)
{
	struct topic_config config = kit_small_segments();
	struct partition *partition;
	struct store *store;

	topic_config_set(&config, TOPIC_CONFIG_FLUSH_MS, 1000);
	store = kit_open(folder, &config);
	partition = kit_create(store, "orders", 1);
	kit_fill(partition, 1, KIT_NOW);
	store_maintain(store, KIT_NOW - 3600000);
	assert_int_equal(kit_ends(partition).durable_end, kit_ends(partition).log_end);
	store_close(store);
}

/* Of zeros, as a file system may leave it after a crash, or empty; also that of the last segment. */
static void a_time_index_that_is_damaged_costs_no_records(void **state)
{
	static const char *const names[] = {"orders-0/00000000000000000000.timeindex",
					    "orders-0/00000000000000001176.timeindex"};
	static const char zeros[12 * 200];

	for (unsigned way = 0; way < 4; way++) {
		struct topic_config config = kit_small_segments();
		struct partition_found found;
		struct partition *partition;
		struct store *store;
		off_t size;

		set_up(NULL);
		store = kit_open(folder, &config);
		kit_fill(kit_create(store, "orders", 1), 300, KIT_NOW);
		store_close(store);
		size = kit_size(folder, names[way / 2]);
		assert_true(size > 0 && (size_t)size <= sizeof(zeros));
		kit_write(folder, names[way / 2], zeros, way % 2 ? 0 : (size_t)size);
		store = kit_open(folder, &config);
		partition = kit_partition(store, "orders", 0);
		store_maintain(store, KIT_NOW + 1000);
		assert_int_equal(kit_ends(partition).log_start, 0);
		for (int64_t i = 0; i < 300; i++) {
			assert_int_equal(partition_find_time(partition, KIT_NOW + i * 10, &found),
					 KAFKA_NONE);
			assert_int_equal(found.timestamp, KIT_NOW + i * 10);
		}
		assert_int_equal(store_close(store), 0);
		tear_down(NULL);
	}
}

static void who_reads_a_topic_is_not_given_another_one_of_its_name(void **state)
{
	struct partition_read read = {.max_bytes = 5000, .whole_first = true};
	struct partition_slice slice;
	struct partition *partition;
	enum kafka_error error;
	struct topic_config config = kit_small_segments();
	struct store *store;

	store = kit_open(folder, &config);
	kit_fill(kit_create(store, "orders", 1), 400, KIT_NOW);
	assert_int_equal(store_close(store), 0);
	store = kit_open(folder, &config); /* only the last segment is open */
	partition = kit_partition(store, "orders", 0);
	topic_ref(partition_topic(partition));
	replaced_in = store;
	replaces_before_open = true;
	assert_int_equal(partition_read(partition, &read, &slice, &error), 0);
	assert_false(replaces_before_open);
	assert_int_equal(error, KAFKA_UNKNOWN_TOPIC_OR_PARTITION);
	replaced_in = NULL;
	topic_unref(partition_topic(partition));
	kit_assert_whole(kit_partition(store, "orders", 0), 5000);
	store_close(store);
}

/* A batch without a time, appended at one. */
static void append_timeless(struct partition *partition, int64_t now_ms)
{
	struct partition_appended appended;
	size_t len;
	char *batch = kit_batch(&KIT_PLAIN(1, 700, -1), &len);

	assert_int_equal(partition_append(partition, batch, len, now_ms, &appended), KAFKA_NONE);
	free(batch);
}

static unsigned segments_of(struct store *store)
{
	struct store_stats stats;

	store_stats(store, &stats);
	return stats.segments;
}

static void records_without_times_are_kept_by_when_they_were_written(void **state)
{
	struct topic_config config = kit_small_segments();
	struct partition *partition;
	struct store *store;
	struct stat st;
	char path[128];

	topic_config_set(&config, TOPIC_CONFIG_SEGMENT_BYTES, 1024);
	topic_config_set(&config, TOPIC_CONFIG_RETENTION_MS, 10000);
	store = kit_open(folder, &config);
	partition = kit_create(store, "orders", 1);
	for (int i = 0; i < 4; i++)
		append_timeless(partition, KIT_NOW + i * 1000);
	store_maintain(store, KIT_NOW + 10000);
	assert_int_equal(segments_of(store), 4);
	store_maintain(store, KIT_NOW + 11001);
	assert_int_equal(segments_of(store), 2);
	assert_int_equal(store_close(store), 0);
	/* The last one goes as well when its time has come: by what the file says. */
	snprintf(path, sizeof(path), "%s/orders-0/00000000000000000003.log", folder);
	assert_int_equal(stat(path, &st), 0);
	store = kit_open(folder, &config);
	store_maintain(store, (int64_t)st.st_mtim.tv_sec * 1000 + 5000);
	assert_int_equal(segments_of(store), 2);
	store_maintain(store, (int64_t)st.st_mtim.tv_sec * 1000 + 12000);
	assert_int_equal(kit_ends(kit_partition(store, "orders", 0)).log_start, 4);
	assert_int_equal(store_close(store), 0);
}

static void nothing_is_kept_where_no_bytes_may_be(void **state)
{
	struct topic_config config = kit_small_segments();
	struct partition *partition;
	struct store *store;

	topic_config_set(&config, TOPIC_CONFIG_RETENTION_BYTES, 0);
	store = kit_open(folder, &config);
	partition = kit_create(store, "orders", 1);
	kit_fill(partition, 10, KIT_NOW);
	store_maintain(store, KIT_NOW);
	assert_int_equal(kit_ends(partition).log_start, kit_ends(partition).log_end);
	assert_int_equal(store_close(store), 0);
}

static void segments_are_rolled_at_different_times(void **state)
{
	struct topic_config config = kit_small_segments();
	struct store *store;
	struct topic *topic;

	topic_config_set(&config, TOPIC_CONFIG_SEGMENT_MS, 1000);
	topic_config_set(&config, TOPIC_CONFIG_SEGMENT_JITTER_MS, 5000);
	store = kit_open(folder, &config);
	kit_create(store, "orders", 64);
	topic = store_topic(store, SLICE_LITERAL("orders"));
	for (int64_t at = 0; at <= 1001; at += at == 0 ? 500 : 501)
		for (int32_t i = 0; i < 64; i++) {
			assert_int_equal(kit_append(topic_partition(topic, i),
						    &KIT_PLAIN(1, 10, KIT_NOW + at), NULL),
					 KAFKA_NONE);
			/* Half of the way, about half of them. */
			if (at == 500 && i == 63)
				assert_true(segments_of(store) > 64 && segments_of(store) < 128);
		}
	/* All of it, and no later: a second one each, of those that began anew perhaps a third. */
	assert_true(segments_of(store) >= 128);
	topic_unref(topic);
	assert_int_equal(store_close(store), 0);
}

static uint64_t room_of(const char *name)
{
	char path[256];
	struct stat st;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	assert_int_equal(stat(path, &st), 0);
	return (uint64_t)st.st_blocks * 512;
}

static void room_is_reserved_and_given_back(void **state)
{
	struct topic_config config = kit_small_segments();
	struct partition *partition;
	struct store *store;
	pid_t child;

	topic_config_set(&config, TOPIC_CONFIG_PREALLOCATE, 1);
	topic_config_set(&config, TOPIC_CONFIG_SEGMENT_BYTES, 4 << 20);
	store = kit_open(folder, &config);
	partition = kit_create(store, "orders", 1);
	if (room_of("orders-0/00000000000000000000.log") < 4 << 20) {
		store_close(store);
		unit_skip("the file system reserves no room");
	}
	kit_fill(partition, 10, KIT_NOW);
	assert_true(kit_size(folder, "orders-0/00000000000000000000.log") < 100000);
	assert_int_equal(store_close(store), 0);
	assert_true(room_of("orders-0/00000000000000000000.log") < 1 << 20);
	/* And what a kill has left of it. */
	child = fork();
	if (child == 0) {
		store = kit_open(folder, &config);
		kit_fill(kit_create(store, "other", 1), 10, KIT_NOW);
		_exit(0);
	}
	assert_true(waitpid(child, NULL, 0) == child);
	assert_true(room_of("other-0/00000000000000000000.log") >= 4 << 20);
	store = kit_open(folder, &config);
	kit_assert_whole(kit_partition(store, "other", 0), 5000);
	assert_int_equal(store_close(store), 0);
	assert_true(room_of("other-0/00000000000000000000.log") < 1 << 20);
}

static void records_are_deleted_for_good(void **state)
{
	struct topic_config config = kit_small_segments();
	struct store *store = kit_open(folder, &config);
	struct partition *partition = kit_create(store, "orders", 1);
	int64_t start, end;

	kit_fill(partition, 300, KIT_NOW);
	end = kit_ends(partition).log_end;
	assert_int_equal(partition_delete_records(partition, end + 1, &start),
			 KAFKA_OFFSET_OUT_OF_RANGE);
	assert_int_equal(partition_delete_records(partition, 500, &start), KAFKA_NONE);
	assert_int_equal(start, 500);
	store_maintain(store, KIT_NOW);
	assert_false(kit_there(folder, "orders-0/00000000000000000000.log"));
	assert_int_equal(store_close(store), 0);
	store = kit_open(folder, &config);
	partition = kit_partition(store, "orders", 0);
	assert_int_equal(kit_ends(partition).log_start, 500);
	assert_int_equal(kit_ends(partition).log_end, end);
	assert_int_equal(partition_delete_records(partition, -1, &start), KAFKA_NONE);
	assert_int_equal(start, end);
	store_close(store);
}

/* A batch of an open transaction. */
static void append_open(struct partition *partition)
{
	struct kit_batch what = KIT_PLAIN(1, 10, KIT_NOW);
	struct partition_appended appended;
	char *bytes;
	size_t len;

	what.producer_id = 5;
	what.epoch = 0;
	what.sequence = 0;
	bytes = kit_batch(&what, &len);
	bytes[22] |= RECORD_ATTRIBUTE_TRANSACTIONAL;
	assert_int_equal(partition_append(partition, bytes, len, KIT_NOW, &appended), KAFKA_NONE);
	free(bytes);
}

static void what_a_transaction_has_left_open_does_not_hold_back_the_start(void **state)
{
	struct store *store = kit_open(folder, NULL);
	struct partition *partition = kit_create(store, "orders", 1);
	int64_t start, open;

	kit_fill(partition, 3, KIT_NOW);
	open = kit_ends(partition).log_end;
	append_open(partition);
	kit_fill(partition, 3, KIT_NOW);
	assert_int_equal(kit_ends(partition).last_stable, open);
	assert_int_equal(partition_delete_records(partition, open - 1, &start), KAFKA_NONE);
	assert_int_equal(kit_ends(partition).last_stable, open);
	for (int round = 0; round < 3; round++) {
		assert_int_equal(partition_delete_records(partition, -1, &start), KAFKA_NONE);
		assert_int_equal(kit_ends(partition).last_stable, start);
		assert_int_equal(kit_ends(partition).log_start, start);
		kit_fill(partition, 1, KIT_NOW);
		assert_int_equal(kit_ends(partition).last_stable, start);
		assert_int_equal(store_close(store), 0);
		store = kit_open(folder, NULL);
		partition = kit_partition(store, "orders", 0);
		assert_int_equal(kit_ends(partition).last_stable, start);
	}
	store_close(store);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(retention_takes_old_segments_and_slices_stay),
	    TEST(retention_waits_for_its_time_and_what_was_deleted_does_not),
	    TEST(what_a_transaction_has_left_open_does_not_hold_back_the_start),
	    TEST(retention_leaves_another_topic_of_the_same_name_alone),
	    cmocka_unit_test(a_search_misses_nothing_where_retention_is_faster),
	    TEST(each_partition_has_its_turn_on_a_slow_disk),
	    TEST(a_clock_that_is_set_back_holds_up_no_sync),
	    cmocka_unit_test(a_time_index_that_is_damaged_costs_no_records),
	    TEST(who_reads_a_topic_is_not_given_another_one_of_its_name),
	    TEST(records_without_times_are_kept_by_when_they_were_written),
	    TEST(nothing_is_kept_where_no_bytes_may_be),
	    TEST(segments_are_rolled_at_different_times),
	    TEST(room_is_reserved_and_given_back),
	    TEST(records_are_deleted_for_good),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
