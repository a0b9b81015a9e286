/*
 * Lines of the access log: what they look like, and that nothing a peer sends can end a field or a
 * line.
 */
#include "unit/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "http/core/log_line.h"

static const struct http_log_entry entry = {
    .client = {"198.51.100.7", 12},
    .line = {"GET /a%20b?c HTTP/1.1", 21},
    .referer = {"http://x/", 9},
    .user_agent = {"curl/8.5", 8},
    .status = 206,
    .bytes = 512,
    .duration_ns = 1000234567,
    .wall_ms = 1795391100045,
    .technique = "sendfile",
    .verdict = "by-reference",
};

static const char *line_of(enum http_log_format format, const struct http_log_entry *e)
{
	static char out[HTTP_LOG_LINE_MAX + 1];
	struct buf buf = buf_over(out, sizeof(out));
	struct http_log_time now = {0};

	http_log_time_set(&now, format, 1795391100);
	http_log_line(&buf, format, &now, e);
	assert_true(buf.len <= HTTP_LOG_LINE_MAX);
	return buf_text(&buf);
}

static void combined_is_what_nginx_and_apache_write(void **state)
{
	struct http_log_entry bare = entry;

	assert_string_equal(line_of(HTTP_LOG_COMBINED, &entry),
			    "198.51.100.7 - - [22/Nov/2026:23:45:00 +0000] \"GET /a%20b?c "
			    "HTTP/1.1\" 206 512 \"http://x/\" \"curl/8.5\"\n");
	bare.referer = bare.user_agent = bare.line = slice_make(NULL, 0);
	assert_string_equal(line_of(HTTP_LOG_COMBINED, &bare),
			    "198.51.100.7 - - [22/Nov/2026:23:45:00 +0000] \"-\" 206 512 \"-\" "
			    "\"-\"\n");
}

static void json_has_a_member_for_each(void **state)
{
	struct http_log_entry strange = entry;

	assert_string_equal(
	    line_of(HTTP_LOG_JSON, &entry),
	    "{\"time\":\"2026-11-22T23:45:00.045+00:00\",\"client\":\"198.51.100.7\",\"method\":"
	    "\"GET\",\"path\":\"/a%20b?c\",\"protocol\":\"HTTP/1.1\",\"status\":206,\"bytes\":512,"
	    "\"referer\":\"http://x/\",\"user_agent\":\"curl/8.5\",\"duration\":1.000234,"
	    "\"technique\":\"sendfile\",\"verdict\":\"by-reference\"}\n");
	strange.line = SLICE_LITERAL("one two");
	strange.duration_ns = 999;
	strange.referer = strange.user_agent = slice_make(NULL, 0);
	assert_string_equal(
	    line_of(HTTP_LOG_JSON, &strange),
	    "{\"time\":\"2026-11-22T23:45:00.045+00:00\",\"client\":\"198.51.100.7\",\"request\":"
	    "\"one two\",\"status\":206,\"bytes\":512,\"referer\":\"\",\"user_agent\":\"\","
	    "\"duration\":0.000000,\"technique\":\"sendfile\",\"verdict\":\"by-reference\"}\n");
}

static void the_zone_is_the_local_one(void **state)
{
	setenv("TZ", "TST+3:30", 1);
	tzset();
	assert_non_null(strstr(line_of(HTTP_LOG_COMBINED, &entry), "[22/Nov/2026:20:15:00 -0330]"));
	assert_non_null(
	    strstr(line_of(HTTP_LOG_JSON, &entry), "\"2026-11-22T20:15:00.045-03:30\""));
	setenv("TZ", "UTC0", 1);
	tzset();
}

static const char *escaped(void (*escape)(struct buf *, struct slice), struct slice text)
{
	static char out[HTTP_LOG_FIELD_MAX + 1];
	struct buf buf = buf_over(out, sizeof(out));

	escape(&buf, text);
	return buf_text(&buf);
}

static void every_byte_is_escaped_as_nginx_does(void **state)
{
	for (unsigned c = 0; c < 256; c++) {
		bool plain = c >= 0x20 && c < 0x7f && c != '"' && c != '\\';

		/* At each place of a word, so that both ways of looking meet it. */
		for (size_t at = 0; at < 17; at++) {
			char text[17], want[32];

			memset(text, 'a', sizeof(text));
			text[at] = (char)c;
			if (plain)
				snprintf(want, sizeof(want), "%.17s", text);
			else
				snprintf(want, sizeof(want), "%.*s\\x%02X%.*s", (int)at, text, c,
					 16 - (int)at, text + at + 1);
			assert_string_equal(escaped(http_log_escape_text, slice_make(text, 17)),
					    want);
		}
	}
}

static void json_keeps_utf8_and_nothing_else(void **state)
{
	assert_string_equal(escaped(http_log_escape_json, SLICE_LITERAL("a\"b\\c\n\x01\x7f")),
			    "a\\\"b\\\\c\\u000a\\u0001\x7f");
	assert_string_equal(escaped(http_log_escape_json, SLICE_LITERAL("gr\xc3\xbc\xc3\x9f"
									"e")),
			    "gr\xc3\xbc\xc3\x9f"
			    "e");
	assert_string_equal(escaped(http_log_escape_json, SLICE_LITERAL("\xff\xc3\xed\xa0\x80")),
			    "\\ufffd\\ufffd\\ufffd\\ufffd\\ufffd");
}

static void long_fields_are_cut_and_say_so(void **state)
{
	static char text[HTTP_LOG_FIELD_MAX + 100];
	struct http_log_entry full = entry;
	const char *out;

	memset(text, 'a', sizeof(text));
	out = escaped(http_log_escape_text, slice_make(text, sizeof(text)));
	assert_int_equal(strlen(out), HTTP_LOG_FIELD_MAX);
	assert_string_equal(out + HTTP_LOG_FIELD_MAX - 4, "a...");
	/* What is as long as may be stays as it is. */
	out = escaped(http_log_escape_text, slice_make(text, HTTP_LOG_FIELD_MAX - 3));
	assert_string_equal(out + HTTP_LOG_FIELD_MAX - 6, "aaa");
	memset(text, 0xff, sizeof(text));
	out = escaped(http_log_escape_json, slice_make(text, sizeof(text)));
	assert_true(strlen(out) <= HTTP_LOG_FIELD_MAX);
	full.line = full.referer = full.user_agent = slice_make(text, sizeof(text));
	line_of(HTTP_LOG_JSON, &full);
	line_of(HTTP_LOG_COMBINED, &full);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(combined_is_what_nginx_and_apache_write),
	    cmocka_unit_test(json_has_a_member_for_each),
	    cmocka_unit_test(the_zone_is_the_local_one),
	    cmocka_unit_test(every_byte_is_escaped_as_nginx_does),
	    cmocka_unit_test(json_keeps_utf8_and_nothing_else),
	    cmocka_unit_test(long_fields_are_cut_and_say_so),
	};

	setenv("TZ", "UTC0", 1);
	tzset();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
