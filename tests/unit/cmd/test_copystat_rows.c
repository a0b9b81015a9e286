/*
 * The rows over a ledger that is made up here: what processes have done in all and since the last
 * look, and what becomes of those that end.
 */
#include "unit/unit.h"

#include <errno.h>
#include <string.h>

#include "cmd/copystat_rows.h"

#define PROCESSES_MAX 200

static struct ledger_entry {
	struct copystat_process process;
	uint64_t sent;
} ledger[PROCESSES_MAX];

static size_t ledger_count;

static struct ledger_entry *entry_of(pid_t pid)
{
	for (size_t i = 0; i < ledger_count; i++)
		if (ledger[i].process.pid == pid)
			return &ledger[i];
	return NULL;
}

int copystat_read(struct copystat *cs, pid_t pid, struct copystat_counts *ret)
{
	const struct ledger_entry *entry = entry_of(pid);

	if (!entry)
		return -ESRCH;
	*ret = (struct copystat_counts){.sockets = {{.sent = entry->sent}}};
	return 0;
}

int copystat_unwatch(struct copystat *cs, pid_t pid)
{
	struct ledger_entry *entry = entry_of(pid);

	if (!entry)
		return -ESRCH;
	*entry = ledger[--ledger_count];
	return 0;
}

ssize_t copystat_processes(struct copystat *cs, struct copystat_process *ret, size_t max)
{
	for (size_t i = 0; i < ledger_count && i < max; i++)
		ret[i] = ledger[i].process;
	return (ssize_t)ledger_count;
}

static struct ledger_entry *begin(pid_t pid, const char *comm, uint64_t sent)
{
	struct ledger_entry *entry = &ledger[ledger_count++];

	*entry = (struct ledger_entry){.process = {.pid = pid}, .sent = sent};
	strcpy(entry->process.comm, comm);
	return entry;
}

static int nothing(void **state)
{
	ledger_count = 0;
	return 0;
}

static void expect_row(const struct row *row, pid_t pid, uint64_t total, uint64_t between)
{
	assert_int_equal(row->process.pid, pid);
	assert_int_equal(copystat_sum(&row->total).sent, total);
	assert_int_equal(copystat_sum(&row->between).sent, between);
}

static void what_is_new_is_told_apart_from_the_sum(void **state)
{
	struct rows rows = {0};
	struct ledger_entry *entry = begin(7, "a", 100);

	assert_int_equal(rows_update(&rows, NULL, NULL), 0);
	expect_row(&rows.row[0], 7, 100, 100);
	entry->sent = 130;
	assert_int_equal(rows_update(&rows, NULL, NULL), 0);
	expect_row(&rows.row[0], 7, 130, 30);
	assert_true(row_active(&rows.row[0]));
	assert_int_equal(rows_update(&rows, NULL, NULL), 0);
	expect_row(&rows.row[0], 7, 130, 0);
	assert_false(row_active(&rows.row[0]));
	assert_int_equal(rows.count, 1);
	rows_free(&rows);
}

/* The kernel sends on for a process that is gone: one look more, then it is forgotten. */
static void who_has_ended_is_looked_at_once_more(void **state)
{
	struct rows rows = {0};
	struct ledger_entry *entry = begin(7, "a", 100);

	rows_update(&rows, NULL, NULL);
	assert_int_equal(rows_running(&rows), 1);
	entry->process.ended = true;
	entry->sent = 110;
	rows_update(&rows, NULL, NULL);
	assert_int_equal(rows_running(&rows), 0);
	assert_int_equal(ledger_count, 1);
	entry->sent = 115;
	rows_update(&rows, NULL, NULL);
	expect_row(&rows.row[0], 7, 115, 5);
	assert_int_equal(ledger_count, 0);
	rows_update(&rows, NULL, NULL);
	expect_row(&rows.row[0], 7, 115, 0);
	assert_int_equal(rows.count, 1); /* for the summary */
	rows_free(&rows);
}

static void a_number_that_comes_again_is_another_process(void **state)
{
	struct rows rows = {0};

	begin(7, "old", 100)->process.ended = true;
	rows_update(&rows, NULL, NULL);
	rows_update(&rows, NULL, NULL);
	begin(7, "new", 3);
	rows_update(&rows, NULL, NULL);
	assert_int_equal(rows.count, 2);
	expect_row(&rows.row[0], 7, 100, 0);
	expect_row(&rows.row[1], 7, 3, 3);
	assert_string_equal(rows.row[1].process.comm, "new");
	rows_free(&rows);
}

static void thousands_that_did_nothing_leave_nothing_behind(void **state)
{
	struct rows rows = {0};

	for (int round = 0; round < 20; round++) {
		for (int i = 0; i < PROCESSES_MAX; i++)
			begin(round * PROCESSES_MAX + i + 1, "true", 0)->process.ended = true;
		rows_update(&rows, NULL, NULL);
		rows_update(&rows, NULL, NULL);
	}
	assert_int_equal(ledger_count, 0);
	rows_update(&rows, NULL, NULL);
	assert_int_equal(rows.count, 0);
	rows_free(&rows);
}

static void processes_of_another_name_are_dropped(void **state)
{
	struct rows rows = {0};

	begin(1, "nginx", 5);
	begin(2, "sh", 5);
	rows_update(&rows, NULL, "nginx");
	assert_int_equal(rows.count, 1);
	expect_row(&rows.row[0], 1, 5, 5);
	assert_int_equal(ledger_count, 1);
	rows_free(&rows);
}

static void who_sends_most_comes_first(void **state)
{
	struct rows rows = {0};

	begin(1, "a", 10);
	begin(2, "b", 30);
	begin(3, "c", 20);
	rows_update(&rows, NULL, NULL);
	entry_of(1)->sent += 5;
	rows_update(&rows, NULL, NULL);
	rows_sort_by_sent(&rows, false);
	assert_int_equal(rows.row[0].process.pid, 1);
	rows_sort_by_sent(&rows, true);
	expect_row(&rows.row[0], 2, 30, 0);
	expect_row(&rows.row[1], 3, 20, 0);
	expect_row(&rows.row[2], 1, 15, 5);
	rows_free(&rows);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup(what_is_new_is_told_apart_from_the_sum, nothing),
	    cmocka_unit_test_setup(who_has_ended_is_looked_at_once_more, nothing),
	    cmocka_unit_test_setup(a_number_that_comes_again_is_another_process, nothing),
	    cmocka_unit_test_setup(thousands_that_did_nothing_leave_nothing_behind, nothing),
	    cmocka_unit_test_setup(processes_of_another_name_are_dropped, nothing),
	    cmocka_unit_test_setup(who_sends_most_comes_first, nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
