/*
 * The policy as a model: every combination of source, sink, length, wish and refusals is asked.
 */
#include "unit/unit.h"

#include <errno.h>

#include "engine/policy.h"

#define BIT(n) (1u << (n))

static const uint64_t lengths[] = {0, 1, 1000, 8 * 1024 - 1, 8 * 1024, 1 << 20, LEAT_TO_END};

/* Calls `check` for every input without refusals. */
static void for_every_input(enum leat_technique asked,
			    void (*check)(const struct policy_input *input))
{
	for (int source = 0; source < SOURCE_KIND_COUNT; source++)
		for (int sink = 0; sink < SINK_KIND_COUNT; sink++)
			for (size_t i = 0; i < ARRAY_SIZE(lengths); i++)
				for (int mirrored = 0; mirrored < 2; mirrored++)
					check(&(struct policy_input){
					    .source = (enum source_kind)source,
					    .sink = (enum sink_kind)sink,
					    .length = lengths[i],
					    .asked = asked,
					    .mirrored = mirrored,
					    .limits = &policy_default_limits,
					});
}

static void expect_an_answer(const struct policy_input *input)
{
	struct policy_choice choice = policy_choose(input);

	assert_int_equal(choice.error, 0);
	assert_int_not_equal(choice.technique, LEAT_AUTO);
	assert_non_null(choice.reason);
	assert_true(choice.reason[0] != '\0');
}

static void every_combination_has_a_technique_and_a_reason(void **state)
{
	for_every_input(LEAT_AUTO, expect_an_answer);
}

static void expect_refusals_to_end(const struct policy_input *start)
{
	struct policy_input input = *start;
	struct policy_choice choice;
	int rounds = 0;

	while ((choice = policy_choose(&input)).error == 0) {
		assert_false(input.refused & BIT(choice.technique));
		input.refused |= BIT(choice.technique);
		assert_true(++rounds <= LEAT_TECHNIQUE_COUNT);
		/* Copying is the last resort, and the kernel never refuses it. */
		if (choice.technique == LEAT_COPY)
			return;
	}
	fail_msg("the refusals did not end with copying");
}

static void refusals_are_honoured_and_end_with_copying(void **state)
{
	for_every_input(LEAT_AUTO, expect_refusals_to_end);
}

static void expect_random_refusals_to_be_honoured(const struct policy_input *start)
{
	struct policy_input input = *start;

	for (uint32_t refused = 0; refused < BIT(LEAT_TECHNIQUE_COUNT); refused += 2) {
		struct policy_choice choice;

		input.refused = refused;
		choice = policy_choose(&input);
		if (choice.error == 0)
			assert_false(refused & BIT(choice.technique));
		else
			assert_true(refused & BIT(LEAT_COPY));
	}
}

static void no_set_of_refusals_brings_a_refused_technique_back(void **state)
{
	for_every_input(LEAT_AUTO, expect_random_refusals_to_be_honoured);
}

static void expect_the_forced_one_or_an_error(const struct policy_input *start)
{
	struct policy_input input = *start;
	struct policy_choice choice = policy_choose(&input);

	assert_int_equal(choice.technique, input.asked);
	assert_true(choice.error == 0 || choice.error == -EOPNOTSUPP);
	assert_non_null(choice.reason);
	input.refused = BIT(input.asked);
	choice = policy_choose(&input);
	assert_int_equal(choice.technique, input.asked);
	assert_int_equal(choice.error, -EOPNOTSUPP);
}

static void a_forced_technique_never_yields_another(void **state)
{
	for (int asked = LEAT_AUTO + 1; asked < LEAT_TECHNIQUE_COUNT; asked++)
		for_every_input((enum leat_technique)asked, expect_the_forced_one_or_an_error);
}

static void expect_auto_to_be_able(const struct policy_input *start)
{
	struct policy_input input = *start;
	struct policy_choice choice;

	while ((choice = policy_choose(&input)).error == 0) {
		struct policy_input forced = *start;

		forced.asked = choice.technique;
		assert_int_equal(policy_choose(&forced).error, 0);
		input.refused |= BIT(choice.technique);
	}
}

static void what_auto_picks_can_also_be_forced(void **state)
{
	for_every_input(LEAT_AUTO, expect_auto_to_be_able);
}

static enum leat_technique pick(enum source_kind source, enum sink_kind sink, uint64_t length)
{
	return policy_choose(&(struct policy_input){.source = source,
						    .sink = sink,
						    .length = length,
						    .limits = &policy_default_limits})
	    .technique;
}

static void auto_picks_what_the_design_says(void **state)
{
	const uint64_t small = 1024, large = 1 << 20;

	assert_int_equal(pick(SOURCE_MEMORY, SINK_TCP, large), LEAT_COPY);
	assert_int_equal(pick(SOURCE_FILE, SINK_TCP, small), LEAT_COPY);
	assert_int_equal(pick(SOURCE_FILE, SINK_TCP, large), LEAT_SENDFILE);
	assert_int_equal(pick(SOURCE_FILE, SINK_UNIX, large), LEAT_SENDFILE);
	assert_int_equal(pick(SOURCE_FILE, SINK_PIPE, small), LEAT_SPLICE);
	assert_int_equal(pick(SOURCE_FILE, SINK_FILE, small), LEAT_RANGE_COPY);
	assert_int_equal(pick(SOURCE_SOCKET, SINK_TCP, LEAT_TO_END), LEAT_SPLICE);
	assert_int_equal(pick(SOURCE_PIPE, SINK_FILE, LEAT_TO_END), LEAT_SPLICE);
	assert_int_equal(pick(SOURCE_PSEUDO, SINK_TCP, LEAT_TO_END), LEAT_COPY);
	assert_int_equal(pick(SOURCE_FILE, SINK_KTLS, small), LEAT_COPY);
	assert_int_equal(pick(SOURCE_FILE, SINK_KTLS, large), LEAT_SENDFILE);
	assert_int_equal(pick(SOURCE_SOCKET, SINK_KTLS, LEAT_TO_END), LEAT_SPLICE);
	assert_int_equal(pick(SOURCE_FILE, SINK_WRITER, large), LEAT_COPY);
	for (int source = 0; source < SOURCE_KIND_COUNT; source++)
		assert_int_equal(pick((enum source_kind)source, SINK_APPEND, large), LEAT_COPY);
}

static void expect_no_shared_pages(const struct policy_input *input)
{
	struct policy_choice choice = policy_choose(input);

	if (choice.error < 0 || !sink_transforms(input->sink))
		return;
	assert_int_not_equal(choice.technique, LEAT_ZEROCOPY);
	assert_int_not_equal(choice.technique, LEAT_VMSPLICE);
	assert_int_not_equal(choice.technique, LEAT_TEE);
	assert_int_not_equal(choice.technique, LEAT_URING);
	if (input->sink == SINK_WRITER)
		assert_int_equal(choice.technique, LEAT_COPY);
}

static void a_sink_that_transforms_gets_no_pages_that_others_hold(void **state)
{
	const struct policy_limits limits = {.copy_below = 10, .zerocopy_above = 20};

	for (int asked = LEAT_AUTO; asked < LEAT_TECHNIQUE_COUNT; asked++)
		for_every_input((enum leat_technique)asked, expect_no_shared_pages);
	assert_int_equal(policy_choose(&(struct policy_input){.source = SOURCE_MEMORY,
							      .sink = SINK_KTLS,
							      .length = 1 << 20,
							      .limits = &limits})
			     .technique,
			 LEAT_COPY);
}

static void limits_move_the_thresholds(void **state)
{
	const struct policy_limits limits = {.copy_below = 10, .zerocopy_above = 20};
	struct policy_input input = {.source = SOURCE_FILE,
				     .sink = SINK_TCP,
				     .length = 10,
				     .limits = &limits};

	assert_int_equal(policy_choose(&input).technique, LEAT_SENDFILE);
	input.length = 9;
	assert_int_equal(policy_choose(&input).technique, LEAT_COPY);
	input.source = SOURCE_MEMORY;
	input.length = 20;
	assert_int_equal(policy_choose(&input).technique, LEAT_ZEROCOPY);
	input.sink = SINK_UNIX;
	assert_int_equal(policy_choose(&input).technique, LEAT_COPY);
}

static void copying_is_never_refused_and_io_errors_are_no_refusals(void **state)
{
	for (int technique = 0; technique < LEAT_TECHNIQUE_COUNT; technique++)
		for (int error = 1; error < 140; error++) {
			bool refusal = policy_is_refusal((enum leat_technique)technique, -error);

			if (technique == LEAT_COPY)
				assert_false(refusal);
			if (error == EIO || error == EPIPE || error == ECONNRESET ||
			    error == ENOSPC || error == EAGAIN || error == EFAULT)
				assert_false(refusal);
			if (technique > LEAT_COPY && (error == EINVAL || error == ENOSYS))
				assert_true(refusal);
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(every_combination_has_a_technique_and_a_reason),
	    cmocka_unit_test(refusals_are_honoured_and_end_with_copying),
	    cmocka_unit_test(no_set_of_refusals_brings_a_refused_technique_back),
	    cmocka_unit_test(a_forced_technique_never_yields_another),
	    cmocka_unit_test(what_auto_picks_can_also_be_forced),
	    cmocka_unit_test(auto_picks_what_the_design_says),
	    cmocka_unit_test(a_sink_that_transforms_gets_no_pages_that_others_hold),
	    cmocka_unit_test(limits_move_the_thresholds),
	    cmocka_unit_test(copying_is_never_refused_and_io_errors_are_no_refusals),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
