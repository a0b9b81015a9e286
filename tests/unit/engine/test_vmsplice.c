#include "rig.h"

#define LENGTH (5u * 1024 * 1024 + 4321)

static void file_ranges_arrive_whole_and_by_reference(void **state)
{
	void (*const pairs[])(int[2]) = {tcp_pair, unix_pair, pipe_pair};

	for (size_t i = 0; i < ARRAY_SIZE(pairs); i++) {
		struct leat_report report;
		struct steps steps;
		int ends[2];

		pairs[i](ends);
		report = send_file_range(LEAT_VMSPLICE, ends, 5001, LENGTH, &steps);
		assert_int_equal(report.technique, LEAT_VMSPLICE);
		assert_int_equal(report.ledger.bytes_copied, 0);
	}
}

static void memory_at_an_odd_address_arrives_whole(void **state)
{
	void (*const pairs[])(int[2]) = {tcp_pair, unix_pair, pipe_pair};
	char *memory = pattern_memory(LENGTH + 1, 0);

	for (size_t i = 0; i < ARRAY_SIZE(pairs); i++) {
		struct reader reader;
		struct rig rig;
		int ends[2];

		pairs[i](ends);
		rig_open(&rig, ends[0], LEAT_VMSPLICE);
		reader_start(&reader, ends[1], 1);
		assert_int_equal(leat_chain_add_memory(rig.chain, memory + 1, LENGTH, NULL, NULL),
				 0);
		assert_int_equal(step_to_end(rig.chain, 0, &rig.steps), LEAT_DONE);
		rig_close(&rig);
		reader_finish(&reader, &ends[0], LENGTH);
		close_pair(ends);
	}
	free(memory);
}

/* What the documentation warns of: the peer sees what the memory holds when it reads. */
static void memory_changed_before_the_peer_reads_arrives_changed(void **state)
{
	char memory[4096], got[4096];
	struct rig rig;
	int ends[2];

	unix_pair(ends);
	memset(memory, 'A', sizeof(memory));
	rig_open(&rig, ends[0], LEAT_VMSPLICE);
	assert_int_equal(leat_chain_add_memory(rig.chain, memory, sizeof(memory), NULL, NULL), 0);
	assert_int_equal(step_to_end(rig.chain, 0, &rig.steps), LEAT_DONE);
	memset(memory, 'B', sizeof(memory));
	read_whole(ends[1], got, sizeof(got));
	if (got[0] == 'A')
		unit_skip("this kernel's vmsplice copies");
	assert_memory_equal(got, memory, sizeof(got));
	rig_close(&rig);
	close_pair(ends);
}

static void a_file_cut_short_ends_with_an_error_after_its_last_byte(void **state)
{
	enum { SIZE = 300000, CUT = 100001 };
	int file = pattern_file(SIZE), ends[2];
	struct reader reader;
	struct rig rig;

	unix_pair(ends);
	rig_open(&rig, ends[0], LEAT_VMSPLICE);
	reader_start(&reader, ends[1], 0);
	assert_int_equal(leat_chain_add_file(rig.chain, file, 0, SIZE, NULL, NULL), 0);
	assert_int_equal(leat_chain_step(rig.chain, 4096), LEAT_MORE);
	assert_int_equal(ftruncate(file, CUT), 0);
	assert_int_equal(step_to_end(rig.chain, 0, &rig.steps), -ENODATA);
	rig_close(&rig);
	reader_finish(&reader, &ends[0], CUT);
	close_pair(ends);
	close(file);
}

static void it_is_never_chosen_unasked(void **state)
{
	for (unsigned source = 0; source < SOURCE_KIND_COUNT; source++)
		for (unsigned sink = 0; sink < SINK_KIND_COUNT; sink++) {
			struct policy_input input = {
			    .source = source,
			    .sink = sink,
			    .length = LEAT_TO_END,
			    .limits = &policy_default_limits,
			};

			assert_int_not_equal(policy_choose(&input).technique, LEAT_VMSPLICE);
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(file_ranges_arrive_whole_and_by_reference),
	    cmocka_unit_test(memory_at_an_odd_address_arrives_whole),
	    cmocka_unit_test(memory_changed_before_the_peer_reads_arrives_changed),
	    cmocka_unit_test(a_file_cut_short_ends_with_an_error_after_its_last_byte),
	    cmocka_unit_test(it_is_never_chosen_unasked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
