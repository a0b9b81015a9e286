/*
 * Whose request it is: addresses, networks, what proxies write into headers and before the first byte.
 */
#include "unit/http/core/http_test.h"

#include <stdlib.h>

#include "http/core/forwarded.h"
#include "http/core/proxy_protocol.h"

static struct http_address address_of(const char *text)
{
	struct http_address address = {.bits = 0};

	if (text[0] && !http_address_parse(slice_of(text), &address))
		fail_msg("no address: %s", text);
	return address;
}

static void assert_address(const struct http_address *address, const char *want)
{
	char text[HTTP_ADDRESS_TEXT_MAX];

	assert_slice(http_address_format(address, text), want);
}

static void addresses_come_with_ports_and_brackets_or_without(void **state)
{
	static const struct {
		const char *text, *want;
	} rows[] = {
	    {"192.0.2.1", "192.0.2.1"},        {"192.0.2.1:4711", "192.0.2.1"},
	    {"255.0.10.200", "255.0.10.200"},  {"2001:db8::1", "2001:db8::1"},
	    {"[2001:db8::1]", "2001:db8::1"},  {"[2001:DB8:0::1]:80", "2001:db8::1"},
	    {"::ffff:192.0.2.1", "192.0.2.1"},
	};
	static const char *const bad[] = {
	    "",
	    "unknown",
	    "_hidden",
	    "192.0.2",
	    "192.0.2.1.1",
	    "192.0.2.256",
	    "192.0.2.1:x",
	    "::g",
	    "[::1",
	    "192.0.2.1 ",
	    "a.example:80",
	    "[v1.a]",
	    "1111:2222:3333:4444:5555:6666:7777:8888:9999:aaaa:bbbb:cccc",
	};
	struct http_address address;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		address = address_of(rows[i].text);
		assert_address(&address, rows[i].want);
	}
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		if (http_address_parse(slice_of(bad[i]), &address))
			fail_msg("taken: %s", bad[i]);
	address = address_of("");
	assert_address(&address, "unix:");
}

static void networks_have_the_addresses_of_their_prefix(void **state)
{
	static const struct {
		const char *network, *address;
		bool has;
	} rows[] = {
	    {"10.0.0.0/8", "10.255.0.1", true},
	    {"10.0.0.0/8", "11.0.0.0", false},
	    {"192.0.2.128/25", "192.0.2.128", true},
	    {"192.0.2.128/25", "192.0.2.127", false},
	    {"192.0.2.1", "192.0.2.1", true},
	    {"192.0.2.1", "192.0.2.2", false},
	    {"0.0.0.0/0", "192.0.2.1", true},
	    {"0.0.0.0/0", "::1", false},
	    {"::/0", "::1", true},
	    {"::/0", "192.0.2.1", false},
	    {"fd00::/8", "fd12::1", true},
	    {"fd00::/8", "fe12::1", false},
	    {"10.0.0.0/8", "::ffff:10.0.0.1", true},
	    {"unix:", "", true},
	    {"unix:", "192.0.2.1", false},
	    {"0.0.0.0/0", "", false},
	};
	static const char *const bad[] = {
	    "",          "10.0.0.0/33", "10.0.0.0/",   "10.0.0.0/x", "10.0.0.1/8",  "fd00::1/8",
	    "a.example", "::/129",      "10.0.0.0/8/", "/8",         "10.0.0.0/-1", "unix:/run/a",
	};
	struct http_network network;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct http_address address = address_of(rows[i].address);

		assert_true(http_network_parse(slice_of(rows[i].network), &network));
		if (http_network_has(&network, &address) != rows[i].has)
			fail_msg("%s, %s", rows[i].network, rows[i].address);
	}
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		if (http_network_parse(slice_of(bad[i]), &network))
			fail_msg("taken: %s", bad[i]);
}

/* ---- headers ---- */

static void check_client(const char *name, const char *headers, const char *peer, const char *want)
{
	struct http_network list[2];
	const struct http_networks trusted = {.list = list, .count = 2};
	struct http_address address = address_of(peer), client;
	struct http_request request;
	char head[2000];

	http_network_parse(SLICE_LITERAL("10.0.0.0/8"), &list[0]);
	http_network_parse(SLICE_LITERAL("fd00::/8"), &list[1]);
	snprintf(head, sizeof(head), "GET / HTTP/1.1\r\nHost: a\r\n%s\r\n", headers);
	assert_int_equal(parse_text(head, &request), HTTP_PARSE_OK);
	client = http_forwarded_client(&request, slice_of(name), &trusted, &address);
	assert_address(&client, want);
}

static void the_client_is_the_right_most_that_no_believed_proxy_is(void **state)
{
	static const struct {
		const char *headers, *want;
	} rows[] = {
	    {"", "10.0.0.1"},
	    {"X-Forwarded-For: 192.0.2.1\r\n", "192.0.2.1"},
	    {"x-forwarded-for: 192.0.2.1:4711\r\n", "192.0.2.1"},
	    {"X-Forwarded-For: 203.0.113.9, 192.0.2.1\r\n", "192.0.2.1"},
	    {"X-Forwarded-For: 203.0.113.9, 192.0.2.1, 10.0.0.2, fd00::2\r\n", "192.0.2.1"},
	    {"X-Forwarded-For: 203.0.113.9\r\nX-Forwarded-For: 192.0.2.1, 10.0.0.2\r\n",
	     "192.0.2.1"},
	    {"X-Forwarded-For: 10.0.0.3, 10.0.0.2\r\n", "10.0.0.3"},
	    {"X-Forwarded-For: 192.0.2.1, unknown\r\n", "10.0.0.1"},
	    {"X-Forwarded-For: 192.0.2.1, unknown, 10.0.0.2\r\n", "10.0.0.2"},
	    {"X-Forwarded-For: <script>, 192.0.2.1\r\n", "192.0.2.1"},
	    {"X-Forwarded-For: ,, ,192.0.2.1,\r\n", "192.0.2.1"},
	    {"X-Real-IP: 192.0.2.1\r\nForwarded: for=192.0.2.1\r\n", "10.0.0.1"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		check_client("X-Forwarded-For", rows[i].headers, "10.0.0.1", rows[i].want);
	/* Who is not believed says what he likes. */
	check_client("X-Forwarded-For", "X-Forwarded-For: 203.0.113.9\r\n", "192.0.2.77",
		     "192.0.2.77");
	check_client("X-Forwarded-For", "X-Forwarded-For: 203.0.113.9\r\n", "", "unix:");
	check_client("X-Real-IP", "X-Real-IP: 192.0.2.1\r\n", "fd00::1", "192.0.2.1");
}

static void forwarded_is_read_with_its_quotes(void **state)
{
	static const struct {
		const char *value, *want;
	} rows[] = {
	    {"for=192.0.2.1", "192.0.2.1"},
	    {"proto=https;For=192.0.2.1;by=203.0.113.9", "192.0.2.1"},
	    {"for=203.0.113.9, for=\"192.0.2.1:80\" ; proto=http, for=10.0.0.2", "192.0.2.1"},
	    {"for=\"[2001:db8::1]:4711\"", "2001:db8::1"},
	    {"host=\"a, for=203.0.113.9\";for=192.0.2.1", "192.0.2.1"},
	    {"host=\"a\\\", for=203.0.113.9\";for=192.0.2.1", "192.0.2.1"},
	    {"for=192.0.2.1, for=_hidden", "10.0.0.1"},
	    {"for=192.0.2.1, proto=http", "10.0.0.1"},
	    {"for=192.0.2.1, host=\"a, for=203.0.113.9", "10.0.0.1"},
	    {"host=\"\\", "10.0.0.1"},
	};
	char header[300];

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		snprintf(header, sizeof(header), "Forwarded: %s\r\n", rows[i].value);
		check_client("Forwarded", header, "10.0.0.1", rows[i].want);
	}
}

/* ---- the PROXY protocol ---- */

#define SIGNATURE "\r\n\r\n\0\r\nQUIT\n"
#define V2(rest)  SIGNATURE rest, sizeof(SIGNATURE rest) - 1

static const struct proxied {
	const char *bytes;
	size_t len;
	const char *want; /* NULL: refused */
} proxied[] = {
#define V1(line, want)                       \
	{                                    \
		line, sizeof(line) - 1, want \
	}
    V1("PROXY TCP4 192.0.2.1 192.0.2.2 4711 80\r\n", "192.0.2.1"),
    V1("PROXY TCP6 2001:db8::1 ::1 65535 0\r\n", "2001:db8::1"),
    V1("PROXY UNKNOWN\r\n", "10.0.0.1"),
    V1("PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n", "10.0.0.1"),
    V1("PROXY TCP4 192.0.2.1 192.0.2.2 4711 80\n", NULL),
    V1("PROXY TCP4 192.0.2.1 192.0.2.2 4711\r\n", NULL),
    V1("PROXY TCP4 192.0.2.1 192.0.2.2 4711 80 90\r\n", NULL),
    V1("PROXY TCP4 192.0.2.1 192.0.2.2 4711 65536\r\n", NULL),
    V1("PROXY TCP4 192.0.2.1 192.0.2.2 -1 80\r\n", NULL),
    V1("PROXY TCP4  192.0.2.1 192.0.2.2 1 80\r\n", NULL),
    V1("PROXY TCP4 2001:db8::1 ::1 1 2\r\n", NULL),
    V1("PROXY TCP6 192.0.2.1 192.0.2.2 1 2\r\n", NULL),
    V1("PROXY TCP6 [::1] ::1 1 2\r\n", NULL),
    V1("PROXY TCP5 192.0.2.1 192.0.2.2 1 2\r\n", NULL),
    V1("PROXY\r\n", NULL),
    V1("PROXY \r\n", NULL),
    V1("proxy TCP4 192.0.2.1 192.0.2.2 4711 80\r\n", NULL),
    V1("GET / HTTP/1.1\r\n", NULL),
    V1("PROXY UNKNOWN 012345678901234567890123456789012345678901234567890123456789"
       "0123456789012345678901234567890123\r\n",
       NULL),
    {V2("\x21\x11\0\x0c\xc0\0\2\1\xc0\0\2\2\x12\x67\0\x50"), "192.0.2.1"},
    {V2("\x21\x11\0\x0f\xc0\0\2\1\xc0\0\2\2\x12\x67\0\x50\4\0\0"), "192.0.2.1"},
    {V2("\x21\x21\0\x24\x20\1\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\1"
	"\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1\x12\x67\0\x50"),
     "2001:db8::1"},
    {V2("\x20\0\0\0"), "10.0.0.1"},
    {V2("\x20\x11\0\x0c\xc0\0\2\1\xc0\0\2\2\x12\x67\0\x50"), "10.0.0.1"},
    {V2("\x21\0\0\1x"), "10.0.0.1"},
    {V2("\x21\x11\0\x0b\xc0\0\2\1\xc0\0\2\2\x12\x67\0"), NULL},
    {V2("\x21\x21\0\x0c\xc0\0\2\1\xc0\0\2\2\x12\x67\0\x50"), NULL},
    {V2("\x22\x11\0\x0c\xc0\0\2\1\xc0\0\2\2\x12\x67\0\x50"), NULL},
    {V2("\x11\x11\0\x0c\xc0\0\2\1\xc0\0\2\2\x12\x67\0\x50"), NULL},
    {V2("\x21\x11\xff\xff\xc0\0\2\1\xc0\0\2\2\x12\x67\0\x50"), NULL},
    {"\r\n\r\n\0\r\nQUIX\n\x20\0\0\0", 16, NULL},
#undef V1
};

static void check_proxied(const struct proxied *row)
{
	struct http_address client = address_of("10.0.0.1");
	char input[300];
	enum http_parse parse;
	size_t used = 0;

	memcpy(input, row->bytes, row->len);
	memcpy(input + row->len, "GET /", 5);
	parse = http_proxy_parse(input, row->len + 5, &used, &client);
	assert_int_equal(parse, row->want ? HTTP_PARSE_OK : HTTP_PARSE_BAD);
	assert_int_equal(used, row->want ? row->len : 0);
	assert_address(&client, row->want ? row->want : "10.0.0.1");
}

/* The same however it is cut into packets, and never an answer before it is certain. */
static void check_pieces(const struct proxied *row)
{
	struct http_address client = address_of("10.0.0.1");
	size_t used;

	for (size_t len = 0; len < row->len; len++) {
		char *heap = malloc(len + 1); /* for the sanitizer */
		enum http_parse parse;

		memcpy(heap, row->bytes, len);
		parse = http_proxy_parse(heap, len, &used, &client);
		assert_true(parse == HTTP_PARSE_MORE || (parse == HTTP_PARSE_BAD && !row->want));
		free(heap);
	}
}

static void proxy_headers_of_both_versions_are_read(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(proxied); i++) {
		check_proxied(&proxied[i]);
		check_pieces(&proxied[i]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(addresses_come_with_ports_and_brackets_or_without),
	    cmocka_unit_test(networks_have_the_addresses_of_their_prefix),
	    cmocka_unit_test(the_client_is_the_right_most_that_no_believed_proxy_is),
	    cmocka_unit_test(forwarded_is_read_with_its_quotes),
	    cmocka_unit_test(proxy_headers_of_both_versions_are_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
