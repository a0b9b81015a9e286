#include "kafka/store/image.h"

#include <errno.h>
#include <stdlib.h>

#include "base/be.h"
#include "base/buf.h"
#include "base/varint.h"
#include "kafka/wire/messages.h"

/* What a value begins with, before its kind and its version. */
#define FRAME_VERSION 1
/* Far more than anybody has; a number that lies must not cost memory. */
#define PARTITIONS_MAX 1000000
/* A partition's replicas and directories: room for some thousands. */
#define ARENA_BYTES (64u * 1024u)

enum { RESOURCE_TOPIC = 2, RESOURCE_BROKER = 4 };

/* Kafka's numbers of the kinds that are looked at. */
enum {
	REGISTER_BROKER = 0,
	TOPIC = 2,
	PARTITION = 3,
	CONFIG = 4,
	PARTITION_CHANGE = 5,
	REMOVE_TOPIC = 9,
	PRODUCER_IDS = 15,
	BEGIN_TRANSACTION = 23,
	END_TRANSACTION = 24,
	ABORT_TRANSACTION = 25,
};

/* PartitionChange: the leader stays. */
#define NO_LEADER_CHANGE (-2)

void image_init(struct image *image, int32_t node_id)
{
	*image = (struct image){.node_id = node_id, .broker_epoch = -1};
}

static void settings_fini(struct image_settings *settings)
{
	for (uint32_t i = 0; i < settings->count; i++) {
		free(settings->list[i].name);
		free(settings->list[i].value);
	}
	free(settings->list);
}

static void topic_fini(struct image_topic *topic)
{
	settings_fini(&topic->settings);
	free(topic->leader_epochs);
	free(topic->name);
}

void image_fini(struct image *image)
{
	for (size_t i = 0; i < image->topic_count; i++)
		topic_fini(&image->topics[i]);
	free(image->topics);
	free(image->removed);
	settings_fini(&image->broker);
	free(image->pending.bytes);
}

/* Room for one more in a list; -ENOMEM. */
static int reserve(void **list, size_t count, size_t *capacity, size_t size)
{
	size_t more = *capacity ? 2 * *capacity : 8;
	void *larger;

	if (count < *capacity)
		return 0;
	larger = realloc(*list, more * size);
	if (!larger)
		return -ENOMEM;
	*list = larger;
	*capacity = more;
	return 0;
}

/* ---- topics ---- */

static bool same_id(const struct kafka_uuid *a, const struct kafka_uuid *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}

/* Records of one topic stand together, and topics are told of in one order. */
static struct image_topic *topic_by_id(struct image *image, const struct kafka_uuid *id)
{
	for (size_t i = 0; i < image->topic_count; i++) {
		size_t at = (image->last + i) % image->topic_count;

		if (same_id(&image->topics[at].id, id)) {
			image->last = at;
			return &image->topics[at];
		}
	}
	return NULL;
}

struct image_topic *image_topic(struct image *image, struct slice name)
{
	for (size_t i = 0; i < image->topic_count; i++) {
		size_t at = (image->last + i) % image->topic_count;

		if (slice_eq(slice_of(image->topics[at].name), name)) {
			image->last = at;
			return &image->topics[at];
		}
	}
	return NULL;
}

bool image_was_removed(const struct image *image, const struct kafka_uuid *id)
{
	for (size_t i = 0; i < image->removed_count; i++)
		if (same_id(&image->removed[i], id))
			return true;
	return false;
}

static int apply_topic(struct image *image, int64_t offset, const struct kafka_topic_record *record)
{
	struct image_topic *topic;
	char *name;

	if (record->name.len == 0 || memchr(record->name.ptr, '\0', record->name.len) ||
	    image_topic(image, record->name) || topic_by_id(image, &record->topic_id))
		return -EBADMSG;
	if (reserve((void **)&image->topics, image->topic_count, &image->topic_capacity,
		    sizeof(*topic)) < 0)
		return -ENOMEM;
	name = strndup(record->name.ptr, record->name.len);
	if (!name)
		return -ENOMEM;
	image->last = image->topic_count++;
	topic = &image->topics[image->last];
	*topic = (struct image_topic){.id = record->topic_id, .name = name, .made = offset};
	return 0;
}

static int apply_removal(struct image *image, int64_t offset,
			 const struct kafka_remove_topic_record *record)
{
	struct image_topic *topic = topic_by_id(image, &record->topic_id);

	if (!topic)
		return -EBADMSG;
	if (reserve((void **)&image->removed, image->removed_count, &image->removed_capacity,
		    sizeof(*image->removed)) < 0)
		return -ENOMEM;
	image->removed[image->removed_count++] = topic->id;
	topic_fini(topic);
	*topic = image->topics[--image->topic_count];
	image->last = 0;
	return 0;
}

static int reserve_partition(struct image_topic *topic, int32_t number)
{
	int32_t capacity = topic->capacity ? topic->capacity : 1;
	int32_t *larger;

	while (capacity <= number)
		capacity *= 2;
	if (capacity == topic->capacity)
		return 0;
	larger = realloc(topic->leader_epochs, (size_t)capacity * sizeof(*larger));
	if (!larger)
		return -ENOMEM;
	for (int32_t i = topic->capacity; i < capacity; i++)
		larger[i] = -1;
	topic->leader_epochs = larger;
	topic->capacity = capacity;
	return 0;
}

static int apply_partition(struct image *image, int64_t offset,
			   const struct kafka_partition_record *record)
{
	struct image_topic *topic = topic_by_id(image, &record->topic_id);
	int32_t number = record->partition_id;
	int r;

	if (!topic || number < 0 || number >= PARTITIONS_MAX)
		return -EBADMSG;
	r = reserve_partition(topic, number);
	if (r < 0)
		return r;
	topic->leader_epochs[number] = record->leader_epoch;
	if (number >= topic->partitions)
		topic->partitions = number + 1;
	for (int32_t i = 0; i < record->replicas.count; i++)
		topic->here |= record->replicas.at[i] == image->node_id;
	return 0;
}

static int apply_partition_change(struct image *image, int64_t offset,
				  const struct kafka_partition_change_record *record)
{
	struct image_topic *topic = topic_by_id(image, &record->topic_id);
	int32_t number = record->partition_id;

	if (!topic || number < 0 || number >= topic->partitions)
		return -EBADMSG;
	/* As the epoch is not in the record, it counts them. */
	if (record->leader != NO_LEADER_CHANGE && topic->leader_epochs[number] < INT32_MAX)
		topic->leader_epochs[number]++;
	for (int32_t i = 0; i < record->replicas.count; i++)
		topic->here |= record->replicas.at[i] == image->node_id;
	return 0;
}

/* ---- settings ---- */

static struct image_setting *setting_of(struct image_settings *settings, struct slice name)
{
	size_t capacity = settings->capacity;
	char *copy;

	for (uint32_t i = 0; i < settings->count; i++)
		if (slice_eq(slice_of(settings->list[i].name), name))
			return &settings->list[i];
	if (reserve((void **)&settings->list, settings->count, &capacity, sizeof(*settings->list)) <
	    0)
		return NULL;
	settings->capacity = (uint32_t)capacity;
	copy = strndup(name.ptr, name.len);
	if (!copy)
		return NULL;
	settings->list[settings->count] = (struct image_setting){.name = copy};
	return &settings->list[settings->count++];
}

static int set(struct image_settings *settings, int64_t offset,
	       const struct kafka_config_record *record)
{
	struct image_setting *setting = setting_of(settings, record->name);
	char *value = NULL;

	if (!setting)
		return -ENOMEM;
	if (record->value.ptr) {
		value = strndup(record->value.ptr, record->value.len);
		if (!value)
			return -ENOMEM;
	}
	free(setting->value);
	setting->value = value;
	setting->at = offset;
	return 0;
}

/* A broker's settings are those of all, whose name is empty, or of one, whose name is its number. */
static bool is_ours(const struct image *image, struct slice name)
{
	char number[16];
	struct buf buf = buf_over(number, sizeof(number));

	buf_printf(&buf, "%d", image->node_id);
	return name.len == 0 || slice_eq(name, buf_slice(&buf));
}

static int apply_config(struct image *image, int64_t offset,
			const struct kafka_config_record *record)
{
	struct image_topic *topic;

	if (record->resource_type == RESOURCE_BROKER && is_ours(image, record->resource_name))
		return set(&image->broker, offset, record);
	if (record->resource_type != RESOURCE_TOPIC)
		return 0;
	/* Those of a topic that was removed go with it. */
	topic = image_topic(image, record->resource_name);
	return topic ? set(&topic->settings, offset, record) : 0;
}

/* ---- the rest ---- */

static int apply_broker(struct image *image, int64_t offset,
			const struct kafka_register_broker_record *record)
{
	if (record->broker_id == image->node_id)
		image->broker_epoch = record->broker_epoch;
	else
		image->others = true;
	return 0;
}

static int apply_producer_ids(struct image *image, int64_t offset,
			      const struct kafka_producer_ids_record *record)
{
	if (record->next_producer_id > image->next_producer_id)
		image->next_producer_id = record->next_producer_id;
	return 0;
}

union any_record {
	struct kafka_register_broker_record broker;
	struct kafka_topic_record topic;
	struct kafka_partition_record partition;
	struct kafka_config_record config;
	struct kafka_partition_change_record change;
	struct kafka_remove_topic_record removal;
	struct kafka_producer_ids_record producer_ids;
};

static int apply_decoded(struct image *image, int64_t offset, uint32_t kind,
			 const union any_record *record)
{
	switch (kind) {
	case REGISTER_BROKER:
		return apply_broker(image, offset, &record->broker);
	case TOPIC:
		return apply_topic(image, offset, &record->topic);
	case PARTITION:
		return apply_partition(image, offset, &record->partition);
	case CONFIG:
		return apply_config(image, offset, &record->config);
	case PARTITION_CHANGE:
		return apply_partition_change(image, offset, &record->change);
	case REMOVE_TOPIC:
		return apply_removal(image, offset, &record->removal);
	default:
		return apply_producer_ids(image, offset, &record->producer_ids);
	}
}

/* NULL: nothing that we need. */
static const struct kafka_message *message_of(uint32_t kind)
{
	static const struct kafka_message *const messages[] = {
	    [REGISTER_BROKER] = &kafka_register_broker_record_message,
	    [TOPIC] = &kafka_topic_record_message,
	    [PARTITION] = &kafka_partition_record_message,
	    [CONFIG] = &kafka_config_record_message,
	    [PARTITION_CHANGE] = &kafka_partition_change_record_message,
	    [REMOVE_TOPIC] = &kafka_remove_topic_record_message,
	    [PRODUCER_IDS] = &kafka_producer_ids_record_message,
	};

	return kind < ARRAY_SIZE(messages) ? messages[kind] : NULL;
}

static int apply_message(struct image *image, int64_t offset, uint32_t kind, uint32_t version,
			 struct slice bytes)
{
	_Alignas(ARENA_ALIGN) char memory[ARENA_BYTES];
	struct arena arena = arena_over(memory, sizeof(memory));
	const struct kafka_message *message = message_of(kind);
	union any_record record;
	int r;

	if (!message)
		return 0;
	if (version > INT8_MAX)
		return -EPROTONOSUPPORT;
	r = kafka_decode(message, (int)version, &bytes, &arena, &record);
	if (r == 0 && bytes.len > 0)
		r = -EBADMSG;
	return r == 0 ? apply_decoded(image, offset, kind, &record) : r == -ENOBUFS ? -EBADMSG : r;
}

static int parse_frame(struct slice value, uint32_t *ret_kind, uint32_t *ret_version,
		       struct slice *ret)
{
	const uint8_t *at = (const uint8_t *)value.ptr, *end;
	uint32_t frame;

	/* A record without a value: it is nowhere, and NULL has no end. */
	if (value.len == 0)
		return -EBADMSG;
	end = at + value.len;
	at = varint_read_u32(at, end, &frame);
	if (at && frame != FRAME_VERSION)
		return -EPROTONOSUPPORT;
	if (at)
		at = varint_read_u32(at, end, ret_kind);
	if (at)
		at = varint_read_u32(at, end, ret_version);
	if (!at)
		return -EBADMSG;
	*ret = slice_make((const char *)at, (size_t)(end - at));
	return 0;
}

/* ---- transactions: all of their records, or none ---- */

#define PENDING_HEADER 12u /* offset, length */

static int keep(struct image *image, int64_t offset, struct slice value)
{
	size_t len = image->pending.len + PENDING_HEADER + value.len;
	char *at;

	if (len > image->pending.size) {
		char *larger = realloc(image->pending.bytes, 2 * len);

		if (!larger)
			return -ENOMEM;
		image->pending.bytes = larger;
		image->pending.size = 2 * len;
	}
	at = image->pending.bytes + image->pending.len;
	be_store64(at, (uint64_t)offset);
	be_store32(at + 8, (uint32_t)value.len);
	memcpy(at + PENDING_HEADER, value.ptr, value.len);
	image->pending.len = len;
	return 0;
}

static int apply_pending(struct image *image)
{
	uint32_t kind, version;
	struct slice bytes;
	int r = 0;

	for (size_t at = 0; at < image->pending.len && r == 0;) {
		const char *header = image->pending.bytes + at;
		struct slice value = slice_make(header + PENDING_HEADER, be_load32(header + 8));

		r = parse_frame(value, &kind, &version, &bytes);
		if (r == 0)
			r = apply_message(image, (int64_t)be_load64(header), kind, version, bytes);
		at += PENDING_HEADER + value.len;
	}
	return r;
}

static int end_transaction(struct image *image, bool commit)
{
	int r;

	if (!image->in_transaction)
		return -EBADMSG;
	r = commit ? apply_pending(image) : 0;
	image->in_transaction = false;
	image->pending.len = 0;
	return r;
}

int image_apply(struct image *image, int64_t offset, struct slice value)
{
	uint32_t kind, version;
	struct slice bytes;
	int r = parse_frame(value, &kind, &version, &bytes);

	if (r < 0)
		return r;
	switch (kind) {
	case BEGIN_TRANSACTION:
		r = image->in_transaction ? -EBADMSG : 0;
		image->in_transaction = true;
		return r;
	case END_TRANSACTION:
	case ABORT_TRANSACTION:
		return end_transaction(image, kind == END_TRANSACTION);
	default:
		return image->in_transaction ? keep(image, offset, value)
					     : apply_message(image, offset, kind, version, bytes);
	}
}
