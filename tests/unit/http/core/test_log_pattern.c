#include "unit/http/core/http_test.h"

#include <errno.h>

#include "http/core/log_pattern.h"

static const char *line_of(const char *format, const struct http_log_entry *entry)
{
	static char out[HTTP_LOG_LINE_MAX + 1];
	struct buf buf = buf_over(out, sizeof(out));
	struct http_log_pattern pattern;
	struct err err = {""};

	if (http_log_pattern_parse(format, &pattern, &err) < 0)
		fail_msg("%s: %s", format, err.text);
	http_log_pattern_line(&buf, &pattern, entry);
	assert_false(buf.overflow);
	assert_true(buf.len <= HTTP_LOG_LINE_MAX);
	return buf_text(&buf);
}

static const struct http_log_time local = {.text = "22/Nov/2026:23:45:00 +0000", .len = 26};
static const struct http_log_time iso = {.text = "2026-11-22T23:45:00+00:00", .len = 25};

static const struct http_log_entry entry = {
    .client = {"198.51.100.7", 12},
    .peer = {"10.0.0.1", 8},
    .line = {"GET /a?b HTTP/1.1", 17},
    .referer = {"http://x/", 9},
    .status = 206,
    .bytes = 512,
    .duration_ns = 1002934567,
    .wall_ms = 1795391100045,
    .technique = "sendfile",
    .verdict = "by-reference",
    .local = &local,
    .iso = &iso,
    .fields = {{"a.example:80", 12}, {"q\"\n", 3}},
};

static void variables_are_nginxs(void **state)
{
	static const struct {
		const char *format, *line;
	} rows[] = {
	    {"$remote_addr - $remote_user [$time_local] \"$request\" $status $body_bytes_sent "
	     "\"$http_referer\" \"$http_user_agent\"",
	     "198.51.100.7 - - [22/Nov/2026:23:45:00 +0000] \"GET /a?b HTTP/1.1\" 206 512 "
	     "\"http://x/\" \"-\"\n"},
	    {"$time_iso8601 $msec $request_time",
	     "2026-11-22T23:45:00+00:00 1795391100.045 1.002\n"},
	    {"$request_method,$request_uri,$server_protocol", "GET,/a?b,HTTP/1.1\n"},
	    {"${status}ms$realip_remote_addr", "206ms10.0.0.1\n"},
	    {"$host $http_X_Own $http_host", "a.example q\\x22\\x0A a.example:80\n"},
	    {"$http_none_1 $http_none_2 $http_none_3", "a.example:80 q\\x22\\x0A -\n"},
	    {"$technique $verdict", "sendfile by-reference\n"},
	    {"no variable", "no variable\n"},
	};
	struct http_log_entry none = {.client = {"unix:", 5}, .line = {"NONSENSE", 8}};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		assert_string_equal(line_of(rows[i].format, &entry), rows[i].line);
	assert_string_equal(line_of("$remote_addr $request $request_uri $host", &none),
			    "unix: NONSENSE - -\n");
}

static void names_of_header_fields_are_found_in_any_case(void **state)
{
	assert_true(http_log_field_is(slice_of("x_forwarded_for"), slice_of("X-Forwarded-For")));
	assert_true(http_log_field_is(slice_of("X_OWN"), slice_of("x-own")));
	assert_false(http_log_field_is(slice_of("x_own"), slice_of("x-owner")));
	assert_false(http_log_field_is(slice_of("x_own"), slice_of("x-owm")));
}

static void what_can_not_be_is_refused_by_its_name(void **state)
{
	static const struct {
		const char *format, *says;
	} rows[] = {
	    {"$status $no_such", "there is no variable $no_such"},
	    {"$", "there is no variable $"},
	    {"$$", "there is no variable $"},
	    {"${status", "there is no variable $"},
	    {"$http_", "there is no variable $http_"},
	    {"$status\n", "one line"},
	    {"$request$request$request$request$request$request$request$request$request$request",
	     "at most"},
	    {"$http_a$http_b$http_c$http_d$http_e$http_f$http_g", "at most 6 header fields"},
	};
	struct http_log_pattern pattern;
	struct err err;
	char many[400] = "";

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		assert_int_equal(http_log_pattern_parse(rows[i].format, &pattern, &err), -EINVAL);
		if (!strstr(err.text, rows[i].says))
			fail_msg("%s: %s", rows[i].format, err.text);
	}
	for (size_t i = 0; i < 40; i++)
		memcpy(many + 6 * i, "$msec ", 7);
	assert_int_equal(http_log_pattern_parse(many, &pattern, &err), -EINVAL);
	assert_non_null(strstr(err.text, "64 pieces"));
}

static void the_longest_line_fits(void **state)
{
	static char text[HTTP_LOG_FIELD_MAX * 2];
	struct http_log_entry longest = entry;

	memset(text, '"', sizeof(text));
	longest.line = longest.referer = longest.user_agent = slice_make(text, sizeof(text));
	for (unsigned i = 0; i < HTTP_LOG_FIELDS_MAX; i++)
		longest.fields[i] = longest.line;
	line_of("$request $request $http_referer $http_user_agent $http_a $http_b $http_c $http_d "
		"$host",
		&longest);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(variables_are_nginxs),
	    cmocka_unit_test(names_of_header_fields_are_found_in_any_case),
	    cmocka_unit_test(what_can_not_be_is_refused_by_its_name),
	    cmocka_unit_test(the_longest_line_fits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
