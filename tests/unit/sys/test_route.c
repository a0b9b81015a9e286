#include "unit/unit.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sys/route.h"
#include "sys/sys.h"

/* A connected UDP socket has a peer and a route, and needs nobody at the other end. */
static int connected_to(int family, const char *address)
{
	struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(9)};
	struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(9)};
	int fd = socket(family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int r;

	if (fd < 0)
		return -1;
	if (family == AF_INET) {
		inet_pton(AF_INET, address, &v4.sin_addr);
		r = connect(fd, (struct sockaddr *)&v4, sizeof(v4));
	} else {
		inet_pton(AF_INET6, address, &v6.sin6_addr);
		r = connect(fd, (struct sockaddr *)&v6, sizeof(v6));
	}
	if (r == 0)
		return fd;
	close(fd);
	return -1;
}

static void expect_loopback(int family, const char *address)
{
	struct route_features features;
	int fd = connected_to(family, address);

	if (fd < 0) {
		print_message("# %s can't be reached here\n", address);
		return;
	}
	for (int i = 0; i < 2; i++) { /* asked, then remembered */
		assert_int_equal(route_features_of(fd, &features), 0);
		assert_string_equal(features.device, "lo");
		assert_true(features.known);
		assert_true(features.loopback);
		assert_true(features.scatter_gather);
		assert_true(features.checksum);
	}
	close(fd);
}

static void loopback_has_scatter_gather_and_checksums(void **state)
{
	expect_loopback(AF_INET, "127.0.0.1");
	expect_loopback(AF_INET, "127.9.9.9");
}

static void loopback_is_found_by_ipv6_and_by_mapped_addresses(void **state)
{
	expect_loopback(AF_INET6, "::1");
	expect_loopback(AF_INET6, "::ffff:127.0.0.1");
}

static void socket_without_a_route_is_unknown(void **state)
{
	struct route_features features = {.known = true};
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	assert_int_equal(route_features_of(pair[0], &features), 0);
	assert_false(features.known);
	assert_string_equal(features.device, "");
	close(pair[0]);
	close(pair[1]);
}

static void unconnected_socket_is_an_error(void **state)
{
	struct route_features features;
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	assert_int_equal(route_features_of(fd, &features), -ENOTCONN);
	close(fd);
}

/* ---- two devices in a network namespace of their own ---- */

static int run(const char *command)
{
	return system(command); /* NOLINT(cert-env33-c): a test's fixed commands */
}

static bool namespace_with_two_veths(void)
{
	return unshare(CLONE_NEWNET) == 0 &&
	       run("ip link set lo up && ip link add full type veth peer name full-peer && "
		   "ip link add bare type veth peer name bare-peer && "
		   "ip addr add 10.99.1.1/24 dev full && ip addr add 10.99.2.1/24 dev bare && "
		   "ip link set full up && ip link set full-peer up && "
		   "ip link set bare up && ip link set bare-peer up && "
		   "ip route add default via 10.99.1.9 && ip route add 10.88.0.7/32 via 10.99.2.9 "
		   "&& ethtool -K bare sg off tx off >/dev/null 2>&1") == 0;
}

/* A line for each thing that is not as it should be; the child can't use cmocka's longjmp. */
static int wrong(const char *address, const char *device, bool features)
{
	struct route_features got;
	int fd = connected_to(AF_INET, address);
	int r = fd < 0 ? -1 : route_features_of(fd, &got);

	if (fd >= 0)
		close(fd);
	if (r == 0 && got.known && !got.loopback && strcmp(got.device, device) == 0 &&
	    got.scatter_gather == features && got.checksum == features)
		return 0;
	fprintf(stderr, "%s: result %d, device '%s', scatter-gather %d, checksum %d\n", address, r,
		r == 0 ? got.device : "", r == 0 && got.scatter_gather, r == 0 && got.checksum);
	return 1;
}

static int devices_in_a_namespace(void)
{
	int errors = 0;

	if (!namespace_with_two_veths())
		return 77;
	errors += wrong("10.99.1.2", "full", true);
	errors += wrong("10.99.2.2", "bare", false);
	/* The default route was asked first, and must not answer for a route of its own. */
	errors += wrong("10.88.0.8", "full", true);
	errors += wrong("10.88.0.7", "bare", false);
	return errors ? 1 : 0;
}

static void device_without_scatter_gather_is_seen(void **state)
{
	int status;
	pid_t child = fork();

	if (child == 0)
		_exit(devices_in_a_namespace());
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == 77) {
		print_message("# skip: no network namespace, veth, ip or ethtool here\n");
		skip();
	}
	assert_int_equal(WEXITSTATUS(status), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(loopback_has_scatter_gather_and_checksums),
	    cmocka_unit_test(loopback_is_found_by_ipv6_and_by_mapped_addresses),
	    cmocka_unit_test(socket_without_a_route_is_unknown),
	    cmocka_unit_test(unconnected_socket_is_an_error),
	    cmocka_unit_test(device_without_scatter_gather_is_seen),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
