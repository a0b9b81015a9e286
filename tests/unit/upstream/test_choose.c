/* Which peer gets a connection: tiers, shares, evenness, and that hashing moves no more than it must. */
#include "unit/unit.h"

#include <stdlib.h>
#include <string.h>

#include "upstream/choose.h"

#define PEERS 5u

static struct upstream_candidate peers[UPSTREAM_PEERS_MAX];
static struct upstream_turns turns;
static uint64_t chance = 1;

static uint64_t next_random(void)
{
	chance = chance * 6364136223846793005u + 1442695040888963407u;
	return chance ^ chance >> 29;
}

static void some_peers(void)
{
	memset(peers, 0, sizeof(peers));
	memset(&turns, 0, sizeof(turns));
	for (unsigned i = 0; i < PEERS; i++)
		peers[i] = (struct upstream_candidate){.id = 1000 + i * 77, .weight = 1};
}

static int choose(enum upstream_method method, uint64_t key)
{
	return upstream_choose(method, peers, PEERS, key, next_random(), &turns).peer;
}

static void round_robin_gives_each_its_weight_evenly(void **state)
{
	unsigned got[PEERS] = {0}, last[PEERS] = {0};

	some_peers();
	peers[0].weight = 5;
	peers[1].weight = 3;
	peers[2].weight = 0;
	for (unsigned i = 1; i <= 1000; i++) {
		int peer = choose(UPSTREAM_ROUND_ROBIN, 0);

		got[peer]++;
		/* The heaviest never waits longer than its share, rounded up, and one more. */
		if (peer == 0) {
			assert_true(i - last[0] <= 3);
			last[0] = i;
		}
	}
	assert_int_equal(got[0], 500);
	assert_int_equal(got[1], 300);
	assert_int_equal(got[2], 0);
	assert_int_equal(got[3], 100);
	assert_int_equal(got[4], 100);
}

static void least_takes_the_lightest_for_its_weight(void **state)
{
	some_peers();
	peers[0].active = 4;
	peers[1].active = 3;
	peers[2].active = 9;
	peers[2].weight = 4;
	peers[3].active = 3;
	peers[4].active = 7;
	for (unsigned i = 0; i < 100; i++)
		assert_int_equal(choose(UPSTREAM_LEAST, 0), 2);
	peers[2].weight = 1;
	for (unsigned i = 0, seen = 0; seen != 10; i++) {
		int peer = choose(UPSTREAM_LEAST, 0);

		assert_true(peer == 1 || peer == 3);
		seen |= 1u << peer;
		assert_true(i < 1000);
	}
}

static void random_never_takes_the_heaviest_of_two_and_reaches_all(void **state)
{
	unsigned got[PEERS] = {0};

	some_peers();
	peers[4].active = 100;
	for (unsigned i = 0; i < 10000; i++)
		got[choose(UPSTREAM_RANDOM, 0)]++;
	for (unsigned i = 0; i < 4; i++)
		assert_in_range(got[i], 1500, 3000);
	/* Only where both draws were the same. */
	assert_in_range(got[4], 200, 700);
}

static void hash_moves_only_the_keys_of_who_goes(void **state)
{
	unsigned moved = 0, got[PEERS] = {0};
	int before[5000];

	some_peers();
	peers[1].weight = 2;
	for (unsigned key = 0; key < 5000; key++) {
		before[key] = choose(UPSTREAM_HASH, key);
		got[before[key]]++;
		assert_int_equal(choose(UPSTREAM_HASH, key), before[key]);
	}
	assert_in_range(got[1], 1400, 1950);
	assert_in_range(got[0], 650, 1050);
	peers[3].down = true;
	for (unsigned key = 0; key < 5000; key++) {
		int now = choose(UPSTREAM_HASH, key);

		assert_int_not_equal(now, 3);
		if (before[key] != 3)
			assert_int_equal(now, before[key]);
		moved += now != before[key];
	}
	assert_int_equal(moved, got[3]);
}

/* A plain statement of the tiers, against random states of the peers. */
static bool may_be_chosen(unsigned i)
{
	bool up = false, backup = false, full = false;

	for (unsigned k = 0; k < PEERS; k++) {
		const struct upstream_candidate *p = &peers[k];
		bool is_full = p->active_max && p->active >= p->active_max;

		if (p->tried || p->weight == 0 || p->down)
			continue;
		full |= is_full;
		up |= !is_full && !p->backup;
		backup |= !is_full && p->backup;
	}
	if (peers[i].tried || peers[i].weight == 0 ||
	    (peers[i].active_max && peers[i].active >= peers[i].active_max))
		return false;
	if (peers[i].down)
		return !up && !backup && !full;
	return up ? !peers[i].backup : peers[i].backup;
}

static void every_method_chooses_within_the_first_tier_that_has_one(void **state)
{
	for (unsigned round = 0; round < 50000; round++) {
		enum upstream_method method =
		    (enum upstream_method)(next_random() % UPSTREAM_METHOD_COUNT);
		struct upstream_choice choice;
		bool any = false;

		some_peers();
		for (unsigned i = 0; i < PEERS; i++) {
			uint64_t r = next_random() >> 20;

			peers[i].weight = (uint32_t)(r % 4);
			peers[i].active = (uint32_t)(r >> 2) % 4;
			peers[i].active_max = (uint32_t)(r >> 4) % 4;
			peers[i].backup = r >> 6 & 1;
			peers[i].down = r >> 7 & 1;
			peers[i].tried = r >> 8 & 1;
		}
		for (unsigned i = 0; i < PEERS; i++)
			any |= may_be_chosen(i);
		choice =
		    upstream_choose(method, peers, PEERS, next_random(), next_random(), &turns);
		assert_int_equal(choice.peer >= 0, any);
		if (any)
			assert_true(may_be_chosen((unsigned)choice.peer));
	}
}

static void a_full_peer_that_is_up_is_waited_for(void **state)
{
	struct upstream_choice choice;

	some_peers();
	for (unsigned i = 0; i < PEERS; i++)
		peers[i].down = i > 0;
	peers[0].active = peers[0].active_max = 3;
	choice = upstream_choose(UPSTREAM_LEAST, peers, PEERS, 0, 1, &turns);
	assert_int_equal(choice.peer, -1);
	assert_true(choice.full);
}

static void methods_have_names(void **state)
{
	enum upstream_method method;

	for (unsigned i = 0; i < UPSTREAM_METHOD_COUNT; i++) {
		assert_int_equal(
		    upstream_method_parse(upstream_method_name((enum upstream_method)i), &method),
		    0);
		assert_int_equal(method, i);
	}
	assert_true(upstream_method_parse("roundrobin", &method) < 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(round_robin_gives_each_its_weight_evenly),
	    cmocka_unit_test(least_takes_the_lightest_for_its_weight),
	    cmocka_unit_test(random_never_takes_the_heaviest_of_two_and_reaches_all),
	    cmocka_unit_test(hash_moves_only_the_keys_of_who_goes),
	    cmocka_unit_test(every_method_chooses_within_the_first_tier_that_has_one),
	    cmocka_unit_test(a_full_peer_that_is_up_is_waited_for),
	    cmocka_unit_test(methods_have_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
