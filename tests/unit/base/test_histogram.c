#include "unit/unit.h"

#include <stdlib.h>
#include <string.h>

#include "base/histogram.h"

static int empty(void **state)
{
	*state = calloc(1, sizeof(struct histogram));
	return *state ? 0 : -1;
}

static int gone(void **state)
{
	free(*state);
	return 0;
}

static void an_empty_one_says_zero(void **state)
{
	assert_int_equal(histogram_quantile(*state, 500), 0);
	assert_int_equal(histogram_mean(*state), 0);
	assert_int_equal(histogram_max(*state), 0);
}

static void small_values_are_exact(void **state)
{
	for (uint64_t value = 1; value <= 60; value++)
		histogram_add(*state, value);
	assert_int_equal(histogram_count(*state), 60);
	assert_int_equal(histogram_quantile(*state, 500), 30);
	assert_int_equal(histogram_quantile(*state, 1000), 60);
	assert_int_equal(histogram_quantile(*state, 0), 1);
	assert_int_equal(histogram_mean(*state), 30);
}

/* One value alone: its quantile is its bucket's end, cut at the largest value, which is itself; so
 * a larger one is added beside it. */
static void each_value_is_counted_within_a_thirty_second_of_itself(void **state)
{
	struct histogram *h = *state;

	for (unsigned bit = 0; bit < HISTOGRAM_VALUE_BITS - 1; bit++)
		for (uint64_t step = 0; step < 4; step++) {
			uint64_t value = (1ull << bit) + step * (1ull << bit) / 5, found;

			memset(h, 0, sizeof(*h));
			histogram_add(h, value);
			histogram_add(h, UINT64_MAX);
			found = histogram_quantile(h, 500);
			assert_true(found >= value && found - value <= value / 32);
		}
}

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static void quantiles_agree_with_a_sorted_array(void **state)
{
	enum { COUNT = 5000 };
	uint64_t *values = calloc(COUNT, sizeof(*values));

	srand(7);
	for (unsigned i = 0; i < COUNT; i++) {
		values[i] = (uint64_t)rand() >> (rand() % 30);
		histogram_add(*state, values[i]);
	}
	qsort(values, COUNT, sizeof(*values), compare);
	for (unsigned permille = 1; permille <= 1000; permille++) {
		uint64_t exact = values[(COUNT * permille + 999) / 1000 - 1];
		uint64_t found = histogram_quantile(*state, permille);

		assert_true(found >= exact && found - exact <= exact / 32);
	}
	assert_int_equal(histogram_max(*state), values[COUNT - 1]);
	free(values);
}

static void merging_is_adding_both(void **state)
{
	struct histogram *both = calloc(1, sizeof(*both)), *other = calloc(1, sizeof(*other));

	for (uint64_t value = 0; value < 10000; value += 3) {
		histogram_add(value % 2 ? *state : (void *)other, value * value);
		histogram_add(both, value * value);
	}
	histogram_merge(*state, other);
	assert_memory_equal(*state, both, sizeof(*both));
	free(both);
	free(other);
}

static void counting_up_to_a_value_is_never_too_many(void **state)
{
	for (uint64_t value = 1; value <= 100000; value++)
		histogram_add_times(*state, value, 2);
	for (uint64_t value = 10; value <= 100000; value *= 10) {
		uint64_t found = histogram_count_to(*state, value);

		assert_true(found <= 2 * value && found + value / 8 >= 2 * value);
	}
	assert_int_equal(histogram_count_to(*state, UINT64_MAX), 200000);
	assert_int_equal(histogram_count(*state), 200000);
	assert_int_equal(histogram_sum(*state), UINT64_C(100000) * 100001);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(an_empty_one_says_zero, empty, gone),
	    cmocka_unit_test_setup_teardown(small_values_are_exact, empty, gone),
	    cmocka_unit_test_setup_teardown(each_value_is_counted_within_a_thirty_second_of_itself,
					    empty, gone),
	    cmocka_unit_test_setup_teardown(quantiles_agree_with_a_sorted_array, empty, gone),
	    cmocka_unit_test_setup_teardown(merging_is_adding_both, empty, gone),
	    cmocka_unit_test_setup_teardown(counting_up_to_a_value_is_never_too_many, empty, gone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
