#include "unit/http/core/http_test.h"

#include "http/core/conditional.h"
#include "http/core/date.h"
#include "http/core/etag.h"

#define MTIME INT64_C(784111777) /* Sun, 06 Nov 1994 08:49:37 GMT */
#define SAME  "Sun, 06 Nov 1994 08:49:37 GMT"
#define LATER "Sun, 06 Nov 1994 08:49:38 GMT"
#define OLDER "Sun, 06 Nov 1994 08:49:36 GMT"
#define NOW   (MTIME + 1000)

/* What a field says, and whether a plain reading of the RFC finds that it holds. */
struct choice {
	const char *lines; /* "" : not there */
	bool present, holds;
};

/* holds: our strong tag "x" is in the list, strongly */
static const struct choice if_match[] = {
    {"", false, false},
    {"If-Match: *\r\n", true, true},
    {"If-Match: \"x\"\r\n", true, true},
    {"If-Match: \"a\", \"x\"\r\n", true, true},
    {"If-Match: \"a\"\r\nIf-Match: \"x\"\r\n", true, true},
    {"If-Match: \"a,b\",,\t\"x\"\r\n", true, true},
    {"If-Match: W/\"x\"\r\n", true, false},
    {"If-Match: \"a\"\r\n", true, false},
    {"If-Match: \"X\"\r\n", true, false},
    {"If-Match: x\r\n", true, false},
    {"If-Match: \"a\" \"x\"\r\n", true, false},
    {"If-Match: \"x\r\n", true, false},
    {"If-Match:\r\n", true, false},
};

/* holds: it was not modified after the date; no date: as if it were not there */
static const struct choice if_unmodified_since[] = {
    {"", false, false},
    {"If-Unmodified-Since: " SAME "\r\n", true, true},
    {"If-Unmodified-Since: " LATER "\r\n", true, true},
    {"If-Unmodified-Since: Sunday, 06-Nov-94 08:49:37 GMT\r\n", true, true},
    {"If-Unmodified-Since: " OLDER "\r\n", true, false},
    {"If-Unmodified-Since: yesterday\r\n", false, false},
    {"If-Unmodified-Since: " OLDER "\r\nIf-Unmodified-Since: " OLDER "\r\n", false, false},
};

/* holds: our tag is in the list, weakly */
static const struct choice if_none_match[] = {
    {"", false, false},
    {"If-None-Match: *\r\n", true, true},
    {"If-None-Match: \"x\"\r\n", true, true},
    {"If-None-Match: W/\"x\"\r\n", true, true},
    {"If-None-Match: W/\"a\",W/\"x\"\r\n", true, true},
    {"If-None-Match: \"a\"\r\nIf-None-Match: W/\"x\"\r\n", true, true},
    {"If-None-Match: \"a\"\r\n", true, false},
    {"If-None-Match: w/\"x\"\r\n", true, false},
    {"If-None-Match: nonsense, \"x\"\r\n", true, false},
    {"If-None-Match:\r\n", true, false},
};

/* holds: not modified since */
static const struct choice if_modified_since[] = {
    {"", false, false},
    {"If-Modified-Since: " SAME "\r\n", true, true},
    {"If-Modified-Since: " LATER "\r\n", true, true},
    {"If-Modified-Since: Sun Nov  6 08:49:37 1994\r\n", true, true},
    {"If-Modified-Since: " OLDER "\r\n", true, false},
    {"If-Modified-Since: 0\r\n", false, false},
};

/* holds: the range may be served */
static const struct choice if_range[] = {
    {"", false, false},
    {"If-Range: \"x\"\r\n", true, true},
    {"If-Range: " SAME "\r\n", true, true},
    {"If-Range: W/\"x\"\r\n", true, false},
    {"If-Range: \"a\"\r\n", true, false},
    {"If-Range: \"x\", \"x\"\r\n", true, false},
    {"If-Range: *\r\n", true, false},
    {"If-Range: " LATER "\r\n", true, false},
    {"If-Range: " OLDER "\r\n", true, false},
    {"If-Range: nonsense\r\n", true, false},
    {"If-Range: \"x\"\r\nIf-Range: \"x\"\r\n", true, false},
};

/* RFC 9110 13.2.2, word for word. */
static enum http_condition reference(const char *method, bool range, const struct choice *im,
				     const struct choice *ius, const struct choice *inm,
				     const struct choice *ims, const struct choice *ir)
{
	bool get = strcmp(method, "GET") == 0, get_or_head = get || strcmp(method, "HEAD") == 0;

	if (im->present) {
		if (!im->holds)
			return HTTP_CONDITION_PRECONDITION_FAILED;
	} else if (ius->present && !ius->holds) {
		return HTTP_CONDITION_PRECONDITION_FAILED;
	}
	if (inm->present) {
		if (inm->holds)
			return get_or_head ? HTTP_CONDITION_NOT_MODIFIED
					   : HTTP_CONDITION_PRECONDITION_FAILED;
	} else if (get_or_head && ims->present && ims->holds) {
		return HTTP_CONDITION_NOT_MODIFIED;
	}
	if (get && range && ir->present && !ir->holds)
		return HTTP_CONDITION_WHOLE;
	return HTTP_CONDITION_PASS;
}

#define EACH(i, choices) (size_t i = 0; i < ARRAY_SIZE(choices); i++)

static void check_combination(const struct http_validators *validators, const char *method,
			      bool range, const struct choice *const c[5])
{
	char head[1000];
	struct http_request r;

	snprintf(head, sizeof(head), "%s / HTTP/1.1\r\nHost: a\r\n%s%s%s%s%s%s\r\n", method,
		 range ? "Range: bytes=0-1\r\n" : "", c[4]->lines, c[3]->lines, c[2]->lines,
		 c[1]->lines, c[0]->lines);
	assert_int_equal(parse_text(head, &r), HTTP_PARSE_OK);
	enum http_condition expected = reference(method, range, c[0], c[1], c[2], c[3], c[4]);
	enum http_condition result = http_conditional(&r, validators, NOW);
	if (result != expected)
		fail_msg("%d instead of %d: %s", (int)result, (int)expected, head);
}

static void every_combination_is_as_the_rfc_orders_it(void **state)
{
	static const char *const methods[] = {"GET", "HEAD", "POST"};
	struct http_validators validators = {SLICE_LITERAL("\"x\""), MTIME};

	for
		EACH(m, methods)
		for
			EACH(a, if_match)
			for
				EACH(b, if_unmodified_since)
				for
					EACH(c, if_none_match)
					for
						EACH(d, if_modified_since)
						for
							EACH(e, if_range)
							{
								const struct choice *const all[5] =
								    {&if_match[a],
								     &if_unmodified_since[b],
								     &if_none_match[c],
								     &if_modified_since[d],
								     &if_range[e]};
								check_combination(&validators,
										  methods[m],
										  (a + e) % 3 != 0,
										  all);
							}
}

static enum http_condition ask(const char *line, const struct http_validators *validators,
			       int64_t now)
{
	char head[300];
	struct http_request r;

	snprintf(head, sizeof(head), "GET / HTTP/1.1\r\nHost: a\r\nRange: bytes=0-1\r\n%s\r\n\r\n",
		 line);
	assert_int_equal(parse_text(head, &r), HTTP_PARSE_OK);
	return http_conditional(&r, validators, now);
}

static void a_weak_tag_of_ours_matches_only_weakly(void **state)
{
	struct http_validators weak = {SLICE_LITERAL("W/\"x\""), MTIME};

	assert_int_equal(ask("If-None-Match: \"x\"", &weak, NOW), HTTP_CONDITION_NOT_MODIFIED);
	assert_int_equal(ask("If-Match: W/\"x\"", &weak, NOW), HTTP_CONDITION_PRECONDITION_FAILED);
	assert_int_equal(ask("If-Match: *", &weak, NOW), HTTP_CONDITION_PASS);
	assert_int_equal(ask("If-Range: W/\"x\"", &weak, NOW), HTTP_CONDITION_WHOLE);
}

static void without_a_tag_only_the_star_matches(void **state)
{
	struct http_validators none = {{NULL, 0}, MTIME};

	assert_int_equal(ask("If-None-Match: \"x\"", &none, NOW), HTTP_CONDITION_PASS);
	assert_int_equal(ask("If-None-Match: *", &none, NOW), HTTP_CONDITION_NOT_MODIFIED);
	assert_int_equal(ask("If-Match: \"\"", &none, NOW), HTTP_CONDITION_PRECONDITION_FAILED);
}

static void a_date_of_this_very_second_does_not_keep_a_range(void **state)
{
	struct http_validators v = {SLICE_LITERAL("\"x\""), MTIME};

	assert_int_equal(ask("If-Range: " SAME, &v, MTIME + 1), HTTP_CONDITION_PASS);
	assert_int_equal(ask("If-Range: " SAME, &v, MTIME), HTTP_CONDITION_WHOLE);
}

static void tags_of_files_are_strong_and_tell_versions_apart(void **state)
{
	char a[HTTP_ETAG_MAX], b[HTTP_ETAG_MAX];
	size_t a_len = http_etag_format(0x12ab, 5, 1000000001, "", a);

	assert_slice(slice_make(a, a_len), "\"12ab-5-3b9aca01\"");
	size_t b_len = http_etag_format(0x12ab, 5, 1000000001, "gz", b);
	assert_slice(slice_make(b, b_len), "\"12ab-5-3b9aca01-gz\"");
	b_len = http_etag_format(UINT64_MAX, UINT64_MAX, -1, "12345678", b);
	assert_int_equal(b_len, 61);

	struct http_validators v = {slice_make(a, a_len), MTIME};
	assert_int_equal(ask("If-None-Match: \"12ab-5-3b9aca01\"", &v, NOW),
			 HTTP_CONDITION_NOT_MODIFIED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(every_combination_is_as_the_rfc_orders_it),
	    cmocka_unit_test(a_weak_tag_of_ours_matches_only_weakly),
	    cmocka_unit_test(without_a_tag_only_the_star_matches),
	    cmocka_unit_test(a_date_of_this_very_second_does_not_keep_a_range),
	    cmocka_unit_test(tags_of_files_are_strong_and_tell_versions_apart),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
