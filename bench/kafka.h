/*
 * Just enough Kafka for floors and drivers: one topic, one partition a request, uncompressed batches
 * that are all alike, acks=all. Produce in version 7 and Fetch in version 11, the last ones in which
 * the records end the message: where things stand is then a matter of arithmetic, for drivers and
 * floors alike. Brokers of today take both.
 */
#ifndef BENCH_KAFKA_H
#define BENCH_KAFKA_H

#include <sys/types.h>

#include "base/slice.h"

#define KAFKA_TOPIC_MAX 64
/* A request without its records, an answer without them. */
#define KAFKA_HEAD_MAX 512

/* Where the correlation id stands. */
#define KAFKA_REQUEST_CORRELATION 8
#define KAFKA_ANSWER_CORRELATION  4
#define KAFKA_SIZE_BYTES          4 /* what a message's size does not count: itself */

/* As large as brokers take by default, and a little less. */
#define BATCH_BYTES_MAX (1u << 20)

struct batch {
	struct slice bytes;
	int32_t records;
};

/* As many records with values of `record_bytes` as fit into `bytes_max`, at least one. The same
 * arguments make a batch of the same size everywhere. Never freed. */
struct batch batch_make(size_t bytes_max, size_t record_bytes);

struct head {
	char bytes[KAFKA_HEAD_MAX];
	size_t len;
};

/* `partition` of `topic` gets `records_len` bytes, which follow. */
void produce_request(struct head *ret, const char *topic, int32_t partition, size_t records_len);
void produce_request_set_partition(struct head *request, int32_t partition);
/* What a broker says to it. Its size does not depend on the outcome. */
void produce_answer(struct head *ret, const char *topic);
/* NULL: that is the answer, and a good one. Else what is wrong with it. */
const char *produce_answer_fault(const char *answer, size_t len, int32_t correlation_id);

/* At most `max_bytes`, at least one; not within a fetch session. */
void fetch_request(struct head *ret, const char *topic, int32_t partition, int32_t max_bytes);
void fetch_request_set_offset(struct head *request, int64_t offset);
/* The two values of a request that the smallest possible broker must know. */
int64_t fetch_request_offset(const char *request, size_t len);
int32_t fetch_request_max_bytes(const char *request, size_t len);

/* With `records_len` bytes of records to follow. */
void fetch_answer(struct head *ret, const char *topic, int32_t records_len, int64_t high_watermark);

struct fetched {
	int64_t high_watermark;
	int32_t records_len;
};

/* How long an answer is without its records. */
size_t fetch_answer_head(const char *topic);
/* `head` has fetch_answer_head() bytes. NULL, or what is wrong with it. */
const char *fetch_answer_parse(const char *head, size_t len, int32_t correlation_id,
			       struct fetched *ret);

#endif
