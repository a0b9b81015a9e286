/*
 * choose.h: the tiers first (upstream_tier()), then the method's own choice among those that are in
 * it, each a loop over the peers with one comparison.
 */
#include "upstream/choose.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#include "base/hash.h"

static const char *const upstream_method_names[UPSTREAM_METHOD_COUNT] = {
    [UPSTREAM_ROUND_ROBIN] = "round-robin",
    [UPSTREAM_LEAST] = "least",
    [UPSTREAM_RANDOM] = "random",
    [UPSTREAM_HASH] = "hash",
};

int upstream_method_parse(const char *name, enum upstream_method *ret)
{
	for (unsigned i = 0; i < UPSTREAM_METHOD_COUNT; i++) {
		if (strcmp(name, upstream_method_names[i]) == 0) {
			*ret = (enum upstream_method)i;
			return 0;
		}
	}
	return -EINVAL;
}

const char *upstream_method_name(enum upstream_method method)
{
	return upstream_method_names[method];
}

/* Two numbers, either of which may be small, to 64 bits that look like chance. */
static uint64_t upstream_mix(uint64_t a, uint64_t b)
{
	return hash_mix(a ^ 0x9e3779b97f4a7c15u, b ^ 0xd6e8feb86659fd93u);
}

/* ---- tiers ---- */

enum upstream_tier { TIER_UP, TIER_BACKUP, TIER_DOWN, TIER_COUNT, TIER_NONE };

static bool upstream_is_full(const struct upstream_candidate *peer)
{
	return peer->active_max > 0 && peer->active >= peer->active_max;
}

static enum upstream_tier upstream_tier_of(const struct upstream_candidate *peer)
{
	if (peer->tried || peer->weight == 0)
		return TIER_NONE;
	if (peer->down)
		return TIER_DOWN;
	return peer->backup ? TIER_BACKUP : TIER_UP;
}

/* Of the candidates in the choice: bit i of the set. */
struct upstream_set {
	uint64_t bits[UPSTREAM_PEERS_MAX / 64];
	unsigned count;
};

static void upstream_set_add(struct upstream_set *set, unsigned i)
{
	set->bits[i / 64] |= 1ull << (i % 64);
	set->count++;
}

static bool upstream_set_has(const struct upstream_set *set, unsigned i)
{
	return set->bits[i / 64] >> (i % 64) & 1;
}

/* The first tier that has a peer. *ret_full: one was left out of it, or of a better one, for its
 * limit. */
static struct upstream_set upstream_best_tier(const struct upstream_candidate *peers,
					      unsigned count, bool *ret_full)
{
	struct upstream_set tiers[TIER_COUNT] = {0};

	*ret_full = false;
	for (unsigned i = 0; i < count; i++) {
		enum upstream_tier tier = upstream_tier_of(&peers[i]);

		if (tier == TIER_NONE)
			continue;
		if (upstream_is_full(&peers[i]))
			*ret_full |= tier != TIER_DOWN;
		else
			upstream_set_add(&tiers[tier], i);
	}
	for (unsigned tier = 0; tier < TIER_DOWN; tier++)
		if (tiers[tier].count > 0)
			return tiers[tier];
	/* A peer that is up and full says more than one that is known to be down. */
	return *ret_full ? (struct upstream_set){.count = 0} : tiers[TIER_DOWN];
}

/* ---- methods ---- */

/* Each turn gives every peer its weight, and the richest pays the sum of all. */
static int upstream_round_robin(const struct upstream_candidate *peers, unsigned count,
				const struct upstream_set *set, struct upstream_turns *turns)
{
	int64_t total = 0;
	int best = -1;

	for (unsigned i = 0; i < count; i++) {
		if (!upstream_set_has(set, i))
			continue;
		turns->current[i] += peers[i].weight;
		total += peers[i].weight;
		if (best < 0 || turns->current[i] > turns->current[best])
			best = (int)i;
	}
	turns->current[best] -= total;
	return best;
}

/* Fewer connections for its weight. */
static bool upstream_is_lighter(const struct upstream_candidate *a,
				const struct upstream_candidate *b)
{
	return (uint64_t)a->active * b->weight < (uint64_t)b->active * a->weight;
}

/* Among equals each as likely as its weight is large: the nth of them replaces the choice with its
 * share of the weight so far. */
static int upstream_least(const struct upstream_candidate *peers, unsigned count,
			  const struct upstream_set *set, uint64_t random)
{
	uint64_t equals = 0;
	int best = -1;

	for (unsigned i = 0; i < count; i++) {
		if (!upstream_set_has(set, i))
			continue;
		if (best >= 0 && upstream_is_lighter(&peers[best], &peers[i]))
			continue;
		if (best < 0 || upstream_is_lighter(&peers[i], &peers[best]))
			equals = 0;
		equals += peers[i].weight;
		random = upstream_mix(random, i);
		if (random % equals < peers[i].weight)
			best = (int)i;
	}
	return best;
}

/* One by its weight. */
static int upstream_draw(const struct upstream_candidate *peers, unsigned count,
			 const struct upstream_set *set, uint64_t random)
{
	uint64_t total = 0, at;

	for (unsigned i = 0; i < count; i++)
		total += upstream_set_has(set, i) ? peers[i].weight : 0;
	at = random % total;
	for (unsigned i = 0; i < count; i++) {
		if (!upstream_set_has(set, i))
			continue;
		if (at < peers[i].weight)
			return (int)i;
		at -= peers[i].weight;
	}
	CHECK(false);
	return -1;
}

static int upstream_random(const struct upstream_candidate *peers, unsigned count,
			   const struct upstream_set *set, uint64_t random)
{
	int first = upstream_draw(peers, count, set, random);
	int second = upstream_draw(peers, count, set, upstream_mix(random, 1));

	return upstream_is_lighter(&peers[second], &peers[first]) ? second : first;
}

/* Rendezvous hashing with weights: the highest of -weight / ln(h), h in (0, 1) from key and peer
 * (Schindelhauer and Schomaker, 2005). */
static double upstream_score(const struct upstream_candidate *peer, uint64_t key)
{
	uint64_t hash = upstream_mix(upstream_mix(key, peer->id), peer->id);
	double h = ((double)(hash >> 11) + 0.5) / 9007199254740992.0; /* 2^53 */

	return -(double)peer->weight / log(h);
}

static int upstream_hash(const struct upstream_candidate *peers, unsigned count,
			 const struct upstream_set *set, uint64_t key)
{
	double score, highest = 0;
	int best = -1;

	for (unsigned i = 0; i < count; i++) {
		if (!upstream_set_has(set, i))
			continue;
		score = upstream_score(&peers[i], key);
		if (best < 0 || score > highest) {
			best = (int)i;
			highest = score;
		}
	}
	return best;
}

struct upstream_choice upstream_choose(enum upstream_method method,
				       const struct upstream_candidate *peers, unsigned count,
				       uint64_t key, uint64_t random, struct upstream_turns *turns)
{
	struct upstream_choice choice = {.peer = -1};
	struct upstream_set set;

	CHECK(count <= UPSTREAM_PEERS_MAX);
	set = upstream_best_tier(peers, count, &choice.full);
	if (set.count == 0)
		return choice;
	choice.full = false;
	switch (method) {
	case UPSTREAM_ROUND_ROBIN:
	case UPSTREAM_METHOD_COUNT:
		choice.peer = upstream_round_robin(peers, count, &set, turns);
		break;
	case UPSTREAM_LEAST:
		choice.peer = upstream_least(peers, count, &set, random);
		break;
	case UPSTREAM_RANDOM:
		choice.peer = upstream_random(peers, count, &set, random);
		break;
	case UPSTREAM_HASH:
		choice.peer = upstream_hash(peers, count, &set, key);
		break;
	}
	return choice;
}
