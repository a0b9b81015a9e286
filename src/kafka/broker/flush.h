/*
 * Syncs of the disk that appends have made due (flush.messages), by helpers.
 */
#ifndef KAFKA_BROKER_FLUSH_H
#define KAFKA_BROKER_FLUSH_H

#include "kafka/broker/kafka_loop.h"
#include "kafka/store/store.h"

/* Whom partition_append() has told flush_due must call one of the two, whatever becomes of the request:
 * nobody else is told until the partition's flush has been done. Whoever watches the partition is woken
 * then.
 *
 * On `loop` itself, or on a helper. */
void flush_begin(struct kafka_loop *loop, struct partition *partition);
/* On a helper, which does the first round; what became due meanwhile goes on by `loop`, as that may
 * have no end. */
void flush_once(struct kafka_loop *loop, struct partition *partition);
/* On a helper, told or not: what lies before `end` is on the disk when this returns NONE. */
enum kafka_error flush_now(struct partition *partition, int64_t end);
/* On each tick: those for whom no helper was free. */
void flush_retry(struct kafka_loop *loop);

#endif
