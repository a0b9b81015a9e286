/*
 * The structs of leat.h between a program and a library of different age: an older program's end
 * where they ended then, a newer program's have members that this library does not know.
 */
#include "support.h"

#define UNTOUCHED 0x5a

/* Room for a struct of a newer program, all UNTOUCHED but for its size. */
union room {
	size_t size;
	struct leat_report report;
	struct leat_ledger ledger;
	struct leat_mirror_report mirror;
	struct leat_wait wait;
	struct leat_load load;
	struct leat_capabilities capabilities;
	struct leat_thresholds thresholds;
	unsigned char bytes[2 * sizeof(struct leat_report)];
};

struct fixture {
	struct leat_engine *engine;
	struct leat_chain *chain;
	int ends[2], mirror[2];
};

static int open_fixture(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	unix_pair(f->ends);
	unix_pair(f->mirror);
	assert_int_equal(leat_engine_new(&f->engine), 0);
	assert_int_equal(leat_chain_new(f->engine, f->ends[0], NULL, &f->chain), 0);
	assert_int_equal(leat_chain_add_mirror(f->chain, f->mirror[0], LEAT_MIRROR_WAIT), 0);
	assert_int_equal(leat_chain_add_memory(f->chain, "four", 4, NULL, NULL), 0);
	assert_int_equal(leat_chain_step(f->chain, 0), LEAT_DONE);
	*state = f;
	return 0;
}

static int close_fixture(void **state)
{
	struct fixture *f = *state;

	leat_chain_free(f->chain);
	leat_engine_free(f->engine);
	close_pair(f->ends);
	close_pair(f->mirror);
	free(f);
	return 0;
}

enum call { REPORT, MIRROR, LEDGER, WAIT, LOAD, CAPABILITIES, THRESHOLDS, CALLS };

static const size_t sizes[CALLS] = {
    [REPORT] = sizeof(struct leat_report),
    [MIRROR] = sizeof(struct leat_mirror_report),
    [LEDGER] = sizeof(struct leat_ledger),
    [WAIT] = sizeof(struct leat_wait),
    [LOAD] = sizeof(struct leat_load),
    [CAPABILITIES] = sizeof(struct leat_capabilities),
    [THRESHOLDS] = sizeof(struct leat_thresholds),
};

static void ask(const struct fixture *f, enum call call, union room *room, size_t size)
{
	memset(room, UNTOUCHED, sizeof(*room));
	room->size = size;
	switch (call) {
	case REPORT:
		leat_chain_report(f->chain, &room->report);
		break;
	case MIRROR:
		assert_int_equal(leat_chain_mirror_report(f->chain, 0, &room->mirror), 0);
		break;
	case LEDGER:
		leat_engine_ledger(f->engine, &room->ledger);
		break;
	case WAIT:
		leat_chain_wait(f->chain, &room->wait);
		break;
	case LOAD:
		leat_chain_load(f->chain, &room->load);
		break;
	case CAPABILITIES:
		assert_int_equal(leat_capabilities(&room->capabilities), 0);
		break;
	case THRESHOLDS:
		leat_thresholds_get(&room->thresholds);
		break;
	case CALLS:
		break;
	}
}

static void nothing_is_written_beyond_what_the_caller_has(void **state)
{
	for (enum call call = 0; call < CALLS; call++) {
		union room whole, part;

		ask(*state, call, &whole, sizes[call]);
		for (size_t size = 0; size <= sizes[call]; size++) {
			ask(*state, call, &part, size);
			assert_int_equal(part.size, size);
			for (size_t i = size; i < sizeof(part); i++)
				if (i >= sizeof(size_t) && part.bytes[i] != UNTOUCHED)
					fail_msg("call %d, size %zu: byte %zu", call, size, i);
		}
	}
}

static void a_newer_callers_members_stay_as_they_were(void **state)
{
	for (enum call call = 0; call < CALLS; call++) {
		union room room;

		ask(*state, call, &room, sizes[call] + 64);
		assert_int_equal(room.size, sizes[call] + 64);
		for (size_t i = sizes[call]; i < sizeof(room); i++)
			assert_int_equal(room.bytes[i], UNTOUCHED);
	}
}

/* A program that was built when the ledger had three counters. */
static void an_older_ledger_gets_the_counters_that_it_has(void **state)
{
	const size_t three = offsetof(struct leat_ledger, bytes_copied_later);
	const struct fixture *f = *state;
	union room room;

	ask(f, LEDGER, &room, three);
	assert_int_equal(room.ledger.bytes, 4);
	assert_int_equal(room.ledger.bytes_copied, 4);
	ask(f, REPORT, &room, offsetof(struct leat_report, ledger) + three);
	assert_int_equal(room.report.ledger.size, three);
	assert_int_equal(room.report.ledger.bytes_copied, 4);
	assert_string_equal(room.report.reason, "memory to several sinks");
	ask(f, REPORT, &room, sizeof(room.report));
	assert_int_equal(room.report.ledger.size, sizeof(room.report.ledger));
}

static void a_load_without_a_size_is_refused(void **state)
{
	struct leat_load load = {.size = 0};

	assert_int_equal(leat_load_run(&load), -EINVAL);
}

static void thresholds_of_an_older_program_leave_the_rest(void **state)
{
	struct leat_thresholds before = {.size = sizeof(before)}, now = before;

	leat_thresholds_get(&before);
	now.copy_below = before.copy_below + 1;
	now.zerocopy_above = 77;
	now.size = offsetof(struct leat_thresholds, zerocopy_above);
	leat_thresholds_set(&now);
	now.size = 0; /* LEAT_..._INIT forgotten: nothing is taken */
	now.copy_below = 99;
	leat_thresholds_set(&now);
	now.size = sizeof(now);
	leat_thresholds_get(&now);
	assert_int_equal(now.copy_below, before.copy_below + 1);
	assert_int_equal(now.zerocopy_above, before.zerocopy_above);
	leat_thresholds_set(&before);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(nothing_is_written_beyond_what_the_caller_has,
					    open_fixture, close_fixture),
	    cmocka_unit_test_setup_teardown(a_newer_callers_members_stay_as_they_were, open_fixture,
					    close_fixture),
	    cmocka_unit_test_setup_teardown(an_older_ledger_gets_the_counters_that_it_has,
					    open_fixture, close_fixture),
	    cmocka_unit_test(a_load_without_a_size_is_refused),
	    cmocka_unit_test(thresholds_of_an_older_program_leave_the_rest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
