/*
 * Answers that wait for the disk: each is given once, however many wakes come. The file under test is
 * linked with a partition and calls of the test's own.
 */
#include "unit/unit.h"

#include <stdlib.h>

#include "kafka/broker/durable.h"
#include "kafka/broker/watch.h"

static struct partition_watch watch;
static struct kafka_loop *home;
static int64_t durable_end;
static bool wakes_while_looked_at;
static int answers, topics;

/* ---- what is around it ---- */

void *partition_user(struct partition *partition)
{
	return &watch;
}

struct topic *partition_topic(const struct partition *partition)
{
	return NULL;
}

void topic_ref(struct topic *topic)
{
	topics++;
}

void topic_unref(struct topic *topic)
{
	topics--;
}

enum kafka_error partition_ends(struct partition *partition, struct partition_ends *ret)
{
	*ret = (struct partition_ends){.durable_end = durable_end};
	if (wakes_while_looked_at)
		partition_wake(partition);
	return KAFKA_NONE;
}

int loop_post(struct loop *loop, void (*fn)(void *arg), void *arg)
{
	return 0;
}

/* It leaves later: the client does not read. */
void call_answered(struct kafka_call *call, enum handled handled)
{
	assert_int_equal(handled, CALL_ANSWERED);
	answers++;
}

void call_free(struct kafka_call *call)
{
	call->release_state(call);
}

/* ---- tests ---- */

static int setup(void **state)
{
	partition_watch_init(&watch, NULL);
	home = calloc(1, sizeof(*home));
	if (!home)
		return -1;
	inbox_init(&home->inbox);
	durable_end = answers = topics = 0;
	wakes_while_looked_at = false;
	return 0;
}

static int teardown(void **state)
{
	inbox_deliver(&home->inbox);
	inbox_fini(&home->inbox);
	partition_watch_fini(&watch);
	free(home);
	return topics;
}

static void it_waits_until_its_offset_is_on_disk(void **state)
{
	struct kafka_call call = {.home = home, .own_bytes = true};

	assert_int_equal(durable_wait(&call, NULL, 5), CALL_WAITS);
	durable_end = 5;
	partition_wake(NULL);
	inbox_deliver(&home->inbox);
	assert_int_equal(answers, 0);
	durable_end = 6;
	partition_wake(NULL);
	inbox_deliver(&home->inbox);
	assert_int_equal(answers, 1);
	call_free(&call);
}

static void what_is_there_already_is_answered_at_once(void **state)
{
	struct kafka_call call = {.home = home, .own_bytes = true};

	durable_end = 6;
	assert_int_equal(durable_wait(&call, NULL, 5), CALL_ANSWERED);
	call_free(&call);
}

/* The wake finds the call answered, and its answer still on its way. */
static void a_wake_that_comes_late_answers_nothing(void **state)
{
	struct kafka_call call = {.home = home, .own_bytes = true};

	assert_int_equal(durable_wait(&call, NULL, 5), CALL_WAITS);
	partition_wake(NULL);
	durable_end = 6;
	wakes_while_looked_at = true;
	inbox_deliver(&home->inbox);
	assert_int_equal(answers, 1);
	inbox_deliver(&home->inbox);
	assert_int_equal(answers, 1);
	call_free(&call);
}

static void a_wake_in_the_handler_itself_answers_nothing(void **state)
{
	struct kafka_call call = {.home = home, .own_bytes = true};

	durable_end = 6;
	wakes_while_looked_at = true;
	assert_int_equal(durable_wait(&call, NULL, 5), CALL_ANSWERED);
	inbox_deliver(&home->inbox);
	assert_int_equal(answers, 0);
	call_free(&call);
}

static void whoever_is_gone_is_forgotten(void **state)
{
	struct kafka_call call = {.home = home, .own_bytes = true};

	assert_int_equal(durable_wait(&call, NULL, 5), CALL_WAITS);
	partition_wake(NULL);
	call.abandoned(&call);
	inbox_deliver(&home->inbox);
	assert_int_equal(answers, 0);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
	    TEST(it_waits_until_its_offset_is_on_disk),
	    TEST(what_is_there_already_is_answered_at_once),
	    TEST(a_wake_that_comes_late_answers_nothing),
	    TEST(a_wake_in_the_handler_itself_answers_nothing),
	    TEST(whoever_is_gone_is_forgotten),
	};

	return cmocka_run_group_tests_name("kafka/broker/durable", tests, NULL, NULL);
}
