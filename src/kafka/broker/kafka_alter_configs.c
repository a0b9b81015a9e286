/*
 * AlterConfigs, IncrementalAlterConfigs. Topics have settings that can be changed; the broker's are
 * those it was started with.
 */
#include <errno.h>

#include "kafka/broker/kafka_configs.h"
#include "kafka/broker/kafka_log.h"
#include "kafka/broker/names.h"
#include "sys/sys.h"

/* Of a list of changes, the log has the beginning. */
#define CHANGES_SHOWN 400

/* ---- one setting ---- */

/* Why it does not take the value. */
static const char *refusal(struct kafka_call *call, enum topic_config_id id, struct slice value,
			   int error)
{
	char text[CALL_TEXT_MAX];
	struct buf buf = buf_over(text, sizeof(text));

	topic_config_explain(id, 0, value, error, &buf);
	return call_printf(call, "%s %s", topic_configs[id].name, buf_text(&buf));
}

static enum kafka_error change_list(struct kafka_call *call, struct topic_config *config,
				    enum topic_config_id id, bool append, int64_t value,
				    const char **ret_text)
{
	const struct topic_config *defaults = store_defaults(call->server->store);
	int64_t now = topic_config_is_set(config, id) ? config->values[id] : defaults->values[id];

	if (topic_configs[id].kind != TOPIC_CONFIG_LIST) {
		*ret_text = call_printf(call, "%s is not a list", topic_configs[id].name);
		return KAFKA_INVALID_CONFIG;
	}
	topic_config_set(config, id, topic_config_joined(now, value, append));
	return KAFKA_NONE;
}

enum kafka_error config_change(struct kafka_call *call, struct topic_config *config,
			       enum config_operation operation, struct slice name,
			       struct slice value, const char **ret_text)
{
	int found = topic_config_find(name), r;
	enum topic_config_id id = (enum topic_config_id)found;
	int64_t number;

	if (operation == CONFIG_DELETE) {
		/* What there is not is not set. */
		if (found >= 0)
			topic_config_unset(config, id);
		return KAFKA_NONE;
	}
	if (found < 0) {
		*ret_text =
		    call_printf(call, "topics have no setting '%.*s'", (int)name.len, name.ptr);
		return KAFKA_INVALID_CONFIG;
	}
	if (!value.ptr) {
		*ret_text = call_printf(call, "%s: a value is missing", topic_configs[id].name);
		return KAFKA_INVALID_CONFIG;
	}
	r = topic_config_parse(id, value, &number);
	if (r < 0) {
		*ret_text = refusal(call, id, value, r);
		return KAFKA_INVALID_CONFIG;
	}
	if (operation != CONFIG_SET)
		return change_list(call, config, id, operation == CONFIG_APPEND, number, ret_text);
	topic_config_set(config, id, number);
	return KAFKA_NONE;
}

/* ---- those of a request ---- */

/* What is to be done to one resource: AlterConfigs sets all that is named, from nothing. */
struct change {
	int8_t operation;
	struct slice name, value;
};

struct altering {
	struct kafka_call *call;
	int8_t type;
	struct slice name;
	bool twice;        /* it is named more than once */
	bool from_nothing; /* what is not named is unset */
	bool validate_only;
	const struct change *changes;
	int32_t changes_count;
	const char *text; /* of the error, if it needs one */
};

static enum kafka_error complain(struct altering *a, const char *text)
{
	a->text = text;
	return KAFKA_INVALID_REQUEST;
}

static enum kafka_error check_changes(struct altering *a)
{
	struct slice *names = call_take(a->call, (size_t)a->changes_count, sizeof(*names));
	const enum name_twin *twins;

	for (int32_t i = 0; names && i < a->changes_count; i++)
		names[i] = a->changes[i].name;
	twins = names ? names_twins(a->call, names, a->changes_count) : NULL;
	if (!twins)
		return KAFKA_UNKNOWN_SERVER_ERROR;
	for (int32_t i = 0; i < a->changes_count; i++) {
		const struct change *change = &a->changes[i];

		if (change->operation < CONFIG_SET || change->operation > CONFIG_SUBTRACT)
			return complain(a, call_printf(a->call, "there is no operation %d",
						       change->operation));
		if (!change->value.ptr && change->operation != CONFIG_DELETE)
			return complain(a, call_printf(a->call, "'%.*s': a value is missing",
						       (int)change->name.len, change->name.ptr));
		if (twins[i] != NAME_ALONE)
			return complain(a, call_printf(a->call, "'%.*s' is there twice",
						       (int)change->name.len, change->name.ptr));
	}
	return KAFKA_NONE;
}

/* The broker's are those it was started with. */
static enum kafka_error refuse_resource(struct altering *a)
{
	if (a->type != RESOURCE_BROKER && a->type != RESOURCE_BROKER_LOGGER)
		return complain(a, call_printf(a->call,
					       "settings of a resource of type %d can't be changed",
					       a->type));
	if (a->name.len > 0 && !config_is_this_broker(a->call, a->name))
		return complain(a, call_printf(a->call, "this is broker %d, not %.*s",
					       store_node_id(a->call->server->store),
					       (int)a->name.len, a->name.ptr));
	return complain(a, "the broker's settings are those it was started with: they can't be "
			   "changed while it runs");
}

/* What is another value than before, or none of the topic's own any more. */
static void tell_changed(struct altering *a, const struct topic *topic,
			 const struct topic_config *before, const struct topic_config *after)
{
	char text[CHANGES_SHOWN];
	struct buf buf = buf_over(text, sizeof(text));
	struct client_text client;

	for (enum topic_config_id id = 0; id < TOPIC_CONFIG_COUNT; id++) {
		bool was = topic_config_is_set(before, id), is = topic_config_is_set(after, id);

		if (was == is && (!is || before->values[id] == after->values[id]))
			continue;
		buf_printf(&buf, "%s%s", buf.len > 0 ? ", " : "", topic_configs[id].name);
		buf_add_text(&buf, is ? "=" : " by default");
		if (is)
			topic_config_format(id, after->values[id], &buf);
	}
	if (buf.len > 0)
		log_bursts(sys_now_ns(), LOG_LEVEL_INFO, "topic %s: %.*s%s: set by %s",
			   topic_name(topic), (int)buf.len, buf.ptr, buf.overflow ? " ..." : "",
			   log_client(a->call, &client));
}

static enum kafka_error alter_topic(struct altering *a, struct topic *topic)
{
	struct topic_config config = {0}, before;
	enum kafka_error error = KAFKA_NONE;

	topic_config_own(topic, &before);
	if (!a->from_nothing)
		config = before;
	for (int32_t i = 0; i < a->changes_count && error == KAFKA_NONE; i++)
		error =
		    config_change(a->call, &config, (enum config_operation)a->changes[i].operation,
				  a->changes[i].name, a->changes[i].value, &a->text);
	if (error != KAFKA_NONE || a->validate_only)
		return error;
	error = store_topic_configure(a->call->server->store, topic, &config);
	if (error == KAFKA_NONE) {
		tell_changed(a, topic, &before, &config);
		config_tell_undone(topic);
	}
	return error;
}

static enum kafka_error alter(struct altering *a)
{
	enum kafka_error error;
	struct topic *topic;

	if (a->twice)
		return complain(a, "the resource is named twice");
	error = check_changes(a);
	if (error != KAFKA_NONE)
		return error;
	if (a->type != RESOURCE_TOPIC)
		return refuse_resource(a);
	if (a->name.len == 0)
		return complain(a, "a topic has a name");
	if (!store_topic_name_valid(a->name))
		return KAFKA_INVALID_TOPIC_EXCEPTION;
	topic = store_topic(a->call->server->store, a->name);
	if (!topic)
		return KAFKA_UNKNOWN_TOPIC_OR_PARTITION;
	error = alter_topic(a, topic);
	topic_unref(topic);
	return error;
}

/* A resource's type and name, as one name. */
static struct slice key_of(struct kafka_call *call, int8_t type, struct slice name)
{
	char *memory = call_take(call, name.len + 1, 1);

	if (!memory)
		return slice_make(NULL, 0);
	memory[0] = (char)type;
	if (name.len)
		memcpy(memory + 1, name.ptr, name.len);
	return slice_make(memory, name.len + 1);
}

static const enum name_twin *resource_twins(struct kafka_call *call, const struct altering *all,
					    int32_t count)
{
	struct slice *keys = call_take(call, (size_t)count, sizeof(*keys));

	for (int32_t i = 0; keys && i < count; i++) {
		keys[i] = key_of(call, all[i].type, all[i].name);
		if (!keys[i].ptr)
			return NULL;
	}
	return keys ? names_twins(call, keys, count) : NULL;
}

static bool alter_all(struct kafka_call *call, struct altering *all, enum kafka_error *errors,
		      int32_t count)
{
	const enum name_twin *twins = resource_twins(call, all, count);

	for (int32_t i = 0; twins && i < count; i++) {
		all[i].call = call;
		all[i].twice = twins[i] != NAME_ALONE;
		errors[i] = alter(&all[i]);
	}
	return twins != NULL;
}

enum handled handle_alter_configs(struct kafka_call *call)
{
	struct kafka_alter_configs_request request;
	struct kafka_alter_configs_response response;
	enum kafka_error *errors;
	struct altering *all;

	if (!call->may_block)
		return CALL_BLOCKS;
	if (!call_decode(call, &request))
		return CALL_CLOSES;
	kafka_alter_configs_response_init(&response);
	all = call_take(call, (size_t)request.resources.count, sizeof(*all));
	errors = call_take(call, (size_t)request.resources.count, sizeof(*errors));
	if (!all || !errors || !call_array(call, &response.responses, request.resources.count))
		return CALL_ENDS;
	for (int32_t i = 0; i < request.resources.count; i++) {
		const struct kafka_alter_configs_request_resource *from = &request.resources.at[i];
		struct change *changes =
		    call_take(call, (size_t)from->configs.count, sizeof(*changes));

		for (int32_t n = 0; changes && n < from->configs.count; n++)
			changes[n] = (struct change){.name = from->configs.at[n].name,
						     .value = from->configs.at[n].value};
		if (!changes)
			return CALL_ENDS;
		all[i] = (struct altering){.type = from->resource_type,
					   .name = from->resource_name,
					   .from_nothing = true,
					   .validate_only = request.validate_only,
					   .changes = changes,
					   .changes_count = from->configs.count};
	}
	if (!alter_all(call, all, errors, request.resources.count))
		return CALL_ENDS;
	for (int32_t i = 0; i < request.resources.count; i++)
		response.responses.at[i] = (struct kafka_alter_configs_response_response){
		    .error_code = (int16_t)errors[i],
		    .error_message = call_error_text(errors[i], all[i].text),
		    .resource_type = all[i].type,
		    .resource_name = all[i].name};
	return call_answer(call, &response);
}

enum handled handle_incremental_alter_configs(struct kafka_call *call)
{
	struct kafka_incremental_alter_configs_request request;
	struct kafka_incremental_alter_configs_response response;
	enum kafka_error *errors;
	struct altering *all;

	if (!call->may_block)
		return CALL_BLOCKS;
	if (!call_decode(call, &request))
		return CALL_CLOSES;
	kafka_incremental_alter_configs_response_init(&response);
	all = call_take(call, (size_t)request.resources.count, sizeof(*all));
	errors = call_take(call, (size_t)request.resources.count, sizeof(*errors));
	if (!all || !errors || !call_array(call, &response.responses, request.resources.count))
		return CALL_ENDS;
	for (int32_t i = 0; i < request.resources.count; i++) {
		const struct kafka_incremental_alter_configs_request_resource *from =
		    &request.resources.at[i];
		struct change *changes =
		    call_take(call, (size_t)from->configs.count, sizeof(*changes));

		for (int32_t n = 0; changes && n < from->configs.count; n++)
			changes[n] =
			    (struct change){from->configs.at[n].config_operation,
					    from->configs.at[n].name, from->configs.at[n].value};
		if (!changes)
			return CALL_ENDS;
		all[i] = (struct altering){.type = from->resource_type,
					   .name = from->resource_name,
					   .validate_only = request.validate_only,
					   .changes = changes,
					   .changes_count = from->configs.count};
	}
	if (!alter_all(call, all, errors, request.resources.count))
		return CALL_ENDS;
	for (int32_t i = 0; i < request.resources.count; i++)
		response.responses.at[i] =
		    (struct kafka_incremental_alter_configs_response_response){
			.error_code = (int16_t)errors[i],
			.error_message = call_error_text(errors[i], all[i].text),
			.resource_type = all[i].type,
			.resource_name = all[i].name};
	return call_answer(call, &response);
}
