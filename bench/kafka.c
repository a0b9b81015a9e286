#include "kafka.h"

#include <stdlib.h>
#include <time.h>

#include "base/be.h"
#include "kafka/broker/core/batch_writer.h"
#include "kafka/wire/header.h"
#include "kafka/wire/messages.h"
#include "kafka/wire/record_batch.h"
#include "support.h"

#define PRODUCE_VERSION 7
#define FETCH_VERSION   11
/* The fields behind it, in bytes: log start, max bytes, forgotten topics, rack. */
#define OFFSET_FROM_END    26
#define MAX_BYTES_FROM_END 10

/* ---- batches ---- */

/* Bytes that no record of one batch is: how much room is certain to be enough for one more. */
#define RECORD_OVERHEAD_MAX 32

struct batch batch_make(size_t bytes_max, size_t record_bytes)
{
	struct batch_writer writer = {0};
	char *value = malloc(record_bytes + 1);
	struct batch batch;

	if (!value)
		die("malloc");
	/* Not all the same, as some disks look. */
	for (size_t i = 0; i < record_bytes; i++)
		value[i] = (char)random();
	batch_begin(&writer, (int64_t)time(NULL) * 1000);
	do
		batch_add(&writer, slice_make(NULL, 0), slice_make(value, record_bytes));
	while (writer.len + record_bytes + RECORD_OVERHEAD_MAX <= bytes_max);
	batch.records = writer.count;
	batch.bytes = batch_end(&writer);
	if (batch.bytes.len == 0)
		die("malloc");
	free(value);
	return batch;
}

/* ---- messages ---- */

/* The records are left out, and counted: `gap` is where they belong. */
static struct kafka_writer writer_over(struct head *head, struct kafka_gap *gap)
{
	struct kafka_writer writer = kafka_writer_over(head->bytes, sizeof(head->bytes));

	writer.gaps = gap;
	writer.gaps_size = 1;
	return writer;
}

static struct kafka_writer request_begin(struct head *head, int16_t key, int16_t version,
					 struct kafka_gap *gap)
{
	struct kafka_writer writer = writer_over(head, gap);

	kafka_request_begin(&writer, kafka_api_find(key), version, 0, slice_of("bench"));
	return writer;
}

static struct kafka_writer answer_begin(struct head *head, int16_t key, int16_t version,
					struct kafka_gap *gap)
{
	const struct kafka_request_header request = {.api = kafka_api_find(key), .answer = version};
	struct kafka_writer writer = writer_over(head, gap);

	kafka_response_begin(&writer, &request);
	return writer;
}

static void end(struct head *head, struct kafka_writer *writer)
{
	if (kafka_frame_end(writer) < 0 || !kafka_writer_fits(writer))
		die_text("a Kafka message does not fit: is the topic's name so long?");
	head->len = writer->len;
}

/* A token: there are records, but they are not here. */
static struct slice elsewhere(size_t len)
{
	return slice_make("elsewhere", len);
}

void produce_request(struct head *ret, const char *topic, int32_t partition, size_t records_len)
{
	struct kafka_produce_request_partition_data data = {.index = partition,
							    .records = elsewhere(records_len)};
	struct kafka_produce_request_topic_data to = {.name = slice_of(topic)};
	struct kafka_produce_request request;
	struct kafka_gap gap;
	struct kafka_writer writer = request_begin(ret, KAFKA_API_PRODUCE, PRODUCE_VERSION, &gap);

	kafka_produce_request_init(&request);
	request.acks = -1;
	request.timeout_ms = 30000;
	to.partition_data.at = &data;
	to.partition_data.count = 1;
	request.topic_data.at = &to;
	request.topic_data.count = 1;
	kafka_produce_request_encode(&request, PRODUCE_VERSION, &writer);
	end(ret, &writer);
}

void produce_request_set_partition(struct head *request, int32_t partition)
{
	/* Behind it stands the size of the records. */
	be_store32(request->bytes + request->len - 8, (uint32_t)partition);
}

void produce_answer(struct head *ret, const char *topic)
{
	struct kafka_produce_response_partition_response data = {.log_append_time_ms = -1};
	struct kafka_produce_response_response to = {.name = slice_of(topic)};
	struct kafka_produce_response response;
	struct kafka_gap gap;
	struct kafka_writer writer = answer_begin(ret, KAFKA_API_PRODUCE, PRODUCE_VERSION, &gap);

	kafka_produce_response_init(&response);
	to.partition_responses.at = &data;
	to.partition_responses.count = 1;
	response.responses.at = &to;
	response.responses.count = 1;
	kafka_produce_response_encode(&response, PRODUCE_VERSION, &writer);
	end(ret, &writer);
}

static const char *error_name(int16_t code)
{
	return code ? kafka_error_info(code)->name : NULL;
}

const char *produce_answer_fault(const char *answer, size_t len, int32_t correlation_id)
{
	struct slice rest = slice_make(answer + KAFKA_SIZE_BYTES, len - KAFKA_SIZE_BYTES);
	_Alignas(8) char memory[1024];
	struct arena arena = arena_over(memory, sizeof(memory));
	struct kafka_produce_response response;
	const struct kafka_produce_response_response *to;
	int32_t id;

	if (kafka_response_header_decode(&rest, kafka_api_find(KAFKA_API_PRODUCE), PRODUCE_VERSION,
					 &id) < 0 ||
	    id != correlation_id ||
	    kafka_produce_response_decode(&rest, PRODUCE_VERSION, &arena, &response) < 0)
		return "it is not the answer to the request";
	to = response.responses.at;
	if (response.responses.count != 1 || to->partition_responses.count != 1)
		return "it does not tell of the partition";
	return error_name(to->partition_responses.at->error_code);
}

/* ---- fetch ---- */

void fetch_request(struct head *ret, const char *topic, int32_t partition, int32_t max_bytes)
{
	struct kafka_fetch_request_partition data = {.partition = partition,
						     .current_leader_epoch = -1,
						     .log_start_offset = -1,
						     .partition_max_bytes = max_bytes};
	struct kafka_fetch_request_topic from = {.topic = slice_of(topic)};
	struct kafka_fetch_request request;
	struct kafka_gap gap;
	struct kafka_writer writer = request_begin(ret, KAFKA_API_FETCH, FETCH_VERSION, &gap);

	kafka_fetch_request_init(&request);
	request.max_wait_ms = 500;
	request.min_bytes = 1;
	request.rack_id = slice_of("");
	from.partitions.at = &data;
	from.partitions.count = 1;
	request.topics.at = &from;
	request.topics.count = 1;
	kafka_fetch_request_encode(&request, FETCH_VERSION, &writer);
	end(ret, &writer);
}

void fetch_request_set_offset(struct head *request, int64_t offset)
{
	be_store64(request->bytes + request->len - OFFSET_FROM_END, (uint64_t)offset);
}

int64_t fetch_request_offset(const char *request, size_t len)
{
	return (int64_t)be_load64(request + len - OFFSET_FROM_END);
}

int32_t fetch_request_max_bytes(const char *request, size_t len)
{
	return (int32_t)be_load32(request + len - MAX_BYTES_FROM_END);
}

void fetch_answer(struct head *ret, const char *topic, int32_t records_len, int64_t high_watermark)
{
	struct kafka_fetch_response_partition data = {
	    .high_watermark = high_watermark,
	    .last_stable_offset = high_watermark,
	    .aborted_transactions = {NULL, -1},
	    .preferred_read_replica = -1,
	    .records = elsewhere((size_t)records_len),
	};
	struct kafka_fetch_response_response of = {.topic = slice_of(topic)};
	struct kafka_fetch_response response;
	struct kafka_gap gap;
	struct kafka_writer writer = answer_begin(ret, KAFKA_API_FETCH, FETCH_VERSION, &gap);

	kafka_fetch_response_init(&response);
	of.partitions.at = &data;
	of.partitions.count = 1;
	response.responses.at = &of;
	response.responses.count = 1;
	kafka_fetch_response_encode(&response, FETCH_VERSION, &writer);
	end(ret, &writer);
}

/* The answer, with N bytes of topic:
 *
 *     4 correlation id   8 throttle time   12 error   14 session   18 topics   22 N   24 topic
 *     N + 24 partitions      N + 32 error                N + 42 last stable offset
 *     N + 28 partition       N + 34 high watermark       N + 50 log start
 *     N + 58 aborted transactions: none, null   N + 62 preferred replica   N + 66 bytes of records
 */
size_t fetch_answer_head(const char *topic)
{
	return strlen(topic) + 70;
}

const char *fetch_answer_parse(const char *head, size_t len, int32_t correlation_id,
			       struct fetched *ret)
{
	const char *behind = head + len - 70; /* of the topic's name */

	ret->high_watermark = (int64_t)be_load64(behind + 34);
	ret->records_len = (int32_t)be_load32(behind + 66);
	if (be_load32(head + KAFKA_ANSWER_CORRELATION) != (uint32_t)correlation_id)
		return "it is not the answer to the request";
	if (be_load16(head + 12) != 0)
		return error_name((int16_t)be_load16(head + 12));
	if (be_load32(head + 18) != 1 || be_load16(head + 22) != len - 70 ||
	    be_load32(behind + 24) != 1)
		return "it does not tell of the partition";
	if (be_load16(behind + 32) != 0)
		return error_name((int16_t)be_load16(behind + 32));
	if ((int32_t)be_load32(behind + 58) > 0 || ret->records_len < 0 ||
	    be_load32(head) + KAFKA_SIZE_BYTES != len + (uint32_t)ret->records_len)
		return "it is not as long as it says";
	return NULL;
}
