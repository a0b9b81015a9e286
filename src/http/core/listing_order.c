/*
 * The order of a listing: natural, and sorted in place.
 */
#include "http/core/chars.h"
#include "http/core/listing.h"

struct http_order http_order_parse(struct slice query)
{
	struct http_order order = {HTTP_SORT_NAME, false};

	for (size_t i = 0; i + 2 < query.len; i++) {
		if ((i > 0 && query.ptr[i - 1] != '&' && query.ptr[i - 1] != ';') ||
		    query.ptr[i + 1] != '=')
			continue;
		char key = query.ptr[i], value = query.ptr[i + 2];
		if (key == 'C')
			order.by = value == 'M'   ? HTTP_SORT_TIME
				   : value == 'S' ? HTTP_SORT_SIZE
						  : HTTP_SORT_NAME;
		if (key == 'O')
			order.descending = value == 'D';
	}
	return order;
}

uint64_t http_order_key(struct http_order order, enum http_entry_kind kind, uint64_t size,
			int64_t mtime)
{
	switch (order.by) {
	case HTTP_SORT_TIME:
		return (uint64_t)mtime ^ 1ull << 63; /* negative ones below the others */
	case HTTP_SORT_SIZE:
		return kind == HTTP_ENTRY_DIRECTORY ? 0 : size;
	case HTTP_SORT_NAME:
		break;
	}
	return 0;
}

static struct slice name_of(const struct http_name *name)
{
	return slice_make(name->record->name, name->record->len);
}

static struct slice take_digits(struct slice *text)
{
	const char *end = http_run(text->ptr, text->ptr + text->len, HTTP_DIGIT);
	struct slice digits = slice_make(text->ptr, (size_t)(end - text->ptr));

	text->ptr = end;
	text->len -= digits.len;
	while (digits.len > 1 && *digits.ptr == '0') {
		digits.ptr++;
		digits.len--;
	}
	return digits;
}

static int compare_bytes(struct slice a, struct slice b)
{
	int order = memcmp(a.ptr, b.ptr, min_size(a.len, b.len));

	return order ? order : (a.len > b.len) - (a.len < b.len);
}

static int lower(char c)
{
	return c >= 'A' && c <= 'Z' ? c | 0x20 : (unsigned char)c;
}

/* Bytes that both begin with, but for digits at their end: the number may go on. */
static size_t common_length(struct slice a, struct slice b)
{
	size_t len = min_size(a.len, b.len), at = 0;

	while (at < len && a.ptr[at] == b.ptr[at])
		at++;
	while (at > 0 && http_is(a.ptr[at - 1], HTTP_DIGIT))
		at--;
	return at;
}

/* Runs of digits by their value, letters without case. */
static int compare_natural(struct slice a, struct slice b)
{
	size_t common = common_length(a, b);

	a = slice_make(a.ptr + common, a.len - common);
	b = slice_make(b.ptr + common, b.len - common);
	while (a.len && b.len) {
		if (http_is(*a.ptr, HTTP_DIGIT) && http_is(*b.ptr, HTTP_DIGIT)) {
			struct slice x = take_digits(&a), y = take_digits(&b);

			if (x.len != y.len)
				return x.len < y.len ? -1 : 1;
			int order = memcmp(x.ptr, y.ptr, x.len);
			if (order)
				return order;
			continue;
		}
		int order = lower(*a.ptr) - lower(*b.ptr);
		if (order)
			return order;
		a = slice_make(a.ptr + 1, a.len - 1);
		b = slice_make(b.ptr + 1, b.len - 1);
	}
	return (a.len > 0) - (b.len > 0);
}

static int compare(const struct http_name *a, const struct http_name *b, bool descending)
{
	bool a_is_dir = a->record->kind == HTTP_ENTRY_DIRECTORY;
	bool b_is_dir = b->record->kind == HTTP_ENTRY_DIRECTORY;
	int result;

	if (a_is_dir != b_is_dir)
		return a_is_dir ? -1 : 1;
	result = (a->key > b->key) - (a->key < b->key);
	if (result == 0)
		result = compare_natural(name_of(a), name_of(b));
	if (result == 0)
		result = compare_bytes(name_of(a), name_of(b));
	return descending ? -result : result;
}

static void sift_down(struct http_name *names, size_t root, size_t count, bool descending)
{
	struct http_name moved = names[root];
	size_t child;

	while ((child = 2 * root + 1) < count) {
		if (child + 1 < count && compare(&names[child], &names[child + 1], descending) < 0)
			child++;
		if (compare(&moved, &names[child], descending) >= 0)
			break;
		names[root] = names[child];
		root = child;
	}
	names[root] = moved;
}

static void heap_sort(struct http_name *names, size_t count, bool descending)
{
	for (size_t i = count / 2; i > 0; i--)
		sift_down(names, i - 1, count, descending);
	for (size_t end = count; end > 1; end--) {
		struct http_name last = names[end - 1];

		names[end - 1] = names[0];
		names[0] = last;
		sift_down(names, 0, end - 1, descending);
	}
}

static void insertion_sort(struct http_name *names, size_t count, bool descending)
{
	for (size_t i = 1; i < count; i++) {
		struct http_name moved = names[i];
		size_t at = i;

		for (; at > 0 && compare(&moved, &names[at - 1], descending) < 0; at--)
			names[at] = names[at - 1];
		names[at] = moved;
	}
}

static struct http_name median(const struct http_name *a, const struct http_name *b,
			       const struct http_name *c, bool descending)
{
	if (compare(b, a, descending) < 0) {
		const struct http_name *swap = a;
		a = b;
		b = swap;
	}
	if (compare(c, a, descending) < 0)
		return *a;
	return compare(c, b, descending) < 0 ? *c : *b;
}

/* Hoare's partition: afterwards nothing in [0, result) is above anything in [result, count), and
 * neither is empty. */
static size_t partition(struct http_name *names, size_t count, bool descending)
{
	struct http_name pivot =
	    median(&names[0], &names[count / 2], &names[count - 1], descending);
	size_t low = 0, high = count - 1;

	for (;; low++, high--) {
		while (compare(&names[low], &pivot, descending) < 0)
			low++;
		while (compare(&pivot, &names[high], descending) < 0)
			high--;
		if (low >= high)
			return low > high ? low : low + (low == 0);
		struct http_name swap = names[low];
		names[low] = names[high];
		names[high] = swap;
	}
}

#define INSERTION_MAX 16

/* Quicksort, and heapsort once `depth` says that somebody chose the names to make it slow. The
 * smaller side is sorted by recursion, so the stack stays below log2(count) frames. */
static void sort(struct http_name *names, size_t count, bool descending, unsigned depth)
{
	while (count > INSERTION_MAX) {
		if (depth-- == 0) {
			heap_sort(names, count, descending);
			return;
		}
		size_t left = partition(names, count, descending);

		if (left < count - left) {
			sort(names, left, descending, depth);
			names += left;
			count -= left;
		} else {
			sort(names + left, count - left, descending, depth);
			count = left;
		}
	}
	insertion_sort(names, count, descending);
}

void http_names_sort(struct http_name *names, size_t count, bool descending)
{
	unsigned depth = 4;

	for (size_t n = count; n > 1; n /= 2)
		depth += 2;
	sort(names, count, descending, depth);
}
