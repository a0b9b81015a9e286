#include "kafka/broker/kafka_places.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/slice.h"
#include "reactor/address.h"
#include "sys/sys.h"

#define OVERRIDES "max.connections.per.ip.overrides"

/* Of an address that has connections. */
struct kafka_peer_count {
	struct kafka_peer_count *next;
	struct kafka_peer peer;
	int64_t count;
};

/* false: it is not of the internet. */
static bool peer_of(const struct sockaddr_storage *address, struct kafka_peer *ret)
{
	static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

	if (address->ss_family == AF_INET6) {
		memcpy(ret->bytes, &((const struct sockaddr_in6 *)address)->sin6_addr, 16);
		return true;
	}
	if (address->ss_family != AF_INET)
		return false;
	memcpy(ret->bytes, mapped, sizeof(mapped));
	memcpy(ret->bytes + sizeof(mapped), &((const struct sockaddr_in *)address)->sin_addr, 4);
	return true;
}

static bool is_same(const struct kafka_peer *a, const struct kafka_peer *b)
{
	return memcmp(a->bytes, b->bytes, sizeof(a->bytes)) == 0;
}

/* ---- the overrides ---- */

static int add_limit(struct kafka_peer_places *places, const struct sockaddr_storage *address,
		     int64_t max)
{
	struct kafka_peer_limit *larger =
	    realloc(places->limits, (places->limits_count + 1) * sizeof(*larger));

	if (!larger)
		return -ENOMEM;
	places->limits = larger;
	if (peer_of(address, &larger[places->limits_count].peer))
		larger[places->limits_count++].max = max;
	return 0;
}

/* HOST, all of its addresses. */
static int add_host(struct kafka_peer_places *places, struct slice host, int64_t max,
		    struct err *err)
{
	struct sockaddr_storage found[ADDRESSES_MAX];
	socklen_t lens[ADDRESSES_MAX];
	struct addresses parsed;
	char where[ADDRESS_TEXT_MAX];
	int r = 0, count;

	/* As a place to listen at, of which the port is not wanted. */
	if (snprintf(where, sizeof(where), memchr(host.ptr, ':', host.len) ? "[%.*s]:1" : "%.*s:1",
		     (int)host.len, host.ptr) >= (int)sizeof(where) ||
	    addresses_parse(where, &parsed, err) < 0)
		return err_set(err, -EINVAL, OVERRIDES ": '%.*s' is no host", (int)host.len,
			       host.ptr);
	for (unsigned i = 0; i < parsed.count && r == 0; i++)
		r = add_limit(places, &parsed.all[i].sockaddr, max);
	if (parsed.count > 0 || r < 0)
		return r < 0 ? err_set(err, r, "out of memory") : 0;
	count = sys_resolve(parsed.host, found, lens, ADDRESSES_MAX);
	if (count <= 0)
		return err_set(err, -EINVAL, OVERRIDES ": %s: its address is not known",
			       parsed.host);
	for (int i = 0; i < count && r == 0; i++)
		r = add_limit(places, &found[i], max);
	return r < 0 ? err_set(err, r, "out of memory") : 0;
}

/* "HOST:COUNT". */
static int add_override(struct kafka_peer_places *places, struct slice entry, struct err *err)
{
	const char *colon = memrchr(entry.ptr, ':', entry.len);
	struct slice host, count;
	int64_t max = 0;

	if (!colon)
		return err_set(err, -EINVAL, OVERRIDES ": '%.*s' is not of the form HOST:COUNT",
			       (int)entry.len, entry.ptr);
	host = slice_trim(slice_make(entry.ptr, (size_t)(colon - entry.ptr)));
	count = slice_trim(slice_make(colon + 1, (size_t)(entry.ptr + entry.len - colon - 1)));
	for (size_t i = 0; i < count.len && max <= INT32_MAX; i++)
		max = count.ptr[i] < '0' || count.ptr[i] > '9' ? INT64_MAX
							       : max * 10 + (count.ptr[i] - '0');
	if (count.len == 0 || max > INT32_MAX)
		return err_set(err, -EINVAL, OVERRIDES ": '%.*s' is no number of connections",
			       (int)count.len, count.ptr);
	if (host.len > 1 && host.ptr[0] == '[' && host.ptr[host.len - 1] == ']')
		host = slice_make(host.ptr + 1, host.len - 2);
	return add_host(places, host, max, err);
}

static int add_overrides(struct kafka_peer_places *places, struct slice rest, struct err *err)
{
	int r = 0;

	while (rest.len > 0 && r == 0) {
		const char *comma = memchr(rest.ptr, ',', rest.len);
		size_t len = comma ? (size_t)(comma - rest.ptr) : rest.len;
		struct slice entry = slice_trim(slice_make(rest.ptr, len));

		if (entry.len > 0)
			r = add_override(places, entry, err);
		len += comma != NULL;
		rest = slice_make(rest.ptr + len, rest.len - len);
	}
	return r;
}

/* ---- life ---- */

int kafka_peer_places_init(struct kafka_peer_places *places, const struct kafka_config *config,
			   struct err *err)
{
	const char *overrides = config_text(config, KAFKA_TEXT_CONNECTIONS_OVERRIDES);

	pthread_mutex_init(&places->lock, NULL);
	places->max = config_value(config, KAFKA_CONFIG_CONNECTIONS_IP);
	places->bounded = places->max < INT32_MAX || (overrides && *overrides);
	/* As Kafka: a broker that nobody may come to. */
	if (places->max == 0 && !(overrides && *overrides))
		return err_set(err, -EINVAL,
			       "max.connections.per.ip: 0 lets nobody in: name those who may come "
			       "by " OVERRIDES);
	return overrides ? add_overrides(places, slice_of(overrides), err) : 0;
}

void kafka_peer_places_fini(struct kafka_peer_places *places)
{
	for (unsigned i = 0; i < KAFKA_PEER_BUCKETS; i++)
		while (places->buckets[i]) {
			struct kafka_peer_count *first = places->buckets[i];

			places->buckets[i] = first->next;
			free(first);
		}
	free(places->limits);
	pthread_mutex_destroy(&places->lock);
}

/* ---- counting ---- */

static struct kafka_peer_count **bucket_of(struct kafka_peer_places *places,
					   const struct kafka_peer *peer)
{
	uint32_t hash = 2166136261u;

	for (unsigned i = 0; i < sizeof(peer->bytes); i++)
		hash = (hash ^ peer->bytes[i]) * 16777619u;
	return &places->buckets[hash % KAFKA_PEER_BUCKETS];
}

/* Where it hangs, or would hang. */
static struct kafka_peer_count **find_count(struct kafka_peer_places *places,
					    const struct kafka_peer *peer)
{
	struct kafka_peer_count **at = bucket_of(places, peer);

	while (*at && !is_same(&(*at)->peer, peer))
		at = &(*at)->next;
	return at;
}

static int64_t max_of(const struct kafka_peer_places *places, const struct kafka_peer *peer)
{
	for (size_t i = 0; i < places->limits_count; i++)
		if (is_same(&places->limits[i].peer, peer))
			return places->limits[i].max;
	return places->max;
}

static bool enter_locked(struct kafka_peer_places *places, const struct kafka_peer *peer)
{
	struct kafka_peer_count **at = find_count(places, peer);

	if ((*at ? (*at)->count : 0) >= max_of(places, peer))
		return false;
	if (!*at) {
		*at = calloc(1, sizeof(**at));
		if (!*at)
			return false;
		(*at)->peer = *peer;
	}
	(*at)->count++;
	return true;
}

bool kafka_peer_enter(struct kafka_peer_places *places, const struct sockaddr_storage *address)
{
	struct kafka_peer peer;
	bool entered;

	if (!places->bounded || !peer_of(address, &peer))
		return true;
	pthread_mutex_lock(&places->lock);
	entered = enter_locked(places, &peer);
	pthread_mutex_unlock(&places->lock);
	return entered;
}

void kafka_peer_leave(struct kafka_peer_places *places, const struct sockaddr_storage *address)
{
	struct kafka_peer_count **at, *last = NULL;
	struct kafka_peer peer;

	if (!places->bounded || !peer_of(address, &peer))
		return;
	pthread_mutex_lock(&places->lock);
	at = find_count(places, &peer);
	CHECK(*at && (*at)->count > 0);
	if (--(*at)->count == 0) {
		last = *at;
		*at = last->next;
	}
	pthread_mutex_unlock(&places->lock);
	free(last);
}
