#include "unit/unit.h"

#include "unit/kafka/store/metadata_kit.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/log.h"
#include "base/varint.h"

char folder[64];
char said[16384];

static void note(void *arg, enum log_level level, const char *line, size_t len)
{
	size_t have = strlen(said);

	if (have + len + 1 < sizeof(said)) {
		memcpy(said + have, line, len);
		said[have + len] = '\0';
	}
}

void make_folder(const char *name)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	assert_int_equal(mkdir(path, 0755), 0);
}

void rename_in(const char *from, const char *to)
{
	char path[256], other[256];

	snprintf(path, sizeof(path), "%s/%s", folder, from);
	snprintf(other, sizeof(other), "%s/%s", folder, to);
	assert_int_equal(rename(path, other), 0);
}

const char *text_of(const char *name)
{
	static char text[16384];

	text[kit_load(folder, name, text, sizeof(text))] = '\0';
	return text;
}

int metadata_set_up(void **state)
{
	static const char identity[] =
	    "#\nnode.id=1\ndirectory.id=twPOvc3G3Qd3z-1CFCGQDA\nversion=1\n"
	    "cluster.id=eQCdAexjTYWqIINzNzvaZA\n";
	static const char mark[] = "{\"version\":0,\"brokerEpoch\":4}";

	kit_folder(folder);
	kit_write(folder, "meta.properties", identity, sizeof(identity) - 1);
	kit_write(folder, ".kafka_cleanshutdown", mark, sizeof(mark) - 1);
	make_folder(METADATA);
	said[0] = '\0';
	log_set_sink(note, NULL, LOG_LEVEL_INFO);
	return 0;
}

int metadata_tear_down(void **state)
{
	kit_remove(folder);
	return 0;
}

/* ---- logs that are made here ---- */

struct metadata *metadata_new(void)
{
	return calloc(1, sizeof(struct metadata));
}

void add_value(struct metadata *metadata, struct slice value)
{
	size_t len;
	char *batch = kit_batch_of(value, KIT_NOW, &len);

	record_batch_place(batch, metadata->offset++, 1);
	assert_true(metadata->len + len <= sizeof(metadata->bytes));
	memcpy(metadata->bytes + metadata->len, batch, len);
	metadata->len += len;
	free(batch);
}

void add(struct metadata *metadata, unsigned kind, int version, const struct kafka_message *message,
	 const void *record)
{
	char bytes[1024];
	size_t len = 0;
	struct kafka_writer writer;

	len += varint_write((uint8_t *)bytes + len, 1);
	len += varint_write((uint8_t *)bytes + len, kind);
	len += varint_write((uint8_t *)bytes + len, (uint64_t)version);
	writer = kafka_writer_over(bytes + len, sizeof(bytes) - len);
	if (message)
		kafka_encode(message, version, record, &writer);
	else
		kafka_put(&writer, "", 1); /* no tagged fields, and that is all */
	assert_true(kafka_writer_fits(&writer));
	add_value(metadata, slice_make(bytes, len + writer.len));
}

struct kafka_uuid id_of(uint8_t number)
{
	struct kafka_uuid id = {{1, 2, 3, 4, 5, 6, 0x40, 8, 0x80}};

	id.bytes[15] = number;
	return id;
}

void add_topic(struct metadata *metadata, const char *name, uint8_t id, int32_t partitions)
{
	struct kafka_topic_record topic = {.name = slice_of(name), .topic_id = id_of(id)};

	add(metadata, 2, 0, &kafka_topic_record_message, &topic);
	for (int32_t i = 0; i < partitions; i++) {
		int32_t replica = 1;
		struct kafka_partition_record partition;

		kafka_partition_record_init(&partition);
		partition.partition_id = i;
		partition.topic_id = id_of(id);
		partition.replicas.at = &replica;
		partition.replicas.count = 1;
		partition.leader_epoch = 3;
		add(metadata, 3, 1, &kafka_partition_record_message, &partition);
	}
}

void add_config(struct metadata *metadata, int8_t type, const char *resource, const char *name,
		const char *value)
{
	struct kafka_config_record config = {.resource_type = type,
					     .resource_name = slice_of(resource),
					     .name = slice_of(name)};

	if (value)
		config.value = slice_of(value);
	add(metadata, 4, 0, &kafka_config_record_message, &config);
}

void add_removal(struct metadata *metadata, uint8_t id)
{
	struct kafka_remove_topic_record removal = {.topic_id = id_of(id)};

	add(metadata, 9, 0, &kafka_remove_topic_record_message, &removal);
}

void store_log(const struct metadata *metadata)
{
	kit_write(folder, METADATA "/00000000000000000000.log", metadata->bytes, metadata->len);
}

void make_partition(const char *name, const struct kafka_uuid *id)
{
	char path[256], text[128], id_text[STORE_UUID_TEXT + 1];

	make_folder(name);
	snprintf(path, sizeof(path), "%s/00000000000000000000.log", name);
	kit_write(folder, path, "", 0);
	snprintf(path, sizeof(path), "%s/partition.metadata", name);
	store_uuid_format(id, id_text);
	snprintf(text, sizeof(text), "version: 0\ntopic_id: %s", id_text);
	kit_write(folder, path, text, strlen(text));
}

void assert_value(struct store *store, const char *name, enum topic_config_id config, int64_t own)
{
	struct topic *topic = store_topic(store, slice_of(name));
	struct topic_config values;

	assert_non_null(topic);
	topic_config_own(topic, &values);
	assert_int_equal(topic_config_is_set(&values, config), own != NOT_SET);
	if (own != NOT_SET)
		assert_int_equal(values.values[config], own);
	topic_unref(topic);
}

bool has_topic(struct store *store, const char *name)
{
	struct topic *topic = store_topic(store, slice_of(name));

	if (topic)
		topic_unref(topic);
	return topic;
}

int32_t partitions_of(struct store *store, const char *name)
{
	struct topic *topic = store_topic(store, slice_of(name));
	int32_t count;

	assert_non_null(topic);
	count = topic_partition_count(topic);
	topic_unref(topic);
	return count;
}

const struct kafka_uuid *id_in(struct store *store, const char *name)
{
	struct topic *topic = store_topic(store, slice_of(name));

	assert_non_null(topic);
	topic_unref(topic);
	return topic_id(topic);
}

void assert_id(struct store *store, const char *name, uint8_t id)
{
	struct kafka_uuid expected = id_of(id);

	assert_memory_equal(id_in(store, name), &expected, sizeof(expected));
}
