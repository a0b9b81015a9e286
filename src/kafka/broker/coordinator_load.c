/*
 * Loading a shard: its partition is read from start to end, the last value of each key stands.
 */
#include <errno.h>
#include <stdlib.h>

#include "base/be.h"
#include "base/log.h"
#include "kafka/broker/coordinator.h"
#include "kafka/broker/coordinator_staged.h"
#include "kafka/broker/read_slice.h"
#include "kafka/codec/expanded_records.h"

#define READ_BYTES (1024u * 1024u)

/* What a control record's key says. */
#define MARKER_ABORT  0
#define MARKER_COMMIT 1

struct loading {
	struct shard *shard;
	struct group_time time;
	struct arena arena;
	struct expander *expander; /* NULL: nothing was compressed so far */
	unsigned strange;          /* records that were not understood */
	struct staged_offsets staged;
};

/* The machine gets the last of them when all is read. */
static int take_group(struct loading *loading, struct slice id, struct slice value)
{
	struct coordinator_group *cg = shard_group(loading->shard, id, loading->time);
	char *memory = value.ptr ? malloc(value.len + 1) : NULL;

	if (!cg || (value.ptr && !memory)) {
		free(memory);
		return -ENOMEM;
	}
	if (memory)
		memcpy(memory, value.ptr, value.len);
	free((void *)cg->stored.ptr);
	cg->stored = slice_make(memory, value.len);
	return 0;
}

/* `producer`: whose transaction it is part of; -1: none's. */
static int take_offset(struct loading *loading, const struct kafka_offset_commit_key *key,
		       const struct record *record, int64_t producer)
{
	struct kafka_offset_commit_value decoded;
	struct slice value = record->value;
	struct coordinator_group *cg;
	int version;

	if (!value.ptr) {
		staged_drop(&loading->staged, key->group, key->topic, key->partition);
		cg = shard_find(loading->shard, key->group);
		if (cg)
			group_offsets_remove(&cg->offsets, key->topic, key->partition);
		return 0;
	}
	if (value.len < 2)
		return -EBADMSG;
	version = be_load16(value.ptr);
	value = slice_make(value.ptr + 2, value.len - 2);
	if (kafka_offset_commit_value_decode(&value, version, &loading->arena, &decoded) < 0)
		return -EBADMSG;
	const struct committed committed = {
	    .partition = key->partition,
	    .leader_epoch = decoded.leader_epoch,
	    .offset = decoded.offset,
	    .commit_ms = decoded.commit_timestamp,
	    .expire_ms = decoded.expire_timestamp,
	    .stored_at = record->offset,
	    .metadata = decoded.metadata,
	};

	if (producer >= 0)
		return staged_add(&loading->staged, producer, key->group, key->topic, &committed);
	cg = shard_group(loading->shard, key->group, loading->time);
	return cg ? group_offsets_set(&cg->offsets, key->topic, &committed) : -ENOMEM;
}

static int take_record(struct loading *loading, const struct record *record, int64_t producer)
{
	struct slice key = record->key;
	struct kafka_offset_commit_key offset;
	struct kafka_group_metadata_key group;
	int type;

	if (key.len < 2)
		return -EBADMSG;
	type = be_load16(key.ptr);
	key = slice_make(key.ptr + 2, key.len - 2);
	arena_reset(&loading->arena);
	if (type <= 1) {
		if (kafka_offset_commit_key_decode(&key, 0, &loading->arena, &offset) < 0)
			return -EBADMSG;
		return take_offset(loading, &offset, record, producer);
	}
	if (type != 2 || kafka_group_metadata_key_decode(&key, 0, &loading->arena, &group) < 0)
		return -EBADMSG;
	return take_group(loading, group.group, record->value);
}

static int take_records(struct loading *loading, const struct record_batch *batch,
			struct slice records)
{
	int64_t producer =
	    batch->attributes & RECORD_ATTRIBUTE_TRANSACTIONAL ? batch->producer_id : -1;
	struct record record;
	int r;

	while (record_next(batch, &records, &record) == RECORD_BATCH_OK) {
		r = take_record(loading, &record, producer);
		if (r == -ENOMEM)
			return r;
		loading->strange += r < 0;
	}
	return 0;
}

/* Kafka compresses them if offsets.topic.compression.codec says so. */
static int take_compressed(struct loading *loading, const struct record_batch *batch)
{
	enum record_batch_fault fault;
	char *records;
	size_t len;
	int r;

	if (!loading->expander)
		loading->expander = expander_new();
	if (!loading->expander)
		return -ENOMEM;
	fault = expanded_records_load(loading->expander, batch, KAFKA_EXPANDED_BATCH_MAX, &records,
				      &len);
	if (fault == RECORD_BATCH_NO_MEMORY)
		return -ENOMEM;
	if (fault != RECORD_BATCH_OK) {
		loading->strange += (unsigned)batch->count;
		return 0;
	}
	r = take_records(loading, batch, slice_make(records, len));
	free(records);
	return r;
}

/* The end of a transaction. */
static int take_marker(struct loading *loading, const struct record_batch *batch)
{
	struct slice records = batch->records;
	struct record record;
	int type;

	if (record_next(batch, &records, &record) != RECORD_BATCH_OK || record.key.len < 4) {
		loading->strange++;
		return 0;
	}
	type = be_load16(record.key.ptr + 2);
	if (type != MARKER_ABORT && type != MARKER_COMMIT)
		return 0;
	return staged_end(&loading->staged, batch->producer_id, type == MARKER_COMMIT,
			  loading->shard, loading->time);
}

static int take_batch(struct loading *loading, const struct record_batch *batch)
{
	if (batch->attributes & RECORD_ATTRIBUTE_CONTROL)
		return take_marker(loading, batch);
	if (record_batch_codec(batch) != RECORD_CODEC_NONE)
		return take_compressed(loading, batch);
	return take_records(loading, batch, batch->records);
}

/* The whole batches of a slice; *ret_next: behind the last. */
static int take_slice(struct loading *loading, struct slice bytes, int64_t *ret_next)
{
	struct record_batch batch;
	int r = 0;

	while (r == 0 && record_batch_next(&bytes, &batch) == RECORD_BATCH_OK) {
		r = take_batch(loading, &batch);
		*ret_next = record_batch_last_offset(&batch) + 1;
	}
	return r;
}

static int read_all(struct loading *loading)
{
	struct partition_slice slice = {0};
	struct partition_ends ends;
	enum kafka_error error = partition_ends(loading->shard->partition, &ends);
	struct partition_read read = {
	    .max_bytes = READ_BYTES,
	    .whole_first = true,
	    .isolation = PARTITION_READ_ALL,
	};
	char *buffer = NULL;
	size_t size = 0;
	int r = 0;

	read.offset = ends.log_start;
	while (r == 0 && error == KAFKA_NONE && read.offset < ends.log_end) {
		int64_t before = read.offset;

		r = partition_read(loading->shard->partition, &read, &slice, &error);
		if (r < 0 || error != KAFKA_NONE || slice.len == 0)
			break;
		r = read_slice(&slice, &buffer, &size);
		if (r == 0)
			r = take_slice(loading, slice_make(buffer, slice.len), &read.offset);
		loading->shard->log_bytes += slice.len;
		partition_slice_release(&slice);
		if (read.offset == before)
			break;
	}
	free(buffer);
	if (error != KAFKA_NONE)
		log_error("%s-%d can't be read: its groups are not known", OFFSETS_TOPIC,
			  partition_number(loading->shard->partition));
	return r;
}

/* ---- groups ---- */

static int restore(struct loading *loading, struct coordinator_group *cg,
		   const struct kafka_group_metadata_value *value)
{
	const struct group_restored from = {
	    .generation = value->generation,
	    .protocol_type = value->protocol_type,
	    .protocol = value->protocol,
	    .leader = value->leader,
	    .state_since_ms = value->current_state_timestamp,
	};
	int32_t count = value->members.count;
	struct group_restored_member *members;
	int r;

	if (count > 0 && !value->protocol.ptr)
		return -EBADMSG;
	members = calloc((size_t)count + 1, sizeof(*members));
	if (!members)
		return -ENOMEM;
	for (int32_t i = 0; i < count; i++) {
		const struct kafka_group_metadata_value_member *member = &value->members.at[i];

		members[i] = (struct group_restored_member){
		    .id = member->member_id,
		    .instance_id = member->group_instance_id,
		    .client_id = member->client_id,
		    .client_host = member->client_host,
		    .subscription = member->subscription,
		    .assignment = member->assignment,
		    .session_ms = member->session_timeout,
		    .rebalance_ms = member->rebalance_timeout < 0 ? member->session_timeout
								  : member->rebalance_timeout,
		};
	}
	r = group_restore(cg->group, &from, members, count, loading->time);
	free(members);
	return r;
}

/* With memory of their own for as many members as it takes. */
static int restore_many(struct loading *loading, struct coordinator_group *cg, int version,
			struct slice bytes)
{
	struct kafka_group_metadata_value value;
	char *memory = NULL;
	int r = -ENOBUFS;

	for (size_t size = 2 * READ_BYTES; r == -ENOBUFS; size *= 2) {
		struct arena arena;
		struct slice rest = bytes;

		free(memory);
		memory = malloc(size);
		if (!memory)
			return -ENOMEM;
		arena = arena_over(memory, size);
		r = kafka_group_metadata_value_decode(&rest, version, &arena, &value);
	}
	r = r < 0 ? -EBADMSG : restore(loading, cg, &value);
	free(memory);
	return r;
}

static int restore_stored(struct loading *loading, struct coordinator_group *cg)
{
	struct kafka_group_metadata_value value;
	struct slice bytes = cg->stored, rest;
	int version, r;

	if (bytes.len < 2)
		return -EBADMSG;
	version = be_load16(bytes.ptr);
	rest = bytes = slice_make(bytes.ptr + 2, bytes.len - 2);
	arena_reset(&loading->arena);
	r = kafka_group_metadata_value_decode(&rest, version, &loading->arena, &value);
	if (r == -ENOBUFS)
		return restore_many(loading, cg, version, bytes);
	return r < 0 ? -EBADMSG : restore(loading, cg, &value);
}

static int restore_all(struct loading *loading)
{
	struct shard *shard = loading->shard;
	struct list *node;
	int r = 0;

	for (unsigned i = 0; i < SHARD_BUCKETS; i++) {
		list_for_each (node, &shard->groups[i]) {
			struct coordinator_group *cg =
			    container_of(node, struct coordinator_group, node);
			int one = cg->stored.ptr ? restore_stored(loading, cg) : 0;

			loading->strange += one == -EBADMSG;
			r = one == -ENOMEM ? one : r;
			free((void *)cg->stored.ptr);
			cg->stored = slice_make(NULL, 0);
		}
	}
	return r;
}

int shard_load(struct shard *shard, struct group_time time)
{
	struct loading loading = {.shard = shard, .time = time};
	char *memory;
	int r, restored;
	struct partition_ends ends;

	/* Most are empty. */
	if (partition_ends(shard->partition, &ends) == KAFKA_NONE && ends.log_start == ends.log_end)
		return 0;
	memory = malloc(READ_BYTES);
	if (!memory)
		return -ENOMEM;
	loading.arena = arena_over(memory, READ_BYTES);
	staged_init(&loading.staged);
	r = read_all(&loading);
	if (loading.staged.count > 0)
		log_warning(
		    "%s-%d: %llu offsets are part of transactions that are open, and do not "
		    "count",
		    OFFSETS_TOPIC, partition_number(shard->partition),
		    (unsigned long long)loading.staged.count);
	if (r == 0)
		r = staged_keep(&loading.staged, shard, time);
	staged_fini(&loading.staged);
	restored = restore_all(&loading);
	free(memory);
	expander_free(loading.expander);
	if (loading.strange)
		log_warning("%s-%d: %u records are not understood and were left out", OFFSETS_TOPIC,
			    partition_number(shard->partition), loading.strange);
	return r < 0 ? r : restored;
}
