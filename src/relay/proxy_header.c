#include "relay/proxy_header.h"

#include <netinet/in.h>
#include <string.h>

#include "base/be.h"

static const char proxy_signature[12] = {'\r', '\n', '\r', '\n', '\0', '\r',
					 '\n', 'Q',  'U',  'I',  'T',  '\n'};

enum { PROXY_V2_PROXY = 0x21, PROXY_UNSPEC = 0x00, PROXY_TCP4 = 0x11, PROXY_TCP6 = 0x21 };

/* An address of IPv4 that came to a socket of both families is one of IPv4. */
static bool proxy_unmap(const struct sockaddr_storage *address, struct sockaddr_in *ret)
{
	const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)address;

	if (address->ss_family == AF_INET) {
		memcpy(ret, address, sizeof(*ret));
		return true;
	}
	if (address->ss_family != AF_INET6 || !IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr))
		return false;
	*ret = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = in6->sin6_port};
	memcpy(&ret->sin_addr, &in6->sin6_addr.s6_addr[12], sizeof(ret->sin_addr));
	return true;
}

static size_t proxy_put(char *header, unsigned char family, const void *from, const void *to,
			size_t size, uint16_t from_port, uint16_t to_port)
{
	size_t len = 2 * size + 4;

	header[13] = (char)family;
	be_store16(header + 14, (uint16_t)len);
	memcpy(header + 16, from, size);
	memcpy(header + 16 + size, to, size);
	memcpy(header + 16 + 2 * size, &from_port, 2); /* in network order already */
	memcpy(header + 18 + 2 * size, &to_port, 2);
	return 16 + len;
}

size_t proxy_header_write(const struct sockaddr_storage *from, const struct sockaddr_storage *to,
			  char ret[PROXY_HEADER_MAX])
{
	const struct sockaddr_in6 *from6 = (const struct sockaddr_in6 *)from;
	const struct sockaddr_in6 *to6 = (const struct sockaddr_in6 *)to;
	struct sockaddr_in from4, to4;

	memcpy(ret, proxy_signature, sizeof(proxy_signature));
	ret[12] = PROXY_V2_PROXY;
	if (proxy_unmap(from, &from4) && proxy_unmap(to, &to4))
		return proxy_put(ret, PROXY_TCP4, &from4.sin_addr, &to4.sin_addr, 4, from4.sin_port,
				 to4.sin_port);
	if (from->ss_family == AF_INET6 && to->ss_family == AF_INET6)
		return proxy_put(ret, PROXY_TCP6, &from6->sin6_addr, &to6->sin6_addr, 16,
				 from6->sin6_port, to6->sin6_port);
	ret[13] = PROXY_UNSPEC;
	be_store16(ret + 14, 0);
	return 16;
}
