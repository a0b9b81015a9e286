#include "unit/unit.h"

#include <stdlib.h>

#include "engine/ledger.h"

static void columns_sum_whatever_is_accounted_and_moved(void **state)
{
	struct leat_ledger ledger = {0};
	uint64_t in_column[COLUMN_COUNT] = {0};

	srandom(1);
	for (int i = 0; i < 10000; i++) {
		enum column column = (enum column)(random() % COLUMN_COUNT);
		enum column other = (enum column)(random() % COLUMN_COUNT);
		uint64_t bytes = (uint64_t)random() % 100000;

		ledger_account(&ledger, column, bytes);
		in_column[column] += bytes;
		bytes = in_column[other] / 2;
		ledger_move(&ledger, other, column, bytes);
		in_column[other] -= bytes;
		in_column[column] += bytes;
		assert_true(ledger_sums(&ledger));
	}
	assert_int_equal(ledger.bytes_copied, in_column[COLUMN_COPIED]);
	assert_int_equal(ledger.bytes_by_reference, in_column[COLUMN_BY_REFERENCE]);
	ledger.bytes_unknown++;
	assert_false(ledger_sums(&ledger));
}

static void totals_are_the_sum_of_what_was_published(void **state)
{
	struct leat_ledger totals = {0}, seen = {0};
	struct leat_ledger now = {0}, published = {0};

	ledger_account(&now, COLUMN_UNKNOWN, 100);
	now.syscalls = 3;
	ledger_publish(&totals, &now, &published);
	published = now;
	ledger_move(&now, COLUMN_UNKNOWN, COLUMN_COPIED_LATER, 60);
	now.syscalls = 4;
	ledger_publish(&totals, &now, &published);
	ledger_snapshot(&totals, &seen);
	assert_memory_equal(&seen, &now, sizeof(seen));
	assert_true(ledger_sums(&seen));
	assert_int_equal(seen.bytes_unknown, 40);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(columns_sum_whatever_is_accounted_and_moved),
	    cmocka_unit_test(totals_are_the_sum_of_what_was_published),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
