/*
 * Reading on a loop: what is not in memory is not waited for. The page cache is emptied of what a
 * read needs, and then a read that may not wait says so, without having touched the disk.
 */
#include "unit/unit.h"

#include "kit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/uio.h>
#include <unistd.h>

static char folder[64];
static struct store *store;
static struct partition *partition;

/* Several segments, and an index of some pages. */
static int set_up(void **state)
{
	struct topic_config config = kit_small_segments();

	topic_config_set(&config, TOPIC_CONFIG_SEGMENT_BYTES, 4 << 20);
	topic_config_set(&config, TOPIC_CONFIG_INDEX_INTERVAL_BYTES, 200);
	kit_folder(folder);
	store = kit_open(folder, &config);
	partition = kit_create(store, "orders", 1);
	for (int i = 0; i < 12; i++)
		kit_fill(partition, 1000, KIT_NOW);
	store_maintain(store, KIT_NOW);
	return 0;
}

static int tear_down(void **state)
{
	assert_int_equal(store_close(store), 0);
	kit_remove(folder);
	return 0;
}

#define FIRST_LOG   "orders-0/00000000000000000000.log"
#define FIRST_INDEX "orders-0/00000000000000000000.index"

/* Nothing of the file is in memory any more. False: that can't be had here, or not be seen. */
static bool chill(const char *name)
{
	char path[128], byte;
	struct iovec one = {&byte, 1};
	bool cold;
	int fd;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	fd = open(path, O_RDONLY);
	assert_true(fd >= 0);
	assert_int_equal(fsync(fd), 0);
	assert_int_equal(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED), 0);
	/* Of the last page: the kernel begins to read what is asked for. */
	cold = preadv2(fd, &one, 1, lseek(fd, 0, SEEK_END) - 1, RWF_NOWAIT) < 0 && errno == EAGAIN;
	close(fd);
	return cold;
}

#define CHILL(name)                                                                               \
	do {                                                                                      \
		if (!chill(name))                                                                 \
			unit_skip("the file system keeps everything in memory, or does not say"); \
	} while (0)

/* How often this thread has gone to sleep, or waited for a page. */
static long waited(void)
{
	struct rusage usage;

	assert_int_equal(getrusage(RUSAGE_THREAD, &usage), 0);
	return usage.ru_nvcsw + usage.ru_majflt;
}

static int try_read(int64_t offset, bool nowait)
{
	struct partition_read read = {.offset = offset,
				      .max_bytes = 1000,
				      .whole_first = true,
				      .nowait = nowait};
	struct partition_slice slice;
	enum kafka_error error;
	int r = partition_read(partition, &read, &slice, &error);

	if (r < 0)
		return r;
	assert_int_equal(error, KAFKA_NONE);
	assert_true(slice.len > 0 && slice.base_offset <= offset);
	partition_slice_release(&slice);
	return 0;
}

/* A read that may not wait gives up, one that may does it, and then it is in memory. */
static void assert_cold(int64_t offset)
{
	long before = waited();

	assert_int_equal(try_read(offset, true), -EAGAIN);
	assert_int_equal(waited(), before);
	assert_int_equal(try_read(offset, false), 0);
	before = waited();
	assert_int_equal(try_read(offset, true), 0);
	assert_int_equal(waited(), before);
}

static void a_file_that_is_not_open_is_not_opened(void **state)
{
	struct store_options options = {.node_id = -1, .now_ms = KIT_NOW, .segments_open = 1};
	struct err err;
	int r;

	assert_int_equal(store_close(store), 0);
	assert_int_equal(store_open(folder, &options, &store, &err), 0);
	partition = kit_partition(store, "orders", 0);
	assert_int_equal(try_read(5000, true), -EAGAIN);
	assert_int_equal(try_read(5000, false), 0);
	/* Where the file system does not say what is in memory a helper has to do it each time. */
	r = try_read(5000, true);
	assert_true(r == 0 || r == -EAGAIN);
	assert_int_equal(try_read(5000, false), 0);
}

static void headers_that_are_not_in_memory(void **state)
{
	assert_int_equal(try_read(5000, false), 0);
	CHILL(FIRST_LOG);
	assert_cold(5000);
}

static void an_index_that_is_not_in_memory(void **state)
{
	assert_int_equal(try_read(5000, false), 0);
	CHILL(FIRST_INDEX);
	assert_cold(5000);
}

static void what_was_just_appended_is_in_memory(void **state)
{
	int64_t end = kit_ends(partition).log_end;
	long before;

	CHILL(FIRST_LOG);
	CHILL(FIRST_INDEX);
	kit_fill(partition, 20, KIT_NOW);
	before = waited();
	for (int64_t offset = end; offset < kit_ends(partition).log_end; offset++)
		assert_int_equal(try_read(offset, true), 0);
	assert_int_equal(waited(), before);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(a_file_that_is_not_open_is_not_opened),
	    TEST(headers_that_are_not_in_memory),
	    TEST(an_index_that_is_not_in_memory),
	    TEST(what_was_just_appended_is_in_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
