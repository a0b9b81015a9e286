#include "rig.h"

#define LENGTH (20u * 1024 * 1024 + 12345) /* several mappings, odd at both ends */

static void file_ranges_arrive_whole(void **state)
{
	void (*const pairs[])(int[2]) = {tcp_pair, unix_pair, pipe_pair};

	for (size_t i = 0; i < ARRAY_SIZE(pairs); i++) {
		struct leat_report report;
		struct steps steps;
		int ends[2];

		pairs[i](ends);
		report = send_file_range(LEAT_MMAP, ends, 4099, LENGTH, &steps);
		assert_int_equal(report.technique, LEAT_MMAP);
		assert_int_equal(report.verdict, LEAT_COPIED);
		assert_int_equal(report.ledger.bytes_copied, LENGTH);
	}
}

static void a_small_send_buffer_means_want_write_and_not_an_error(void **state)
{
	struct leat_report report;
	struct steps steps;
	int ends[2], small = 4096;

	tcp_pair(ends);
	assert_int_equal(setsockopt(ends[0], SOL_SOCKET, SO_SNDBUF, &small, sizeof(small)), 0);
	report = send_file_range(LEAT_MMAP, ends, 1, 3000000, &steps);
	assert_true(steps.want_write > 0);
	assert_int_equal(report.ledger.would_block, steps.want_write);
}

static void a_file_goes_to_a_file_in_append_mode(void **state)
{
	char name[] = "mmap-append-XXXXXX", buf[10000];
	int file = pattern_file(sizeof(buf));
	int sink = mkostemp(name, O_APPEND | O_CLOEXEC);
	struct leat_options options = LEAT_OPTIONS_INIT;

	options.technique = LEAT_MMAP;
	unlink(name);
	assert_int_equal(leat_transfer(file, 0, sink, LEAT_TO_END, &options, NULL), sizeof(buf));
	assert_int_equal(pread(sink, buf, sizeof(buf), 0), sizeof(buf));
	assert_pattern(buf, sizeof(buf), 0);
	close(file);
	close(sink);
}

/* Cut to the middle of a page: what is behind the end reads as zeros and must not be sent. */
static void a_file_cut_short_ends_with_an_error_after_its_last_byte(void **state)
{
	enum { SIZE = 300000, CUT = 100001 };
	int file = pattern_file(SIZE), ends[2];
	struct leat_report report;
	struct reader reader;
	struct rig rig;

	tcp_pair(ends);
	rig_open(&rig, ends[0], LEAT_MMAP);
	reader_start(&reader, ends[1], 0);
	assert_int_equal(leat_chain_add_file(rig.chain, file, 0, SIZE, NULL, NULL), 0);
	assert_int_equal(leat_chain_step(rig.chain, 4096), LEAT_MORE); /* it is mapped now */
	assert_int_equal(ftruncate(file, CUT), 0);
	assert_int_equal(step_to_end(rig.chain, 0, &rig.steps), -ENODATA);
	report = rig_close(&rig);
	reader_finish(&reader, &ends[0], CUT);
	assert_non_null(strstr(report.error, "100001"));
	close_pair(ends);
	close(file);
}

static void only_files_can_be_mapped(void **state)
{
	int ends[2], source[2];
	struct leat_options options = LEAT_OPTIONS_INIT;

	options.technique = LEAT_MMAP;
	unix_pair(ends);
	unix_pair(source);
	assert_int_equal(leat_transfer(source[1], LEAT_CURRENT, ends[0], 10, &options, NULL),
			 -EOPNOTSUPP);
	close_pair(ends);
	close_pair(source);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(file_ranges_arrive_whole),
	    cmocka_unit_test(a_small_send_buffer_means_want_write_and_not_an_error),
	    cmocka_unit_test(a_file_goes_to_a_file_in_append_mode),
	    cmocka_unit_test(a_file_cut_short_ends_with_an_error_after_its_last_byte),
	    cmocka_unit_test(only_files_can_be_mapped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
