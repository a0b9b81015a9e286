/*
 * What tests of produced batches share.
 */
#ifndef TESTS_KAFKA_PRODUCED_H
#define TESTS_KAFKA_PRODUCED_H

#include "kafka/wire/record_walk.h"

/* All that is looked at before the records, for a batch of any size. */
static inline enum record_batch_fault check_produced(struct slice bytes, struct record_batch *ret)
{
	enum record_batch_fault fault = record_batch_only(bytes, ret);

	return fault == RECORD_BATCH_OK ? record_batch_check_produced(ret, INT32_MAX) : fault;
}

#endif
