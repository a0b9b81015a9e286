/*
 * Which peer of a group gets the next connection. Pure: what is known of the peers is given, and the
 * answer follows from it.
 *
 * Three tiers, the first that has a peer decides: peers that are up; backup peers that are up; and,
 * since a guess is better than nothing, those that are down. A peer that was tried before for the
 * same connection, that has weight 0 (drained), or that has all the connections it may have, is in
 * none. Within a tier:
 *
 *   round robin   smooth and weighted: each gets its share, spread evenly (state: turns)
 *   least         the fewest connections by weight; among equals by turn
 *   random        the better of two at random: near to least, and loops need not agree
 *   hash          rendezvous hashing of the key: a peer that goes or comes moves its own keys alone
 */
#ifndef UPSTREAM_CHOOSE_H
#define UPSTREAM_CHOOSE_H

#include "base/check.h"

enum upstream_method {
	UPSTREAM_ROUND_ROBIN,
	UPSTREAM_LEAST,
	UPSTREAM_RANDOM,
	UPSTREAM_HASH,
	UPSTREAM_METHOD_COUNT,
};

#define UPSTREAM_PEERS_MAX  256u
#define UPSTREAM_WEIGHT_MAX 256u

/* What is known of a peer. */
struct upstream_candidate {
	uint64_t id;         /* of its name, for hashing: the same in each process */
	uint32_t weight;     /* 0: drained */
	uint32_t active;     /* connections now */
	uint32_t active_max; /* 0: no limit */
	bool backup, down, tried;
};

/* Round robin's memory, of one loop; zero at first. */
struct upstream_turns {
	int64_t current[UPSTREAM_PEERS_MAX];
};

struct upstream_choice {
	int peer;  /* -1: none */
	bool full; /* none now, but one that was left out only for its limit of connections */
};

/* `key`: for hash. `random`: 64 bits nobody can guess, for random, and for least among equals. */
struct upstream_choice upstream_choose(enum upstream_method method,
				       const struct upstream_candidate *peers, unsigned count,
				       uint64_t key, uint64_t random, struct upstream_turns *turns);

/* "round-robin", "least", "random", "hash"; -EINVAL. */
int upstream_method_parse(const char *name, enum upstream_method *ret);
const char *upstream_method_name(enum upstream_method method);

#endif
