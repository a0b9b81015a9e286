/*
 * What has its time: offsets that expire or go with their topic, logs that have grown.
 */
#include "base/log.h"
#include "kafka/broker/coordinator.h"
#include "kafka/broker/flush.h"
#include "sys/sys.h"

/* A rewriting is for logs of this size at least, and when this many times of it are out of date. */
#define REWRITE_BYTES (16ull * 1024 * 1024)
#define REWRITE_TIMES 4

/* ---- offsets that go ---- */

struct going {
	struct store *store;
	int64_t wall_ms, retention_ms;
	struct slice topic; /* what was committed of it; ptr NULL: what has expired */
};

/* Its deletion was cut short by a crash. */
static bool is_no_more(struct store *store, struct slice name)
{
	struct topic *topic = store_topic(store, name);

	if (topic)
		topic_unref(topic);
	return !topic;
}

static bool goes_with_topic(const struct committed_topic *topic, const struct going *going)
{
	return going->topic.ptr ? slice_eq(going->topic, topic->name)
				: is_no_more(going->store, topic->name);
}

/* Of transactions that are open they go only with their topic. */
static int32_t mark_staged(struct shard *shard, struct coordinator_group *cg,
			   const struct going *going)
{
	int32_t count = 0;
	struct list *node;

	list_for_each (node, &cg->staged.topics) {
		struct committed_topic *topic = container_of(node, struct committed_topic, node);

		if (!goes_with_topic(topic, going))
			continue;
		for (int32_t i = 0; i < topic->count; i++) {
			struct committed *each = &topic->entries[i];

			each->goes = true;
			shard_make_room(shard, record_offset_max(cg->group->id, topic->name, each),
					going->wall_ms);
			record_offset_gone(&shard->writer, cg->group->id, topic->name,
					   each->partition);
			count++;
		}
	}
	return count;
}

/* A tombstone would take what is staged with it. */
static bool may_expire(const struct coordinator_group *cg, struct slice topic,
		       const struct committed *each, const struct going *going)
{
	return group_offset_is_expired(cg->group, each, going->wall_ms, going->retention_ms) &&
	       !group_offsets_find(&cg->staged, topic, each->partition);
}

/* How many go; tombstones for them are in the writer, or further up in the log. */
static int32_t mark(struct shard *shard, struct coordinator_group *cg, const struct going *going)
{
	int32_t count = 0;
	struct list *node;

	list_for_each (node, &cg->offsets.topics) {
		struct committed_topic *topic = container_of(node, struct committed_topic, node);
		bool all = goes_with_topic(topic, going);

		if (!all && (going->topic.ptr || group_keeps(cg->group, topic->name)))
			continue;
		for (int32_t i = 0; i < topic->count; i++) {
			struct committed *each = &topic->entries[i];

			if (!all && !may_expire(cg, topic->name, each, going))
				continue;
			each->goes = true;
			shard_make_room(shard, record_offset_max(cg->group->id, topic->name, each),
					going->wall_ms);
			record_offset_gone(&shard->writer, cg->group->id, topic->name,
					   each->partition);
			count++;
		}
	}
	return count;
}

static void let_go(struct shard *shard, struct coordinator_group *cg, void *arg)
{
	const struct going *going = arg;
	struct partition_appended appended = {0};
	bool deletes, stored;
	int32_t count;

	batch_begin(&shard->writer, going->wall_ms);
	count = mark(shard, cg, going) + mark_staged(shard, cg, going);
	deletes = !going->topic.ptr && cg->group->state == GROUP_EMPTY &&
		  cg->group->pending_count == 0 && count == cg->offsets.count + cg->staged.count;
	if (deletes && shard_delete_group(shard, cg, going->wall_ms) == KAFKA_NONE)
		return;
	stored =
	    !deletes && count > 0 && shard_append(shard, going->wall_ms, &appended) == KAFKA_NONE;
	group_offsets_sweep(&cg->offsets, stored);
	group_offsets_sweep(&cg->staged, stored);
}

void coordinator_topic_deleted(struct coordinator *coordinator, struct slice name)
{
	struct going going = {.wall_ms = sys_wall_ms(), .topic = name};
	struct shard *shard;

	for (int32_t i = 0; (shard = coordinator_shard(coordinator, i)); i++) {
		pthread_mutex_lock(&shard->lock);
		shard_each_group(shard, let_go, &going);
		shard_unlock_and_flush(shard);
	}
}

/* ---- logs that have grown ---- */

/* How long it is, once appended; -1: that failed. */
static int64_t record_all(struct shard *shard, struct coordinator_group *cg, int64_t wall_ms)
{
	/* What is there of a rebalance is no assignment: after a crash its members begin anew. */
	bool settled = cg->group->state == GROUP_STABLE;
	struct partition_appended appended = {0};
	uint64_t before = shard->log_bytes;
	struct list *node;

	batch_begin(&shard->writer, wall_ms);
	if (cg->group->generation > 0 || cg->group->protocol_type.len > 0)
		record_group(&shard->writer, cg->group, settled);
	list_for_each (node, &cg->offsets.topics) {
		const struct committed_topic *topic =
		    container_of(node, struct committed_topic, node);

		for (int32_t i = 0; i < topic->count; i++) {
			const struct committed *each = &topic->entries[i];

			shard_make_room(shard, record_offset_max(cg->group->id, topic->name, each),
					wall_ms);
			record_offset(&shard->writer, cg->group->id, topic->name, each);
		}
	}
	if (shard_append(shard, wall_ms, &appended) != KAFKA_NONE)
		return -1;
	return (int64_t)(shard->log_bytes - before);
}

/* With the lock given back now and then, as loops wait for it: what comes in between is appended
 * behind, like what is written anew. */
static int64_t record_bucket(struct shard *shard, unsigned bucket, int64_t wall_ms)
{
	int64_t bytes = 0, one = 0;
	struct list *node;

	pthread_mutex_lock(&shard->lock);
	list_for_each (node, &shard->groups[bucket]) {
		one =
		    record_all(shard, container_of(node, struct coordinator_group, node), wall_ms);
		if (one < 0)
			break;
		bytes += one;
	}
	shard_unlock_and_flush(shard);
	return one < 0 ? one : bytes;
}

static void look_for_staged(struct shard *shard, struct coordinator_group *cg, void *arg)
{
	bool *has_staged = arg;

	*has_staged |= cg->staged.count > 0;
}

/* What is staged is nothing that we can write, and Kafka may still end its transaction: then the log stays
 * whole. */
static bool is_worth_it(struct shard *shard, uint64_t *ret_bytes)
{
	bool worth, has_staged = false;

	pthread_mutex_lock(&shard->lock);
	worth = shard->log_bytes >= REWRITE_BYTES &&
		shard->log_bytes >= shard->live_bytes * REWRITE_TIMES;
	if (worth)
		shard_each_group(shard, look_for_staged, &has_staged);
	*ret_bytes = shard->log_bytes;
	pthread_mutex_unlock(&shard->lock);
	return worth && !has_staged;
}

/* What was written anew is on disk first: until then a power cut takes it, and not what lies before. Where
 * that can't be had now, it is for the next time. */
static void forget_old(struct shard *shard)
{
	enum kafka_error error;
	int64_t start;

	if (shard->old_end == 0 || flush_now(shard->partition, shard->new_end) != KAFKA_NONE)
		return;
	error = partition_delete_records(shard->partition, shard->old_end, &start);
	shard->old_end = 0;
	if (error != KAFKA_NONE)
		log_warning("%s-%d: what is out of date could not be deleted: %s", OFFSETS_TOPIC,
			    partition_number(shard->partition), kafka_error_info(error)->name);
}

/* The log stays as it was, and longer: each try makes it longer, so the next is to be worth it. */
static void could_not(struct shard *shard)
{
	pthread_mutex_lock(&shard->lock);
	shard->live_bytes = shard->log_bytes;
	pthread_mutex_unlock(&shard->lock);
	log_warning("%s-%d could not be rewritten", OFFSETS_TOPIC,
		    partition_number(shard->partition));
}

/* Everything once more; what was before can go then. */
static void rewrite(struct shard *shard, int64_t wall_ms)
{
	struct partition_ends ends, after;
	uint64_t before, live = 0;

	if (!is_worth_it(shard, &before) || partition_ends(shard->partition, &ends) != KAFKA_NONE)
		return;
	for (unsigned i = 0; i < SHARD_BUCKETS; i++) {
		int64_t bytes = record_bucket(shard, i, wall_ms);

		if (bytes < 0) {
			could_not(shard);
			return;
		}
		live += (uint64_t)bytes;
	}
	pthread_mutex_lock(&shard->lock);
	shard->live_bytes = live;
	shard->log_bytes -= before;
	pthread_mutex_unlock(&shard->lock);
	if (partition_ends(shard->partition, &after) != KAFKA_NONE)
		return;
	shard->old_end = ends.log_end;
	shard->new_end = after.log_end;
}

void coordinator_maintain(struct coordinator *coordinator, int64_t wall_ms)
{
	const struct kafka_config *config = coordinator->server->config;
	/* The first one has its time like the others: a group that has committed nothing yet lives until
	 * then. */
	bool check = coordinator->next_check_ms > 0 && wall_ms >= coordinator->next_check_ms;
	struct going going = {
	    .store = coordinator->server->store,
	    .wall_ms = wall_ms,
	    .retention_ms = config_value(config, KAFKA_CONFIG_OFFSETS_RETENTION) * 60000,
	};
	struct shard *shard;

	for (int32_t i = 0; (shard = coordinator_shard(coordinator, i)); i++) {
		if (check) {
			pthread_mutex_lock(&shard->lock);
			shard_each_group(shard, let_go, &going);
			shard_unlock_and_flush(shard);
		}
		rewrite(shard, wall_ms);
		forget_old(shard);
	}
	if ((check || coordinator->next_check_ms == 0) && coordinator_is_ready(coordinator) &&
	    __builtin_add_overflow(wall_ms, config_value(config, KAFKA_CONFIG_OFFSETS_CHECK_MS),
				   &coordinator->next_check_ms))
		coordinator->next_check_ms = INT64_MAX;
}
