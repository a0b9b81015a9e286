#include "unit/http/core/http_test.h"

#include <errno.h>

#include "http/core/mime.h"

static const char *const extensions[] = {
#define TYPE(extension, type) extension,
#define TEXT(extension, type) extension,
#include "http/core/mime_table.h"
#undef TYPE
#undef TEXT
};

static void check(const struct http_mime *mime, const char *path, const char *type)
{
	assert_slice(http_mime_type(mime, slice_of(path)), type);
}

static void the_builtin_table_is_sorted_and_finds_every_row(void **state)
{
	char path[64];

	assert_in_range(ARRAY_SIZE(extensions), 150, 400);
	for (size_t i = 0; i < ARRAY_SIZE(extensions); i++) {
		if (i > 0)
			assert_true(strcmp(extensions[i - 1], extensions[i]) < 0);
		snprintf(path, sizeof(path), "dir.x/name.%s", extensions[i]);
		assert_false(slice_eq(http_mime_type(NULL, slice_of(path)), HTTP_MIME_DEFAULT));
	}
}

static void the_extension_is_after_the_last_dot_of_the_name(void **state)
{
	check(NULL, "a/b.html", "text/html; charset=utf-8");
	check(NULL, "a.HTML", "text/html; charset=utf-8");
	check(NULL, "a.tar.gz", "application/gzip");
	check(NULL, "x.json", "application/json");
	check(NULL, "x.js", "text/javascript; charset=utf-8");
	check(NULL, "x.svg", "image/svg+xml");
	check(NULL, "", "application/octet-stream");
	check(NULL, "README", "text/plain; charset=utf-8");
	check(NULL, "a.b/License", "text/plain; charset=utf-8");
	check(NULL, "README.html", "text/html; charset=utf-8");
	check(NULL, "READMEE", "application/octet-stream");
	check(NULL, ".readme", "application/octet-stream");
	check(NULL, "a.html/b", "application/octet-stream");
	check(NULL, ".html", "application/octet-stream");
	check(NULL, "a/.html", "application/octet-stream");
	check(NULL, "a.", "application/octet-stream");
	check(NULL, "a.htmlx", "application/octet-stream");
	check(NULL, "a.ht", "application/octet-stream");
	check(NULL, "a.0123456789012345678901234567890123456789", "application/octet-stream");
}

static int make_of(struct slice text, struct http_mime **ret, struct err *err)
{
	const struct http_mime_options options = {.text = text, .name = "mime.types"};

	return http_mime_new(&options, ret, err);
}

static struct http_mime *make(const char *text)
{
	struct http_mime *mime = NULL;
	struct err err = {""};

	if (make_of(slice_of(text), &mime, &err) < 0)
		fail_msg("%s", err.text);
	return mime;
}

static void debian_syntax_is_read(void **state)
{
	struct http_mime *mime = make("# a comment\n\n"
				      "application/x-nothing\n"
				      "text/x-thing\t\t\tthing THANG # more\r\n"
				      "  image/png png\n"
				      "text/html html\n"
				      "x-world/x-vrml vrm\n"
				      "application/x-own js");

	check(mime, "a.thing", "text/x-thing; charset=utf-8");
	check(mime, "a.thang", "text/x-thing; charset=utf-8");
	check(mime, "a.png", "image/png");
	check(mime, "a.vrm", "x-world/x-vrml");
	check(mime, "a.js", "application/x-own");
	check(mime, "a.css", "text/css; charset=utf-8"); /* built in */
	check(mime, "a.more", "application/octet-stream");
	http_mime_free(mime);
}

static void nginx_syntax_is_read(void **state)
{
	struct http_mime *mime = make("# nginx\ntypes {\n"
				      "    text/html                 html htm\n"
				      "                              shtml;\n"
				      "    \"text/plain; charset=latin1\" txt;  # quoted\n"
				      "    'application/x-y' y;application/x-z z;\n"
				      "    application/x-none;\n"
				      "}\ntypes { image/x-q q; }\n");

	check(mime, "a.shtml", "text/html; charset=utf-8");
	check(mime, "a.txt", "text/plain; charset=latin1");
	check(mime, "a.y", "application/x-y");
	check(mime, "a.z", "application/x-z");
	check(mime, "a.q", "image/x-q");
	http_mime_free(mime);
}

/* What is installed on this machine, if it is. */
static void real_files_are_read(void **state)
{
	static const char *const names[] = {"/etc/mime.types", "/etc/nginx/mime.types"};
	static char text[1 << 20];
	unsigned found = 0;

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		FILE *f = fopen(names[i], "r");

		if (!f)
			continue;
		text[fread(text, 1, sizeof(text) - 1, f)] = '\0';
		fclose(f);
		struct http_mime *mime = make(text);
		check(mime, "a.html", "text/html; charset=utf-8");
		check(mime, "a.PNG", "image/png");
		http_mime_free(mime);
		found++;
	}
	if (!found)
		skip();
}

/* Debian's table calls them text/vnd.trolltech.linguist, audio/aac, application/rls-services+xml,
 * application/pgp-encrypted, or nothing. */
static void what_browsers_and_developers_need_is_built_in(void **state)
{
	check(NULL, "a.ts", "video/mp2t");
	check(NULL, "a.ass", "text/x-ssa; charset=utf-8");
	check(NULL, "a.rs", "text/x-rust; charset=utf-8");
	check(NULL, "a.asc", "text/plain; charset=utf-8");
	check(NULL, "a.mid", "audio/midi");
	check(NULL, "a.jsonl", "application/jsonl");
	check(NULL, "a.ndjson", "application/x-ndjson");
	check(NULL, "a.jsx", "text/jsx; charset=utf-8");
	check(NULL, "a.tsx", "text/tsx; charset=utf-8");
	check(NULL, "a.webvtt", "text/vtt; charset=utf-8");
	check(NULL, "a.cjs", "text/javascript; charset=utf-8");
	check(NULL, "a.whl", "application/x-wheel+zip");
	check(NULL, "a.SVGZ", "image/svg+xml");
	assert_true(http_mime_is_gzipped(slice_of("d/a.SVGZ")));
	assert_false(http_mime_is_gzipped(slice_of("d/a.svg")));
	assert_false(http_mime_is_gzipped(slice_of("d.svgz/a")));
	assert_false(http_mime_is_gzipped(slice_of(".svgz")));
}

static struct http_mime *make_with(const char *text, const char *default_type, const char *charset)
{
	const struct http_mime_options options = {
	    .text = slice_of(text),
	    .name = "mime.types",
	    .default_type = default_type,
	    .charset = charset,
	};
	struct http_mime *mime = NULL;

	assert_int_equal(http_mime_new(&options, &mime, NULL), 0);
	return mime;
}

static void another_charset_is_that_of_every_text(void **state)
{
	struct http_mime *mime =
	    make_with("text/x-own own\ntext/x-two;charset=a two\n", "text/x-other", "iso-8859-15");

	check(mime, "a.html", "text/html; charset=iso-8859-15");
	check(mime, "a.own", "text/x-own; charset=iso-8859-15");
	check(mime, "a.two", "text/x-two;charset=a");
	check(mime, "LICENSE", "text/plain; charset=iso-8859-15");
	check(mime, "a.unknown", "text/x-other; charset=iso-8859-15");
	check(mime, "a.png", "image/png");
	http_mime_free(mime);
	mime = make_with("text/x-own html\n", NULL, "off");
	check(mime, "a.html", "text/x-own");
	check(mime, "a.css", "text/css");
	check(mime, "readme", "text/plain");
	check(mime, "a", "application/octet-stream");
	http_mime_free(mime);
}

static void defaults_that_can_not_stand_in_a_header_are_refused(void **state)
{
	static const struct http_mime_options rows[] = {
	    {.default_type = "text"},
	    {.default_type = ""},
	    {.default_type = "text/plain\r\nX: y"},
	    {.charset = ""},
	    {.charset = "utf 8"},
	    {.charset = "utf-8\r\nX: y"},
	    {.charset = "a2345678901234567890123456789012345678901"},
	};
	struct http_mime *mime = NULL;
	struct err err;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		assert_int_equal(http_mime_new(&rows[i], &mime, &err), -EINVAL);
		assert_non_null(strstr(err.text, rows[i].charset ? "--charset" : "--default-type"));
	}
}

static void later_lines_win(void **state)
{
	struct http_mime *mime = make("a/b x\nc/d x\n");

	check(mime, "n.x", "c/d");
	http_mime_free(mime);
}

static void mistakes_are_named_with_their_line(void **state)
{
	static const struct {
		const char *text;
		const char *where;
	} rows[] = {
	    {"text/html html\nnonsense x\n", "mime.types:2:"},
	    {"text/ html\n", "mime.types:1:"},
	    {"/html html\n", "mime.types:1:"},
	    {"text/html\x01 html\n", "mime.types:1:"},
	    {"types {\n text/html html;\n", "mime.types:3:"},
	    {"types {\n text/html html }\n", "mime.types:2:"},
	    {"types text/html html;", "mime.types:1:"},
	    {"types { } x", "mime.types:1:"},
	    {"types { \"text/html html; }", "mime.types:1:"},
	    {"types { 'text/html\r\nX: y' html; }", "mime.types:1:"},
	    {"types { ; }", "mime.types:1:"},
	    {"types { } }", "mime.types:1:"},
	};
	struct err err;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct http_mime *mime = NULL;

		assert_int_equal(make_of(slice_of(rows[i].text), &mime, &err), -EINVAL);
		if (strncmp(err.text, rows[i].where, strlen(rows[i].where)) != 0)
			fail_msg("%s: %s", rows[i].text, err.text);
		assert_null(mime);
	}
}

static void a_thousand_types_are_all_found(void **state)
{
	static char text[40000];
	size_t len = 0;
	char path[32], type[32];

	for (int i = 0; i < 1000; i++)
		len += (size_t)sprintf(text + len, "x/t%d e%d f%d\n", i, i, i);
	struct http_mime *mime = make(text);
	for (int i = 0; i < 1000; i++) {
		snprintf(path, sizeof(path), "a.%c%d", i % 2 ? 'E' : 'f', i);
		snprintf(type, sizeof(type), "x/t%d", i);
		check(mime, path, type);
	}
	http_mime_free(mime);
}

/* The table has room for every word, also for those made of what ends words elsewhere. */
static void types_are_at_most_255_bytes_long(void **state)
{
	struct http_mime *mime = NULL;
	char text[400];

	snprintf(text, sizeof(text), "x/%.*s abc\n", HTTP_MIME_TYPE_MAX - 2,
		 (const char[]){[0 ... 299] = 'y'});
	assert_int_equal(make_of(slice_of(text), &mime, NULL), 0);
	assert_int_equal(http_mime_type(mime, slice_of("a.abc")).len, HTTP_MIME_TYPE_MAX);
	http_mime_free(mime);
	mime = NULL;
	snprintf(text, sizeof(text), "x/%.*s abc\n", HTTP_MIME_TYPE_MAX - 1,
		 (const char[]){[0 ... 299] = 'y'});
	assert_int_equal(make_of(slice_of(text), &mime, NULL), -EINVAL);
	assert_null(mime);
}

static void odd_words_have_room_too(void **state)
{
	char text[4000];
	size_t len = 0;

	len += (size_t)sprintf(text, "x/y");
	for (size_t n = 1; n <= 30; n++) {
		for (size_t kind = 0; kind < 4; kind++) {
			text[len++] = ' ';
			memset(text + len, ";{\"\0"[kind], n);
			len += n;
		}
	}
	struct http_mime *mime = NULL;
	assert_int_equal(make_of(slice_make(text, len), &mime, NULL), 0);
	check(mime, "a.;;;", "x/y");
	check(mime, "a.\"\"", "x/y");
	http_mime_free(mime);
}

static void empty_files_are_fine(void **state)
{
	static const char *const texts[] = {"", "\n", "#", "# x", "types {}", "a/b"};

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		struct http_mime *mime = make(texts[i]);

		check(mime, "a.png", "image/png");
		http_mime_free(mime);
	}
	http_mime_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(the_builtin_table_is_sorted_and_finds_every_row),
	    cmocka_unit_test(the_extension_is_after_the_last_dot_of_the_name),
	    cmocka_unit_test(debian_syntax_is_read),
	    cmocka_unit_test(nginx_syntax_is_read),
	    cmocka_unit_test(real_files_are_read),
	    cmocka_unit_test(what_browsers_and_developers_need_is_built_in),
	    cmocka_unit_test(another_charset_is_that_of_every_text),
	    cmocka_unit_test(defaults_that_can_not_stand_in_a_header_are_refused),
	    cmocka_unit_test(later_lines_win),
	    cmocka_unit_test(mistakes_are_named_with_their_line),
	    cmocka_unit_test(a_thousand_types_are_all_found),
	    cmocka_unit_test(types_are_at_most_255_bytes_long),
	    cmocka_unit_test(odd_words_have_room_too),
	    cmocka_unit_test(empty_files_are_fine),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
