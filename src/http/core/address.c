#include "http/core/address.h"

#include <arpa/inet.h>

#include "base/buf.h"
#include "http/core/authority.h"
#include "http/core/chars.h"

struct http_address http_address_v4(const uint8_t bytes[4])
{
	struct http_address address = {.bits = 32};

	memcpy(address.bytes, bytes, 4);
	return address;
}

struct http_address http_address_v6(const uint8_t bytes[16])
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
	struct http_address address = {.bits = 128};

	if (memcmp(bytes, mapped, sizeof(mapped)) == 0)
		return http_address_v4(bytes + sizeof(mapped));
	memcpy(address.bytes, bytes, 16);
	return address;
}

/* Without a port. */
static bool address_parse_bare(struct slice text, struct http_address *ret)
{
	char terminated[INET6_ADDRSTRLEN];
	uint8_t bytes[16];

	if (text.len == 0 || text.len >= sizeof(terminated))
		return false;
	memcpy(terminated, text.ptr, text.len);
	terminated[text.len] = '\0';
	if (inet_pton(AF_INET, terminated, bytes) == 1)
		*ret = http_address_v4(bytes);
	else if (inet_pton(AF_INET6, terminated, bytes) == 1)
		*ret = http_address_v6(bytes);
	else
		return false;
	return true;
}

bool http_address_parse(struct slice text, struct http_address *ret)
{
	struct http_authority authority;

	if (address_parse_bare(text, ret))
		return true;
	return http_authority_parse(text, &authority) && address_parse_bare(authority.host, ret);
}

/* inet_ntop() goes through snprintf(): many times as long. */
static struct slice address_format_v4(const uint8_t bytes[4], char out[HTTP_ADDRESS_TEXT_MAX])
{
	struct buf buf = buf_over(out, HTTP_ADDRESS_TEXT_MAX);

	for (unsigned i = 0; i < 4; i++) {
		buf_add_u64(&buf, bytes[i]);
		if (i < 3)
			buf_add_char(&buf, '.');
	}
	return buf_slice(&buf);
}

struct slice http_address_format(const struct http_address *address,
				 char out[HTTP_ADDRESS_TEXT_MAX])
{
	if (address->bits == 0)
		return SLICE_LITERAL("unix:");
	if (address->bits == 32)
		return address_format_v4(address->bytes, out);
	inet_ntop(AF_INET6, address->bytes, out, HTTP_ADDRESS_TEXT_MAX);
	return slice_of(out);
}

/* ---- networks ---- */

/* Whether the first `bits` of both are the same. */
static bool address_same_prefix(const uint8_t *a, const uint8_t *b, unsigned bits)
{
	unsigned whole = bits / 8, rest = bits % 8;

	if (memcmp(a, b, whole) != 0)
		return false;
	return rest == 0 || (a[whole] ^ b[whole]) >> (8 - rest) == 0;
}

static bool network_is_clear_behind(const struct http_network *network)
{
	for (unsigned i = network->bits; i < network->address.bits; i++)
		if (network->address.bytes[i / 8] & (0x80u >> i % 8))
			return false;
	return true;
}

bool http_network_parse(struct slice text, struct http_network *ret)
{
	const char *slash = text.len ? memchr(text.ptr, '/', text.len) : NULL;
	struct slice prefix = {NULL, 0};
	struct http_network network = {.bits = 0};
	uint64_t bits;

	if (slice_eq(text, SLICE_LITERAL("unix:"))) {
		*ret = network;
		return true;
	}
	if (slash) {
		prefix = slice_make(slash + 1, (size_t)(text.ptr + text.len - slash) - 1);
		text.len = (size_t)(slash - text.ptr);
	}
	if (!address_parse_bare(text, &network.address))
		return false;
	bits = network.address.bits;
	if (slash && (http_number_parse(prefix, &bits) < 0 || bits > network.address.bits))
		return false;
	network.bits = (uint8_t)bits;
	if (!network_is_clear_behind(&network))
		return false;
	*ret = network;
	return true;
}

bool http_network_has(const struct http_network *network, const struct http_address *address)
{
	return network->address.bits == address->bits &&
	       address_same_prefix(network->address.bytes, address->bytes, network->bits);
}

bool http_networks_have(const struct http_networks *networks, const struct http_address *address)
{
	for (unsigned i = 0; i < networks->count; i++)
		if (http_network_has(&networks->list[i], address))
			return true;
	return false;
}
