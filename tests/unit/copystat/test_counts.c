#include "unit/unit.h"

#include <math.h>

#include "copystat/copystat.h"

#define MIB (UINT64_C(1) << 20)

static void expect_copies(const struct copystat_counts *counts, double expected)
{
	assert_true(fabs(copystat_copies_per_sent_byte(counts) - expected) < 1e-9);
}

static void sums_are_over_all_kinds_and_calls(void **state)
{
	struct copystat_counts counts = {.file_made_up = 2,
					 .linearised = 3,
					 .unshared = 4,
					 .file_read = 5};
	struct copystat_sums sums;

	for (int i = 0; i < COPYSTAT_KINDS; i++)
		counts.sockets[i] = (struct copystat_socket_counts){10, 6, 4, 8, 7};
	for (int i = 0; i < COPYSTAT_CALLS; i++)
		counts.calls[i].calls = 2;
	sums = copystat_sum(&counts);
	assert_int_equal(sums.sent, 10 * COPYSTAT_KINDS);
	assert_int_equal(sums.sent_copied, 6 * COPYSTAT_KINDS);
	assert_int_equal(sums.sent_by_reference, 4 * COPYSTAT_KINDS);
	assert_int_equal(sums.received, 8 * COPYSTAT_KINDS);
	assert_int_equal(sums.received_copied, 7 * COPYSTAT_KINDS);
	assert_int_equal(sums.copied_later, 9);
	assert_int_equal(sums.file_read, 5);
	assert_int_equal(sums.calls, 2 * COPYSTAT_CALLS);
}

static void copies_are_those_of_the_classic_table(void **state)
{
	const struct copystat_counts nothing = {0};
	const struct copystat_counts read_write = {.sockets = {{.sent = MIB, .sent_copied = MIB}},
						   .file_read = MIB};
	const struct copystat_counts mapped = {.sockets = {{.sent = MIB, .sent_copied = MIB}}};
	const struct copystat_counts sendfile = {
	    .sockets = {{.sent = MIB, .sent_by_reference = MIB}}};
	const struct copystat_counts linearised = {.sockets = {{.sent = MIB,
								.sent_by_reference = MIB}},
						   .linearised = MIB};
	const struct copystat_counts relay = {
	    .sockets = {
		{.sent = MIB, .sent_copied = MIB, .received = MIB, .received_copied = MIB}}};

	expect_copies(&nothing, 0);
	expect_copies(&read_write, 2);
	expect_copies(&mapped, 1);
	expect_copies(&sendfile, 0);
	expect_copies(&linearised, 1);
	expect_copies(&relay, 2);
}

/* A server that reads its configuration, or takes an upload, has not copied it to anybody. */
static void what_was_read_counts_only_as_far_as_it_was_sent(void **state)
{
	const struct copystat_counts counts = {.sockets = {{.sent = 1000,
							    .sent_copied = 100,
							    .sent_by_reference = 900,
							    .received = MIB,
							    .received_copied = MIB}},
					       .file_read = MIB};

	expect_copies(&counts, 0.2);
}

static void difference_and_sum_are_opposites(void **state)
{
	struct copystat_counts before = {.file_read = 7, .unshared = 1}, now, between;

	before.calls[COPYSTAT_WAIT].calls = 3;
	now = before;
	now.file_read = 10;
	now.calls[COPYSTAT_WAIT].calls = 9;
	now.device = (struct copystat_device){.name = "eth0"};
	between = copystat_since(&now, &before);
	assert_int_equal(between.file_read, 3);
	assert_int_equal(between.unshared, 0);
	assert_int_equal(between.calls[COPYSTAT_WAIT].calls, 6);
	assert_string_equal(between.device.name, "eth0");
	copystat_add(&before, &between);
	assert_memory_equal(&before, &now, sizeof(now));
}

static void every_call_and_kind_has_a_name(void **state)
{
	for (int i = 0; i < COPYSTAT_CALLS; i++)
		assert_non_null(copystat_call_name((enum copystat_call)i));
	for (int i = 0; i < COPYSTAT_KINDS; i++)
		assert_non_null(copystat_kind_name((enum copystat_kind)i));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(sums_are_over_all_kinds_and_calls),
	    cmocka_unit_test(copies_are_those_of_the_classic_table),
	    cmocka_unit_test(what_was_read_counts_only_as_far_as_it_was_sent),
	    cmocka_unit_test(difference_and_sum_are_opposites),
	    cmocka_unit_test(every_call_and_kind_has_a_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
