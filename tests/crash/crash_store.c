/*
 * The store on a disk that loses power at any moment, seed by seed.
 *
 * Each seed makes a random history (appends, syncs, retention, DeleteRecords, topics made, grown and
 * deleted, clean restarts, full disks), cuts the power in the middle of it, and opens what is left
 * on the disk; several times over. What must hold each time:
 *   - everything below an end that was called durable is there, byte for byte;
 *   - everything that is there was appended at just that offset, without a gap: torn tails are cut;
 *   - ends do not go below what was durable, starts not below what was deleted;
 *   - topics that were made are there with their partitions and settings, deleted ones are not;
 *   - a producer's newest batch in the log is known as a duplicate, and its next one goes on;
 *   - producer ids are given only once;
 *   - the store opens, takes appends, closes cleanly and is then the same.
 *
 *     crash_store            as a test: SEEDS of them
 *     crash_store FIRST N    seeds FIRST to FIRST + N - 1, to look closer at one
 */
#include "unit/unit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/be.h"
#include "base/log.h"
#include "crash/disk.h"
#include "unit/kafka/store/kit.h"

#define SEEDS      300
#define POWER_CUTS 3
#define STEPS      60
#define PARTITIONS 2
#define BATCHES    4096

struct stored {
	int64_t base, last;
	char *bytes;
	size_t len;
	int32_t sequence; /* -1: of no producer */
	int16_t epoch;
};

struct log_model {
	struct stored batches[BATCHES];
	size_t count;
	int64_t end;     /* of what was appended */
	int64_t durable; /* of what was said to be safe */
	int64_t start;   /* of what was said to be deleted */
	int32_t sequence;
	int16_t epoch; /* of the producer */
};

enum doubt { SURE, MAYBE };

struct topic_model {
	const char *name;
	bool there;
	enum doubt doubt; /* whether it is there: the power went while that changed */
	int64_t retention_ms;
	enum doubt config_doubt;
	struct log_model logs[PARTITIONS];
};

static struct topic_model topics[] = {{.name = "safe"}, {.name = "lazy"}, {.name = "temp"}};
static char folder[64];
static struct store *store;
static int64_t now, ids_given;
static uint64_t seed;

#define HOLDS(cond)                                                                         \
	do {                                                                                \
		if (!(cond)) {                                                              \
			fprintf(stderr, "seed %llu: %s:%d: %s\n", (unsigned long long)seed, \
				__func__, __LINE__, #cond);                                 \
			abort();                                                            \
		}                                                                           \
	} while (0)

/* ---- the model ---- */

static void forget_from(struct log_model *log, size_t first)
{
	while (log->count > first)
		free(log->batches[--log->count].bytes);
}

static void log_reset(struct log_model *log)
{
	forget_from(log, 0);
	*log = (struct log_model){.count = 0};
}

static struct topic_config config_of(const struct topic_model *topic)
{
	struct topic_config config;

	topic_config_init(&config);
	topic_config_set(&config, TOPIC_CONFIG_SEGMENT_BYTES, 4096);
	topic_config_set(&config, TOPIC_CONFIG_INDEX_INTERVAL_BYTES, 512);
	topic_config_set(&config, TOPIC_CONFIG_FILE_DELETE_DELAY_MS, 1000);
	topic_config_set(&config, TOPIC_CONFIG_RETENTION_MS, topic->retention_ms);
	if (strcmp(topic->name, "safe") == 0)
		topic_config_set(&config, TOPIC_CONFIG_FLUSH_MESSAGES, 1);
	if (strcmp(topic->name, "lazy") == 0)
		topic_config_set(&config, TOPIC_CONFIG_RETENTION_BYTES, 20000);
	return config;
}

static struct topic_model *any_topic(void)
{
	return &topics[disk_random(ARRAY_SIZE(topics))];
}

static struct topic *get(const struct topic_model *topic)
{
	struct topic *found = store_topic(store, slice_of(topic->name));

	HOLDS(found);
	return found;
}

/* ---- what is done ---- */

static void append(struct topic_model *topic, int32_t nth)
{
	struct log_model *log = &topic->logs[nth];
	struct topic *found = get(topic);
	struct partition *partition = topic_partition(found, nth);
	bool producer = disk_random(2);
	struct kit_batch what = KIT_PLAIN(1 + (int32_t)disk_random(5),
					  (uint32_t)disk_random(disk_random(8) ? 200 : 700), now);
	struct partition_appended appended;
	struct stored *stored = &log->batches[log->count];

	what.seed = (int32_t)disk_random(1000);
	if (producer) {
		what.producer_id = 5;
		what.epoch = log->epoch;
		what.sequence = log->sequence;
	}
	*stored = (struct stored){.sequence = what.sequence, .epoch = what.epoch};
	stored->bytes = kit_batch(&what, &stored->len);
	HOLDS(log->count + 1 < BATCHES);
	enum kafka_error error =
	    partition_append(partition, stored->bytes, stored->len, now, &appended);

	if (error == KAFKA_NONE) {
		HOLDS(appended.base_offset == log->end && !appended.duplicate);
		stored->base = appended.base_offset;
		stored->last = appended.last_offset;
		log->end = appended.last_offset + 1;
		log->count++;
		if (producer)
			log->sequence += what.records;
		if (appended.flush_due)
			(void)partition_flush(partition);
	} else {
		HOLDS(error == KAFKA_KAFKA_STORAGE_ERROR);
		free(stored->bytes);
	}
	topic_unref(found);
}

/* What the store says is safe has to be so from now on. */
static void note_ends(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(topics); i++) {
		struct topic *found = topics[i].there ? get(&topics[i]) : NULL;
		struct partition_ends ends;

		for (int32_t nth = 0; found && nth < PARTITIONS; nth++) {
			struct log_model *log = &topics[i].logs[nth];

			if (partition_ends(topic_partition(found, nth), &ends) != KAFKA_NONE)
				continue;
			HOLDS(ends.log_end == log->end || disk_failed());
			HOLDS(ends.durable_end >= log->durable);
			HOLDS(ends.high_watermark <= ends.log_end);
			if (i == 0)
				HOLDS(ends.high_watermark == ends.durable_end);
			log->durable = ends.durable_end;
		}
		if (found)
			topic_unref(found);
	}
}

static void delete_records(struct topic_model *topic, int32_t nth)
{
	struct topic *found = get(topic);
	struct partition *partition = topic_partition(found, nth);
	struct partition_ends ends;
	int64_t start;

	if (partition_ends(partition, &ends) == KAFKA_NONE &&
	    partition_delete_records(partition,
				     ends.log_start +
					 (int64_t)disk_random(
					     (uint64_t)(ends.high_watermark - ends.log_start + 1)),
				     &start) == KAFKA_NONE)
		topic->logs[nth].start = start;
	topic_unref(found);
}

static void create(struct topic_model *topic)
{
	struct topic_config config;
	enum kafka_error error;

	topic->retention_ms = 1000000 + (int64_t)disk_random(1000);
	config = config_of(topic);
	error = store_topic_create(store, slice_of(topic->name), PARTITIONS, &config, NULL);
	for (int32_t nth = 0; nth < PARTITIONS; nth++)
		log_reset(&topic->logs[nth]);
	topic->there = error == KAFKA_NONE;
	topic->doubt = error == KAFKA_NONE ? SURE : MAYBE;
	topic->config_doubt = SURE;
}

static void delete (struct topic_model *topic)
{
	struct topic *found = get(topic);

	if (store_topic_delete(store, found, now) == KAFKA_NONE) {
		topic->there = false;
		/* Its folders may not have got their new names, if the power went there. */
		topic->doubt = SURE;
		for (int32_t nth = 0; nth < PARTITIONS; nth++)
			log_reset(&topic->logs[nth]);
	} else {
		topic->doubt = MAYBE;
	}
	topic_unref(found);
}

static void configure(struct topic_model *topic)
{
	struct topic *found = get(topic);
	int64_t before = topic->retention_ms;
	struct topic_config config;

	topic->retention_ms = 1000000 + (int64_t)disk_random(1000);
	config = config_of(topic);
	if (store_topic_configure(store, found, &config) != KAFKA_NONE) {
		topic->retention_ms = before;
		topic->config_doubt = MAYBE;
	} else {
		topic->config_doubt = SURE;
	}
	topic_unref(found);
}

static void take_ids(void)
{
	int64_t first;

	if (store_take_producer_ids(store, 10, &first) < 0)
		return;
	HOLDS(first >= ids_given);
	ids_given = first + 10;
}

static bool open_store(void);

static void step(void)
{
	struct topic_model *topic = any_topic();
	int32_t nth = (int32_t)disk_random(PARTITIONS);
	uint64_t what = disk_random(100);

	now += (int64_t)disk_random(2000);
	if (!topic->there) {
		if (topic->doubt == SURE)
			create(topic);
		return;
	}
	if (what < 60)
		append(topic, nth);
	else if (what < 75)
		store_maintain(store, now);
	else if (what < 80)
		delete_records(topic, nth);
	else if (what < 83)
		configure(topic);
	else if (what < 86 && strcmp(topic->name, "temp") == 0)
		delete (topic);
	else if (what < 90)
		take_ids();
	else if (what < 93)
		disk_fill(1 + (unsigned)disk_random(3));
	else if (what < 95 && !disk_failed()) {
		(void)store_close(store);
		store = NULL;
	}
}

/* ---- what must hold after the power is back ---- */

static const struct stored *newest_of_producer(const struct log_model *log)
{
	for (size_t i = log->count; i > 0; i--)
		if (log->batches[i - 1].sequence >= 0)
			return &log->batches[i - 1];
	return NULL;
}

static void check_bytes(const struct log_model *log, struct partition *partition,
			const struct partition_ends *ends)
{
	struct partition_read read = {.offset = ends->log_start,
				      .max_bytes = 1 << 20,
				      .whole_first = true,
				      .isolation = PARTITION_READ_ALL};
	struct partition_slice slice;
	enum kafka_error error;
	size_t at = 0;

	while (read.offset < ends->log_end) {
		char *bytes;
		struct slice rest;
		struct record_batch batch;

		HOLDS(partition_read(partition, &read, &slice, &error) == 0 &&
		      error == KAFKA_NONE && slice.len > 0);
		bytes = malloc(slice.len);
		HOLDS(pread(slice.fd, bytes, slice.len, (off_t)slice.position) ==
		      (ssize_t)slice.len);
		rest = slice_make(bytes, slice.len);
		while (record_batch_next(&rest, &batch) == RECORD_BATCH_OK) {
			while (at < log->count && log->batches[at].base < batch.base_offset)
				at++;
			HOLDS(at < log->count && log->batches[at].base == batch.base_offset);
			HOLDS(log->batches[at].len == batch.bytes.len);
			HOLDS(memcmp(log->batches[at].bytes, batch.bytes.ptr, batch.bytes.len) ==
			      0);
			HOLDS(batch.base_offset <= read.offset);
			read.offset = record_batch_last_offset(&batch) + 1;
		}
		HOLDS(rest.len == 0);
		free(bytes);
		partition_slice_release(&slice);
	}
}

static void check_producer(struct log_model *log, struct partition *partition)
{
	const struct stored *newest = newest_of_producer(log);
	struct partition_appended appended;
	char *copy;

	log->sequence = 0;
	/* What was deleted with its batches may be known or not: it begins anew. */
	if (!newest || newest->last < log->start) {
		log->epoch++;
		return;
	}
	copy = malloc(newest->len);
	memcpy(copy, newest->bytes, newest->len);
	be_store64(copy, 0);
	HOLDS(partition_append(partition, copy, newest->len, now, &appended) == KAFKA_NONE);
	HOLDS(appended.duplicate && appended.base_offset == newest->base);
	free(copy);
	log->epoch = newest->epoch;
	log->sequence = newest->sequence + (int32_t)(newest->last - newest->base) + 1;
}

static void check_log(struct log_model *log, struct partition *partition)
{
	struct partition_ends ends;

	HOLDS(partition_ends(partition, &ends) == KAFKA_NONE);
	HOLDS(ends.log_end >= log->durable && ends.log_start >= log->start);
	HOLDS(ends.log_end <= log->end && ends.log_start <= ends.log_end);
	HOLDS(ends.high_watermark == ends.log_end);
	while (log->count > 0 && log->batches[log->count - 1].last >= ends.log_end)
		forget_from(log, log->count - 1);
	check_bytes(log, partition, &ends);
	log->end = ends.log_end;
	log->durable = ends.durable_end;
	log->start = ends.log_start;
	check_producer(log, partition);
}

static void check_topic(struct topic_model *topic)
{
	struct topic *found = store_topic(store, slice_of(topic->name));

	HOLDS(topic->doubt == MAYBE || !!found == topic->there);
	topic->there = found;
	topic->doubt = SURE;
	if (!found) {
		for (int32_t nth = 0; nth < PARTITIONS; nth++)
			log_reset(&topic->logs[nth]);
		return;
	}
	HOLDS(topic_partition_count(found) == PARTITIONS);
	HOLDS(topic_config_value(found, TOPIC_CONFIG_SEGMENT_BYTES) == 4096);
	if (topic->config_doubt == SURE)
		HOLDS(topic_config_value(found, TOPIC_CONFIG_RETENTION_MS) == topic->retention_ms);
	topic->retention_ms = topic_config_value(found, TOPIC_CONFIG_RETENTION_MS);
	topic->config_doubt = SURE;
	for (int32_t nth = 0; nth < PARTITIONS; nth++)
		check_log(&topic->logs[nth], topic_partition(found, nth));
	topic_unref(found);
}

static void check_all(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(topics); i++)
		check_topic(&topics[i]);
	take_ids();
}

static bool open_store(void)
{
	struct store_options options = {.node_id = -1, .now_ms = now, .threads = 1};
	struct err err = {""};
	int r = store_open(folder, &options, &store, &err);

	if (r < 0) {
		store = NULL;
		if (!disk_failed())
			fprintf(stderr, "%s\n", err.text);
		HOLDS(disk_failed());
	}
	return r == 0;
}

/* A history until the power goes, or it is over. */
static void live(void)
{
	disk_fail_after(disk_random(4) ? 1 + disk_random(disk_random(2) ? 600 : 60) : 0);
	if (!open_store())
		return;
	/* Opening may have failed in part: partitions are offline then. */
	for (int i = 0; i < STEPS && store; i++) {
		step();
		if (!store && !open_store())
			return;
		if (disk_failed())
			break;
		note_ends();
	}
	if (store)
		(void)store_close(store);
	store = NULL;
}

static void power_cycle(void)
{
	char next[64];

	kit_folder(next);
	disk_recover(next);
	kit_remove(folder);
	strcpy(folder, next);
}

static void run_seed(uint64_t number)
{
	seed = number;
	disk_seed(seed);
	now = KIT_NOW;
	ids_given = 0;
	kit_folder(folder);
	disk_attach(folder);
	for (int cut = 0; cut < POWER_CUTS; cut++) {
		live();
		power_cycle();
		HOLDS(open_store());
		check_all();
		HOLDS(store_close(store) == 0);
		/* And once more after a clean stop, which is lasting as well. */
		power_cycle();
		HOLDS(open_store());
		check_all();
		HOLDS(store_close(store) == 0);
	}
	disk_recover(NULL);
	kit_remove(folder);
	for (size_t i = 0; i < ARRAY_SIZE(topics); i++) {
		for (int32_t nth = 0; nth < PARTITIONS; nth++)
			log_reset(&topics[i].logs[nth]);
		topics[i].there = false;
		topics[i].doubt = topics[i].config_doubt = SURE;
	}
}

static void nothing_safe_is_lost_when_the_power_goes(void **state)
{
	for (uint64_t i = 0; i < SEEDS; i++)
		run_seed(i);
}

static void say(void *arg, enum log_level level, const char *line, size_t len)
{
	fprintf(stderr, "%.*s", (int)len, line);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(nothing_safe_is_lost_when_the_power_goes),
	};

	/* In memory, where there is one: the disk is ours. */
	if (!getenv("TMPDIR") && access("/dev/shm", W_OK) == 0)
		setenv("TMPDIR", "/dev/shm", 1);
	if (argc == 3) {
		log_set_sink(say, NULL, LOG_LEVEL_INFO);
		uint64_t first = strtoull(argv[1], NULL, 10), count = strtoull(argv[2], NULL, 10);

		for (uint64_t i = first; i < first + count; i++)
			run_seed(i);
		return 0;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
