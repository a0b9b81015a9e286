#include "unit/unit.h"

#include "kit.h"

#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/be.h"
#include "base/crc32.h"
#include "base/crc32c.h"
#include "base/varint.h"

void kit_folder(char ret[64])
{
	const char *under = getenv("TMPDIR");

	snprintf(ret, 64, "%s/leat-store-XXXXXX", under && strlen(under) < 30 ? under : "/tmp");
	CHECK(mkdtemp(ret));
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	return remove(path);
}

void kit_remove(const char *folder)
{
	nftw(folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

void kit_copy(const char *from, const char *to)
{
	char command[256];

	snprintf(command, sizeof(command), "cp -a %s/. %s/", from, to);
	CHECK(system(command) == 0);
}

bool kit_there(const char *folder, const char *name)
{
	char path[256];
	struct stat st;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	return stat(path, &st) == 0;
}

void kit_write(const char *folder, const char *name, const void *bytes, size_t len)
{
	char path[256];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
	CHECK(fd >= 0 && write(fd, bytes, len) == (ssize_t)len);
	close(fd);
}

size_t kit_load(const char *folder, const char *name, char *out, size_t size)
{
	char path[256];
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	fd = open(path, O_RDONLY);
	CHECK(fd >= 0);
	n = read(fd, out, size);
	CHECK(n >= 0 && (size_t)n < size);
	close(fd);
	return (size_t)n;
}

off_t kit_size(const char *folder, const char *name)
{
	char path[256];
	struct stat st;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	assert_int_equal(stat(path, &st), 0);
	return st.st_size;
}

void kit_unlink(const char *folder, const char *name)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	(void)unlink(path);
}

static size_t put_varint(char *at, int64_t value)
{
	return varint_write((uint8_t *)at, zigzag_encode64(value));
}

static size_t put_record(char *at, int32_t nth, uint32_t value_bytes, int32_t seed)
{
	char body[64 + 32];
	size_t head = 0, length_len;
	char *start = at;

	body[head++] = 0; /* attributes */
	head += put_varint(body + head, nth);
	head += put_varint(body + head, nth);
	head += put_varint(body + head, -1);
	head += put_varint(body + head, value_bytes);
	length_len = put_varint(at, (int64_t)(head + value_bytes + 1));
	at += length_len;
	memcpy(at, body, head);
	at += head;
	for (uint32_t i = 0; i < value_bytes; i++)
		at[i] = (char)('a' + (i * 7 + (uint32_t)nth + (uint32_t)seed) % 26);
	at += value_bytes;
	*at++ = 0; /* headers */
	return (size_t)(at - start);
}

static void seal(char *batch, size_t len, int32_t records)
{
	be_store32(batch + 8, (uint32_t)len - 12);
	be_store32(batch + 12, UINT32_MAX);
	batch[16] = 2;
	be_store32(batch + 23, (uint32_t)records - 1);
	be_store32(batch + 57, (uint32_t)records);
	be_store32(batch + 17, crc32c(0, batch + 21, len - 21));
}

char *kit_batch_of(struct slice value, int64_t timestamp, size_t *ret_len)
{
	char *batch = calloc(1, RECORD_BATCH_HEADER + value.len + 40), body[64];
	size_t head = 0, len = RECORD_BATCH_HEADER;

	CHECK(batch);
	body[head++] = 0; /* attributes */
	head += put_varint(body + head, 0);
	head += put_varint(body + head, 0);
	head += put_varint(body + head, -1);
	head += put_varint(body + head, value.ptr ? (int64_t)value.len : -1);
	len += put_varint(batch + len, (int64_t)(head + value.len + 1));
	memcpy(batch + len, body, head);
	if (value.len > 0)
		memcpy(batch + len + head, value.ptr, value.len);
	len += head + value.len;
	batch[len++] = 0; /* headers */
	be_store64(batch + 27, (uint64_t)timestamp);
	be_store64(batch + 35, (uint64_t)timestamp);
	be_store64(batch + 43, UINT64_MAX);
	be_store16(batch + 51, UINT16_MAX);
	be_store32(batch + 53, UINT32_MAX);
	seal(batch, len, 1);
	*ret_len = len;
	return batch;
}

char *kit_batch(const struct kit_batch *what, size_t *ret_len)
{
	size_t len = RECORD_BATCH_HEADER;
	char *batch =
	    calloc(1, RECORD_BATCH_HEADER + (size_t)what->records * (what->value_bytes + 40));

	CHECK(batch && what->records > 0);
	for (int32_t i = 0; i < what->records; i++)
		len += put_record(batch + len, i, what->value_bytes, what->seed);
	be_store64(batch + 27, (uint64_t)what->timestamp);
	be_store64(batch + 35, (uint64_t)(what->timestamp + what->records - 1));
	be_store64(batch + 43, (uint64_t)what->producer_id);
	be_store16(batch + 51, (uint16_t)what->epoch);
	be_store32(batch + 53, (uint32_t)what->sequence);
	seal(batch, len, what->records);
	*ret_len = len;
	return batch;
}

enum kafka_error kit_append(struct partition *partition, const struct kit_batch *what,
			    struct partition_appended *ret)
{
	struct partition_appended appended;
	size_t len;
	char *batch = kit_batch(what, &len);
	enum kafka_error error =
	    partition_append(partition, batch, len, what->timestamp, ret ? ret : &appended);

	free(batch);
	return error;
}

size_t kit_old_message(char *out, int magic, int64_t offset, int64_t timestamp, const char *value)
{
	size_t len = 18;

	be_store64(out, (uint64_t)offset);
	out[16] = (char)magic;
	out[17] = 0; /* attributes */
	if (magic == 1) {
		be_store64(out + len, (uint64_t)timestamp);
		len += 8;
	}
	be_store32(out + len, UINT32_MAX);
	be_store32(out + len + 4, (uint32_t)strlen(value));
	memcpy(out + len + 8, value, strlen(value));
	len += 8 + strlen(value);
	be_store32(out + 8, (uint32_t)len - 12);
	be_store32(out + 12, crc32_ieee(0, out + 16, len - 16));
	return len;
}

struct store *kit_open(const char *folder, const struct topic_config *defaults)
{
	struct store_options options = {.node_id = -1, .now_ms = KIT_NOW, .defaults = defaults};
	struct err err = {""};
	struct store *store;

	if (store_open(folder, &options, &store, &err) < 0)
		fail_msg("%s", err.text);
	return store;
}

struct partition *kit_create(struct store *store, const char *topic, int32_t partitions)
{
	assert_int_equal(store_topic_create(store, slice_of(topic), partitions, NULL, NULL),
			 KAFKA_NONE);
	return kit_partition(store, topic, 0);
}

void kit_fill(struct partition *partition, unsigned batches, int64_t from)
{
	for (unsigned i = 0; i < batches; i++) {
		struct kit_batch batch =
		    KIT_PLAIN(1 + (int32_t)(i % 7), 50 + i % 900, from + i * 10);

		assert_int_equal(kit_append(partition, &batch, NULL), KAFKA_NONE);
	}
}

struct partition_ends kit_ends(struct partition *partition)
{
	struct partition_ends ends;

	assert_int_equal(partition_ends(partition, &ends), KAFKA_NONE);
	return ends;
}

struct partition *kit_partition(struct store *store, const char *name, int32_t number)
{
	struct topic *topic = store_topic(store, slice_of(name));
	struct partition *partition;

	assert_non_null(topic);
	partition = topic_partition(topic, number);
	assert_non_null(partition);
	topic_unref(topic);
	return partition;
}

char *kit_read(struct partition *partition, int64_t offset, size_t max, size_t *ret_len)
{
	char *bytes = malloc(1);
	size_t len = 0;

	for (;;) {
		struct partition_read read = {.offset = offset,
					      .max_bytes = max,
					      .whole_first = true};
		struct partition_slice slice;
		struct record_batch batch;
		enum kafka_error error;
		struct slice rest;

		assert_int_equal(partition_read(partition, &read, &slice, &error), 0);
		assert_int_equal(error, KAFKA_NONE);
		if (slice.len == 0)
			break;
		bytes = realloc(bytes, len + slice.len);
		assert_int_equal(pread(slice.fd, bytes + len, slice.len, (off_t)slice.position),
				 slice.len);
		rest = slice_make(bytes + len, slice.len);
		while (record_batch_next(&rest, &batch) == RECORD_BATCH_OK) {
			len += batch.bytes.len;
			offset = record_batch_last_offset(&batch) + 1;
		}
		partition_slice_release(&slice);
	}
	*ret_len = len;
	return bytes;
}

int64_t kit_check(const char *bytes, size_t len, int64_t offset)
{
	struct slice rest = slice_make(bytes, len);
	enum record_batch_fault fault;
	struct record_batch batch;

	while ((fault = record_batch_next(&rest, &batch)) == RECORD_BATCH_OK) {
		assert_int_equal(record_batch_check(&batch), RECORD_BATCH_OK);
		assert_int_equal(batch.base_offset, offset);
		offset = record_batch_last_offset(&batch) + 1;
	}
	assert_int_equal(fault, RECORD_BATCH_END);
	return offset;
}

struct topic_config kit_small_segments(void)
{
	struct topic_config config;

	topic_config_init(&config);
	topic_config_set(&config, TOPIC_CONFIG_SEGMENT_BYTES, 64 * 1024);
	topic_config_set(&config, TOPIC_CONFIG_FILE_DELETE_DELAY_MS, 1000);
	return config;
}

void kit_assert_whole(struct partition *partition, size_t max)
{
	struct partition_ends ends = kit_ends(partition);
	size_t len;
	char *bytes = kit_read(partition, ends.log_start, max, &len);

	assert_int_equal(kit_check(bytes, len, ends.log_start), ends.high_watermark);
	free(bytes);
}
