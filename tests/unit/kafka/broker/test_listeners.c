/*
 * Listeners as Kafka's settings name them: which are opened, and what their clients are told.
 */
#include "unit/unit.h"

#include <errno.h>

#include "kafka/broker/kafka_listeners.h"

static struct kafka_listener listeners[KAFKA_LISTENERS_MAX];
static unsigned count;
static struct err err;

static int parse(const char *settings)
{
	struct kafka_config config;
	int r;

	err = (struct err){0};
	kafka_config_init(&config);
	r = kafka_config_parse(&config, slice_of(settings), "f", &err);
	if (r == 0)
		r = kafka_listeners_parse(&config, listeners, &count, &err);
	kafka_config_fini(&config);
	return r;
}

static void assert_listener(unsigned nth, const char *name, const char *where, const char *host,
			    int port)
{
	assert_true(nth < count);
	assert_string_equal(listeners[nth].name, name);
	assert_string_equal(listeners[nth].where, where);
	assert_string_equal(listeners[nth].host, host);
	assert_int_equal(listeners[nth].port, port);
}

static void without_a_setting_there_is_none(void **state)
{
	assert_int_equal(parse(""), 0);
	assert_int_equal(count, 0);
	/* Who listens elsewhere is told by the command line. */
	assert_int_equal(parse("advertised.listeners=PLAINTEXT://h:1"), 0);
}

static void one_listener(void **state)
{
	assert_int_equal(parse("listeners=PLAINTEXT://:9092"), 0);
	assert_int_equal(count, 1);
	assert_listener(0, "PLAINTEXT", ":9092", "", 0);
	assert_int_equal(parse("listeners=plaintext://[::1]:9092\n"
			       "advertised.listeners=PLAINTEXT://kafka.example:19092"),
			 0);
	assert_listener(0, "PLAINTEXT", "[::1]:9092", "kafka.example", 19092);
}

/* As people run it in containers: one listener for each other, one for the world. */
static void several_listeners_have_names(void **state)
{
	assert_int_equal(
	    parse("process.roles=broker,controller\ncontroller.listener.names=CTRL\n"
		  "listeners=INTERNAL://0.0.0.0:29092, CTRL://localhost:29093 ,External://:9092\n"
		  "advertised.listeners=INTERNAL://broker:29092,EXTERNAL://localhost:9092,"
		  "CTRL://localhost:29093\n"
		  "listener.security.protocol.map=CTRL:PLAINTEXT,INTERNAL:PLAINTEXT,EXTERNAL:"
		  "plaintext\n"
		  "inter.broker.listener.name=INTERNAL\n"),
	    0);
	assert_int_equal(count, 2);
	assert_listener(0, "INTERNAL", "0.0.0.0:29092", "broker", 29092);
	assert_listener(1, "EXTERNAL", ":9092", "localhost", 9092);
}

static void controllers_have_their_name_without_a_map(void **state)
{
	assert_int_equal(parse("listeners=PLAINTEXT://:9092,CONTROLLER://:9093"), 0);
	assert_int_equal(count, 1);
}

static void what_is_no_listener_is_refused(void **state)
{
	static const struct {
		const char *settings, *says;
	} cases[] = {
	    {"listeners=", "there is none"},
	    {"listeners=CONTROLLER://:9093", "there is none"},
	    {"listeners=localhost:9092", "not of the form"},
	    {"listeners=://localhost:9092", "not of the form"},
	    {"listeners=SSL://:9092", "listeners: SSL: only PLAINTEXT is"},
	    {"listeners=SASL_PLAINTEXT://:9092", "only PLAINTEXT"},
	    {"listeners=INTERNAL://:9092", "does not say what INTERNAL stands for"},
	    {"listeners=A://:1\nlistener.security.protocol.map=A:SSL",
	     "A is for SSL: only PLAINTEXT"},
	    {"listeners=PLAINTEXT://:1\nlistener.security.protocol.map=A:PLAINTEXT",
	     "does not say what PLAINTEXT"},
	    {"listeners=PLAINTEXT://:1,plaintext://:2", "there twice"},
	    {"listeners=PLAINTEXT://:1\nadvertised.listeners=OTHER://h:1",
	     "there is no listener OTHER"},
	    {"listeners=PLAINTEXT://:1\nadvertised.listeners=PLAINTEXT://h", "must be HOST:PORT"},
	    {"listeners=PLAINTEXT://:1\nadvertised.listeners=PLAINTEXT://h:0", "must be HOST:PORT"},
	    {"listeners=PLAINTEXT://:1\nadvertised.listeners=PLAINTEXT://0.0.0.0:1",
	     "advertised.listeners: 0.0.0.0:1 is no address that clients can go to"},
	    {"listeners=PLAINTEXT://:1\nadvertised.listeners=PLAINTEXT://[::]:1", "can go to"},
	    {"listeners=PLAINTEXT://:1\nadvertised.listeners=PLAINTEXT://[0::0.0.0.0]:1",
	     "can go to"},
	    {"listeners=PLAINTEXT://:1\nadvertised.listeners=PLAINTEXT://[::ffff:0.0.0.0]:1",
	     "can go to"},
	    {"listeners=PLAINTEXT://:1\nadvertised.listeners=PLAINTEXT://0:1", "can go to"},
	    {"listeners=PLAINTEXT://:1\nadvertised.listeners=PLAINTEXT://*:1", "can go to"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		assert_int_equal(parse(cases[i].settings), -EINVAL);
		if (!strstr(err.text, cases[i].says))
			fail_msg("%s: %s", cases[i].settings, err.text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(without_a_setting_there_is_none),
	    cmocka_unit_test(one_listener),
	    cmocka_unit_test(several_listeners_have_names),
	    cmocka_unit_test(controllers_have_their_name_without_a_map),
	    cmocka_unit_test(what_is_no_listener_is_refused),
	};

	return cmocka_run_group_tests_name("kafka/broker/listeners", tests, NULL, NULL);
}
