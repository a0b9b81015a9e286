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

/* False: `host` is no address of this family. */
static bool add_ipv6(struct addresses *addresses, const char *host)
{
	struct address *address = &addresses->all[addresses->count];
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&address->sockaddr;

	*address = (struct address){.fd = -1, .len = sizeof(*in6)};
	in6->sin6_family = AF_INET6;
	in6->sin6_port = htons(addresses->port);
	if (inet_pton(AF_INET6, host, &in6->sin6_addr) != 1)
		return false;
	addresses->count++;
	return true;
}

static bool add_ipv4(struct addresses *addresses, const char *host)
{
	struct address *address = &addresses->all[addresses->count];
	struct sockaddr_in *in = (struct sockaddr_in *)&address->sockaddr;

	*address = (struct address){.fd = -1, .len = sizeof(*in)};
	in->sin_family = AF_INET;
	in->sin_port = htons(addresses->port);
	if (inet_pton(AF_INET, host, &in->sin_addr) != 1)
		return false;
	addresses->count++;
	return true;
}

/* A name of DNS or of /etc/hosts. One that ends in a number would be an address, if it were right;
 * resolvers take 1.2.3 for 1.2.0.3. */
static bool address_is_name(const char *host)
{
	static const char letters[] =
	    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.";
	const char *dot = strrchr(host, '.'), *last = dot && dot[1] ? dot + 1 : host;

	return host[strspn(host, letters)] == '\0' && last[strspn(last, "0123456789")] != '\0' &&
	       host[0] != '.' && host[0] != '-';
}

static bool parse_host(struct addresses *addresses, const char *host)
{
	if (!*host || strcmp(host, "*") == 0)
		return add_ipv4(addresses, "0.0.0.0") && add_ipv6(addresses, "::");
	if (add_ipv4(addresses, host))
		return true;
	if (!address_is_name(host))
		return false;
	snprintf(addresses->host, sizeof(addresses->host), "%s", host);
	if (strcasecmp(host, "localhost") == 0)
		return add_ipv4(addresses, "127.0.0.1") && add_ipv6(addresses, "::1");
	return true;
}

/* HOST:PORT, [HOST6]:PORT or PORT. */
static int parse_inet(const char *where, struct addresses *ret, struct err *err)
{
	const char *colon = strrchr(where, ':'), *digits = colon ? colon + 1 : where;
	size_t host_len = colon ? (size_t)(colon - where) : 0;
	char host[ADDRESS_HOST_MAX];
	unsigned port;
	bool known;

	if (!parse_number(digits, 65535, &port))
		return err_set(err, -EINVAL, "%s: expected a port from 0 to 65535 at the end%s",
			       where, colon ? "" : " (ADDRESS:PORT, or PORT alone)");
	ret->port = (uint16_t)port;
	if (host_len >= 2 && where[0] == '[' && where[host_len - 1] == ']') {
		snprintf(host, sizeof(host), "%.*s", (int)host_len - 2, where + 1);
		known = host_len - 2 < sizeof(host) && add_ipv6(ret, host);
	} else if (memchr(where, ':', host_len)) {
		return err_set(err, -EINVAL, "%s: write IPv6 addresses in brackets: [::1]:8080",
			       where);
	} else {
		snprintf(host, sizeof(host), "%.*s", (int)host_len, where);
		known = host_len < sizeof(host) && parse_host(ret, host);
	}
	if (!known)
		return err_set(err, -EINVAL,
			       "%s: not an IP address, and not a host's name; use 127.0.0.1, "
			       "[::1], or * for all",
			       where);
	return 0;
}

int addresses_parse(const char *where, struct addresses *ret, struct err *err)
{
	struct addresses addresses = {.all[0].fd = -1};
	unsigned fd;
	int r;

	if (strncmp(where, "unix:", 5) == 0) {
		addresses.count = 1;
		r = parse_unix(where, where + 5, &addresses.all[0], err);
	} else if (strncmp(where, "fd:", 3) == 0) {
		if (!parse_number(where + 3, INT32_MAX, &fd))
			return err_set(err, -EINVAL, "%s: expected a descriptor's number: fd:3",
				       where);
		addresses.count = 1;
		addresses.all[0].fd = (int)fd;
		r = 0;
	} else {
		r = parse_inet(where, &addresses, err);
	}
	if (r == 0)
		*ret = addresses;
	return r;
}

int address_parse(const char *where, struct address *ret, struct err *err)
{
	struct addresses addresses;
	int r = addresses_parse(where, &addresses, err);

	if (r == 0 && addresses.count == 0)
		r = err_set(err, -EINVAL, "%s: not an IP address", where);
	if (r == 0)
		*ret = addresses.all[0];
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

/* sin_port and sin6_port. */
static uint16_t *port_of(struct sockaddr_storage *sockaddr)
{
	if (sockaddr->ss_family == AF_INET)
		return &((struct sockaddr_in *)sockaddr)->sin_port;
	if (sockaddr->ss_family == AF_INET6)
		return &((struct sockaddr_in6 *)sockaddr)->sin6_port;
	return NULL;
}

uint16_t address_port(const struct sockaddr_storage *sockaddr)
{
	const uint16_t *port = port_of((struct sockaddr_storage *)sockaddr);

	return port ? ntohs(*port) : 0;
}

void address_set_port(struct sockaddr_storage *sockaddr, uint16_t port)
{
	uint16_t *place = port_of(sockaddr);

	if (place)
		*place = htons(port);
}
