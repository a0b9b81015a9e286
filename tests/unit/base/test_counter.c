#include "unit/unit.h"

#include "base/counter.h"

static void an_end_that_is_seen_first_is_no_huge_number(void **state)
{
	assert_int_equal(counter_between(5, 3), 2);
	assert_int_equal(counter_between(3, 3), 0);
	assert_int_equal(counter_between(3, 4), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(an_end_that_is_seen_first_is_no_huge_number),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
