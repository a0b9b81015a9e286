#include "unit/http/core/http_test.h"

#include "http/core/accept.h"

static void parse_with(const char *lines, struct http_request *ret)
{
	static char head[2000];

	snprintf(head, sizeof(head), "GET / HTTP/1.1\r\nHost: a\r\n%s\r\n", lines);
	assert_int_equal(parse_text(head, ret), HTTP_PARSE_OK);
}

#define GZIP (1u << HTTP_GZIP)
#define ZSTD (1u << HTTP_ZSTD)
#define BR   (1u << HTTP_BR)
#define ALL  (GZIP | ZSTD | BR)

static void the_best_weight_wins_and_then_our_taste(void **state)
{
	static const struct {
		const char *lines;
		unsigned available;
		enum http_coding coding;
	} rows[] = {
	    {"", ALL, HTTP_IDENTITY},
	    {"Accept-Encoding: gzip\r\n", 0, HTTP_IDENTITY},
	    {"Accept-Encoding:\r\n", ALL, HTTP_IDENTITY},
	    {"Accept-Encoding: gzip, deflate, br, zstd\r\n", ALL, HTTP_BR},
	    {"Accept-Encoding: gzip, deflate, br, zstd\r\n", ALL & ~BR, HTTP_ZSTD},
	    {"Accept-Encoding: gzip, deflate, br, zstd\r\n", GZIP, HTTP_GZIP},
	    {"Accept-Encoding: gzip\r\nAccept-Encoding: br\r\n", ALL, HTTP_BR},
	    {"Accept-Encoding: GZIP\r\n", ALL, HTTP_GZIP},
	    {"Accept-Encoding: x-gzip\r\n", ALL, HTTP_GZIP},
	    {"Accept-Encoding: gzip;q=1.0, br;q=0.9\r\n", ALL, HTTP_GZIP},
	    {"Accept-Encoding: gzip ; Q=0.5 , br ;q=0.51\r\n", ALL, HTTP_BR},
	    {"Accept-Encoding: gzip;q=0\r\n", ALL, HTTP_IDENTITY},
	    {"Accept-Encoding: gzip;q=0.000\r\n", ALL, HTTP_IDENTITY},
	    {"Accept-Encoding: gzip;q=0.001\r\n", ALL, HTTP_GZIP},
	    {"Accept-Encoding: *\r\n", ALL, HTTP_BR},
	    {"Accept-Encoding: *, br;q=0\r\n", ALL, HTTP_ZSTD},
	    {"Accept-Encoding: *;q=0\r\n", ALL, HTTP_IDENTITY},
	    {"Accept-Encoding: identity;q=0, *;q=0\r\n", ALL, HTTP_IDENTITY},
	    {"Accept-Encoding: identity;q=0, gzip;q=0.1\r\n", ALL, HTTP_GZIP},
	    {"Accept-Encoding: identity, gzip;q=0.5\r\n", ALL, HTTP_IDENTITY},
	    {"Accept-Encoding: identity;q=0.5, gzip;q=0.5\r\n", ALL, HTTP_GZIP},
	    {"Accept-Encoding: compress, deflate\r\n", ALL, HTTP_IDENTITY},
	    {"Accept-Encoding: gzip;q=2\r\n", ALL, HTTP_IDENTITY},
	    {"Accept-Encoding: gzip;q=1.001\r\n", ALL, HTTP_IDENTITY},
	    {"Accept-Encoding: gzip;q=0.1234\r\n", ALL, HTTP_IDENTITY},
	    {"Accept-Encoding: gzip;q=-1\r\n", ALL, HTTP_IDENTITY},
	    {"Accept-Encoding: gzip;q=\r\n", ALL, HTTP_IDENTITY},
	    {"Accept-Encoding: gzip;q=.5\r\n", ALL, HTTP_IDENTITY},
	    {"Accept-Encoding: gzip, br;q=x, zstd\r\n", ALL, HTTP_GZIP},
	    {"Accept-Encoding: gzip;level=9\r\n", ALL, HTTP_GZIP},
	    {"Accept-Encoding: ;q=1\r\n", ALL, HTTP_IDENTITY},
	    {"Accept-Encoding: brotli\r\n", ALL, HTTP_IDENTITY},
	};
	struct http_request r;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		parse_with(rows[i].lines, &r);
		enum http_coding coding = http_accept_coding(&r, rows[i].available);
		if (coding != rows[i].coding)
			fail_msg("%s instead of %s: %s", http_coding_name(coding),
				 http_coding_name(rows[i].coding), rows[i].lines);
	}
}

/* The reference weighs each coding by the rules of RFC 9110 12.5.3 from the list it was made of. */
static void random_weights_are_as_a_plain_reference_has_them(void **state)
{
	uint64_t random = 11;
	static const char *const names[] = {"identity", "gzip", "zstd", "br", "*"};

	for (int i = 0; i < 100000; i++) {
		int weights[5] = {-1, -1, -1, -1, -1}, best = HTTP_IDENTITY;
		char lines[200] = "Accept-Encoding: deflate";
		unsigned available = (unsigned)random_below(&random, 16);
		struct http_request r;

		for (int n = 0; n < 5; n++) {
			if (random_below(&random, 2))
				continue;
			weights[n] = (int)random_below(&random, 4) * 250;
			sprintf(lines + strlen(lines), ", %s;q=0.%03d", names[n], weights[n]);
		}
		strcat(lines, "\r\n");
		double q[4];
		for (int n = 0; n < 4; n++)
			q[n] = weights[n] >= 0 ? weights[n]
			       : n == 0        ? (weights[4] == 0 ? 0 : 0.5)
					       : (weights[4] > 0 ? weights[4] : 0);
		for (int n = 1; n < 4; n++)
			if ((available & (1u << n)) && q[n] > 0 && q[n] >= q[best])
				best = n;
		parse_with(lines, &r);
		if ((int)http_accept_coding(&r, available) != best)
			fail_msg("not %d: %s", best, lines);
	}
}

static void json_is_for_those_who_ask_for_it(void **state)
{
	static const struct {
		const char *lines;
		bool json;
	} rows[] = {
	    {"", false},
	    {"Accept: */*\r\n", false},
	    {"Accept: application/json\r\n", true},
	    {"Accept: Application/JSON\r\n", true},
	    {"Accept: application/*\r\n", true},
	    {"Accept: application/json, text/html\r\n", false},
	    {"Accept: application/json, text/html;q=0.9\r\n", true},
	    {"Accept: application/json;q=0.5, text/html;q=0.4\r\n", true},
	    {"Accept: application/json, */*;q=0.1\r\n", true},
	    {"Accept: application/json, text/plain, */*\r\n", false},
	    {"Accept: application/json;q=0\r\n", false},
	    {"Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\n", false},
	    {"Accept: text/*;q=0.1, application/json;q=0.2\r\n", true},
	    {"Accept: text/html;level=1;q=0.1\r\nAccept: application/json;q=0.2\r\n", true},
	};
	struct http_request r;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		parse_with(rows[i].lines, &r);
		if (http_accepts_json(&r) != rows[i].json)
			fail_msg("not %d: %s", rows[i].json, rows[i].lines);
	}
}

static void a_suffix_behind_a_name_says_the_coding(void **state)
{
	static const struct {
		const char *path;
		enum http_coding coding;
	} rows[] = {
	    {"a.gz", HTTP_GZIP},     {"d/app.js.zst", HTTP_ZSTD}, {"d.gz/a.br", HTTP_BR},
	    {"a.br.gz", HTTP_GZIP},  {"..gz", HTTP_GZIP},         {"a", HTTP_IDENTITY},
	    {"a.js", HTTP_IDENTITY}, {"a.GZ", HTTP_IDENTITY},     {"a.gz/", HTTP_IDENTITY},
	    {"agz", HTTP_IDENTITY},  {".gz", HTTP_IDENTITY},      {"d/.br", HTTP_IDENTITY},
	    {"gz", HTTP_IDENTITY},   {"", HTTP_IDENTITY},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		if (http_coding_of(slice_of(rows[i].path)) != rows[i].coding)
			fail_msg("%s: %d", rows[i].path,
				 (int)http_coding_of(slice_of(rows[i].path)));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_suffix_behind_a_name_says_the_coding),
	    cmocka_unit_test(the_best_weight_wins_and_then_our_taste),
	    cmocka_unit_test(random_weights_are_as_a_plain_reference_has_them),
	    cmocka_unit_test(json_is_for_those_who_ask_for_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
