/*
 * ListOffsets: where partitions begin and end, and where a time is.
 */
#include <stdlib.h>

#include "base/be.h"
#include "kafka/broker/kafka_call.h"
#include "kafka/broker/names.h"
#include "kafka/broker/read_slice.h"
#include "kafka/codec/expanded_records.h"

#define OFFSETS_LATEST         (-1)
#define OFFSETS_EARLIEST       (-2)
#define OFFSETS_GREATEST       (-3)
#define OFFSETS_EARLIEST_LOCAL (-4)
/* Of tiered storage: what has gone there, what is about to. There is none. */
#define OFFSETS_TIERED        (-5)
#define OFFSETS_UPLOADED_NEXT (-6)

/* Which of them a version knows. */
static bool is_known(int64_t timestamp, int16_t version)
{
	static const int8_t first_version[] = {
	    [-OFFSETS_LATEST] = 1,         [-OFFSETS_EARLIEST] = 1, [-OFFSETS_GREATEST] = 7,
	    [-OFFSETS_EARLIEST_LOCAL] = 8, [-OFFSETS_TIERED] = 9,   [-OFFSETS_UPLOADED_NEXT] = 11,
	};

	return timestamp >= 0 ||
	       (timestamp >= OFFSETS_UPLOADED_NEXT && version >= first_version[-timestamp]);
}

struct asked {
	struct partition *partition;
	int64_t timestamp;
	int32_t epoch;
	bool committed, twice;
};

static void put(struct kafka_list_offsets_response_partition *to, int64_t offset, int64_t timestamp,
		int32_t epoch)
{
	to->offset = offset;
	to->timestamp = timestamp;
	to->leader_epoch = epoch;
}

/* Which record of the batch? END: none of them. *ret_next: the offset behind it. */
static enum record_batch_fault look_into(const struct kafka_call *call, struct slice bytes,
					 int64_t from, int64_t timestamp,
					 struct partition_found *found, int64_t *ret_next)
{
	struct expanders *expanders = &call->server->expanders;
	struct expander *expander;
	struct record_batch batch;
	struct record_head head;
	enum record_batch_fault fault = record_batch_next(&bytes, &batch);

	if (fault != RECORD_BATCH_OK)
		return fault;
	expander = expanders_take(expanders);
	if (!expander)
		return RECORD_BATCH_NO_MEMORY;
	fault = expanded_records_find(expander, &batch, KAFKA_EXPANDED_REQUEST_MAX, from, timestamp,
				      &head);
	expanders_give(expanders, expander);
	*ret_next = record_batch_last_offset(&batch) + 1;
	if (fault == RECORD_BATCH_OK) {
		found->offset = batch.base_offset + head.delta;
		found->timestamp = head.timestamp;
	}
	return fault;
}

/* What was found is in a compressed batch. */
static enum record_batch_fault look_inside(const struct kafka_call *call, int64_t from,
					   int64_t timestamp, struct partition_found *found,
					   int64_t *ret_next)
{
	char *buffer = NULL;
	size_t size = 0;
	enum record_batch_fault fault = RECORD_BATCH_CUT;

	if (read_slice(&found->batch, &buffer, &size) == 0)
		fault = look_into(call, slice_make(buffer, found->batch.len), from, timestamp,
				  found, ret_next);
	free(buffer);
	partition_slice_release(&found->batch);
	return fault;
}

/* The first record that is meant, of those from the log's start on. A batch whose header has a later
 * time than its records (it was believed) has none: then the next one is looked at, as by Kafka. */
static enum kafka_error find(const struct kafka_call *call, const struct asked *asked, int64_t from,
			     struct partition_found *found)
{
	int64_t timestamp = asked->timestamp;
	enum kafka_error error = timestamp == OFFSETS_GREATEST
				     ? partition_find_latest(asked->partition, found)
				     : partition_find_time(asked->partition, timestamp, found);

	if (timestamp == OFFSETS_GREATEST)
		timestamp = found->timestamp;
	while (error == KAFKA_NONE && found->compressed) {
		enum record_batch_fault fault = look_inside(call, from, timestamp, found, &from);

		if (fault == RECORD_BATCH_OK)
			return KAFKA_NONE;
		if (fault != RECORD_BATCH_END)
			return KAFKA_UNKNOWN_SERVER_ERROR;
		error = partition_find_time_from(asked->partition, timestamp, from, found);
	}
	return error;
}

/* false: it would wait for the disk. */
static bool answer_part(const struct kafka_call *call, const struct asked *asked,
			struct kafka_list_offsets_response_partition *to)
{
	struct partition_ends ends;
	struct partition_found found = {0};
	enum kafka_error error = KAFKA_NONE;

	put(to, -1, -1, -1);
	if (asked->twice)
		error = KAFKA_INVALID_REQUEST;
	else if (!is_known(asked->timestamp, call->header.version))
		error = KAFKA_UNSUPPORTED_VERSION;
	else
		error = call_partition_ends(asked->partition, asked->epoch, &ends);
	if (error != KAFKA_NONE) {
		to->error_code = (int16_t)error;
		return true;
	}
	if (asked->timestamp == OFFSETS_TIERED || asked->timestamp == OFFSETS_UPLOADED_NEXT)
		return true;
	if (asked->timestamp == OFFSETS_LATEST) {
		put(to, asked->committed ? ends.last_stable : ends.high_watermark, -1,
		    ends.leader_epoch);
		return true;
	}
	if (asked->timestamp == OFFSETS_EARLIEST || asked->timestamp == OFFSETS_EARLIEST_LOCAL) {
		put(to, ends.log_start, -1, partition_start_epoch(asked->partition));
		return true;
	}
	if (!call->may_block)
		return false;
	error = find(call, asked, ends.log_start, &found);
	to->error_code = (int16_t)error;
	if (error == KAFKA_NONE)
		put(to, found.offset, found.timestamp, found.offset < 0 ? -1 : found.leader_epoch);
	return true;
}

/* A topic's name and a partition's number, as one name. */
static struct slice key_of(struct kafka_call *call, struct slice name, int32_t partition)
{
	char *memory = call_take(call, name.len + sizeof(partition), 1);

	if (!memory)
		return slice_make(NULL, 0);
	be_store32(memory, (uint32_t)partition);
	memcpy(memory + sizeof(partition), name.ptr, name.len);
	return slice_make(memory, name.len + sizeof(partition));
}

/* For each partition of each topic, in their order, whether it is named once. NULL: no memory. */
static const enum name_twin *twins_of(struct kafka_call *call,
				      const struct kafka_list_offsets_request *request)
{
	int32_t count = 0, at = 0;
	struct slice *keys;

	for (int32_t i = 0; i < request->topics.count; i++)
		count += request->topics.at[i].partitions.count;
	keys = call_take(call, (size_t)count, sizeof(*keys));
	for (int32_t i = 0; keys && i < request->topics.count; i++) {
		const struct kafka_list_offsets_request_topic *topic = &request->topics.at[i];

		for (int32_t n = 0; n < topic->partitions.count; n++, at++) {
			keys[at] =
			    key_of(call, topic->name, topic->partitions.at[n].partition_index);
			if (!keys[at].ptr)
				return NULL;
		}
	}
	return keys ? names_twins(call, keys, count) : NULL;
}

static bool answer_topic(struct kafka_call *call, const struct kafka_list_offsets_request *request,
			 const struct kafka_list_offsets_request_topic *from,
			 const enum name_twin *twins, struct kafka_list_offsets_response_topic *to)
{
	struct topic *topic = store_topic(call->server->store, from->name);
	bool complete = true;

	for (int32_t i = 0; i < from->partitions.count && complete; i++) {
		const struct kafka_list_offsets_request_partition *part = &from->partitions.at[i];
		const struct asked asked = {
		    .partition = topic ? topic_partition(topic, part->partition_index) : NULL,
		    .timestamp = part->timestamp,
		    .epoch = part->current_leader_epoch,
		    .committed = request->isolation_level == 1,
		    .twice = twins[i] != NAME_ALONE,
		};

		to->partitions.at[i].partition_index = part->partition_index;
		complete = answer_part(call, &asked, &to->partitions.at[i]) && call_step(call, 1);
	}
	if (topic)
		topic_unref(topic);
	return complete;
}

enum handled handle_list_offsets(struct kafka_call *call)
{
	struct kafka_list_offsets_request request;
	struct kafka_list_offsets_response response;
	const enum name_twin *twins;

	if (!call_decode(call, &request))
		return CALL_CLOSES;
	kafka_list_offsets_response_init(&response);
	twins = twins_of(call, &request);
	if (!twins || !call_array(call, &response.topics, request.topics.count))
		return CALL_ENDS;
	/* A search may expand large batches. */
	call->is_long = true;
	for (int32_t i = 0; i < request.topics.count; i++) {
		const struct kafka_list_offsets_request_topic *from = &request.topics.at[i];
		struct kafka_list_offsets_response_topic *to = &response.topics.at[i];

		to->name = from->name;
		if (!call_array(call, &to->partitions, from->partitions.count))
			return CALL_ENDS;
		if (!answer_topic(call, &request, from, twins, to))
			return call->may_block ? CALL_ENDS : CALL_BLOCKS;
		twins += from->partitions.count;
	}
	return call_answer(call, &response);
}
