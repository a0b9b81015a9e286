/*
 * Routes of connected sockets: two small tables, one of addresses and one of devices.
 *
 *     socket -- getpeername, getsockname --> (peer, local) -- RTM_GETROUTE --> device index
 *     device index -- ETHTOOL_GSG, ETHTOOL_GTXCSUM --> features
 *
 * A table slot is found by hash and overwritten by whoever comes next; both tables are bounded and
 * a miss costs two to five system calls. Not seen: routing by firewall mark or by SO_BINDTODEVICE.
 */
#include "sys/route.h"

#include <errno.h>
#include <linux/ethtool.h>
#include <linux/rtnetlink.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "sys/sys.h"

#define ADDRESS_SLOTS 256
#define DEVICE_SLOTS  16

struct route_key {
	uint8_t peer[16], local[16]; /* IPv4 in the first four bytes */
	uint16_t family;
	uint16_t zero;
	uint32_t scope; /* of a link-local IPv6 peer: the device's index */
};

struct address_slot {
	struct route_key key;
	unsigned device; /* index, 0: could not be found out */
	uint64_t until_ns;
};

struct device_slot {
	unsigned device;
	struct route_features features;
	uint64_t until_ns;
};

struct route_cache {
	int netlink; /* -1 until the first miss */
	uint32_t sequence;
	struct address_slot addresses[ADDRESS_SLOTS];
	struct device_slot devices[DEVICE_SLOTS];
};

int route_cache_new(struct route_cache **ret)
{
	struct route_cache *cache = calloc(1, sizeof(*cache));

	if (!cache)
		return -ENOMEM;
	cache->netlink = -1;
	*ret = cache;
	return 0;
}

void route_cache_free(struct route_cache *cache)
{
	if (!cache)
		return;
	if (cache->netlink >= 0)
		sys_close(cache->netlink);
	free(cache);
}

/* ---- which addresses ---- */

/* IPv4 and IPv4 mapped into IPv6 are one and the same; false for other families. */
static bool address_of(const struct sockaddr_storage *addr, uint8_t ret[16], uint16_t *ret_family)
{
	const struct sockaddr_in *v4 = (const struct sockaddr_in *)addr;
	const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)addr;

	if (addr->ss_family == AF_INET) {
		memcpy(ret, &v4->sin_addr, 4);
		*ret_family = AF_INET;
		return true;
	}
	if (addr->ss_family != AF_INET6)
		return false;
	if (IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr)) {
		memcpy(ret, &v6->sin6_addr.s6_addr[12], 4);
		*ret_family = AF_INET;
		return true;
	}
	memcpy(ret, &v6->sin6_addr, 16);
	*ret_family = AF_INET6;
	return true;
}

/* 0, or -errno; -EAFNOSUPPORT for sockets that have no route. */
static int key_of(int socket, struct route_key *ret)
{
	struct sockaddr_storage peer, local;
	struct route_key key = {0};
	uint16_t local_family = 0;
	socklen_t len;
	int r = sys_getpeername(socket, &peer, &len);

	if (r < 0)
		return r;
	if (!address_of(&peer, key.peer, &key.family))
		return -EAFNOSUPPORT;
	r = sys_getsockname(socket, &local, &len);
	if (r < 0)
		return r;
	if (!address_of(&local, key.local, &local_family) || local_family != key.family)
		memset(key.local, 0, sizeof(key.local));
	if (key.family == AF_INET6)
		key.scope = ((const struct sockaddr_in6 *)&peer)->sin6_scope_id;
	*ret = key;
	return 0;
}

static uint32_t key_hash(const struct route_key *key)
{
	const uint8_t *bytes = (const uint8_t *)key;
	uint32_t hash = 2166136261u; /* FNV-1a */

	for (size_t i = 0; i < sizeof(*key); i++)
		hash = (hash ^ bytes[i]) * 16777619u;
	return hash ^ (hash >> 16);
}

/* ---- which device ---- */

struct route_request {
	struct nlmsghdr header;
	struct rtmsg route;
	char attributes[2 * RTA_SPACE(16)];
};

static void add_address(struct route_request *request, uint16_t type, const uint8_t *address,
			size_t len)
{
	struct rtattr attr = {.rta_len = (uint16_t)RTA_LENGTH(len), .rta_type = type};
	char *end = (char *)request + request->header.nlmsg_len;

	memcpy(end, &attr, sizeof(attr));
	memcpy(end + RTA_LENGTH(0), address, len);
	request->header.nlmsg_len += RTA_SPACE(len);
}

static int ask(struct route_cache *cache, const struct route_key *key)
{
	struct route_request request = {
	    .header = {.nlmsg_len = NLMSG_LENGTH(sizeof(struct rtmsg)),
		       .nlmsg_type = RTM_GETROUTE,
		       .nlmsg_flags = NLM_F_REQUEST,
		       .nlmsg_seq = ++cache->sequence},
	    .route = {.rtm_family = (uint8_t)key->family},
	};
	static const uint8_t any[16];
	size_t len = key->family == AF_INET ? 4 : 16;
	ssize_t n;

	request.route.rtm_dst_len = (uint8_t)(len * 8);
	add_address(&request, RTA_DST, key->peer, len);
	if (memcmp(key->local, any, len) != 0) {
		request.route.rtm_src_len = (uint8_t)(len * 8);
		add_address(&request, RTA_SRC, key->local, len);
	}
	n = sys_send(cache->netlink, &request, request.header.nlmsg_len, 0);
	return n < 0 ? (int)n : 0;
}

/* The device among a route's attributes; -ENOENT. Copied out: a char pointer promises no alignment.
 */
static int device_among(const char *attributes, size_t len, unsigned *ret_device)
{
	struct rtattr attr;

	for (size_t at = 0; len - at >= sizeof(attr); at += RTA_ALIGN(attr.rta_len)) {
		memcpy(&attr, attributes + at, sizeof(attr));
		if (attr.rta_len < sizeof(attr) || RTA_ALIGN(attr.rta_len) > len - at)
			return -ENOENT;
		if (attr.rta_type != RTA_OIF || attr.rta_len != RTA_LENGTH(sizeof(*ret_device)))
			continue;
		memcpy(ret_device, attributes + at + RTA_LENGTH(0), sizeof(*ret_device));
		return 0;
	}
	return -ENOENT;
}

/* The kernel has queued its answer before send() returns: not there means that none will come. */
static int answer(struct route_cache *cache, unsigned *ret_device)
{
	const size_t start = NLMSG_LENGTH(sizeof(struct rtmsg));
	union {
		struct nlmsghdr header;
		char room[4096];
	} reply;
	ssize_t n;

	do
		n = sys_recv(cache->netlink, &reply, sizeof(reply), MSG_DONTWAIT);
	while (n >= (ssize_t)sizeof(reply.header) && reply.header.nlmsg_seq != cache->sequence);
	if (n < 0)
		return (int)n;
	if ((size_t)n < start || reply.header.nlmsg_type != RTM_NEWROUTE ||
	    reply.header.nlmsg_len < start || reply.header.nlmsg_len > (size_t)n)
		return -ENOENT;
	return device_among(reply.room + start, reply.header.nlmsg_len - start, ret_device);
}

/* 0 when there is no telling. */
static unsigned device_of(struct route_cache *cache, const struct route_key *key)
{
	unsigned device = 0;

	if (key->scope != 0)
		return key->scope;
	if (cache->netlink < 0)
		cache->netlink = sys_socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE);
	if (cache->netlink < 0 || ask(cache, key) < 0 || answer(cache, &device) < 0)
		return 0;
	return device;
}

/* ---- what the device takes ---- */

static struct route_features read_features(int socket, unsigned device)
{
	struct route_features features = {0};
	int gather, checksum;

	if (device == 0 || sys_device_name(device, features.device) < 0)
		return features;
	gather = sys_ethtool_get(socket, features.device, ETHTOOL_GSG);
	checksum = sys_ethtool_get(socket, features.device, ETHTOOL_GTXCSUM);
	features.known = gather >= 0 && checksum >= 0;
	features.scatter_gather = gather > 0;
	features.checksum = checksum > 0;
	features.loopback = strcmp(features.device, "lo") == 0;
	return features;
}

static const struct route_features *features_of(struct route_cache *cache, int socket,
						unsigned device, uint64_t now_ns)
{
	struct device_slot *slot = &cache->devices[device % DEVICE_SLOTS];

	if (slot->device != device || slot->until_ns <= now_ns) {
		slot->features = read_features(socket, device);
		slot->device = device;
		slot->until_ns = now_ns + ROUTE_TTL_MS * UINT64_C(1000000);
	}
	return &slot->features;
}

int route_features_of(struct route_cache *cache, int socket, struct route_features *ret)
{
	struct route_key key;
	struct address_slot *slot;
	uint64_t now_ns = sys_now_coarse_ns();
	int r = key_of(socket, &key);

	if (r == -EAFNOSUPPORT) {
		*ret = (struct route_features){0};
		return 0;
	}
	if (r < 0)
		return r;
	slot = &cache->addresses[key_hash(&key) % ADDRESS_SLOTS];
	if (slot->until_ns <= now_ns || memcmp(&slot->key, &key, sizeof(key)) != 0) {
		slot->key = key;
		slot->device = device_of(cache, &key);
		slot->until_ns = now_ns + ROUTE_TTL_MS * UINT64_C(1000000);
	}
	*ret = *features_of(cache, socket, slot->device, now_ns);
	return 0;
}
