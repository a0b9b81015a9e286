/*
 * A group of peers: servers that do the same, of which each connection gets one.
 *
 * The peers are made from texts before the loops run; their state is shared by all loops in atomics,
 * so no lock is taken for a connection. The choice is pure (choose.h). A peer that failed to connect
 * `fails_max` times in a row is down for `down_ms`; then connections try it again, and the first one
 * that succeeds makes it as good as the others. The last peer is never taken away: where all are
 * down, one of them is tried all the same.
 *
 *     upstream_take() ── connect ──> upstream_connected(), ... upstream_give()
 *                           └──────> upstream_failed(), and another peer by upstream_take()
 *
 * Names are looked up when the group is made. Any thread may take, give and read.
 */
#ifndef UPSTREAM_UPSTREAM_H
#define UPSTREAM_UPSTREAM_H

#include <stdatomic.h>
#include <sys/socket.h>

#include "base/err.h"
#include "upstream/choose.h"

#define UPSTREAM_NAME_MAX 300 /* a host name of 255, a port */

struct upstream_peer {
	char name[UPSTREAM_NAME_MAX]; /* as it was given, without its options: "db1:5432" */
	struct sockaddr_storage address;
	socklen_t address_len;
	uint64_t id; /* hash of name and address */
	uint32_t weight, active_max;
	bool backup;

	_Atomic uint32_t active;        /* connections now, also those that are being made */
	_Atomic uint32_t fails;         /* in a row */
	_Atomic uint64_t down_until_ms; /* on the loops' clock; 0: up */
	_Atomic uint64_t connections, failures, downs; /* so far */
	_Atomic uint64_t bytes_in, bytes_out;          /* from it, to it */
};

struct upstream_group {
	enum upstream_method method;
	uint32_t fails_max; /* 0: it is never down */
	uint32_t down_ms;
	unsigned count;
	struct upstream_peer *peers;
};

/*
 * `texts`: "HOST:PORT", "[v6]:PORT" or "unix:/path", and options behind commas: weight=N (1 to 256;
 * 0: drained), max=N (connections at once), backup. A name with several addresses makes a peer of
 * each. Blocks while names are looked up. -EINVAL, -ENOENT and the like with a text; -ENOMEM.
 */
int upstream_group_init(struct upstream_group *group, const char *const *texts, unsigned count,
			struct err *err);
void upstream_group_fini(struct upstream_group *group);

/* Peers that one connection has tried. */
struct upstream_tried {
	uint64_t bits[UPSTREAM_PEERS_MAX / 64];
};

/* The next peer for a connection, counted as active and noted in `tried`; NULL: none. *ret_full:
 * since all that could be have as many connections as they may. */
struct upstream_peer *upstream_take(struct upstream_group *group, struct upstream_turns *turns,
				    uint64_t key, uint64_t random, uint64_t now_ms,
				    struct upstream_tried *tried, bool *ret_full);
/* It is connected. */
void upstream_connected(struct upstream_peer *peer);
/* It could not be connected to, and is given back. True: it is down from now on. */
bool upstream_failed(struct upstream_group *group, struct upstream_peer *peer, uint64_t now_ms);
/* Its connection is over. */
void upstream_give(struct upstream_peer *peer);
bool upstream_is_down(const struct upstream_peer *peer, uint64_t now_ms);

#endif
