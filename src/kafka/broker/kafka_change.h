/*
 * Changes of topics by requests, as the helper makes them that is there for them (kafka_call.h).
 *
 * A request may name thousands of topics. Its handler goes through them in steps: what can't be done is
 * answered at once, the rest is taken into a batch until that is full, and the store does the batch as
 * one. Between two steps the requests of others have their turn, and it ends where its client has left,
 * or, with what is left refused, where the process ends.
 */
#ifndef KAFKA_BROKER_KAFKA_CHANGE_H
#define KAFKA_BROKER_KAFKA_CHANGE_H

#include "kafka/broker/kafka_call.h"

#define TOPIC_IS_OURS "the topic is the broker's own"
#define NAMED_TWICE   "the topic is named twice"

/* What is changed in one step. */
struct batch {
	struct store_change changes[KAFKA_CHANGES_A_STEP];
	unsigned count;
	int64_t partitions; /* that are made */
};

static inline bool batch_has_room(const struct batch *batch)
{
	return batch->count < KAFKA_CHANGES_A_STEP && batch->partitions < KAFKA_PARTITIONS_A_STEP;
}

#endif
