#include "unit/http/core/http_test.h"

#include <inttypes.h>

#include "base/buf.h"
#include "http/core/range.h"

static void one_range_is_cut_at_the_end_of_the_file(void **state)
{
	static const struct {
		const char *value;
		uint64_t first, last;
	} rows[] = {
	    {"bytes=0-0", 0, 0},
	    {"bytes=0-499", 0, 499},
	    {"bytes=500-999", 500, 999},
	    {"bytes=500-", 500, 999},
	    {"bytes=999-", 999, 999},
	    {"bytes=0-99999", 0, 999},
	    {"bytes=-1", 999, 999},
	    {"bytes=-500", 500, 999},
	    {"bytes=-5000", 0, 999},
	    {"Bytes=1-2", 1, 2},
	    {"bytes= 1-2 ", 1, 2},
	    {"bytes=,,1-2,", 1, 2},
	    {"bytes=0001-0002", 1, 2},
	    {"bytes=5-18446744073709551615", 5, 999},
	    {"bytes=5-99999999999999999999999999", 5, 999},
	    {"bytes=-99999999999999999999999999", 0, 999},
	    {"bytes=1000-,1-2", 1, 2},
	    {"bytes=-0,1-2", 1, 2},
	};
	struct http_ranges r;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		assert_int_equal(http_range_parse(slice_of(rows[i].value), 1000, &r),
				 HTTP_RANGE_PARTIAL);
		assert_int_equal(r.count, 1);
		assert_int_equal(r.range[0].first, rows[i].first);
		assert_int_equal(r.range[0].last, rows[i].last);
	}
}

static void what_is_no_range_is_ignored(void **state)
{
	static const char *const rows[] = {"",           "bytes",       "bytes=",     "bytes=,",
					   "bytes=-",    "bytes=a-b",   "bytes=1",    "bytes=2-1",
					   "bytes=1-2x", "bytes=x1-2",  "bytes=1--2", "bytes=--1",
					   "bytes=1 -2", "bytes=1- 2",  "bytes=+1-2", "bytes=0x1-2",
					   "bytes:1-2",  "bytes =1-2",  "items=1-2",  "bytes=1-2,x",
					   "bytes=1-2;", "bytes=1-2 3", "bytes=1.5-2"};
	struct http_ranges r;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		if (http_range_parse(slice_of(rows[i]), 1000, &r) != HTTP_RANGE_WHOLE)
			fail_msg("not ignored: %s", rows[i]);
	assert_int_equal(http_range_parse(slice_of("bytes=0-"), 0, &r), HTTP_RANGE_WHOLE);
	assert_int_equal(http_range_parse(slice_of("bytes=-5"), 0, &r), HTTP_RANGE_WHOLE);
}

static void beyond_the_end_is_unsatisfiable(void **state)
{
	static const char *const rows[] = {
	    "bytes=1000-",
	    "bytes=1000-2000",
	    "bytes=-0",
	    "bytes=-0,5000-",
	    "bytes=18446744073709551615-",
	    "bytes=18446744073709551616-18446744073709551617",
	};
	struct http_ranges r;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		assert_int_equal(http_range_parse(slice_of(rows[i]), 1000, &r),
				 HTTP_RANGE_UNSATISFIABLE);
}

static void the_largest_file_does_not_overflow(void **state)
{
	struct http_ranges r;

	assert_int_equal(http_range_parse(slice_of("bytes=-1,9223372036854775805-"), INT64_MAX, &r),
			 HTTP_RANGE_PARTIAL);
	assert_int_equal(r.count, 1);
	assert_int_equal(r.range[0].first, INT64_MAX - 2);
	assert_int_equal(r.range[0].last, INT64_MAX - 1);
}

static void sixty_four_ranges_are_served_and_one_more_is_not(void **state)
{
	char value[1000] = "bytes=";
	struct http_ranges r;

	for (int i = 0; i < 64; i++)
		sprintf(value + strlen(value), "%d-%d,", i * 10, i * 10 + 3);
	assert_int_equal(http_range_parse(slice_of(value), 1000, &r), HTTP_RANGE_PARTIAL);
	assert_int_equal(r.count, 64);
	strcat(value, "990-");
	assert_int_equal(http_range_parse(slice_of(value), 1000, &r), HTTP_RANGE_WHOLE);
}

static void wild_overlaps_are_ignored(void **state)
{
	struct http_ranges r;

	assert_int_equal(http_range_parse(slice_of("bytes=0-,0-,0-"), 1000, &r),
			 HTTP_RANGE_PARTIAL);
	assert_int_equal(r.count, 1);
	assert_int_equal(http_range_parse(slice_of("bytes=0-,0-,0-,0-"), 1000, &r),
			 HTTP_RANGE_WHOLE);
}

/* ---- the model: a file of at most 48 bytes as a bit mask ---- */

#define MODEL_SIZE_MAX 48

static uint64_t mask_of(uint64_t first, uint64_t last)
{
	uint64_t mask = 0;

	for (uint64_t i = first; i <= last && i < 64; i++)
		mask |= UINT64_C(1) << i;
	return mask;
}

struct model {
	enum http_range_result result;
	uint64_t wanted;     /* bytes that go out */
	uint64_t masks[200]; /* of each range that can be satisfied, in order */
	unsigned count;
};

static void add_to_model(struct model *model, uint64_t mask, unsigned *overlapping)
{
	*overlapping += (mask & model->wanted) != 0;
	model->wanted |= mask;
	if (mask)
		model->masks[model->count++] = mask;
}

static void random_header(uint64_t *random, uint64_t size, struct buf *out, struct model *model)
{
	static const char *const commas[] = {",", ", ", " ,", ",,", "\t,\t"};
	unsigned count = 1 + (unsigned)random_below(random, random_below(random, 9) ? 6 : 80);
	unsigned overlapping = 0;
	uint64_t file = mask_of(0, size - 1);

	*model = (struct model){.count = 0};
	buf_printf(out, "bytes=");
	for (unsigned i = 0; i < count; i++) {
		uint64_t a = random_below(random, size + 4), b = random_below(random, size + 4);

		if (i > 0)
			buf_printf(out, "%s", commas[random_below(random, 5)]);
		switch (random_below(random, 6)) {
		case 0:
			buf_printf(out, "%" PRIu64 "-", a);
			add_to_model(model, mask_of(a, 63) & file, &overlapping);
			break;
		case 1:
			buf_printf(out, "-%" PRIu64, b);
			add_to_model(model, b ? mask_of(b > size ? 0 : size - b, 63) & file : 0,
				     &overlapping);
			break;
		default:
			if (a > b) {
				uint64_t swap = a;
				a = b;
				b = swap;
			}
			if (random_below(random, 2) && b > a + 3)
				b = a + 3;
			buf_printf(out, "%" PRIu64 "-%" PRIu64, a, b);
			add_to_model(model, mask_of(a, b) & file, &overlapping);
		}
	}
	model->result = count > HTTP_RANGES_MAX || overlapping > HTTP_RANGE_OVERLAPS_MAX
			    ? HTTP_RANGE_WHOLE
			: model->wanted ? HTTP_RANGE_PARTIAL
					: HTTP_RANGE_UNSATISFIABLE;
}

/* The earliest asked range that went into `mask`. */
static unsigned first_mention(const struct model *model, uint64_t mask)
{
	unsigned i = 0;

	while (i < model->count && !(model->masks[i] & mask))
		i++;
	return i;
}

static void check_against_model(const struct http_ranges *r, const struct model *model)
{
	uint64_t seen = 0, around = 0;
	int last_mention = -1;

	for (unsigned i = 0; i < r->count; i++) {
		uint64_t mask = mask_of(r->range[i].first, r->range[i].last);
		int mention = (int)first_mention(model, mask);

		assert_true(r->range[i].first <= r->range[i].last);
		assert_int_equal(mask & around, 0); /* disjoint, not adjacent */
		assert_true(mention > last_mention);
		last_mention = mention;
		seen |= mask;
		around |= mask | mask << 1 | mask >> 1;
	}
	assert_int_equal(seen, model->wanted);
}

static void random_ranges_are_as_a_bit_mask_has_them(void **state)
{
	uint64_t random = 7;
	unsigned results[3] = {0};
	char header[4000];
	struct model model;
	struct http_ranges r;

	for (int i = 0; i < 300000; i++) {
		uint64_t size = 1 + random_below(&random, MODEL_SIZE_MAX);

		struct buf out = buf_over(header, sizeof(header));
		random_header(&random, size, &out, &model);
		assert_non_null(buf_text(&out));
		enum http_range_result result = http_range_parse(slice_of(header), size, &r);
		if (result != model.result)
			fail_msg("%d instead of %d: %s of %d", (int)result, (int)model.result,
				 header, (int)size);
		results[result]++;
		if (result == HTTP_RANGE_PARTIAL)
			check_against_model(&r, &model);
	}
	for (int i = 0; i < 3; i++)
		assert_in_range(results[i], 1000, 300000);
}

static void content_range_is_written_for_both_statuses(void **state)
{
	char out[HTTP_CONTENT_RANGE_MAX];
	struct http_range whole = {0, UINT64_MAX - 1};

	assert_slice(slice_make(out, http_content_range(&(struct http_range){5, 9}, 10, out)),
		     "bytes 5-9/10");
	assert_slice(slice_make(out, http_content_range(&whole, UINT64_MAX, out)),
		     "bytes 0-18446744073709551614/18446744073709551615");
	assert_slice(slice_make(out, http_content_range_unsatisfiable(10, out)), "bytes */10");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(one_range_is_cut_at_the_end_of_the_file),
	    cmocka_unit_test(what_is_no_range_is_ignored),
	    cmocka_unit_test(beyond_the_end_is_unsatisfiable),
	    cmocka_unit_test(the_largest_file_does_not_overflow),
	    cmocka_unit_test(sixty_four_ranges_are_served_and_one_more_is_not),
	    cmocka_unit_test(wild_overlaps_are_ignored),
	    cmocka_unit_test(random_ranges_are_as_a_bit_mask_has_them),
	    cmocka_unit_test(content_range_is_written_for_both_statuses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
