#include "sys/sys.h"

#include <errno.h>
#include <ifaddrs.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>

int sys_socket(int domain, int type, int protocol)
{
	int fd = socket(domain, type | SOCK_CLOEXEC, protocol);

	return fd < 0 ? -errno : fd;
}

int sys_socketpair(int domain, int type, int ret_ends[2])
{
	int ends[2];

	if (socketpair(domain, type | SOCK_CLOEXEC, 0, ends) < 0)
		return -errno;
	ret_ends[0] = ends[0];
	ret_ends[1] = ends[1];
	return 0;
}

int sys_bind(int fd, const struct sockaddr *addr, socklen_t len)
{
	return bind(fd, addr, len) < 0 ? -errno : 0;
}

int sys_listen(int fd, int backlog)
{
	return listen(fd, backlog) < 0 ? -errno : 0;
}

int sys_accept(int fd, struct sockaddr_storage *addr, socklen_t *len)
{
	int conn;

	do
		conn = accept4(fd, (struct sockaddr *)addr, len, SOCK_CLOEXEC | SOCK_NONBLOCK);
	while (conn < 0 && errno == EINTR);
	return conn < 0 ? -errno : conn;
}

int sys_accept_blocking(int fd)
{
	int conn;

	do
		conn = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
	while (conn < 0 && errno == EINTR);
	return conn < 0 ? -errno : conn;
}

int sys_connect(int fd, const struct sockaddr *addr, socklen_t len)
{
	/* An interrupted connect goes on in the background: poll for writability, then SO_ERROR. */
	if (connect(fd, addr, len) == 0)
		return 0;
	return errno == EINTR ? -EINPROGRESS : -errno;
}

int sys_shutdown(int fd, int how)
{
	return shutdown(fd, how) < 0 ? -errno : 0;
}

static int resolve_error(int error)
{
	switch (error) {
	case EAI_NONAME:
	case EAI_NODATA:
	case EAI_ADDRFAMILY:
		return -ENOENT;
	case EAI_AGAIN:
		return -EAGAIN;
	case EAI_MEMORY:
		return -ENOMEM;
	case EAI_SYSTEM:
		return errno ? -errno : -EIO;
	default:
		return -EIO;
	}
}

int sys_resolve(const char *host, struct sockaddr_storage *ret, socklen_t *ret_lens, int max)
{
	const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
	struct addrinfo *list, *each;
	int error = getaddrinfo(host, NULL, &hints, &list), count = 0;

	if (error)
		return resolve_error(error);
	for (each = list; each && count < max; each = each->ai_next) {
		if (each->ai_family != AF_INET && each->ai_family != AF_INET6)
			continue;
		memset(&ret[count], 0, sizeof(ret[count]));
		memcpy(&ret[count], each->ai_addr, each->ai_addrlen);
		ret_lens[count++] = each->ai_addrlen;
	}
	freeaddrinfo(list);
	return count > 0 ? count : -ENOENT;
}

int sys_getsockname(int fd, struct sockaddr_storage *ret, socklen_t *ret_len)
{
	*ret_len = sizeof(*ret);
	return getsockname(fd, (struct sockaddr *)ret, ret_len) < 0 ? -errno : 0;
}

int sys_getpeername(int fd, struct sockaddr_storage *ret, socklen_t *ret_len)
{
	*ret_len = sizeof(*ret);
	return getpeername(fd, (struct sockaddr *)ret, ret_len) < 0 ? -errno : 0;
}

int sys_setsockopt_int(int fd, int level, int name, int value)
{
	return sys_setsockopt(fd, level, name, &value, sizeof(value));
}

int sys_setsockopt(int fd, int level, int name, const void *value, socklen_t len)
{
	return setsockopt(fd, level, name, value, len) < 0 ? -errno : 0;
}

int sys_getsockopt_int(int fd, int level, int name)
{
	int value = 0;
	socklen_t len = sizeof(value);

	return getsockopt(fd, level, name, &value, &len) < 0 ? -errno : value;
}

int sys_netns_cookie(int fd, uint64_t *ret)
{
	uint64_t cookie;
	socklen_t len = sizeof(cookie);

	if (getsockopt(fd, SOL_SOCKET, SO_NETNS_COOKIE, &cookie, &len) < 0)
		return -errno;
	*ret = cookie;
	return 0;
}

int sys_ethtool_get(int fd, const char *device, uint32_t command)
{
	struct ethtool_value value = {.cmd = command};
	struct ifreq request = {.ifr_data = (char *)&value};

	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", device);
	return ioctl(fd, SIOCETHTOOL, &request) < 0 ? -errno : (int)value.data;
}

int sys_ethtool_set(int fd, const char *device, uint32_t command, uint32_t value)
{
	struct ethtool_value set = {.cmd = command, .data = value};
	struct ifreq request = {.ifr_data = (char *)&set};

	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", device);
	return ioctl(fd, SIOCETHTOOL, &request) < 0 ? -errno : 0;
}

int sys_device_name(int fd, unsigned index, char ret_name[16])
{
	struct ifreq request = {.ifr_ifindex = (int)index};

	_Static_assert(IF_NAMESIZE == 16, "the header promises 16 bytes");
	/* if_indextoname() makes a socket for this, which a confined process may not. */
	if (ioctl(fd, SIOCGIFNAME, &request) < 0)
		return -errno;
	memcpy(ret_name, request.ifr_name, IF_NAMESIZE);
	return 0;
}

static bool address_covers(const struct sockaddr *address, const struct sockaddr *device)
{
	if (!device || device->sa_family != address->sa_family)
		return false;
	if (address->sa_family == AF_INET) {
		const struct sockaddr_in *a = (const void *)address, *d = (const void *)device;

		return a->sin_addr.s_addr == htonl(INADDR_ANY) ||
		       a->sin_addr.s_addr == d->sin_addr.s_addr;
	}
	if (address->sa_family == AF_INET6) {
		const struct sockaddr_in6 *a = (const void *)address, *d = (const void *)device;

		return IN6_IS_ADDR_UNSPECIFIED(&a->sin6_addr) ||
		       IN6_ARE_ADDR_EQUAL(&a->sin6_addr, &d->sin6_addr);
	}
	return false;
}

int sys_device_of_address(const struct sockaddr *address, unsigned nth, char ret_name[16])
{
	struct ifaddrs *all, *each;
	int r = -ENODEV;

	if (getifaddrs(&all) < 0)
		return -errno;
	for (each = all; each && r < 0; each = each->ifa_next) {
		if (!(each->ifa_flags & IFF_UP) || each->ifa_flags & IFF_LOOPBACK ||
		    !address_covers(address, each->ifa_addr) || nth-- > 0)
			continue;
		snprintf(ret_name, IF_NAMESIZE, "%s", each->ifa_name);
		r = 0;
	}
	freeifaddrs(all);
	return r;
}
