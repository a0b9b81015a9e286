/*
 * Addresses of clients and networks of them: what proxies tell, and which proxies are believed.
 */
#ifndef HTTP_CORE_ADDRESS_H
#define HTTP_CORE_ADDRESS_H

#include "base/slice.h"

/* An IPv4 address that is written as an IPv6 one (::ffff:1.2.3.4) is IPv4. */
struct http_address {
	uint8_t bits; /* 32, 128; 0: none, as the peer of a socket file has none */
	uint8_t bytes[16];
};

/* "1.2.3.4", "1.2.3.4:80", "::1", "[::1]", "[::1]:80". False: none of these. */
bool http_address_parse(struct slice text, struct http_address *ret);
struct http_address http_address_v4(const uint8_t bytes[4]);
struct http_address http_address_v6(const uint8_t bytes[16]);

#define HTTP_ADDRESS_TEXT_MAX 46
/* "unix:" for none. In `out`, not terminated. */
struct slice http_address_format(const struct http_address *address,
				 char out[HTTP_ADDRESS_TEXT_MAX]);

/* Peers that are believed: a network, one address, or those of socket files. */
struct http_network {
	struct http_address address;
	uint8_t bits; /* of the prefix */
};

/* "10.0.0.0/8", "fd00::/8", "192.0.2.1", "unix:". False: none of these, or bits are set behind the
 * prefix, which means that something else was meant. */
bool http_network_parse(struct slice text, struct http_network *ret);
bool http_network_has(const struct http_network *network, const struct http_address *address);

struct http_networks {
	const struct http_network *list;
	unsigned count;
};

bool http_networks_have(const struct http_networks *networks, const struct http_address *address);

#endif
