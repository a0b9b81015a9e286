#include "unit/unit.h"

#include "crash/history.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/be.h"

uint64_t seed;
struct topic_model topics[TOPICS] = {[SAFE] = {.name = "safe"},
				     [LAZY] = {.name = "lazy"},
				     [TEMP] = {.name = "temp"},
				     [MIXED] = {.name = "mixed"}};
int64_t ids_given;

struct topic_config config_of(const struct topic_model *topic)
{
	struct topic_config config;

	topic_config_init(&config);
	topic_config_set(&config, TOPIC_CONFIG_SEGMENT_BYTES, 4096);
	topic_config_set(&config, TOPIC_CONFIG_INDEX_INTERVAL_BYTES, 512);
	topic_config_set(&config, TOPIC_CONFIG_FILE_DELETE_DELAY_MS, 1000);
	topic_config_set(&config, TOPIC_CONFIG_RETENTION_MS, topic->retention_ms);
	topic_config_set(&config, TOPIC_CONFIG_FLUSH_MESSAGES, topic->flush_messages);
	if (topic == &topics[LAZY])
		topic_config_set(&config, TOPIC_CONFIG_RETENTION_BYTES, 20000);
	return config;
}

/* ---- the model ---- */

void log_add(struct log_model *log, const struct stored *stored)
{
	if (log->count == log->capacity) {
		log->capacity = log->capacity ? 2 * log->capacity : 16;
		log->list = realloc(log->list, log->capacity * sizeof(*log->list));
		CHECK(log->list);
	}
	log->list[log->count++] = *stored;
	log->end = stored->last + 1;
}

void log_took_back(struct log_model *log, const struct stored *stored)
{
	log->taken_back =
	    realloc(log->taken_back, (log->taken_back_count + 1) * sizeof(*log->taken_back));
	CHECK(log->taken_back);
	log->taken_back[log->taken_back_count++] = *stored;
}

static void forget_taken_back(struct log_model *log)
{
	while (log->taken_back_count > 0)
		free(log->taken_back[--log->taken_back_count].bytes);
	free(log->taken_back);
	log->taken_back = NULL;
}

static void forget_from(struct log_model *log, size_t first)
{
	while (log->count > first)
		free(log->list[--log->count].bytes);
}

void log_reset(struct log_model *log)
{
	forget_from(log, 0);
	for (unsigned i = 0; i < log->maybe_count; i++)
		free(log->maybe[i].bytes);
	forget_taken_back(log);
	free(log->list);
	free(log->lost);
	*log = (struct log_model){.count = 0};
}

static void topic_reset(struct topic_model *topic)
{
	for (int32_t nth = 0; nth < PARTITIONS_MAX; nth++)
		log_reset(&topic->logs[nth]);
	*topic = (struct topic_model){.name = topic->name};
}

void history_reset(void)
{
	for (size_t i = 0; i < TOPICS; i++)
		topic_reset(&topics[i]);
	ids_given = 0;
}

void history_ended(bool broken)
{
	for (size_t i = 0; i < TOPICS; i++)
		for (int32_t nth = 0; nth < PARTITIONS_MAX; nth++) {
			topics[i].logs[nth].flush_due = false;
			topics[i].logs[nth].offline |= broken;
		}
}

void history_stopped(void)
{
	for (size_t i = 0; i < TOPICS; i++)
		for (int32_t nth = 0; nth < PARTITIONS_MAX; nth++)
			forget_taken_back(&topics[i].logs[nth]);
}

void history_killed(void)
{
	for (size_t i = 0; i < TOPICS; i++)
		for (int32_t nth = 0; nth < PARTITIONS_MAX; nth++)
			topics[i].logs[nth].start = topics[i].logs[nth].deleted;
}

/* ---- promises ---- */

static void note_log(struct log_model *log, struct partition *partition, bool safe, bool failed)
{
	struct partition_ends ends;

	if (partition_ends(partition, &ends) != KAFKA_NONE) {
		log->offline = true;
		return;
	}
	HOLDS(failed || (ends.log_end == log->end && !log->offline));
	HOLDS(ends.durable_end >= log->durable && ends.durable_end <= ends.log_end);
	HOLDS(ends.high_watermark >= log->mark && ends.high_watermark <= ends.log_end);
	HOLDS(ends.log_start >= log->start && ends.log_start <= ends.high_watermark);
	/* Nobody is shown what a power cut may take back. */
	HOLDS(!safe || ends.high_watermark == ends.durable_end);
	log->durable = ends.durable_end;
	log->mark = ends.high_watermark;
}

void history_note(struct store *store, bool failed)
{
	for (size_t i = 0; i < TOPICS; i++) {
		struct topic *topic =
		    topics[i].there ? store_topic(store, slice_of(topics[i].name)) : NULL;

		HOLDS(topic || !topics[i].there);
		for (int32_t nth = 0; topic && nth < topics[i].partitions; nth++)
			note_log(&topics[i].logs[nth], topic_partition(topic, nth), i == SAFE,
				 failed);
		if (topic)
			topic_unref(topic);
	}
}

/* ---- what must hold after a start ---- */

static bool is_stored(const struct stored *stored, const struct record_batch *batch)
{
	return stored->base == batch->base_offset && stored->len == batch->bytes.len &&
	       memcmp(stored->bytes, batch->bytes.ptr, stored->len) == 0;
}

/* `with` in place of the batches from `from` to below `to`. */
static void replace(struct log_model *log, size_t from, size_t to, const struct stored *with)
{
	struct stored copy = *with;
	size_t behind = log->count - to;

	for (size_t i = from; i < to; i++)
		free(log->list[i].bytes);
	copy.bytes = malloc(copy.len);
	memcpy(copy.bytes, with->bytes, copy.len);
	log_add(log, &copy);
	memmove(log->list + from + 1, log->list + to, behind * sizeof(*log->list));
	log->list[from] = copy;
	log->count = from + 1 + behind;
}

/* Where a batch that had been taken back is found, the ones that came in its place are not. */
static void bring_back(struct log_model *log, const struct record_batch *batch, size_t at)
{
	const struct stored *found = NULL;
	size_t to = at;

	if (batch->base_offset < log->durable ||
	    (at < log->count && is_stored(&log->list[at], batch)))
		return;
	for (unsigned i = 0; i < log->taken_back_count && !found; i++)
		if (is_stored(&log->taken_back[i], batch))
			found = &log->taken_back[i];
	while (found && to < log->count && log->list[to].base <= found->last)
		to++;
	if (found)
		replace(log, at, to, found);
}

static void check_batch(struct log_model *log, const struct record_batch *batch, bool kept,
			size_t *at)
{
	while (*at < log->count && log->list[*at].base < batch->base_offset)
		++*at;
	if (!kept)
		bring_back(log, batch, *at);
	HOLDS(*at < log->count && is_stored(&log->list[*at], batch));
}

/* Every byte from the start to the end, without a gap, was appended just there. */
static void check_bytes(struct log_model *log, struct partition *partition,
			const struct partition_ends *ends, bool kept)
{
	struct partition_read read = {.offset = ends->log_start,
				      .max_bytes = 1 << 20,
				      .whole_first = true,
				      .isolation = PARTITION_READ_ALL};
	struct partition_slice slice;
	enum kafka_error error;
	size_t at = 0;

	while (read.offset < ends->log_end) {
		struct record_batch batch;
		struct slice rest;
		char *bytes;

		HOLDS(partition_read(partition, &read, &slice, &error) == 0 &&
		      error == KAFKA_NONE && slice.len > 0);
		bytes = malloc(slice.len);
		HOLDS(pread(slice.fd, bytes, slice.len, (off_t)slice.position) ==
		      (ssize_t)slice.len);
		rest = slice_make(bytes, slice.len);
		while (record_batch_next(&rest, &batch) == RECORD_BATCH_OK) {
			check_batch(log, &batch, kept, &at);
			HOLDS(batch.base_offset <= read.offset);
			read.offset = record_batch_last_offset(&batch) + 1;
		}
		HOLDS(rest.len == 0);
		free(bytes);
		partition_slice_release(&slice);
	}
}

/* Where each epoch that is in the log ended; or, where those before some are no longer known, as a
 * crash in the middle of retention leaves it, at the latest. */
static void check_epochs(const struct log_model *log, struct partition *partition,
			 const struct partition_ends *ends)
{
	for (size_t i = 0; i < log->count; i++) {
		const struct stored *stored = &log->list[i];
		int64_t end = ends->log_end, found_end;
		int32_t found;

		if (stored->last < ends->log_start)
			continue;
		for (size_t later = i + 1; later < log->count; later++)
			if (log->list[later].leader_epoch > stored->leader_epoch) {
				end = log->list[later].base;
				break;
			}
		HOLDS(partition_epoch_end(partition, stored->leader_epoch, &found, &found_end) ==
		      KAFKA_NONE);
		HOLDS(found == stored->leader_epoch && found_end >= end &&
		      found_end <= ends->log_end);
		HOLDS(ends->leader_epoch >= stored->leader_epoch);
	}
}

static const struct stored *newest_of(const struct log_model *log, unsigned producer)
{
	for (size_t i = log->count; i > 0; i--)
		if (log->list[i - 1].sequence >= 0 && log->list[i - 1].producer == producer)
			return &log->list[i - 1];
	return NULL;
}

/* Its newest batch in the log is known, so that sent again it is not stored again. */
static void check_producer(struct log_model *log, struct partition *partition, unsigned producer,
			   int64_t now_ms)
{
	const struct stored *newest = newest_of(log, producer);
	struct partition_appended appended;
	char *copy;

	log->producers[producer].sequence = 0;
	/* What was deleted with its batches may be known or not: it begins anew. */
	if (!newest || newest->last < log->start) {
		log->producers[producer].epoch++;
		return;
	}
	copy = malloc(newest->len);
	memcpy(copy, newest->bytes, newest->len);
	be_store64(copy, 0);
	HOLDS(partition_append(partition, copy, newest->len, now_ms, &appended) == KAFKA_NONE);
	HOLDS(appended.duplicate && appended.base_offset == newest->base);
	free(copy);
	log->producers[producer].epoch = newest->epoch;
	log->producers[producer].sequence =
	    newest->sequence + (int32_t)(newest->last - newest->base) + 1;
}

static void add_maybe(struct log_model *log)
{
	for (unsigned i = 0; i < log->maybe_count; i++) {
		struct stored *maybe = &log->maybe[i];

		maybe->base += log->end;
		maybe->last += log->end;
		maybe->leader_epoch = (int32_t)be_load32(maybe->bytes + 12);
		log_add(log, maybe);
	}
	log->maybe_count = 0;
}

static void add_lost(struct log_model *log, const struct stored *stored, int64_t log_end)
{
	log->lost = realloc(log->lost, (log->lost_count + 1) * sizeof(*log->lost));
	CHECK(log->lost);
	log->lost[log->lost_count++] = (struct lost){.end = log_end, .epoch = stored->leader_epoch};
}

/* Who has read what was lost is told that the log has left it there; or at its start, where what came
 * before is deleted. */
static void check_lost(const struct log_model *log, struct partition *partition,
		       const struct partition_ends *ends)
{
	for (size_t i = 0; i < log->lost_count; i++) {
		int64_t end;
		int32_t found;

		HOLDS(partition_epoch_end(partition, log->lost[i].epoch, &found, &end) ==
		      KAFKA_NONE);
		HOLDS(found >= 0 && end <= max_i64(log->lost[i].end, ends->log_start));
	}
}

/* After a kill, what is not there was cut off by the append itself, which came to no more. */
static void trim(struct log_model *log, int64_t log_end, bool kept)
{
	while (log->count > 0 && log->list[log->count - 1].last >= log_end) {
		if (kept) {
			log_took_back(log, &log->list[--log->count]);
			continue;
		}
		/* Of an append that was refused before it got an epoch nothing was ever there. */
		if (log->list[log->count - 1].leader_epoch >= 0)
			add_lost(log, &log->list[log->count - 1], log_end);
		forget_from(log, log->count - 1);
	}
}

static void check_log(struct log_model *log, struct partition *partition, int64_t now_ms, bool kept,
		      bool in_place)
{
	struct partition_ends ends;
	int64_t most;

	add_maybe(log);
	most = log->end;
	for (unsigned i = 0; i < log->taken_back_count && !kept; i++)
		most = max_i64(most, log->taken_back[i].last + 1);
	HOLDS(partition_ends(partition, &ends) == KAFKA_NONE);
	HOLDS(ends.log_end >= log->durable && ends.log_end <= most);
	HOLDS(ends.log_start >= log->start && ends.log_start <= ends.log_end);
	HOLDS(ends.high_watermark == ends.log_end);
	/* No epoch goes on where something may be missing, or is used again. */
	HOLDS(ends.leader_epoch > log->leader_epoch ||
	      (in_place && ends.leader_epoch == log->leader_epoch));
	trim(log, ends.log_end, kept);
	check_bytes(log, partition, &ends, kept);
	log->end = ends.log_end;
	log->durable = ends.durable_end;
	log->start = ends.log_start;
	log->mark = ends.high_watermark;
	log->leader_epoch = ends.leader_epoch;
	log->offline = false;
	check_epochs(log, partition, &ends);
	check_lost(log, partition, &ends);
	for (unsigned producer = 0; producer < PRODUCERS; producer++)
		check_producer(log, partition, producer, now_ms);
}

/* Where nothing was lost that was acknowledged, whether safe or not. */
static void check_kept(const struct log_model *log, struct partition *partition)
{
	struct partition_ends ends;

	HOLDS(partition_ends(partition, &ends) == KAFKA_NONE);
	HOLDS(log->offline || ends.log_end >= log->end);
}

static void check_settings(struct topic_model *model, const struct topic *topic)
{
	int64_t retention = topic_config_value(topic, TOPIC_CONFIG_RETENTION_MS);
	int64_t flush = topic_config_value(topic, TOPIC_CONFIG_FLUSH_MESSAGES);
	int32_t partitions = topic_partition_count(topic);

	HOLDS(topic_config_value(topic, TOPIC_CONFIG_SEGMENT_BYTES) == 4096);
	HOLDS(retention == model->retention_ms || retention == model->retention_maybe);
	HOLDS(flush == model->flush_messages || flush == model->flush_maybe);
	HOLDS(partitions == model->partitions || partitions == model->partitions_maybe);
	model->retention_ms = model->retention_maybe = retention;
	model->flush_messages = model->flush_maybe = flush;
	model->partitions = model->partitions_maybe = partitions;
}

static void check_topic(struct topic_model *model, struct store *store, int64_t now_ms, bool kept,
			bool in_place)
{
	struct topic *topic = store_topic(store, slice_of(model->name));

	HOLDS(model->doubt || !!topic == model->there);
	if (!topic) {
		topic_reset(model);
		return;
	}
	model->there = true;
	model->doubt = false;
	check_settings(model, topic);
	for (int32_t nth = 0; nth < model->partitions; nth++) {
		if (kept)
			check_kept(&model->logs[nth], topic_partition(topic, nth));
		check_log(&model->logs[nth], topic_partition(topic, nth), now_ms, kept, in_place);
	}
	topic_unref(topic);
}

/* ---- what was set aside ---- */

/* All that the folder's logs have, and what is next to them. */
static char *read_logs(const char *folder, const char *topic, int32_t nth, size_t *ret_len)
{
	char path[PATH_MAX], *bytes = NULL;
	struct dirent *entry;
	size_t len = 0;
	DIR *dir;

	snprintf(path, sizeof(path), "%s/%s-%d", folder, topic, nth);
	dir = opendir(path);
	while (dir && (entry = readdir(dir))) {
		const char *dot = strrchr(entry->d_name, '.');
		struct stat st;
		int fd;

		if (!dot || (strcmp(dot, ".log") != 0 && strcmp(dot, ".cut") != 0))
			continue;
		fd = openat(dirfd(dir), entry->d_name, O_RDONLY | O_CLOEXEC);
		CHECK(fd >= 0 && fstat(fd, &st) == 0);
		bytes = realloc(bytes, len + (size_t)st.st_size + 1);
		CHECK(bytes && read(fd, bytes + len, (size_t)st.st_size) == st.st_size);
		len += (size_t)st.st_size;
		close(fd);
	}
	if (dir)
		closedir(dir);
	*ret_len = len;
	return bytes;
}

void history_remember(const char *folder)
{
	for (size_t i = 0; i < TOPICS; i++)
		for (int32_t nth = 0; nth < PARTITIONS_MAX; nth++) {
			struct log_model *log = &topics[i].logs[nth];
			size_t len;
			char *bytes = read_logs(folder, topics[i].name, nth, &len);

			for (size_t n = 0; n < log->count; n++)
				log->list[n].on_disk =
				    bytes &&
				    memmem(bytes, len, log->list[n].bytes, log->list[n].len);
			free(bytes);
		}
}

void history_check_aside(struct store *store, const char *folder)
{
	for (size_t i = 0; i < TOPICS; i++)
		for (int32_t nth = 0; nth < PARTITIONS_MAX; nth++) {
			struct log_model *log = &topics[i].logs[nth];
			struct topic *topic = store_topic(store, slice_of(topics[i].name));
			struct partition_ends ends = {.log_start = -1};
			size_t len;
			char *bytes = read_logs(folder, topics[i].name, nth, &len);

			if (topic && nth < topic_partition_count(topic))
				(void)partition_ends(topic_partition(topic, nth), &ends);
			for (size_t n = 0; topic && n < log->count; n++)
				HOLDS(!log->list[n].on_disk || log->list[n].last < ends.log_start ||
				      memmem(bytes, len, log->list[n].bytes, log->list[n].len));
			free(bytes);
			if (topic)
				topic_unref(topic);
		}
}

bool history_has_rot(struct store *store)
{
	struct partition_ends ends;
	bool has = false;

	for (size_t i = 0; i < TOPICS; i++) {
		struct topic *topic = store_topic(store, slice_of(topics[i].name));

		for (int32_t nth = 0; topic && nth < topic_partition_count(topic); nth++)
			has |= partition_ends(topic_partition(topic, nth), &ends) != KAFKA_NONE;
		if (topic)
			topic_unref(topic);
	}
	return has;
}

void history_check(struct store *store, int64_t now_ms, bool kept)
{
	struct store_stats stats;
	bool in_place;
	int64_t first;

	store_stats(store, &stats);
	in_place = stats.was_clean && !stats.was_moved;
	for (size_t i = 0; i < TOPICS; i++)
		check_topic(&topics[i], store, now_ms, kept, in_place);
	HOLDS(store_take_producer_ids(store, 10, &first) == 0 && first >= ids_given);
	ids_given = first + 10;
}
