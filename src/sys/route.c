/*
 * Routes of connected sockets: two small tables, one of addresses and one of devices.
 *
 *     socket -- getpeername, getsockname --> (peer, local) -- RTM_GETROUTE --> device index
 *     device index -- ETHTOOL_GSG, ETHTOOL_GTXCSUM --> features
 *
 * A table slot is found by hash and overwritten by whoever comes next; both tables are bounded.
 * Peers on this machine are in no table: their device is lo, and lo's features can't be changed.
 * The tables are the process's, under one lock, so that a library call that lives for one transfer
 * finds what the last one has asked; it is taken once a connection, and not held while the kernel
 * is asked. Not seen: routing by firewall mark or by SO_BINDTODEVICE.
 */
#include "sys/route.h"

#include <errno.h>
#include <linux/ethtool.h>
#include <linux/rtnetlink.h>
#include <netinet/in.h>
#include <pthread.h>
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
	uint64_t netns; /* SO_NETNS_COOKIE: the same address elsewhere is another peer; 5.14 */
};

struct address_slot {
	struct route_key key;
	unsigned device; /* index, 0: could not be found out */
	uint64_t until_ns;
};

struct device_slot {
	unsigned device;
	uint64_t netns;
	struct route_features features;
	uint64_t until_ns;
};

static struct {
	pthread_mutex_t lock;
	struct address_slot addresses[ADDRESS_SLOTS];
	struct device_slot devices[DEVICE_SLOTS];
} cache = {.lock = PTHREAD_MUTEX_INITIALIZER};

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

/* A peer on this machine: 127.0.0.0/8, ::1, or an address of our own. */
static bool is_loopback(const struct route_key *key)
{
	static const uint8_t one[16] = {[15] = 1};

	if (memcmp(key->peer, key->local, sizeof(key->peer)) == 0)
		return true;
	return key->family == AF_INET ? key->peer[0] == 127 : memcmp(key->peer, one, 16) == 0;
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

static int ask(int netlink, const struct route_key *key)
{
	struct route_request request = {
	    .header = {.nlmsg_len = NLMSG_LENGTH(sizeof(struct rtmsg)),
		       .nlmsg_type = RTM_GETROUTE,
		       .nlmsg_flags = NLM_F_REQUEST},
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
	n = sys_send(netlink, &request, request.header.nlmsg_len, 0);
	return n < 0 ? (int)n : 0;
}

/* Among the attributes of a route: RTA_OIF. */
static int route_device(const char *at, size_t left, unsigned *ret_device)
{
	struct rtattr attr;

	while (left >= sizeof(attr)) {
		memcpy(&attr, at, sizeof(attr));
		if (attr.rta_len < sizeof(attr) || attr.rta_len > left)
			break;
		if (attr.rta_type == RTA_OIF && attr.rta_len >= RTA_LENGTH(sizeof(*ret_device))) {
			memcpy(ret_device, at + RTA_LENGTH(0), sizeof(*ret_device));
			return 0;
		}
		at += min_size(RTA_ALIGN(attr.rta_len), left);
		left -= min_size(RTA_ALIGN(attr.rta_len), left);
	}
	return -ENOENT;
}

/* The kernel has queued its answer before send() returns: not there means that none will come. */
static int answer(int netlink, unsigned *ret_device)
{
	union {
		struct nlmsghdr header;
		char room[4096];
	} reply;
	ssize_t n = sys_recv(netlink, &reply, sizeof(reply), MSG_DONTWAIT);

	if (n < 0)
		return (int)n;
	if (!NLMSG_OK(&reply.header, (size_t)n) || reply.header.nlmsg_type != RTM_NEWROUTE ||
	    reply.header.nlmsg_len < NLMSG_LENGTH(sizeof(struct rtmsg)))
		return -ENOENT;

	return route_device(reply.room + NLMSG_LENGTH(NLMSG_ALIGN(sizeof(struct rtmsg))),
			    RTM_PAYLOAD(&reply.header), ret_device);
}

/* 0 when there is no telling. The netlink socket lives for one question: a library keeps no
 * descriptor behind its caller's back. */
static unsigned device_of(const struct route_key *key)
{
	unsigned device = 0;
	int netlink;

	if (key->scope != 0)
		return key->scope;
	netlink = sys_socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE);
	if (netlink < 0)
		return 0;
	if (ask(netlink, key) < 0 || answer(netlink, &device) < 0)
		device = 0;
	sys_close(netlink);
	return device;
}

/* ---- what the device takes ---- */

static struct route_features read_features(int socket, unsigned device)
{
	struct route_features features = {0};
	int gather, checksum;

	if (device == 0 || sys_device_name(socket, device, features.device) < 0)
		return features;
	gather = sys_ethtool_get(socket, features.device, ETHTOOL_GSG);
	checksum = sys_ethtool_get(socket, features.device, ETHTOOL_GTXCSUM);
	features.known = gather >= 0 && checksum >= 0;
	features.scatter_gather = gather > 0;
	features.checksum = checksum > 0;
	features.loopback = strcmp(features.device, "lo") == 0;
	return features;
}

/* ---- the tables ---- */

static uint64_t deadline(uint64_t now_ns)
{
	return now_ns + ROUTE_TTL_MS * UINT64_C(1000000);
}

static bool known_device(const struct route_key *key, uint64_t now_ns, unsigned *ret_device)
{
	const struct address_slot *slot = &cache.addresses[key_hash(key) % ADDRESS_SLOTS];
	bool known;

	pthread_mutex_lock(&cache.lock);
	known = slot->until_ns > now_ns && memcmp(&slot->key, key, sizeof(*key)) == 0;
	if (known)
		*ret_device = slot->device;
	pthread_mutex_unlock(&cache.lock);
	return known;
}

static void remember_device(const struct route_key *key, unsigned device, uint64_t now_ns)
{
	pthread_mutex_lock(&cache.lock);
	cache.addresses[key_hash(key) % ADDRESS_SLOTS] =
	    (struct address_slot){.key = *key, .device = device, .until_ns = deadline(now_ns)};
	pthread_mutex_unlock(&cache.lock);
}

static bool known_features(uint64_t netns, unsigned device, uint64_t now_ns,
			   struct route_features *ret)
{
	const struct device_slot *slot = &cache.devices[device % DEVICE_SLOTS];
	bool known;

	pthread_mutex_lock(&cache.lock);
	known = slot->until_ns > now_ns && slot->device == device && slot->netns == netns;
	if (known)
		*ret = slot->features;
	pthread_mutex_unlock(&cache.lock);
	return known;
}

static void remember_features(uint64_t netns, unsigned device,
			      const struct route_features *features, uint64_t now_ns)
{
	pthread_mutex_lock(&cache.lock);
	cache.devices[device % DEVICE_SLOTS] = (struct device_slot){.device = device,
								    .netns = netns,
								    .features = *features,
								    .until_ns = deadline(now_ns)};
	pthread_mutex_unlock(&cache.lock);
}

int route_features_of(int socket, struct route_features *ret)
{
	static const struct route_features loopback = {"lo", true, true, true, true};
	struct route_key key;
	struct route_features features;
	uint64_t now_ns = sys_now_coarse_ns();
	unsigned device = 0;
	int r = key_of(socket, &key);

	if (r == -EAFNOSUPPORT) {
		*ret = (struct route_features){0};
		return 0;
	}
	if (r < 0)
		return r;
	if (is_loopback(&key)) {
		*ret = loopback;
		return 0;
	}
	if (sys_netns_cookie(socket, &key.netns) < 0)
		key.netns = 0;
	if (!known_device(&key, now_ns, &device)) {
		device = device_of(&key);
		remember_device(&key, device, now_ns);
	}
	if (!known_features(key.netns, device, now_ns, &features)) {
		features = read_features(socket, device);
		remember_features(key.netns, device, &features, now_ns);
	}
	*ret = features;
	return 0;
}
