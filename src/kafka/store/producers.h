/*
 * What a partition knows of idempotent producers: for each id its epoch and the last batches, so
 * that a retry is recognised and a gap refused; and which transactions are open.
 *
 * Only the last batch survives a restart (Kafka's .snapshot has no more), so a retry of an older one
 * is then out of order, as with Kafka.
 *
 * Pure; the partition's lock guards it.
 */
#ifndef KAFKA_STORE_PRODUCERS_H
#define KAFKA_STORE_PRODUCERS_H

#include "kafka/wire/record_batch.h"

#define PRODUCER_BATCHES 5 /* what a producer may have in flight */

struct producer_batch {
	int64_t last_offset;
	int64_t timestamp;
	int32_t last_sequence;
	int32_t offset_delta; /* from the first offset to the last, and so for the sequence */
};

struct producer {
	int64_t id; /* -1: the place is free */
	int64_t last_timestamp;
	int64_t transaction_start; /* -1: none is open */
	int32_t coordinator_epoch;
	int16_t epoch;
	uint16_t batch_count; /* the newest is the last */
	struct producer_batch batches[PRODUCER_BATCHES];
};

struct producers {
	struct producer *table; /* open addressing, a power of two; NULL: nobody */
	uint32_t capacity, count;
	uint32_t open_transactions;
};

void producers_fini(struct producers *producers);

/* What becomes of a producer's batch. NONE and a *ret_duplicate: it is there already. */
enum kafka_error producers_check(const struct producers *producers,
				 const struct record_batch *batch,
				 const struct producer_batch **ret_duplicate);
/* Room for one more id, so that producers_update() can't fail. -ENOMEM. */
int producers_reserve(struct producers *producers);
/* The batch is in the log, at its base offset. Without a producer id: nothing to do. */
void producers_update(struct producers *producers, const struct record_batch *batch);

/* Forgets who has been silent since before `since` and has no transaction open. */
void producers_expire(struct producers *producers, int64_t since);
void producers_clear(struct producers *producers);
/* The first offset of the oldest open transaction; -1: none. */
int64_t producers_first_open(const struct producers *producers);

const struct producer *producers_find(const struct producers *producers, int64_t id);

/* ---- the .snapshot file ---- */

size_t producers_snapshot_size(const struct producers *producers);
/* `out` has room for so much. */
void producers_snapshot(const struct producers *producers, char *out);
/* In place of what was known; who is older than `since` is left out. -EBADMSG: damaged; -ENOMEM.
 * Then nobody is known. */
int producers_restore(struct producers *producers, struct slice snapshot, int64_t since);

#endif
