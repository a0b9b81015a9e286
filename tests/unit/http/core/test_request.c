#include "unit/http/core/http_test.h"

#include <stdlib.h>

#define GET_LINE "GET / HTTP/1.1\r\n"
#define HOST     "Host: a\r\n"

static void a_plain_request_is_understood(void **state)
{
	static const char head[] = "GET /file?x=1 HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n"
				   "User-Agent:\t curl/8.0 \t\r\nX-Empty:\r\n\r\nbody";
	struct http_request r;

	assert_int_equal(parse_text(head, &r), HTTP_PARSE_OK);
	assert_int_equal(r.length, strlen(head) - 4);
	assert_int_equal(r.method, HTTP_GET);
	assert_int_equal(r.form, HTTP_FORM_ORIGIN);
	assert_int_equal(r.minor, 1);
	assert_true(r.keep_alive);
	assert_int_equal(r.framing, HTTP_BODY_NONE);
	assert_slice(r.line, "GET /file?x=1 HTTP/1.1");
	assert_slice(r.method_text, "GET");
	assert_slice(r.target, "/file?x=1");
	assert_slice(r.path, "/file");
	assert_slice(r.query, "x=1");
	assert_slice(r.host, "127.0.0.1:8080");
	assert_int_equal(r.header_count, 3);
	assert_slice(r.headers[1].name, "User-Agent");
	assert_slice(r.headers[1].value, "curl/8.0");
	assert_slice(r.headers[2].value, "");
}

static void every_method_is_known_by_its_exact_name(void **state)
{
	static const struct {
		const char *name, *target;
		enum http_method method;
	} rows[] = {
	    {"GET", "/", HTTP_GET},           {"HEAD", "/", HTTP_HEAD},
	    {"OPTIONS", "*", HTTP_OPTIONS},   {"POST", "/", HTTP_POST},
	    {"PUT", "/", HTTP_PUT},           {"DELETE", "/", HTTP_DELETE},
	    {"PATCH", "/", HTTP_PATCH},       {"TRACE", "/", HTTP_TRACE},
	    {"CONNECT", "h:1", HTTP_CONNECT},
	};
	char head[100];
	struct http_request r;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		snprintf(head, sizeof(head), "%s %s HTTP/1.1\r\nHost: h:1\r\n\r\n", rows[i].name,
			 rows[i].target);
		assert_int_equal(parse_text(head, &r), HTTP_PARSE_OK);
		assert_int_equal(r.method, rows[i].method);
	}
}

static void every_known_header_is_found_in_any_case(void **state)
{
	static const struct {
		const char *name;
		enum http_field field;
	} rows[] = {
	    {"Host", HTTP_FIELD_HOST},
	    {"Connection", HTTP_FIELD_CONNECTION},
	    {"Range", HTTP_FIELD_RANGE},
	    {"If-Match", HTTP_FIELD_IF_MATCH},
	    {"If-None-Match", HTTP_FIELD_IF_NONE_MATCH},
	    {"If-Modified-Since", HTTP_FIELD_IF_MODIFIED_SINCE},
	    {"If-Unmodified-Since", HTTP_FIELD_IF_UNMODIFIED_SINCE},
	    {"If-Range", HTTP_FIELD_IF_RANGE},
	    {"Accept", HTTP_FIELD_ACCEPT},
	    {"Accept-Encoding", HTTP_FIELD_ACCEPT_ENCODING},
	    {"Content-Length", HTTP_FIELD_CONTENT_LENGTH},
	    {"Transfer-Encoding", HTTP_FIELD_TRANSFER_ENCODING},
	    {"Expect", HTTP_FIELD_EXPECT},
	    {"User-Agent", HTTP_FIELD_USER_AGENT},
	    {"Referer", HTTP_FIELD_REFERER},
	};
	struct http_request r;
	struct slice value = {0};
	char head[200], name[32];

	assert_int_equal(ARRAY_SIZE(rows), HTTP_FIELD_COUNT - 1);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		for (int variant = 0; variant < 3; variant++) {
			snprintf(name, sizeof(name), "%s", rows[i].name);
			for (char *c = name; *c && variant; c++)
				*c = (char)(variant == 1 ? *c | (*c >= 'A' ? 0x20 : 0)
					    : *c >= 'a'  ? *c & ~0x20
							 : *c);
			const char *text = rows[i].field == HTTP_FIELD_TRANSFER_ENCODING ? "chunked"
					   : rows[i].field == HTTP_FIELD_EXPECT ? "100-continue"
										: "7";
			snprintf(head, sizeof(head), "GET / HTTP/1.%d\r\n%s%s: %s\r\n\r\n",
				 rows[i].field != HTTP_FIELD_HOST,
				 rows[i].field == HTTP_FIELD_HOST ? "" : HOST, name, text);
			assert_int_equal(parse_text(head, &r), HTTP_PARSE_OK);
			assert_true(http_request_field(&r, rows[i].field, &value));
			assert_slice(value, text);
		}
	}
	assert_int_equal(parse_text(GET_LINE HOST "Accept_Encoding: x\r\nIf~Match: x\r\n\r\n", &r),
			 HTTP_PARSE_OK);
	assert_false(http_request_has(&r, HTTP_FIELD_ACCEPT_ENCODING));
	assert_false(http_request_has(&r, HTTP_FIELD_IF_MATCH));
}

static void targets_come_in_four_forms(void **state)
{
	static const struct {
		const char *line;
		enum http_form form;
		const char *path, *query, *host;
	} rows[] = {
	    {"GET /a/b", HTTP_FORM_ORIGIN, "/a/b", NULL, "h"},
	    {"GET /a?", HTTP_FORM_ORIGIN, "/a", "", "h"},
	    {"GET /a?b?c", HTTP_FORM_ORIGIN, "/a", "b?c", "h"},
	    {"GET //a", HTTP_FORM_ORIGIN, "//a", NULL, "h"},
	    {"GET http://x", HTTP_FORM_ABSOLUTE, "/", NULL, "x"},
	    {"GET HTTP://x:80/y?z", HTTP_FORM_ABSOLUTE, "/y", "z", "x:80"},
	    {"GET https://[::1]:8/y", HTTP_FORM_ABSOLUTE, "/y", NULL, "[::1]:8"},
	    {"GET http://x?q", HTTP_FORM_ABSOLUTE, "/", "q", "x"},
	    {"OPTIONS *", HTTP_FORM_ASTERISK, "", NULL, "h"},
	    {"OPTIONS http://x:1", HTTP_FORM_ASTERISK, "", NULL, "x:1"},
	    {"CONNECT x:1", HTTP_FORM_AUTHORITY, "", NULL, "x:1"},
	    {"GET /\xc3\xa4\"{}|\\^`<>", HTTP_FORM_ORIGIN, "/\xc3\xa4\"{}|\\^`<>", NULL, "h"},
	};
	struct http_request r;
	char head[200];

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		snprintf(head, sizeof(head), "%s HTTP/1.1\r\nHost: h\r\n\r\n", rows[i].line);
		assert_int_equal(parse_text(head, &r), HTTP_PARSE_OK);
		assert_int_equal(r.form, rows[i].form);
		assert_slice(r.path, rows[i].path);
		assert_slice(r.query, rows[i].query ? rows[i].query : "");
		assert_int_equal(r.query.ptr != NULL, rows[i].query != NULL);
		assert_slice(r.host, rows[i].host);
	}
}

/* One row a kind of bad input; each closes the connection. */
static const struct bad_row {
	const char *head;
	int status;
} bad_rows[] = {
    /* the request line */
    {" GET / HTTP/1.1\r\nHost: a\r\n\r\n", 400},
    {"\tGET / HTTP/1.1\r\nHost: a\r\n\r\n", 400},
    {"GET  / HTTP/1.1\r\nHost: a\r\n\r\n", 400},
    {"GET /  HTTP/1.1\r\nHost: a\r\n\r\n", 400},
    {"GET / HTTP/1.1 \r\nHost: a\r\n\r\n", 400},
    {"GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n", 400},
    {"GET /\tHTTP/1.1\r\nHost: a\r\n\r\n", 400},
    {"GET /a b HTTP/1.1\r\nHost: a\r\n\r\n", 400},
    {"G@T / HTTP/1.1\r\nHost: a\r\n\r\n", 400},
    {"GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n", 400},
    {"GET /?a#b HTTP/1.1\r\nHost: a\r\n\r\n", 400},
    {"GET /\x7f HTTP/1.1\r\nHost: a\r\n\r\n", 400},
    {"GET /\x01 HTTP/1.1\r\nHost: a\r\n\r\n", 400},
    {"GET a HTTP/1.1\r\nHost: a\r\n\r\n", 400},
    {"GET * HTTP/1.1\r\nHost: a\r\n\r\n", 400},
    {"GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n", 400},
    {"GET http:///a HTTP/1.1\r\nHost: a\r\n\r\n", 400},
    {"GET http:// HTTP/1.1\r\nHost: a\r\n\r\n", 400},
    {"GET http HTTP/1.1\r\nHost: a\r\n\r\n", 400},
    {"GET http://u@h/ HTTP/1.1\r\nHost: a\r\n\r\n", 400},
    {"CONNECT / HTTP/1.1\r\nHost: a\r\n\r\n", 400},
    {"CONNECT http://a/ HTTP/1.1\r\nHost: a\r\n\r\n", 400},
    {"CONNECT * HTTP/1.1\r\nHost: a\r\n\r\n", 400},
    {"GET\r\n\r\n", 400},
    {"GET \r\n\r\n", 400},
    {"\r\n\r\n\r\n\r\n\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", 400},
    {"\rGET / HTTP/1.1\r\nHost: a\r\n\r\n", 400},
    {"\x16\x03\x01\x02", 400}, /* TLS on a plain port, before any line end */
    /* versions */
    {"GET /\r\n", 400}, /* HTTP/0.9, answered at the end of its line */
    {"GET / \r\n\r\n", 400},
    {"GET / http/1.1\r\nHost: a\r\n\r\n", 400},
    {"GET / HTTP/1\r\nHost: a\r\n\r\n", 400},
    {"GET / HTTP/1.\r\nHost: a\r\n\r\n", 400},
    {"GET / HTTP/1.1x\r\nHost: a\r\n\r\n", 400},
    {"GET / HTTP/1.10\r\nHost: a\r\n\r\n", 400},
    {"GET / HTTP/11.1\r\nHost: a\r\n\r\n", 400},
    {"GET / HTTP/-1.1\r\nHost: a\r\n\r\n", 400},
    {"GET / HTTP/0.9\r\nHost: a\r\n\r\n", 505},
    {"GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505},
    {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505},
    /* line ends, controls, folding */
    {"GET / HTTP/1.1\rHost: a\r\n\r\n", 400},
    {"GET / HTTP/1.1\r\nHost: a\rX: b\r\n\r\n", 400},
    {"GET / HTTP/1.1\r\nHost: a\r\r\n\r\n", 400},
    {"GET / HTTP/1.1\r\nHost: a\r\n\r\r\n", 400},
    {"GET / HTTP/1.1\r\nHost: a\r\nX: a\x0b\r\n\r\n", 400},
    {"GET / HTTP/1.1\r\nHost: a\r\nX: a\x7f\r\n\r\n", 400},
    {"GET / HTTP/1.1\r\nHost: a\r\nX: 12345678901234567890\x01\r\n\r\n", 400},
    {"GET / HTTP/1.1\r\n Host: a\r\n\r\n", 400},
    {"GET / HTTP/1.1\r\nHost: a\r\nX: b\r\n c\r\n\r\n", 400},
    {"GET / HTTP/1.1\r\nHost: a\r\nX: b\r\n\tc\r\n\r\n", 400},
    {"GET / HTTP/1.1\r\nHost: a\r\nX : b\r\n\r\n", 400},
    {"GET / HTTP/1.1\r\nHost: a\r\nX\t: b\r\n\r\n", 400},
    {"GET / HTTP/1.1\r\nHost: a\r\n: b\r\n\r\n", 400},
    {"GET / HTTP/1.1\r\nHost: a\r\nX\r\n\r\n", 400},
    {"GET / HTTP/1.1\r\nHost: a\r\nX(Y): b\r\n\r\n", 400},
    {"GET / HTTP/1.1\r\nHost: a\r\nX\x80: b\r\n\r\n", 400},
    /* Host */
    {"GET / HTTP/1.1\r\n\r\n", 400},
    {"GET http://a/ HTTP/1.1\r\n\r\n", 400},
    {"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 400},
    {"GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n", 400},
    {"GET / HTTP/1.1\r\nHost: a, b\r\n\r\n", 400},
    {"GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 400},
    {"GET / HTTP/1.1\r\nHost:\r\n\r\n", 400},
    {"GET / HTTP/1.0\r\nHost: \r\n\r\n", 400},
    {"GET / HTTP/1.1\r\nHost: :80\r\n\r\n", 400},
    {"GET / HTTP/1.1\r\nHost: [::1\r\n\r\n", 400},
    {"GET / HTTP/1.1\r\nHost: a:b\r\n\r\n", 400},
    {"GET / HTTP/1.1\r\nHost: a:80:80\r\n\r\n", 400},
    {"GET / HTTP/1.1\r\nHost: [gg::1]\r\n\r\n", 400},
    {"GET http://a:80:80/ HTTP/1.1\r\nHost: a\r\n\r\n", 400},
    {"GET http://:80/ HTTP/1.1\r\nHost: a\r\n\r\n", 400},
    {"CONNECT [::1:80 HTTP/1.1\r\nHost: a\r\n\r\n", 400},
    {"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 400},
    {"GET / HTTP/1.1\r\nHost: u@a\r\n\r\n", 400},
    {"GET / HTTP/1.1\r\nHost: \xc3\xa4\r\n\r\n", 400},
    /* Content-Length */
    {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length:\r\n\r\n", 400},
    {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n", 400},
    {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\n", 400},
    {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0x1\r\n\r\n", 400},
    {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1 1\r\n\r\n", 400},
    {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1.0\r\n\r\n", 400},
    {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: \"1\"\r\n\r\n", 400},
    {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5, 5\r\n\r\n", 400},
    {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5, 6\r\n\r\n", 400},
    {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5,\r\n\r\n", 400},
    {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n", 400},
    {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n", 400},
    {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9223372036854775808\r\n\r\n", 400},
    {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 18446744073709551617\r\n\r\n", 400},
    {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999999999\r\n\r\n", 400},
    /* Transfer-Encoding: CL.TE, TE.CL, TE.TE of RFC 9112 section 11.2 */
    {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
    {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 6\r\n\r\n", 400},
    {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: x\r\nContent-Length: 0\r\n\r\n", 400},
    {"POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
    {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\r\n\r\n", 400},
    {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: identity\r\n\r\n", 400},
    {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n", 400},
    {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, identity\r\n\r\n", 400},
    {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", 400},
    {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, chunked\r\n\r\n", 400},
    {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked;q=1\r\n\r\n", 400},
    {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: \"chunked\"\r\n\r\n", 400},
    {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n\r\n",
     400},
    {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: x\r\nTransfer-Encoding: chunked\r\n\r\n",
     400},
    {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\x0b"
     "chunked\r\n\r\n",
     400},
    {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding : chunked\r\n\r\n", 400},
    {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding\r\n: chunked\r\n\r\n", 400},
    {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\r\n chunked\r\n\r\n", 400},
    {"POST / HTTP/1.1\r\nHost: a\r\nX: y\rTransfer-Encoding: chunked\r\n\r\n", 400},
    /* methods */
    {"BREW / HTTP/1.1\r\nHost: a\r\n\r\n", 501},
    {"get / HTTP/1.1\r\nHost: a\r\n\r\n", 501},
    {"GETT / HTTP/1.1\r\nHost: a\r\n\r\n", 501},
};

static void bad_requests_get_their_status(void **state)
{
	struct http_request r;

	for (size_t i = 0; i < ARRAY_SIZE(bad_rows); i++) {
		if (parse_text(bad_rows[i].head, &r) != HTTP_PARSE_BAD)
			fail_msg("not refused: %s", bad_rows[i].head);
		if (r.status != bad_rows[i].status)
			fail_msg("%d instead of %d (%s): %s", r.status, bad_rows[i].status,
				 r.reason, bad_rows[i].head);
		assert_non_null(r.reason);
	}
}

static void nul_is_refused_at_every_place(void **state)
{
	static const char head[] = "POST /a?b HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n";
	struct http_request r;
	char copy[sizeof(head)];

	for (size_t i = 0; i < sizeof(head) - 1; i++) {
		memcpy(copy, head, sizeof(head));
		copy[i] = '\0';
		assert_int_equal(parse_bytes(copy, sizeof(head) - 1, &r), HTTP_PARSE_BAD);
		assert_int_equal(r.status, 400);
	}
}

static void a_refused_line_is_kept_for_the_log(void **state)
{
	struct http_request r;

	parse_text("\r\nGET /a b HTTP/1.1\r\nHost: a\r\n\r\n", &r);
	assert_slice(r.line, "GET /a b HTTP/1.1");
	parse_text("GET / HTTP/1.1\r\nBad Header\r\n\r\n", &r);
	assert_slice(r.line, "GET / HTTP/1.1");
	parse_text("\x16\x03", &r);
	assert_slice(r.line, "\x16\x03");
}

static void lone_line_feeds_and_leading_empty_lines_are_tolerated(void **state)
{
	struct http_request r;

	assert_int_equal(parse_text("GET / HTTP/1.1\nHost: a\nX: b\n\n", &r), HTTP_PARSE_OK);
	assert_slice(r.headers[0].value, "a");
	assert_int_equal(parse_text("\r\n\n\r\n\nGET / HTTP/1.0\r\n\r\n", &r), HTTP_PARSE_OK);
	assert_int_equal(r.length, 24);
	assert_slice(r.line, "GET / HTTP/1.0");
}

static void the_connection_is_kept_as_version_and_tokens_say(void **state)
{
	static const struct {
		const char *head;
		bool keep;
	} rows[] = {
	    {"GET / HTTP/1.1\r\nHost: a\r\n\r\n", true},
	    {"GET / HTTP/1.9\r\nHost: a\r\n\r\n", true},
	    {"GET / HTTP/1.0\r\n\r\n", false},
	    {"GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", true},
	    {"GET / HTTP/1.0\r\nConnection: x, keep-alive ,y\r\n\r\n", true},
	    {"GET / HTTP/1.0\r\nConnection: keep-alive, close\r\n\r\n", false},
	    {"GET / HTTP/1.1\r\nHost: a\r\nConnection: CLOSE\r\n\r\n", false},
	    {"GET / HTTP/1.1\r\nHost: a\r\nConnection: x\r\nConnection: ,close\r\n\r\n", false},
	    {"GET / HTTP/1.1\r\nHost: a\r\nConnection: closed\r\n\r\n", true},
	    {"GET / HTTP/1.1\r\nHost: a\r\nConnection:\r\n\r\n", true},
	};
	struct http_request r;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		assert_int_equal(parse_text(rows[i].head, &r), HTTP_PARSE_OK);
		assert_int_equal(r.keep_alive, rows[i].keep);
	}
}

static void a_body_is_framed_by_length_or_chunks(void **state)
{
	struct http_request r;

	parse_text("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 00042\r\n\r\n", &r);
	assert_int_equal(r.framing, HTTP_BODY_LENGTH);
	assert_int_equal(r.content_length, 42);
	parse_text("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n", &r);
	assert_int_equal(r.framing, HTTP_BODY_NONE);
	parse_text("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9223372036854775807\r\n\r\n", &r);
	assert_int_equal(r.content_length, INT64_MAX);
	parse_text("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\n"
		   "Expect: 100-Continue\r\n\r\n",
		   &r);
	assert_int_equal(r.framing, HTTP_BODY_CHUNKED);
	assert_true(r.expect_continue);
	parse_text("GET / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n\r\n", &r);
	assert_false(r.expect_continue);
}

static void what_else_is_expected_is_refused(void **state)
{
	static const struct {
		const char *lines;
		int status;
	} rows[] = {
	    {"Expect: 100-continue\r\n", 0},
	    {"Expect: 100-continue, 100-CONTINUE\r\n", 0},
	    {"Expect:\r\n", 0},
	    {"Expect: 200-ok\r\n", 417},
	    {"Expect: 100-continue, more\r\n", 417},
	    {"Expect: 100-continue\r\nExpect: more\r\n", 417},
	    {"Expect: 100-continue;a=b\r\n", 417},
	};
	struct http_request r;
	char head[200];

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		snprintf(head, sizeof(head), "GET / HTTP/1.1\r\nHost: a\r\n%s\r\n", rows[i].lines);
		if (parse_text(head, &r) != (rows[i].status ? HTTP_PARSE_BAD : HTTP_PARSE_OK) ||
		    r.status != rows[i].status)
			fail_msg("%s: %d", rows[i].lines, r.status);
		/* HTTP/1.0 has no Expect. */
		head[strlen("GET / HTTP/1.")] = '0';
		assert_int_equal(parse_text(head, &r), HTTP_PARSE_OK);
		assert_false(r.expect_continue);
	}
}

static void repeated_fields_are_found_one_after_the_other(void **state)
{
	struct http_request r;

	parse_text("GET / HTTP/1.1\r\nAccept: 1\r\nHost: a\r\naccept: 2\r\nRange: x\r\n"
		   "ACCEPT: 3\r\n\r\n",
		   &r);
	assert_int_equal(http_request_next(&r, HTTP_FIELD_ACCEPT, 0), 0);
	assert_int_equal(http_request_next(&r, HTTP_FIELD_ACCEPT, 1), 2);
	assert_int_equal(http_request_next(&r, HTTP_FIELD_ACCEPT, 3), 4);
	assert_int_equal(http_request_next(&r, HTTP_FIELD_ACCEPT, 5), 5);
	assert_int_equal(http_request_next(&r, HTTP_FIELD_RANGE, 0), 3);
	assert_int_equal(http_request_next(&r, HTTP_FIELD_RANGE, 4), 5);
	assert_int_equal(http_request_next(&r, HTTP_FIELD_REFERER, 0), 5);

	struct slice value = {0};
	assert_true(http_request_field(&r, HTTP_FIELD_ACCEPT, &value));
	assert_slice(value, "1");
	assert_false(http_request_single(&r, HTTP_FIELD_ACCEPT, &value));
	assert_true(http_request_single(&r, HTTP_FIELD_RANGE, &value));
	assert_slice(value, "x");
}

/* "GET /aaa... HTTP/1.1" of `line` bytes with its line end, then header lines up to `total`. */
static char *long_request(size_t line, unsigned headers, size_t total)
{
	char *head = malloc(total + 1024), *at = head;
	size_t path = line - strlen("GET  HTTP/1.1\r\n");

	at += sprintf(at, "GET /");
	memset(at, 'a', path - 1);
	at += path - 1;
	at += sprintf(at, " HTTP/1.1\r\nHost: a\r\n");
	for (unsigned i = 0; i < headers; i++)
		at += sprintf(at, "X: %03u\r\n", i);
	size_t left = total - (size_t)(at - head) - 2;
	if (left > 5) {
		at += sprintf(at, "Y: ");
		memset(at, 'y', left - 5);
		at += left - 5;
		at += sprintf(at, "\r\n");
	}
	at += sprintf(at, "\r\n");
	assert_int_equal(at - head, total);
	return head;
}

static void limits_hold_to_the_byte(void **state)
{
	static const struct {
		size_t line;
		unsigned headers;
		size_t total;
		int status; /* 0: fine */
	} rows[] = {
	    {HTTP_LINE_MAX, 0, 9000, 0},
	    {HTTP_LINE_MAX + 1, 0, 9000, 414},
	    {30000, 0, 31000, 414},
	    {100, 98, 2000, 0},
	    {100, 99, 2000, 431},
	    {100, 1, HTTP_HEAD_MAX, 0},
	    {100, 1, HTTP_HEAD_MAX + 1, 431},
	};
	struct http_request r;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		char *head = long_request(rows[i].line, rows[i].headers, rows[i].total);
		enum http_parse result = parse_text(head, &r);

		assert_int_equal(strlen(head), rows[i].total);
		assert_int_equal(result, rows[i].status ? HTTP_PARSE_BAD : HTTP_PARSE_OK);
		assert_int_equal(r.status, rows[i].status);
		free(head);
	}
}

static bool same_request(const struct http_request *a, const struct http_request *b)
{
	if (a->status != b->status)
		return false;
	if (a->status)
		return slice_eq(a->line, b->line);
	for (unsigned i = 0; i < a->header_count; i++) {
		const struct http_header *x = &a->headers[i], *y = &b->headers[i];

		if (!slice_eq(x->name, y->name) || !slice_eq(x->value, y->value) ||
		    x->field != y->field)
			return false;
	}
	return memcmp(a, b, offsetof(struct http_request, headers)) == 0;
}

/* Feeds `head` byte by byte; an answer must come at the end, and the same as for the whole. */
static void check_split(const char *head, size_t len)
{
	struct http_request whole, split;
	struct http_scan scan = {0};
	enum http_parse expected = parse_bytes(head, len, &whole), result = HTTP_PARSE_MORE;
	size_t at = 0;

	memset(&split, 0, sizeof(split));
	while (result == HTTP_PARSE_MORE && at < len)
		result = http_parse_request(&scan, head, ++at, &split);
	if (result != expected)
		fail_msg("%d whole, %d split: %s", (int)expected, (int)result, head);
	if (result == HTTP_PARSE_OK)
		assert_int_equal(at, whole.length);
	if (result != HTTP_PARSE_MORE) {
		assert_int_equal(scan.seen, 0);
		/* a refused line may have been refused before all of it was there */
		split.line = whole.line;
		assert_true(same_request(&whole, &split));
	}
}

static void byte_by_byte_gives_the_same_answer(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(bad_rows); i++)
		check_split(bad_rows[i].head, strlen(bad_rows[i].head));
	for (size_t total = 8300; total < 33100; total += 6100) {
		char *head =
		    long_request(total == 8300 ? 8200 : 8000, total == 8300 ? 1 : 30, total);
		check_split(head, total);
		free(head);
	}
	const char *plain = "\r\nPOST /a?b HTTP/1.1\nHost: a\r\nCookie: abc; d=e\r\n\r\n";
	check_split(plain, strlen(plain));
}

/* 32 KiB byte by byte: parsing anew for each byte would look at 500 million bytes. */
static void a_head_in_pieces_is_not_parsed_for_each_piece(void **state)
{
	char *head = long_request(8000, 90, HTTP_HEAD_MAX);
	struct http_request r;
	struct http_scan scan = {0};
	unsigned parsed = 0;

	for (size_t len = 1; len < HTTP_HEAD_MAX; len++) {
		r.status = -1; /* parsing writes 0 */
		assert_int_equal(http_parse_request(&scan, head, len, &r), HTTP_PARSE_MORE);
		parsed += r.status == 0;
	}
	assert_in_range(parsed, 1, 8);
	free(head);
}

static void an_early_error_does_not_wait_for_the_rest(void **state)
{
	struct http_request r;
	struct http_scan scan = {0};

	assert_int_equal(http_parse_request(&scan, "GE", 2, &r), HTTP_PARSE_MORE);
	assert_int_equal(http_parse_request(&scan, "GET /\r\n", 7, &r), HTTP_PARSE_BAD);
	assert_int_equal(http_parse_request(&scan, "GET / HTTP/1.1\r\nH", 17, &r), HTTP_PARSE_MORE);
	assert_int_equal(http_parse_request(&scan, "GET / HTTP/1.1\r\nH\0", 18, &r),
			 HTTP_PARSE_BAD);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_plain_request_is_understood),
	    cmocka_unit_test(every_method_is_known_by_its_exact_name),
	    cmocka_unit_test(every_known_header_is_found_in_any_case),
	    cmocka_unit_test(targets_come_in_four_forms),
	    cmocka_unit_test(bad_requests_get_their_status),
	    cmocka_unit_test(nul_is_refused_at_every_place),
	    cmocka_unit_test(a_refused_line_is_kept_for_the_log),
	    cmocka_unit_test(lone_line_feeds_and_leading_empty_lines_are_tolerated),
	    cmocka_unit_test(the_connection_is_kept_as_version_and_tokens_say),
	    cmocka_unit_test(a_body_is_framed_by_length_or_chunks),
	    cmocka_unit_test(what_else_is_expected_is_refused),
	    cmocka_unit_test(repeated_fields_are_found_one_after_the_other),
	    cmocka_unit_test(limits_hold_to_the_byte),
	    cmocka_unit_test(byte_by_byte_gives_the_same_answer),
	    cmocka_unit_test(a_head_in_pieces_is_not_parsed_for_each_piece),
	    cmocka_unit_test(an_early_error_does_not_wait_for_the_rest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
