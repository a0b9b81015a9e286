#include "rows.h"

#include "lab/crossover.h"

enum { READ_WRITE, MMAP, SENDFILE, SENDFILE_SG, SPLICE };

static struct classic_verdict verdicts[CLASSIC_CLAIMS];

static void says(unsigned claim, const char *words)
{
	if (!strstr(verdicts[claim].sentence, words))
		fail_msg("'%s' is not in '%s'", words, verdicts[claim].sentence);
}

static void where_theory_holds_nothing_is_to_be_said(void **state)
{
	struct lab_result result = theory();

	classic_judge(&result, verdicts);
	for (unsigned i = 0; i < CLASSIC_CLAIMS; i++) {
		assert_non_null(verdicts[i].row);
		assert_true(verdicts[i].copies_hold);
		assert_true(verdicts[i].switches_hold);
		assert_string_equal(verdicts[i].sentence, "");
	}
	lab_result_free(&result);
}

static void more_calls_are_explained(void **state)
{
	struct lab_result result = theory();

	result.rows[1].figures[METRIC_SWITCHES] = exactly(8 * 16);
	result.rows[4].figures[METRIC_SWITCHES] = exactly(4 * 16);
	result.rows[2].figures[METRIC_SWITCHES] = exactly(3 * 16);
	classic_judge(&result, verdicts);
	assert_false(verdicts[MMAP].switches_hold);
	assert_true(verdicts[MMAP].copies_hold);
	says(MMAP, "takes the mapping down again: 4 calls");
	says(SPLICE, "two calls");
	says(SENDFILE_SG, "full now and then");
	lab_result_free(&result);
}

static void a_kernel_that_copies_is_named(void **state)
{
	struct lab_result result = theory();

	result.rows[2].figures[METRIC_COPIES] = exactly(1);
	result.rows[2].proof = PROOF_COPIED;
	result.rows[4].figures[METRIC_COPIES] = exactly(1);
	result.rows[4].figures[METRIC_KERNEL_COPIES] = exactly(1);
	classic_judge(&result, verdicts);
	assert_false(verdicts[SENDFILE_SG].copies_hold);
	says(SENDFILE_SG, "mutation proof says so too");
	says(SPLICE, "the device takes no pages");
	lab_result_free(&result);
}

static void a_device_that_takes_pages_all_the_same_is_named(void **state)
{
	struct lab_result result = theory();

	result.rows[3].figures[METRIC_COPIES] = exactly(0);
	classic_judge(&result, verdicts);
	assert_false(verdicts[SENDFILE].copies_hold);
	says(SENDFILE, "although its scatter-gather is off");
	lab_result_free(&result);
}

static void what_was_not_measured_says_so(void **state)
{
	struct lab_result result = {.quick = true};

	classic_judge(&result, verdicts);
	for (unsigned i = 0; i < CLASSIC_CLAIMS; i++)
		assert_null(verdicts[i].row);
	says(READ_WRITE, "Not measured in this run");
	says(SENDFILE, "veth-sg-off");
}

static void the_size_nearest_to_a_buffer_is_judged_on_the_best_transport(void **state)
{
	struct lab_result result = theory();

	add_row(&result, LEAT_COPY, TRANSPORT_VETH, 1024, 9, 9);
	add_row(&result, LEAT_COPY, TRANSPORT_VETH, 1 << 20, 9, 9);
	add_row(&result, LEAT_COPY, TRANSPORT_TCP, CLASSIC_SIZE, 9, 9);
	classic_judge(&result, verdicts);
	assert_int_equal(verdicts[READ_WRITE].row->size, CLASSIC_SIZE);
	assert_int_equal(verdicts[READ_WRITE].row->transport, TRANSPORT_VETH);
	assert_true(verdicts[READ_WRITE].copies_hold);
	lab_result_free(&result);
}

/* ---- the maintainers' question ---- */

static struct classic_gain gain_of(double copy, double mmap, double copied, double by_reference)
{
	struct lab_result result = {.quick = true};
	struct classic_gain gain;

	add_row(&result, LEAT_COPY, TRANSPORT_VETH_GSO_OFF, 1 << 20, 2, 2)
	    ->figures[METRIC_BOTH_CPU] = exactly(copy);
	add_row(&result, LEAT_MMAP, TRANSPORT_VETH_GSO_OFF, 1 << 20, 1, 2)
	    ->figures[METRIC_BOTH_CPU] = exactly(mmap);
	add_row(&result, LEAT_SENDFILE, TRANSPORT_VETH_GSO_OFF, 1 << 20, 0, 1)
	    ->figures[METRIC_BOTH_CPU] = exactly(by_reference);
	add_row(&result, LEAT_SENDFILE, TRANSPORT_VETH_SG_OFF, 1 << 20, 1, 1)
	    ->figures[METRIC_BOTH_CPU] = exactly(copied);
	classic_gain(&result, &gain);
	lab_result_free(&result);
	assert_true(gain.known);
	assert_int_equal(gain.size, 1 << 20);
	return gain;
}

static void gain_says(struct classic_gain gain, const char *words)
{
	if (!strstr(gain.sentence, words))
		fail_msg("'%s' is not in '%s'", words, gain.sentence);
}

static void the_gain_is_split_into_the_copy_and_the_rest(void **state)
{
	gain_says(gain_of(2, 1.5, 1.25, 1), "saves 1.00 CPU seconds");
	gain_says(gain_of(2, 1.5, 1.25, 1), "at the call, keeps 50 %");
	gain_says(gain_of(2, 1.5, 1.25, 1), "for the device, keeps 75 %");
	gain_says(gain_of(2, 0.5, 2.5, 1), "at the call, keeps all");
	gain_says(gain_of(2, 1.5, 2.5, 1), "for the device, keeps nothing");
	gain_says(gain_of(1, 1, 1.5, 1), "smaller than the spread");
	gain_says(gain_of(1, 1, 1.5, 2), "smaller than the spread");
}

static void without_all_four_there_is_no_answer(void **state)
{
	struct lab_result result = theory();
	struct classic_gain gain;

	classic_gain(&result, &gain);
	assert_false(gain.known);
	gain_says(gain, "Not measured");
	lab_result_free(&result);
}

/* ---- the crossover ---- */

static uint64_t threshold(const double *copy, const double *sendfile, unsigned count)
{
	struct lab_crossover_point points[LAB_CROSSOVER_POINTS];

	for (unsigned i = 0; i < count; i++)
		points[i] = (struct lab_crossover_point){.size = 1024u << i,
							 .copy_us = exactly(copy[i]),
							 .sendfile_us = exactly(sendfile[i])};
	return crossover_threshold(points, count);
}

static void the_threshold_is_where_the_two_ways_meet(void **state)
{
	const double sendfile[] = {5, 5, 5, 5};

	assert_int_equal(threshold((const double[]){1, 2, 6, 9}, sendfile, 4), 4096);
	assert_int_equal(threshold((const double[]){6, 7, 8, 9}, sendfile, 4), 1024);
	assert_int_equal(threshold((const double[]){1, 2, 3, 4}, sendfile, 4), 8193);
	assert_int_equal(threshold(NULL, NULL, 0), 0);
}

static void one_noisy_point_does_not_move_it(void **state)
{
	const double sendfile[] = {5, 5, 5, 5, 5, 5};

	assert_int_equal(threshold((const double[]){1, 5.5, 2, 8, 4.9, 20}, sendfile, 6), 8192);
}

static void without_segmentation_offload_the_claims_are_judged_too(void **state)
{
	struct lab_result result = theory();

	for (size_t i = 0; i < result.row_count; i++)
		if (result.rows[i].transport == TRANSPORT_VETH)
			result.rows[i].transport = TRANSPORT_VETH_GSO_OFF;
	classic_judge(&result, verdicts);
	for (unsigned i = 0; i < CLASSIC_CLAIMS; i++)
		assert_non_null(verdicts[i].row);
	lab_result_free(&result);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(where_theory_holds_nothing_is_to_be_said),
	    cmocka_unit_test(more_calls_are_explained),
	    cmocka_unit_test(a_kernel_that_copies_is_named),
	    cmocka_unit_test(a_device_that_takes_pages_all_the_same_is_named),
	    cmocka_unit_test(what_was_not_measured_says_so),
	    cmocka_unit_test(the_size_nearest_to_a_buffer_is_judged_on_the_best_transport),
	    cmocka_unit_test(without_segmentation_offload_the_claims_are_judged_too),
	    cmocka_unit_test(the_gain_is_split_into_the_copy_and_the_rest),
	    cmocka_unit_test(without_all_four_there_is_no_answer),
	    cmocka_unit_test(the_threshold_is_where_the_two_ways_meet),
	    cmocka_unit_test(one_noisy_point_does_not_move_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
