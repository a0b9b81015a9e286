/*
 * Syncs of the disk that appends have made due (flush.messages), by helpers.
 */
#ifndef KAFKA_BROKER_FLUSH_H
#define KAFKA_BROKER_FLUSH_H

#include "kafka/broker/kafka_loop.h"
#include "kafka/store/store.h"

/* On a loop: partition_append() said flush_due. Whoever watches the partition is woken when it is
 * done. */
void flush_begin(struct kafka_loop *loop, struct partition *partition);
/* On a helper, which may wait for the disk: what lies before `end` is on it when this returns NONE. */
enum kafka_error flush_now(struct partition *partition, int64_t end);
/* On each tick: those for whom no helper was free. */
void flush_retry(struct kafka_loop *loop);

#endif
