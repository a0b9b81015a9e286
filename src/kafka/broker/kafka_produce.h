/*
 * Produce: what was received is appended as it is.
 */
#ifndef KAFKA_BROKER_KAFKA_PRODUCE_H
#define KAFKA_BROKER_KAFKA_PRODUCE_H

#include "base/check.h"

/* Of the memory of a produce request with so many partitions. */
size_t produce_size(size_t partitions);

#endif
