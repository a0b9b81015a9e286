/*
 * The access log between its rings and its file, with a sys_writev() that the test makes fail or
 * cut short: whatever the disk does, a line is in the file once, whole, and in its ring's order.
 */
#include "unit/unit.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "http/access_log.h"
#include "http/http_limits.h"
#include "sys/sys.h"

#define RINGS 3u

ssize_t __real_sys_writev(int fd, const struct iovec *iov, int count);
ssize_t __wrap_sys_writev(int fd, const struct iovec *iov, int count);

static _Atomic bool rough; /* most writes are cut, some fail */
static _Atomic bool stuck; /* every write fails */
static _Atomic bool full;  /* the next write finds no room, for a moment */
static _Atomic unsigned failures;

ssize_t __wrap_sys_writev(int fd, const struct iovec *iov, int count)
{
	static unsigned seed = 1;
	size_t len = iov[0].iov_len, cut;

	if (full) {
		full = false;
		return -EAGAIN;
	}
	if (stuck || (rough && rand_r(&seed) % 16 == 0)) {
		failures++;
		return -ENOSPC;
	}
	if (!rough)
		return __real_sys_writev(fd, iov, count);
	cut = 1 + (size_t)rand_r(&seed) % (len < 3000 ? len : 3000);
	return sys_write(fd, iov[0].iov_base, cut);
}

struct fixture {
	char path[64], moved[80];
	struct access_log *log;
	struct access_log_ring *rings[RINGS];
	unsigned added[RINGS], seen[RINGS];
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct err err = {""};
	int fd;

	strcpy(f->path, "/tmp/leat-access-log-XXXXXX");
	fd = mkstemp(f->path);
	assert_true(fd >= 0);
	close(fd);
	snprintf(f->moved, sizeof(f->moved), "%s.1", f->path);
	rough = stuck = full = false;
	failures = 0;
	assert_int_equal(access_log_new(f->path, &f->log, &err), 0);
	for (unsigned i = 0; i < RINGS; i++)
		assert_int_equal(access_log_ring_new(f->log, &f->rings[i]), 0);
	assert_int_equal(access_log_start(f->log, &err), 0);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	access_log_free(f->log);
	unlink(f->path);
	unlink(f->moved);
	free(f);
	return 0;
}

/* "ring number filler\n", of a length that depends on both. */
static bool add_line(struct fixture *f, unsigned ring)
{
	char line[600];
	unsigned n = f->added[ring];
	int len = snprintf(line, sizeof(line), "%u %u %0*u\n", ring, n, (int)(n * 7 % 500) + 1, 0u);

	if (!access_log_add(f->rings[ring], line, (size_t)len, 0))
		return false;
	f->added[ring]++;
	return true;
}

/* Takes the lines of a file into account; `cut`: it may end inside a line. */
static void read_lines(struct fixture *f, const char *path, bool cut)
{
	FILE *file = fopen(path, "r");
	char line[700], want[700];

	assert_non_null(file);
	while (fgets(line, sizeof(line), file)) {
		unsigned ring, n;

		if (cut && !strchr(line, '\n'))
			break;
		assert_int_equal(sscanf(line, "%u %u ", &ring, &n), 2);
		assert_true(ring < RINGS);
		assert_int_equal(n, f->seen[ring]);
		snprintf(want, sizeof(want), "%u %u %0*u\n", ring, n, (int)(n * 7 % 500) + 1, 0u);
		assert_string_equal(line, want);
		f->seen[ring]++;
	}
	fclose(file);
}

static void assert_all_seen(const struct fixture *f)
{
	for (unsigned i = 0; i < RINGS; i++)
		assert_int_equal(f->seen[i], f->added[i]);
}

static struct access_log_stats stats_of(const struct fixture *f)
{
	struct access_log_stats stats;

	access_log_stats(f->log, &stats);
	return stats;
}

/* Waits until so many bytes have been written. */
static void wait_written(const struct fixture *f, uint64_t bytes)
{
	while (stats_of(f).bytes < bytes)
		usleep(1000);
}

static void lines_outlive_short_and_failing_writes(void **state)
{
	struct fixture *f = *state;

	rough = true;
	for (unsigned n = 0; n < 20000; n++)
		while (!add_line(f, n % RINGS))
			usleep(1000);
	rough = false;
	access_log_free(f->log);
	f->log = NULL;
	assert_true(failures > 10);
	read_lines(f, f->path, false);
	assert_all_seen(f);
}

static void a_full_ring_drops_lines_and_counts_them(void **state)
{
	struct fixture *f = *state;
	unsigned dropped = 0;

	stuck = true;
	while (dropped < 100)
		dropped += !add_line(f, 0);
	assert_true(add_line(f, 1)); /* the others have room of their own */
	assert_int_equal(stats_of(f).lost, 100);
	assert_int_equal(stats_of(f).lines, f->added[0] + f->added[1]);
	while (failures == 0)
		usleep(1000);
	assert_true(stats_of(f).errors > 0);
	stuck = false;
	access_log_free(f->log);
	f->log = NULL;
	read_lines(f, f->path, false);
	assert_all_seen(f);
}

static void a_disk_that_takes_nothing_is_not_asked_for_each_line(void **state)
{
	struct fixture *f = *state;

	stuck = true;
	while (add_line(f, 0))
		;
	while (failures == 0)
		usleep(1000);
	for (unsigned n = 0; n < 1000; n++) {
		assert_false(add_line(f, 0));
		usleep(100);
	}
	assert_true(failures < 200);
	stuck = false;
	access_log_reopen(f->log); /* is heard at once */
	wait_written(f, 1);
}

static void no_room_for_a_moment_is_no_failure(void **state)
{
	struct fixture *f = *state;

	full = true;
	assert_true(add_line(f, 0));
	wait_written(f, 1);
	assert_false(full);
	assert_int_equal(stats_of(f).errors, 0);
	read_lines(f, f->path, false);
	assert_all_seen(f);
}

static void a_file_that_is_changed_inside_a_line_gets_it_whole(void **state)
{
	struct fixture *f = *state;

	for (unsigned round = 0; round < 20; round++) {
		rough = true;
		for (unsigned n = 0; n < 300; n++)
			while (!add_line(f, n % RINGS))
				usleep(1000);
		access_log_reopen(f->log); /* flushes what it can */
		usleep(2000);
		assert_int_equal(rename(f->path, f->moved), 0);
		stuck = true;
		access_log_reopen(f->log);
		while (access(f->path, F_OK) != 0)
			usleep(1000);
		stuck = rough = false;
		/* Nothing goes to the old one any more, and its last line may be a part. */
		read_lines(f, f->moved, true);
		unlink(f->moved);
	}
	access_log_free(f->log);
	f->log = NULL;
	read_lines(f, f->path, false);
	assert_all_seen(f);
}

static void the_first_line_does_not_wait_for_others(void **state)
{
	struct fixture *f = *state;

	assert_true(add_line(f, 0));
	wait_written(f, 1);
	read_lines(f, f->path, false);
	assert_all_seen(f);
	assert_true(add_line(f, 2)); /* and again, after it has slept */
	wait_written(f, stats_of(f).bytes + 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(lines_outlive_short_and_failing_writes, setup,
					    teardown),
	    cmocka_unit_test_setup_teardown(a_full_ring_drops_lines_and_counts_them, setup,
					    teardown),
	    cmocka_unit_test_setup_teardown(a_disk_that_takes_nothing_is_not_asked_for_each_line,
					    setup, teardown),
	    cmocka_unit_test_setup_teardown(no_room_for_a_moment_is_no_failure, setup, teardown),
	    cmocka_unit_test_setup_teardown(a_file_that_is_changed_inside_a_line_gets_it_whole,
					    setup, teardown),
	    cmocka_unit_test_setup_teardown(the_first_line_does_not_wait_for_others, setup,
					    teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
