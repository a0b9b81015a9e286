#include "unit/http/core/http_test.h"

#include "http/core/authority.h"

static void what_rfc_3986_allows_is_taken_apart(void **state)
{
	static const struct {
		const char *text, *host, *port;
		bool literal, address;
	} rows[] = {
	    {"a", "a", "", false, false},
	    {"a:80", "a", "80", false, false},
	    {"a:", "a", "", false, false},
	    {"127.0.0.1:8080", "127.0.0.1", "8080", false, true},
	    {"127.0.0.1.", "127.0.0.1.", "", false, false},
	    {"127.1", "127.1", "", false, false},
	    {"1.2.3.256", "1.2.3.256", "", false, false},
	    {"[::1]", "::1", "", true, true},
	    {"[::ffff:1.2.3.4]:1", "::ffff:1.2.3.4", "1", true, true},
	    {"[v1F.a:b]:1", "v1F.a:b", "1", true, true},
	    {"xn--bcher-kva.example", "xn--bcher-kva.example", "", false, false},
	    {"a_b-c.d~!$&'()*+,;=", "a_b-c.d~!$&'()*+,;=", "", false, false},
	    {"%61%2F:0", "%61%2F", "0", false, false},
	};
	struct http_authority a;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		if (!http_authority_parse(slice_of(rows[i].text), &a))
			fail_msg("refused: %s", rows[i].text);
		assert_slice(a.host, rows[i].host);
		assert_slice(a.port, rows[i].port);
		assert_int_equal(a.is_literal, rows[i].literal);
		if (http_authority_is_address(&a) != rows[i].address)
			fail_msg("an address or not: %s", rows[i].text);
	}
}

static void what_it_does_not_allow_is_refused(void **state)
{
	static const char *const texts[] = {
	    "",
	    ":",
	    ":80",
	    "[::1",
	    "::1",
	    "a:b",
	    "a:80:80",
	    "[gg::1]",
	    "[]",
	    "[a]",
	    "[::1]a",
	    "[::1]80",
	    "[1.2.3.4]",
	    "a[::1]",
	    "a]",
	    "[[::1]]",
	    "[::1]:x",
	    "a:-1",
	    "a: 80",
	    "a b",
	    "a/",
	    "u@a",
	    "a\x80",
	    "%",
	    "%4",
	    "%4g",
	    "a%zz",
	    "[v.a]",
	    "[v1.]",
	    "[v1a]",
	    "[fe80::1%25eth0]",
	    "[::1]]",
	};
	struct http_authority a;

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		if (http_authority_parse(slice_of(texts[i]), &a))
			fail_msg("taken: %s", texts[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(what_rfc_3986_allows_is_taken_apart),
	    cmocka_unit_test(what_it_does_not_allow_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
