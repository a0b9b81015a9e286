#include "unit/unit.h"

#include "crash/actions.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/be.h"
#include "crash/disk.h"

char folder[64];
struct store *store;
int64_t now;
bool busy;
enum store_damage damage;

bool chance(uint64_t percent)
{
	return disk_random(100) < percent;
}

static struct topic *get(const struct topic_model *topic)
{
	struct topic *found = store_topic(store, slice_of(topic->name));

	HOLDS(found);
	return found;
}

/* A batch of one of the producers, or of nobody. */
static struct stored any_batch(struct log_model *log, bool nobody)
{
	struct stored stored = {.sequence = -1, .base = 0};
	struct kit_batch what = KIT_PLAIN(1 + (int32_t)disk_random(5),
					  (uint32_t)disk_random(chance(12) ? 700 : 200), now);

	what.seed = (int32_t)disk_random(1000);
	if (!nobody && chance(75)) {
		stored.producer = (uint8_t)disk_random(PRODUCERS);
		stored.epoch = what.epoch = log->producers[stored.producer].epoch;
		stored.sequence = what.sequence = log->producers[stored.producer].sequence;
		what.producer_id = 5 + stored.producer;
	}
	stored.bytes = kit_batch(&what, &stored.len);
	stored.last = what.records - 1;
	return stored;
}

static void acknowledged(struct log_model *log, const char *bytes, struct stored *stored)
{
	int64_t records = stored->last + 1;

	/* With the offset and the epoch that the store has set. */
	memcpy(stored->bytes, bytes, stored->len);
	stored->base = log->end;
	stored->last = log->end + records - 1;
	stored->leader_epoch = (int32_t)be_load32(stored->bytes + 12);
	if (stored->sequence >= 0)
		log->producers[stored->producer].sequence += (int32_t)records;
	log_add(log, stored);
}

/* `unknown`: the process has ended, or the partition is offline now, and nobody knows whether they
 * are there. Else they were cut off. */
static void not_acknowledged(struct log_model *log, struct stored *batches, unsigned count,
			     const char *bytes, bool unknown)
{
	int64_t base = log->end;

	for (unsigned i = 0; i < count; bytes += batches[i++].len) {
		struct stored *batch = &batches[i];

		memcpy(batch->bytes, bytes, batch->len);
		if (unknown) {
			log->maybe[log->maybe_count++] = *batch;
			continue;
		}
		batch->leader_epoch = (int32_t)be_load32(batch->bytes + 12);
		batch->base = base;
		batch->last += base;
		base = batch->last + 1;
		log_took_back(log, batch);
	}
}

void append(struct topic_model *topic, int32_t nth)
{
	struct log_model *log = &topic->logs[nth];
	struct topic *found = get(topic);
	unsigned count = chance(20) ? 2 + (unsigned)disk_random(TOGETHER - 1) : 1;
	struct stored batches[TOGETHER];
	struct partition *partition = topic_partition(found, nth);
	struct partition_appended appended;
	struct partition_ends ends;
	char bytes[TOGETHER * 5000];
	int64_t before = log->end;
	enum kafka_error error;
	size_t len = 0;
	bool unknown;

	for (unsigned i = 0; i < count; i++) {
		batches[i] = any_batch(log, count > 1);
		memcpy(bytes + len, batches[i].bytes, batches[i].len);
		len += batches[i].len;
	}
	error = partition_append(partition, bytes, len, now, &appended);
	unknown = !log->offline &&
		  (disk_failed() || partition_ends(partition, &ends) == KAFKA_KAFKA_STORAGE_ERROR);
	topic_unref(found);
	if (error == KAFKA_NONE) {
		for (unsigned i = 0, at = 0; i < count; at += (unsigned)batches[i++].len)
			acknowledged(log, bytes + at, &batches[i]);
		HOLDS(appended.base_offset == before && appended.last_offset == log->end - 1 &&
		      !appended.duplicate);
		log->flush_due |= appended.flush_due;
		return;
	}
	HOLDS(error == KAFKA_KAFKA_STORAGE_ERROR || error == KAFKA_RECORD_LIST_TOO_LARGE);
	if (error == KAFKA_KAFKA_STORAGE_ERROR && !log->offline && log->maybe_count == 0)
		not_acknowledged(log, batches, count, bytes, unknown);
	else
		for (unsigned i = 0; i < count; i++)
			free(batches[i].bytes);
}

void flush(struct topic_model *topic, int32_t nth)
{
	struct topic *found = get(topic);

	if (topic->logs[nth].flush_due)
		topic->logs[nth].flush_due = partition_flush(topic_partition(found, nth));
	topic_unref(found);
}

void delete_records(struct topic_model *topic, int32_t nth)
{
	struct topic *found = get(topic);
	struct partition *partition = topic_partition(found, nth);
	struct partition_ends ends;
	int64_t start;

	if (partition_ends(partition, &ends) == KAFKA_NONE) {
		uint64_t span = (uint64_t)(ends.high_watermark - ends.log_start + 1);

		if (partition_delete_records(partition, ends.log_start + (int64_t)disk_random(span),
					     &start) == KAFKA_NONE)
			topic->logs[nth].start = topic->logs[nth].deleted = start;
	}
	topic_unref(found);
}

void next_epoch(struct topic_model *topic, int32_t nth)
{
	struct log_model *log = &topic->logs[nth];
	struct topic *found = get(topic);

	if (partition_set_leader_epoch(topic_partition(found, nth), log->leader_epoch + 1) ==
	    KAFKA_NONE)
		log->leader_epoch++;
	topic_unref(found);
}

/* A change that failed has not happened, unless the process has ended in it, or it can't be taken back
 * yet. */
static bool may_have_happened(void)
{
	struct store_stats stats;

	store_stats(store, &stats);
	return disk_failed() || stats.unsettled;
}

void create(struct topic_model *topic, int64_t flush_messages)
{
	struct topic_config config;

	for (int32_t nth = 0; nth < PARTITIONS_MAX; nth++)
		log_reset(&topic->logs[nth]);
	topic->partitions = topic->partitions_maybe = 1 + (int32_t)disk_random(2);
	topic->retention_ms = topic->retention_maybe = 1000000 + (int64_t)disk_random(1000);
	topic->flush_messages = topic->flush_maybe = flush_messages;
	config = config_of(topic);
	topic->there = store_topic_create(store, slice_of(topic->name), topic->partitions, &config,
					  NULL) == KAFKA_NONE;
	topic->doubt = !topic->there && may_have_happened();
}

void delete_topic(struct topic_model *topic)
{
	struct topic *found = get(topic);

	if (store_topic_delete(store, found, now) == KAFKA_NONE) {
		topic->there = false;
		topic->doubt = false;
		for (int32_t nth = 0; nth < PARTITIONS_MAX; nth++)
			log_reset(&topic->logs[nth]);
	} else {
		topic->doubt = may_have_happened();
	}
	topic_unref(found);
}

void grow(struct topic_model *topic)
{
	struct topic *found = get(topic);
	int32_t partitions = topic->partitions + 1;

	if (partitions <= PARTITIONS_MAX) {
		log_reset(&topic->logs[partitions - 1]);
		if (store_topic_grow(store, found, partitions) == KAFKA_NONE)
			topic->partitions = topic->partitions_maybe = partitions;
		else if (may_have_happened())
			topic->partitions_maybe = partitions;
	}
	topic_unref(found);
}

void configure(struct topic_model *topic)
{
	struct topic_model wanted = *topic;
	struct topic *found = get(topic);
	struct topic_config config;

	wanted.retention_ms = 1000000 + (int64_t)disk_random(1000);
	if (topic == &topics[MIXED] && chance(50))
		wanted.flush_messages = topic->flush_messages == 1 ? NO_FLUSH : 1;
	config = config_of(&wanted);
	if (topic == &topics[LAZY])
		topic_config_set(&config, TOPIC_CONFIG_RETENTION_BYTES, 20000);
	if (store_topic_configure(store, found, &config) == KAFKA_NONE) {
		topic->retention_ms = topic->retention_maybe = wanted.retention_ms;
		topic->flush_messages = topic->flush_maybe = wanted.flush_messages;
	} else if (may_have_happened()) {
		topic->retention_maybe = wanted.retention_ms;
		topic->flush_maybe = wanted.flush_messages;
	}
	topic_unref(found);
}

void take_ids(void)
{
	int64_t first;

	if (store_take_producer_ids(store, 10, &first) < 0)
		return;
	HOLDS(first >= ids_given);
	ids_given = first + 10;
}

void read_some(struct topic_model *topic, int32_t nth)
{
	const struct log_model *log = &topic->logs[nth];
	struct topic *found = get(topic);
	struct partition_read read = {.offset =
					  log->start + (int64_t)disk_random(
							   (uint64_t)(log->mark - log->start + 1)),
				      .max_bytes = 3000,
				      .whole_first = true};
	struct partition_slice slice;
	enum kafka_error error;

	HOLDS(partition_read(topic_partition(found, nth), &read, &slice, &error) == 0);
	if (error == KAFKA_NONE && slice.len > 0) {
		char *bytes = malloc(slice.len);
		size_t at = 0;

		HOLDS(pread(slice.fd, bytes, slice.len, (off_t)slice.position) ==
		      (ssize_t)slice.len);
		while (at < log->count && log->list[at].base != slice.base_offset)
			at++;
		HOLDS(at < log->count && log->list[at].last >= read.offset);
		HOLDS(memcmp(bytes, log->list[at].bytes, min_size(slice.len, log->list[at].len)) ==
		      0);
		free(bytes);
	}
	partition_slice_release(&slice);
	topic_unref(found);
}

/* ---- the process, and its disk ---- */

bool open_store(void)
{
	struct store_options options = {.node_id = -1,
					.now_ms = now,
					.threads = 1,
					.damage = damage};
	struct err err = {""};
	int r;

	busy = true;
	r = store_open(folder, &options, &store, &err);
	busy = false;
	if (r < 0)
		store = NULL;
	return r == 0;
}

int close_store(void)
{
	int r;

	busy = true;
	(void)disk_broke();
	r = store_close(store);
	busy = false;
	store = NULL;
	if (r == 0)
		history_stopped();
	/* Any of them may have been what failed. */
	history_ended(disk_broke() && r < 0);
	return r;
}

void power_cycle(void)
{
	char next[64];

	kit_folder(next);
	disk_recover(next);
	kit_remove(folder);
	strcpy(folder, next);
}

void kill_process(void)
{
	disk_fail_after(1);
	(void)close_store();
	disk_keep();
}
