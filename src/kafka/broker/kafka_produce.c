/*
 * Produce: each batch is checked and appended as it was received. Who asked for acknowledgements of
 * a log that is synced with each append (flush.messages is 1) waits for the disk.
 *
 *     collect -> validate all -----------------------> append all -> answer, or wait for the disk
 *                      |                                   ^
 *                      +--much to expand--> a helper does -+
 *
 * Up to the append nothing is changed. It is done on the loop, and also when the connection has
 * ended meanwhile: who wants no acknowledgement may leave at once.
 */
#include "kafka/broker/kafka_produce.h"

#include <errno.h>
#include <stdlib.h>

#include "kafka/broker/flush.h"
#include "kafka/broker/kafka_log.h"
#include "kafka/broker/kafka_validate.h"
#include "kafka/broker/watch.h"
#include "sys/sys.h"

#define HEAD_BYTES 512 /* of answers for a few partitions */

struct produce_topic {
	struct topic *topic; /* NULL: unknown */
	struct slice name;   /* the request's where unknown: then nothing waits with it */
	char *own_name;
	unsigned count;
};

struct produce_part {
	struct partition *partition;
	int32_t number;
	enum kafka_error error;
	const char *text; /* of the error; NULL: the code says it all */
	int64_t base_offset, log_append_time, log_start, last_offset;
	struct slice records; /* the request's */
	struct validated checked;
	uint32_t objected_at, objected; /* of produce.objected */
	bool waits;
	bool flush_due; /* it was told: on a helper it has to see to it */
	struct watcher watcher;
};

struct produce {
	struct waiter waiter;
	struct kafka_call *call; /* NULL: only the message is still to come */
	struct kafka_loop *loop;
	bool large, watching, failed;
	bool transactional; /* a batch of it is */
	int16_t acks;
	int64_t now_ms;
	size_t to_expand; /* bytes */
	unsigned topics_count, parts_count, waiting;
	struct produce_topic *topics;
	struct produce_part *parts;
	struct record_objected *objected; /* of all parts */
	uint32_t objected_count;
	char head[HEAD_BYTES];
};

size_t produce_size(size_t partitions)
{
	return sizeof(struct produce) +
	       partitions * (sizeof(struct produce_topic) + sizeof(struct produce_part));
}

/* ---- life ---- */

static struct produce *produce_new(struct kafka_call *call, size_t partitions)
{
	/* What lies ready is the loop's. */
	bool large = partitions > KAFKA_INLINE_PARTITIONS || call->apart;
	size_t room = large ? partitions : KAFKA_INLINE_PARTITIONS;
	struct produce *produce = NULL;

	if (!large)
		produce = spare_take(&call->home->produces);
	else if (produce_size(partitions) <= KAFKA_WORK_BYTES_MAX)
		produce = malloc(produce_size(partitions));
	if (!produce)
		return NULL;
	memset(produce, 0, offsetof(struct produce, head));
	produce->call = call;
	produce->loop = call->home;
	produce->large = large;
	produce->topics = (struct produce_topic *)(produce + 1);
	produce->parts = (struct produce_part *)(produce->topics + room);
	produce->waiter.home = &call->home->inbox;
	return produce;
}

static void give_back(struct produce *produce)
{
	if (produce->large)
		free(produce);
	else
		spare_give(&produce->loop->produces, produce);
}

static void unwatch(struct produce *produce)
{
	if (!produce->watching)
		return;
	for (unsigned i = 0; i < produce->parts_count; i++)
		if (produce->parts[i].waits)
			watcher_remove(&produce->parts[i].watcher, produce->parts[i].partition);
	waiter_forget(&produce->waiter);
	produce->watching = false;
}

static void produce_release(struct kafka_call *call)
{
	struct produce *produce = call->state;

	unwatch(produce);
	for (unsigned i = 0; i < produce->topics_count; i++) {
		if (produce->topics[i].topic)
			topic_unref(produce->topics[i].topic);
		free(produce->topics[i].own_name);
	}
	free(produce->objected);
	produce->call = NULL;
	if (waiter_is_idle(&produce->waiter))
		give_back(produce);
}

/* ---- the answer ---- */

/* false: no memory. */
static bool put_objected(struct kafka_call *call, const struct produce *produce,
			 const struct produce_part *part,
			 struct kafka_produce_response_partition_response *to)
{
	if (part->objected == 0)
		return true;
	if (!call_array(call, &to->record_errors, part->objected))
		return false;
	for (uint32_t i = 0; i < part->objected; i++) {
		const struct record_objected *from = &produce->objected[part->objected_at + i];

		to->record_errors.at[i].batch_index = from->index;
		to->record_errors.at[i].batch_index_error_message =
		    slice_of(record_objection_text(from->why));
	}
	return true;
}

static bool put_part(struct kafka_call *call, const struct produce *produce,
		     const struct produce_part *part,
		     struct kafka_produce_response_partition_response *to)
{
	to->index = part->number;
	to->error_code = (int16_t)part->error;
	to->base_offset = part->error == KAFKA_NONE ? part->base_offset : -1;
	to->log_append_time_ms = part->error == KAFKA_NONE ? part->log_append_time : -1;
	to->log_start_offset = part->log_start;
	to->current_leader.leader_id = -1;
	to->current_leader.leader_epoch = -1;
	to->error_message = part->text ? slice_of(part->text) : slice_make(NULL, 0);
	return put_objected(call, produce, part, to);
}

static enum handled produce_answer(struct kafka_call *call)
{
	struct produce *produce = call->state;
	struct kafka_produce_response_partition_response *parts =
	    call_take(call, produce->parts_count, sizeof(*parts));
	struct kafka_produce_response_response *topics =
	    call_take(call, produce->topics_count, sizeof(*topics));
	struct kafka_produce_response response;
	unsigned part = 0;

	if (!parts || !topics)
		return CALL_ENDS;
	kafka_produce_response_init(&response);
	for (unsigned i = 0; i < produce->topics_count; i++) {
		topics[i].name = produce->topics[i].name;
		topics[i].partition_responses.at = &parts[part];
		topics[i].partition_responses.count = (int32_t)produce->topics[i].count;
		for (unsigned n = 0; n < produce->topics[i].count; n++, part++)
			if (!put_part(call, produce, &produce->parts[part], &parts[part]))
				return CALL_ENDS;
	}
	response.responses.at = topics;
	response.responses.count = (int32_t)produce->topics_count;
	call->room = produce->head;
	call->room_size = sizeof(produce->head);
	return call_answer(call, &response);
}

/* ---- checks ---- */

static void refuse(struct produce_part *part, enum kafka_error error, const char *text)
{
	part->error = error;
	part->text = text;
}

/* Without memory for them the producer is told of the batch only. */
static void keep_objected(struct produce *produce, struct produce_part *part,
			  const struct records_summary *summary)
{
	uint32_t count = (uint32_t)min_u64(summary->objected, RECORDS_OBJECTED_MAX);
	struct record_objected *more =
	    realloc(produce->objected, (produce->objected_count + count) * sizeof(*more));

	if (!more)
		return;
	memcpy(more + produce->objected_count, summary->first, count * sizeof(*more));
	produce->objected = more;
	part->objected_at = produce->objected_count;
	part->objected = count;
	produce->objected_count += count;
}

/* false: there is more to expand than expand_left. */
static bool validate_topic(struct produce *produce, struct validator *validator,
			   const struct produce_topic *topic, struct produce_part *parts)
{
	for (struct produce_part *part = parts; part < parts + topic->count; part++) {
		/* Others are appended whether somebody waits for it or not. */
		if (produce->call->heavy && !call_step(produce->call, 1))
			return false;
		if (part->error != KAFKA_NONE)
			continue;
		validate_batch(validator, topic->topic, part->records, &part->checked);
		if (part->checked.left_off && !produce->call->may_block)
			return false;
		if (part->checked.objected > 0)
			keep_objected(produce, part, &validator->summary);
	}
	return true;
}

/* Of no effect until the append, and can be done again. */
static bool validate(struct produce *produce, size_t expand_max)
{
	const struct kafka_server *server = produce->loop->server;
	struct validator validator = {
	    .expanders = &produce->loop->server->expanders,
	    .level = (enum kafka_validation)config_value(server->config, KAFKA_CONFIG_VALIDATION),
	    .version = produce->call->header.version,
	    .now_ms = produce->now_ms,
	    .expand_left = expand_max,
	};
	struct produce_part *parts = produce->parts;
	bool done = true;

	produce->objected_count = 0;
	for (unsigned i = 0; i < produce->topics_count && done; i++) {
		done = validate_topic(produce, &validator, &produce->topics[i], parts);
		parts += produce->topics[i].count;
	}
	validator_end(&validator);
	return done;
}

static enum handled validate_on_helper(struct kafka_call *call)
{
	(void)validate(call->state, KAFKA_EXPANDED_REQUEST_MAX);
	return CALL_ANSWERED;
}

/* ---- the append ---- */

static void count_append(struct kafka_call *call, const struct validated *checked, bool duplicate)
{
	if (duplicate) {
		call->produced.duplicates++;
		return;
	}
	call->produced.batches++;
	call->produced.bytes += checked->len;
	call->produced.records += (uint64_t)checked->count;
}

/* Where the log begins is told with what it refused, as Kafka does; not with what did not come to
 * it. */
static void tell_log_start(struct produce_part *part)
{
	struct partition_ends ends;

	switch ((int)part->error) {
	case KAFKA_CORRUPT_MESSAGE:
	case KAFKA_MESSAGE_TOO_LARGE:
	case KAFKA_UNKNOWN_TOPIC_OR_PARTITION:
	case KAFKA_KAFKA_STORAGE_ERROR:
		return;
	default:
		if (!part->checked.malformed &&
		    partition_ends(part->partition, &ends) == KAFKA_NONE)
			part->log_start = ends.log_start;
	}
}

static bool is_full(int error)
{
	return error == -ENOSPC || error == -EDQUOT;
}

static void append(struct kafka_call *call, struct produce_part *part, int64_t now_ms)
{
	struct partition_appended appended = {0};

	if (part->checked.error != KAFKA_NONE) {
		refuse(part, part->checked.error, part->checked.text);
		tell_log_start(part);
		return;
	}
	validated_settle(&part->checked, now_ms);
	if (part->checked.set_append_time)
		part->log_append_time = now_ms;
	part->error = partition_append(part->partition, part->checked.batch, part->checked.len,
				       now_ms, &appended);
	if (part->error == KAFKA_KAFKA_STORAGE_ERROR && appended.error < 0)
		part->text = is_full(appended.error) ? "the disk is full" : "the disk failed";
	if (part->error != KAFKA_NONE) {
		tell_log_start(part);
		return;
	}
	count_append(call, &part->checked, appended.duplicate);
	part->base_offset = appended.base_offset;
	part->last_offset = appended.last_offset;
	part->log_start = appended.log_start;
	part->waits = appended.wait_durable;
	if (appended.duplicate && part->log_append_time >= 0)
		part->log_append_time = appended.timestamp;
	part->flush_due = appended.flush_due;
	if (part->flush_due && !call->apart)
		flush_begin(call->home, part->partition);
	if (!appended.wait_durable && !appended.duplicate)
		partition_wake(part->partition);
}

/* ---- waiting for the disk ---- */

static void look_at_part(struct produce *produce, struct produce_part *part)
{
	struct partition_ends ends;
	enum kafka_error error;

	if (!part->waits)
		return;
	error = partition_ends(part->partition, &ends);
	if (error == KAFKA_NONE && ends.durable_end <= part->last_offset)
		return;
	part->error = error;
	if (error != KAFKA_NONE)
		part->log_start = -1;
	watcher_remove(&part->watcher, part->partition);
	part->waits = false;
	produce->waiting--;
}

static void woken(struct message *message)
{
	struct produce *produce = container_of(message, struct produce, waiter.message);
	struct kafka_call *call = produce->call;
	struct watcher *watcher;

	waiter_woken(&produce->waiter);
	if (!call) {
		give_back(produce);
		return;
	}
	/* A wake that came while the call was being answered: it may still be leaving. */
	if (produce->waiting == 0)
		return;
	while ((watcher = waiter_take(&produce->waiter)))
		look_at_part(produce, container_of(watcher, struct produce_part, watcher));
	if (produce->waiting > 0)
		return;
	call->abandoned = NULL;
	call_renew_work(call);
	call_answered(call, produce_answer(call));
}

static enum handled wait_durable(struct kafka_call *call)
{
	struct produce *produce = call->state;
	struct produce_part *part = produce->parts, *end = part + produce->parts_count;

	produce->waiter.message.fn = woken;
	produce->watching = true;
	for (; part < end; part++) {
		if (!part->waits)
			continue;
		produce->waiting++;
		watcher_add(&part->watcher, part->partition, &produce->waiter);
	}
	for (unsigned i = 0; i < produce->parts_count; i++)
		look_at_part(produce, &produce->parts[i]);
	if (produce->waiting == 0)
		return produce_answer(call);
	/* The request's bytes go. */
	for (unsigned i = 0; i < produce->topics_count; i++) {
		struct produce_topic *topic = &produce->topics[i];

		if (topic->topic)
			continue;
		topic->own_name = malloc(topic->name.len + 1);
		if (!topic->own_name)
			return CALL_ENDS;
		memcpy(topic->own_name, topic->name.ptr, topic->name.len);
		topic->name.ptr = topic->own_name;
	}
	call->abandoned = call_free;
	return CALL_WAITS;
}

/* ---- the request ---- */

static size_t count_parts(const struct kafka_produce_request *request)
{
	size_t count = (size_t)request->topic_data.count, parts = 0;

	for (int32_t i = 0; i < request->topic_data.count; i++)
		parts += (size_t)request->topic_data.at[i].partition_data.count;
	return parts > count ? parts : count;
}

static void collect_part(const struct produce *produce, const struct produce_topic *topic,
			 struct produce_part *part,
			 const struct kafka_produce_request_partition_data *from)
{
	*part = (struct produce_part){.number = from->index,
				      .base_offset = -1,
				      .log_append_time = -1,
				      .log_start = -1,
				      .records = from->records};
	list_init(&part->watcher.node);
	part->partition = topic->topic ? topic_partition(topic->topic, from->index) : NULL;
	if (produce->acks < -1 || produce->acks > 1)
		refuse(part, KAFKA_INVALID_REQUIRED_ACKS, NULL);
	else if (topic->topic && kafka_topic_is_internal(topic->name))
		refuse(part, KAFKA_INVALID_TOPIC_EXCEPTION, "the topic is the broker's own");
	else if (!part->partition)
		refuse(part, KAFKA_UNKNOWN_TOPIC_OR_PARTITION, NULL);
}

static void collect_topic(struct produce *produce,
			  const struct kafka_produce_request_topic_data *from)
{
	const struct kafka_server *server = produce->loop->server;
	struct produce_topic *topic = &produce->topics[produce->topics_count++];
	enum kafka_validation level =
	    (enum kafka_validation)config_value(server->config, KAFKA_CONFIG_VALIDATION);

	*topic = (struct produce_topic){
	    .topic = store_topic(server->store, from->name),
	    .name = from->name,
	    .count = (unsigned)from->partition_data.count,
	};
	if (topic->topic)
		topic->name = slice_of(topic_name(topic->topic));
	for (int32_t i = 0; i < from->partition_data.count; i++) {
		struct produce_part *part = &produce->parts[produce->parts_count++];

		collect_part(produce, topic, part, &from->partition_data.at[i]);
		produce->transactional |= record_batch_is_transactional(part->records);
		if (part->error == KAFKA_NONE)
			produce->to_expand +=
			    validate_bytes(topic->topic, part->records, level, produce->now_ms);
	}
}

/* One line for the request, of its first bad batch. */
static void tell_refused(struct kafka_call *call, const struct produce *produce)
{
	const struct produce_part *part = produce->parts;

	for (unsigned i = 0; i < produce->topics_count; i++)
		for (unsigned n = 0; n < produce->topics[i].count; n++, part++)
			if (part->error != KAFKA_NONE) {
				log_refused_batch(call, produce->topics[i].topic,
						  produce->topics[i].name, part->number,
						  part->records.len, part->error, part->text);
				return;
			}
}

/* Nobody reads an answer: the end of the connection is how such a client learns of an error. */
static enum handled produce_silently(struct kafka_call *call)
{
	struct produce *produce = call->state;

	for (unsigned i = 0; i < produce->parts_count; i++)
		count_error(call, produce->parts[i].error);
	return produce->failed ? CALL_ENDS : CALL_SILENT;
}

static void sync_part(struct produce *produce, struct produce_part *part, bool awaited)
{
	if (part->flush_due) /* others wait for it, too */
		flush_once(produce->loop, part->partition);
	if (!part->waits || !awaited)
		return;
	part->error = flush_now(part->partition, part->last_offset + 1);
	part->waits = false;
	if (part->error != KAFKA_NONE)
		part->log_start = -1;
}

/* More parts than a loop appends in a turn: all of it by the helper, in steps. */
static enum handled produce_on_helper(struct kafka_call *call)
{
	struct produce *produce = call->state;
	struct produce_part *part, *end = produce->parts + produce->parts_count;
	bool awaited = true;

	if (!validate(produce, KAFKA_EXPANDED_REQUEST_MAX))
		return CALL_ENDS;
	for (part = produce->parts; part < end && awaited; part++) {
		awaited = call_step(call, 1);
		if (awaited && part->error == KAFKA_NONE)
			append(call, part, produce->now_ms);
	}
	for (part = produce->parts; part < end; part++) {
		sync_part(produce, part, awaited);
		produce->failed |= part->error != KAFKA_NONE;
	}
	if (!awaited)
		return CALL_ENDS;
	if (produce->failed)
		tell_refused(call, produce);
	return produce->acks == 0 ? produce_silently(call) : produce_answer(call);
}

/* The request has been validated. */
static enum handled produce_append(struct kafka_call *call)
{
	struct produce *produce = call->state;
	struct produce_part *part = produce->parts, *end = part + produce->parts_count;
	bool waits = false;

	for (; part < end; part++) {
		if (part->error == KAFKA_NONE)
			append(call, part, produce->now_ms);
		produce->failed |= part->error != KAFKA_NONE;
		waits |= part->waits;
	}
	if (produce->failed)
		tell_refused(call, produce);
	if (produce->acks == 0)
		return produce_silently(call);
	return waits ? wait_durable(call) : produce_answer(call);
}

/* What lies in the request moves with it. */
static enum handled leave_to_helper(struct kafka_call *call)
{
	struct produce *produce = call->state;
	const char *before = call->body.ptr;

	if (!call_keep_body(call))
		return CALL_ENDS;
	for (unsigned i = 0; i < produce->topics_count; i++)
		if (!produce->topics[i].topic)
			produce->topics[i].name.ptr += call->body.ptr - before;
	for (unsigned i = 0; i < produce->parts_count; i++)
		if (produce->parts[i].records.ptr)
			produce->parts[i].records.ptr += call->body.ptr - before;
	call->blocking = validate_on_helper;
	call->resume = produce_append;
	call->is_long = true;
	return CALL_BLOCKS;
}

enum handled handle_produce(struct kafka_call *call)
{
	struct kafka_produce_request request;
	struct produce *produce;

	if (!call_decode(call, &request))
		return CALL_CLOSES;
	produce = produce_new(call, count_parts(&request));
	if (!produce)
		return CALL_ENDS;
	call->state = produce;
	call->release_state = produce_release;
	produce->acks = request.acks;
	produce->now_ms = call_wall_ms();
	for (int32_t i = 0; i < request.topic_data.count; i++)
		collect_topic(produce, &request.topic_data.at[i]);
	/* As Kafka: nobody may write for a transaction that has no name. */
	if (produce->transactional && !request.transactional_id.ptr) {
		for (unsigned i = 0; i < produce->parts_count; i++)
			refuse(&produce->parts[i], KAFKA_TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
			       "transactions are not supported");
		return produce_append(call);
	}
	if (call->may_block)
		return produce_on_helper(call);
	if (produce->to_expand > KAFKA_EXPAND_ON_LOOP || !validate(produce, KAFKA_EXPANDED_ON_LOOP))
		return leave_to_helper(call);
	return produce_append(call);
}
