/* A pair, as the files of the relay see it: relay_pair.c tells its life. */
#ifndef RELAY_RELAY_PAIR_H
#define RELAY_RELAY_PAIR_H

#include "reactor/address.h"
#include "relay/relay_server.h"

struct relay_pair;

/* One direction. */
struct relay_way {
	struct relay_pair *pair;
	bool over;
	struct stream_linked linked; /* valid when over; zero before */
};

struct relay_pair {
	struct relay_loop *loop;
	struct stream *client, *target; /* NULL: not there, or gone */
	struct upstream_peer *peer;     /* in whose count it is; NULL: in none */
	const char *peer_name;          /* the last that was tried */
	struct upstream_tried tried;
	unsigned tries;
	struct relay_way there, back;              /* to the target, to the client */
	uint64_t seen_bytes;                       /* as of moved_ms */
	uint64_t began_ms, connected_ms, moved_ms; /* connected_ms 0: it is not */
	uint64_t flush_until_ms;
	int client_unsent,
	    target_unsent;  /* as it was last looked at: what the peers had yet to take */
	struct timer timer; /* connecting: the next try; relaying: idle; ending: the reset */
	bool ending;
	enum relay_end end;
	char client_name[ADDRESS_TEXT_MAX]; /* "" without a log */
};

extern const struct stream_ops relay_target_ops;

/* stream_ops.home for the two sides, by their arg. */
struct stream_loop *relay_home_of_server(void *arg, struct loop *loop);
struct stream_loop *relay_home_of_pair(void *arg, struct loop *loop);

#endif
