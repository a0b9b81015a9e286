/*
 * Descriptors of the store: how many there are, who gets them, and what goes with one that is closed.
 */
#include "unit/unit.h"

#include "kit.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

/* A limit of descriptors, and what the store makes of it: segments that may be open. */
#define LIMIT    400
#define OPEN_MAX (LIMIT / 8)
#define MANY     200

static char folder[64];
static struct rlimit before;
static struct store *store;
static struct topic *topic;

static int set_up(void **state)
{
	kit_folder(folder);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &(struct rlimit){LIMIT, before.rlim_max}), 0);
	store = kit_open(folder, NULL);
	kit_create(store, "orders", MANY);
	topic = store_topic(store, SLICE_LITERAL("orders"));
	for (int32_t i = 0; i < MANY; i++)
		kit_fill(topic_partition(topic, i), 1, KIT_NOW);
	return 0;
}

static int tear_down(void **state)
{
	if (topic)
		topic_unref(topic);
	assert_int_equal(store_close(store), 0);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	kit_remove(folder);
	return 0;
}

static unsigned segments_open(void)
{
	struct store_stats stats;

	store_stats(store, &stats);
	return stats.segments_open;
}

static unsigned descriptors(void)
{
	unsigned count = 0;

	for (int fd = 0; fd < LIMIT; fd++)
		count += fcntl(fd, F_GETFD) >= 0;
	return count;
}

static void read_slice(int32_t nth, bool lent, struct partition_slice *ret)
{
	const struct partition_read read = {.max_bytes = 1 << 20,
					    .whole_first = true,
					    .lent = lent};
	enum kafka_error error;

	assert_int_equal(partition_read(topic_partition(topic, nth), &read, ret, &error), 0);
	assert_int_equal(error, KAFKA_NONE);
	assert_true(ret->ends.high_watermark > 0);
}

/* As a fetch over all partitions keeps them until its client has read. Returns how many there are. */
static unsigned read_all(struct partition_slice slices[MANY])
{
	unsigned count = 0;

	for (int32_t i = 0; i < MANY; i++) {
		read_slice(i, true, &slices[i]);
		count += slices[i].len > 0;
	}
	return count;
}

static void a_reader_of_all_leaves_descriptors_for_others(void **state)
{
	struct partition_slice slices[MANY], other;

	assert_int_equal(read_all(slices), OPEN_MAX);
	assert_true(descriptors() < LIMIT / 2);
	/* Appends and whoever keeps a descriptor for a moment go on. */
	for (int32_t i = 0; i < MANY; i++) {
		kit_fill(topic_partition(topic, i), 1, KIT_NOW);
		read_slice(i, false, &other);
		assert_true(other.len > 0);
		partition_slice_release(&other);
	}
	assert_true(descriptors() < LIMIT / 2);
	/* What one has given back another may have. */
	partition_slice_release(&slices[0]);
	read_slice(MANY - 1, true, &slices[0]);
	assert_true(slices[0].len > 0);
	for (int32_t i = 0; i < MANY; i++)
		partition_slice_release(&slices[i]);
}

static void what_was_open_in_excess_is_closed_when_it_is_given_back(void **state)
{
	struct partition_slice slices[MANY];

	for (int32_t i = 0; i < MANY; i++)
		read_slice(i, false, &slices[i]);
	assert_int_equal(segments_open(), MANY);
	for (int32_t i = 0; i < MANY; i++)
		partition_slice_release(&slices[i]);
	assert_int_equal(segments_open(), OPEN_MAX);
}

static void unused_files_are_closed_where_there_are_no_descriptors(void **state)
{
	int taken[LIMIT], count = 0;

	assert_true(segments_open() > 1);
	while ((taken[count] = dup(0)) >= 0)
		count++;
	/* Its file was closed for others long ago. */
	kit_fill(topic_partition(topic, 0), 1, KIT_NOW);
	assert_true(segments_open() < OPEN_MAX);
	while (count > 0)
		close(taken[--count]);
}

/* The process has the file open, if only by a mapping. */
static bool is_mapped(const char *name)
{
	FILE *maps = fopen("/proc/self/maps", "r");
	char line[1024];
	bool found = false;

	assert_non_null(maps);
	while (fgets(line, sizeof(line), maps))
		found |= strstr(line, folder) && strstr(line, name);
	fclose(maps);
	return found;
}

/* The kernel keeps the error of a failed writeback in the inode. */
static void a_log_that_is_not_synced_keeps_its_inode(void **state)
{
	const char *name = "/orders-0/00000000000000000000.log";
	struct partition *first = topic_partition(topic, 0);

	assert_true(is_mapped(name));
	(void)partition_flush(first);
	assert_false(is_mapped(name));
	/* Synced, and closed again by the others: there is nothing to keep it for. */
	for (int32_t i = 1; i < MANY; i++)
		kit_fill(topic_partition(topic, i), 1, KIT_NOW);
	assert_false(is_mapped(name));
	kit_fill(first, 1, KIT_NOW);
	for (int32_t i = 1; i < MANY; i++)
		kit_fill(topic_partition(topic, i), 1, KIT_NOW);
	assert_true(is_mapped(name));
	/* It goes with its topic at the latest. */
	assert_int_equal(store_topic_delete(store, topic, KIT_NOW), KAFKA_NONE);
	topic_unref(topic);
	topic = NULL;
	assert_false(is_mapped(name));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(a_reader_of_all_leaves_descriptors_for_others),
	    TEST(what_was_open_in_excess_is_closed_when_it_is_given_back),
	    TEST(unused_files_are_closed_where_there_are_no_descriptors),
	    TEST(a_log_that_is_not_synced_keeps_its_inode),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
