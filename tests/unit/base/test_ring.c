#include "unit/unit.h"

#include <pthread.h>
#include <sched.h>
#include <stdlib.h>

#include "base/ring.h"

enum { WRITERS = 4, MESSAGES = 20000, CELLS = 64 };

static struct ring_message message(uintptr_t n)
{
	return (struct ring_message){.fn = NULL, .arg = (void *)n};
}

static void messages_come_out_in_order_lap_after_lap(void **state)
{
	struct ring_cell cells[4] = {0};
	struct ring_message got;
	struct ring ring;

	ring_init(&ring, cells, 4);
	for (uintptr_t n = 0; n < 100; n++) {
		assert_true(ring_push(&ring, message(2 * n)));
		assert_true(ring_push(&ring, message(2 * n + 1)));
		assert_int_equal(ring_pending(&ring), 2);
		assert_true(ring_pop(&ring, &got));
		assert_int_equal((uintptr_t)got.arg, 2 * n);
		assert_true(ring_pop(&ring, &got));
		assert_int_equal((uintptr_t)got.arg, 2 * n + 1);
		assert_true(ring_empty(&ring));
	}
}

static void a_full_ring_refuses_and_takes_again_after_a_pop(void **state)
{
	struct ring_cell cells[8] = {0};
	struct ring_message got;
	struct ring ring;

	ring_init(&ring, cells, 8);
	for (unsigned lap = 0; lap < 3; lap++) {
		for (uintptr_t n = 0; n < 8; n++)
			assert_true(ring_push(&ring, message(n)));
		assert_false(ring_push(&ring, message(99)));
		assert_true(ring_pop(&ring, &got));
		assert_true(ring_push(&ring, message(8)));
		assert_false(ring_push(&ring, message(99)));
		for (uintptr_t n = 1; n <= 8; n++) {
			assert_true(ring_pop(&ring, &got));
			assert_int_equal((uintptr_t)got.arg, n);
		}
		assert_false(ring_pop(&ring, &got));
	}
}

struct writer {
	struct ring *ring;
	uintptr_t id;
	pthread_t thread;
};

static void *write_all(void *arg)
{
	struct writer *writer = arg;

	for (uintptr_t n = 0; n < MESSAGES; n++)
		while (!ring_push(writer->ring, message(writer->id << 32 | n)))
			sched_yield();
	return NULL;
}

static void each_message_of_many_threads_comes_once_and_in_its_writers_order(void **state)
{
	struct ring_cell *cells = calloc(CELLS, sizeof(*cells));
	struct writer writers[WRITERS];
	uintptr_t next[WRITERS] = {0};
	struct ring_message got;
	struct ring ring;

	ring_init(&ring, cells, CELLS);
	for (uintptr_t i = 0; i < WRITERS; i++) {
		writers[i] = (struct writer){.ring = &ring, .id = i};
		pthread_create(&writers[i].thread, NULL, write_all, &writers[i]);
	}
	for (unsigned n = 0; n < WRITERS * MESSAGES;) {
		if (!ring_pop(&ring, &got)) {
			sched_yield();
			continue;
		}
		assert_int_equal((uintptr_t)got.arg & UINT32_MAX, next[(uintptr_t)got.arg >> 32]++);
		n++;
	}
	for (unsigned i = 0; i < WRITERS; i++)
		pthread_join(writers[i].thread, NULL);
	assert_true(ring_empty(&ring));
	free(cells);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(messages_come_out_in_order_lap_after_lap),
	    cmocka_unit_test(a_full_ring_refuses_and_takes_again_after_a_pop),
	    cmocka_unit_test(each_message_of_many_threads_comes_once_and_in_its_writers_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
