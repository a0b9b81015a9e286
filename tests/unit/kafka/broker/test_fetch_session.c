/*
 * Fetch sessions: ids and epochs, room, and their partitions against a plain list.
 */
#include "unit/unit.h"

#include <stdio.h>
#include <stdlib.h>

#include "kafka/broker/core/fetch_session.h"

static struct fetch_sessions sessions;
static struct held held;

static int setup(void **state)
{
	fetch_sessions_init(&sessions, 3, 2, 4);
	sessions.held = &held;
	sessions.secret = 4711;
	return 0;
}

static int teardown(void **state)
{
	fetch_sessions_fini(&sessions);
	return held.bytes[HELD_SESSIONS] == 0 ? 0 : -1;
}

static struct session_part part(const char *topic, int32_t number, int64_t offset)
{
	return (
	    struct session_part){.topic = slice_of(topic), .partition = number, .offset = offset};
}

static void epochs_count_up_and_others_are_refused(void **state)
{
	struct fetch_session *session = fetch_session_new(&sessions, false, 0), *found;

	assert_int_equal(session->id % 4, 2);
	fetch_session_done(session);
	assert_int_equal(fetch_session_use(&sessions, session->id, 2, false, 0, &found),
			 KAFKA_INVALID_FETCH_SESSION_EPOCH);
	assert_int_equal(fetch_session_use(&sessions, session->id, 1, true, 0, &found),
			 KAFKA_FETCH_SESSION_TOPIC_ID_ERROR);
	assert_int_equal(fetch_session_use(&sessions, session->id + 4, 1, false, 0, &found),
			 KAFKA_FETCH_SESSION_ID_NOT_FOUND);
	assert_int_equal(fetch_session_use(&sessions, 0, 1, false, 0, &found),
			 KAFKA_FETCH_SESSION_ID_NOT_FOUND);
	assert_int_equal(fetch_session_use(&sessions, session->id, 1, false, 0, &found), 0);
	assert_ptr_equal(found, session);
	/* Somebody else, while it is used. */
	assert_int_equal(fetch_session_use(&sessions, session->id, 2, false, 0, &found),
			 KAFKA_INVALID_FETCH_SESSION_EPOCH);
	fetch_session_done(session);
	session->epoch = INT32_MAX;
	assert_int_equal(fetch_session_use(&sessions, session->id, INT32_MAX, false, 0, &found), 0);
	assert_int_equal(session->epoch, 1);
	/* Ended by another, it lives as long as it is used. */
	fetch_session_end(&sessions, session->id);
	assert_int_equal(sessions.count, 0);
	assert_true(session->ended);
	fetch_session_done(session);
}

static void the_one_unused_longest_makes_room(void **state)
{
	struct fetch_session *three[3], *found;
	int32_t first;

	for (int i = 0; i < 3; i++) {
		three[i] = fetch_session_new(&sessions, false, 10);
		fetch_session_done(three[i]);
	}
	first = three[0]->id;
	assert_null(fetch_session_new(&sessions, false, 11));
	assert_int_equal(fetch_session_use(&sessions, first, 1, false, 20, &found), 0);
	fetch_session_done(found);
	found = fetch_session_new(&sessions, false, 10 + FETCH_SESSION_IDLE_MS);
	assert_non_null(found);
	fetch_session_done(found);
	assert_int_equal(fetch_session_use(&sessions, first, 2, false, 0, &found), 0);
	fetch_session_done(found);
	assert_int_equal(sessions.count, 3);
}

static void partitions_are_those_put_and_not_forgotten(void **state)
{
	static const struct kafka_uuid none;
	struct fetch_session *session = fetch_session_new(&sessions, false, 0);
	int64_t model[4][64];
	char name[4];

	memset(model, 0xff, sizeof(model));
	srand(3);
	for (int i = 0; i < 20000; i++) {
		int topic = rand() % 4, number = rand() % 64;
		uint32_t count = 0;

		snprintf(name, sizeof(name), "t%d", topic);
		if (rand() % 3) {
			const struct session_part each = part(name, number, i);

			assert_true(fetch_session_put(session, &each));
			model[topic][number] = i;
		} else {
			fetch_session_forget(session, slice_of(name), &none, number);
			model[topic][number] = -1;
		}
		if (rand() % 4)
			continue;
		for (uint32_t n = 0; n < session->count; n++)
			session->parts[n].served = rand() % 2;
		session->unfair = rand() % 2;
		assert_true(fetch_session_settle(session));
		for (int t = 0; t < 4; t++)
			for (int p = 0; p < 64; p++)
				count += model[t][p] >= 0;
		assert_int_equal(session->count, count);
		for (uint32_t n = 0; n < session->count; n++) {
			const struct session_part *each = &session->parts[n];

			assert_int_equal(each->offset,
					 model[each->topic.ptr[1] - '0'][each->partition]);
		}
	}
	fetch_session_done(session);
}

static void who_was_served_comes_last_after_a_full_answer(void **state)
{
	struct fetch_session *session = fetch_session_new(&sessions, false, 0);

	for (int i = 0; i < 4; i++) {
		const struct session_part each = part("t", i, 0);

		assert_true(fetch_session_put(session, &each));
		session->parts[i].served = i < 2;
	}
	session->unfair = true;
	assert_true(fetch_session_settle(session));
	for (int i = 0; i < 4; i++)
		assert_int_equal(session->parts[i].partition, (i + 2) % 4);
	fetch_session_done(session);
}

static void too_many_partitions_are_refused(void **state)
{
	struct fetch_session *session = fetch_session_new(&sessions, false, 0);
	int32_t count = 0;

	for (bool fits = true; fits; count += fits) {
		const struct session_part each = part("t", count, 0);

		fits = fetch_session_put(session, &each);
	}
	assert_int_equal(count, FETCH_SESSION_PARTITIONS_MAX);
	/* Those that are there can still be changed. */
	for (int32_t i = 0; i < count; i++) {
		const struct session_part each = part("t", i, 5);

		assert_true(fetch_session_put(session, &each));
	}
	fetch_session_done(session);
}

static void what_names_of_topics_take_is_bounded(void **state)
{
	struct fetch_session *session = fetch_session_new(&sessions, false, 0);
	char *name = calloc(1, INT16_MAX);
	int32_t count = 0;

	assert_non_null(name);
	memset(name, 'x', INT16_MAX);
	for (bool fits = true; fits; count += fits) {
		const struct session_part each = {.topic = slice_make(name, INT16_MAX),
						  .partition = count};

		fits = fetch_session_put(session, &each);
	}
	assert_in_range(count, HELD_SESSIONS_MAX / (INT16_MAX + 200),
			HELD_SESSIONS_MAX / INT16_MAX);
	/* What is forgotten makes room. */
	fetch_session_forget(session, slice_make(name, INT16_MAX), &(struct kafka_uuid){0}, 0);
	assert_true(fetch_session_settle(session));
	const struct session_part another = part("t", 1, 0);

	assert_true(fetch_session_put(session, &another));
	fetch_session_done(session);
	free(name);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
	    TEST(epochs_count_up_and_others_are_refused),
	    TEST(the_one_unused_longest_makes_room),
	    TEST(partitions_are_those_put_and_not_forgotten),
	    TEST(who_was_served_comes_last_after_a_full_answer),
	    TEST(too_many_partitions_are_refused),
	    TEST(what_names_of_topics_take_is_bounded),
	};

	return cmocka_run_group_tests_name("kafka/broker/fetch_session", tests, NULL, NULL);
}
