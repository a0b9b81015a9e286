/*
 * AlterConfigs, IncrementalAlterConfigs. Topics have settings that can be changed; the broker's are
 * those it was started with.
 */
#include <errno.h>

#include "kafka/broker/kafka_change.h"
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
	int r;

	if (topic_configs[id].kind != TOPIC_CONFIG_LIST) {
		*ret_text = call_printf(call, "%s is not a list", topic_configs[id].name);
		return KAFKA_INVALID_CONFIG;
	}
	r = topic_config_join(id, now, value, append, &now);
	if (r < 0) {
		*ret_text = refusal(call, id, slice_make("", 0), r);
		return KAFKA_INVALID_CONFIG;
	}
	topic_config_set(config, id, now);
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
static enum kafka_error alter_broker(struct altering *a)
{
	bool only_deletes = true;

	if (a->type != RESOURCE_BROKER && a->type != RESOURCE_BROKER_LOGGER)
		return complain(a, call_printf(a->call,
					       "settings of a resource of type %d can't be changed",
					       a->type));
	if (a->name.len > 0 && !config_is_this_broker(a->call, a->name))
		return complain(a, call_printf(a->call, "this is broker %d, not %.*s",
					       store_node_id(a->call->server->store),
					       (int)a->name.len, a->name.ptr));
	/* Nothing is set while it runs: so nothing is what is left when some of that is taken away. */
	for (int32_t i = 0; i < a->changes_count && only_deletes; i++)
		only_deletes = a->changes[i].operation == CONFIG_DELETE;
	if (only_deletes)
		return KAFKA_NONE;
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

/* What the topic is to have. */
static enum kafka_error alter_topic(struct altering *a, const struct topic_config *before,
				    struct topic_config *ret)
{
	enum kafka_error error = KAFKA_NONE;

	*ret = a->from_nothing ? (struct topic_config){0} : *before;
	for (int32_t i = 0; i < a->changes_count && error == KAFKA_NONE; i++)
		error = !call_step(a->call, 1)
			    ? KAFKA_UNKNOWN_SERVER_ERROR /* nobody reads it */
			    : config_change(a->call, ret,
					    (enum config_operation)a->changes[i].operation,
					    a->changes[i].name, a->changes[i].value, &a->text);
	return error;
}

/* NONE, with a reference to the topic that may have settings; without one where there is nothing left
 * to do. */
static enum kafka_error find_altered(struct altering *a, struct topic **ret)
{
	enum kafka_error error;

	if (a->twice)
		return complain(a, "the resource is named twice");
	error = check_changes(a);
	if (error != KAFKA_NONE)
		return error;
	if (a->type != RESOURCE_TOPIC)
		return alter_broker(a);
	if (a->name.len == 0)
		return complain(a, "a topic has a name");
	if (!store_topic_name_valid(a->name))
		return KAFKA_INVALID_TOPIC_EXCEPTION;
	if (a->call->ending)
		return KAFKA_NOT_CONTROLLER;
	*ret = store_topic(a->call->server->store, a->name);
	return *ret ? KAFKA_NONE : KAFKA_UNKNOWN_TOPIC_OR_PARTITION;
}

/* All of a request, and where it is. */
struct alterings {
	struct altering *all;
	enum kafka_error *errors;
	int32_t count, next;
	enum handled (*answer)(struct kafka_call *call, const struct alterings *alterings);
	struct batch batch;
	struct topic_config before[KAFKA_CHANGES_A_STEP], after[KAFKA_CHANGES_A_STEP];
	int32_t numbers[KAFKA_CHANGES_A_STEP];
};

/* Into the batch, or answered. */
static void alter_take(struct alterings *alterings, int32_t number)
{
	struct altering *a = &alterings->all[number];
	struct batch *batch = &alterings->batch;
	struct topic_config *before = &alterings->before[batch->count],
			    *after = &alterings->after[batch->count];
	struct topic *topic = NULL;
	enum kafka_error error = find_altered(a, &topic);

	if (topic) {
		topic_config_own(topic, before);
		error = alter_topic(a, before, after);
	}
	if (topic && error == KAFKA_NONE && !a->validate_only) {
		alterings->numbers[batch->count] = number;
		batch->changes[batch->count++] =
		    (struct store_change){.topic = topic, .config = after};
		return;
	}
	if (topic)
		topic_unref(topic);
	alterings->errors[number] = error;
}

static void alter_batch(struct kafka_call *call, struct alterings *alterings)
{
	struct batch *batch = &alterings->batch;

	store_topics_configure(call->server->store, batch->changes, batch->count);
	for (unsigned i = 0; i < batch->count; i++) {
		const struct store_change *change = &batch->changes[i];
		int32_t number = alterings->numbers[i];

		alterings->errors[number] = change->error;
		if (change->error == KAFKA_NONE) {
			tell_changed(&alterings->all[number], change->topic, &alterings->before[i],
				     &alterings->after[i]);
			config_tell_undone(change->topic);
		}
		topic_unref(change->topic);
	}
	batch->count = 0;
}

static enum handled alter_step(struct kafka_call *call)
{
	struct alterings *alterings = call->state;

	while (alterings->next < alterings->count && batch_has_room(&alterings->batch))
		alter_take(alterings, alterings->next++);
	alter_batch(call, alterings);
	return alterings->next < alterings->count ? CALL_CONTINUES
						  : alterings->answer(call, alterings);
}

static const enum name_twin *resource_twins(struct kafka_call *call, const struct altering *all,
					    int32_t count)
{
	struct slice *keys = call_take(call, (size_t)count, sizeof(*keys));

	for (int32_t i = 0; keys && i < count; i++) {
		keys[i] = config_resource_key(call, all[i].type, all[i].name);
		if (!keys[i].ptr)
			return NULL;
	}
	return keys ? names_twins(call, keys, count) : NULL;
}

static struct alterings *alterings_new(struct kafka_call *call, int32_t count)
{
	struct alterings *alterings = call_take(call, 1, sizeof(*alterings));

	if (!alterings)
		return NULL;
	alterings->count = count;
	alterings->all = call_take(call, (size_t)count, sizeof(*alterings->all));
	alterings->errors = call_take(call, (size_t)count, sizeof(*alterings->errors));
	return alterings->all && alterings->errors ? alterings : NULL;
}

static enum handled alter_all(struct kafka_call *call, struct alterings *alterings)
{
	const enum name_twin *twins = resource_twins(call, alterings->all, alterings->count);

	for (int32_t i = 0; twins && i < alterings->count; i++) {
		alterings->all[i].call = call;
		alterings->all[i].twice = twins[i] != NAME_ALONE;
	}
	return twins ? call_in_steps(call, alter_step, alterings) : CALL_ENDS;
}

static enum handled answer_altered(struct kafka_call *call, const struct alterings *alterings)
{
	struct kafka_alter_configs_response response;

	kafka_alter_configs_response_init(&response);
	if (!call_array(call, &response.responses, alterings->count))
		return CALL_ENDS;
	for (int32_t i = 0; i < alterings->count; i++)
		response.responses.at[i] = (struct kafka_alter_configs_response_response){
		    .error_code = (int16_t)alterings->errors[i],
		    .error_message = call_error_text(alterings->errors[i], alterings->all[i].text),
		    .resource_type = alterings->all[i].type,
		    .resource_name = alterings->all[i].name};
	return call_answer(call, &response);
}

static enum handled answer_incremental(struct kafka_call *call, const struct alterings *alterings)
{
	struct kafka_incremental_alter_configs_response response;

	kafka_incremental_alter_configs_response_init(&response);
	if (!call_array(call, &response.responses, alterings->count))
		return CALL_ENDS;
	for (int32_t i = 0; i < alterings->count; i++)
		response.responses.at[i] =
		    (struct kafka_incremental_alter_configs_response_response){
			.error_code = (int16_t)alterings->errors[i],
			.error_message =
			    call_error_text(alterings->errors[i], alterings->all[i].text),
			.resource_type = alterings->all[i].type,
			.resource_name = alterings->all[i].name};
	return call_answer(call, &response);
}

enum handled handle_alter_configs(struct kafka_call *call)
{
	struct kafka_alter_configs_request request;
	struct alterings *alterings;

	if (!call->may_block)
		return call_change(call);
	if (!call_decode(call, &request))
		return CALL_CLOSES;
	alterings = alterings_new(call, request.resources.count);
	if (!alterings)
		return CALL_ENDS;
	alterings->answer = answer_altered;
	for (int32_t i = 0; i < request.resources.count; i++) {
		const struct kafka_alter_configs_request_resource *from = &request.resources.at[i];
		struct change *changes =
		    call_take(call, (size_t)from->configs.count, sizeof(*changes));

		for (int32_t n = 0; changes && n < from->configs.count; n++)
			changes[n] = (struct change){.name = from->configs.at[n].name,
						     .value = from->configs.at[n].value};
		if (!changes)
			return CALL_ENDS;
		alterings->all[i] = (struct altering){.type = from->resource_type,
						      .name = from->resource_name,
						      .from_nothing = true,
						      .validate_only = request.validate_only,
						      .changes = changes,
						      .changes_count = from->configs.count};
	}
	return alter_all(call, alterings);
}

enum handled handle_incremental_alter_configs(struct kafka_call *call)
{
	struct kafka_incremental_alter_configs_request request;
	struct alterings *alterings;

	if (!call->may_block)
		return call_change(call);
	if (!call_decode(call, &request))
		return CALL_CLOSES;
	alterings = alterings_new(call, request.resources.count);
	if (!alterings)
		return CALL_ENDS;
	alterings->answer = answer_incremental;
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
		alterings->all[i] = (struct altering){.type = from->resource_type,
						      .name = from->resource_name,
						      .validate_only = request.validate_only,
						      .changes = changes,
						      .changes_count = from->configs.count};
	}
	return alter_all(call, alterings);
}
