/*
 * Fetch: answered at once, or as soon as there is enough. kafka_fetch_request.c takes the request
 * apart, kafka_fetch.c reads, waits and answers.
 */
#ifndef KAFKA_BROKER_KAFKA_FETCH_H
#define KAFKA_BROKER_KAFKA_FETCH_H

#include "kafka/broker/core/fetch_session.h"
#include "kafka/broker/kafka_call.h"
#include "kafka/broker/watch.h"

#define HEAD_BYTES 512 /* of answers for a few partitions, beside their records */

struct fetch_topic {
	struct topic *topic; /* NULL: unknown */
	struct slice name;   /* `own_name` if unknown */
	char *own_name;
	struct kafka_uuid id;
};

struct fetch_part {
	struct partition *partition; /* NULL: unknown */
	unsigned topic;              /* its place in fetch.topics */
	int32_t number, epoch, max_bytes;
	int32_t last_epoch; /* of the record before `offset`; -1: not said */
	int64_t offset;
	enum kafka_error unknown; /* why there is no partition */
	enum kafka_error error;
	/* That record is not in the log: where the log left the client's. Epoch -1: it is. */
	struct {
		int32_t epoch;
		int64_t end;
	} diverging;
	size_t ready; /* bytes that there were when it was looked at last */
	struct partition_slice slice;
	struct watcher watcher;
};

struct fetch {
	struct waiter waiter;
	struct kafka_call *call; /* NULL: only the message is still to come */
	struct kafka_loop *loop;
	struct fetch_session *session; /* NULL: none */
	bool incremental;              /* of it */
	bool by_follower;
	enum partition_isolation isolation;
	int32_t min_bytes, max_bytes, wait_ms;
	uint64_t until_ms; /* it may wait */
	uint64_t held;     /* what it has of the account while it waits */
	size_t ready;      /* of all parts */
	bool large, watching;
	bool waits; /* on a helper: it does not have to answer */
	bool again; /* woken while a helper had it */
	unsigned topics_count, parts_count;
	struct fetch_topic *topics;
	struct fetch_part *parts;
	struct call_range *ranges;
	char head[HEAD_BYTES];
};

/* Of the memory of a fetch with so many partitions. */
size_t fetch_size(size_t partitions);

/* The call's state, for so many partitions; NULL: no memory. */
struct fetch *fetch_new(struct kafka_call *call, size_t partitions);
void fetch_release(struct kafka_call *call);
void fetch_no_slice(struct fetch_part *part);

/* With what was read last: CALL_ENDS without memory, or on a helper where nobody waits for it. */
enum handled fetch_answer(struct kafka_call *call);

/* Makes call->state of the request, and uses its session; still NULL: no memory. An error is one of
 * the session's. */
enum kafka_error fetch_request(struct kafka_call *call, const struct kafka_fetch_request *request);

#endif
