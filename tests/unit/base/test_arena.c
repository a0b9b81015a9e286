#include "unit/unit.h"

#include "base/arena.h"

static void pieces_are_aligned_and_apart(void **state)
{
	_Alignas(ARENA_ALIGN) char memory[32];
	struct arena arena = arena_over(memory, sizeof(memory));
	char *a = arena_take(&arena, 1), *b = arena_take_array(&arena, 2, 4);

	assert_ptr_equal(a, memory);
	assert_ptr_equal(b, memory + 8);
	assert_non_null(arena_take(&arena, 0));
	assert_non_null(arena_take(&arena, 16));
	assert_null(arena_take(&arena, 1));
	arena_reset(&arena);
	assert_ptr_equal(arena_take(&arena, 32), memory);
}

static void what_does_not_fit_is_null_and_takes_nothing(void **state)
{
	_Alignas(ARENA_ALIGN) char memory[15];
	struct arena arena = arena_over(memory, sizeof(memory));

	assert_null(arena_take(&arena, 16));
	assert_null(arena_take(&arena, 9)); /* its padding would not fit */
	assert_null(arena_take(&arena, SIZE_MAX));
	assert_null(arena_take_array(&arena, SIZE_MAX / 2, 3));
	assert_int_equal(arena.used, 0);
	assert_non_null(arena_take(&arena, 8));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(pieces_are_aligned_and_apart),
	    cmocka_unit_test(what_does_not_fit_is_null_and_takes_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
