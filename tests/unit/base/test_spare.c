#include "unit/unit.h"

#include <string.h>

#include "base/spare.h"

enum { SIZE = 64, MAX = 3 };

static struct spare spare;

static int empty(void **state)
{
	spare_init(&spare, SIZE, MAX);
	return 0;
}

static int finished(void **state)
{
	spare_fini(&spare);
	assert_int_equal(spare.count, 0);
	return 0;
}

static void fill(unsigned count)
{
	void *blocks[MAX + 1];

	for (unsigned i = 0; i < count; i++) {
		blocks[i] = spare_take(&spare);
		assert_non_null(blocks[i]);
		memset(blocks[i], 1, SIZE);
	}
	for (unsigned i = 0; i < count; i++)
		spare_give(&spare, blocks[i]);
}

static void the_block_given_back_last_is_taken_first(void **state)
{
	void *a = spare_take(&spare), *b = spare_take(&spare);

	spare_give(&spare, a);
	spare_give(&spare, b);
	assert_ptr_equal(spare_take(&spare), b);
	assert_ptr_equal(spare_take(&spare), a);
	assert_int_equal(spare.count, 0);
	spare_give(&spare, a);
	spare_give(&spare, b);
}

static void no_more_than_the_limit_are_kept(void **state)
{
	fill(MAX + 1);
	assert_int_equal(spare.count, MAX);
}

static void trimming_drops_what_was_not_taken_since_the_last_time(void **state)
{
	fill(MAX);
	/* They came since: whether they are needed is not known yet. */
	spare_trim(&spare);
	assert_int_equal(spare.count, MAX);
	fill(1);
	spare_trim(&spare);
	assert_int_equal(spare.count, 1);
	fill(1);
	spare_trim(&spare);
	assert_int_equal(spare.count, 1);
	spare_trim(&spare);
	assert_int_equal(spare.count, 0);
	spare_trim(&spare);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(the_block_given_back_last_is_taken_first, empty,
					    finished),
	    cmocka_unit_test_setup_teardown(no_more_than_the_limit_are_kept, empty, finished),
	    cmocka_unit_test_setup_teardown(trimming_drops_what_was_not_taken_since_the_last_time,
					    empty, finished),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
