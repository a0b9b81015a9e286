#include "unit/unit.h"

#include <math.h>

#include "lab/stats.h"

static void near(double a, double b)
{
	assert_true(fabs(a - b) < 1e-9);
}

static void an_odd_number_has_a_middle_one(void **state)
{
	double values[] = {5, 1, 4, 2, 3};
	struct lab_figure figure = lab_figure_of(values, 5);

	near(figure.median, 3);
	near(figure.low, 2);
	near(figure.high, 4);
}

static void between_two_it_is_linear(void **state)
{
	double values[] = {10, 20};
	struct lab_figure figure = lab_figure_of(values, 2);

	near(figure.median, 15);
	near(figure.low, 12.5);
	near(figure.high, 17.5);
}

static void one_value_is_its_own_spread(void **state)
{
	double value = 7;
	struct lab_figure figure = lab_figure_of(&value, 1);

	near(figure.median, 7);
	near(figure.low, 7);
	near(figure.high, 7);
}

static void one_round_gone_wrong_does_not_move_the_median(void **state)
{
	double values[] = {2, 2, 1000, 2, 2};

	near(lab_figure_of(values, 5).median, 2);
	near(lab_figure_of(values, 5).high, 2);
}

static void what_was_not_measured_is_left_out(void **state)
{
	double some[] = {NAN, 3, NAN, 1, 2}, none[] = {NAN, NAN};

	near(lab_figure_of(some, 5).median, 2);
	assert_true(isnan(lab_figure_of(none, 2).median));
	assert_true(isnan(lab_figure_of(none, 0).high));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(an_odd_number_has_a_middle_one),
	    cmocka_unit_test(between_two_it_is_linear),
	    cmocka_unit_test(one_value_is_its_own_spread),
	    cmocka_unit_test(one_round_gone_wrong_does_not_move_the_median),
	    cmocka_unit_test(what_was_not_measured_is_left_out),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
