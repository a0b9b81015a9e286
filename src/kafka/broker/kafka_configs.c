/*
 * DescribeConfigs: what holds, and where it comes from.
 */
#include "kafka/broker/kafka_configs.h"
#include "kafka/broker/names.h"

#include <stdio.h>

#include "base/log.h"
#include "kafka/broker/config_told.h"
#include "sys/sys.h"

#define NUMBER_TEXT_MAX    64
#define LISTENERS_TEXT_MAX 4096
/* Of describe_others() and describe_units(). */
#define OTHERS_TOLD  3
#define UNITS_TOLD   4
#define SYNONYMS_MAX 3

/* ---- values ---- */

static struct slice topic_text(struct kafka_call *call, enum topic_config_id id, int64_t value)
{
	char text[TOPIC_CONFIG_TEXT_MAX];
	struct buf buf = buf_over(text, sizeof(text));

	topic_config_format(id, value, &buf);
	return call_keep(call, buf_slice(&buf));
}

struct slice config_topic_text(struct kafka_call *call, const struct topic_config *own,
			       enum topic_config_id id)
{
	const struct topic_config *defaults = store_defaults(call->server->store);

	return topic_text(call, id,
			  topic_config_is_set(own, id) ? own->values[id] : defaults->values[id]);
}

enum config_source config_topic_source(const struct kafka_call *call,
				       const struct topic_config *own, enum topic_config_id id)
{
	if (topic_config_is_set(own, id))
		return CONFIG_FROM_TOPIC;
	return topic_config_is_set(store_defaults(call->server->store), id) ? CONFIG_FROM_FILE
									    : CONFIG_FROM_DEFAULT;
}

void config_tell_undone(const struct topic *topic)
{
	int64_t policy = topic_config_value(topic, TOPIC_CONFIG_CLEANUP_POLICY);

	if (topic_config_lists(policy, TOPIC_CLEANUP_COMPACT))
		log_bursts(sys_now_ns(), LOG_LEVEL_WARNING,
			   "topic %s: its cleanup.policy asks for compaction: nothing is compacted "
			   "yet, %s",
			   topic_name(topic),
			   topic_config_lists(policy, TOPIC_CLEANUP_DELETE)
			       ? "old records go by retention alone"
			       : "all its records are kept");
}

/* ---- DescribeConfigs ---- */

struct describing {
	struct kafka_call *call;
	const struct kafka_describe_configs_request *request;
	const struct kafka_describe_configs_request_resource *from;
	struct kafka_describe_configs_response_result *to;
	const char *text; /* of the error, if it needs one */
	bool failed;      /* no memory */
};

static bool is_asked(struct describing *d, const char *name)
{
	/* Each key is compared with each of our names. */
	for (int32_t i = 0; i < d->from->configuration_keys.count && !d->failed; i++) {
		d->failed |= !call_work(d->call, 1);
		if (slice_eq(d->from->configuration_keys.at[i], slice_of(name)))
			return true;
	}
	d->failed |= !call_work(d->call, 1);
	return d->from->configuration_keys.count <= 0;
}

static struct kafka_describe_configs_response_config *
put_config(struct describing *d, const char *name, struct slice value, enum config_source source,
	   enum topic_config_kind kind, const char *text)
{
	struct kafka_describe_configs_response_config *config =
	    &d->to->configs.at[d->to->configs.count++];

	config->name = slice_of(name);
	config->value = value;
	config->config_source = (int8_t)source;
	config->config_type = (int8_t)kind;
	if (d->request->include_documentation)
		config->documentation = slice_of(text);
	else
		config->documentation = slice_make(NULL, 0);
	return config;
}

static bool take_synonyms(struct describing *d,
			  struct kafka_describe_configs_response_config *config)
{
	if (!d->request->include_synonyms)
		return false;
	d->failed |= !call_array(d->call, &config->synonyms, SYNONYMS_MAX);
	config->synonyms.count = 0;
	return !d->failed;
}

static void put_synonym(struct kafka_describe_configs_response_config *config, const char *name,
			struct slice value, enum config_source source)
{
	config->synonyms.at[config->synonyms.count++] =
	    (struct kafka_describe_configs_response_synonym){.name = slice_of(name),
							     .value = value,
							     .source = (int8_t)source};
}

/* Where the value comes from, and where it would come from without. */
static void put_synonyms(struct describing *d, const struct topic_config *own,
			 enum topic_config_id id,
			 struct kafka_describe_configs_response_config *config)
{
	const struct topic_config *defaults = store_defaults(d->call->server->store);
	const struct topic_config_info *info = &topic_configs[id];

	if (!take_synonyms(d, config))
		return;
	if (own && topic_config_is_set(own, id))
		put_synonym(config, info->name, config->value, CONFIG_FROM_TOPIC);
	/* Some are set for topics alone. */
	if (!info->server_name)
		return;
	if (topic_config_is_set(defaults, id))
		put_synonym(config, info->server_name,
			    topic_text(d->call, id, defaults->values[id]), CONFIG_FROM_FILE);
	put_synonym(config, info->server_name, topic_text(d->call, id, info->preset),
		    CONFIG_FROM_DEFAULT);
}

static void describe_topic(struct describing *d)
{
	struct kafka_call *call = d->call;
	struct topic *topic = store_topic(call->server->store, d->from->resource_name);
	struct topic_config own;

	if (!topic) {
		d->to->error_code = store_topic_name_valid(d->from->resource_name)
					? KAFKA_UNKNOWN_TOPIC_OR_PARTITION
					: KAFKA_INVALID_TOPIC_EXCEPTION;
		return;
	}
	topic_config_own(topic, &own);
	topic_unref(topic);
	d->failed |= !call_array(call, &d->to->configs, TOPIC_CONFIG_COUNT);
	d->to->configs.count = 0;
	for (enum topic_config_id id = 0; id < TOPIC_CONFIG_COUNT && !d->failed; id++) {
		const struct topic_config_info *info = &topic_configs[id];
		struct slice value;

		if (!is_asked(d, info->name))
			continue;
		value = config_topic_text(call, &own, id);
		d->failed |= !value.ptr;
		put_synonyms(d, &own, id,
			     put_config(d, info->name, value, config_topic_source(call, &own, id),
					info->kind, info->text));
	}
}

struct slice config_resource_key(struct kafka_call *call, int8_t type, struct slice name)
{
	char *memory = call_take(call, name.len + 1, 1);

	if (!memory)
		return slice_make(NULL, 0);
	memory[0] = (char)type;
	if (name.len)
		memcpy(memory + 1, name.ptr, name.len);
	return slice_make(memory, name.len + 1);
}

bool config_is_this_broker(const struct kafka_call *call, struct slice name)
{
	char text[16];

	snprintf(text, sizeof(text), "%d", store_node_id(call->server->store));
	return slice_eq(name, slice_of(text));
}

static struct slice own_text(struct describing *d, enum kafka_config_id id, int64_t value)
{
	char text[NUMBER_TEXT_MAX];
	struct buf buf = buf_over(text, sizeof(text));
	struct slice kept;

	kafka_config_format(id, value, &buf);
	kept = call_keep(d->call, buf_slice(&buf));
	d->failed |= !kept.ptr;
	return kept;
}

static void describe_own(struct describing *d, enum kafka_config_id id)
{
	const struct kafka_config *config = d->call->server->config;
	const struct kafka_config_info *info = &kafka_configs[id];
	struct kafka_describe_configs_response_config *to;
	bool set = config->set >> id & 1;

	if (!is_asked(d, info->name))
		return;
	to = put_config(d, info->name, own_text(d, id, config_value(config, id)),
			set ? CONFIG_FROM_FILE : CONFIG_FROM_DEFAULT, info->kind, info->text);
	to->read_only = true;
	if (!take_synonyms(d, to))
		return;
	if (set)
		put_synonym(to, info->name, to->value, CONFIG_FROM_FILE);
	put_synonym(to, info->name, own_text(d, id, info->preset), CONFIG_FROM_DEFAULT);
}

/* "NAME://WHERE" of each; advertised: where its clients are told to go. */
static struct slice listeners_text(struct describing *d, bool advertised)
{
	const struct kafka_server *server = d->call->server;
	char text[LISTENERS_TEXT_MAX];
	struct buf buf = buf_over(text, sizeof(text));

	for (unsigned i = 0; i < server->listeners_count; i++) {
		const struct kafka_listener *each = &server->listeners[i];

		buf_printf(&buf, "%s%s://", i > 0 ? "," : "",
			   each->name[0] ? each->name : "PLAINTEXT");
		if (advertised)
			buf_printf(&buf, strchr(each->host, ':') ? "[%s]:%d" : "%s:%d", each->host,
				   each->port);
		else
			buf_add_text(&buf, each->where);
	}
	return call_keep(d->call, buf_slice(&buf));
}

/* What the command line has replaced, too, is told as it is in force; null: not set. */
static struct slice text_in_force(struct describing *d, enum kafka_text_id id)
{
	switch ((int)id) {
	case KAFKA_TEXT_LISTENERS:
		return listeners_text(d, false);
	case KAFKA_TEXT_ADVERTISED:
		return listeners_text(d, true);
	case KAFKA_TEXT_LOG_DIRS:
		return slice_of(store_path(d->call->server->store));
	default:
		return config_slice(d->call->server->config, id);
	}
}

static void put_static(struct describing *d, const char *name, struct slice value,
		       enum config_source source, enum topic_config_kind kind, const char *text)
{
	struct kafka_describe_configs_response_config *to =
	    put_config(d, name, value, source, kind, text);

	to->read_only = true;
	to->is_sensitive = kind == TOPIC_CONFIG_PASSWORD;
	if (take_synonyms(d, to) && value.ptr)
		put_synonym(to, name, value, source);
}

static void describe_text(struct describing *d, enum kafka_text_id id)
{
	const struct kafka_text_info *info = &kafka_text_configs[id];
	struct slice value;

	if (!is_asked(d, info->name))
		return;
	value = text_in_force(d, id);
	put_static(d, info->name, value, value.ptr ? CONFIG_FROM_FILE : CONFIG_FROM_DEFAULT,
		   TOPIC_CONFIG_CHOICE, info->text);
}

/* ---- of the broker: what is ignored, and other names ---- */

static struct slice number_text(struct describing *d, int64_t value)
{
	const char *text = call_printf(d->call, "%lld", (long long)value);

	d->failed |= !text;
	return slice_of(text ? text : "");
}

static void describe_told(struct describing *d)
{
	for (size_t i = 0; i < kafka_configs_told_count && !d->failed; i++) {
		const struct kafka_config_told *told = &kafka_configs_told[i];

		if (is_asked(d, told->name))
			put_static(d, told->name,
				   told->value ? slice_of(told->value) : slice_make(NULL, 0),
				   CONFIG_FROM_DEFAULT, told->kind, "Without effect here.");
	}
}

/* Times in Kafka's other units. In minutes Kafka's default is not to say it. */
static void describe_units(struct describing *d)
{
	static const struct {
		const char *name;
		enum topic_config_id id;
		int64_t unit;
		bool by_default;
	} units[UNITS_TOLD] = {
	    {"log.retention.hours", TOPIC_CONFIG_RETENTION_MS, 3600000, true},
	    {"log.retention.minutes", TOPIC_CONFIG_RETENTION_MS, 60000, false},
	    {"log.roll.hours", TOPIC_CONFIG_SEGMENT_MS, 3600000, true},
	    {"log.roll.jitter.hours", TOPIC_CONFIG_SEGMENT_JITTER_MS, 3600000, true},
	};
	const struct kafka_config *config = d->call->server->config;

	for (size_t i = 0; i < UNITS_TOLD && !d->failed; i++) {
		bool given = config->units[units[i].id] == units[i].unit;
		int64_t ms = config->topics.values[units[i].id];

		if (!is_asked(d, units[i].name))
			continue;
		put_static(d, units[i].name,
			   given || units[i].by_default
			       ? number_text(d, ms < 0 ? ms : ms / units[i].unit)
			       : slice_make(NULL, 0),
			   given ? CONFIG_FROM_FILE : CONFIG_FROM_DEFAULT, TOPIC_CONFIG_INT,
			   "The same in another unit, in whole numbers.");
	}
}

/* What is known by other names, and what the command line or the machine decides. */
static void describe_others(struct describing *d)
{
	const struct kafka_server *server = d->call->server;

	if (is_asked(d, "broker.id"))
		put_static(d, "broker.id", number_text(d, store_node_id(server->store)),
			   CONFIG_FROM_FILE, TOPIC_CONFIG_INT, "Another name of node.id.");
	if (is_asked(d, "log.dir"))
		put_static(d, "log.dir", slice_of(store_path(server->store)), CONFIG_FROM_FILE,
			   TOPIC_CONFIG_LIST, "Another name of log.dirs.");
	if (is_asked(d, "num.network.threads"))
		put_static(d, "num.network.threads", number_text(d, server->loops_count),
			   CONFIG_FROM_DEFAULT, TOPIC_CONFIG_INT,
			   "Threads that serve connections: --threads.");
	describe_units(d);
	describe_told(d);
}

/* What holds for topics that have no value of their own. */
static void describe_default(struct describing *d, enum topic_config_id id)
{
	const struct topic_config *defaults = store_defaults(d->call->server->store);
	const struct topic_config_info *info = &topic_configs[id];
	struct kafka_describe_configs_response_config *to;

	if (!info->server_name || !is_asked(d, info->server_name))
		return;
	to = put_config(d, info->server_name, topic_text(d->call, id, defaults->values[id]),
			topic_config_is_set(defaults, id) ? CONFIG_FROM_FILE : CONFIG_FROM_DEFAULT,
			info->kind, info->text);
	d->failed |= !to->value.ptr;
	to->read_only = true;
	put_synonyms(d, NULL, id, to);
}

/* false: the name is none of ours. */
static bool check_broker(struct describing *d)
{
	struct slice name = d->from->resource_name;

	if (config_is_this_broker(d->call, name))
		return true;
	d->to->error_code = KAFKA_INVALID_REQUEST;
	d->text = call_printf(d->call, "this is broker %d, not '%.*s'",
			      store_node_id(d->call->server->store), (int)name.len, name.ptr);
	return false;
}

/* Loggers, client metrics and groups: there is nothing to be set. */
static void describe_nothing(struct describing *d)
{
	if (d->from->resource_type == RESOURCE_BROKER_LOGGER) {
		check_broker(d);
	} else if (d->from->resource_type != RESOURCE_CLIENT_METRICS &&
		   d->from->resource_type != RESOURCE_GROUP) {
		d->to->error_code = KAFKA_INVALID_REQUEST;
		d->text = call_printf(d->call, "there are no resources of type %d",
				      d->from->resource_type);
	} else if (d->from->resource_name.len == 0) {
		d->to->error_code = KAFKA_INVALID_REQUEST;
		d->text = "a group and client metrics have a name";
	}
}

static void describe_broker(struct describing *d)
{
	struct kafka_call *call = d->call;

	/* The defaults that all brokers would share: nothing is set there. */
	if (d->from->resource_name.len == 0)
		return;
	if (!check_broker(d))
		return;
	d->failed |= !call_array(call, &d->to->configs,
				 KAFKA_CONFIG_COUNT + KAFKA_TEXT_COUNT + TOPIC_CONFIG_COUNT +
				     OTHERS_TOLD + UNITS_TOLD + kafka_configs_told_count);
	d->to->configs.count = 0;
	for (int i = 0; i < KAFKA_CONFIG_COUNT && !d->failed; i++)
		describe_own(d, (enum kafka_config_id)i);
	for (int i = 0; i < KAFKA_TEXT_COUNT && !d->failed; i++)
		describe_text(d, (enum kafka_text_id)i);
	for (enum topic_config_id id = 0; id < TOPIC_CONFIG_COUNT && !d->failed; id++)
		describe_default(d, id);
	if (!d->failed)
		describe_others(d);
}

/* Whether each resource was named before: then all of its settings need not be told again, and a few
 * bytes of a request can't ask for thousands of them any number of times. NULL: no memory. */
static const enum name_twin *twins_of(struct kafka_call *call,
				      const struct kafka_describe_configs_request *request)
{
	struct slice *keys = call_take(call, (size_t)request->resources.count, sizeof(*keys));

	for (int32_t i = 0; keys && i < request->resources.count; i++) {
		keys[i] = config_resource_key(call, request->resources.at[i].resource_type,
					      request->resources.at[i].resource_name);
		if (!keys[i].ptr)
			return NULL;
	}
	return keys ? names_twins(call, keys, request->resources.count) : NULL;
}

static bool describe_one(struct describing *d)
{
	d->to->resource_type = d->from->resource_type;
	d->to->resource_name = d->from->resource_name;
	if (d->from->resource_type == RESOURCE_TOPIC)
		describe_topic(d);
	else if (d->from->resource_type == RESOURCE_BROKER)
		describe_broker(d);
	else
		describe_nothing(d);
	d->to->error_message = call_error_text(d->to->error_code, d->text);
	return !d->failed;
}

enum handled handle_describe_configs(struct kafka_call *call)
{
	struct kafka_describe_configs_request request;
	struct kafka_describe_configs_response response;
	const enum name_twin *twins;

	if (!call_decode(call, &request))
		return CALL_CLOSES;
	kafka_describe_configs_response_init(&response);
	twins = twins_of(call, &request);
	if (!twins || !call_array(call, &response.results, request.resources.count))
		return CALL_ENDS;
	response.results.count = 0;
	for (int32_t i = 0; i < request.resources.count; i++) {
		struct describing d = {.call = call,
				       .request = &request,
				       .from = &request.resources.at[i],
				       .to = &response.results.at[response.results.count]};

		if (!call_step(call, 1))
			return CALL_ENDS;
		if (twins[i] == NAME_AGAIN && d.from->configuration_keys.count <= 0)
			continue;
		response.results.count++;
		if (!describe_one(&d))
			return CALL_ENDS;
	}
	return call_answer(call, &response);
}
