/*
 * An answer that is ready and leaves when the disk has what it promises.
 */
#ifndef KAFKA_BROKER_DURABLE_H
#define KAFKA_BROKER_DURABLE_H

#include "kafka/broker/kafka_call.h"

/* The call has been answered into memory of its own (apart). It waits until the partition's durable
 * end is above `offset`; if the disk fails, its connection ends instead. On the call's loop. */
enum handled durable_wait(struct kafka_call *call, struct partition *partition, int64_t offset);

#endif
