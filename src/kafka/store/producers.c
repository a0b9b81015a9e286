#include "kafka/store/producers.h"

#include <errno.h>
#include <stdlib.h>

#include "base/be.h"
#include "base/crc32c.h"

#define CAPACITY_MIN 4u

static uint32_t place_of(const struct producers *producers, int64_t id)
{
	uint64_t hash = (uint64_t)id * UINT64_C(0x9e3779b97f4a7c15);

	return (uint32_t)(hash >> 32) & (producers->capacity - 1);
}

/* Where the id stands, or the free place where it belongs; the table is never full. */
static struct producer *lookup(const struct producers *producers, int64_t id)
{
	uint32_t at = place_of(producers, id);

	while (producers->table[at].id != -1 && producers->table[at].id != id)
		at = (at + 1) & (producers->capacity - 1);
	return &producers->table[at];
}

const struct producer *producers_find(const struct producers *producers, int64_t id)
{
	struct producer *producer;

	if (producers->capacity == 0)
		return NULL;
	producer = lookup(producers, id);
	return producer->id == id ? producer : NULL;
}

void producers_clear(struct producers *producers)
{
	free(producers->table);
	*producers = (struct producers){.table = NULL};
}

void producers_fini(struct producers *producers)
{
	producers_clear(producers);
}

/* A table of this capacity with those who are not older than `since`. */
static int rebuild(struct producers *producers, uint32_t capacity, int64_t since)
{
	struct producers fresh = {.capacity = capacity,
				  .table = malloc(capacity * sizeof(*fresh.table))};

	if (!fresh.table)
		return -ENOMEM;
	for (uint32_t i = 0; i < capacity; i++)
		fresh.table[i].id = -1;
	for (uint32_t i = 0; i < producers->capacity; i++) {
		const struct producer *producer = &producers->table[i];
		bool open = producer->transaction_start >= 0;

		if (producer->id == -1 || (!open && producer->last_timestamp < since))
			continue;
		*lookup(&fresh, producer->id) = *producer;
		fresh.count++;
		fresh.open_transactions += open;
	}
	free(producers->table);
	*producers = fresh;
	return 0;
}

int producers_reserve(struct producers *producers)
{
	if (producers->count + 1 <= producers->capacity / 4 * 3)
		return 0;
	return rebuild(producers, producers->capacity ? 2 * producers->capacity : CAPACITY_MIN,
		       INT64_MIN);
}

void producers_expire(struct producers *producers, int64_t since)
{
	uint32_t stay = 0, capacity = CAPACITY_MIN;

	for (uint32_t i = 0; i < producers->capacity; i++) {
		const struct producer *producer = &producers->table[i];

		stay += producer->id != -1 &&
			(producer->transaction_start >= 0 || producer->last_timestamp >= since);
	}
	if (stay == producers->count)
		return;
	if (stay == 0) {
		producers_clear(producers);
		return;
	}
	while (stay + 1 > capacity / 4 * 3)
		capacity *= 2;
	/* Without memory they stay a little longer. */
	(void)rebuild(producers, capacity, since);
}

/* ---- sequences ---- */

/* They count from 0 to INT32_MAX, and then from 0 again. */
static int32_t sequence_add(int32_t sequence, int32_t delta)
{
	return (int32_t)(((uint32_t)sequence + (uint32_t)delta) & INT32_MAX);
}

static bool is_same(const struct producer_batch *seen, const struct record_batch *batch)
{
	int32_t last = sequence_add(batch->base_sequence, batch->last_offset_delta);

	return seen->last_sequence == last && seen->offset_delta == batch->last_offset_delta;
}

enum kafka_error producers_check(const struct producers *producers,
				 const struct record_batch *batch,
				 const struct producer_batch **ret_duplicate)
{
	const struct producer *producer = producers_find(producers, batch->producer_id);
	int32_t expected = 0;

	*ret_duplicate = NULL;
	/* Nothing is known of it, perhaps because it was silent for long: any sequence will do. */
	if (!producer)
		return KAFKA_NONE;
	if (batch->producer_epoch < producer->epoch)
		return KAFKA_INVALID_PRODUCER_EPOCH;
	if (batch->producer_epoch > producer->epoch)
		return batch->base_sequence == 0 ? KAFKA_NONE : KAFKA_OUT_OF_ORDER_SEQUENCE_NUMBER;
	for (unsigned i = 0; i < producer->batch_count; i++)
		if (is_same(&producer->batches[i], batch)) {
			*ret_duplicate = &producer->batches[i];
			return KAFKA_NONE;
		}
	if (producer->batch_count > 0)
		expected =
		    sequence_add(producer->batches[producer->batch_count - 1].last_sequence, 1);
	return batch->base_sequence == expected ? KAFKA_NONE : KAFKA_OUT_OF_ORDER_SEQUENCE_NUMBER;
}

/* ---- what the log says ---- */

static struct producer *take(struct producers *producers, const struct record_batch *batch)
{
	struct producer *producer = lookup(producers, batch->producer_id);

	if (producer->id == -1) {
		*producer = (struct producer){.id = batch->producer_id,
					      .last_timestamp = -1,
					      .transaction_start = -1,
					      .coordinator_epoch = -1,
					      .epoch = batch->producer_epoch};
		producers->count++;
	}
	if (batch->producer_epoch != producer->epoch) {
		producer->epoch = batch->producer_epoch;
		producer->batch_count = 0;
	}
	producer->last_timestamp = batch->max_timestamp;
	return producer;
}

/* The marker of a transaction's end: its value is a version and the coordinator's epoch. */
static void end_transaction(struct producers *producers, struct producer *producer,
			    const struct record_batch *batch)
{
	struct slice records = batch->records;
	struct record record;

	if (record_next(batch, &records, &record) == RECORD_BATCH_OK && record.value.len >= 6)
		producer->coordinator_epoch = (int32_t)be_load32(record.value.ptr + 2);
	producers->open_transactions -= producer->transaction_start >= 0;
	producer->transaction_start = -1;
}

void producers_update(struct producers *producers, const struct record_batch *batch)
{
	struct producer *producer;

	if (batch->producer_id < 0)
		return;
	producer = take(producers, batch);
	if (batch->attributes & RECORD_ATTRIBUTE_CONTROL) {
		end_transaction(producers, producer, batch);
		return;
	}
	if (producer->batch_count == PRODUCER_BATCHES) {
		producer->batch_count--;
		memmove(&producer->batches[0], &producer->batches[1],
			(PRODUCER_BATCHES - 1) * sizeof(producer->batches[0]));
	}
	producer->batches[producer->batch_count++] = (struct producer_batch){
	    .last_offset = record_batch_last_offset(batch),
	    .timestamp = batch->max_timestamp,
	    .last_sequence = sequence_add(batch->base_sequence, batch->last_offset_delta),
	    .offset_delta = batch->last_offset_delta,
	};
	if ((batch->attributes & RECORD_ATTRIBUTE_TRANSACTIONAL) &&
	    producer->transaction_start < 0) {
		producer->transaction_start = batch->base_offset;
		producers->open_transactions++;
	}
}

int64_t producers_first_open(const struct producers *producers)
{
	int64_t first = -1;

	if (likely(producers->open_transactions == 0))
		return -1;
	for (uint32_t i = 0; i < producers->capacity; i++) {
		const struct producer *producer = &producers->table[i];

		if (producer->id == -1 || producer->transaction_start < 0)
			continue;
		if (first < 0 || producer->transaction_start < first)
			first = producer->transaction_start;
	}
	return first;
}

/* ---- the .snapshot file ----
 *
 *     0 version 1          2     then for each: id 8, epoch 2, last sequence 4, last offset 8,
 *     2 CRC-32C of 6..end  4     offset delta 4, timestamp 8, coordinator epoch 4,
 *     6 count              4     first offset of the open transaction 8
 */

#define SNAPSHOT_VERSION 1
#define SNAPSHOT_HEADER  10u
#define SNAPSHOT_ENTRY   46u

size_t producers_snapshot_size(const struct producers *producers)
{
	return SNAPSHOT_HEADER + (size_t)producers->count * SNAPSHOT_ENTRY;
}

static void snapshot_entry(const struct producer *producer, char *at)
{
	static const struct producer_batch none = {.last_offset = -1,
						   .timestamp = -1,
						   .last_sequence = -1};
	const struct producer_batch *last =
	    producer->batch_count > 0 ? &producer->batches[producer->batch_count - 1] : &none;

	be_store64(at, (uint64_t)producer->id);
	be_store16(at + 8, (uint16_t)producer->epoch);
	be_store32(at + 10, (uint32_t)last->last_sequence);
	be_store64(at + 14, (uint64_t)last->last_offset);
	be_store32(at + 22, (uint32_t)last->offset_delta);
	be_store64(at + 26, (uint64_t)producer->last_timestamp);
	be_store32(at + 34, (uint32_t)producer->coordinator_epoch);
	be_store64(at + 38, (uint64_t)producer->transaction_start);
}

void producers_snapshot(const struct producers *producers, char *out)
{
	char *at = out + SNAPSHOT_HEADER;

	be_store16(out, SNAPSHOT_VERSION);
	be_store32(out + 6, producers->count);
	for (uint32_t i = 0; i < producers->capacity; i++) {
		if (producers->table[i].id == -1)
			continue;
		snapshot_entry(&producers->table[i], at);
		at += SNAPSHOT_ENTRY;
	}
	be_store32(out + 2, crc32c(0, out + 6, (size_t)(at - out) - 6));
}

static void restore_entry(struct producers *producers, const char *at, int64_t since)
{
	struct producer producer = {
	    .id = (int64_t)be_load64(at),
	    .epoch = (int16_t)be_load16(at + 8),
	    .last_timestamp = (int64_t)be_load64(at + 26),
	    .coordinator_epoch = (int32_t)be_load32(at + 34),
	    .transaction_start = (int64_t)be_load64(at + 38),
	};
	bool open = producer.transaction_start >= 0;
	struct producer *place = lookup(producers, producer.id);

	/* Nobody has these ids; a file that names an id twice is not Kafka's. */
	if (producer.id < 0 || place->id != -1 || (!open && producer.last_timestamp < since))
		return;
	producer.batches[0] = (struct producer_batch){
	    .last_sequence = (int32_t)be_load32(at + 10),
	    .last_offset = (int64_t)be_load64(at + 14),
	    .offset_delta = (int32_t)be_load32(at + 22),
	    .timestamp = producer.last_timestamp,
	};
	producer.batch_count = producer.batches[0].last_sequence >= 0;
	*place = producer;
	producers->count++;
	producers->open_transactions += open;
}

int producers_restore(struct producers *producers, struct slice snapshot, int64_t since)
{
	uint32_t count;

	producers_clear(producers);
	if (snapshot.len < SNAPSHOT_HEADER || be_load16(snapshot.ptr) != SNAPSHOT_VERSION)
		return -EBADMSG;
	count = be_load32(snapshot.ptr + 6);
	if ((snapshot.len - SNAPSHOT_HEADER) / SNAPSHOT_ENTRY != count ||
	    (snapshot.len - SNAPSHOT_HEADER) % SNAPSHOT_ENTRY != 0 ||
	    crc32c(0, snapshot.ptr + 6, snapshot.len - 6) != be_load32(snapshot.ptr + 2))
		return -EBADMSG;
	for (uint32_t i = 0; i < count; i++) {
		if (producers_reserve(producers) < 0) {
			producers_clear(producers);
			return -ENOMEM;
		}
		restore_entry(producers, snapshot.ptr + SNAPSHOT_HEADER + i * SNAPSHOT_ENTRY,
			      since);
	}
	return 0;
}
