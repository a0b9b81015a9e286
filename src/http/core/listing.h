/*
 * Directory listings, as HTML and as JSON, written in pieces.
 *
 * The caller hands over the entries (an array it owns, borrowed until the listing ends), sorts them
 * with http_listing_sort(), and asks for one bufferful after another: a directory of 200,000 files
 * needs no more memory than its entries and one buffer.
 *
 * HTML: names escaped for text and percent-encoded for links, sizes and UTC times readable,
 * directories first, links that sort (?C=N|M|S&O=A|D, as nginx's fancyindex and Apache have it),
 * light and dark. JSON: as nginx's autoindex_format json, an array of {"name", "type": "file" |
 * "directory" | "other", "mtime": IMF-fixdate, "size": of files}.
 */
#ifndef HTTP_CORE_LISTING_H
#define HTTP_CORE_LISTING_H

#include "base/slice.h"

enum http_entry_kind { HTTP_ENTRY_DIRECTORY, HTTP_ENTRY_FILE, HTTP_ENTRY_OTHER };

struct http_entry {
	const char *name;
	uint32_t name_len; /* up to 255 */
	enum http_entry_kind kind;
	uint64_t size;
	int64_t mtime; /* seconds */
};

enum http_sort { HTTP_SORT_NAME, HTTP_SORT_TIME, HTTP_SORT_SIZE };

struct http_order {
	enum http_sort by;
	bool descending;
};

/* From a query like "C=M&O=D"; what it doesn't say or says wrongly: by name, ascending. */
struct http_order http_order_parse(struct slice query);

/* Directories first, equal keys by name; names in natural order without case (file2 before file10),
 * then by bytes. In place, O(n log n) always, no allocation. */
void http_listing_sort(struct http_entry *entries, size_t count, struct http_order order);

struct http_listing_options {
	struct slice path; /* of the directory as people see it, decoded: "/" or "/a/b/" */
	struct http_order order;
	bool json;
};

struct http_listing {
	struct http_listing_options options;
	const struct http_entry *entries;
	size_t count;
	size_t next; /* entry to write next */
	enum { HTTP_LISTING_TOP, HTTP_LISTING_ROWS, HTTP_LISTING_DONE } state;
};

/* The smallest buffer for http_listing_step(): the top of the page, or the longest row, fits. */
#define HTTP_LISTING_BUFFER_MIN (16 * 1024)

void http_listing_init(struct http_listing *listing, const struct http_listing_options *options,
		       const struct http_entry *entries, size_t count);
/* Fills `buf` (`size` at least HTTP_LISTING_BUFFER_MIN) with whole rows and returns the bytes; 0:
 * all is written. */
size_t http_listing_step(struct http_listing *listing, char *buf, size_t size);

/* "text/html; charset=utf-8" or "application/json". */
struct slice http_listing_type(bool json);

#endif
