#include "unit/unit.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "reactor/address.h"

/* All that it stands for, in order, with spaces between. */
static void parses_to(const char *where, const char *expected)
{
	struct addresses addresses;
	struct address first;
	char text[ADDRESS_TEXT_MAX], all[256] = "";

	assert_int_equal(addresses_parse(where, &addresses, NULL), 0);
	assert_true(addresses.count > 0);
	for (unsigned i = 0; i < addresses.count; i++) {
		assert_int_equal(addresses.all[i].fd, -1);
		address_format(&addresses.all[i].sockaddr, addresses.all[i].len, text);
		snprintf(all + strlen(all), sizeof(all) - strlen(all), "%s%s", i ? " " : "", text);
	}
	assert_string_equal(all, expected);
	assert_int_equal(address_parse(where, &first, NULL), 0);
	assert_memory_equal(&first, &addresses.all[0], sizeof(first));
}

static void refused(const char *where, const char *said)
{
	struct addresses addresses = {.count = 77};
	struct err err;

	assert_int_equal(addresses_parse(where, &addresses, &err), -EINVAL);
	assert_int_equal(addresses.count, 77);
	assert_ptr_equal(strstr(err.text, where), err.text);
	if (!strstr(err.text, said))
		fail_msg("'%s' does not say '%s'", err.text, said);
}

static void addresses_of_each_kind_are_understood(void **state)
{
	parses_to("127.0.0.1:8080", "127.0.0.1:8080");
	parses_to("[::1]:65535", "[::1]:65535");
	parses_to("[::]:1", "[::]:1");
	parses_to("0.0.0.0:1", "0.0.0.0:1");
	parses_to("[2001:db8::ff00:42:8329]:443", "[2001:db8::ff00:42:8329]:443");
	parses_to("unix:/run/leat.sock", "unix:/run/leat.sock");
	parses_to("unix:relative", "unix:relative");
}

static void everyone_and_localhost_are_of_both_families(void **state)
{
	parses_to("*:8080", "0.0.0.0:8080 [::]:8080");
	parses_to(":8080", "0.0.0.0:8080 [::]:8080");
	parses_to("8080", "0.0.0.0:8080 [::]:8080");
	parses_to("0", "0.0.0.0:0 [::]:0");
	parses_to("localhost:80", "127.0.0.1:80 [::1]:80");
	parses_to("LocalHost:80", "127.0.0.1:80 [::1]:80");
}

static void names_are_for_the_resolver(void **state)
{
	static const char *const names[] = {"example.org", "broker-1",   "kafka",      "a_b.c",
					    "1a",          "localhost.", "x.y-z.local"};
	struct addresses addresses;
	struct address address;
	char where[300];

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		snprintf(where, sizeof(where), "%s:9092", names[i]);
		assert_int_equal(addresses_parse(where, &addresses, NULL), 0);
		assert_int_equal(addresses.count, 0);
		assert_string_equal(addresses.host, names[i]);
		assert_int_equal(addresses.port, 9092);
		assert_int_equal(address_parse(where, &address, NULL), -EINVAL);
	}
	memset(where, 'a', 253);
	strcpy(where + 253, ":1");
	assert_int_equal(addresses_parse(where, &addresses, NULL), 0);
	assert_int_equal(strlen(addresses.host), 253);
	memset(where, 'a', 254);
	strcpy(where + 254, ":1");
	assert_int_equal(addresses_parse(where, &addresses, NULL), -EINVAL);
}

static void ports_are_read_and_set(void **state)
{
	static const char *const with[] = {"127.0.0.1:80", "[::1]:80"};
	struct address address;
	char text[ADDRESS_TEXT_MAX];

	for (size_t i = 0; i < ARRAY_SIZE(with); i++) {
		assert_int_equal(address_parse(with[i], &address, NULL), 0);
		assert_int_equal(address_port(&address.sockaddr), 80);
		address_set_port(&address.sockaddr, 65535);
		address_format(&address.sockaddr, address.len, text);
		assert_string_equal(strrchr(text, ':'), ":65535");
	}
	assert_int_equal(address_parse("unix:x", &address, NULL), 0);
	assert_int_equal(address_port(&address.sockaddr), 0);
	address_set_port(&address.sockaddr, 80);
	address_format(&address.sockaddr, address.len, text);
	assert_string_equal(text, "unix:x");
}

static void a_handed_over_descriptor_is_a_number(void **state)
{
	struct address address;

	assert_int_equal(address_parse("fd:3", &address, NULL), 0);
	assert_int_equal(address.fd, 3);
	refused("fd:", "number");
	refused("fd:x", "number");
	refused("fd:-1", "number");
	refused("fd:4294967299", "number");
}

static void what_is_wrong_is_said(void **state)
{
	refused("", "port");
	refused("127.0.0.1", "port");
	refused("127.0.0.1:", "port");
	refused("127.0.0.1:65536", "port");
	refused("127.0.0.1:4294967376", "port");
	refused("127.0.0.1:http", "port");
	refused("127.0.0.1:-1", "port");
	refused("::1:8080", "brackets");
	refused("[::1]", "port");
	refused("[::g]:80", "not an IP address");
	refused("[]:80", "not an IP address");
	refused("exam ple.org:80", "not an IP address");
	refused("-x:80", "not an IP address");
	refused(".x:80", "not an IP address");
	refused("http://x:80", "brackets");
	refused("a/b:80", "not an IP address");
	refused("256.0.0.1:80", "not an IP address");
	refused("1.2.3:80", "not an IP address");
	refused("[127.0.0.1]:80", "not an IP address");
	refused("unix:", "path");
}

static void a_socket_path_may_fill_the_kernels_array_and_no_more(void **state)
{
	char where[5 + 108 + 1] = "unix:";
	struct address address;

	memset(where + 5, 'p', 107);
	parses_to(where, where);
	memset(where + 5, 'p', 108);
	assert_int_equal(address_parse(where, &address, NULL), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(addresses_of_each_kind_are_understood),
	    cmocka_unit_test(everyone_and_localhost_are_of_both_families),
	    cmocka_unit_test(names_are_for_the_resolver),
	    cmocka_unit_test(ports_are_read_and_set),
	    cmocka_unit_test(a_handed_over_descriptor_is_a_number),
	    cmocka_unit_test(what_is_wrong_is_said),
	    cmocka_unit_test(a_socket_path_may_fill_the_kernels_array_and_no_more),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
