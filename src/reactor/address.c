#include "reactor/address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>

/* Decimal digits only, nothing else, at most `max`. */
static bool parse_number(const char *text, unsigned max, unsigned *ret)
{
	uint64_t value = 0;

	if (!*text)
		return false;
	for (; *text; text++) {
		if (*text < '0' || *text > '9')
			return false;
		value = value * 10 + (unsigned)(*text - '0');
		if (value > max)
			return false;
	}
	*ret = (unsigned)value;
	return true;
}

static int parse_unix(const char *where, const char *path, struct address *ret, struct err *err)
{
	struct sockaddr_un *un = (struct sockaddr_un *)&ret->sockaddr;

	if (!*path)
		return err_set(err, -EINVAL, "%s: the path is missing: unix:/run/leat.sock", where);
	if (strlen(path) >= sizeof(un->sun_path))
		return err_set(err, -EINVAL, "%s: a socket's path has at most %zu bytes", where,
			       sizeof(un->sun_path) - 1);
	un->sun_family = AF_UNIX;
	memcpy(un->sun_path, path, strlen(path) + 1);
	ret->len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path) + 1);
	return 0;
}

static bool parse_ipv6(const char *host, unsigned port, struct address *ret)
{
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&ret->sockaddr;

	in6->sin6_family = AF_INET6;
	in6->sin6_port = htons((uint16_t)port);
	ret->len = sizeof(*in6);
	return inet_pton(AF_INET6, host, &in6->sin6_addr) == 1;
}

static bool parse_ipv4(const char *host, unsigned port, struct address *ret)
{
	struct sockaddr_in *in = (struct sockaddr_in *)&ret->sockaddr;

	if (!*host || strcmp(host, "*") == 0)
		host = "0.0.0.0";
	else if (strcmp(host, "localhost") == 0)
		host = "127.0.0.1";
	in->sin_family = AF_INET;
	in->sin_port = htons((uint16_t)port);
	ret->len = sizeof(*in);
	return inet_pton(AF_INET, host, &in->sin_addr) == 1;
}

/* HOST:PORT, [HOST6]:PORT or PORT. */
static int parse_inet(const char *where, struct address *ret, struct err *err)
{
	const char *colon = strrchr(where, ':'), *digits = colon ? colon + 1 : where;
	size_t host_len = colon ? (size_t)(colon - where) : 0;
	char host[INET6_ADDRSTRLEN];
	unsigned port;
	bool known;

	if (!parse_number(digits, 65535, &port))
		return err_set(err, -EINVAL, "%s: expected a port from 0 to 65535 at the end%s",
			       where, colon ? "" : " (ADDRESS:PORT, or PORT alone)");
	if (host_len > 1 && where[0] == '[' && where[host_len - 1] == ']') {
		snprintf(host, sizeof(host), "%.*s", (int)host_len - 2, where + 1);
		known = host_len - 2 < sizeof(host) && parse_ipv6(host, port, ret);
	} else if (memchr(where, ':', host_len)) {
		return err_set(err, -EINVAL, "%s: write IPv6 addresses in brackets: [::1]:8080",
			       where);
	} else {
		snprintf(host, sizeof(host), "%.*s", (int)host_len, where);
		known = host_len < sizeof(host) && parse_ipv4(host, port, ret);
	}
	if (!known)
		return err_set(err, -EINVAL,
			       "%s: not an IP address; use 127.0.0.1, [::1], or * for all", where);
	return 0;
}

int address_parse(const char *where, struct address *ret, struct err *err)
{
	struct address address = {.fd = -1};
	unsigned fd;
	int r;

	if (strncmp(where, "unix:", 5) == 0) {
		r = parse_unix(where, where + 5, &address, err);
	} else if (strncmp(where, "fd:", 3) == 0) {
		if (!parse_number(where + 3, INT32_MAX, &fd))
			return err_set(err, -EINVAL, "%s: expected a descriptor's number: fd:3",
				       where);
		address.fd = (int)fd;
		r = 0;
	} else {
		r = parse_inet(where, &address, err);
	}
	if (r == 0)
		*ret = address;
	return r;
}

void address_format(const struct sockaddr_storage *sockaddr, socklen_t len,
		    char ret_text[ADDRESS_TEXT_MAX])
{
	const struct sockaddr_in *in = (const struct sockaddr_in *)sockaddr;
	const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)sockaddr;
	const struct sockaddr_un *un = (const struct sockaddr_un *)sockaddr;
	size_t path_at = offsetof(struct sockaddr_un, sun_path);
	char host[INET6_ADDRSTRLEN];

	switch (sockaddr->ss_family) {
	case AF_INET:
		inet_ntop(AF_INET, &in->sin_addr, host, sizeof(host));
		snprintf(ret_text, ADDRESS_TEXT_MAX, "%s:%u", host, ntohs(in->sin_port));
		break;
	case AF_INET6:
		inet_ntop(AF_INET6, &in6->sin6_addr, host, sizeof(host));
		snprintf(ret_text, ADDRESS_TEXT_MAX, "[%s]:%u", host, ntohs(in6->sin6_port));
		break;
	case AF_UNIX:
		/* The kernel's length counts, a path that fills the array has no zero. */
		snprintf(ret_text, ADDRESS_TEXT_MAX, "unix:%.*s",
			 len > path_at ? (int)(len - path_at) : 0, un->sun_path);
		break;
	default:
		snprintf(ret_text, ADDRESS_TEXT_MAX, "address family %u", sockaddr->ss_family);
	}
}
