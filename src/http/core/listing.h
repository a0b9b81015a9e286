/*
 * Directory listings, as HTML and as JSON: names in order, and rows written one after another.
 *
 * A directory of a million files has to cost little while its listing goes out to a slow client. So
 * what is sorted is small (struct http_name: 16 bytes and the name), and what a row needs besides is
 * asked for when the row is written. The caller owns the names and the buffers:
 *
 *     http_names_sort(names, count, descending);
 *     http_listing_top(&listing, &w);
 *     http_listing_row(&listing, &w, &entry)...     false: no room, again in the next buffer
 *     http_listing_end(&listing, &w, parts);        the same
 *
 * HTML: names escaped for text and percent-encoded for links, sizes and UTC times readable,
 * directories first, links that sort (?C=N|M|S&O=A|D, as nginx's fancyindex and Apache have it),
 * light and dark. JSON: as nginx's autoindex_format json, an array of {"name", "type": "file" |
 * "directory" | "other", "mtime": IMF-fixdate, "size": of files}.
 */
#ifndef HTTP_CORE_LISTING_H
#define HTTP_CORE_LISTING_H

#include "base/slice.h"
#include "http/core/response.h"

enum http_entry_kind { HTTP_ENTRY_DIRECTORY, HTTP_ENTRY_FILE, HTTP_ENTRY_OTHER };

/* ---- order (listing_order.c) ---- */

enum http_sort { HTTP_SORT_NAME, HTTP_SORT_TIME, HTTP_SORT_SIZE };

struct http_order {
	enum http_sort by;
	bool descending;
};

/* From a query like "C=M&O=D"; what it doesn't say or says wrongly: by name, ascending. */
struct http_order http_order_parse(struct slice query);

/* A name as it is kept: no more than its bytes and these three. */
struct http_kept_name {
	uint8_t kind; /* enum http_entry_kind */
	uint8_t by_link;
	uint8_t len;
	char name[];
};

struct http_name {
	uint64_t key; /* http_order_key() */
	const struct http_kept_name *record;
};

/* What is compared before the name. Directories have no size. */
uint64_t http_order_key(struct http_order order, enum http_entry_kind kind, uint64_t size,
			int64_t mtime);

/* Directories first, then by key, equal keys by name; names in natural order without case (file2
 * before file10), then by bytes. In place, O(n log n) always, no allocation. */
void http_names_sort(struct http_name *names, size_t count, bool descending);

/* ---- rows ---- */

struct http_entry {
	struct slice name; /* up to 255 bytes */
	enum http_entry_kind kind;
	uint64_t size;
	int64_t mtime; /* seconds */
};

struct http_listing {
	struct slice path; /* of the directory as people see it, decoded: "/" or "/a/b/" */
	struct http_order order;
	bool json;
	bool any; /* a row was written */
};

/* The smallest buffer in which the top of the page, or any row, or the end fits. */
#define HTTP_LISTING_BUFFER_MIN (16 * 1024)

/* Into a buffer that has this room; `path` is not used afterwards. */
void http_listing_top(const struct http_listing *listing, struct http_writer *w);
/* false: it does not fit, and nothing was written. */
bool http_listing_row(struct http_listing *listing, struct http_writer *w,
		      const struct http_entry *entry);
/* `parts`: in so many parts the names were sorted, each for itself; 1: as a whole. */
bool http_listing_end(const struct http_listing *listing, struct http_writer *w, unsigned parts);

/* "text/html; charset=utf-8" or "application/json". */
struct slice http_listing_type(bool json);

#endif
