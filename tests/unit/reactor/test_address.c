#include "unit/unit.h"

#include <errno.h>
#include <string.h>

#include "reactor/address.h"

static void parses_to(const char *where, const char *expected)
{
	struct address address;
	char text[ADDRESS_TEXT_MAX];

	assert_int_equal(address_parse(where, &address, NULL), 0);
	assert_int_equal(address.fd, -1);
	address_format(&address.sockaddr, address.len, text);
	assert_string_equal(text, expected);
}

static void refused(const char *where, const char *said)
{
	struct address address = {.fd = 77};
	struct err err;

	assert_int_equal(address_parse(where, &address, &err), -EINVAL);
	assert_int_equal(address.fd, 77);
	assert_ptr_equal(strstr(err.text, where), err.text);
	if (!strstr(err.text, said))
		fail_msg("'%s' does not say '%s'", err.text, said);
}

static void addresses_of_each_kind_are_understood(void **state)
{
	parses_to("127.0.0.1:8080", "127.0.0.1:8080");
	parses_to("localhost:80", "127.0.0.1:80");
	parses_to("*:8080", "0.0.0.0:8080");
	parses_to(":8080", "0.0.0.0:8080");
	parses_to("8080", "0.0.0.0:8080");
	parses_to("0", "0.0.0.0:0");
	parses_to("[::1]:65535", "[::1]:65535");
	parses_to("[::]:1", "[::]:1");
	parses_to("[2001:db8::ff00:42:8329]:443", "[2001:db8::ff00:42:8329]:443");
	parses_to("unix:/run/leat.sock", "unix:/run/leat.sock");
	parses_to("unix:relative", "unix:relative");
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
	refused("example.org:80", "not an IP address");
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
	    cmocka_unit_test(a_handed_over_descriptor_is_a_number),
	    cmocka_unit_test(what_is_wrong_is_said),
	    cmocka_unit_test(a_socket_path_may_fill_the_kernels_array_and_no_more),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
