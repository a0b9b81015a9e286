#include "unit/http/core/http_test.h"

#include <stdlib.h>

#include "http/core/listing.h"

static struct http_entry entry(const char *name, enum http_entry_kind kind, uint64_t size,
			       int64_t mtime)
{
	return (struct http_entry){slice_of(name), kind, size, mtime};
}

/* Renders with buffers of `size` bytes; terminated, to be freed. */
static char *render(struct http_listing listing, const struct http_entry *entries, size_t count,
		    size_t size, unsigned *ret_pieces)
{
	char *all = malloc(16u << 20);
	struct http_writer w;
	size_t len = 0, next = 0;
	bool done = false;

	*ret_pieces = 0;
	while (!done) {
		http_writer_init(&w, all + len, size);
		if (len == 0)
			http_listing_top(&listing, &w);
		while (next < count && http_listing_row(&listing, &w, &entries[next]))
			next++;
		done = next == count && http_listing_end(&listing, &w, 1);
		assert_false(w.cut);
		len += http_written(&w);
		++*ret_pieces;
	}
	all[len] = '\0';
	return all;
}

static char *render_whole(struct http_listing listing, const struct http_entry *entries,
			  size_t count)
{
	unsigned pieces;

	return render(listing, entries, count, 1 << 20, &pieces);
}

/* Names as they are kept for sorting, from rows. */
static struct http_name *keep(const struct http_entry *entries, size_t count,
			      struct http_order order)
{
	struct http_name *names = calloc(count + 1, sizeof(*names));

	for (size_t i = 0; i < count; i++) {
		const struct http_entry *e = &entries[i];
		struct http_kept_name *record = malloc(sizeof(*record) + e->name.len);

		record->kind = (uint8_t)e->kind;
		record->len = (uint8_t)e->name.len;
		memcpy(record->name, e->name.ptr, e->name.len);
		names[i] =
		    (struct http_name){http_order_key(order, e->kind, e->size, e->mtime), record};
	}
	return names;
}

static void forget(struct http_name *names, size_t count)
{
	for (size_t i = 0; i < count; i++)
		free((void *)names[i].record);
	free(names);
}

static void assert_name(const struct http_name *name, const char *expected)
{
	assert_int_equal(name->record->len, strlen(expected));
	assert_memory_equal(name->record->name, expected, strlen(expected));
}

static void assert_order(const struct http_entry *entries, size_t count, struct http_order order,
			 const char *const *expected)
{
	struct http_name *names = keep(entries, count, order);

	http_names_sort(names, count, order.descending);
	for (size_t i = 0; i < count; i++)
		assert_name(&names[i], expected[i]);
	forget(names, count);
}

static void names_are_in_natural_order(void **state)
{
	static const char *const names[] = {"1",    "2",     "10",     "a",       "A1",   "a01",
					    "a2",   "a10",   "a10b",   "B",       "b1.2", "b1.10",
					    "file", "file2", "file10", "file010x"};
	struct http_entry entries[ARRAY_SIZE(names)];

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		entries[i] = entry(names[ARRAY_SIZE(names) - 1 - i], HTTP_ENTRY_FILE, 0, 0);
	assert_order(entries, ARRAY_SIZE(names), (struct http_order){HTTP_SORT_NAME, false}, names);
}

static void directories_come_first_and_keys_turn_around(void **state)
{
	struct http_entry entries[] = {
	    entry("b", HTTP_ENTRY_FILE, 10, 300),      entry("a", HTTP_ENTRY_FILE, 30, 100),
	    entry("d2", HTTP_ENTRY_DIRECTORY, 9, 200), entry("d1", HTTP_ENTRY_DIRECTORY, 8, 400),
	    entry("c", HTTP_ENTRY_FILE, 20, 200),
	};
	static const struct {
		struct http_order order;
		const char *const names[5];
	} rows[] = {
	    {{HTTP_SORT_NAME, false}, {"d1", "d2", "a", "b", "c"}},
	    {{HTTP_SORT_NAME, true}, {"d2", "d1", "c", "b", "a"}},
	    {{HTTP_SORT_SIZE, false}, {"d1", "d2", "b", "c", "a"}},
	    {{HTTP_SORT_SIZE, true}, {"d2", "d1", "a", "c", "b"}},
	    {{HTTP_SORT_TIME, false}, {"d2", "d1", "a", "c", "b"}},
	    {{HTTP_SORT_TIME, true}, {"d1", "d2", "b", "c", "a"}},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		assert_order(entries, 5, rows[i].order, rows[i].names);
}

static void sorting_is_total_whatever_the_first_order(void **state)
{
	enum { COUNT = 2000 };
	static char names[COUNT][8];
	static struct http_entry once[COUNT], again[COUNT];
	uint64_t random = 13;

	for (int i = 0; i < COUNT; i++) {
		for (int c = 0; c < 4; c++)
			names[i][c] = "aA0129.z"[random_below(&random, 8)];
		sprintf(names[i] + 4, "%03d", i % 1000);
		once[i] = entry(names[i], (enum http_entry_kind)random_below(&random, 2),
				random_below(&random, 3), (int64_t)random_below(&random, 3));
	}
	for (int by = 0; by < 3; by++) {
		struct http_order order = {(enum http_sort)by, by == 1};
		struct http_name *a, *b;

		memcpy(again, once, sizeof(once));
		for (size_t i = COUNT - 1; i > 0; i--) {
			size_t other = random_below(&random, i + 1);
			struct http_entry swap = again[i];
			again[i] = again[other];
			again[other] = swap;
		}
		a = keep(once, COUNT, order);
		b = keep(again, COUNT, order);
		http_names_sort(a, COUNT, order.descending);
		http_names_sort(b, COUNT, order.descending);
		for (size_t i = 0; i < COUNT; i++) {
			assert_int_equal(a[i].record->len, b[i].record->len);
			assert_memory_equal(a[i].record->name, b[i].record->name, a[i].record->len);
		}
		forget(a, COUNT);
		forget(b, COUNT);
	}
}

/* Sorted, reversed, equal, organ pipe, saw: what quicksorts stumble over. */
static uint64_t pattern(int kind, size_t i, size_t count)
{
	switch (kind) {
	case 0:
		return i;
	case 1:
		return count - i;
	case 2:
		return 7;
	case 3:
		return i < count / 2 ? i : count - i;
	default:
		return i % 5;
	}
}

static void every_pattern_of_every_size_is_sorted(void **state)
{
	enum { MAX = 300 };
	static const struct http_kept_name record = {.kind = HTTP_ENTRY_FILE};
	struct http_name names[MAX];

	for (int kind = 0; kind < 5; kind++) {
		for (size_t count = 0; count < MAX; count++) {
			uint64_t sum = 0, sorted_sum = 0;

			for (size_t i = 0; i < count; i++) {
				uint64_t key = pattern(kind, i, count);

				names[i] = (struct http_name){key, &record};
				sum += key * key;
			}
			http_names_sort(names, count, false);
			for (size_t i = 0; i < count; i++) {
				sorted_sum += names[i].key * names[i].key;
				assert_true(i == 0 || names[i - 1].key <= names[i].key);
			}
			assert_int_equal(sum, sorted_sum);
		}
	}
}

static void times_before_1970_are_before_the_others(void **state)
{
	struct http_entry entries[] = {entry("now", HTTP_ENTRY_FILE, 0, 1700000000),
				       entry("zero", HTTP_ENTRY_FILE, 0, 0),
				       entry("before", HTTP_ENTRY_FILE, 0, -5)};

	assert_order(entries, 3, (struct http_order){HTTP_SORT_TIME, false},
		     (const char *const[]){"before", "zero", "now"});
}

static void queries_choose_the_order(void **state)
{
	static const struct {
		const char *query;
		struct http_order order;
	} rows[] = {
	    {"", {HTTP_SORT_NAME, false}},          {"C=M&O=D", {HTTP_SORT_TIME, true}},
	    {"C=S;O=A", {HTTP_SORT_SIZE, false}},   {"O=D", {HTTP_SORT_NAME, true}},
	    {"C=N", {HTTP_SORT_NAME, false}},       {"C=X&O=Y", {HTTP_SORT_NAME, false}},
	    {"XC=M&YO=D", {HTTP_SORT_NAME, false}}, {"C=", {HTTP_SORT_NAME, false}},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct http_order order = http_order_parse(slice_of(rows[i].query));

		assert_int_equal(order.by, rows[i].order.by);
		assert_int_equal(order.descending, rows[i].order.descending);
	}
}

static void names_are_harmless_in_html(void **state)
{
	struct http_entry entries[] = {
	    entry("<script>alert('1')</script>\"&", HTTP_ENTRY_FILE, 1536, 784111777),
	    entry("javascript:x", HTTP_ENTRY_FILE, 0, 0),
	    entry("d %2f#?", HTTP_ENTRY_DIRECTORY, 0, 0),
	    entry("fifo", HTTP_ENTRY_OTHER, 0, 0),
	};
	struct http_listing listing = {.path = slice_of("/a<b>/")};
	char *html = render_whole(listing, entries, 4);

	assert_null(strstr(html, "<script>"));
	assert_null(strstr(html, "<b>"));
	assert_null(strstr(html, "\"javascript:"));
	assert_non_null(strstr(html, "<title>Index of /a&lt;b&gt;/</title>"));
	assert_non_null(
	    strstr(html, "<a href=\"%3Cscript%3Ealert%28%271%27%29%3C%2Fscript%3E%22%26\">"
			 "<bdi>&lt;script&gt;alert(&#39;1&#39;)&lt;/script&gt;&quot;&amp;</bdi></a>"
			 "</td><td>1.5 KiB</td><td>1994-11-06 08:49</td>"));
	assert_non_null(strstr(html, "<a href=\"javascript%3Ax\">"));
	assert_non_null(
	    strstr(html, "<a href=\"d%20%252f%23%3F/\"><bdi>d %2f#?/</bdi></a></td><td></td>"));
	assert_non_null(strstr(html, "<tr><td><bdi>fifo</bdi></td>"));
	assert_non_null(strstr(html, "href=\"../\""));
	free(html);
}

/* "invoice_\u202efdp.exe" would be read as invoice_exe.pdf, and one could end the isolation itself. */
static void names_can_not_turn_the_direction_of_writing_around(void **state)
{
	struct http_entry entries[] = {
	    entry("invoice_\xe2\x80\xae"
		  "fdp.exe",
		  HTTP_ENTRY_FILE, 1, 0),
	    entry("\xe2\x81\xa9\xe2\x81\xa6<\xe2\x80\xaa\xe2\x80", HTTP_ENTRY_DIRECTORY, 0, 0),
	    entry("\xe2\x80\x8f\xd7\x90.txt", HTTP_ENTRY_FILE, 1, 0),
	};
	struct http_listing listing = {.path = slice_of("/\xe2\x80\xae"
							"a/")};
	char *html = render_whole(listing, entries, 3);

	assert_null(strstr(html, "\xe2\x80\xae"));
	assert_non_null(strstr(html, "<title>Index of /\xef\xbf\xbd"
				     "a/</title>"));
	assert_non_null(strstr(html, "<h1>Index of <bdi>/\xef\xbf\xbd"
				     "a/</bdi></h1>"));
	assert_non_null(strstr(html, "\"invoice_%E2%80%AEfdp.exe\"><bdi>invoice_\xef\xbf\xbd"
				     "fdp.exe</bdi>"));
	assert_non_null(
	    strstr(html, "<bdi>\xef\xbf\xbd\xef\xbf\xbd&lt;\xef\xbf\xbd\xe2\x80/</bdi>"));
	assert_non_null(strstr(html, "<bdi>\xe2\x80\x8f\xd7\x90.txt</bdi>"));
	free(html);
}

static void the_root_has_no_parent_and_may_be_empty(void **state)
{
	struct http_listing listing = {.path = slice_of("/"), .order = {HTTP_SORT_SIZE, false}};
	char *html = render_whole(listing, NULL, 0);

	assert_null(strstr(html, "../"));
	assert_non_null(strstr(html, "<td>Empty</td>"));
	assert_non_null(strstr(html, "aria-sort=\"ascending\"><a href=\"?C=S&amp;O=D\">"));
	assert_non_null(strstr(html, "<a href=\"?C=N&amp;O=A\">"));
	free(html);
}

static void json_is_as_nginx_has_it(void **state)
{
	struct http_entry entries[] = {
	    entry("d", HTTP_ENTRY_DIRECTORY, 4096, 784111777),
	    entry("a\"\\\n\xc3\xa4\xff\xed\xa0\x80\xf0\x9f\x98\x80", HTTP_ENTRY_FILE, 5, 0),
	    entry("s", HTTP_ENTRY_OTHER, 0, 0),
	};
	struct http_listing listing = {.path = slice_of("/"), .json = true};
	char *json = render_whole(listing, entries, 3);

	assert_string_equal(
	    json,
	    "[\n{ \"name\":\"d\", \"type\":\"directory\", "
	    "\"mtime\":\"Sun, 06 Nov 1994 08:49:37 GMT\" },\n"
	    "{ \"name\":\"a\\\"\\\\\\u000a\xc3\xa4\\ufffd\\ufffd\\ufffd\\ufffd\xf0\x9f\x98\x80\", "
	    "\"type\":\"file\", \"mtime\":\"Thu, 01 Jan 1970 00:00:00 GMT\", \"size\":5 },\n"
	    "{ \"name\":\"s\", \"type\":\"other\", \"mtime\":\"Thu, 01 Jan 1970 00:00:00 GMT\" }"
	    "\n]\n");
	free(json);
	json = render_whole(listing, NULL, 0);
	assert_string_equal(json, "[\n]\n");
	free(json);
}

static void pieces_together_are_the_whole(void **state)
{
	enum { COUNT = 3000 };
	static char names[COUNT][256];
	static struct http_entry entries[COUNT];
	char path[6000];
	unsigned pieces, one;

	for (int i = 0; i < COUNT; i++) {
		memset(names[i], i % 7 ? '"' : 'a', 255);
		entries[i] = entry(names[i], HTTP_ENTRY_FILE, UINT64_MAX, INT64_MAX);
	}
	memset(path, '<', sizeof(path));
	path[sizeof(path) - 1] = '/';
	for (int json = 0; json < 2; json++) {
		struct http_listing listing = {.path = slice_make(path, sizeof(path)),
					       .json = json};
		char *small = render(listing, entries, COUNT, HTTP_LISTING_BUFFER_MIN, &pieces);
		char *large = render(listing, entries, COUNT, 15u << 20, &one);

		assert_string_equal(small, large);
		assert_int_equal(one, 1);
		assert_in_range(pieces, 100, COUNT);
		free(small);
		free(large);
	}
}

static void a_list_in_parts_says_so(void **state)
{
	struct http_listing listing = {.path = slice_of("/"), .any = true};
	char text[HTTP_LISTING_BUFFER_MIN];
	struct http_writer w;

	http_writer_init(&w, text, sizeof(text) - 1);
	assert_true(http_listing_end(&listing, &w, 1));
	*w.at = '\0';
	assert_null(strstr(text, "<p"));
	http_writer_init(&w, text, sizeof(text) - 1);
	assert_true(http_listing_end(&listing, &w, 3));
	*w.at = '\0';
	assert_non_null(strstr(text, "sorted in parts, 3 of them"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(names_are_in_natural_order),
	    cmocka_unit_test(directories_come_first_and_keys_turn_around),
	    cmocka_unit_test(sorting_is_total_whatever_the_first_order),
	    cmocka_unit_test(every_pattern_of_every_size_is_sorted),
	    cmocka_unit_test(times_before_1970_are_before_the_others),
	    cmocka_unit_test(queries_choose_the_order),
	    cmocka_unit_test(names_are_harmless_in_html),
	    cmocka_unit_test(names_can_not_turn_the_direction_of_writing_around),
	    cmocka_unit_test(the_root_has_no_parent_and_may_be_empty),
	    cmocka_unit_test(json_is_as_nginx_has_it),
	    cmocka_unit_test(pieces_together_are_the_whole),
	    cmocka_unit_test(a_list_in_parts_says_so),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
