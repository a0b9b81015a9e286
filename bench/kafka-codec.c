/*
 * What Kafka's wire costs for a request, in nanoseconds of CPU time: reading a Fetch and a Produce
 * as consumers and producers send them, writing the answer to a fetch, and checking a batch. One
 * thread, the best and the median of several rounds.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/varint.h"
#include "kafka/wire/header.h"
#include "kafka/wire/messages.h"
#include "kafka/wire/record_walk.h"
#include "micro.h"

#define PARTITIONS_MAX 1000
#define RECORDS_MAX    9300 /* 1 MiB */

static char request_wire[1 << 17], response_wire[1 << 17];
static struct slice request;
static _Alignas(8) char arena_memory[1 << 18];
static struct kafka_gap gaps[PARTITIONS_MAX];
static struct kafka_fetch_response answer;
static struct slice batch;

static void frame_begin(struct kafka_writer *writer, int16_t key, int16_t version)
{
	*writer = kafka_writer_over(request_wire, sizeof(request_wire));
	kafka_request_begin(writer, kafka_api_find(key), version, 1, slice_of("consumer-1"));
}

static void frame_end(struct kafka_writer *writer)
{
	if (kafka_frame_end(writer) < 0 || !kafka_writer_fits(writer))
		abort();
	request = slice_make(request_wire + 4, writer->len - 4);
}

/* A consumer that reads `count` partitions of one topic, by its id. */
static void make_fetch(int16_t version, int32_t count)
{
	static struct kafka_fetch_request_partition partitions[PARTITIONS_MAX];
	struct kafka_fetch_request_topic topic = {.topic = slice_of("events")};
	struct kafka_fetch_request fetch;
	struct kafka_writer writer;

	kafka_fetch_request_init(&fetch);
	for (int32_t i = 0; i < count; i++)
		partitions[i] = (struct kafka_fetch_request_partition){
		    .partition = i,
		    .fetch_offset = 123456,
		    .last_fetched_epoch = -1,
		    .log_start_offset = -1,
		    .partition_max_bytes = 1 << 20,
		    .high_watermark = INT64_MAX,
		};
	topic.partitions.at = partitions;
	topic.partitions.count = count;
	fetch.topics.at = &topic;
	fetch.topics.count = 1;
	frame_begin(&writer, KAFKA_API_FETCH, version);
	kafka_fetch_request_encode(&fetch, version, &writer);
	frame_end(&writer);
}

static void make_produce(struct slice records)
{
	struct kafka_produce_request_partition_data partition = {.records = records};
	struct kafka_produce_request_topic_data topic = {.name = slice_of("events")};
	struct kafka_produce_request produce;
	struct kafka_writer writer;

	kafka_produce_request_init(&produce);
	produce.acks = -1;
	topic.partition_data.at = &partition;
	topic.partition_data.count = 1;
	produce.topic_data.at = &topic;
	produce.topic_data.count = 1;
	frame_begin(&writer, KAFKA_API_PRODUCE, 9);
	kafka_produce_request_encode(&produce, 9, &writer);
	frame_end(&writer);
}

static struct kafka_request_header header_of(struct slice *bytes)
{
	struct kafka_request_header header;

	if (kafka_request_header_decode(bytes, &header) < 0)
		abort();
	return header;
}

static void read_fetch(void)
{
	struct slice bytes = request;
	struct kafka_request_header header = header_of(&bytes);
	struct arena arena = arena_over(arena_memory, sizeof(arena_memory));
	struct kafka_fetch_request fetch;

	if (kafka_fetch_request_decode(&bytes, header.version, &arena, &fetch) < 0)
		abort();
	__asm__ volatile("" : : "r"(&fetch) : "memory");
}

static void read_produce(void)
{
	struct slice bytes = request;
	struct kafka_request_header header = header_of(&bytes);
	struct arena arena = arena_over(arena_memory, sizeof(arena_memory));
	struct kafka_produce_request produce;

	if (kafka_produce_request_decode(&bytes, header.version, &arena, &produce) < 0)
		abort();
	__asm__ volatile("" : : "r"(&produce) : "memory");
}

static void make_answer(int32_t count)
{
	static struct kafka_fetch_response_partition partitions[PARTITIONS_MAX];
	static struct kafka_fetch_response_response topic;

	kafka_fetch_response_init(&answer);
	for (int32_t i = 0; i < count; i++)
		partitions[i] = (struct kafka_fetch_response_partition){
		    .partition_index = i,
		    .high_watermark = 200000,
		    .last_stable_offset = 200000,
		    .diverging_epoch = {-1, -1},
		    .current_leader = {-1, -1},
		    .snapshot_id = {-1, -1},
		    .preferred_read_replica = -1,
		    .aborted_transactions = {NULL, -1},
		    .records = {"in a file", 1 << 20},
		};
	topic.topic = slice_of("events");
	topic.partitions.at = partitions;
	topic.partitions.count = count;
	answer.responses.at = &topic;
	answer.responses.count = 1;
}

static void write_answer(void)
{
	struct kafka_request_header header = {.api = kafka_api_find(KAFKA_API_FETCH),
					      .version = 12,
					      .answer = 12};
	struct kafka_writer writer = kafka_writer_over(response_wire, sizeof(response_wire));

	writer.gaps = gaps;
	writer.gaps_size = PARTITIONS_MAX;
	kafka_response_begin(&writer, &header);
	kafka_fetch_response_encode(&answer, 12, &writer);
	if (kafka_frame_end(&writer) < 0 || !kafka_writer_fits(&writer))
		abort();
}

/* A record of 100 bytes without key and headers, some milliseconds after the one before. */
static void put_record(struct kafka_writer *writer, int32_t delta)
{
	static const char value[100];
	uint8_t fields[3 * VARINT64_MAX] = {0}, len[VARINT64_MAX];
	unsigned n = 1; /* attributes */

	n += varint_write(fields + n, zigzag_encode64(delta / 16));
	n += varint_write(fields + n, zigzag_encode32(delta));
	n += varint_write(fields + n, zigzag_encode32(-1));
	n += varint_write(fields + n, zigzag_encode32((int32_t)sizeof(value)));
	kafka_put(writer, len,
		  varint_write(len, zigzag_encode32((int32_t)(n + sizeof(value) + 1))));
	kafka_put(writer, fields, n);
	kafka_put(writer, value, sizeof(value));
	kafka_put(writer, "", 1);
}

/* The header by hand, as a producer makes it. */
static void make_batch(int32_t count)
{
	static char memory[RECORD_BATCH_HEADER + RECORDS_MAX * 120];
	struct kafka_writer writer = kafka_writer_over(memory, sizeof(memory));
	struct kafka_writer offset;

	memset(memory, 0, RECORD_BATCH_HEADER);
	writer.len = RECORD_BATCH_HEADER;
	for (int32_t i = 0; i < count; i++)
		put_record(&writer, i);
	memory[16] = 2;
	offset = kafka_writer_over(memory + 8, 4);
	kafka_put_i32(&offset, (int32_t)writer.len - RECORD_BATCH_PREFIX);
	offset = kafka_writer_over(memory + 23, 4);
	kafka_put_i32(&offset, count - 1);
	memset(memory + 43, 0xff, 14); /* no producer id */
	offset = kafka_writer_over(memory + 57, 4);
	kafka_put_i32(&offset, count);
	batch = slice_make(memory, writer.len);
	record_batch_set_max_timestamp(memory, writer.len, 0);
}

static void check_head(struct record_batch *ret)
{
	if (record_batch_only(batch, ret) != RECORD_BATCH_OK ||
	    record_batch_check_produced(ret, batch.len) != RECORD_BATCH_OK)
		abort();
}

static void check_batch(void)
{
	struct record_batch b;

	check_head(&b);
	__asm__ volatile("" : : "r"(&b) : "memory");
}

static void check_records(void)
{
	struct record_batch b;
	struct records_summary summary;

	check_head(&b);
	if (records_check(&b, b.records, &RECORDS_ANY, &summary) != RECORD_BATCH_OK)
		abort();
	__asm__ volatile("" : : "r"(&summary) : "memory");
}

int main(void)
{
	make_fetch(12, 1);
	micro_measure("read: Fetch 12, one partition", request.len, read_fetch, 200000);
	make_fetch(16, 1);
	micro_measure("read: Fetch 16, one partition", request.len, read_fetch, 200000);
	make_fetch(12, PARTITIONS_MAX);
	micro_measure("read: Fetch 12, 1000 partitions", request.len, read_fetch, 1000);
	make_batch(64);
	make_produce(batch);
	micro_measure("read: Produce 9, one batch of 64 records", request.len, read_produce,
		      200000);
	make_answer(1);
	micro_measure("write: answer to Fetch 12, one partition", 0, write_answer, 200000);
	make_answer(PARTITIONS_MAX);
	micro_measure("write: answer to Fetch 12, 1000 partitions", 0, write_answer, 1000);
	micro_measure("batch of 64 records: header and checksum", batch.len, check_batch, 100000);
	micro_measure("batch of 64 records: and every record", batch.len, check_records, 20000);
	make_batch(RECORDS_MAX);
	micro_measure("batch of 9300 records: header and checksum", batch.len, check_batch, 500);
	micro_measure("batch of 9300 records: and every record", batch.len, check_records, 200);
	return 0;
}
