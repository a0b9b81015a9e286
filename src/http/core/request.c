/*
 * One pass over a complete head. Each parse_ function takes the cursor past what it parsed and
 * returns HTTP_PARSE_OK, or leaves by more() or bad().
 *
 * A head that comes in pieces is parsed anew when it may have become complete, and only then:
 * worth_parsing() looks at each byte once.
 */
#include "http/core/request.h"

#include "http/core/authority.h"
#include "http/core/chars.h"

struct cursor {
	const char *at;
	const char *end; /* of the bytes that may be looked at: the data's, or a limit's */
	const char *limit;
	int limit_status; /* what `end` means when it is `limit` */
	struct http_request *request;
};

static __attribute__((cold, noinline)) enum http_parse bad(struct http_request *request, int status,
							   const char *reason)
{
	request->status = status;
	request->reason = reason;
	return HTTP_PARSE_BAD;
}

/* Out of bytes: there are none yet, or none are allowed. */
static __attribute__((cold, noinline)) enum http_parse more(const struct cursor *c)
{
	if (c->end < c->limit)
		return HTTP_PARSE_MORE;
	return bad(c->request, c->limit_status,
		   c->limit_status == 414 ? "request line too long" : "request header too large");
}

static inline uint64_t load8(const char *p)
{
	uint64_t x;

	memcpy(&x, p, sizeof(x));
	return x;
}

#define EACH_BYTE(b) (UINT64_C(0x0101010101010101) * (b))

/* Not 0 if one of the eight bytes is a control (a tab too) or DEL. */
static inline uint64_t has_control(uint64_t x)
{
	uint64_t del = x ^ EACH_BYTE(0x7f);

	return (((x - EACH_BYTE(0x20)) & ~x) | ((del - EACH_BYTE(1)) & ~del)) & EACH_BYTE(0x80);
}

/* The end of a run of HTTP_VALUE bytes: cookies and user agents are long, so eight at a time. */
static inline const char *value_run(const char *at, const char *end)
{
	for (;;) {
		while (end - at >= 8 && !has_control(load8(at)))
			at += 8;
		at = http_run(at, end - at > 8 ? at + 8 : end, HTTP_VALUE);
		if (at == end || !http_is(*at, HTTP_VALUE))
			return at;
	}
}

/* ---- the request line ---- */

static enum http_method method_of(struct slice text)
{
	static const struct {
		struct slice name;
		enum http_method method;
	} methods[] = {
	    {{"GET", 3}, HTTP_GET},     {{"HEAD", 4}, HTTP_HEAD},   {{"OPTIONS", 7}, HTTP_OPTIONS},
	    {{"POST", 4}, HTTP_POST},   {{"PUT", 3}, HTTP_PUT},     {{"DELETE", 6}, HTTP_DELETE},
	    {{"PATCH", 5}, HTTP_PATCH}, {{"TRACE", 5}, HTTP_TRACE}, {{"CONNECT", 7}, HTTP_CONNECT},
	};

	for (size_t i = 0; i < ARRAY_SIZE(methods); i++)
		if (slice_eq(text, methods[i].name))
			return methods[i].method;
	return HTTP_METHOD_UNKNOWN;
}

/* CRLF or LF. */
static inline enum http_parse parse_line_end(struct cursor *c, const char *wrong)
{
	if (c->at == c->end)
		return more(c);
	if (*c->at == '\r') {
		if (c->end - c->at < 2)
			return more(c);
		if (c->at[1] != '\n')
			return bad(c->request, 400, "CR without LF");
		c->at += 2;
		return HTTP_PARSE_OK;
	}
	if (*c->at != '\n')
		return bad(c->request, 400, wrong);
	c->at++;
	return HTTP_PARSE_OK;
}

static enum http_parse parse_empty_lines(struct cursor *c)
{
	for (int i = 0; i <= HTTP_EMPTY_LINES_MAX; i++) {
		if (c->at == c->end)
			return more(c);
		if (*c->at != '\r' && *c->at != '\n')
			return HTTP_PARSE_OK;
		enum http_parse result = parse_line_end(c, "");
		if (result != HTTP_PARSE_OK)
			return result;
	}
	return bad(c->request, 400, "empty lines instead of a request");
}

static enum http_parse parse_method(struct cursor *c)
{
	const char *start = c->at;

	if (likely(c->end - start >= 4 && memcmp(start, "GET ", 4) == 0)) {
		c->request->method = HTTP_GET;
		c->request->method_text = slice_make(start, 3);
		c->at += 4;
		return HTTP_PARSE_OK;
	}
	c->at = http_run(start, c->end, HTTP_TOKEN);
	if (c->at == c->end)
		return more(c);
	if (*c->at != ' ' || c->at == start)
		return bad(c->request, 400, "malformed method");
	c->request->method_text = slice_make(start, (size_t)(c->at - start));
	c->request->method = method_of(c->request->method_text);
	c->at++;
	return HTTP_PARSE_OK;
}

static bool is_authority(struct slice text)
{
	struct http_authority ignored;

	return http_authority_parse(text, &ignored);
}

/* [start, end) of the target's own bytes; the space after it is there. */
static enum http_parse split_absolute(struct http_request *request, const char *start,
				      const char *end)
{
	struct slice text = slice_make(start, (size_t)(end - start));
	size_t scheme = text.len > 4 && text.ptr[4] == ':' ? 7 : 8;

	if (text.len < scheme ||
	    !slice_eq_nocase(slice_make(start, scheme),
			     scheme == 7 ? SLICE_LITERAL("http://") : SLICE_LITERAL("https://")))
		return bad(request, 400, "malformed request target");

	const char *host = start + scheme;
	const char *path = http_run(host, end, HTTP_AUTHORITY);
	if ((path < end && *path != '/' && *path != '?') ||
	    !is_authority(slice_make(host, (size_t)(path - host))))
		return bad(request, 400, "malformed authority in the request target");
	request->form = HTTP_FORM_ABSOLUTE;
	request->host = slice_make(host, (size_t)(path - host));

	const char *question = memchr(path, '?', (size_t)(end - path));
	const char *path_end = question ? question : end;
	request->path = slice_make(path, (size_t)(path_end - path));
	if (request->path.len == 0) /* RFC 9112 3.2.4: OPTIONS without a path means "*" */
		request->path = request->method == HTTP_OPTIONS && !question ? slice_make(NULL, 0)
									     : SLICE_LITERAL("/");
	if (request->path.len == 0)
		request->form = HTTP_FORM_ASTERISK;
	if (question)
		request->query = slice_make(question + 1, (size_t)(end - question - 1));
	return HTTP_PARSE_OK;
}

/* Targets that do not start with a slash. */
static __attribute__((noinline)) enum http_parse parse_other_target(struct cursor *c)
{
	struct http_request *request = c->request;
	const char *start = c->at;
	const char *end = http_run(start, c->end, HTTP_QUERY);

	if (end == c->end)
		return more(c);
	if (*end != ' ' || end == start)
		return bad(request, 400, "malformed request line");
	c->at = end;
	if (end - start == 1 && *start == '*') {
		request->form = HTTP_FORM_ASTERISK;
		return HTTP_PARSE_OK;
	}
	if (request->method != HTTP_CONNECT)
		return split_absolute(request, start, end);
	if (!is_authority(slice_make(start, (size_t)(end - start))))
		return bad(request, 400, "malformed authority in the request target");
	request->form = HTTP_FORM_AUTHORITY;
	request->host = slice_make(start, (size_t)(end - start));
	return HTTP_PARSE_OK;
}

static inline enum http_parse parse_origin_target(struct cursor *c)
{
	const char *start = c->at;
	const char *at = http_run(start, c->end, HTTP_PATH);

	c->request->form = HTTP_FORM_ORIGIN;
	c->request->path = slice_make(start, (size_t)(at - start));
	if (at < c->end && *at == '?') {
		const char *query = at + 1;

		at = http_run(query, c->end, HTTP_QUERY);
		c->request->query = slice_make(query, (size_t)(at - query));
	}
	c->at = at;
	if (at == c->end)
		return more(c);
	if (*at == '\r' || *at == '\n')
		return bad(c->request, 400, "request line without a version");
	if (*at != ' ')
		return bad(c->request, 400, "byte not allowed in a request target");
	return HTTP_PARSE_OK;
}

static enum http_parse parse_target(struct cursor *c)
{
	const char *start = c->at;
	enum http_parse result;

	if (c->at == c->end)
		return more(c);
	result = likely(*start == '/') ? parse_origin_target(c) : parse_other_target(c);
	if (result != HTTP_PARSE_OK)
		return result;
	c->request->target = slice_make(start, (size_t)(c->at - start));
	c->at++;
	return HTTP_PARSE_OK;
}

static enum http_parse parse_version(struct cursor *c)
{
	static const char form[] = "HTTP/0.0";
	size_t left = (size_t)(c->end - c->at);

	if (likely(left >= 8 && memcmp(c->at, "HTTP/1.1", 8) == 0)) {
		c->request->minor = 1;
		c->at += 8;
		return HTTP_PARSE_OK;
	}
	for (size_t i = 0; i < 8; i++) {
		if (i == left)
			return more(c);
		if (form[i] == '0' ? !http_is(c->at[i], HTTP_DIGIT) : c->at[i] != form[i])
			return bad(c->request, 400, "malformed HTTP version");
	}
	if (c->at[5] != '1')
		return bad(c->request, 505, "HTTP version not supported");
	c->request->minor = c->at[7] == '0' ? 0 : 1;
	c->at += 8;
	return HTTP_PARSE_OK;
}

static enum http_parse parse_request_line(struct cursor *c)
{
	enum http_parse result = parse_empty_lines(c);
	if (result != HTTP_PARSE_OK)
		return result;

	struct cursor line = *c;
	if (c->limit - c->at > HTTP_LINE_MAX) {
		line.limit = c->at + HTTP_LINE_MAX;
		line.limit_status = 414;
		line.end = line.limit < c->end ? line.limit : c->end;
	}
	c->request->line.ptr = c->at;
	if ((result = parse_method(&line)) != HTTP_PARSE_OK ||
	    (result = parse_target(&line)) != HTTP_PARSE_OK ||
	    (result = parse_version(&line)) != HTTP_PARSE_OK)
		return result;
	c->request->line.len = (size_t)(line.at - c->at);
	result = parse_line_end(&line, "malformed HTTP version");
	c->at = line.at;
	return result;
}

/* ---- header lines ---- */

/* At most two known names share a length, so two comparisons recognise any. */
static const struct {
	const char *name;
	enum http_field field;
} fields[][2] = {
    [4] = {{"host", HTTP_FIELD_HOST}},
    [5] = {{"range", HTTP_FIELD_RANGE}},
    [6] = {{"accept", HTTP_FIELD_ACCEPT}, {"expect", HTTP_FIELD_EXPECT}},
    [7] = {{"referer", HTTP_FIELD_REFERER}},
    [8] = {{"if-range", HTTP_FIELD_IF_RANGE}, {"if-match", HTTP_FIELD_IF_MATCH}},
    [10] = {{"connection", HTTP_FIELD_CONNECTION}, {"user-agent", HTTP_FIELD_USER_AGENT}},
    [13] = {{"if-none-match", HTTP_FIELD_IF_NONE_MATCH}},
    [14] = {{"content-length", HTTP_FIELD_CONTENT_LENGTH}},
    [15] = {{"accept-encoding", HTTP_FIELD_ACCEPT_ENCODING}},
    [17] = {{"if-modified-since", HTTP_FIELD_IF_MODIFIED_SINCE},
	    {"transfer-encoding", HTTP_FIELD_TRANSFER_ENCODING}},
    [19] = {{"if-unmodified-since", HTTP_FIELD_IF_UNMODIFIED_SINCE}},
};

/* `name` is a token. Setting bit 0x20 then makes no token byte equal to a letter or '-' that it
 * isn't in the other case. */
static inline bool same_name(const char *name, const char *lower, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if ((name[i] | 0x20) != lower[i])
			return false;
	return true;
}

static inline enum http_field field_of(const char *name, size_t len)
{
	if (len >= ARRAY_SIZE(fields))
		return HTTP_FIELD_OTHER;
	for (int i = 0; i < 2 && fields[len][i].name; i++)
		if (same_name(name, fields[len][i].name, len))
			return fields[len][i].field;
	return HTTP_FIELD_OTHER;
}

static inline void add_header(struct http_request *request, struct slice name, struct slice value)
{
	enum http_field field = field_of(name.ptr, name.len);
	unsigned index = request->header_count++;

	request->headers[index] = (struct http_header){name, value, field};
	if (field == HTTP_FIELD_OTHER)
		return;
	if (request->field_at[field])
		request->repeated |= 1u << field;
	else
		request->field_at[field] = (uint8_t)(index + 1);
}

static const char *why_no_name(const char *start, const char *at)
{
	if (at == start && (*at == ' ' || *at == '\t'))
		return "folded header line";
	if (*at == ' ' || *at == '\t')
		return "white space before the colon of a header";
	return "malformed header name";
}

static inline enum http_parse parse_header(struct cursor *c)
{
	const char *start = c->at;
	const char *colon = http_run(start, c->end, HTTP_TOKEN);

	if (colon == c->end)
		return more(c);
	if (*colon != ':' || colon == start)
		return bad(c->request, 400, why_no_name(start, colon));

	const char *value = colon + 1;
	while (value < c->end && (*value == ' ' || *value == '\t'))
		value++;
	const char *value_end = value_run(value, c->end);
	c->at = value_end;
	enum http_parse result = parse_line_end(c, "control character in a header");
	if (result != HTTP_PARSE_OK)
		return result;

	while (value_end > value && (value_end[-1] == ' ' || value_end[-1] == '\t'))
		value_end--;
	add_header(c->request, slice_make(start, (size_t)(colon - start)),
		   slice_make(value, (size_t)(value_end - value)));
	return HTTP_PARSE_OK;
}

static enum http_parse parse_headers(struct cursor *c)
{
	for (;;) {
		if (c->at == c->end)
			return more(c);
		if (*c->at == '\r' || *c->at == '\n')
			return parse_line_end(c, "");
		if (c->request->header_count == HTTP_HEADERS_MAX)
			return bad(c->request, 431, "too many headers");
		enum http_parse result = parse_header(c);
		if (result != HTTP_PARSE_OK)
			return result;
	}
}

/* ---- what the head means ---- */

static inline bool repeated(const struct http_request *request, enum http_field field)
{
	return (request->repeated & (1u << field)) != 0;
}

static enum http_parse check_host(struct http_request *request)
{
	struct slice host;

	if (!http_request_field(request, HTTP_FIELD_HOST, &host)) {
		if (request->minor > 0)
			return bad(request, 400, "no Host header");
		return HTTP_PARSE_OK;
	}
	if (repeated(request, HTTP_FIELD_HOST))
		return bad(request, 400, "more than one Host header");
	if (!is_authority(host))
		return bad(request, 400, "malformed Host header");
	if (request->host.len == 0) /* RFC 9112 3.2.2: the target's authority wins */
		request->host = host;
	return HTTP_PARSE_OK;
}

static void check_connection(struct http_request *request)
{
	bool keep = false, close = false;
	struct slice token;

	for (unsigned i = http_request_next(request, HTTP_FIELD_CONNECTION, 0);
	     i < request->header_count;
	     i = http_request_next(request, HTTP_FIELD_CONNECTION, i + 1)) {
		struct slice rest = request->headers[i].value;

		while (http_list_next(&rest, &token)) {
			keep |= slice_eq_nocase(token, SLICE_LITERAL("keep-alive"));
			close |= slice_eq_nocase(token, SLICE_LITERAL("close"));
		}
	}
	request->keep_alive = !close && (keep || request->minor > 0);
}

/* RFC 9112 6.1: a coding that isn't "chunked" alone can't be framed by us, and in HTTP/1.0, or
 * beside a Content-Length, somebody on the way may have framed it differently. */
static enum http_parse check_transfer_encoding(struct http_request *request, struct slice value)
{
	if (http_request_has(request, HTTP_FIELD_CONTENT_LENGTH))
		return bad(request, 400, "both Transfer-Encoding and Content-Length");
	if (request->minor == 0)
		return bad(request, 400, "Transfer-Encoding in HTTP/1.0");
	if (repeated(request, HTTP_FIELD_TRANSFER_ENCODING) ||
	    !slice_eq_nocase(value, SLICE_LITERAL("chunked")))
		return bad(request, 400, "unknown Transfer-Encoding");
	request->framing = HTTP_BODY_CHUNKED;
	return HTTP_PARSE_OK;
}

static enum http_parse check_framing(struct http_request *request)
{
	struct slice value;
	uint64_t length;

	if (http_request_field(request, HTTP_FIELD_TRANSFER_ENCODING, &value))
		return check_transfer_encoding(request, value);
	if (!http_request_field(request, HTTP_FIELD_CONTENT_LENGTH, &value))
		return HTTP_PARSE_OK;
	if (repeated(request, HTTP_FIELD_CONTENT_LENGTH))
		return bad(request, 400, "more than one Content-Length");
	if (http_number_parse(value, &length) < 0 || length > INT64_MAX)
		return bad(request, 400, "malformed Content-Length");
	request->framing = length ? HTTP_BODY_LENGTH : HTTP_BODY_NONE;
	request->content_length = length;
	return HTTP_PARSE_OK;
}

/* RFC 9110 10.1.1. HTTP/1.0 knows no Expect. */
static enum http_parse check_expect(struct http_request *request)
{
	struct slice expectation;

	if (request->minor == 0)
		return HTTP_PARSE_OK;
	for (unsigned i = http_request_next(request, HTTP_FIELD_EXPECT, 0);
	     i < request->header_count; i = http_request_next(request, HTTP_FIELD_EXPECT, i + 1)) {
		struct slice rest = request->headers[i].value;

		while (http_list_next(&rest, &expectation))
			if (!slice_eq_nocase(expectation, SLICE_LITERAL("100-continue")))
				return bad(request, 417, "unknown Expect");
	}
	request->expect_continue =
	    http_request_has(request, HTTP_FIELD_EXPECT) && request->framing != HTTP_BODY_NONE;
	return HTTP_PARSE_OK;
}

static enum http_parse check_request(struct http_request *request)
{
	enum http_parse result;

	if ((result = check_host(request)) != HTTP_PARSE_OK ||
	    (result = check_framing(request)) != HTTP_PARSE_OK)
		return result;
	if (request->method == HTTP_METHOD_UNKNOWN)
		return bad(request, 501, "unknown method");
	if (request->form == HTTP_FORM_ASTERISK && request->method != HTTP_OPTIONS)
		return bad(request, 400, "target * without OPTIONS");
	if (request->method == HTTP_CONNECT && request->form != HTTP_FORM_AUTHORITY)
		return bad(request, 400, "CONNECT without an authority");
	check_connection(request);
	return check_expect(request);
}

/* ---- heads in pieces ---- */

/* Whether the byte at `i`, in a head whose request line is good, ends it or is an error by itself:
 * a control that is no tab, or a CR before it that no LF followed. */
static bool ends_head(const char *buf, size_t i)
{
	if (buf[i] == '\n')
		return i > 1 && (buf[i - 1] == '\n' || (buf[i - 1] == '\r' && buf[i - 2] == '\n'));
	return (i > 0 && buf[i - 1] == '\r') || (buf[i] != '\r' && !http_is(buf[i], HTTP_VALUE));
}

/* Whether the bytes after scan->seen can change the answer HTTP_PARSE_MORE. Until the request line
 * is there any control byte can: a line end, or an error. */
static bool worth_parsing(const struct http_scan *scan, const char *buf, size_t len)
{
	if (len >= HTTP_HEAD_MAX || (!scan->line && len >= HTTP_LINE_MAX))
		return true;
	for (size_t i = scan->seen; i < len; i++)
		if (scan->line ? ends_head(buf, i) : !http_is(buf[i], HTTP_VALUE))
			return true;
	return false;
}

/* For the log: what there is of a request line that was refused. */
static void find_line(struct http_request *request, const char *buf, size_t len)
{
	const char *start = request->line.ptr ? request->line.ptr : buf;
	size_t left = min_size(len - (size_t)(start - buf), HTTP_LINE_MAX);

	request->line = http_first_line(start, left);
}

enum http_parse http_parse_request(struct http_scan *scan, const char *buf, size_t len,
				   struct http_request *ret)
{
	if (scan->seen && !worth_parsing(scan, buf, len)) {
		scan->seen = (uint32_t)len;
		return HTTP_PARSE_MORE;
	}
	memset(ret, 0, offsetof(struct http_request, headers));

	struct cursor c = {
	    .at = buf,
	    .end = buf + min_size(len, HTTP_HEAD_MAX),
	    .limit = buf + HTTP_HEAD_MAX,
	    .limit_status = 431,
	    .request = ret,
	};
	enum http_parse result = parse_request_line(&c);
	scan->line = result == HTTP_PARSE_OK;
	if (result == HTTP_PARSE_OK)
		result = parse_headers(&c);
	if (result == HTTP_PARSE_MORE) {
		scan->seen = (uint32_t)len;
		return HTTP_PARSE_MORE;
	}
	*scan = (struct http_scan){0};
	ret->length = (size_t)(c.at - buf);
	if (result == HTTP_PARSE_OK)
		result = check_request(ret);
	if (result == HTTP_PARSE_BAD)
		find_line(ret, buf, len);
	return result;
}

unsigned http_request_next(const struct http_request *request, enum http_field field, unsigned from)
{
	unsigned first = request->field_at[field];

	if (first == 0 || (from >= first && !repeated(request, field)))
		return request->header_count;
	if (from < first)
		return first - 1;
	while (from < request->header_count && request->headers[from].field != field)
		from++;
	return from;
}
