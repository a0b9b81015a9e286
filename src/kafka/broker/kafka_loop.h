/*
 * What the Kafka connections of one loop share: the engine, buffers, the inbox, counters. Belongs
 * to the loop's thread but for the inbox, and for what others may read: counters and the engine's
 * totals. The server frees it after all loops have ended, as others may still be sending to it.
 */
#ifndef KAFKA_BROKER_KAFKA_LOOP_H
#define KAFKA_BROKER_KAFKA_LOOP_H

#include "base/arena.h"
#include "base/spare.h"
#include "kafka/broker/core/fetch_session.h"
#include "kafka/broker/inbox.h"
#include "kafka/broker/kafka_count.h"
#include "kafka/broker/kafka_limits.h"
#include "leat/leat.h"

struct kafka_server;

struct kafka_loop {
	struct kafka_server *server;
	struct loop *loop;
	struct leat_engine *engine;
	struct inbox inbox;
	struct timer tick;
	struct spare calls, fetches, produces;
	struct spare requests[KAFKA_REQUEST_SIZES_MAX];
	struct fetch_sessions sessions;
	struct kafka_counters counters;
	struct kafka_timing timing;
	bool maintaining; /* a helper is at it */
	struct job maintenance;
	struct list flushes_waiting;

	size_t turn_left;     /* bytes for the connection whose turn it is */
	size_t turn_elements; /* that it has had handled */
	uint64_t mixed_ms; /* until then turns are short; 0: small answers have not been sent yet */
	size_t out_len;    /* of `out`: the answers of the connection whose turn it is */
	struct arena work; /* of the request that is being answered */
	_Alignas(ARENA_ALIGN) char work_memory[KAFKA_WORK_BYTES];
	char out[KAFKA_OUT_BYTES];
	char received[KAFKA_RECV_BYTES];
};

/* On the loop's thread, before its first connection; after its last. */
void kafka_loop_open(struct loop *loop, struct kafka_server *server);
void kafka_loop_close(struct loop *loop, struct kafka_server *server);
/* Before the loops run, the index-th of `count`; NULL: no memory. */
struct kafka_loop *kafka_loop_new(struct kafka_server *server, unsigned index, unsigned count);
void kafka_loop_free(struct kafka_loop *loop);

/* Memory for requests that do not fit into `received`: how much of it there will be for `size`
 * bytes; its taking (NULL: no memory) and giving back, with the size it was taken with. */
size_t kafka_request_size(size_t size);
char *kafka_request_take(struct kafka_loop *loop, size_t size);
void kafka_request_give(struct kafka_loop *loop, char *memory, size_t size);
/* Its place in the server's accounts: so many bytes, which are to be given back. Any thread. false: there
 * are too many; `must`: they are there already, up to as many again. */
bool kafka_requests_take(struct kafka_server *server, size_t size, bool must);
void kafka_requests_give(struct kafka_server *server, uint64_t size);
bool kafka_requests_are_tight(struct kafka_server *server);

#endif
