/*
 * The bytes of a slice of the log, in memory: for what the broker reads itself.
 */
#ifndef KAFKA_BROKER_READ_SLICE_H
#define KAFKA_BROKER_READ_SLICE_H

#include "kafka/store/partition.h"

/* Blocks. Into *buffer, which is made larger where it is too small: {NULL, 0} at first, the caller
 * frees it. */
int read_slice(const struct partition_slice *slice, char **buffer, size_t *size);

#endif
