/*
 * The PROXY protocol's header, version 2: who a connection's client is, told to a target before the
 * client's first byte (haproxy.org, proxy-protocol.txt of 2020 and later, section 2.2). Pure.
 */
#ifndef RELAY_PROXY_HEADER_H
#define RELAY_PROXY_HEADER_H

#include <stddef.h>
#include <sys/socket.h>

/* Fixed part and the longest addresses, of IPv6. */
#define PROXY_HEADER_MAX (16 + 36)

/* Where the client came from and where it went to; of another family, or of two: "unknown", which the
 * protocol has for that. Bytes written. */
size_t proxy_header_write(const struct sockaddr_storage *from, const struct sockaddr_storage *to,
			  char ret[PROXY_HEADER_MAX]);

#endif
