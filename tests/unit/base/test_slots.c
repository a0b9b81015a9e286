#include "unit/unit.h"

#include <stdlib.h>

#include "base/slots.h"

struct thing {
	struct slot slot;
	uint64_t value;
};

enum { THINGS = 8 };

static struct thing memory[THINGS];
static struct slots slots;

static int fresh_pool(void **state)
{
	for (unsigned i = 0; i < THINGS; i++)
		memory[i] = (struct thing){0};
	slots_init(&slots, memory, sizeof(struct thing), THINGS);
	return 0;
}

static void all_slots_can_be_taken_and_no_more(void **state)
{
	bool fresh, seen[THINGS] = {false};

	for (unsigned i = 0; i < THINGS; i++) {
		struct thing *thing = slots_take(&slots, &fresh);

		assert_true(fresh);
		assert_false(seen[thing - memory]);
		seen[thing - memory] = true;
	}
	assert_null(slots_take(&slots, &fresh));
	assert_int_equal(slots.taken, THINGS);
}

static void the_slot_given_back_last_is_taken_first(void **state)
{
	bool fresh;
	struct thing *a = slots_take(&slots, &fresh), *b = slots_take(&slots, &fresh);

	slots_give(&slots, a);
	slots_give(&slots, b);
	assert_ptr_equal(slots_take(&slots, &fresh), b);
	assert_false(fresh);
	assert_ptr_equal(slots_take(&slots, &fresh), a);
	assert_int_equal(slots.touched, 2);
}

static void a_generation_is_never_that_of_an_earlier_life(void **state)
{
	bool fresh;
	struct thing *thing = slots_take(&slots, &fresh);
	uint32_t before = thing->slot.generation;

	assert_true(slot_is_taken(&thing->slot));
	slots_give(&slots, thing);
	assert_false(slot_is_taken(&thing->slot));
	assert_int_not_equal(thing->slot.generation, before);
	assert_ptr_equal(slots_take(&slots, &fresh), thing);
	assert_int_not_equal(thing->slot.generation, before);
}

static void slots_never_taken_are_never_written(void **state)
{
	bool fresh;

	for (unsigned i = 0; i < 100; i++)
		slots_give(&slots, slots_take(&slots, &fresh));
	for (unsigned i = 1; i < THINGS; i++)
		assert_int_equal(memory[i].slot.generation, 0);
}

static void taking_and_giving_at_random_agrees_with_a_set(void **state)
{
	bool taken[THINGS] = {false};
	unsigned count = 0;

	srand(1);
	for (unsigned step = 0; step < 10000; step++) {
		unsigned i = (unsigned)rand() % THINGS;
		bool fresh;

		if (taken[i]) {
			slots_give(&slots, &memory[i]);
			taken[i] = false;
			count--;
		} else {
			struct thing *thing = slots_take(&slots, &fresh);

			assert_non_null(thing);
			assert_false(taken[thing - memory]);
			taken[thing - memory] = true;
			count++;
		}
		assert_int_equal(slots.taken, count);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup(all_slots_can_be_taken_and_no_more, fresh_pool),
	    cmocka_unit_test_setup(the_slot_given_back_last_is_taken_first, fresh_pool),
	    cmocka_unit_test_setup(a_generation_is_never_that_of_an_earlier_life, fresh_pool),
	    cmocka_unit_test_setup(slots_never_taken_are_never_written, fresh_pool),
	    cmocka_unit_test_setup(taking_and_giving_at_random_agrees_with_a_set, fresh_pool),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
