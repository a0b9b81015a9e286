/*
 * leat-topics: which topics there are, with what Kafka keeps in its metadata log.
 *
 *     0                                              the format's version
 *     3                                              lines that follow
 *     kafka-metadata: 1234                           what Kafka says before this offset is in here
 *     orders 4KNmYbY6QLWkqG7v8h1B2Q 3 live retention.ms=3600000 segment.bytes=1048576
 *     old SCv7p9g1Qz2nC0X0b0l5ZA 1 deleted
 *
 * And leat-producer-ids, with one line: the next id to give away.
 */
#include <errno.h>
#include <stdlib.h>

#include "kafka/store/checkpoint.h"
#include "kafka/store/files.h"
#include "kafka/store/internal.h"

/* Name, id, count, state, and every setting at its longest. */
#define LINE_MAX_BYTES (STORE_TOPIC_NAME_MAX + 64u + TOPIC_CONFIG_COUNT * 64u)

/* With the texts that it has for values. */
static size_t line_bytes(const struct topic *topic)
{
	size_t bytes = LINE_MAX_BYTES;

	for (int config = 0; config < TOPIC_CONFIG_COUNT; config++)
		if (topic_configs[config].kind == TOPIC_CONFIG_LIST && !topic_configs[config].words)
			bytes += setting_text(topic->planned.config
						  ? topic->planned.config->values[config]
						  : topic_config_value(topic, config))
				     .len;
	return bytes;
}

static void format_line(const struct topic *topic, struct buf *buf)
{
	const struct topic_plan *planned = &topic->planned;
	char id[STORE_UUID_TEXT + 1];

	store_uuid_format(&topic->id, id);
	buf_printf(buf, "%s %s %d %s", topic->name, id,
		   planned->partitions ? planned->partitions : topic_partition_count(topic),
		   topic->deleted || planned->deletion ? "deleted" : "live");
	for (int config = 0; config < TOPIC_CONFIG_COUNT; config++) {
		if (planned->config ? !topic_config_is_set(planned->config, config)
				    : !(topic->own >> config & 1))
			continue;
		buf_printf(buf, " %s=", topic_configs[config].name);
		topic_config_format(config,
				    planned->config ? planned->config->values[config]
						    : topic_config_value(topic, config),
				    buf);
	}
	buf_add_char(buf, '\n');
}

int store_write_topics(struct store *store, struct topic *const *joining, uint32_t joining_count,
		       bool frees, bool *ret_replaced)
{
	uint32_t leaving = 0;
	struct buf buf;
	size_t size = 64;
	int r;

	for (uint32_t i = 0; i < store->topic_count; i++)
		size += line_bytes(store->by_name[i]);
	for (uint32_t i = 0; i < joining_count; i++)
		size += line_bytes(joining[i]);
	for (const struct topic *topic = store->leaving; topic; topic = topic->next_leaving) {
		size += line_bytes(topic);
		leaving++;
	}
	buf = buf_over(malloc(size), size);

	if (!buf.ptr)
		return -ENOMEM;
	checkpoint_begin(&buf, store->topic_count + leaving + joining_count +
				   (store->metadata_end >= 0 ? 1 : 0));
	if (store->metadata_end >= 0)
		buf_printf(&buf, TOPICS_METADATA_KEY "%lld\n", (long long)store->metadata_end);
	for (uint32_t i = 0; i < store->topic_count; i++)
		format_line(store->by_name[i], &buf);
	for (const struct topic *topic = store->leaving; topic; topic = topic->next_leaving)
		format_line(topic, &buf);
	for (uint32_t i = 0; i < joining_count; i++)
		format_line(joining[i], &buf);
	CHECK(!buf.overflow);
	r = store_replace_file(store, "leat-topics", buf_slice(&buf), frees, ret_replaced);
	free(buf.ptr);
	if (r == 0)
		store->unsettled = false;
	return r;
}

int store_write_producer_ids(struct store *store, int64_t next)
{
	char text[64];
	struct buf buf = buf_over(text, sizeof(text));

	checkpoint_begin(&buf, 1);
	buf_printf(&buf, "next %lld\n", (long long)next);
	return files_write(store->fd, "leat-producer-ids", buf_slice(&buf));
}
