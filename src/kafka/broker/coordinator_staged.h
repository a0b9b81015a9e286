/*
 * Offsets that transactions have committed, while a shard is loaded: Kafka writes them in transactional
 * batches, and a marker at the end of the transaction says what they are worth. Until then they are
 * staged, by producer.
 *
 *     commit   each counts, unless a later record has committed something else there
 *     abort    they are gone
 *     nothing  the transaction is open: what was committed before holds, and whoever wants only
 *              stable offsets is told to wait
 *
 * A tombstone ends what is staged of its key as well.
 */
#ifndef KAFKA_BROKER_COORDINATOR_STAGED_H
#define KAFKA_BROKER_COORDINATOR_STAGED_H

#include "kafka/broker/coordinator.h"

#define STAGED_BUCKETS 64u

struct staged_offsets {
	struct list buckets[STAGED_BUCKETS]; /* by producer, each in the order of the log */
	uint64_t count;
};

void staged_init(struct staged_offsets *staged);
void staged_fini(struct staged_offsets *staged);
/* What it points at is copied. -ENOMEM. */
int staged_add(struct staged_offsets *staged, int64_t producer, struct slice group,
	       struct slice topic, const struct committed *value);
void staged_drop(struct staged_offsets *staged, struct slice group, struct slice topic,
		 int32_t partition);
/* The producer's transaction has ended. -ENOMEM. */
int staged_end(struct staged_offsets *staged, int64_t producer, bool commits, struct shard *shard,
	       struct group_time time);
/* All is read: what is left becomes the groups'. -ENOMEM. */
int staged_keep(struct staged_offsets *staged, struct shard *shard, struct group_time time);

#endif
