#include "http/core/listing.h"

#include "base/size.h"
#include "base/utf8.h"
#include "http/core/chars.h"
#include "http/core/date.h"
#include "http/core/response.h"

/* Of a long path only its end is shown: the page's top has to fit into one buffer. */
#define PATH_SHOWN_MAX 512

/* ---- order ---- */

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

static struct slice name_of(const struct http_entry *entry)
{
	return slice_make(entry->name, entry->name_len);
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

static int compare(const struct http_entry *a, const struct http_entry *b, struct http_order order)
{
	int result = 0;
	bool a_is_dir = a->kind == HTTP_ENTRY_DIRECTORY, b_is_dir = b->kind == HTTP_ENTRY_DIRECTORY;

	if (a_is_dir != b_is_dir)
		return a_is_dir ? -1 : 1;
	if (order.by == HTTP_SORT_TIME)
		result = (a->mtime > b->mtime) - (a->mtime < b->mtime);
	if (order.by == HTTP_SORT_SIZE && !a_is_dir)
		result = (a->size > b->size) - (a->size < b->size);
	if (result == 0)
		result = compare_natural(name_of(a), name_of(b));
	if (result == 0)
		result = compare_bytes(name_of(a), name_of(b));
	return order.descending ? -result : result;
}

static void sift_down(struct http_entry *entries, size_t root, size_t count,
		      struct http_order order)
{
	struct http_entry moved = entries[root];
	size_t child;

	while ((child = 2 * root + 1) < count) {
		if (child + 1 < count && compare(&entries[child], &entries[child + 1], order) < 0)
			child++;
		if (compare(&moved, &entries[child], order) >= 0)
			break;
		entries[root] = entries[child];
		root = child;
	}
	entries[root] = moved;
}

static void heap_sort(struct http_entry *entries, size_t count, struct http_order order)
{
	for (size_t i = count / 2; i > 0; i--)
		sift_down(entries, i - 1, count, order);
	for (size_t end = count; end > 1; end--) {
		struct http_entry last = entries[end - 1];

		entries[end - 1] = entries[0];
		entries[0] = last;
		sift_down(entries, 0, end - 1, order);
	}
}

static void insertion_sort(struct http_entry *entries, size_t count, struct http_order order)
{
	for (size_t i = 1; i < count; i++) {
		struct http_entry moved = entries[i];
		size_t at = i;

		for (; at > 0 && compare(&moved, &entries[at - 1], order) < 0; at--)
			entries[at] = entries[at - 1];
		entries[at] = moved;
	}
}

static struct http_entry median(const struct http_entry *a, const struct http_entry *b,
				const struct http_entry *c, struct http_order order)
{
	if (compare(b, a, order) < 0) {
		const struct http_entry *swap = a;
		a = b;
		b = swap;
	}
	if (compare(c, a, order) < 0)
		return *a;
	return compare(c, b, order) < 0 ? *c : *b;
}

/* Hoare's partition: afterwards nothing in [0, result) is above anything in [result, count), and
 * neither is empty. */
static size_t partition(struct http_entry *entries, size_t count, struct http_order order)
{
	struct http_entry pivot =
	    median(&entries[0], &entries[count / 2], &entries[count - 1], order);
	size_t low = 0, high = count - 1;

	for (;; low++, high--) {
		while (compare(&entries[low], &pivot, order) < 0)
			low++;
		while (compare(&pivot, &entries[high], order) < 0)
			high--;
		if (low >= high)
			return low > high ? low : low + (low == 0);
		struct http_entry swap = entries[low];
		entries[low] = entries[high];
		entries[high] = swap;
	}
}

#define INSERTION_MAX 16

/* Quicksort, and heapsort once `depth` says that somebody chose the names to make it slow. The
 * smaller side is sorted by recursion, so the stack stays below log2(count) frames. */
static void sort(struct http_entry *entries, size_t count, struct http_order order, unsigned depth)
{
	while (count > INSERTION_MAX) {
		if (depth-- == 0) {
			heap_sort(entries, count, order);
			return;
		}
		size_t left = partition(entries, count, order);

		if (left < count - left) {
			sort(entries, left, order, depth);
			entries += left;
			count -= left;
		} else {
			sort(entries + left, count - left, order, depth);
			count = left;
		}
	}
	insertion_sort(entries, count, order);
}

void http_listing_sort(struct http_entry *entries, size_t count, struct http_order order)
{
	unsigned depth = 4;

	for (size_t n = count; n > 1; n /= 2)
		depth += 2;
	sort(entries, count, order, depth);
}

/* ---- HTML ---- */

static const char page_start[] =
    "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
    "<meta name=\"viewport\" content=\"width=device-width\">\n"
    "<meta name=\"color-scheme\" content=\"light dark\">\n<title>Index of ";
static const char page_style[] =
    "</title>\n<style>\n"
    ":root{--fg:#1b1f24;--bg:#fff;--dim:#59636e;--line:#d8dee4;--link:#0758b8}\n"
    "@media(prefers-color-scheme:dark){:root{--fg:#e6edf3;--bg:#0d1117;--dim:#9198a1;"
    "--line:#30363d;--link:#6cb0ff}}\n"
    "body{font:16px/1.5 system-ui,sans-serif;color:var(--fg);background:var(--bg);"
    "max-width:60rem;margin:2rem auto;padding:0 1rem}\n"
    "h1{font-size:1.25rem;overflow-wrap:anywhere}\n"
    "table{border-collapse:collapse;width:100%}\n"
    "th,td{text-align:left;padding:.25rem .5rem;border-bottom:1px solid var(--line)}\n"
    "td:first-child{overflow-wrap:anywhere}\n"
    "th:nth-child(2),td:nth-child(2){text-align:right}\n"
    "td+td{color:var(--dim);white-space:nowrap;font-variant-numeric:tabular-nums}\n"
    "a{color:var(--link);text-decoration:none}a:hover,a:focus{text-decoration:underline}\n"
    "</style>\n</head>\n<body>\n<main>\n<h1>Index of ";
static const char page_table[] = "</h1>\n<table>\n<thead><tr>";
static const char page_rows[] = "</tr></thead>\n<tbody>\n";
static const char page_parent[] =
    "<tr><td><a href=\"../\">Parent directory</a></td><td></td><td></td></tr>\n";
static const char page_empty[] = "<tr><td>Empty</td><td></td><td></td></tr>\n";
static const char page_end[] = "</tbody>\n</table>\n</main>\n</body>\n</html>\n";

static void put_path(struct http_writer *w, struct slice path)
{
	if (path.len > PATH_SHOWN_MAX) {
		path = slice_make(path.ptr + path.len - PATH_SHOWN_MAX, PATH_SHOWN_MAX);
		while (path.len && ((unsigned char)*path.ptr & 0xc0) == 0x80)
			path = slice_make(path.ptr + 1, path.len - 1);
		http_put_literal(w, "\xe2\x80\xa6");
	}
	http_put_html(w, path);
}

/* A column's head: its link sorts by it, or turns the order around if it is sorted by it. */
static void put_column(struct http_writer *w, struct http_order now, enum http_sort by)
{
	static const struct {
		const char *key, *title;
	} columns[] = {
	    [HTTP_SORT_NAME] = {"N", "Name"},
	    [HTTP_SORT_TIME] = {"M", "Modified (UTC)"},
	    [HTTP_SORT_SIZE] = {"S", "Size"},
	};
	bool current = now.by == by;

	http_put_literal(w, "<th scope=\"col\"");
	if (current)
		http_put_slice(w, now.descending ? SLICE_LITERAL(" aria-sort=\"descending\"")
						 : SLICE_LITERAL(" aria-sort=\"ascending\""));
	http_put_literal(w, "><a href=\"?C=");
	http_put_slice(w, slice_of(columns[by].key));
	http_put_slice(w, current && !now.descending ? SLICE_LITERAL("&amp;O=D\">")
						     : SLICE_LITERAL("&amp;O=A\">"));
	http_put_slice(w, slice_of(columns[by].title));
	http_put_literal(w, "</a>");
	if (current)
		http_put_slice(w, now.descending ? SLICE_LITERAL(" \xe2\x86\x93")
						 : SLICE_LITERAL(" \xe2\x86\x91"));
	http_put_literal(w, "</th>");
}

static void put_html_top(struct http_writer *w, const struct http_listing *listing)
{
	const struct http_listing_options *options = &listing->options;

	http_put_literal(w, page_start);
	put_path(w, options->path);
	http_put_literal(w, page_style);
	put_path(w, options->path);
	http_put_literal(w, page_table);
	put_column(w, options->order, HTTP_SORT_NAME);
	put_column(w, options->order, HTTP_SORT_SIZE);
	put_column(w, options->order, HTTP_SORT_TIME);
	http_put_literal(w, page_rows);
	if (!slice_eq(options->path, SLICE_LITERAL("/")))
		http_put_literal(w, page_parent);
	else if (listing->count == 0)
		http_put_literal(w, page_empty);
}

/* Pipes, sockets and devices are shown, but are not to be had: no link. */
static void put_html_row(struct http_writer *w, const struct http_entry *entry)
{
	struct slice slash =
	    entry->kind == HTTP_ENTRY_DIRECTORY ? SLICE_LITERAL("/") : slice_make(NULL, 0);
	char size[SIZE_TEXT_MAX], minute[HTTP_MINUTE_LEN];

	http_put_literal(w, "<tr><td>");
	if (entry->kind != HTTP_ENTRY_OTHER) {
		http_put_literal(w, "<a href=\"");
		http_put_encoded(w, name_of(entry), false);
		http_put_slice(w, slash);
		http_put_literal(w, "\">");
	}
	http_put_html(w, name_of(entry));
	http_put_slice(w, slash);
	if (entry->kind != HTTP_ENTRY_OTHER)
		http_put_literal(w, "</a>");
	http_put_literal(w, "</td><td>");
	if (entry->kind == HTTP_ENTRY_FILE)
		http_put_slice(w, slice_of(size_format(entry->size, size)));
	http_minute_format(entry->mtime, minute);
	http_put_literal(w, "</td><td>");
	http_put(w, minute, sizeof(minute));
	http_put_literal(w, "</td></tr>\n");
}

/* ---- JSON ---- */

/* A byte of a name that is not UTF-8 becomes U+FFFD: JSON has no way to say it. */
static void put_json_text(struct http_writer *w, struct slice text)
{
	static const char hex[] = "0123456789abcdef";

	for (size_t i = 0; i < text.len;) {
		unsigned char c = (unsigned char)text.ptr[i];
		size_t len = utf8_length(text.ptr + i, text.len - i);

		if (len == 0) {
			http_put_literal(w, "\\ufffd");
			len = 1;
		} else if (c == '"' || c == '\\') {
			http_put(w, (char[]){'\\', (char)c}, 2);
		} else if (c < 0x20) {
			http_put_literal(w, "\\u00");
			http_put(w, (char[]){hex[c >> 4], hex[c & 15]}, 2);
		} else {
			http_put(w, text.ptr + i, len);
		}
		i += len;
	}
}

static void put_json_row(struct http_writer *w, const struct http_entry *entry)
{
	static const char *const types[] = {
	    [HTTP_ENTRY_DIRECTORY] = "directory",
	    [HTTP_ENTRY_FILE] = "file",
	    [HTTP_ENTRY_OTHER] = "other",
	};
	char date[HTTP_DATE_LEN];

	http_put_literal(w, "{ \"name\":\"");
	put_json_text(w, name_of(entry));
	http_put_literal(w, "\", \"type\":\"");
	http_put_slice(w, slice_of(types[entry->kind]));
	http_put_literal(w, "\", \"mtime\":\"");
	http_date_format(entry->mtime, date);
	http_put(w, date, sizeof(date));
	http_put_literal(w, "\"");
	if (entry->kind == HTTP_ENTRY_FILE) {
		http_put_literal(w, ", \"size\":");
		http_put_u64(w, entry->size);
	}
	http_put_literal(w, " }");
}

/* ---- pieces ---- */

void http_listing_init(struct http_listing *listing, const struct http_listing_options *options,
		       const struct http_entry *entries, size_t count)
{
	*listing = (struct http_listing){.options = *options,
					 .entries = entries,
					 .count = count,
					 .state = HTTP_LISTING_TOP};
}

static void put_top(struct http_writer *w, const struct http_listing *listing)
{
	if (listing->options.json)
		http_put_literal(w, "[");
	else
		put_html_top(w, listing);
}

static void put_row(struct http_writer *w, const struct http_listing *listing)
{
	const struct http_entry *entry = &listing->entries[listing->next];

	if (!listing->options.json) {
		put_html_row(w, entry);
		return;
	}
	http_put_slice(w, listing->next ? SLICE_LITERAL(",\n") : SLICE_LITERAL("\n"));
	put_json_row(w, entry);
}

static void put_end(struct http_writer *w, const struct http_listing *listing)
{
	http_put_slice(w, listing->options.json ? SLICE_LITERAL("\n]\n") : SLICE_LITERAL(page_end));
}

/* What did not fit is taken back. */
static bool fits(struct http_writer *w, char *before)
{
	if (!w->cut)
		return true;
	w->at = before;
	w->cut = false;
	return false;
}

size_t http_listing_step(struct http_listing *listing, char *buf, size_t size)
{
	struct http_writer w;

	CHECK(size >= HTTP_LISTING_BUFFER_MIN);
	http_writer_init(&w, buf, size);
	if (listing->state == HTTP_LISTING_TOP) {
		put_top(&w, listing);
		CHECK(!w.cut);
		listing->state = HTTP_LISTING_ROWS;
	}
	if (listing->state == HTTP_LISTING_DONE)
		return 0;
	for (; listing->next < listing->count; listing->next++) {
		char *before = w.at;

		put_row(&w, listing);
		if (!fits(&w, before))
			return http_written(&w);
	}
	char *before = w.at;
	put_end(&w, listing);
	if (fits(&w, before))
		listing->state = HTTP_LISTING_DONE;
	return http_written(&w);
}

struct slice http_listing_type(bool json)
{
	return json ? SLICE_LITERAL("application/json") : SLICE_LITERAL("text/html; charset=utf-8");
}
