#include "unit/unit.h"

#include <stdlib.h>
#include <string.h>

#include "base/wheel.h"

enum { TIMERS = 300 };

/* The model: deadlines in an array, looked through from end to end. */
struct model {
	struct wheel wheel;
	struct wheel_timer timers[TIMERS];
	uint64_t deadlines[TIMERS];
	uint64_t now_ms;
	uint64_t random;
	unsigned fired;
};

static uint64_t draw(struct model *m, uint64_t below)
{
	m->random ^= m->random << 13;
	m->random ^= m->random >> 7;
	m->random ^= m->random << 17;
	return m->random % below;
}

/* Near and far alike: uniform in the number of bits. */
static uint64_t draw_ms(struct model *m)
{
	return draw(m, 1ull << (1 + draw(m, 34)));
}

static uint64_t earliest(const struct model *m)
{
	uint64_t first = WHEEL_NEVER;

	for (unsigned i = 0; i < TIMERS; i++)
		first = min_u64(first, m->deadlines[i]);
	return first;
}

static void model_set(struct model *m, unsigned i, uint64_t deadline_ms)
{
	wheel_set(&m->wheel, &m->timers[i], deadline_ms);
	m->deadlines[i] =
	    deadline_ms == WHEEL_NEVER ? deadline_ms : max_u64(deadline_ms, m->now_ms + 1);
}

/* Everything that is due comes once, nothing else does; a handler may set the same timer again. */
static void model_advance(struct model *m, uint64_t now_ms)
{
	struct wheel_timer *timer;

	m->now_ms = now_ms;
	wheel_advance(&m->wheel, now_ms);
	while ((timer = wheel_expired(&m->wheel))) {
		unsigned i = (unsigned)(timer - m->timers);

		assert_true(m->deadlines[i] <= now_ms);
		m->deadlines[i] = WHEEL_NEVER;
		m->fired++;
		if (draw(m, 4) == 0)
			model_set(m, i, now_ms + draw_ms(m));
		if (draw(m, 8) == 0)
			model_set(m, (unsigned)draw(m, TIMERS), now_ms + draw_ms(m));
	}
	assert_true(earliest(m) > now_ms);
}

static void run_model(uint64_t start_ms, uint64_t seed)
{
	struct model *m = calloc(1, sizeof(*m));

	m->random = seed;
	m->now_ms = start_ms;
	memset(m->deadlines, 0xff, sizeof(m->deadlines));
	wheel_init(&m->wheel, start_ms);
	for (unsigned step = 0; step < 20000; step++) {
		unsigned i = (unsigned)draw(m, TIMERS);
		uint64_t next;

		switch (draw(m, 8)) {
		case 0:
			wheel_cancel(&m->wheel, &m->timers[i]);
			m->deadlines[i] = WHEEL_NEVER;
			break;
		case 1:
			model_set(m, i, WHEEL_NEVER);
			break;
		case 2:
			model_advance(m, m->now_ms + draw_ms(m) / 8);
			break;
		case 3:
			next = wheel_next(&m->wheel);
			assert_true(next <= earliest(m));
			if (next != WHEEL_NEVER)
				model_advance(m, max_u64(next, m->now_ms));
			break;
		default:
			model_set(m, i, m->now_ms + draw_ms(m));
		}
	}
	assert_true(m->fired > 1000);
	free(m);
}

static void it_agrees_with_a_plain_array_of_deadlines(void **state)
{
	for (uint64_t seed = 1; seed <= 20; seed++)
		run_model(seed * 7777777, seed * 0x9e3779b97f4a7c15);
}

static void it_agrees_across_the_carry_into_a_high_bit(void **state)
{
	for (unsigned bit = 6; bit <= 36; bit += 6)
		run_model((1ull << bit) - 3, bit);
}

static void sleeping_until_wheel_next_reaches_a_far_deadline_in_a_few_steps(void **state)
{
	struct wheel wheel;
	struct wheel_timer timer = {0};
	unsigned steps = 0;

	wheel_init(&wheel, 12345);
	wheel_set(&wheel, &timer, 12345ull + UINT32_MAX);
	while (!wheel_expired(&wheel)) {
		wheel_advance(&wheel, wheel_next(&wheel));
		steps++;
	}
	assert_int_equal(wheel.now_ms, 12345ull + UINT32_MAX);
	assert_in_range(steps, 1, WHEEL_LEVELS);
	assert_true(wheel_next(&wheel) == WHEEL_NEVER);
}

static void moving_a_deadline_later_does_not_move_the_timer(void **state)
{
	struct wheel wheel;
	struct wheel_timer timer = {0};

	wheel_init(&wheel, 0);
	wheel_set(&wheel, &timer, 100);
	wheel_set(&wheel, &timer, 5000);
	assert_int_equal(timer.filed_ms, 100);
	wheel_advance(&wheel, 4999);
	assert_null(wheel_expired(&wheel));
	wheel_advance(&wheel, 5000);
	assert_ptr_equal(wheel_expired(&wheel), &timer);
}

static void a_due_timer_can_be_taken_back_before_it_is_handled(void **state)
{
	struct wheel wheel;
	struct wheel_timer a = {0}, b = {0}, c = {0};

	wheel_init(&wheel, 0);
	wheel_set(&wheel, &a, 10);
	wheel_set(&wheel, &b, 10);
	wheel_set(&wheel, &c, 10);
	wheel_advance(&wheel, 20);
	assert_ptr_equal(wheel_expired(&wheel), &a);
	wheel_cancel(&wheel, &b);
	wheel_set(&wheel, &c, 30);
	assert_null(wheel_expired(&wheel));
	wheel_advance(&wheel, 30);
	assert_ptr_equal(wheel_expired(&wheel), &c);
}

static void a_deadline_in_the_past_is_due_in_the_next_millisecond(void **state)
{
	struct wheel wheel;
	struct wheel_timer timer = {0};

	wheel_init(&wheel, 1000);
	wheel_set(&wheel, &timer, 5);
	wheel_advance(&wheel, 1000);
	assert_null(wheel_expired(&wheel));
	assert_int_equal(wheel_next(&wheel), 1001);
	wheel_advance(&wheel, 1001);
	assert_ptr_equal(wheel_expired(&wheel), &timer);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(it_agrees_with_a_plain_array_of_deadlines),
	    cmocka_unit_test(it_agrees_across_the_carry_into_a_high_bit),
	    cmocka_unit_test(sleeping_until_wheel_next_reaches_a_far_deadline_in_a_few_steps),
	    cmocka_unit_test(moving_a_deadline_later_does_not_move_the_timer),
	    cmocka_unit_test(a_due_timer_can_be_taken_back_before_it_is_handled),
	    cmocka_unit_test(a_deadline_in_the_past_is_due_in_the_next_millisecond),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
