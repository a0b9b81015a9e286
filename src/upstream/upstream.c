/*
 * upstream.h: peers from texts (upstream_group_init(): each text is split at its commas, its name
 * looked up, a peer made of each address), and their state while connections come and go.
 */
#include "upstream/upstream.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/size.h"
#include "reactor/address.h"
#include "sys/sys.h"

/* Of one name. */
#define UPSTREAM_ADDRESSES_MAX 64

/* ---- peers from texts ---- */

/* One option behind a comma. */
static int upstream_parse_option(struct upstream_peer *peer, const char *option, struct err *err)
{
	uint64_t number;

	if (strcmp(option, "backup") == 0) {
		peer->backup = true;
		return 0;
	}
	if (strncmp(option, "weight=", 7) == 0 && number_parse(option + 7, &number) == 0 &&
	    number <= UPSTREAM_WEIGHT_MAX) {
		peer->weight = (uint32_t)number;
		return 0;
	}
	if (strncmp(option, "max=", 4) == 0 && number_parse(option + 4, &number) == 0 &&
	    number >= 1 && number <= UINT32_MAX) {
		peer->active_max = (uint32_t)number;
		return 0;
	}
	return err_set(err, -EINVAL,
		       "'%s' is no option of a target: there are weight=N (0 to %u), max=N, backup",
		       option, UPSTREAM_WEIGHT_MAX);
}

/* Takes the options off the text, which stays the name. */
static int upstream_parse_options(struct upstream_peer *peer, struct err *err)
{
	char *at = peer->name + strcspn(peer->name, ","), *next;
	int r = 0;

	while (*at && r == 0) {
		*at++ = '\0';
		next = at + strcspn(at, ",");
		if (*next) {
			*next = '\0';
			r = upstream_parse_option(peer, at, err);
			*next = ',';
		} else {
			r = upstream_parse_option(peer, at, err);
		}
		at = next;
	}
	return r;
}

/* One more peer, a copy of `like`. NULL: -ENOMEM, or too many. */
static struct upstream_peer *upstream_add(struct upstream_group *group,
					  const struct upstream_peer *like)
{
	struct upstream_peer *peers;

	if (group->count == UPSTREAM_PEERS_MAX)
		return NULL;
	peers = realloc(group->peers, (group->count + 1) * sizeof(*peers));
	if (!peers)
		return NULL;
	group->peers = peers;
	peers[group->count] = *like;
	return &peers[group->count++];
}

static int upstream_too_many(struct err *err)
{
	return err_set(err, -ENOMEM, "more than %u targets, or out of memory", UPSTREAM_PEERS_MAX);
}

/* `address`: without its port where that is 0. */
static int upstream_add_address(struct upstream_group *group, struct upstream_peer *peer,
				const struct sockaddr_storage *address, socklen_t len,
				uint16_t port, struct err *err)
{
	peer->address = *address;
	peer->address_len = len;
	/* The addresses of one name are different peers for one key. */
	peer->id = hash_slice_from(hash_slice(slice_of(peer->name)),
				   slice_make((const char *)address, len));
	if (port > 0)
		address_set_port(&peer->address, port);
	return upstream_add(group, peer) ? 0 : upstream_too_many(err);
}

static int upstream_look_up(struct upstream_group *group, struct upstream_peer *peer,
			    const struct addresses *named, struct err *err)
{
	struct sockaddr_storage found[UPSTREAM_ADDRESSES_MAX];
	socklen_t lens[UPSTREAM_ADDRESSES_MAX];
	int count = sys_resolve(named->host, found, lens, UPSTREAM_ADDRESSES_MAX), r = 0;

	if (count < 0)
		return err_set(err, count, "%s: the name can't be looked up: %s", peer->name,
			       count == -ENOENT ? "there is no such host" : strerror(-count));
	for (int i = 0; i < count && r == 0; i++)
		r = upstream_add_address(group, peer, &found[i], lens[i], named->port, err);
	return r;
}

/* Nobody can be connected to at what stands for all addresses, or at what was handed over. */
static bool upstream_is_target(const struct upstream_peer *peer, const struct addresses *named)
{
	const struct address *first = &named->all[0];

	if (named->host[0])
		return named->port > 0;
	if (named->count != 1 || first->fd >= 0 ||
	    peer->name[strspn(peer->name, "0123456789")] == 0)
		return false;
	return first->sockaddr.ss_family == AF_UNIX || address_port(&first->sockaddr) > 0;
}

static int upstream_add_text(struct upstream_group *group, const char *text, struct err *err)
{
	struct upstream_peer peer = {.weight = 1};
	struct addresses named;
	struct err why = {""};
	int r;

	if (strlen(text) >= sizeof(peer.name))
		return err_set(err, -EINVAL, "a target of %zu bytes is too long", strlen(text));
	strcpy(peer.name, text);
	r = upstream_parse_options(&peer, err);
	if (r < 0)
		return r;
	if (addresses_parse(peer.name, &named, &why) < 0 || !upstream_is_target(&peer, &named))
		return err_set(err, -EINVAL,
			       "%s: expected HOST:PORT, [IPv6]:PORT or unix:/path as a target",
			       peer.name);
	if (named.host[0])
		return upstream_look_up(group, &peer, &named, err);
	return upstream_add_address(group, &peer, &named.all[0].sockaddr, named.all[0].len, 0, err);
}

int upstream_group_init(struct upstream_group *group, const char *const *texts, unsigned count,
			struct err *err)
{
	int r = 0;

	group->count = 0;
	group->peers = NULL;
	for (unsigned i = 0; i < count && r == 0; i++)
		r = upstream_add_text(group, texts[i], err);
	if (r < 0)
		upstream_group_fini(group);
	return r;
}

void upstream_group_fini(struct upstream_group *group)
{
	free(group->peers);
	group->peers = NULL;
	group->count = 0;
}

/* ---- connections ---- */

bool upstream_is_down(const struct upstream_peer *peer, uint64_t now_ms)
{
	return now_ms < atomic_load_explicit(&peer->down_until_ms, memory_order_relaxed);
}

static void upstream_look(const struct upstream_group *group, uint64_t now_ms,
			  const struct upstream_tried *tried, struct upstream_candidate *ret)
{
	for (unsigned i = 0; i < group->count; i++) {
		const struct upstream_peer *peer = &group->peers[i];

		ret[i] = (struct upstream_candidate){
		    .id = peer->id,
		    .weight = peer->weight,
		    .active = atomic_load_explicit(&peer->active, memory_order_relaxed),
		    .active_max = peer->active_max,
		    .backup = peer->backup,
		    .down = upstream_is_down(peer, now_ms),
		    .tried = tried->bits[i / 64] >> (i % 64) & 1,
		};
	}
}

/* False: another loop took the last place. */
static bool upstream_enter(struct upstream_peer *peer)
{
	uint32_t before = atomic_fetch_add(&peer->active, 1);

	if (peer->active_max == 0 || before < peer->active_max)
		return true;
	atomic_fetch_sub(&peer->active, 1);
	return false;
}

struct upstream_peer *upstream_take(struct upstream_group *group, struct upstream_turns *turns,
				    uint64_t key, uint64_t random, uint64_t now_ms,
				    struct upstream_tried *tried, bool *ret_full)
{
	struct upstream_candidate candidates[UPSTREAM_PEERS_MAX];
	struct upstream_choice choice;

	do {
		upstream_look(group, now_ms, tried, candidates);
		choice =
		    upstream_choose(group->method, candidates, group->count, key, random, turns);
		*ret_full = choice.full;
		if (choice.peer < 0)
			return NULL;
	} while (!upstream_enter(&group->peers[choice.peer]));
	tried->bits[choice.peer / 64] |= 1ull << (choice.peer % 64);
	return &group->peers[choice.peer];
}

void upstream_connected(struct upstream_peer *peer)
{
	atomic_fetch_add_explicit(&peer->connections, 1, memory_order_relaxed);
	atomic_store_explicit(&peer->fails, 0, memory_order_relaxed);
	atomic_store_explicit(&peer->down_until_ms, 0, memory_order_relaxed);
}

bool upstream_failed(struct upstream_group *group, struct upstream_peer *peer, uint64_t now_ms)
{
	uint32_t fails = atomic_fetch_add(&peer->fails, 1) + 1;

	atomic_fetch_add_explicit(&peer->failures, 1, memory_order_relaxed);
	upstream_give(peer);
	if (group->fails_max == 0 || fails < group->fails_max || upstream_is_down(peer, now_ms))
		return false;
	atomic_store(&peer->down_until_ms, now_ms + group->down_ms);
	atomic_fetch_add_explicit(&peer->downs, 1, memory_order_relaxed);
	return true;
}

void upstream_give(struct upstream_peer *peer)
{
	CHECK(atomic_fetch_sub(&peer->active, 1) > 0);
}
