/*
 * Kafka's settings: values, units, what is refused and why.
 */
#include "unit/unit.h"

#include <errno.h>
#include <stdio.h>

#include "kafka/broker/config.h"
#include "kafka/broker/config_told.h"

static struct kafka_config config;
static struct err err;

static int setup(void **state)
{
	kafka_config_init(&config);
	err = (struct err){0};
	return 0;
}

static int teardown(void **state)
{
	kafka_config_fini(&config);
	return 0;
}

static const char *settings_path;

static int parse(const char *text)
{
	return kafka_config_parse(&config, slice_of(text), "f", &err);
}

static void names_have_kafkas_defaults(void **state)
{
	assert_int_equal(config_value(&config, KAFKA_CONFIG_PARTITIONS), 1);
	assert_int_equal(config_value(&config, KAFKA_CONFIG_REQUEST_MAX), 104857600);
	assert_int_equal(config_value(&config, KAFKA_CONFIG_OFFSETS_RETENTION), 10080);
	assert_int_equal(config.topics.values[TOPIC_CONFIG_RETENTION_MS], 604800000);
	assert_int_equal(config.set, 0);
}

static void a_file_is_read(void **state)
{
	assert_int_equal(parse("# a comment\r\n! another\n\n num.partitions = 7\r\n"
			       "log.segment.bytes:2048\nlisteners=PLAINTEXT://h:1\nbroker.id=3"),
			 0);
	assert_int_equal(config_value(&config, KAFKA_CONFIG_PARTITIONS), 7);
	assert_int_equal(config_value(&config, KAFKA_CONFIG_NODE_ID), 3);
	assert_int_equal(config.topics.values[TOPIC_CONFIG_SEGMENT_BYTES], 2048);
	assert_string_equal(config_text(&config, KAFKA_TEXT_LISTENERS), "PLAINTEXT://h:1");
	assert_true(config.set >> KAFKA_CONFIG_PARTITIONS & 1);
}

static void a_choice_is_one_of_its_words(void **state)
{
	char text[32];
	struct buf buf = buf_over(text, sizeof(text));

	assert_int_equal(config_value(&config, KAFKA_CONFIG_VALIDATION), 0);
	assert_int_equal(parse("leat.produce.validation=relaxed\n"), 0);
	assert_int_equal(config_value(&config, KAFKA_CONFIG_VALIDATION), 1);
	kafka_config_format(KAFKA_CONFIG_VALIDATION, config_value(&config, KAFKA_CONFIG_VALIDATION),
			    &buf);
	assert_true(slice_eq(buf_slice(&buf), slice_of("relaxed")));
	assert_int_equal(parse("leat.produce.validation=lax\n"), -EINVAL);
	assert_non_null(strstr(err.text, "one of strict,relaxed,header"));
}

static void the_smaller_unit_wins(void **state)
{
	assert_int_equal(parse("log.retention.hours=2\n"), 0);
	assert_int_equal(config.topics.values[TOPIC_CONFIG_RETENTION_MS], 7200000);
	assert_int_equal(parse("log.retention.ms=5\nlog.retention.minutes=9\n"), 0);
	assert_int_equal(config.topics.values[TOPIC_CONFIG_RETENTION_MS], 5);
	setup(NULL);
	assert_int_equal(parse("log.retention.hours=2\nlog.retention.minutes=9\n"), 0);
	assert_int_equal(config.topics.values[TOPIC_CONFIG_RETENTION_MS], 9 * 60000);
	setup(NULL);
	assert_int_equal(parse("log.retention.minutes=9\nlog.retention.hours=2\n"), 0);
	assert_int_equal(config.topics.values[TOPIC_CONFIG_RETENTION_MS], 9 * 60000);
	setup(NULL);
	assert_int_equal(parse("log.retention.hours=-1\n"), 0);
	assert_int_equal(config.topics.values[TOPIC_CONFIG_RETENTION_MS], -1);
}

static void what_makes_no_sense_names_its_line(void **state)
{
	static const struct {
		const char *text, *says;
	} cases[] = {
	    {"num.partitions=4\nnum.partitions=many", "f:2: num.partitions is a number"},
	    {"num.partitions=0", "f:1: num.partitions is from 1"},
	    {"auto.create.topics.enable=yes", "true or false"},
	    {"default.replication.factor=3", "always 1"},
	    {"no.such.name=1", "there is no setting 'no.such.name'"},
	    {"sasl.enabled.mechanisms=PLAIN", "SASL is not supported"},
	    {"ssl.keystore.location=x", "TLS is not supported"},
	    {"remote.log.storage.system.enable=true", "tiered storage"},
	    {"log.retention.hours=9999999999999999",
	     "f:1: log.retention.hours is from -1 to 2562047788015, not '9999999999999999'"},
	    {"log.retention.ms=5\nlog.retention.hours=many",
	     "f:2: log.retention.hours is a number, not 'many'"},
	    {"compression.gzip.level=100", "compression.gzip.level is from -1 to 9, not '100'"},
	    {"compression.type=lz5",
	     "compression.type is one of producer,uncompressed,gzip,snappy,"},
	    {"log.cleanup.policy=shrink", "log.cleanup.policy is a list of delete,compact, not"},
	    {"log.preallocate=maybe", "log.preallocate is true or false, not 'maybe'"},
	    {"log.roll.hours=0", "log.roll.hours is from 1 to"},
	    {"=5", "f:1: a value without a setting's name"},
	    {"process.roles=controller", "this is a broker"},
	    {"retention.ms=5", "it is a topic's, the default for topics is log.retention.ms"},
	    {"log.cleaner.min.cleanable.ratio=2",
	     "log.cleaner.min.cleanable.ratio is from 0.0 to 1.0, not '2'"},
	    {"log.message.timestamp.difference.max.ms=5", "log.message.timestamp.before.max.ms"},
	    {"delegation.token.secret.key=x", "not supported"},
	    {"authorizer.class.name=org.X", "access control"},
	    {"a=b\\u12", "four hexadecimal digits"},
	    {"just a word", "there is no setting 'just'"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		err.text[0] = '\0';
		assert_int_equal(parse(cases[i].text), -EINVAL);
		assert_non_null(strstr(err.text, cases[i].says));
	}
}

/* A string of the protocol has 32767 bytes at most. */
static void what_no_client_can_be_told_is_refused(void **state)
{
	static char text[sizeof("broker.rack=") + INT16_MAX + 1] = "broker.rack=";

	memset(text + strlen(text), 'x', INT16_MAX);
	assert_int_equal(parse(text), 0);
	text[strlen(text)] = 'x';
	assert_int_equal(parse(text), -EINVAL);
	assert_non_null(strstr(err.text, "longer than 32767 bytes"));
}

/* Each is taken, ignored or refused; none is unknown. Where it is taken, Kafka's default is ours. */
static void check_kafkas(const char *name, const char *value)
{
	struct kafka_config defaults;
	int r;

	setup(NULL);
	kafka_config_init(&defaults);
	r = kafka_config_set(&config, slice_of(name), slice_of(value), "f", &err);
	if (r < 0 && strstr(err.text, "there is no setting"))
		fail_msg("%s is not known", name);
	/* There is one replica. */
	if (r == 0 && value[0] && strcmp(name, "offsets.topic.replication.factor") != 0 &&
	    (memcmp(config.values, defaults.values, sizeof(config.values)) != 0 ||
	     memcmp(config.topics.values, defaults.topics.values, sizeof(config.topics.values)) !=
		 0))
		fail_msg("%s is not %s by default", name, value);
	/* What asks for nothing is fine. */
	if (r < 0 && value[0] && strcmp(name, "broker.id") != 0 && strncmp(name, "ssl.", 4) != 0 &&
	    strncmp(name, "sasl.", 5) != 0)
		fail_msg("%s: Kafka's own default is refused: %s", name, err.text);
	teardown(NULL);
}

static void all_of_kafkas_settings_are_known(void **state)
{
	FILE *file = fopen(settings_path, "r");
	char line[300];
	int count = 0;

	assert_non_null(file);
	while (fgets(line, sizeof(line), file)) {
		char *space = strchr(line, ' ');

		line[strcspn(line, "\n")] = '\0';
		if (line[0] == '#')
			continue;
		if (space)
			*space = '\0';
		check_kafkas(line, space ? space + 1 : "");
		count++;
	}
	fclose(file);
	assert_int_equal(count, 424);
	setup(NULL);
}

static bool is_in_a_table(const char *name)
{
	for (int i = 0; i < KAFKA_CONFIG_COUNT; i++)
		if (strcmp(name, kafka_configs[i].name) == 0)
			return true;
	for (int i = 0; i < KAFKA_TEXT_COUNT; i++)
		if (strcmp(name, kafka_text_configs[i].name) == 0)
			return true;
	return topic_config_find_server(slice_of(name)) >= 0;
}

/* Told as without effect, and ignored or refused where it is set: in no other table. */
static void what_is_told_is_known_and_has_no_effect(void **state)
{
	struct kafka_config defaults;

	kafka_config_init(&defaults);
	assert_true(kafka_configs_told_count > 280);
	for (size_t i = 0; i < kafka_configs_told_count; i++) {
		const struct kafka_config_told *told = &kafka_configs_told[i];

		setup(NULL);
		if (is_in_a_table(told->name))
			fail_msg("%s has an effect: it is told by its table", told->name);
		assert_true(i == 0 || strcmp(kafka_configs_told[i - 1].name, told->name) < 0);
		if (kafka_config_set(&config, slice_of(told->name), slice_of("7"), "f", &err) < 0 &&
		    strstr(err.text, "there is no setting"))
			fail_msg("%s is not known", told->name);
		assert_memory_equal(config.values, defaults.values, sizeof(config.values));
		assert_true(told->kind != TOPIC_CONFIG_PASSWORD || !told->value);
		teardown(NULL);
	}
	setup(NULL);
}

static void what_only_tunes_kafka_is_ignored(void **state)
{
	assert_int_equal(parse("num.io.threads=8\nsocket.send.buffer.bytes=1\n"
			       "process.roles=broker,controller\ntransaction.state.log.min.isr=1\n"
			       "security.inter.broker.protocol=PLAINTEXT\n"
			       /* Of vendors. */
			       "confluent.license.topic.replication.factor=1\n"
			       "confluent.metrics.reporter.bootstrap.servers=b:1\n"
			       "cruise.control.metrics.topic=x\nstrimzi.x=1\n"),
			 0);
}

int main(int argc, char **argv)
{
	settings_path = argv[argc - 1];

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
	    TEST(names_have_kafkas_defaults),
	    TEST(a_file_is_read),
	    TEST(a_choice_is_one_of_its_words),
	    TEST(the_smaller_unit_wins),
	    TEST(what_makes_no_sense_names_its_line),
	    TEST(all_of_kafkas_settings_are_known),
	    TEST(what_no_client_can_be_told_is_refused),
	    TEST(what_is_told_is_known_and_has_no_effect),
	    TEST(what_only_tunes_kafka_is_ignored),
	};

	return cmocka_run_group_tests_name("kafka/broker/config", tests, NULL, NULL);
}
