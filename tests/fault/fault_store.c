/*
 * The store with each of its system calls failing in turn: making it, topics, appends with rolls,
 * syncs, reads, retention, DeleteRecords, growth, settings and deletion of a topic, the end; all of
 * that again on a folder that has to be recovered; and a directory of Kafka's.
 *
 * What must hold after every run:
 *   - a call that failed said so, and a store that did not open said why;
 *   - what was read is what was appended;
 *   - opened again, unharmed: all that was said to be durable is there, and nothing that was never
 *     appended; it takes appends and closes cleanly;
 *   - no descriptor and no memory is lost (fault.c looks).
 */
#include "unit/unit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "fault/fault.h"
#include "unit/kafka/store/metadata_kit.h"

#define BATCHES 12
#define RECORDS 3

struct life {
	char folder[64];
	bool dirty; /* prepared as a crash leaves it */
	int64_t before;
	int64_t durable; /* said so */
	int64_t appended;
	int64_t start;
	bool deleted; /* the other topic */
	char complaint[160];
};

static struct topic_config settings(void)
{
	struct topic_config config;

	topic_config_init(&config);
	topic_config_set(&config, TOPIC_CONFIG_SEGMENT_BYTES, 4096);
	topic_config_set(&config, TOPIC_CONFIG_INDEX_INTERVAL_BYTES, 100);
	topic_config_set(&config, TOPIC_CONFIG_FLUSH_MESSAGES, 1);
	topic_config_set(&config, TOPIC_CONFIG_FILE_DELETE_DELAY_MS, 10);
	return config;
}

/* All batches are alike but for their numbers. */
static struct kit_batch nth_batch(int64_t base)
{
	struct kit_batch batch = KIT_PLAIN(RECORDS, 400, KIT_NOW + base);

	batch.seed = (int32_t)base;
	return batch;
}

static int open_quietly(const struct life *life, struct store **ret, struct err *err)
{
	struct topic_config config = settings();
	struct store_options options = {.node_id = -1,
					.now_ms = KIT_NOW,
					.threads = 1,
					.segments_open = 2,
					.defaults = &config};

	return store_open(life->folder, &options, ret, err);
}

static void append_some(struct life *life, struct partition *partition, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		struct partition_appended appended;
		struct partition_ends ends;
		struct kit_batch batch;

		if (partition_ends(partition, &ends) != KAFKA_NONE)
			return;
		batch = nth_batch(ends.log_end);
		if (kit_append(partition, &batch, &appended) != KAFKA_NONE)
			continue;
		life->appended = appended.last_offset + 1;
		if (appended.flush_due)
			(void)partition_flush(partition);
		if (partition_ends(partition, &ends) == KAFKA_NONE)
			life->durable = ends.durable_end;
	}
}

/* ---- the scenario ---- */

static void *prepare(void *arg)
{
	struct life *life = calloc(1, sizeof(*life));
	char copy[64];
	struct store *store;

	life->dirty = arg;
	kit_folder(life->folder);
	if (!life->dirty)
		return life;
	/* A copy of what is open: as a kill leaves it. */
	kit_folder(copy);
	CHECK(open_quietly(life, &store, NULL) == 0);
	CHECK(store_topic_create(store, slice_of("orders"), 1, NULL, NULL) == KAFKA_NONE);
	CHECK(store_topic_create(store, slice_of("other"), 1, NULL, NULL) == KAFKA_NONE);
	append_some(life, kit_partition(store, "orders", 0), BATCHES);
	kit_copy(life->folder, copy);
	CHECK(store_close(store) == 0);
	kit_remove(life->folder);
	strcpy(life->folder, copy);
	return life;
}

static const char *read_all(struct partition *partition, int64_t until)
{
	struct partition_read read = {.max_bytes = 100000, .whole_first = true};
	struct partition_ends ends;

	if (partition_ends(partition, &ends) != KAFKA_NONE)
		return NULL;
	if (ends.log_end < until)
		return "what was durable is gone";
	for (read.offset = ends.log_start; read.offset < ends.high_watermark;) {
		struct partition_slice slice;
		enum kafka_error error;
		struct kit_batch expected = nth_batch(read.offset);
		const char *complaint = NULL;
		char *want, got[2000];
		size_t len;

		if (partition_read(partition, &read, &slice, &error) < 0)
			return "a read that may wait said not now";
		if (error != KAFKA_NONE)
			return NULL;
		if (slice.len == 0)
			return "nothing to read before the high watermark";
		want = kit_batch(&expected, &len);
		CHECK(len < sizeof(got));
		/* Offset and epoch are the broker's. */
		if (slice.len < len ||
		    pread(slice.fd, got, len, (off_t)slice.position) != (ssize_t)len ||
		    memcmp(got + 16, want + 16, len - 16) != 0)
			complaint = "what is read is not what was appended";
		free(want);
		partition_slice_release(&slice);
		if (complaint)
			return complaint;
		read.offset += RECORDS;
	}
	return NULL;
}

/* Growing it, setting things for it, and retention. */
static void change(struct life *life, struct store *store, struct topic *topic)
{
	struct topic_config config = settings();

	(void)store_topic_grow(store, topic, 3);
	topic_config_set(&config, TOPIC_CONFIG_RETENTION_BYTES, 3000);
	topic_config_set(&config, TOPIC_CONFIG_PREALLOCATE, 1);
	topic_config_set(&config, TOPIC_CONFIG_SEGMENT_JITTER_MS, 1000);
	(void)store_topic_configure(store, topic, &config);
	append_some(&(struct life){.durable = 0}, topic_partition(topic, 0), BATCHES);
	store_maintain(store, KIT_NOW);
}

static void use(struct life *life, struct store *store)
{
	struct topic *orders, *other;
	struct partition *partition;
	struct partition_found found;
	int64_t first, start;
	const char *wrong;

	(void)store_topic_create(store, slice_of("other"), 1, NULL, NULL);
	(void)store_topic_create(store, slice_of("orders"), 1, NULL, NULL);
	orders = store_topic(store, slice_of("orders"));
	other = store_topic(store, slice_of("other"));
	if (other) {
		append_some(&(struct life){.durable = 0}, topic_partition(other, 0), 1);
		change(life, store, other);
		life->deleted = store_topic_delete(store, other, KIT_NOW) == KAFKA_NONE;
		topic_unref(other);
	}
	if (orders) {
		partition = topic_partition(orders, 0);
		append_some(life, partition, BATCHES);
		wrong = read_all(partition, 0);
		if (wrong)
			snprintf(life->complaint, sizeof(life->complaint), "while open: %s", wrong);
		if (partition_find_time(partition, KIT_NOW + 10, &found) == KAFKA_NONE)
			partition_slice_release(&found.batch);
		if (partition_delete_records(partition, 12, &start) == KAFKA_NONE)
			life->start = start;
		topic_unref(orders);
	}
	store_maintain(store, KIT_NOW + 100000);
	if (store_take_producer_ids(store, 10, &first) == 0 && first < 0)
		strcpy(life->complaint, "a producer id below 0");
	store_maintain(store, KIT_NOW + 200000);
}

static int run(void *state)
{
	struct life *life = state;
	struct err err = {""};
	struct store *store;
	int r = open_quietly(life, &store, &err);

	if (r < 0) {
		if (!err.text[0])
			strcpy(life->complaint, "it did not open and did not say why");
		return r;
	}
	use(life, store);
	return store_close(store);
}

static fault_complaint check_again(struct life *life, struct store *store)
{
	struct topic *orders = store_topic(store, slice_of("orders"));
	struct topic *other = store_topic(store, slice_of("other"));
	const char *complaint = NULL;
	struct partition *partition;
	struct partition_ends ends;

	if (other && life->deleted)
		complaint = "a deleted topic is back";
	if (other)
		topic_unref(other);
	if (!orders)
		return complaint ? complaint : life->durable > 0 ? "the topic is gone" : NULL;
	partition = topic_partition(orders, 0);
	if (partition_ends(partition, &ends) != KAFKA_NONE)
		complaint = "the partition is offline";
	else if (ends.log_start < life->start)
		complaint = "deleted records are back";
	else if (!complaint)
		complaint = read_all(partition, life->durable);
	append_some(life, partition, 1);
	if (!complaint && life->durable != life->appended)
		complaint = "it takes no appends";
	topic_unref(orders);
	return complaint;
}

static fault_complaint check(void *state, int result, bool hit)
{
	struct life *life = state;
	struct err err = {""};
	struct store *store;
	fault_complaint complaint;

	if (life->complaint[0])
		return life->complaint;
	if (!hit && (result < 0 || life->durable < (int64_t)BATCHES * RECORDS || !life->deleted))
		return "unharmed, something failed";
	if (open_quietly(life, &store, &err) < 0) {
		snprintf(life->complaint, sizeof(life->complaint), "it does not open again: %.120s",
			 err.text);
		return life->complaint;
	}
	complaint = check_again(life, store);
	if (store_close(store) < 0 && !complaint)
		complaint = "it does not close cleanly";
	return complaint;
}

static void clean(void *state)
{
	struct life *life = state;

	kit_remove(life->folder);
	free(life);
}

/* ---- a directory of Kafka's ---- */

#define KAFKAS_RETENTION 777000

/* A segment of ours under a name of Kafka's: two batches from `base` on, as if compacted. */
static void write_segment(const char *name, int64_t base)
{
	char bytes[8192];
	size_t len = 0;

	for (int64_t at = base; at < base + 2 * RECORDS; at += RECORDS) {
		struct kit_batch what = nth_batch(at);
		size_t batch_len;
		char *batch = kit_batch(&what, &batch_len);

		record_batch_place(batch, at, 0);
		memcpy(bytes + len, batch, batch_len);
		len += batch_len;
		free(batch);
	}
	kit_write(folder, name, bytes, len);
}

/* Metadata with a topic that is there, one that was deleted while its folder is not yet away, and one
 * whose folder is of another; and a compaction that was not finished. */
static void *prepare_kafkas(void *arg)
{
	struct life *life = calloc(1, sizeof(*life));
	struct metadata *metadata = metadata_new();
	struct kafka_uuid orders = id_of(1), gone = id_of(2), old = id_of(4);

	metadata_set_up(NULL);
	add_topic(metadata, "gone", 2, 1);
	add_topic(metadata, "orders", 1, 1);
	add_config(metadata, 2, "orders", "retention.ms", "777000");
	add_config(metadata, 2, "orders", "segment.bytes", "4096");
	add_config(metadata, 2, "orders", "flush.messages", "1");
	add_config(metadata, 4, "", "log.cleaner.threads", "2");
	add_removal(metadata, 2);
	add_topic(metadata, "again", 3, 1);
	store_log(metadata);
	free(metadata);
	make_partition("orders-0", &orders);
	write_segment("orders-0/00000000000000000000.log", 0);
	write_segment("orders-0/00000000000000000000.log.swap", 0);
	write_segment("orders-0/00000000000000000006.log", 6);
	kit_write(folder, "orders-0/00000000000000000006.log.deleted", "x", 1);
	make_partition("gone-0", &gone);
	make_partition("again-0", &old);
	make_folder("nobodys-0");
	kit_unlink(folder, ".kafka_cleanshutdown");
	strcpy(life->folder, folder);
	life->before = life->durable = 4 * RECORDS;
	return life;
}

static int run_kafkas(void *state)
{
	struct life *life = state;
	struct err err = {""};
	struct store *store;
	struct topic *orders;
	int r = open_quietly(life, &store, &err);

	if (r < 0) {
		if (!err.text[0])
			strcpy(life->complaint, "it did not open and did not say why");
		return r;
	}
	orders = store_topic(store, SLICE_LITERAL("orders"));
	if (orders) {
		append_some(life, topic_partition(orders, 0), 1);
		topic_unref(orders);
	}
	return store_close(store);
}

static fault_complaint check_kafkas(void *state, int result, bool hit)
{
	struct life *life = state;
	struct err err = {""};
	const char *complaint = NULL;
	struct store *store;
	struct topic *orders;
	int64_t retention;

	if (life->complaint[0])
		return life->complaint;
	if (!hit && result < 0)
		return "unharmed, something failed";
	if (open_quietly(life, &store, &err) < 0) {
		snprintf(life->complaint, sizeof(life->complaint), "it does not open again: %.120s",
			 err.text);
		return life->complaint;
	}
	orders = store_topic(store, SLICE_LITERAL("orders"));
	retention = orders ? topic_config_value(orders, TOPIC_CONFIG_RETENTION_MS) : 0;
	if (!orders)
		complaint = "the topic is gone";
	/* Where Kafka's metadata could not be read, all is kept. */
	else if (retention != KAFKAS_RETENTION && !(hit && retention == -1))
		complaint = "the topic has lost its settings";
	else
		complaint = read_all(topic_partition(orders, 0), life->durable);
	if (orders)
		topic_unref(orders);
	if (store_close(store) < 0 && !complaint)
		complaint = "it does not close cleanly";
	return complaint;
}

static void a_directory_of_kafkas(void **state)
{
	fault_each(&(struct fault_scenario){.name = "a_directory_of_kafkas",
					    .prepare = prepare_kafkas,
					    .run = run_kafkas,
					    .check = check_kafkas,
					    .clean = clean});
}

static void a_new_store(void **state)
{
	fault_each(&(struct fault_scenario){
	    .name = "a_new_store", .prepare = prepare, .run = run, .check = check, .clean = clean});
}

static void a_store_to_recover(void **state)
{
	fault_each(&(struct fault_scenario){.name = "a_store_to_recover",
					    .prepare = prepare,
					    .run = run,
					    .check = check,
					    .clean = clean,
					    .arg = (void *)"dirty"});
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_new_store),
	    cmocka_unit_test(a_store_to_recover),
	    cmocka_unit_test(a_directory_of_kafkas),
	};

	if (!getenv("TMPDIR") && access("/dev/shm", W_OK) == 0)
		setenv("TMPDIR", "/dev/shm", 1);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
