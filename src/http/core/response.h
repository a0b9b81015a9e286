/*
 * Building responses: a bounded writer, the table of statuses, header lines, and header blocks that
 * are built once a file and only get their Date and Connection afterwards.
 *
 * No printf, no allocation. A writer that runs out of room remembers it and writes nothing more:
 * check `cut` once at the end.
 */
#ifndef HTTP_CORE_RESPONSE_H
#define HTTP_CORE_RESPONSE_H

#include "base/slice.h"
#include "http/core/date.h"

/* ---- the writer ---- */

struct http_writer {
	char *start, *at, *end;
	bool cut; /* something did not fit; what is there is not to be sent */
};

static inline void http_writer_init(struct http_writer *w, char *buf, size_t size)
{
	*w = (struct http_writer){buf, buf, buf + size, false};
}

static inline size_t http_written(const struct http_writer *w)
{
	return (size_t)(w->at - w->start);
}

/* All of it or none. */
static inline void http_put(struct http_writer *w, const char *data, size_t len)
{
	if (unlikely(w->cut || (size_t)(w->end - w->at) < len)) {
		w->cut = true;
		return;
	}
	memcpy(w->at, data, len);
	w->at += len;
}

static inline void http_put_slice(struct http_writer *w, struct slice s)
{
	if (s.len)
		http_put(w, s.ptr, s.len);
}

#define http_put_literal(w, text) http_put((w), (text), sizeof(text) - 1)

void http_put_u64(struct http_writer *w, uint64_t value);
void http_put_hex(struct http_writer *w, uint64_t value);
/* & < > " ' as entities: for text and attributes of HTML. */
void http_put_html(struct http_writer *w, struct slice text);
/* The same for names of files, which strangers choose: controls that turn the direction of writing
 * around are U+FFFD, or "\u202egpj.exe" would be read as another name. */
void http_put_html_name(struct http_writer *w, struct slice name);
/* http_path_encode() into the writer. */
void http_put_encoded(struct http_writer *w, struct slice text, bool keep_slash);

/* ---- statuses and header lines ---- */

/* "Not Found"; "Unknown" for a number that isn't in the table. */
const char *http_status_text(int status);
/* "HTTP/1.1 404 Not Found\r\n" */
void http_put_status(struct http_writer *w, int status);

/* "Name: value\r\n". `name` and `value` are ours or were checked: no CR, LF, NUL in them. */
void http_put_header(struct http_writer *w, struct slice name, struct slice value);
void http_put_header_u64(struct http_writer *w, struct slice name, uint64_t value);
/* "leat;desc=\"technique: reason: verdict\"", a member of Server-Timing (W3C): what a browser's
 * developer tools show. */
void http_put_timing(struct http_writer *w, const char *technique, const char *reason,
		     const char *verdict);
void http_put_header_date(struct http_writer *w, struct slice name, int64_t seconds);

/* What a response says about its connection. */
enum http_connection {
	HTTP_KEEP,      /* HTTP/1.1 keeps it: nothing to say */
	HTTP_KEEP_SAID, /* HTTP/1.0 asked to keep it: "Connection: keep-alive" */
	HTTP_CLOSE,     /* "Connection: close" */
};

struct http_request;
/* What to say when the connection is `kept` after this request. */
enum http_connection http_connection_of(const struct http_request *request, bool kept);
void http_put_connection(struct http_writer *w, enum http_connection connection);

/* ---- header blocks ----
 *
 * Status line, Date, Server, then what the caller adds, then the empty line. Built for HTTP_KEEP:
 * that one is sent as it is once its Date is stamped.
 *
 *     http_head_begin(&head, &w, 200);
 *     http_put_header(&w, ...)...
 *     http_head_end(&head, &w);        -- then w's bytes are the block
 *     ...
 *     http_head_stamp(&head, bytes, date);                           in place, or
 *     http_head_emit(&head, bytes, date, HTTP_CLOSE, extra, &other_writer);  a copy
 */

struct http_head {
	uint32_t length; /* of the whole block, with the empty line */
	uint32_t date_at;
};

void http_head_begin(struct http_head *head, struct http_writer *w, int status);
void http_head_end(struct http_head *head, struct http_writer *w);

static inline void http_head_stamp(const struct http_head *head, char *block,
				   const char date[HTTP_DATE_LEN])
{
	memcpy(block + head->date_at, date, HTTP_DATE_LEN);
}

/* `extra`: finished header lines, or empty. */
void http_head_emit(const struct http_head *head, const char *block, const char date[HTTP_DATE_LEN],
		    enum http_connection connection, struct slice extra, struct http_writer *w);

/* ---- errors ----
 *
 * A whole response with a small HTML page: for what has no file behind it. `detail` (may be empty)
 * is put into the page, escaped. `extra` (may be empty) are finished header lines such as "Allow:
 * GET, HEAD\r\n", `own` those of the operator. `with_body` is false for HEAD: Content-Length says
 * what GET would get. */
struct http_error {
	int status;
	struct slice detail;
	struct slice extra, own;
	bool with_body;
	enum http_connection connection;
};
void http_put_error(struct http_writer *w, const struct http_error *error,
		    const char date[HTTP_DATE_LEN]);

#endif
