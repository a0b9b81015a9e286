/*
 * Ranges: inside the file, disjoint, not adjacent. The end of the input is the file's size:
 * eight bytes, and one by which to shift them.
 */
#include "fuzz/fuzz.h"
#include "http/core/multipart.h"

static bool apart(const struct http_range *a, const struct http_range *b)
{
	return a->last + 1 < b->first || b->last + 1 < a->first;
}

/* The length that is announced is that of the text and the parts. */
static void check_multipart(const struct http_ranges *r, uint64_t size)
{
	struct http_multipart multipart = {.ranges = *r,
					   .size = size,
					   .type = SLICE_LITERAL("a/b")};
	char text[HTTP_PART_TEXT_MAX];
	struct http_writer w;
	uint64_t length = 0;

	http_multipart_boundary((const uint64_t[2]){size, r->count}, multipart.boundary);
	for (unsigned i = 0; i <= r->count; i++) {
		http_writer_init(&w, text, sizeof(text));
		http_put_multipart_text(&w, &multipart, i);
		HOLDS(!w.cut);
		length += http_written(&w);
		if (i < r->count)
			length += r->range[i].last - r->range[i].first + 1;
	}
	HOLDS(http_multipart_length(&multipart) == length);
}

static void check_ranges(const struct http_ranges *r, uint64_t size)
{
	char out[HTTP_CONTENT_RANGE_MAX];

	HOLDS(r->count >= 1 && r->count <= HTTP_RANGES_MAX);
	check_multipart(r, size);
	for (unsigned i = 0; i < r->count; i++) {
		HOLDS(r->range[i].first <= r->range[i].last && r->range[i].last < size);
		HOLDS(http_content_range(&r->range[i], size, out) < sizeof(out));
		for (unsigned n = 0; n < i; n++)
			HOLDS(apart(&r->range[i], &r->range[n]));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	unsigned bits = (unsigned)take_number(data, &size, 1) % 64;
	uint64_t file = take_number(data, &size, 8) >> bits & INT64_MAX;
	char *value = heap_copy(data, size);
	struct http_ranges r;

	enum http_range_result result = http_range_parse(slice_make(value, size), file, &r);
	if (result == HTTP_RANGE_PARTIAL)
		check_ranges(&r, file);
	HOLDS(file > 0 || result == HTTP_RANGE_WHOLE);
	free(value);
	return 0;
}
