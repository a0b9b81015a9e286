/* Groups: peers from texts, failing and coming back, limits. */
#include "unit/unit.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#include "upstream/upstream.h"

static struct upstream_group group;
static struct upstream_turns turns;

static void make(const char *a, const char *b)
{
	const char *texts[] = {a, b};
	struct err err = {""};

	memset(&group, 0, sizeof(group));
	memset(&turns, 0, sizeof(turns));
	group.fails_max = 2;
	group.down_ms = 1000;
	if (upstream_group_init(&group, texts, b ? 2 : 1, &err) < 0)
		fail_msg("%s", err.text);
}

static struct upstream_peer *take(uint64_t now_ms, struct upstream_tried *tried)
{
	bool full;

	return upstream_take(&group, &turns, 0, now_ms, now_ms, tried, &full);
}

static void texts_make_peers(void **state)
{
	const struct sockaddr_in *v4;
	const struct sockaddr_in6 *v6;

	make("127.0.0.1:5432,weight=3,max=100", "[::1]:80,backup");
	assert_int_equal(group.count, 2);
	v4 = (struct sockaddr_in *)&group.peers[0].address;
	v6 = (struct sockaddr_in6 *)&group.peers[1].address;
	assert_string_equal(group.peers[0].name, "127.0.0.1:5432");
	assert_int_equal(v4->sin_family, AF_INET);
	assert_int_equal(v4->sin_port, htons(5432));
	assert_int_equal(group.peers[0].weight, 3);
	assert_int_equal(group.peers[0].active_max, 100);
	assert_int_equal(v6->sin6_family, AF_INET6);
	assert_true(group.peers[1].backup);
	upstream_group_fini(&group);
	make("unix:/run/x,backup,weight=0", NULL);
	assert_int_equal(group.peers[0].address.ss_family, AF_UNIX);
	assert_int_equal(group.peers[0].weight, 0);
	upstream_group_fini(&group);
}

static void bad_texts_say_what_is_expected(void **state)
{
	static const char *const bad[] = {"",
					  "host",
					  "host:",
					  ":80",
					  "127.0.0.1:0",
					  "127.0.0.1:65536",
					  "127.0.0.1:http",
					  "::1:80",
					  "127.0.0.1:80,",
					  "127.0.0.1:80,weight=257",
					  "127.0.0.1:80,weight=-1",
					  "127.0.0.1:80,max=0",
					  "127.0.0.1:80,backup=1",
					  "unix:",
					  "*:80",
					  "8080",
					  "fd:3",
					  "name.invalid:80"};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct err err = {""};

		assert_true(upstream_group_init(&group, &bad[i], 1, &err) < 0);
		assert_int_not_equal(err.text[0], 0);
		assert_null(group.peers);
	}
}

static void a_peer_that_fails_in_a_row_is_down_for_a_while(void **state)
{
	struct upstream_tried tried = {0};
	struct upstream_peer *a, *b;

	make("127.0.0.1:1", "127.0.0.1:2");
	a = &group.peers[0];
	b = &group.peers[1];
	for (unsigned i = 0; i < 2; i++) {
		tried = (struct upstream_tried){{2}};
		assert_ptr_equal(take(100, &tried), a);
		assert_int_equal(upstream_failed(&group, a, 100), i == 1);
	}
	assert_true(upstream_is_down(a, 1099));
	for (unsigned i = 0; i < 5; i++) {
		tried = (struct upstream_tried){0};
		assert_ptr_equal(take(500, &tried), b);
		upstream_give(b);
	}
	/* Its time is over: one more failure is enough, one success makes it as good as new. */
	assert_false(upstream_is_down(a, 1100));
	tried = (struct upstream_tried){{2}};
	assert_ptr_equal(take(1100, &tried), a);
	assert_true(upstream_failed(&group, a, 1100));
	tried = (struct upstream_tried){{2}};
	assert_ptr_equal(take(2200, &tried), a);
	upstream_connected(a);
	upstream_give(a);
	tried = (struct upstream_tried){{2}};
	assert_ptr_equal(take(2200, &tried), a);
	assert_false(upstream_failed(&group, a, 2200));
	assert_int_equal(a->failures, 4);
	assert_int_equal(a->downs, 2);
	assert_int_equal(a->active, 0);
	upstream_group_fini(&group);
}

static void where_all_are_down_one_is_tried_all_the_same(void **state)
{
	struct upstream_tried tried = {0};

	make("127.0.0.1:1", NULL);
	for (unsigned i = 0; i < 5; i++) {
		tried = (struct upstream_tried){0};
		assert_non_null(take(10, &tried));
		upstream_failed(&group, &group.peers[0], 10);
	}
	upstream_group_fini(&group);
}

static void no_peer_is_tried_twice_for_one_connection(void **state)
{
	struct upstream_tried tried = {0};
	struct upstream_peer *first, *second;

	make("127.0.0.1:1", "127.0.0.1:2");
	first = take(10, &tried);
	second = take(10, &tried);
	assert_true(first && second && first != second);
	assert_null(take(10, &tried));
	upstream_give(first);
	upstream_give(second);
	upstream_group_fini(&group);
}

static void a_limit_of_connections_holds(void **state)
{
	struct upstream_tried tried;
	bool full;

	make("127.0.0.1:1,max=2", NULL);
	for (unsigned i = 0; i < 2; i++) {
		tried = (struct upstream_tried){0};
		assert_non_null(take(10, &tried));
	}
	tried = (struct upstream_tried){0};
	assert_null(upstream_take(&group, &turns, 0, 1, 10, &tried, &full));
	assert_true(full);
	upstream_give(&group.peers[0]);
	assert_non_null(upstream_take(&group, &turns, 0, 1, 10, &tried, &full));
	upstream_group_fini(&group);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(texts_make_peers),
	    cmocka_unit_test(bad_texts_say_what_is_expected),
	    cmocka_unit_test(a_peer_that_fails_in_a_row_is_down_for_a_while),
	    cmocka_unit_test(where_all_are_down_one_is_tried_all_the_same),
	    cmocka_unit_test(no_peer_is_tried_twice_for_one_connection),
	    cmocka_unit_test(a_limit_of_connections_holds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
