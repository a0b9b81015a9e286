/*
 * Fetch: answered at once, or as soon as there is enough.
 */
#ifndef KAFKA_BROKER_KAFKA_FETCH_H
#define KAFKA_BROKER_KAFKA_FETCH_H

#include "base/check.h"

/* Of the memory of a fetch with so many partitions. */
size_t fetch_size(size_t partitions);

#endif
