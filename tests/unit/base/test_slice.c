#include "unit/unit.h"

#include "base/slice.h"

static void trim_drops_spaces_and_tabs_at_both_ends(void **state)
{
	struct slice s = slice_trim(slice_of(" \t a b\t "));

	assert_int_equal(s.len, 3);
	assert_memory_equal(s.ptr, "a b", 3);
	assert_int_equal(slice_trim(slice_of(" \t ")).len, 0);
}

static void equality_without_case_is_for_ascii_letters_only(void **state)
{
	assert_true(slice_eq_nocase(slice_of("Content-Length"), slice_of("cONTENT-lENGTH")));
	assert_false(slice_eq_nocase(slice_of("["), slice_of("{")));
	assert_false(slice_eq_nocase(slice_of("a"), slice_of("ab")));
}

static void empty_slices_are_equal_even_without_a_pointer(void **state)
{
	assert_true(slice_eq(slice_make(NULL, 0), slice_of("")));
	assert_true(slice_starts_with(slice_of("abc"), slice_make(NULL, 0)));
	assert_false(slice_starts_with(slice_of("ab"), slice_of("abc")));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(trim_drops_spaces_and_tabs_at_both_ends),
	    cmocka_unit_test(equality_without_case_is_for_ascii_letters_only),
	    cmocka_unit_test(empty_slices_are_equal_even_without_a_pointer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
