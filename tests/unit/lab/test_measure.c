#include "unit/unit.h"

#include <math.h>

#include "lab/machine.h"
#include "lab/measure.h"

#define MIB (1u << 20)

static double figures[METRIC_COUNT];

static void near(enum lab_metric metric, double want)
{
	if (fabs(figures[metric] - want) > 1e-9)
		fail_msg("%s is %f and not %f", lab_metrics[metric].name, figures[metric], want);
}

/* A round of one MiB in a second. */
static struct round round_of(struct leat_ledger ledger)
{
	ledger.bytes = MIB;
	return (struct round){
	    .bytes = MIB,
	    .sender = {.usage = {.start_ns = 1000000000,
				 .cpu_ns = 1048576,
				 .faults = 7,
				 .switches = 3,
				 .disk_bytes = MIB / 2},
		       .ledger = ledger},
	    .receiver = {.usage = {.end_ns = 2000000000, .cpu_ns = 2097152}},
	};
}

static void read_and_write_copy_twice(void **state)
{
	struct round round = round_of((struct leat_ledger){.bytes_copied = MIB, .syscalls = 16});

	measure_figures(&round, LEAT_COPY, PROOF_COPIED, figures);
	near(METRIC_USER_COPIES, 2);
	near(METRIC_KERNEL_COPIES, 0);
	near(METRIC_COPIES, 2);
	near(METRIC_BY_REFERENCE, 0);
	near(METRIC_SYSCALLS, 16);
	near(METRIC_SWITCHES, 32);
	measure_figures(&round, LEAT_MMAP, PROOF_COPIED, figures);
	near(METRIC_COPIES, 1);
}

static void what_the_kernel_copies_later_is_no_reference(void **state)
{
	struct round round = round_of(
	    (struct leat_ledger){.bytes_copied_later = MIB / 4, .bytes_by_reference = MIB / 4 * 3});

	measure_figures(&round, LEAT_SENDFILE, PROOF_MIXED, figures);
	near(METRIC_USER_COPIES, 0);
	near(METRIC_KERNEL_COPIES, 0.25);
	near(METRIC_BY_REFERENCE, 0.75);
}

static void the_proof_speaks_where_the_ledger_has_no_evidence(void **state)
{
	struct round round = round_of((struct leat_ledger){.bytes_unknown = MIB});

	measure_figures(&round, LEAT_TEE, PROOF_BY_REFERENCE, figures);
	near(METRIC_BY_REFERENCE, 1);
	measure_figures(&round, LEAT_TEE, PROOF_COPIED, figures);
	near(METRIC_BY_REFERENCE, 0);
}

static void copystat_is_believed_before_the_ledger(void **state)
{
	struct round round = round_of((struct leat_ledger){.bytes_by_reference = MIB});

	round.counter = COUNTED_BY_COPYSTAT;
	round.kernel_copied = MIB;
	round.receiver_copied = 2 * MIB;
	measure_figures(&round, LEAT_SENDFILE, PROOF_COPIED, figures);
	near(METRIC_COPIES, 1);
	near(METRIC_BY_REFERENCE, 0);
	near(METRIC_RECEIVER_COPIES, 2);
}

static void time_and_faults_are_each_process_own(void **state)
{
	struct round round = round_of((struct leat_ledger){.syscalls = 1});

	measure_figures(&round, LEAT_SENDFILE, PROOF_NOT_RUN, figures);
	near(METRIC_SENDER_CPU, 1); /* 1 ns a byte is 1 s a GB */
	near(METRIC_RECEIVER_CPU, 2);
	near(METRIC_RATE, MIB / 1e9);
	near(METRIC_FAULTS, 7);
	near(METRIC_CONTEXT_SWITCHES, 3);
	near(METRIC_DISK_DMA, 0.5);
}

static void a_value_is_found_by_its_key(void **state)
{
	const char *text = "processor\t: 0\nmodel name\t: AMD EPYC\nflags\t\t: fpu\n";
	char value[32] = "x";

	assert_true(machine_value(text, "model name", value, sizeof(value)));
	assert_string_equal(value, "AMD EPYC");
	assert_true(machine_value(text, "processor", value, sizeof(value)));
	assert_string_equal(value, "0");
	assert_true(machine_value(text, "flags", value, sizeof(value)));
	assert_string_equal(value, "fpu");
	assert_false(machine_value(text, "name", value, sizeof(value)));
	assert_false(machine_value("", "name", value, sizeof(value)));
}

static void names_are_read_back(void **state)
{
	for (unsigned t = 0; t < TRANSPORT_COUNT; t++) {
		enum lab_transport found = TRANSPORT_COUNT;

		assert_int_equal(lab_transport_parse(lab_transport_name((enum lab_transport)t),
						     &found),
				 0);
		assert_int_equal(found, t);
	}
	for (unsigned m = 0; m < METRIC_COUNT; m++)
		assert_non_null(lab_metrics[m].name);
}

static void rows_and_notes_are_kept(void **state)
{
	struct lab_result result = {.quick = true};

	for (unsigned i = 0; i < 200; i++) {
		struct lab_row *row = lab_result_add(&result);

		row->technique = LEAT_SENDFILE;
		row->size = i;
		lab_result_note(&result, "note %u", i % 50);
	}
	assert_int_equal(result.row_count, 200);
	assert_int_equal(result.note_count, ARRAY_SIZE(result.notes));
	assert_int_equal(
	    lab_result_find(&result, LEAT_SENDFILE, TRANSPORT_TCP, LAB_CACHED, 0)->size, 199);
	assert_int_equal(
	    lab_result_find(&result, LEAT_SENDFILE, TRANSPORT_TCP, LAB_CACHED, 7)->size, 7);
	assert_null(lab_result_find(&result, LEAT_COPY, TRANSPORT_TCP, LAB_CACHED, 0));
	lab_result_free(&result);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(read_and_write_copy_twice),
	    cmocka_unit_test(what_the_kernel_copies_later_is_no_reference),
	    cmocka_unit_test(the_proof_speaks_where_the_ledger_has_no_evidence),
	    cmocka_unit_test(copystat_is_believed_before_the_ledger),
	    cmocka_unit_test(time_and_faults_are_each_process_own),
	    cmocka_unit_test(a_value_is_found_by_its_key),
	    cmocka_unit_test(names_are_read_back),
	    cmocka_unit_test(rows_and_notes_are_kept),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
