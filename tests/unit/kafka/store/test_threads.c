/*
 * Many threads on one store: what producers, consumers, maintenance, DeleteRecords and changes of
 * topics do at once. Made for ThreadSanitizer; each reader checks that what it reads is whole and in
 * order.
 */
#include "unit/unit.h"

#include "kit.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define BATCHES   1500
#define PRODUCERS 3
#define CONSUMERS 2

static char folder[64];
static struct store *store;
static struct partition *partition;
static _Atomic unsigned producing;
static _Atomic bool wrong;

#define HOLDS(cond)                                                                \
	do {                                                                       \
		if (!(cond)) {                                                     \
			print_message("# %s:%d: %s\n", __func__, __LINE__, #cond); \
			wrong = true;                                              \
			return NULL;                                               \
		}                                                                  \
	} while (0)

static void *produce(void *arg)
{
	int64_t id = (int64_t)(intptr_t)arg;

	for (int32_t i = 0; i < BATCHES; i++) {
		struct kit_batch batch = {.records = 2,
					  .value_bytes = 300,
					  .timestamp = KIT_NOW + i,
					  .producer_id = id,
					  .sequence = 2 * i};
		struct partition_appended appended;
		struct partition_ends ends;

		HOLDS(kit_append(partition, &batch, &appended) == KAFKA_NONE);
		while (appended.flush_due && partition_flush(partition))
			;
		/* Somebody makes it durable, in any case whoever was told to. */
		for (int tries = 0; appended.wait_durable && tries < 100000; tries++) {
			HOLDS(partition_ends(partition, &ends) == KAFKA_NONE);
			if (ends.durable_end > appended.last_offset)
				appended.wait_durable = false;
			else
				usleep(100);
		}
		HOLDS(!appended.wait_durable);
	}
	producing--;
	return NULL;
}

/* Reads on from the start; where retention was faster, from where the log begins now. */
static void *consume(void *arg)
{
	struct partition_read read = {.max_bytes = 20000, .whole_first = true};
	char *bytes = malloc(1 << 16);
	bool last = false;

	while (!last || read.offset < BATCHES * 2 * PRODUCERS) {
		struct partition_slice slice;
		enum kafka_error error;
		struct record_batch batch;
		struct slice rest;

		last = producing == 0;
		read.nowait = true;
		if (partition_read(partition, &read, &slice, &error) == -EAGAIN) {
			read.nowait = false;
			HOLDS(partition_read(partition, &read, &slice, &error) == 0);
		}
		if (error == KAFKA_OFFSET_OUT_OF_RANGE) {
			HOLDS(read.offset < slice.ends.log_start);
			read.offset = slice.ends.log_start;
			continue;
		}
		HOLDS(error == KAFKA_NONE && slice.len <= 1 << 16);
		if (slice.len == 0)
			continue;
		HOLDS(pread(slice.fd, bytes, slice.len, (off_t)slice.position) ==
		      (ssize_t)slice.len);
		rest = slice_make(bytes, slice.len);
		while (record_batch_next(&rest, &batch) == RECORD_BATCH_OK) {
			HOLDS(record_batch_check(&batch) == RECORD_BATCH_OK);
			/* DeleteRecords may have moved the start into a batch. */
			HOLDS(batch.base_offset == read.offset ||
			      (batch.base_offset < read.offset &&
			       record_batch_last_offset(&batch) >= read.offset));
			read.offset = record_batch_last_offset(&batch) + 1;
		}
		partition_slice_release(&slice);
	}
	free(bytes);
	return NULL;
}

/* ---- a topic that comes and goes while it is used ---- */

#define CHURNS   40
#define CHURNERS 3

static _Atomic bool churning;

static enum kafka_error use_once(struct partition *used, int64_t at)
{
	struct partition_read read = {.max_bytes = 20000, .whole_first = true, .nowait = at & 1};
	struct partition_appended appended;
	struct partition_found found;
	struct partition_slice slice;
	enum kafka_error error = kit_append(used, &KIT_PLAIN(3, 400, KIT_NOW + at), &appended);
	int64_t start;
	char byte;

	if (error == KAFKA_NONE && appended.flush_due)
		(void)partition_flush(used);
	if (partition_read(used, &read, &slice, &error) == 0 && error == KAFKA_NONE &&
	    slice.len > 0 && pread(slice.fd, &byte, 1, (off_t)slice.position) != 1)
		wrong = true;
	if (partition_find_time(used, KIT_NOW + at / 2, &found) == KAFKA_NONE)
		partition_slice_release(&found.batch);
	if (at % 10 == 0)
		(void)partition_delete_records(used, -1, &start);
	/* Its files may be gone by now; what is in the slice is there. */
	if (slice.len > 0 && pread(slice.fd, &byte, 1, (off_t)slice.position) != 1)
		wrong = true;
	partition_slice_release(&slice);
	return error;
}

static void *use(void *arg)
{
	for (int64_t i = 0; churning; i++) {
		struct topic *topic = store_topic(store, SLICE_LITERAL("churn"));
		enum kafka_error error;

		if (!topic)
			continue;
		error =
		    use_once(topic_partition(topic, (int32_t)(i % topic_partition_count(topic))),
			     i);
		HOLDS(error == KAFKA_NONE || error == KAFKA_OFFSET_OUT_OF_RANGE ||
		      error == KAFKA_UNKNOWN_TOPIC_OR_PARTITION);
		topic_unref(topic);
	}
	return NULL;
}

static void *churn(void *arg)
{
	struct topic_config config;
	struct topic *topic;

	for (int32_t i = 0; i < CHURNS; i++) {
		HOLDS(store_topic_create(store, SLICE_LITERAL("churn"), 1, NULL, &topic) ==
		      KAFKA_NONE);
		usleep(2000);
		HOLDS(store_topic_grow(store, topic, 2) == KAFKA_NONE);
		topic_config_own(topic, &config);
		topic_config_set(&config, TOPIC_CONFIG_FLUSH_MESSAGES, 1 + i % 3);
		HOLDS(store_topic_configure(store, topic, &config) == KAFKA_NONE);
		usleep(2000);
		HOLDS(store_topic_delete(store, topic, KIT_NOW) == KAFKA_NONE);
		topic_unref(topic);
	}
	churning = false;
	return NULL;
}

static void *administer(void *arg)
{
	for (int i = 0; producing > 0 || i < 5; i++) {
		struct partition_found found;
		struct store_stats stats;
		char name[32];
		struct topic *topic;

		snprintf(name, sizeof(name), "t%d", i % 3);
		if (store_topic_create(store, slice_of(name), 2, NULL, &topic) == KAFKA_NONE) {
			HOLDS(kit_append(topic_partition(topic, 1), &KIT_PLAIN(1, 10, KIT_NOW),
					 NULL) == KAFKA_NONE);
			HOLDS(store_topic_grow(store, topic, 3) == KAFKA_NONE);
			HOLDS(store_topic_delete(store, topic, KIT_NOW) == KAFKA_NONE);
			topic_unref(topic);
		}
		store_maintain(store, KIT_NOW + i * 20000);
		store_stats(store, &stats);
		HOLDS(partition_find_time(partition, KIT_NOW + i, &found) == KAFKA_NONE);
		partition_slice_release(&found.batch);
		if (i % 4 == 0) {
			struct partition_ends ends;
			int64_t start;

			HOLDS(partition_ends(partition, &ends) == KAFKA_NONE);
			HOLDS(partition_delete_records(partition,
						       (ends.log_start + ends.high_watermark) / 2,
						       &start) == KAFKA_NONE);
		}
		usleep(1000);
	}
	return NULL;
}

static void all_at_once(void **state)
{
	pthread_t threads[PRODUCERS + CONSUMERS + 1 + CHURNERS + 1];
	struct topic_config config;
	unsigned count = 0;

	topic_config_init(&config);
	topic_config_set(&config, TOPIC_CONFIG_SEGMENT_BYTES, 16384);
	topic_config_set(&config, TOPIC_CONFIG_INDEX_INTERVAL_BYTES, 500);
	topic_config_set(&config, TOPIC_CONFIG_RETENTION_BYTES, 200000);
	topic_config_set(&config, TOPIC_CONFIG_RETENTION_MS, -1);
	topic_config_set(&config, TOPIC_CONFIG_FLUSH_MESSAGES, 1);
	kit_folder(folder);
	store = kit_open(folder, &config);
	assert_int_equal(store_topic_create(store, slice_of("busy"), 1, NULL, NULL), KAFKA_NONE);
	partition = kit_partition(store, "busy", 0);
	producing = PRODUCERS;
	for (intptr_t i = 0; i < PRODUCERS; i++)
		pthread_create(&threads[count++], NULL, produce, (void *)(i + 1));
	for (unsigned i = 0; i < CONSUMERS; i++)
		pthread_create(&threads[count++], NULL, consume, NULL);
	pthread_create(&threads[count++], NULL, administer, NULL);
	churning = true;
	for (unsigned i = 0; i < CHURNERS; i++)
		pthread_create(&threads[count++], NULL, use, NULL);
	pthread_create(&threads[count++], NULL, churn, NULL);
	for (unsigned i = 0; i < count; i++)
		pthread_join(threads[i], NULL);
	assert_false(wrong);
	assert_int_equal(store_close(store), 0);
	kit_remove(folder);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(all_at_once),
	};

	if (!getenv("TMPDIR") && access("/dev/shm", W_OK) == 0)
		setenv("TMPDIR", "/dev/shm", 1);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
