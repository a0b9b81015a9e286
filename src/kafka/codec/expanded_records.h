/*
 * The records of a compressed batch, as they are expanded: checked, looked through for a time, or
 * put together in memory. What can't be expanded is a fault like any other (COMPRESSED, EXPANDED,
 * NO_MEMORY).
 *
 * A batch that is not compressed goes as well. Who owns the expander calls it; no more than `limit`
 * bytes are expanded.
 */
#ifndef KAFKA_CODEC_EXPANDED_RECORDS_H
#define KAFKA_CODEC_EXPANDED_RECORDS_H

#include "kafka/codec/expander.h"
#include "kafka/wire/record_walk.h"

/* records_check() over what a producer has sent. *ret_size, also after a fault: the bytes that were
 * expanded. */
enum record_batch_fault expanded_records_check(struct expander *expander,
					       const struct record_batch *batch, size_t limit,
					       const struct records_rules *rules,
					       struct records_summary *ret, size_t *ret_size);

/* The first record of offset `from` or higher with a time of `timestamp` or later. END: there is
 * none. */
enum record_batch_fault expanded_records_find(struct expander *expander,
					      const struct record_batch *batch, size_t limit,
					      int64_t from, int64_t timestamp,
					      struct record_head *ret);

/* All of them, for record_next(), in memory that the caller frees. */
enum record_batch_fault expanded_records_load(struct expander *expander,
					      const struct record_batch *batch, size_t limit,
					      char **ret, size_t *ret_len);

#endif
