/*
 * Produce: each batch is checked and appended as it was received. Who asked for acknowledgements of
 * a log that is synced with each append (flush.messages is 1) waits for the disk.
 */
#include "kafka/broker/kafka_produce.h"

#include <stdlib.h>

#include "kafka/broker/flush.h"
#include "kafka/broker/kafka_call.h"
#include "kafka/broker/watch.h"
#include "kafka/wire/record_batch.h"

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
	bool waits;
	struct watcher watcher;
};

struct produce {
	struct waiter waiter;
	struct kafka_call *call; /* NULL: only the message is still to come */
	struct kafka_loop *loop;
	bool large, watching, failed;
	unsigned topics_count, parts_count, waiting;
	struct produce_topic *topics;
	struct produce_part *parts;
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
	bool large = partitions > KAFKA_INLINE_PARTITIONS;
	size_t room = large ? partitions : KAFKA_INLINE_PARTITIONS;
	struct produce *produce =
	    large ? malloc(produce_size(partitions)) : spare_take(&call->home->produces);

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
	produce->call = NULL;
	if (waiter_is_idle(&produce->waiter))
		give_back(produce);
}

/* ---- the answer ---- */

static void put_part(const struct produce_part *part,
		     struct kafka_produce_response_partition_response *to)
{
	to->index = part->number;
	to->error_code = (int16_t)part->error;
	to->base_offset = part->error == KAFKA_NONE ? part->base_offset : -1;
	to->log_append_time_ms = part->error == KAFKA_NONE ? part->log_append_time : -1;
	to->log_start_offset = part->error == KAFKA_NONE ? part->log_start : -1;
	to->current_leader.leader_id = -1;
	to->current_leader.leader_epoch = -1;
	to->error_message = part->text ? slice_of(part->text) : slice_make(NULL, 0);
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
			put_part(&produce->parts[part], &parts[part]);
	}
	response.responses.at = topics;
	response.responses.count = (int32_t)produce->topics_count;
	call->room = produce->head;
	call->room_size = sizeof(produce->head);
	return call_answer(call, &response);
}

/* ---- checks and the append ---- */

static void refuse(struct produce_part *part, enum kafka_error error, const char *text)
{
	part->error = error;
	part->text = text;
}

static bool check_times(struct produce_part *part, const struct topic *topic, int64_t first,
			int64_t last, int64_t now_ms)
{
	int64_t before = topic_config_value(topic, TOPIC_CONFIG_TIMESTAMP_BEFORE_MAX_MS);
	int64_t after = topic_config_value(topic, TOPIC_CONFIG_TIMESTAMP_AFTER_MAX_MS);

	if (first >= 0 && now_ms > first && now_ms - first > before) {
		refuse(part, KAFKA_INVALID_TIMESTAMP, "a timestamp is too far in the past");
		return false;
	}
	if (last > now_ms && last - now_ms > after) {
		refuse(part, KAFKA_INVALID_TIMESTAMP, "a timestamp is too far in the future");
		return false;
	}
	return true;
}

/* The records of a batch that is not compressed. */
static bool check_records(struct produce_part *part, const struct topic *topic,
			  struct record_batch *batch)
{
	bool compact =
	    topic_config_value(topic, TOPIC_CONFIG_CLEANUP_POLICY) & TOPIC_CLEANUP_COMPACT;
	struct records_summary summary;
	enum record_batch_fault fault = records_check(batch, batch->records, &summary);

	if (fault != RECORD_BATCH_OK) {
		refuse(part, record_batch_error(fault), record_batch_text(fault));
		return false;
	}
	if (compact && summary.without_key > 0) {
		refuse(part, KAFKA_INVALID_RECORD,
		       "a compacted topic takes no records without a key");
		return false;
	}
	if (summary.max_timestamp != batch->max_timestamp) {
		record_batch_set_max_timestamp((char *)batch->bytes.ptr, batch->bytes.len,
					       summary.max_timestamp);
		batch->max_timestamp = summary.max_timestamp;
	}
	return true;
}

static bool check_batch(struct kafka_call *call, struct produce_part *part,
			const struct topic *topic, struct record_batch *batch, int64_t now_ms)
{
	enum record_codec codec = record_batch_codec(batch);

	if (codec == RECORD_CODEC_ZSTD && call->header.version < 7) {
		refuse(part, KAFKA_UNSUPPORTED_COMPRESSION_TYPE, "zstd needs version 7 of Produce");
		return false;
	}
	if (batch->attributes & RECORD_ATTRIBUTE_TRANSACTIONAL) {
		refuse(part, KAFKA_INVALID_TXN_STATE, "transactions are not supported");
		return false;
	}
	if (codec == RECORD_CODEC_NONE && !check_records(part, topic, batch))
		return false;
	if (topic_config_value(topic, TOPIC_CONFIG_TIMESTAMP_TYPE) == 1) {
		record_batch_set_log_append_time((char *)batch->bytes.ptr, batch->bytes.len,
						 now_ms);
		part->log_append_time = now_ms;
		return true;
	}
	if (batch->attributes & RECORD_ATTRIBUTE_LOG_APPEND_TIME) {
		refuse(part, KAFKA_INVALID_TIMESTAMP,
		       "producers may not say that the broker set the time");
		return false;
	}
	return check_times(part, topic, batch->base_timestamp, batch->max_timestamp, now_ms);
}

static void count_append(struct kafka_call *call, const struct record_batch *batch, bool duplicate)
{
	if (duplicate) {
		call->produced.duplicates++;
		return;
	}
	call->produced.batches++;
	call->produced.bytes += batch->bytes.len;
	call->produced.records += (uint64_t)batch->count;
}

static void append(struct kafka_call *call, struct produce_part *part, const struct topic *topic,
		   struct slice records, int64_t now_ms)
{
	struct record_batch batch;
	struct partition_appended appended = {0};
	enum record_batch_fault fault = record_batch_check_produced(records, &batch);

	if (fault != RECORD_BATCH_OK) {
		refuse(part, record_batch_error(fault), record_batch_text(fault));
		return;
	}
	if (!check_batch(call, part, topic, &batch, now_ms))
		return;
	/* The request's memory is ours, and the store sets the offset in place. */
	part->error = partition_append(part->partition, (char *)batch.bytes.ptr, batch.bytes.len,
				       now_ms, &appended);
	if (part->error != KAFKA_NONE)
		return;
	count_append(call, &batch, appended.duplicate);
	part->base_offset = appended.base_offset;
	part->last_offset = appended.last_offset;
	part->log_start = appended.log_start;
	part->waits = appended.wait_durable;
	if (appended.duplicate && part->log_append_time >= 0)
		part->log_append_time = appended.timestamp;
	if (appended.flush_due)
		flush_begin(call->home, part->partition);
	if (!appended.wait_durable && !appended.duplicate)
		partition_wake(part->partition);
}

static void produce_part(struct kafka_call *call, const struct produce_topic *topic,
			 struct produce_part *part,
			 const struct kafka_produce_request_partition_data *from, int16_t acks,
			 int64_t now_ms)
{
	*part = (struct produce_part){.number = from->index,
				      .base_offset = -1,
				      .log_append_time = -1,
				      .log_start = -1};
	list_init(&part->watcher.node);
	if (acks < -1 || acks > 1) {
		refuse(part, KAFKA_INVALID_REQUIRED_ACKS, NULL);
		return;
	}
	if (topic->topic && kafka_topic_is_internal(topic->name)) {
		refuse(part, KAFKA_INVALID_TOPIC_EXCEPTION, "the topic is the broker's own");
		return;
	}
	part->partition = topic->topic ? topic_partition(topic->topic, from->index) : NULL;
	if (!part->partition) {
		refuse(part, KAFKA_UNKNOWN_TOPIC_OR_PARTITION, NULL);
		return;
	}
	append(call, part, topic->topic, from->records, now_ms);
}

/* ---- waiting for the disk ---- */

static void look(struct produce *produce)
{
	for (unsigned i = 0; i < produce->parts_count; i++) {
		struct produce_part *part = &produce->parts[i];
		struct partition_ends ends;
		enum kafka_error error;

		if (!part->waits)
			continue;
		error = partition_ends(part->partition, &ends);
		if (error == KAFKA_NONE && ends.durable_end <= part->last_offset)
			continue;
		part->error = error;
		watcher_remove(&part->watcher, part->partition);
		part->waits = false;
		produce->waiting--;
	}
}

static void woken(struct message *message)
{
	struct produce *produce = container_of(message, struct produce, waiter.message);
	struct kafka_call *call = produce->call;

	waiter_woken(&produce->waiter);
	if (!call) {
		give_back(produce);
		return;
	}
	look(produce);
	if (produce->waiting > 0)
		return;
	call->abandoned = NULL;
	call_renew_work(call);
	call_answered(call, produce_answer(call));
}

static void abandoned(struct kafka_call *call)
{
	call_free(call);
}

static enum handled wait_durable(struct kafka_call *call)
{
	struct produce *produce = call->state;

	produce->waiter.message.fn = woken;
	produce->watching = true;
	for (unsigned i = 0; i < produce->parts_count; i++) {
		struct produce_part *part = &produce->parts[i];

		if (!part->waits)
			continue;
		produce->waiting++;
		watcher_add(&part->watcher, part->partition, &produce->waiter);
	}
	look(produce);
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
	call->abandoned = abandoned;
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

static void produce_topic(struct kafka_call *call, struct produce *produce,
			  const struct kafka_produce_request_topic_data *from, int16_t acks,
			  int64_t now_ms)
{
	struct produce_topic *topic = &produce->topics[produce->topics_count++];

	*topic = (struct produce_topic){
	    .topic = store_topic(call->server->store, from->name),
	    .name = from->name,
	    .count = (unsigned)from->partition_data.count,
	};
	if (topic->topic)
		topic->name = slice_of(topic_name(topic->topic));
	for (int32_t i = 0; i < from->partition_data.count; i++) {
		struct produce_part *part = &produce->parts[produce->parts_count++];

		produce_part(call, topic, part, &from->partition_data.at[i], acks, now_ms);
		produce->failed |= part->error != KAFKA_NONE;
	}
}

enum handled handle_produce(struct kafka_call *call)
{
	struct kafka_produce_request request;
	int64_t now_ms = call_wall_ms();
	struct produce *produce;
	bool waits = false;

	if (!call_decode(call, &request))
		return CALL_CLOSES;
	produce = produce_new(call, count_parts(&request));
	if (!produce)
		return CALL_ENDS;
	call->state = produce;
	call->release_state = produce_release;
	for (int32_t i = 0; i < request.topic_data.count; i++)
		produce_topic(call, produce, &request.topic_data.at[i], request.acks, now_ms);
	/* Nobody reads an answer: the end of the connection is how such a client learns of it. */
	if (request.acks == 0) {
		for (unsigned i = 0; i < produce->parts_count; i++)
			count_error(call, produce->parts[i].error);
		return produce->failed ? CALL_ENDS : CALL_SILENT;
	}
	for (unsigned i = 0; i < produce->parts_count; i++)
		waits |= produce->parts[i].waits;
	return waits ? wait_durable(call) : produce_answer(call);
}
