#include "http/core/listing.h"

#include "base/size.h"
#include "base/utf8.h"
#include "http/core/chars.h"
#include "http/core/date.h"
#include "http/core/response.h"

/* Of a long path only its end is shown: the page's top has to fit into one buffer. */
#define PATH_SHOWN_MAX 512

/* ---- HTML ---- */

static const char page_start[] =
    "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
    "<meta name=\"viewport\" content=\"width=device-width\">\n"
    "<title>Index of ";
static const char page_style[] =
    "</title>\n<style>\n"
    ":root{color-scheme:light dark;--fg:#1b1f24;--bg:#fff;--dim:#59636e;--line:#e2e7ec;"
    "--hover:#f4f6f8;--link:#0758b8}\n"
    "@media(prefers-color-scheme:dark){:root{--fg:#e6edf3;--bg:#0d1117;--dim:#9198a1;"
    "--line:#262c34;--hover:#161b22;--link:#6cb0ff}}\n"
    "body{font:16px/1.5 system-ui,sans-serif;color:var(--fg);background:var(--bg);"
    "max-width:60rem;margin:2rem auto;padding:0 1rem}\n"
    "h1{font-size:1.25rem;padding:0 .5rem;overflow-wrap:anywhere}\n"
    /* Fixed: columns stay where they are while rows come. */
    "table{border-collapse:collapse;table-layout:fixed;width:100%}\n"
    "th,td{text-align:left;vertical-align:baseline;padding:.3rem .5rem;"
    "border-bottom:1px solid var(--line)}\n"
    "th{font-size:.875rem;font-weight:600;white-space:nowrap}th a{color:var(--dim)}\n"
    "th:nth-child(2){width:6rem}th:nth-child(3){width:10rem}\n"
    "th:nth-child(2),td:nth-child(2){text-align:right}\n"
    "td:first-child{overflow-wrap:anywhere;white-space:pre-wrap}\n"
    "td+td{color:var(--dim);white-space:nowrap;font-variant-numeric:tabular-nums}\n"
    "tbody tr:hover{background:var(--hover)}\n"
    "a{color:var(--link);text-decoration:none}a:hover,a:focus{text-decoration:underline}\n"
    "td a[href$=\"/\"]{font-weight:600}p{color:var(--dim);padding:0 .5rem}\n"
    "@media(max-width:36rem){th:nth-child(3),td:nth-child(3){display:none}}\n"
    "</style>\n</head>\n<body>\n<main>\n<h1>Index of <bdi>";
static const char page_table[] = "</bdi></h1>\n<table>\n<thead><tr>";
static const char page_rows[] = "</tr></thead>\n<tbody>\n";
static const char page_parent[] =
    "<tr><td><a href=\"../\">Parent directory</a></td><td></td><td></td></tr>\n";
static const char page_empty[] = "<tr><td>Empty</td><td></td><td></td></tr>\n";
static const char page_table_end[] = "</tbody>\n</table>\n";
static const char page_parts[] =
    "<p>This directory is too large to be sorted as a whole: the list is sorted in parts, ";
static const char page_end[] = "</main>\n</body>\n</html>\n";

static void put_path(struct http_writer *w, struct slice path)
{
	if (path.len > PATH_SHOWN_MAX) {
		path = slice_make(path.ptr + path.len - PATH_SHOWN_MAX, PATH_SHOWN_MAX);
		while (path.len && ((unsigned char)*path.ptr & 0xc0) == 0x80)
			path = slice_make(path.ptr + 1, path.len - 1);
		http_put_literal(w, "\xe2\x80\xa6");
	}
	http_put_html_name(w, path);
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
	http_put_literal(w, page_start);
	put_path(w, listing->path);
	http_put_literal(w, page_style);
	put_path(w, listing->path);
	http_put_literal(w, page_table);
	put_column(w, listing->order, HTTP_SORT_NAME);
	put_column(w, listing->order, HTTP_SORT_SIZE);
	put_column(w, listing->order, HTTP_SORT_TIME);
	http_put_literal(w, page_rows);
	if (!slice_eq(listing->path, SLICE_LITERAL("/")))
		http_put_literal(w, page_parent);
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
		http_put_encoded(w, entry->name, false);
		http_put_slice(w, slash);
		http_put_literal(w, "\">");
	}
	/* Isolated: a name in a script that is written from right to left is not mixed up with what
	 * stands beside it. */
	http_put_literal(w, "<bdi>");
	http_put_html_name(w, entry->name);
	http_put_slice(w, slash);
	http_put_literal(w, "</bdi>");
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

static void put_html_end(struct http_writer *w, const struct http_listing *listing, unsigned parts)
{
	if (!listing->any)
		http_put_literal(w, page_empty);
	http_put_literal(w, page_table_end);
	if (parts > 1) {
		http_put_literal(w, page_parts);
		http_put_u64(w, parts);
		http_put_literal(w, " of them.</p>\n");
	}
	http_put_literal(w, page_end);
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
	put_json_text(w, entry->name);
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

void http_listing_top(const struct http_listing *listing, struct http_writer *w)
{
	if (listing->json)
		http_put_literal(w, "[");
	else
		put_html_top(w, listing);
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

bool http_listing_row(struct http_listing *listing, struct http_writer *w,
		      const struct http_entry *entry)
{
	char *before = w->at;

	if (listing->json) {
		http_put_slice(w, listing->any ? SLICE_LITERAL(",\n") : SLICE_LITERAL("\n"));
		put_json_row(w, entry);
	} else {
		put_html_row(w, entry);
	}
	if (!fits(w, before))
		return false;
	listing->any = true;
	return true;
}

bool http_listing_end(const struct http_listing *listing, struct http_writer *w, unsigned parts)
{
	char *before = w->at;

	if (listing->json)
		http_put_literal(w, "\n]\n");
	else
		put_html_end(w, listing, parts);
	return fits(w, before);
}

struct slice http_listing_type(bool json)
{
	return json ? SLICE_LITERAL("application/json") : SLICE_LITERAL("text/html; charset=utf-8");
}
