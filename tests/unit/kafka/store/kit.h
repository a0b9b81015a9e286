/*
 * What the tests of the store share: a folder of their own, batches to append, and reading back.
 */
#ifndef TESTS_KAFKA_STORE_KIT_H
#define TESTS_KAFKA_STORE_KIT_H

#include <sys/types.h>

#include "kafka/store/store.h"
#include "kafka/wire/record_batch.h"

#define KIT_NOW INT64_C(1700000000000)

/* Under TMPDIR or /tmp; kit_remove() takes it away with all that is in it. */
void kit_folder(char ret[64]);
void kit_remove(const char *folder);
void kit_copy(const char *from, const char *to);
bool kit_there(const char *folder, const char *name);
void kit_write(const char *folder, const char *name, const void *bytes, size_t len);
/* Its length, which is less than `size`. */
size_t kit_load(const char *folder, const char *name, char *out, size_t size);
off_t kit_size(const char *folder, const char *name);
/* Also where it is not there. */
void kit_unlink(const char *folder, const char *name);

struct kit_batch {
	int32_t records;
	uint32_t value_bytes; /* of each */
	int64_t timestamp;    /* of the first; each next one is 1 ms later */
	int64_t producer_id;  /* with an epoch of 0 and up; KIT_PLAIN: -1 */
	int16_t epoch;
	int32_t sequence;
	int32_t seed; /* what the values are made of */
};

#define KIT_PLAIN(count, bytes, when)               \
	((struct kit_batch){.records = (count),     \
			    .value_bytes = (bytes), \
			    .timestamp = (when),    \
			    .producer_id = -1,      \
			    .epoch = -1,            \
			    .sequence = -1})

/* As a producer makes it: uncompressed, base offset 0. malloc'ed. */
char *kit_batch(const struct kit_batch *what, size_t *ret_len);
/* Of one record without a key. */
char *kit_batch_of(struct slice value, int64_t timestamp, size_t *ret_len);
/* Made, appended and freed. */
enum kafka_error kit_append(struct partition *partition, const struct kit_batch *what,
			    struct partition_appended *ret);

/* A message of format 0 or 1 without a key; its length. */
size_t kit_old_message(char *out, int magic, int64_t offset, int64_t timestamp, const char *value);

/* Fails the test when it does not open. */
struct store *kit_open(const char *folder, const struct topic_config *defaults);
/* Makes the topic; its first partition. */
struct partition *kit_create(struct store *store, const char *topic, int32_t partitions);
/* Batches of different sizes, with times from `from` on. */
void kit_fill(struct partition *partition, unsigned batches, int64_t from);
struct partition_ends kit_ends(struct partition *partition);
/* The partition of a topic that is there; the topic's reference is given back at once. */
struct partition *kit_partition(struct store *store, const char *topic, int32_t number);

/* 64 KiB each, and deleted files go after a second. */
struct topic_config kit_small_segments(void);
/* All that can be read is there, batch by batch, in slices of at most `max`. */
void kit_assert_whole(struct partition *partition, size_t max);
/* Everything from an offset to the high watermark, in slices of at most `max`; malloc'ed. */
char *kit_read(struct partition *partition, int64_t offset, size_t max, size_t *ret_len);
/* Walks what kit_read() gave: every batch is good and offsets go on without a gap from `offset`.
 * Returns the offset behind. */
int64_t kit_check(const char *bytes, size_t len, int64_t offset);

#endif
