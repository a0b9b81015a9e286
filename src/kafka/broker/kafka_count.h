/*
 * Counting, for an operator: what requests were, and how long they took.
 *
 * Each loop counts for itself, on its own thread, with plain stores that any thread may read
 * (base/counter.h). What is found out on a helper is noted in the call, and counted when the call
 * is on its loop again. Errors alone are counted where answers are written, on whatever thread
 * (kafka_server.errors): they are rare.
 *
 * Durations are from the request taken up to its answer with the kernel. Waiting for the disk is part
 * of it, waiting for other clients is not: a fetch that waited for data, a join that waited for
 * members begin anew when what they waited for is there. The clock is asked once a turn of the loop,
 * and once when a turn's answers leave; not at all where nobody reads it.
 */
#ifndef KAFKA_BROKER_KAFKA_COUNT_H
#define KAFKA_BROKER_KAFKA_COUNT_H

#include "base/counter.h"
#include "base/histogram.h"
#include "kafka/wire/error.h"

struct kafka_call;
struct kafka_loop;

/* There are fewer: checked when a loop is made. */
#define KAFKA_COUNTED_APIS_MAX 64

/* Which deadline ended a connection. */
enum kafka_deadline {
	KAFKA_DEADLINE_REQUEST,
	KAFKA_DEADLINE_IDLE,
	KAFKA_DEADLINE_WRITE,
	KAFKA_DEADLINE_COUNT,
};

struct kafka_produced {
	uint64_t bytes, batches, records;
	uint64_t duplicates; /* batches that were there already */
};

struct kafka_counters {
	uint64_t requests[KAFKA_COUNTED_APIS_MAX]; /* by place in kafka_apis */
	struct kafka_produced produced;
	uint64_t fetched_bytes;
	uint64_t waiting, waited; /* fetches: now; since the start */
	uint64_t sessions;        /* fetch sessions that are kept */
	uint64_t helped;          /* requests that a helper carried on */
	uint64_t opened, closed;  /* connections */
	uint64_t not_kafka;       /* of these, closed for what they sent */
	uint64_t expired[KAFKA_DEADLINE_COUNT];
	uint64_t memory_waits; /* for KAFKA_REQUESTS_BYTES */
};

/* What is timed apart. */
enum kafka_timed { KAFKA_TIMED_PRODUCE, KAFKA_TIMED_FETCH, KAFKA_TIMED_OTHER, KAFKA_TIMED_COUNT };

/* Answers of one turn that are timed when they are sent; further ones a moment before. */
#define KAFKA_TIMED_MAX 64

struct kafka_timing {
	uint64_t turn, turn_ns;                        /* that turn's time */
	struct histogram durations[KAFKA_TIMED_COUNT]; /* nanoseconds */
	struct {
		uint64_t since_ns;
		enum kafka_timed kind;
	} buffered[KAFKA_TIMED_MAX]; /* their answers lie in the loop's buffer */
	unsigned buffered_count;
};

/* A call's life. It was taken up; it was handled, on its loop; it waits for other clients, and does no
 * more (both may be said of any that waits). */
void count_begin(struct kafka_call *call);
void count_handled(struct kafka_call *call);
void count_waits(struct kafka_call *call);
void count_woken(struct kafka_call *call);
/* Its answer lies in the loop's buffer, which leaves, or is lost; or left by a chain of its own. */
void count_buffered(const struct kafka_call *call);
void count_buffer_left(struct kafka_loop *loop);
void count_buffer_lost(struct kafka_loop *loop);
void count_sent(const struct kafka_call *call);

/* Of a call that is not answered: what answers say is counted where they are written. Any thread. */
void count_error(struct kafka_call *call, enum kafka_error error);
/* Where the call's errors are counted. */
uint64_t *count_errors(struct kafka_call *call);

#endif
