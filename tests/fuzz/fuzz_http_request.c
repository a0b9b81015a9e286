/*
 * The request parser and the body skimmer: what a head in one piece gives, it gives in any pieces;
 * slices stay inside the bytes given; nothing after a refused request is taken for a request.
 *
 * The last byte of the input is the size of the first pieces.
 */
#include "fuzz/fuzz.h"
#include "http/core/chars.h"
#include "http/core/request.h"

static void check_inside(struct slice s, const char *buf, size_t len)
{
	HOLDS(s.len == 0 || (s.len == 1 && *s.ptr == '/') ||
	      (s.ptr >= buf && s.ptr + s.len <= buf + len));
}

static void check_header(const struct http_request *r, unsigned index, const char *buf)
{
	const struct http_header *h = &r->headers[index];

	check_inside(h->name, buf, r->length);
	check_inside(h->value, buf, r->length);
	HOLDS(h->name.len > 0);
	HOLDS(http_run(h->name.ptr, h->name.ptr + h->name.len, HTTP_TOKEN) ==
	      h->name.ptr + h->name.len);
	HOLDS(http_run(h->value.ptr, h->value.ptr + h->value.len, HTTP_VALUE) ==
	      h->value.ptr + h->value.len);
	HOLDS(slice_trim(h->value).len == h->value.len);
	if (h->field)
		HOLDS(r->field_at[h->field] > 0 && r->field_at[h->field] - 1u <= index);
}

static void check_good(const struct http_request *r, const char *buf, size_t len)
{
	HOLDS(r->length <= len && r->length <= HTTP_HEAD_MAX && buf[r->length - 1] == '\n');
	HOLDS(r->method != HTTP_METHOD_UNKNOWN && r->minor <= 1 && r->status == 0);
	check_inside(r->line, buf, r->length);
	check_inside(r->target, buf, r->length);
	check_inside(r->path, buf, r->length);
	check_inside(r->query, buf, r->length);
	check_inside(r->host, buf, r->length);
	HOLDS(r->form == HTTP_FORM_ORIGIN || r->form == HTTP_FORM_ABSOLUTE || r->path.len == 0);
	HOLDS(r->path.len == 0 || *r->path.ptr == '/');
	HOLDS((r->framing == HTTP_BODY_LENGTH) == (r->content_length > 0));
	HOLDS(!http_request_has(r, HTTP_FIELD_TRANSFER_ENCODING) ||
	      !http_request_has(r, HTTP_FIELD_CONTENT_LENGTH));
	HOLDS(r->header_count <= HTTP_HEADERS_MAX);
	for (unsigned i = 0; i < r->header_count; i++)
		check_header(r, i, buf);
}

static bool same(const struct http_request *a, const struct http_request *b)
{
	if (memcmp(a, b, offsetof(struct http_request, headers)) != 0)
		return false;
	for (unsigned i = 0; i < a->header_count; i++)
		if (a->headers[i].name.ptr != b->headers[i].name.ptr ||
		    !slice_eq(a->headers[i].value, b->headers[i].value))
			return false;
	return true;
}

/* An answer in pieces may come later than for the whole (a bad header only with the head's end), so
 * the head is ended for both. */
static void check_pieces(char *buf, size_t len, size_t piece)
{
	static struct http_request whole, split;
	struct http_scan scan = {0}, fresh = {0};
	enum http_parse expected, result = HTTP_PARSE_MORE;
	size_t at = 0;

	memcpy(buf + len, "\n\n", 2);
	len += 2;
	expected = http_parse_request(&fresh, buf, len, &whole);
	while (result == HTTP_PARSE_MORE && at < len) {
		at = min_size(len, at + piece);
		result = http_parse_request(&scan, buf, at, &split);
		piece = piece % 7 + 1;
	}
	HOLDS(result == expected);
	if (result == HTTP_PARSE_BAD)
		HOLDS(split.status == whole.status && split.reason == whole.reason);
	if (result == HTTP_PARSE_OK)
		HOLDS(same(&whole, &split));
	HOLDS(result == HTTP_PARSE_MORE || (scan.seen == 0 && !scan.line));
}

static void check_skim(const struct http_request *r, const char *body, size_t len, size_t piece)
{
	struct http_skim whole, split;
	size_t used, at = 0, used_at = 0;
	enum http_parse result = HTTP_PARSE_MORE;

	http_skim_init(&whole, r);
	split = whole;
	enum http_parse expected = http_skim_step(&whole, body, len, &used);
	HOLDS(used <= len && (expected != HTTP_PARSE_MORE || used == len));
	while (result == HTTP_PARSE_MORE && at < len) {
		size_t step = min_size(piece, len - at);
		result = http_skim_step(&split, body + at, step, &used_at);
		at += used_at;
	}
	if (len == 0)
		return;
	HOLDS(result == expected && at == used && split.bytes == whole.bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct http_request request;
	struct http_scan scan = {0};
	size_t piece = 1 + take_number(data, &size, 1);
	char *buf = heap_copy(data, size);
	enum http_parse result = http_parse_request(&scan, buf, size, &request);

	HOLDS(result != HTTP_PARSE_MORE || size < HTTP_HEAD_MAX);
	if (result == HTTP_PARSE_OK) {
		check_good(&request, buf, size);
		check_skim(&request, buf + request.length, size - request.length, piece);
	}
	if (result == HTTP_PARSE_BAD) {
		HOLDS(request.reason != NULL);
		HOLDS(request.status == 400 || request.status == 414 || request.status == 417 ||
		      request.status == 431 || request.status == 501 || request.status == 505);
		check_inside(request.line, buf, size);
	}
	free(buf);

	char *ended = malloc(size + 2);
	CHECK(ended);
	if (size)
		memcpy(ended, data, size);
	check_pieces(ended, size, piece);
	free(ended);
	return 0;
}
