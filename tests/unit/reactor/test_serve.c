#include "unit/reactor/rig.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static const struct reactor_options two_loops = {.threads = 2};

static void echo_through(const char *where)
{
	struct rig rig;
	char buf[6];
	int fd;

	rig_start(&rig, &two_loops, where, &echo_ops);
	fd = client_open(&rig);
	for (unsigned i = 0; i < 3; i++) {
		client_send(fd, "hello", 5);
		client_read(fd, buf, 5);
		assert_memory_equal(buf, "hello", 5);
	}
	shutdown(fd, SHUT_WR);
	client_expect_end(fd);
	close(fd);
	rig_stop(&rig);
}

static void it_serves_ipv4(void **state)
{
	echo_through("127.0.0.1:0");
}

static void it_serves_ipv6(void **state)
{
	int fd = socket(AF_INET6, SOCK_STREAM, 0);
	struct sockaddr_in6 any = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
	int r = fd < 0 ? -1 : bind(fd, (struct sockaddr *)&any, sizeof(any));

	close(fd);
	if (r < 0)
		unit_skip("no IPv6 loopback address here");
	echo_through("[::1]:0");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(it_serves_ipv4),
	    cmocka_unit_test(it_serves_ipv6),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
