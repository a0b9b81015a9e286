#include "unit/http/core/http_test.h"

#include "http/core/response.h"

static const char date[] = "Sun, 06 Nov 1994 08:49:37 GMT";

static struct slice written(const struct http_writer *w)
{
	return slice_make(w->start, http_written(w));
}

static void numbers_are_written_in_full(void **state)
{
	char buf[200];
	struct http_writer w;

	http_writer_init(&w, buf, sizeof(buf));
	http_put_u64(&w, 0);
	http_put_literal(&w, " ");
	http_put_u64(&w, UINT64_MAX);
	http_put_literal(&w, " ");
	http_put_hex(&w, 0);
	http_put_literal(&w, " ");
	http_put_hex(&w, UINT64_MAX);
	assert_slice(written(&w), "0 18446744073709551615 0 ffffffffffffffff");
}

static void html_is_escaped(void **state)
{
	char buf[200];
	struct http_writer w;

	http_writer_init(&w, buf, sizeof(buf));
	http_put_html(&w, slice_of("<a href=\"x\">'&amp;'</a>"));
	assert_slice(written(&w), "&lt;a href=&quot;x&quot;&gt;&#39;&amp;amp;&#39;&lt;/a&gt;");
}

static void nothing_is_written_after_what_did_not_fit(void **state)
{
	char buf[8] = "xxxxxxx";
	struct http_writer w;

	http_writer_init(&w, buf, 4);
	http_put_literal(&w, "abc");
	http_put_literal(&w, "de");
	http_put_literal(&w, "f");
	http_put_encoded(&w, slice_of("g"), false);
	assert_true(w.cut);
	assert_memory_equal(buf, "abcxxxx", 8);
	http_writer_init(&w, buf, 4);
	http_put_encoded(&w, slice_of("a b"), false);
	assert_true(w.cut);
	assert_int_equal(http_written(&w), 0);
}

static void statuses_have_their_lines(void **state)
{
	char buf[200];
	struct http_writer w;

	http_writer_init(&w, buf, sizeof(buf));
	http_put_status(&w, 206);
	http_put_status(&w, 431);
	http_put_status(&w, 299);
	assert_slice(written(&w), "HTTP/1.1 206 Partial Content\r\n"
				  "HTTP/1.1 431 Request Header Fields Too Large\r\n"
				  "HTTP/1.1 299 Unknown\r\n");
	assert_string_equal(http_status_text(404), "Not Found");
	assert_string_equal(http_status_text(599), "Unknown");
}

static void a_block_is_stamped_in_place_or_copied_with_its_connection(void **state)
{
	char block[500], copy[500];
	struct http_writer w, other;
	struct http_head head;

	http_writer_init(&w, block, sizeof(block));
	http_head_begin(&head, &w, 200);
	http_put_header_u64(&w, SLICE_LITERAL("Content-Length"), 5);
	http_put_header_date(&w, SLICE_LITERAL("Last-Modified"), 784111777);
	http_head_end(&head, &w);
	assert_int_equal(head.length, http_written(&w));

	http_writer_init(&other, copy, sizeof(copy));
	http_put_literal(&other, "before ");
	http_head_emit(&head, block, date, HTTP_CLOSE, slice_of("X: y\r\n"), &other);
	assert_slice(written(&other), "before HTTP/1.1 200 OK\r\n"
				      "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\nServer: leat\r\n"
				      "Content-Length: 5\r\n"
				      "Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
				      "X: y\r\nConnection: close\r\n\r\n");
	http_writer_init(&other, copy, sizeof(copy));
	http_head_emit(&head, block, date, HTTP_KEEP, slice_make(NULL, 0), &other);
	http_head_stamp(&head, block, date);
	assert_true(slice_eq(written(&w), written(&other)));

	http_writer_init(&other, copy, head.length);
	http_head_emit(&head, block, date, HTTP_KEEP_SAID, slice_make(NULL, 0), &other);
	assert_true(other.cut);
}

static void errors_are_whole_responses(void **state)
{
	char buf[2000];
	struct http_writer w;
	struct http_error error = {.status = 405,
				   .detail = slice_of("<POST>"),
				   .extra = slice_of("Allow: GET, HEAD\r\n"),
				   .with_body = true,
				   .connection = HTTP_KEEP};

	http_writer_init(&w, buf, sizeof(buf));
	http_put_literal(&w, "before ");
	http_put_error(&w, &error, date);
	assert_false(w.cut);
	*w.at = '\0';
	char *body = strstr(buf, "\r\n\r\n");
	char expected[64];
	assert_non_null(body);
	snprintf(expected, sizeof(expected), "\r\nContent-Length: %zu\r\n", strlen(body + 4));
	assert_non_null(strstr(buf, expected));
	assert_non_null(
	    strstr(buf, "before HTTP/1.1 405 Method Not Allowed\r\nDate: Sun, 06 Nov "));
	assert_non_null(strstr(buf, "\r\nAllow: GET, HEAD\r\n"));
	assert_non_null(strstr(body, "<title>405 Method Not Allowed</title>"));
	assert_non_null(strstr(body, "<p>&lt;POST&gt;</p>"));

	error.with_body = false;
	http_writer_init(&w, buf, sizeof(buf));
	http_put_error(&w, &error, date);
	*w.at = '\0';
	assert_non_null(strstr(buf, expected));
	assert_string_equal(w.at - 4, "\r\n\r\n");
}

static void a_detail_too_long_is_left_out(void **state)
{
	char buf[2000], detail[1500];
	struct http_writer w;

	memset(detail, '<', sizeof(detail));
	struct http_error error = {.status = 404,
				   .detail = slice_make(detail, sizeof(detail)),
				   .with_body = true,
				   .connection = HTTP_CLOSE};
	http_writer_init(&w, buf, sizeof(buf));
	http_put_error(&w, &error, date);
	assert_false(w.cut);
	*w.at = '\0';
	assert_null(strstr(buf, "&lt;"));
	assert_non_null(strstr(buf, "<h1>404 Not Found</h1>"));
}

static void the_connection_header_is_said_where_needed(void **state)
{
	struct http_request r = {.minor = 1};

	assert_int_equal(http_connection_of(&r, true), HTTP_KEEP);
	assert_int_equal(http_connection_of(&r, false), HTTP_CLOSE);
	r.minor = 0;
	assert_int_equal(http_connection_of(&r, true), HTTP_KEEP_SAID);
	assert_int_equal(http_connection_of(&r, false), HTTP_CLOSE);
}

static void a_timing_is_quoted(void **state)
{
	char buf[200];
	struct http_writer w;

	http_writer_init(&w, buf, sizeof(buf));
	http_put_timing(&w, "sendfile", "file to TCP socket", "by-reference");
	assert_slice(written(&w), "leat;desc=\"sendfile: file to TCP socket: by-reference\"");
	http_writer_init(&w, buf, sizeof(buf));
	http_put_timing(&w, "a", "\"b\" \\", "c");
	assert_slice(written(&w), "leat;desc=\"a: \\\"b\\\" \\\\: c\"");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_timing_is_quoted),
	    cmocka_unit_test(numbers_are_written_in_full),
	    cmocka_unit_test(html_is_escaped),
	    cmocka_unit_test(nothing_is_written_after_what_did_not_fit),
	    cmocka_unit_test(statuses_have_their_lines),
	    cmocka_unit_test(a_block_is_stamped_in_place_or_copied_with_its_connection),
	    cmocka_unit_test(errors_are_whole_responses),
	    cmocka_unit_test(a_detail_too_long_is_left_out),
	    cmocka_unit_test(the_connection_header_is_said_where_needed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
