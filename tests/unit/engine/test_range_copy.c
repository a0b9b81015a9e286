/*
 * File to file. Where blocks can be shared is tried on a btrfs and an xfs of the test's own, made
 * in a file and mounted by loop device in a mount namespace of a child; skipped where that is
 * refused.
 */
#include "rig.h"

#include <sched.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/wait.h>

#define BLOCK  4096u
#define LENGTH (9u * BLOCK + 77)

static int sink_file(const char *folder, int flags)
{
	char name[128];
	int fd;

	snprintf(name, sizeof(name), "%s/range-copy-XXXXXX", folder);
	fd = mkostemp(name, O_CLOEXEC | flags);
	assert_true(fd >= 0);
	unlink(name);
	return fd;
}

static int file_in(const char *folder, size_t size)
{
	int fd = sink_file(folder, 0);
	char *data = pattern_memory(size, 0);

	assert_int_equal(pwrite(fd, data, size, 0), (ssize_t)size);
	free(data);
	return fd;
}

static struct leat_report copy_range(int in, int64_t offset, int out, uint64_t length, int64_t want)
{
	struct leat_report report = LEAT_REPORT_INIT;
	int64_t moved = leat_transfer(in, offset, out, length, NULL, &report);

	if (moved != want)
		fail_msg("%lld: %s", (long long)moved, report.error);
	if (moved > 0)
		assert_sums(&report.ledger, (uint64_t)moved);
	return report;
}

/* `len` bytes at `at` of the sink are the source's from `from` on. */
static void assert_file(int fd, uint64_t at, uint64_t from, size_t len)
{
	char *got = malloc(len);

	assert_non_null(got);
	assert_int_equal(pread(fd, got, len, (off_t)at), (ssize_t)len);
	assert_pattern(got, len, from);
	free(got);
}

static void the_sink_is_written_at_its_position_and_the_position_moves(void **state)
{
	int in = file_in(".", LENGTH), out = sink_file(".", 0);
	struct leat_report report;

	assert_int_equal(write(out, "head", 4), 4);
	report = copy_range(in, 1, out, LENGTH - 2, LENGTH - 2);
	assert_int_equal(report.technique, LEAT_RANGE_COPY);
	assert_int_equal(lseek(out, 0, SEEK_CUR), 4 + LENGTH - 2);
	assert_int_equal(lseek(in, 0, SEEK_CUR), 0);
	assert_file(out, 4, 1, LENGTH - 2);
	close(in);
	close(out);
}

static void the_position_of_the_source_moves_where_it_was_asked_for(void **state)
{
	int in = file_in(".", LENGTH), out = sink_file(".", 0);

	assert_int_equal(lseek(in, 100, SEEK_SET), 100);
	copy_range(in, LEAT_CURRENT, out, 5000, 5000);
	assert_int_equal(lseek(in, 0, SEEK_CUR), 5100);
	assert_file(out, 0, 100, 5000);
	close(in);
	close(out);
}

static void bytes_behind_the_range_stay(void **state)
{
	int in = file_in(".", LENGTH), out = file_in(".", LENGTH);

	copy_range(in, 0, out, BLOCK * 2 + 5, BLOCK * 2 + 5);
	assert_file(out, 0, 0, LENGTH);
	close(in);
	close(out);
}

static void append_mode_falls_back(void **state)
{
	int in = file_in(".", LENGTH), out = sink_file(".", O_APPEND);
	struct leat_options options = LEAT_OPTIONS_INIT;

	assert_int_equal(write(out, "head", 4), 4);
	assert_int_equal(lseek(out, 0, SEEK_SET), 0);
	copy_range(in, 0, out, LEAT_TO_END, LENGTH);
	assert_file(out, 4, 0, LENGTH);
	options.technique = LEAT_RANGE_COPY;
	assert_int_equal(leat_transfer(in, 0, out, LENGTH, &options, NULL), -EOPNOTSUPP);
	close(in);
	close(out);
}

/* tmpfs and the disk: EXDEV of copy_file_range on all kernels but 5.3 to 5.18. */
static void another_file_system_falls_back_where_the_kernel_refuses(void **state)
{
	int in = file_in(".", LENGTH), out = memfd_create("other", MFD_CLOEXEC);
	struct leat_report report;

	assert_true(out >= 0);
	report = copy_range(in, 3, out, LENGTH - 3, LENGTH - 3);
	assert_file(out, 0, 3, LENGTH - 3);
	if (report.technique != LEAT_RANGE_COPY) {
		assert_int_equal(report.ledger.fallbacks, 1);
		assert_int_equal(report.ledger.bytes_fallen_back, LENGTH - 3);
		assert_non_null(strstr(report.fallback, "range-copy refused"));
	}
	close(in);
	close(out);
}

static void a_pseudo_file_without_a_size_is_not_taken_for_empty(void **state)
{
	int in = open("/proc/self/status", O_RDONLY | O_CLOEXEC), out = sink_file(".", 0);
	struct leat_report report = LEAT_REPORT_INIT;

	assert_true(leat_transfer(in, 0, out, LEAT_TO_END, NULL, &report) > 0);
	assert_int_equal(report.technique, LEAT_COPY);
	close(in);
	close(out);
}

static void a_range_beyond_the_end_is_an_error(void **state)
{
	int in = file_in(".", LENGTH), out = sink_file(".", 0);
	struct leat_report report = copy_range(in, 0, out, LENGTH + 1, -ENODATA);

	assert_int_equal(report.ledger.bytes, LENGTH);
	assert_int_not_equal(report.error[0], '\0');
	close(in);
	close(out);
}

/* ---- Shared blocks: on a file system of our own
 * -------------------------------------------------- */

#define CHILD_SKIPS 77

/* A whole file, into an empty one: all blocks are shared, the odd one at the end too. */
static void whole_file(const char *folder)
{
	int in = file_in(folder, LENGTH), out = sink_file(folder, 0);
	struct leat_report report;

	assert_int_equal(fsync(in), 0);
	report = copy_range(in, 0, out, LEAT_TO_END, LENGTH);
	assert_int_equal(report.technique, LEAT_RANGE_COPY);
	assert_int_equal(report.verdict, LEAT_BY_REFERENCE);
	assert_int_equal(report.ledger.bytes_by_reference, LENGTH);
	assert_int_equal(lseek(out, 0, SEEK_CUR), LENGTH);
	assert_file(out, 0, 0, LENGTH);
	close(in);
	close(out);
}

/* Both ranges start at the same place within a block: head copied, body shared, tail copied. */
static void odd_ends(const char *folder)
{
	int in = file_in(folder, LENGTH), out = file_in(folder, LENGTH);
	struct leat_report report;

	assert_int_equal(fsync(in), 0);
	assert_int_equal(lseek(out, 100, SEEK_SET), 100);
	report = copy_range(in, 100, out, 5 * BLOCK, 5 * BLOCK);
	assert_int_equal(report.ledger.bytes_by_reference, 4 * BLOCK);
	assert_int_equal(report.ledger.bytes_copied, BLOCK);
	assert_int_equal(report.verdict, LEAT_COPIED);
	assert_int_equal(lseek(out, 0, SEEK_CUR), 100 + 5 * BLOCK);
	assert_file(out, 0, 0, LENGTH);
	close(in);
	close(out);
}

/* The odd rest of the source's last block can't be shared into the middle of the sink. */
static void odd_end_in_the_middle(const char *folder)
{
	int in = file_in(folder, LENGTH), out = file_in(folder, 2 * LENGTH);
	struct leat_report report;

	assert_int_equal(fsync(in), 0);
	report = copy_range(in, 0, out, LEAT_TO_END, LENGTH);
	assert_int_equal(report.ledger.bytes_by_reference, LENGTH - 77);
	assert_int_equal(report.ledger.bytes_copied, 77);
	assert_file(out, 0, 0, 2 * LENGTH);
	close(in);
	close(out);
}

static void different_places_within_a_block(const char *folder)
{
	int in = file_in(folder, LENGTH), out = sink_file(folder, 0);
	struct leat_report report;

	assert_int_equal(lseek(out, 1, SEEK_SET), 1);
	report = copy_range(in, 0, out, LENGTH, LENGTH);
	assert_int_equal(report.ledger.bytes_copied, LENGTH);
	assert_file(out, 1, 0, LENGTH);
	close(in);
	close(out);
}

static int run_command(const char *command)
{
	int status = system(command); /* NOLINT: a constant of this file */

	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* In the child: 0, CHILD_SKIPS, or a signal of a failed assertion. */
static int share_on(const char *kind)
{
	char image[] = "range-copy-image-XXXXXX", folder[] = "range-copy-mount-XXXXXX",
	     command[256];
	int fd, r = CHILD_SKIPS;

	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return r;
	fd = mkstemp(image);
	assert_true(fd >= 0 && mkdtemp(folder));
	assert_int_equal(ftruncate(fd, 400 * 1024 * 1024), 0);
	snprintf(command, sizeof(command),
		 "{ mkfs.%s -q -f %s && mount -o loop %s %s; } >/dev/null 2>&1", kind, image, image,
		 folder);
	if (run_command(command) == 0) {
		whole_file(folder);
		odd_ends(folder);
		odd_end_in_the_middle(folder);
		different_places_within_a_block(folder);
		r = umount(folder) < 0 ? 1 : 0;
	}
	close(fd);
	unlink(image);
	rmdir(folder);
	return r;
}

static void share_in_child(const char *kind)
{
	int status;
	pid_t child = fork();

	assert_true(child >= 0);
	if (child == 0) {
		/* An assertion that fails leaves the child by abort(), and its mounts end with its
		 * namespace. */
		setenv("CMOCKA_TEST_ABORT", "1", 1);
		_exit(share_on(kind));
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	if (WIFEXITED(status) && WEXITSTATUS(status) == CHILD_SKIPS)
		unit_skip("no %s can be made and mounted here", kind);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

static void blocks_are_shared_on_btrfs(void **state)
{
	share_in_child("btrfs");
}

static void blocks_are_shared_on_xfs(void **state)
{
	share_in_child("xfs");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(the_sink_is_written_at_its_position_and_the_position_moves),
	    cmocka_unit_test(the_position_of_the_source_moves_where_it_was_asked_for),
	    cmocka_unit_test(bytes_behind_the_range_stay),
	    cmocka_unit_test(append_mode_falls_back),
	    cmocka_unit_test(another_file_system_falls_back_where_the_kernel_refuses),
	    cmocka_unit_test(a_pseudo_file_without_a_size_is_not_taken_for_empty),
	    cmocka_unit_test(a_range_beyond_the_end_is_an_error),
	    cmocka_unit_test(blocks_are_shared_on_btrfs),
	    cmocka_unit_test(blocks_are_shared_on_xfs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
