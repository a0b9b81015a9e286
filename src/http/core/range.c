#include "http/core/range.h"

#include <errno.h>

#include "http/core/chars.h"
#include "http/core/response.h"

/* Digits at the front of *text; a number too large for 64 bits is UINT64_MAX, beyond every file. */
static bool take_number(struct slice *text, uint64_t *ret)
{
	size_t len = (size_t)(http_run(text->ptr, text->ptr + text->len, HTTP_DIGIT) - text->ptr);
	int r = http_number_parse(slice_make(text->ptr, len), ret);

	if (r == -EINVAL)
		return false;
	if (r == -ERANGE)
		*ret = UINT64_MAX;
	text->ptr += len;
	text->len -= len;
	return true;
}

enum spec { SPEC_BAD, SPEC_OUTSIDE, SPEC_INSIDE };

/* "first-", "first-last" or "-length". */
static enum spec parse_spec(struct slice text, uint64_t size, struct http_range *ret)
{
	uint64_t first, last = UINT64_MAX;
	bool has_first = take_number(&text, &first);

	if (text.len == 0 || *text.ptr != '-')
		return SPEC_BAD;
	text.ptr++;
	text.len--;
	bool has_last = take_number(&text, &last);
	if (text.len || (!has_first && !has_last))
		return SPEC_BAD;
	if (!has_first) {
		if (last == 0)
			return SPEC_OUTSIDE;
		*ret = (struct http_range){size - min_u64(last, size), size - 1};
		return SPEC_INSIDE;
	}
	if (has_last && last < first)
		return SPEC_BAD;
	if (first >= size)
		return SPEC_OUTSIDE;
	*ret = (struct http_range){first, min_u64(last, size - 1)};
	return SPEC_INSIDE;
}

static bool overlaps(const struct http_range *a, const struct http_range *b)
{
	return a->first <= b->last && b->first <= a->last;
}

/* `last` is below the size of a file, so + 1 can't wrap. */
static bool overlaps_or_touches(const struct http_range *a, const struct http_range *b)
{
	return a->first <= b->last + 1 && b->first <= a->last + 1;
}

static void remove_at(struct http_ranges *ranges, unsigned index)
{
	ranges->count--;
	memmove(&ranges->range[index], &ranges->range[index + 1],
		(ranges->count - index) * sizeof(ranges->range[0]));
}

/* Joins `range` with what it overlaps or touches: into the first of them; says whether it repeats
 * bytes. The set was disjoint before, so growing the first one by `range` can only make it touch
 * what `range` touches itself. */
static bool add_range(struct http_ranges *ranges, struct http_range range)
{
	struct http_range *home = NULL;
	bool repeats = false;

	for (unsigned i = 0; i < ranges->count;) {
		struct http_range *other = &ranges->range[i];

		repeats |= overlaps(other, &range);
		if (!overlaps_or_touches(other, &range)) {
			i++;
			continue;
		}
		if (!home)
			home = other;
		home->first = min_u64(home->first, min_u64(other->first, range.first));
		home->last = max_u64(home->last, max_u64(other->last, range.last));
		if (home == other)
			i++;
		else
			remove_at(ranges, i);
	}
	if (!home)
		ranges->range[ranges->count++] = range;
	return repeats;
}

enum http_range_result http_range_parse(struct slice value, uint64_t size, struct http_ranges *ret)
{
	struct slice unit = SLICE_LITERAL("bytes=");
	struct slice rest = value, member;
	struct http_ranges ranges = {.count = 0};
	unsigned specs = 0, repeats = 0;

	if (size == 0 || value.len < unit.len ||
	    !slice_eq_nocase(slice_make(value.ptr, unit.len), unit))
		return HTTP_RANGE_WHOLE;
	rest.ptr += unit.len;
	rest.len -= unit.len;
	while (http_list_next(&rest, &member)) {
		struct http_range range;
		enum spec spec = parse_spec(member, size, &range);

		if (spec == SPEC_BAD || ++specs > HTTP_RANGES_MAX)
			return HTTP_RANGE_WHOLE;
		if (spec == SPEC_INSIDE)
			repeats += add_range(&ranges, range);
	}
	if (specs == 0 || repeats > HTTP_RANGE_OVERLAPS_MAX)
		return HTTP_RANGE_WHOLE;
	if (ranges.count == 0)
		return HTTP_RANGE_UNSATISFIABLE;
	ret->count = ranges.count;
	memcpy(ret->range, ranges.range, ranges.count * sizeof(ranges.range[0]));
	return HTTP_RANGE_PARTIAL;
}

size_t http_content_range(const struct http_range *range, uint64_t size,
			  char out[HTTP_CONTENT_RANGE_MAX])
{
	struct http_writer w;

	http_writer_init(&w, out, HTTP_CONTENT_RANGE_MAX);
	http_put_literal(&w, "bytes ");
	http_put_u64(&w, range->first);
	http_put_literal(&w, "-");
	http_put_u64(&w, range->last);
	http_put_literal(&w, "/");
	http_put_u64(&w, size);
	return http_written(&w);
}

size_t http_content_range_unsatisfiable(uint64_t size, char out[HTTP_CONTENT_RANGE_MAX])
{
	struct http_writer w;

	http_writer_init(&w, out, HTTP_CONTENT_RANGE_MAX);
	http_put_literal(&w, "bytes */");
	http_put_u64(&w, size);
	return http_written(&w);
}
