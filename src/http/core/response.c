#include "http/core/response.h"

#include "http/core/path.h"
#include "http/core/request.h"

/* ---- the writer ---- */

void http_put_u64(struct http_writer *w, uint64_t value)
{
	char digits[20];
	size_t at = sizeof(digits);

	do {
		digits[--at] = (char)('0' + value % 10);
		value /= 10;
	} while (value);
	http_put(w, digits + at, sizeof(digits) - at);
}

void http_put_hex(struct http_writer *w, uint64_t value)
{
	char digits[16];
	size_t at = sizeof(digits);

	do {
		digits[--at] = "0123456789abcdef"[value & 15];
		value >>= 4;
	} while (value);
	http_put(w, digits + at, sizeof(digits) - at);
}

/* U+202A to U+202E, U+2066 to U+2069: embeddings, overrides and isolates, which turn the order of
 * what comes after them around. 0: none begins at `i`; else its bytes. */
static size_t direction_length(struct slice text, size_t i)
{
	const unsigned char *at = (const unsigned char *)text.ptr + i;

	if (text.len - i < 3 || at[0] != 0xe2)
		return 0;
	return (at[1] == 0x80 && at[2] >= 0xaa && at[2] <= 0xae) ||
		       (at[1] == 0x81 && at[2] >= 0xa6 && at[2] <= 0xa9)
		   ? 3
		   : 0;
}

void http_put_html_name(struct http_writer *w, struct slice name)
{
	size_t from = 0;

	for (size_t i = 0; i < name.len; i++) {
		size_t len = direction_length(name, i);

		if (len == 0)
			continue;
		http_put_html(w, slice_make(name.ptr + from, i - from));
		http_put_literal(w, "\xef\xbf\xbd");
		from = i + len;
		i = from - 1;
	}
	http_put_html(w, slice_make(name.ptr + from, name.len - from));
}

static struct slice html_entity(char c)
{
	switch (c) {
	case '&':
		return SLICE_LITERAL("&amp;");
	case '<':
		return SLICE_LITERAL("&lt;");
	case '>':
		return SLICE_LITERAL("&gt;");
	case '"':
		return SLICE_LITERAL("&quot;");
	case '\'':
		return SLICE_LITERAL("&#39;");
	default:
		return slice_make(NULL, 0);
	}
}

void http_put_html(struct http_writer *w, struct slice text)
{
	size_t from = 0;

	for (size_t i = 0; i < text.len; i++) {
		struct slice entity = html_entity(text.ptr[i]);

		if (entity.len == 0)
			continue;
		http_put(w, text.ptr + from, i - from);
		http_put_slice(w, entity);
		from = i + 1;
	}
	http_put_slice(w, slice_make(text.ptr + from, text.len - from));
}

void http_put_encoded(struct http_writer *w, struct slice text, bool keep_slash)
{
	size_t room = (size_t)(w->end - w->at);
	size_t need = w->cut ? 0 : http_path_encode(text, keep_slash, w->at, room);

	if (need > room)
		w->cut = true;
	else
		w->at += need;
}

/* ---- statuses and header lines ---- */

#define STATUSES(S)                               \
	S(100, "Continue")                        \
	S(200, "OK")                              \
	S(204, "No Content")                      \
	S(206, "Partial Content")                 \
	S(301, "Moved Permanently")               \
	S(302, "Found")                           \
	S(304, "Not Modified")                    \
	S(307, "Temporary Redirect")              \
	S(308, "Permanent Redirect")              \
	S(400, "Bad Request")                     \
	S(403, "Forbidden")                       \
	S(404, "Not Found")                       \
	S(405, "Method Not Allowed")              \
	S(406, "Not Acceptable")                  \
	S(408, "Request Timeout")                 \
	S(411, "Length Required")                 \
	S(412, "Precondition Failed")             \
	S(413, "Content Too Large")               \
	S(414, "URI Too Long")                    \
	S(416, "Range Not Satisfiable")           \
	S(417, "Expectation Failed")              \
	S(421, "Misdirected Request")             \
	S(429, "Too Many Requests")               \
	S(431, "Request Header Fields Too Large") \
	S(500, "Internal Server Error")           \
	S(501, "Not Implemented")                 \
	S(503, "Service Unavailable")             \
	S(505, "HTTP Version Not Supported")

static const struct {
	int status;
	const char *text;
	struct slice line;
} statuses[] = {
#define STATUS(code, text) \
	{code,             \
	 text,             \
	 {"HTTP/1.1 " #code " " text "\r\n", sizeof("HTTP/1.1 " #code " " text "\r\n") - 1}},
    STATUSES(STATUS)
#undef STATUS
};

const char *http_status_text(int status)
{
	for (size_t i = 0; i < ARRAY_SIZE(statuses); i++)
		if (statuses[i].status == status)
			return statuses[i].text;
	return "Unknown";
}

void http_put_status(struct http_writer *w, int status)
{
	for (size_t i = 0; i < ARRAY_SIZE(statuses); i++) {
		if (statuses[i].status == status) {
			http_put_slice(w, statuses[i].line);
			return;
		}
	}
	CHECK(status >= 100 && status <= 999);
	http_put_literal(w, "HTTP/1.1 ");
	http_put_u64(w, (uint64_t)status);
	http_put_literal(w, " Unknown\r\n");
}

void http_put_header(struct http_writer *w, struct slice name, struct slice value)
{
	http_put_slice(w, name);
	http_put_literal(w, ": ");
	http_put_slice(w, value);
	http_put_literal(w, "\r\n");
}

void http_put_header_u64(struct http_writer *w, struct slice name, uint64_t value)
{
	http_put_slice(w, name);
	http_put_literal(w, ": ");
	http_put_u64(w, value);
	http_put_literal(w, "\r\n");
}

/* Within the quotes of a quoted-string (RFC 9110 5.6.4). */
static void put_quoted(struct http_writer *w, const char *text)
{
	for (; *text; text++) {
		if (*text == '"' || *text == '\\')
			http_put_literal(w, "\\");
		http_put(w, text, 1);
	}
}

void http_put_timing(struct http_writer *w, const char *technique, const char *reason,
		     const char *verdict)
{
	http_put_literal(w, "leat;desc=\"");
	put_quoted(w, technique);
	http_put_literal(w, ": ");
	put_quoted(w, reason);
	http_put_literal(w, ": ");
	put_quoted(w, verdict);
	http_put_literal(w, "\"");
}

void http_put_header_date(struct http_writer *w, struct slice name, int64_t seconds)
{
	char date[HTTP_DATE_LEN];

	http_date_format(seconds, date);
	http_put_header(w, name, slice_make(date, sizeof(date)));
}

enum http_connection http_connection_of(const struct http_request *request, bool kept)
{
	if (!kept)
		return HTTP_CLOSE;
	return request->minor == 0 ? HTTP_KEEP_SAID : HTTP_KEEP;
}

void http_put_connection(struct http_writer *w, enum http_connection connection)
{
	if (connection == HTTP_CLOSE)
		http_put_literal(w, "Connection: close\r\n");
	if (connection == HTTP_KEEP_SAID)
		http_put_literal(w, "Connection: keep-alive\r\n");
}

/* ---- header blocks ---- */

void http_head_begin(struct http_head *head, struct http_writer *w, int status)
{
	static const char no_date[] = "Thu, 01 Jan 1970 00:00:00 GMT";

	_Static_assert(sizeof(no_date) - 1 == HTTP_DATE_LEN, "a hole as long as a date");
	http_put_status(w, status);
	http_put_literal(w, "Date: ");
	head->date_at = (uint32_t)http_written(w);
	http_put(w, no_date, HTTP_DATE_LEN);
	http_put_literal(w, "\r\nServer: leat\r\n");
}

void http_head_end(struct http_head *head, struct http_writer *w)
{
	http_put_literal(w, "\r\n");
	head->length = (uint32_t)http_written(w);
}

void http_head_emit(const struct http_head *head, const char *block, const char date[HTTP_DATE_LEN],
		    enum http_connection connection, struct slice extra, struct http_writer *w)
{
	char *start = w->at;

	http_put(w, block, head->length - 2);
	if (w->cut)
		return;
	memcpy(start + head->date_at, date, HTTP_DATE_LEN);
	http_put_slice(w, extra);
	http_put_connection(w, connection);
	http_put_literal(w, "\r\n");
}

/* ---- errors ---- */

static void put_error_page(struct http_writer *w, const struct http_error *error)
{
	const char *text = http_status_text(error->status);

	http_put_literal(w, "<!DOCTYPE html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n"
			    "<meta name=\"color-scheme\" content=\"light dark\">\n<title>");
	http_put_u64(w, (uint64_t)error->status);
	http_put_literal(w, " ");
	http_put_slice(w, slice_of(text));
	http_put_literal(w, "</title>\n<h1>");
	http_put_u64(w, (uint64_t)error->status);
	http_put_literal(w, " ");
	http_put_slice(w, slice_of(text));
	http_put_literal(w, "</h1>\n");
	if (error->detail.len) {
		http_put_literal(w, "<p>");
		http_put_html(w, error->detail);
		http_put_literal(w, "</p>\n");
	}
}

void http_put_error(struct http_writer *w, const struct http_error *error,
		    const char date[HTTP_DATE_LEN])
{
	char page[1024];
	struct http_writer body;
	struct http_error plain = *error;
	struct http_head head;
	char *start = w->at;

	http_writer_init(&body, page, sizeof(page));
	put_error_page(&body, error);
	if (body.cut) { /* the detail was too long */
		plain.detail.len = 0;
		http_writer_init(&body, page, sizeof(page));
		put_error_page(&body, &plain);
	}

	size_t before = http_written(w);
	http_head_begin(&head, w, error->status);
	http_put_header(w, SLICE_LITERAL("Content-Type"),
			SLICE_LITERAL("text/html; charset=utf-8"));
	http_put_header_u64(w, SLICE_LITERAL("Content-Length"), http_written(&body));
	http_put_slice(w, error->extra);
	http_put_slice(w, error->own);
	http_put_connection(w, error->connection);
	http_head_end(&head, w);
	if (error->with_body)
		http_put(w, page, http_written(&body));
	if (!w->cut)
		memcpy(start + (head.date_at - before), date, HTTP_DATE_LEN);
}
