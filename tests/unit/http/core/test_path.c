#include "unit/http/core/http_test.h"

#include <errno.h>
#include <stdlib.h>

#include "http/core/path.h"

static void paths_become_relative_and_normal(void **state)
{
	static const struct {
		const char *path, *text;
		bool wants_dir;
	} rows[] = {
	    {"/", ".", true},
	    {"/a", "a", false},
	    {"/a/", "a", true},
	    {"/a/b.txt", "a/b.txt", false},
	    {"//", ".", true},
	    {"/a//b", "a/b", false},
	    {"/./a", "a", false},
	    {"/a/.", "a", true},
	    {"/a/..", ".", true},
	    {"/a/../b", "b", false},
	    {"/../../etc/passwd", "etc/passwd", false},
	    {"/..", ".", true},
	    {"/%2e%2e/a", "a", false},
	    {"/.%2E/a", "a", false},
	    {"/a%2fb", "a/b", false},
	    {"/a%2f..%2f..%2fb", "b", false},
	    {"/...", "...", false},
	    {"/..a/.b/c..", "..a/.b/c..", false},
	    {"/a%20b%C3%A4", "a b\xc3\xa4", false},
	    {"/%252e%252e", "%2e%2e", false},
	    {"/\\..\\a", "\\..\\a", false},
	    {"/a+b", "a+b", false},
	    {"/a%3Fb%23", "a?b#", false},
	    {"/a%0ab", "a\nb", false},
	};
	char buf[100];
	struct http_path p;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		assert_int_equal(http_path_decode(slice_of(rows[i].path), buf,
						  strlen(rows[i].path) + 1, &p),
				 0);
		assert_slice(p.text, rows[i].text);
		assert_string_equal(buf, rows[i].text);
		assert_int_equal(p.is_root, strcmp(rows[i].text, ".") == 0);
		if (p.wants_dir != rows[i].wants_dir)
			fail_msg("%s: directory %d", rows[i].path, p.wants_dir);
	}
}

static void names_with_a_dot_in_front_are_hidden_but_what_is_well_known(void **state)
{
	static const char *const hidden[] = {
	    ".git",        ".git/config",  "a/.b",           "a/.b/c",        "...",
	    "..a",         ".well-knownx", ".well-known/.a", "a/.well-known", ".well-known/a/.b/c",
	    ".WELL-KNOWN",
	};
	static const char *const open[] = {
	    "a", "a.b", "a./b.", "a/b.c/d", ".well-known", ".well-known/a", ".well-known/a.b/c",
	};

	for (size_t i = 0; i < ARRAY_SIZE(hidden); i++)
		if (!http_path_is_hidden(slice_of(hidden[i])))
			fail_msg("open: %s", hidden[i]);
	for (size_t i = 0; i < ARRAY_SIZE(open); i++)
		if (http_path_is_hidden(slice_of(open[i])))
			fail_msg("hidden: %s", open[i]);
}

static void bad_escapes_and_nul_are_refused(void **state)
{
	static const char *const rows[] = {"",     "a",      "*",       "/%",   "/%1",
					   "/%g0", "/%0g",   "/% 20",   "/a%",  "/a%2",
					   "/%00", "/a%00b", "/%u0041", "/%-1", "/%%20"};
	char buf[100];
	struct http_path p;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		assert_int_equal(http_path_decode(slice_of(rows[i]), buf, sizeof(buf), &p),
				 -EBADMSG);
	assert_int_equal(http_path_decode(slice_make("/a\0b", 4), buf, sizeof(buf), &p), -EBADMSG);
}

static void what_does_not_fit_is_refused_and_nothing_written_beyond(void **state)
{
	char buf[8];
	struct http_path p;

	for (size_t size = 0; size < 5; size++) {
		memset(buf, 'x', sizeof(buf));
		assert_int_equal(http_path_decode(slice_of("/abcd"), buf, size, &p), -ENAMETOOLONG);
		assert_int_equal(buf[size], 'x');
	}
	assert_int_equal(http_path_decode(slice_of("/abcd"), buf, 5, &p), 0);
	assert_int_equal(http_path_decode(slice_of("/"), buf, 2, &p), 0);
	assert_int_equal(http_path_decode(slice_of("/"), buf, 1, &p), -ENAMETOOLONG);
}

/* A plain reference: decode all, split at slashes, keep a stack of segments. */
static int slow_path(const char *path, char *out)
{
	char decoded[200], *segments[200];
	size_t len = 0, depth = 0;

	for (const char *c = path; *c; c++) {
		unsigned value = (unsigned char)*c;
		if (*c == '%') {
			char digits[3] = {c[1], c[1] ? c[2] : '\0', '\0'}, *end;
			if (strspn(digits, "0123456789abcdefABCDEF") != 2)
				return -EBADMSG;
			value = (unsigned)strtoul(digits, &end, 16);
			c += 2;
		}
		if (value == 0)
			return -EBADMSG;
		decoded[len++] = (char)value;
	}
	decoded[len] = '\0';
	for (char *save, *s = strtok_r(decoded, "/", &save); s; s = strtok_r(NULL, "/", &save)) {
		if (strcmp(s, "..") == 0)
			depth -= depth > 0;
		else if (strcmp(s, ".") != 0)
			segments[depth++] = s;
	}
	*out = '\0';
	for (size_t i = 0; i < depth; i++) {
		strcat(out, i ? "/" : "");
		strcat(out, segments[i]);
	}
	if (depth == 0)
		strcpy(out, ".");
	return 0;
}

static void random_paths_are_as_a_slow_reference_has_them(void **state)
{
	static const char *const pieces[] = {"/",   "/",   ".",   "..",  "a",   "bc",
					     "%2e", "%2F", "%41", "%zz", "%00", "\\"};
	uint64_t random = 3;

	for (int i = 0; i < 300000; i++) {
		char path[200] = "/", expected[200], buf[200];
		struct http_path p;
		unsigned count = (unsigned)random_below(&random, 14);

		for (unsigned n = 0; n < count; n++) {
			/* the two bad ones only now and then */
			size_t kinds = random_below(&random, 50) ? 9 : ARRAY_SIZE(pieces);
			strcat(path, pieces[random_below(&random, kinds)]);
		}
		int r = slow_path(path, expected);
		assert_int_equal(http_path_decode(slice_of(path), buf, strlen(path) + 1, &p), r);
		if (r == 0)
			assert_string_equal(buf, expected);
	}
}

static void encoding_is_undone_by_decoding(void **state)
{
	char raw[256], encoded[800], decoded[800];
	struct http_path p;

	for (int i = 1; i < 256; i++)
		raw[i - 1] = (char)i;
	size_t len = http_path_encode(slice_make(raw, 255), true, encoded + 1, sizeof(encoded) - 1);
	encoded[0] = '/';
	assert_int_equal(http_path_decode(slice_make(encoded, len + 1), decoded, sizeof(decoded),
					  &p),
			 0);
	assert_int_equal(p.text.len, 255);
	assert_memory_equal(p.text.ptr, raw, 255);
}

static void encoding_is_bounded_at_whole_escapes(void **state)
{
	char buf[8];

	memset(buf, 'x', sizeof(buf));
	assert_int_equal(http_path_encode(slice_of("a b/c"), false, buf, 3), 9);
	assert_memory_equal(buf, "axxx", 4);
	assert_int_equal(http_path_encode(slice_of("a b"), false, buf, 5), 5);
	assert_memory_equal(buf, "a%20bxxx", 8);
	assert_int_equal(http_path_encode(slice_of("a/b"), true, NULL, 0), 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(paths_become_relative_and_normal),
	    cmocka_unit_test(bad_escapes_and_nul_are_refused),
	    cmocka_unit_test(names_with_a_dot_in_front_are_hidden_but_what_is_well_known),
	    cmocka_unit_test(what_does_not_fit_is_refused_and_nothing_written_beyond),
	    cmocka_unit_test(random_paths_are_as_a_slow_reference_has_them),
	    cmocka_unit_test(encoding_is_undone_by_decoding),
	    cmocka_unit_test(encoding_is_bounded_at_whole_escapes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
