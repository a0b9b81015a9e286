#include "support.h"

#include "engine/inflight.h"

static unsigned released[8];
static unsigned released_count;

static void note_release(void *arg)
{
	released[released_count++] = (unsigned)(uintptr_t)arg;
}

static struct inflight *fresh(void)
{
	static struct inflight inflight;

	memset(&inflight, 0, sizeof(inflight));
	released_count = 0;
	return &inflight;
}

static void complete(struct inflight *inflight, uint64_t number)
{
	assert_non_null(inflight_complete(inflight, number));
	assert_null(inflight_complete(inflight, number));
}

static uint64_t retire(struct inflight *inflight)
{
	inflight_retire(inflight);
	return inflight_count(inflight);
}

static void releases_come_in_order_and_only_after_all_sends_before(void **state)
{
	struct inflight *inflight = fresh();

	for (uintptr_t segment = 1; segment <= 3; segment++) {
		inflight_add(inflight, 10, COLUMN_BY_REFERENCE, false);
		inflight_add(inflight, 10, COLUMN_BY_REFERENCE, false);
		assert_true(inflight_hold(inflight, note_release, (void *)segment));
	}
	complete(inflight, 2);
	complete(inflight, 3); /* all of the second segment, but not the first */
	assert_int_equal(retire(inflight), 6);
	assert_int_equal(released_count, 0);
	complete(inflight, 0);
	complete(inflight, 1);
	assert_int_equal(retire(inflight), 2);
	assert_int_equal(released_count, 2);
	assert_int_equal(released[0], 1);
	assert_int_equal(released[1], 2);
	inflight_drop(inflight);
	assert_int_equal(released_count, 3);
}

static void a_segment_without_outstanding_sends_is_not_held(void **state)
{
	struct inflight *inflight = fresh();

	assert_false(inflight_hold(inflight, note_release, NULL));
	inflight_add(inflight, 10, COLUMN_BY_REFERENCE, false);
	assert_true(inflight_hold(inflight, note_release, NULL));
	/* The next segment went another way: the outstanding send is not its own. */
	assert_false(inflight_hold(inflight, note_release, NULL));
	inflight_add(inflight, 10, COLUMN_BY_REFERENCE, false);
	complete(inflight, 0);
	complete(inflight, 1);
	inflight_retire(inflight);
	assert_false(inflight_hold(inflight, note_release, NULL));
}

static void the_kernels_count_may_start_anywhere_and_wrap(void **state)
{
	struct inflight *inflight = fresh();
	struct zerocopy_base base = {.known = false};
	uint32_t id = UINT32_MAX - 2;
	uint64_t from, to;

	for (unsigned i = 0; i < 8; i++)
		inflight_add(inflight, 1, COLUMN_BY_REFERENCE, false);
	zerocopy_range(&base, inflight, id, id, &from, &to);
	assert_int_equal(from, 0);
	assert_int_equal(to, 1);
	zerocopy_range(&base, inflight, id + 1, id + 5, &from, &to); /* over the wrap */
	assert_int_equal(from, 1);
	assert_int_equal(to, 6);
	for (uint64_t i = 0; i < 6; i++)
		complete(inflight, i);
	assert_int_equal(retire(inflight), 2);
	zerocopy_range(&base, inflight, id + 6, id + 7, &from, &to);
	assert_int_equal(from, 6);
	assert_int_equal(to, 8);
}

static void a_range_beyond_what_was_sent_or_seen_twice_is_cut(void **state)
{
	struct inflight *inflight = fresh();
	struct zerocopy_base base = {.known = false};
	uint64_t from, to;

	for (unsigned i = 0; i < 4; i++)
		inflight_add(inflight, 1, COLUMN_BY_REFERENCE, false);
	zerocopy_range(&base, inflight, 100, 101, &from, &to);
	complete(inflight, 0);
	complete(inflight, 1);
	inflight_retire(inflight);
	zerocopy_range(&base, inflight, 100, 101, &from, &to);
	assert_int_equal(from, to);
	zerocopy_range(&base, inflight, 102, 4000, &from, &to);
	assert_int_equal(from, 2);
	assert_int_equal(to, 4);
}

static void a_later_completion_that_comes_first_corrects_the_base(void **state)
{
	struct inflight *inflight = fresh();
	struct zerocopy_base base = {.known = false};
	uint64_t from, to;

	for (unsigned i = 0; i < 4; i++)
		inflight_add(inflight, 1, COLUMN_BY_REFERENCE, false);
	zerocopy_range(&base, inflight, 12, 12, &from, &to); /* the third, taken for the first */
	assert_int_equal(to, 1);
	complete(inflight, 0);
	inflight_retire(inflight);
	zerocopy_range(&base, inflight, 10, 11, &from, &to);
	assert_int_equal(from, 1);
	assert_int_equal(to, 3);
	complete(inflight, 1);
	complete(inflight, 2);
	inflight_retire(inflight);
	zerocopy_range(&base, inflight, 13, 13, &from, &to);
	assert_int_equal(from, 3);
	assert_int_equal(to, 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(releases_come_in_order_and_only_after_all_sends_before),
	    cmocka_unit_test(a_segment_without_outstanding_sends_is_not_held),
	    cmocka_unit_test(the_kernels_count_may_start_anywhere_and_wrap),
	    cmocka_unit_test(a_range_beyond_what_was_sent_or_seen_twice_is_cut),
	    cmocka_unit_test(a_later_completion_that_comes_first_corrects_the_base),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
