#include "kafka/broker/config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"

#define KAFKA_CONFIG_INFO(id, name, kind, preset, min, max, text) \
	[KAFKA_CONFIG_##id] = {name, kind, preset, min, max, text},
const struct kafka_config_info kafka_configs[KAFKA_CONFIG_COUNT] = {
    KAFKA_CONFIGS(KAFKA_CONFIG_INFO)};
#undef KAFKA_CONFIG_INFO

#define KAFKA_CONFIG_WORDS_ROW(id, words) [KAFKA_CONFIG_##id] = (words),
static const char *const config_words[KAFKA_CONFIG_COUNT] = {
    KAFKA_CONFIG_WORDS(KAFKA_CONFIG_WORDS_ROW)};
#undef KAFKA_CONFIG_WORDS_ROW

/* Names that Kafka has and leat does nothing with; a '*' at the end stands for anything. */
static const struct other {
	const char *name;
	const char *refused; /* NULL: harmless */
} others[] = {
    {"ssl.*", "TLS is not supported"},
    {"sasl.*", "SASL is not supported"},
    {"authorizer.*", "access control is not supported"},
    {"super.users", "access control is not supported"},
    {"allow.everyone.if.no.acl.found", "access control is not supported"},
    {"security.inter.broker.protocol", NULL},
    {"security.*", "not supported"},
    {"principal.builder.class", "access control is not supported"},
    {"quota.*", NULL},
    {"client.quota.*", "quotas are not supported"},
    {"metric*", NULL},
    {"kafka.metrics.*", NULL},
    {"zookeeper.*", NULL},
    {"controller.*", NULL},
    {"process.roles", NULL},
    {"inter.broker.*", NULL},
    {"listener.security.protocol.map", NULL},
    {"replica.*", NULL},
    {"num.*", NULL},
    {"background.threads", NULL},
    {"queued.max.*", NULL},
    {"request.timeout.ms", NULL},
    {"socket.*", NULL},
    {"connection*", NULL},
    {"max.connection*", NULL},
    {"transaction*", NULL},
    {"auto.leader.rebalance.enable", NULL},
    {"leader.imbalance.*", NULL},
    {"broker.rack", NULL},
    {"broker.heartbeat.*", NULL},
    {"broker.session.*", NULL},
    {"broker.id.generation.enable", NULL},
    {"reserved.broker.max.id", NULL},
    {"control.plane.*", NULL},
    {"controlled.*", NULL},
    {"compression.*.level", NULL},
    {"offsets.load.buffer.size", NULL},
    {"offsets.commit.timeout.ms", NULL},
    {"offsets.topic.compression.codec", NULL},
    {"group.*", NULL},
    {"share.*", NULL},
    {"streams.*", NULL},
    {"fetch.purgatory.*", NULL},
    {"producer.purgatory.*", NULL},
    {"producer.id.expiration.check.interval.ms", NULL},
    {"delete.records.purgatory.*", NULL},
    {"log.cleaner.*", NULL},
    {"log.retention.check.interval.ms", NULL},
    {"log.flush.scheduler.interval.ms", NULL},
    {"log.flush.offset.checkpoint.interval.ms", NULL},
    {"log.flush.start.offset.checkpoint.interval.ms", NULL},
    {"log.initial.task.delay.ms", NULL},
    {"log.message.format.version", NULL},
    {"log.message.downconversion.enable", NULL},
    {"log.message.timestamp.difference.max.ms", NULL},
    {"log.dir.failure.timeout.ms", NULL},
    {"metadata.*", NULL},
    {"remote.*", "tiered storage is not supported"},
    {"password.encoder.*", NULL},
    {"delegation.token.*", "delegation tokens are not supported"},
    {"create.topic.policy.class.name", "policies are not supported"},
    {"alter.config.policy.class.name", "policies are not supported"},
    {"early.start.listeners", NULL},
    {"initial.broker.registration.timeout.ms", NULL},
    {"telemetry.*", NULL},
    {"unstable.*", NULL},
    {"eligible.leader.replicas.enable", NULL},
    {"uncleanleader.*", NULL},
    {"unclean.leader.*", NULL},
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
	free(config->listeners);
	free(config->advertised);
	free(config->log_dirs);
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

void kafka_config_format(const struct kafka_config *config, enum kafka_config_id id,
			 struct buf *buf)
{
	if (kafka_configs[id].kind == TOPIC_CONFIG_CHOICE)
		buf_add_slice(buf, config_word(config_words[id], config->values[id]));
	else if (kafka_configs[id].kind == TOPIC_CONFIG_BOOLEAN)
		buf_add_text(buf, config->values[id] ? "true" : "false");
	else
		buf_printf(buf, "%lld", (long long)config->values[id]);
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
	char *copy = strndup(value.ptr ? value.ptr : "", value.len);

	if (!copy)
		return err_set(err, -ENOMEM, "%s: out of memory", where);
	free(*to);
	*to = copy;
	return 0;
}

static int set_topic(struct kafka_config *config, enum topic_config_id id, int64_t factor,
		     struct slice value, const char *where, struct err *err)
{
	int64_t number;
	int r = topic_config_parse(id, value, &number);

	if (r == 0 && factor > 1 && __builtin_mul_overflow(number, factor, &number))
		r = -ERANGE;
	if (r == -ERANGE)
		return err_set(err, -EINVAL, "%s: %s: '%.*s' is out of bounds", where,
			       topic_configs[id].server_name, (int)value.len, value.ptr);
	if (r < 0)
		return err_set(err, -EINVAL, "%s: %s has no value '%.*s'", where,
			       topic_configs[id].server_name, (int)value.len, value.ptr);
	topic_config_set(&config->topics, id, number);
	return 0;
}

/* Kafka's other units for the same: the smaller unit wins, as there. */
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
		if (config->units[units[i].id] && config->units[units[i].id] < units[i].factor)
			return 0;
		config->units[units[i].id] = units[i].factor;
		return set_topic(config, units[i].id,
				 slice_eq(value, SLICE_LITERAL("-1")) ? 1 : units[i].factor, value,
				 where, err);
	}
	return -ENOENT;
}

static int set_other(struct slice name, const char *where, struct err *err)
{
	for (size_t i = 0; i < ARRAY_SIZE(others); i++) {
		if (!matches(name, others[i].name))
			continue;
		if (others[i].refused)
			return err_set(err, -EINVAL, "%s: %.*s: %s", where, (int)name.len, name.ptr,
				       others[i].refused);
		log_warning("%s: %.*s has no effect here", where, (int)name.len, name.ptr);
		return 0;
	}
	return err_set(err, -EINVAL, "%s: there is no setting '%.*s'", where, (int)name.len,
		       name.ptr);
}

int kafka_config_set(struct kafka_config *config, struct slice name, struct slice value,
		     const char *where, struct err *err)
{
	int id, r;

	if (slice_eq(name, SLICE_LITERAL("broker.id")))
		name = SLICE_LITERAL("node.id");
	for (size_t i = 0; i < KAFKA_CONFIG_COUNT; i++)
		if (slice_eq(name, slice_of(kafka_configs[i].name)))
			return set_number(config, i, value, where, err);
	if (slice_eq(name, SLICE_LITERAL("listeners")))
		return set_text(&config->listeners, value, where, err);
	if (slice_eq(name, SLICE_LITERAL("advertised.listeners")))
		return set_text(&config->advertised, value, where, err);
	if (slice_eq(name, SLICE_LITERAL("log.dirs")) || slice_eq(name, SLICE_LITERAL("log.dir")))
		return set_text(&config->log_dirs, value, where, err);
	r = set_in_units(config, name, value, where, err);
	if (r != -ENOENT)
		return r;
	id = topic_config_find_server(name);
	if (id >= 0)
		return set_topic(config, (enum topic_config_id)id, 1, value, where, err);
	return set_other(name, where, err);
}

/* ---- files ---- */

static struct slice take_line(struct slice *text)
{
	const char *end = memchr(text->ptr, '\n', text->len);
	size_t len = end ? (size_t)(end - text->ptr) : text->len;
	struct slice line = slice_make(text->ptr, len);

	text->ptr += len + (end != NULL);
	text->len -= len + (end != NULL);
	if (line.len > 0 && line.ptr[line.len - 1] == '\r')
		line.len--;
	return slice_trim(line);
}

int kafka_config_parse(struct kafka_config *config, struct slice text, const char *file,
		       struct err *err)
{
	unsigned number = 0;
	int r = 0;

	while (text.len > 0 && r == 0) {
		struct slice line = take_line(&text), name, value;
		size_t at = 0;
		char where[300];

		number++;
		if (line.len == 0 || line.ptr[0] == '#' || line.ptr[0] == '!')
			continue;
		snprintf(where, sizeof(where), "%s:%u", file, number);
		while (at < line.len && line.ptr[at] != '=' && line.ptr[at] != ':')
			at++;
		if (at == line.len)
			return err_set(err, -EINVAL, "%s: not a line of the form name=value",
				       where);
		name = slice_trim(slice_make(line.ptr, at));
		value = slice_trim(slice_make(line.ptr + at + 1, line.len - at - 1));
		r = kafka_config_set(config, name, value, where, err);
	}
	return r;
}
