/*
 * Groups and offsets as records: a key and a value, each beginning with its version. Versions that
 * Kafka 2.1 and later read: 3 for both (4 is written by Kafka 4 alone).
 */
#include <stdlib.h>

#include "base/be.h"
#include "kafka/broker/coordinator.h"

#define OFFSET_KEY     1
#define GROUP_KEY      2
#define OFFSET_VERSION 3
#define GROUP_VERSION  3

struct encoded {
	char *memory; /* NULL: it is in `space` */
	struct slice bytes;
	char space[512];
};

static bool encode(struct encoded *to, const struct kafka_message *message, int version, int prefix,
		   const void *value)
{
	struct kafka_writer writer = kafka_writer_over(to->space, sizeof(to->space));

	to->memory = NULL;
	kafka_put_i16(&writer, (int16_t)prefix);
	kafka_encode(message, version, value, &writer);
	if (!kafka_writer_fits(&writer)) {
		to->memory = malloc(writer.len);
		if (!to->memory)
			return false;
		writer = kafka_writer_over(to->memory, writer.len);
		kafka_put_i16(&writer, (int16_t)prefix);
		kafka_encode(message, version, value, &writer);
	}
	to->bytes = slice_make(writer.ptr, writer.len);
	return true;
}

static void add(struct batch_writer *writer, struct encoded *key, const struct encoded *value)
{
	batch_add(writer, key->bytes, value ? value->bytes : slice_make(NULL, 0));
}

static bool group_key(struct encoded *to, struct slice group_id)
{
	const struct kafka_group_metadata_key key = {.group = group_id};

	return encode(to, &kafka_group_metadata_key_message, 0, GROUP_KEY, &key);
}

static bool offset_key(struct encoded *to, struct slice group_id, struct slice topic,
		       int32_t partition)
{
	const struct kafka_offset_commit_key key = {.group = group_id,
						    .topic = topic,
						    .partition = partition};

	return encode(to, &kafka_offset_commit_key_message, 0, OFFSET_KEY, &key);
}

static void put_member(const struct group *group, const struct group_member *member,
		       struct kafka_group_metadata_value_member *to)
{
	to->member_id = member->id;
	to->group_instance_id = member->instance_id;
	to->client_id = member->client_id;
	to->client_host = member->client_host;
	to->rebalance_timeout = member->rebalance_ms;
	to->session_timeout = member->session_ms;
	to->subscription = group_member_metadata(group, member);
	to->assignment = member->assignment;
}

void record_group(struct batch_writer *writer, const struct group *group, bool with_members)
{
	struct kafka_group_metadata_value value;
	struct kafka_group_metadata_value_member *members =
	    calloc((size_t)group->members_count + 1, sizeof(*members));
	struct encoded key = {0}, encoded = {0};
	struct list *node;

	kafka_group_metadata_value_init(&value);
	value.protocol_type = group->protocol_type;
	value.generation = group->generation;
	if (with_members) {
		value.protocol = group->protocol;
		value.leader = group->leader ? group->leader->id : slice_make(NULL, 0);
	}
	value.current_state_timestamp = group->state_since_ms;
	value.members.at = members;
	list_for_each (node, &group->members) {
		if (members && with_members)
			put_member(group, container_of(node, struct group_member, node),
				   &members[value.members.count++]);
	}
	if (members && group_key(&key, group->id) &&
	    encode(&encoded, &kafka_group_metadata_value_message, GROUP_VERSION, GROUP_VERSION,
		   &value))
		add(writer, &key, &encoded);
	else
		writer->failed = true;
	free(key.memory);
	free(encoded.memory);
	free(members);
}

void record_group_gone(struct batch_writer *writer, struct slice group_id)
{
	struct encoded key;

	if (group_key(&key, group_id))
		add(writer, &key, NULL);
	else
		writer->failed = true;
	free(key.memory);
}

size_t record_offset_max(struct slice group_id, struct slice topic,
			 const struct committed *committed)
{
	const size_t fixed = 100; /* 75 at most: numbers, and the lengths of everything */

	return fixed + group_id.len + topic.len + committed->metadata.len;
}

void record_offset(struct batch_writer *writer, struct slice group_id, struct slice topic,
		   const struct committed *committed)
{
	const int version = committed->expire_ms >= 0 ? 1 : OFFSET_VERSION;
	struct kafka_offset_commit_value value;
	struct encoded key = {0}, encoded = {0};

	kafka_offset_commit_value_init(&value);
	value.offset = committed->offset;
	value.leader_epoch = committed->leader_epoch;
	value.metadata = committed->metadata;
	value.commit_timestamp = committed->commit_ms;
	value.expire_timestamp = committed->expire_ms;
	if (offset_key(&key, group_id, topic, committed->partition) &&
	    encode(&encoded, &kafka_offset_commit_value_message, version, version, &value))
		add(writer, &key, &encoded);
	else
		writer->failed = true;
	free(key.memory);
	free(encoded.memory);
}

void record_offset_gone(struct batch_writer *writer, struct slice group_id, struct slice topic,
			int32_t partition)
{
	struct encoded key;

	if (offset_key(&key, group_id, topic, partition))
		add(writer, &key, NULL);
	else
		writer->failed = true;
	free(key.memory);
}
