#include "kafka/broker/config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "kafka/broker/properties.h"

#define KAFKA_CONFIG_INFO(id, name, kind, preset, min, max, text) \
	[KAFKA_CONFIG_##id] = {name, kind, preset, min, max, text},
const struct kafka_config_info kafka_configs[KAFKA_CONFIG_COUNT] = {
    KAFKA_CONFIGS(KAFKA_CONFIG_INFO)};
#undef KAFKA_CONFIG_INFO

#define KAFKA_CONFIG_WORDS_ROW(id, words) [KAFKA_CONFIG_##id] = (words),
static const char *const config_words[KAFKA_CONFIG_COUNT] = {
    KAFKA_CONFIG_WORDS(KAFKA_CONFIG_WORDS_ROW)};
#undef KAFKA_CONFIG_WORDS_ROW

#define KAFKA_TEXT_INFO(id, name, text) [KAFKA_TEXT_##id] = {name, text},
const struct kafka_text_info kafka_text_configs[KAFKA_TEXT_COUNT] = {
    KAFKA_TEXT_CONFIGS(KAFKA_TEXT_INFO)};
#undef KAFKA_TEXT_INFO

/* Names that Kafka has and leat does nothing with; a '*' at the end stands for anything. */
static const struct other {
	const char *name;
	const char *refused; /* NULL: harmless */
	const char *fine;    /* the value that asks for nothing; besides, none at all does so */
} others[] = {
    {"alter.config.policy.class.name", "policies are not supported", NULL},
    {"allow.everyone.if.no.acl.found", "access control is not supported", "true"},
    {"authorizer.*", "access control is not supported", NULL},
    {"client.quota.callback.class", "quotas are not supported", NULL},
    {"config.providers*", "values are not looked up elsewhere", NULL},
    {"cordoned.log.dirs", "directories can't be cordoned off", NULL},
    {"create.topic.policy.class.name", "policies are not supported", NULL},
    {"delegation.token.master.key", "delegation tokens are not supported", NULL},
    {"delegation.token.secret.key", "delegation tokens are not supported", NULL},
    {"listener.name.*", "of single listeners' settings there is only max.connections", NULL},
    {"log.message.timestamp.difference.max.ms",
     "say log.message.timestamp.before.max.ms and log.message.timestamp.after.max.ms",
     "9223372036854775807"},
    {"principal.builder.class", "access control is not supported",
     "org.apache.kafka.common.security.authenticator.DefaultKafkaPrincipalBuilder"},
    {"remote.log.storage.system.enable", "tiered storage is not supported", "false"},
    {"sasl.*", "SASL is not supported", NULL},
    {"ssl.client.auth", "TLS is not supported", "none"},
    {"ssl.*", "TLS is not supported", NULL},
    {"super.users", "access control is not supported", NULL},
    {"add.partitions.to.txn.*", NULL, NULL},
    {"alter.log.dirs.replication.quota.*", NULL, NULL},
    {"auto.include.jmx.reporter", NULL, NULL},
    {"auto.leader.rebalance.enable", NULL, NULL},
    {"background.threads", NULL, NULL},
    {"broker.heartbeat.interval.ms", NULL, NULL},
    {"broker.id.generation.enable", NULL, NULL},
    {"broker.session.timeout.ms", NULL, NULL},
    {"confluent.*", NULL, NULL},
    {"connection.failed.authentication.delay.ms", NULL, NULL},
    {"connections.max.reauth.ms", NULL, NULL},
    {"control.plane.listener.name", NULL, NULL},
    {"controlled.shutdown.*", NULL, NULL},
    {"controller.*", NULL, NULL},
    {"cruise.control.*", NULL, NULL},
    {"delegation.token.*", NULL, NULL},
    {"delete.records.purgatory.*", NULL, NULL},
    {"early.start.listeners", NULL, NULL},
    {"eligible.leader.replicas.enable", NULL, NULL},
    {"errors.deadletterqueue.*", NULL, NULL},
    {"fetch.purgatory.*", NULL, NULL},
    {"follower.fetch.*", NULL, NULL},
    {"group.consumer.*", NULL, NULL},
    {"group.coordinator.*", NULL, NULL},
    {"group.share.*", NULL, NULL},
    {"group.streams.*", NULL, NULL},
    {"initial.broker.registration.timeout.ms", NULL, NULL},
    {"inter.broker.*", NULL, NULL},
    {"internal.*", NULL, NULL},
    {"kafka.metrics.*", NULL, NULL},
    {"leader.imbalance.*", NULL, NULL},
    {"log.cleaner.backoff.ms", NULL, NULL},
    {"log.cleaner.dedupe.buffer.size", NULL, NULL},
    {"log.cleaner.enable", NULL, NULL},
    {"log.cleaner.io.*", NULL, NULL},
    {"log.cleaner.threads", NULL, NULL},
    {"log.dir.failure.timeout.ms", NULL, NULL},
    {"log.flush.offset.checkpoint.interval.ms", NULL, NULL},
    {"log.flush.scheduler.interval.ms", NULL, NULL},
    {"log.flush.start.offset.checkpoint.interval.ms", NULL, NULL},
    {"log.message.downconversion.enable", NULL, NULL},
    {"log.message.format.version", NULL, NULL},
    {"log.remote.*", NULL, NULL},
    {"max.connection.creation.rate", NULL, NULL},
    {"metadata.*", NULL, NULL},
    {"metric.reporters", NULL, NULL},
    {"metrics.*", NULL, NULL},
    {"num.io.threads", NULL, NULL},
    {"num.network.threads", NULL, NULL},
    {"num.recovery.threads.per.data.dir", NULL, NULL},
    {"num.replica.*", NULL, NULL},
    {"offsets.commit.*", NULL, NULL},
    {"offsets.load.buffer.size", NULL, NULL},
    {"offsets.topic.compression.codec", NULL, NULL},
    {"password.encoder.*", NULL, NULL},
    {"producer.id.expiration.check.interval.ms", NULL, NULL},
    {"producer.purgatory.*", NULL, NULL},
    {"queued.max.*", NULL, NULL},
    {"quota.*", NULL, NULL},
    {"remote.*", NULL, NULL},
    {"replica.*", NULL, NULL},
    {"replication.quota.*", NULL, NULL},
    {"request.timeout.ms", NULL, NULL},
    {"reserved.broker.max.id", NULL, NULL},
    {"rlmm.config.*", NULL, NULL},
    {"rsm.config.*", NULL, NULL},
    {"security.*", NULL, NULL},
    {"server.max.startup.time.ms", NULL, NULL},
    {"share.*", NULL, NULL},
    {"socket.connection.setup.*", NULL, NULL},
    {"socket.listen.backlog.size", NULL, NULL},
    {"socket.receive.buffer.bytes", NULL, NULL},
    {"socket.send.buffer.bytes", NULL, NULL},
    {"strimzi.*", NULL, NULL},
    {"telemetry.max.bytes", NULL, NULL},
    {"transaction.*", NULL, NULL},
    {"transactional.id.expiration.ms", NULL, NULL},
    {"unclean.leader.election.interval.ms", NULL, NULL},
    {"unstable.*", NULL, NULL},
    {"zookeeper.*", NULL, NULL},
};

void kafka_config_init(struct kafka_config *config)
{
	*config = (struct kafka_config){0};
	for (size_t i = 0; i < KAFKA_CONFIG_COUNT; i++)
		config->values[i] = kafka_configs[i].preset;
	topic_config_init(&config->topics);
}

void kafka_config_fini(struct kafka_config *config)
{
	for (size_t i = 0; i < KAFKA_TEXT_COUNT; i++)
		free(config->texts[i]);
}

/* ---- values ---- */

static int parse_number(struct slice text, int64_t *ret)
{
	char digits[24], *end;

	if (text.len == 0 || text.len >= sizeof(digits))
		return -EINVAL;
	memcpy(digits, text.ptr, text.len);
	digits[text.len] = '\0';
	if (strspn(digits, "-0123456789") != text.len)
		return -EINVAL;
	errno = 0;
	*ret = strtoll(digits, &end, 10);
	return errno || *end ? -EINVAL : 0;
}

static int parse_value(enum kafka_config_id id, struct slice text, int64_t *ret)
{
	const struct kafka_config_info *info = &kafka_configs[id];
	int64_t value;

	if (info->kind == TOPIC_CONFIG_CHOICE)
		return config_word_parse(config_words[id], text, ret);
	if (info->kind == TOPIC_CONFIG_BOOLEAN) {
		if (!slice_eq_nocase(text, SLICE_LITERAL("true")) &&
		    !slice_eq_nocase(text, SLICE_LITERAL("false")))
			return -EINVAL;
		*ret = slice_eq_nocase(text, SLICE_LITERAL("true"));
		return 0;
	}
	if (parse_number(text, &value) < 0)
		return -EINVAL;
	if (value < info->min || value > info->max)
		return -ERANGE;
	*ret = value;
	return 0;
}

void kafka_config_format(enum kafka_config_id id, int64_t value, struct buf *buf)
{
	if (kafka_configs[id].kind == TOPIC_CONFIG_CHOICE)
		buf_add_slice(buf, config_word(config_words[id], value));
	else if (kafka_configs[id].kind == TOPIC_CONFIG_BOOLEAN)
		buf_add_text(buf, value ? "true" : "false");
	else
		buf_printf(buf, "%lld", (long long)value);
}

/* ---- names ---- */

static bool matches(struct slice name, const char *pattern)
{
	size_t len = strlen(pattern);

	if (len > 0 && pattern[len - 1] == '*')
		return slice_starts_with(name, slice_make(pattern, len - 1));
	return slice_eq(name, slice_make(pattern, len));
}

static int set_number(struct kafka_config *config, size_t id, struct slice value, const char *where,
		      struct err *err)
{
	const struct kafka_config_info *info = &kafka_configs[id];
	int r = parse_value((enum kafka_config_id)id, value, &config->values[id]);

	if (r == 0)
		config->set |= UINT64_C(1) << id;
	else if (r == -ERANGE && info->min == info->max)
		return err_set(err, -EINVAL, "%s: %s is always %lld here", where, info->name,
			       (long long)info->min);
	else if (r == -ERANGE)
		return err_set(err, -EINVAL, "%s: %s is from %lld to %lld, not %.*s", where,
			       info->name, (long long)info->min, (long long)info->max,
			       (int)value.len, value.ptr);
	else if (info->kind == TOPIC_CONFIG_CHOICE)
		return err_set(err, -EINVAL, "%s: %s is one of %s, not '%.*s'", where, info->name,
			       config_words[id], (int)value.len, value.ptr);
	else
		return err_set(err, -EINVAL, "%s: %s is %s, not '%.*s'", where, info->name,
			       info->kind == TOPIC_CONFIG_BOOLEAN ? "true or false" : "a number",
			       (int)value.len, value.ptr);
	return 0;
}

static int set_text(char **to, struct slice value, const char *where, struct err *err)
{
	char *copy;

	/* Clients are told them in strings of the protocol. */
	if (value.len > INT16_MAX)
		return err_set(err, -EINVAL, "%s: a value is longer than %d bytes", where,
			       INT16_MAX);
	copy = malloc(value.len + 1);
	if (!copy)
		return err_set(err, -ENOMEM, "%s: out of memory", where);
	if (value.len)
		memcpy(copy, value.ptr, value.len);
	copy[value.len] = '\0';
	free(*to);
	*to = copy;
	return 0;
}

static int set_roles(struct slice value, const char *where, struct err *err)
{
	struct slice role, rest = value;

	if (value.len == 0)
		return 0;
	while (rest.len > 0) {
		const char *comma = memchr(rest.ptr, ',', rest.len);
		size_t len = comma ? (size_t)(comma - rest.ptr) : rest.len;

		role = slice_trim(slice_make(rest.ptr, len));
		if (slice_eq(role, SLICE_LITERAL("broker")))
			return 0;
		len += comma != NULL;
		rest = slice_make(rest.ptr + len, rest.len - len);
	}
	return err_set(err, -EINVAL, "%s: process.roles: this is a broker, not '%.*s'", where,
		       (int)value.len, value.ptr);
}

/* `unit`: of the times that Kafka has several settings for, in milliseconds; else 0. */
static int set_topic(struct kafka_config *config, struct slice name, enum topic_config_id id,
		     int64_t unit, struct slice value, const char *where, struct err *err)
{
	char memory[ERR_TEXT_MAX];
	struct buf why = buf_over(memory, sizeof(memory));
	int64_t number;
	int r = topic_config_parse(id, value, &number);

	if (r == 0 && unit > 1 && number != -1 && __builtin_mul_overflow(number, unit, &number))
		r = -ERANGE;
	if (r < 0) {
		topic_config_explain(id, unit, value, r, &why);
		return err_set(err, -EINVAL, "%s: %.*s %s", where, (int)name.len, name.ptr,
			       buf_text(&why));
	}
	/* The smaller unit wins, as with Kafka, wherever it stands. */
	if (unit > 0 && config->units[id] && config->units[id] < unit)
		return 0;
	config->units[id] = unit;
	topic_config_set(&config->topics, id, number);
	if (id == TOPIC_CONFIG_CLEANUP_POLICY && topic_config_lists(number, TOPIC_CLEANUP_COMPACT))
		log_warning("%s: %s asks for compaction: nothing is compacted yet", where,
			    topic_configs[id].server_name);
	return 0;
}

/* Kafka's other units for the same. */
static int set_in_units(struct kafka_config *config, struct slice name, struct slice value,
			const char *where, struct err *err)
{
	static const struct {
		const char *name;
		enum topic_config_id id;
		int64_t factor;
	} units[] = {
	    {"log.retention.ms", TOPIC_CONFIG_RETENTION_MS, 1},
	    {"log.retention.minutes", TOPIC_CONFIG_RETENTION_MS, 60000},
	    {"log.retention.hours", TOPIC_CONFIG_RETENTION_MS, 3600000},
	    {"log.roll.ms", TOPIC_CONFIG_SEGMENT_MS, 1},
	    {"log.roll.hours", TOPIC_CONFIG_SEGMENT_MS, 3600000},
	    {"log.roll.jitter.ms", TOPIC_CONFIG_SEGMENT_JITTER_MS, 1},
	    {"log.roll.jitter.hours", TOPIC_CONFIG_SEGMENT_JITTER_MS, 3600000},
	};

	for (size_t i = 0; i < ARRAY_SIZE(units); i++) {
		if (!slice_eq(name, slice_of(units[i].name)))
			continue;
		return set_topic(config, name, units[i].id, units[i].factor, value, where, err);
	}
	return -ENOENT;
}

static int set_other(struct slice name, struct slice value, const char *where, struct err *err)
{
	int topic = topic_config_find(name);

	if (name.len == 0)
		return err_set(err, -EINVAL, "%s: a value without a setting's name before it",
			       where);
	for (size_t i = 0; i < ARRAY_SIZE(others); i++) {
		const struct other *other = &others[i];

		if (!matches(name, other->name))
			continue;
		if (other->refused && value.len > 0 &&
		    !(other->fine && slice_eq(value, slice_of(other->fine))))
			return err_set(err, -EINVAL, "%s: %.*s: %s", where, (int)name.len, name.ptr,
				       other->refused);
		if (!other->refused)
			log_warning("%s: %.*s has no effect here", where, (int)name.len, name.ptr);
		return 0;
	}
	if (topic >= 0 && topic_configs[topic].server_name)
		return err_set(err, -EINVAL,
			       "%s: there is no setting '%.*s': it is a topic's, the default for "
			       "topics is %s",
			       where, (int)name.len, name.ptr, topic_configs[topic].server_name);
	return err_set(err, -EINVAL, "%s: there is no setting '%.*s'", where, (int)name.len,
		       name.ptr);
}

/* listener.name.NAME.max.connections; -ENOENT: it is another. */
static int set_limit(struct kafka_config *config, struct slice name, struct slice value,
		     const char *where, struct err *err)
{
	static const char begin[] = "listener.name.", end[] = ".max.connections";
	const size_t around = sizeof(begin) + sizeof(end) - 2;
	struct kafka_listener_limit *limit = config->limits;
	struct slice of;
	int64_t max;

	if (name.len <= around || !slice_starts_with(name, SLICE_LITERAL(begin)) ||
	    memcmp(name.ptr + name.len - (sizeof(end) - 1), end, sizeof(end) - 1) != 0)
		return -ENOENT;
	of = slice_make(name.ptr + sizeof(begin) - 1, name.len - around);
	if (parse_number(value, &max) < 0 || max < 0 || max > INT32_MAX)
		return err_set(err, -EINVAL, "%s: %.*s is from 0 to %d, not '%.*s'", where,
			       (int)name.len, name.ptr, INT32_MAX, (int)value.len, value.ptr);
	while (limit < config->limits + config->limits_count &&
	       !slice_eq(slice_of(limit->name), of))
		limit++;
	if (limit == config->limits + KAFKA_LISTENER_LIMITS_MAX || of.len >= sizeof(limit->name))
		return err_set(err, -EINVAL, "%s: %.*s: too many of them, or too long", where,
			       (int)name.len, name.ptr);
	if (limit == config->limits + config->limits_count)
		config->limits_count++;
	memcpy(limit->name, of.ptr, of.len);
	limit->name[of.len] = '\0';
	limit->max = max;
	return 0;
}

/* Kafka's other names for the same. */
static struct slice proper_name(struct slice name)
{
	if (slice_eq(name, SLICE_LITERAL("broker.id")))
		return SLICE_LITERAL("node.id");
	return slice_eq(name, SLICE_LITERAL("log.dir")) ? SLICE_LITERAL("log.dirs") : name;
}

int kafka_config_set(struct kafka_config *config, struct slice name, struct slice value,
		     const char *where, struct err *err)
{
	int id, r;

	name = proper_name(name);
	value = slice_trim(value);
	for (size_t i = 0; i < KAFKA_CONFIG_COUNT; i++)
		if (slice_eq(name, slice_of(kafka_configs[i].name)))
			return set_number(config, i, value, where, err);
	for (size_t i = 0; i < KAFKA_TEXT_COUNT; i++)
		if (slice_eq(name, slice_of(kafka_text_configs[i].name)))
			return set_text(&config->texts[i], value, where, err);
	/* What else is a controller's is harmless. */
	if (slice_eq(name, SLICE_LITERAL("process.roles")))
		return set_roles(value, where, err);
	r = set_in_units(config, name, value, where, err);
	if (r == -ENOENT)
		r = set_limit(config, name, value, where, err);
	if (r != -ENOENT)
		return r;
	id = topic_config_find_server(name);
	if (id >= 0)
		return set_topic(config, name, (enum topic_config_id)id, 0, value, where, err);
	return set_other(name, value, where, err);
}

/* ---- files ---- */

int kafka_config_parse(struct kafka_config *config, struct slice text, const char *file,
		       struct err *err)
{
	struct properties properties;
	int found, r = properties_init(&properties, text);

	if (r < 0)
		return err_set(err, r, "%s: out of memory", file);
	while (r == 0 && (found = properties_next(&properties)) != 0) {
		char where[300];

		snprintf(where, sizeof(where), "%s:%u", file, properties.line);
		if (found < 0)
			r = err_set(err, found, "%s: \\u has four hexadecimal digits behind it",
				    where);
		else
			r = kafka_config_set(config, properties.name, properties.value, where, err);
	}
	properties_fini(&properties);
	return r;
}
