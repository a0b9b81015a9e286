/*
 * What has its time: offsets that expire or go with their topic, logs that have grown.
 */
#include "base/log.h"
#include "kafka/broker/coordinator.h"
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

/* How many go; tombstones for them are in the writer. */
static int32_t mark(struct shard *shard, struct coordinator_group *cg, const struct going *going)
{
	int32_t count = 0;
	struct list *node;

	list_for_each (node, &cg->offsets.topics) {
		struct committed_topic *topic = container_of(node, struct committed_topic, node);
		bool all = going->topic.ptr ? slice_eq(going->topic, topic->name)
					    : is_no_more(going->store, topic->name);

		if (!all && (going->topic.ptr || group_keeps(cg->group, topic->name)))
			continue;
		for (int32_t i = 0; i < topic->count; i++) {
			struct committed *each = &topic->entries[i];

			if (!all && !group_offset_is_expired(cg->group, each, going->wall_ms,
							     going->retention_ms))
				continue;
			each->goes = true;
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
	count = mark(shard, cg, going);
	deletes = !going->topic.ptr && cg->group->state == GROUP_EMPTY &&
		  cg->group->pending_count == 0 && count == cg->offsets.count;
	if (deletes && shard_delete_group(shard, cg, going->wall_ms) == KAFKA_NONE)
		return;
	stored =
	    !deletes && count > 0 && shard_append(shard, going->wall_ms, &appended) == KAFKA_NONE;
	group_offsets_sweep(&cg->offsets, stored);
}

void coordinator_topic_deleted(struct coordinator *coordinator, struct slice name)
{
	struct going going = {.wall_ms = sys_wall_ms(), .topic = name};
	struct shard *shard;

	for (int32_t i = 0; (shard = coordinator_shard(coordinator, i)); i++) {
		pthread_mutex_lock(&shard->lock);
		shard_each_group(shard, let_go, &going);
		pthread_mutex_unlock(&shard->lock);
	}
}

/* ---- logs that have grown ---- */

static void record_all(struct shard *shard, struct coordinator_group *cg, int64_t wall_ms)
{
	struct partition_appended appended = {0};
	struct list *node;

	batch_begin(&shard->writer, wall_ms);
	if (cg->group->generation > 0 || cg->group->protocol_type.len > 0)
		record_group(&shard->writer, cg->group);
	list_for_each (node, &cg->offsets.topics) {
		const struct committed_topic *topic =
		    container_of(node, struct committed_topic, node);

		for (int32_t i = 0; i < topic->count; i++)
			record_offset(&shard->writer, cg->group->id, topic->name,
				      &topic->entries[i]);
	}
	/* The one that fails leaves the log as it was: nothing is deleted then. */
	if (shard_append(shard, wall_ms, &appended) != KAFKA_NONE)
		shard->writer.failed = true;
	else
		shard->live_bytes += shard->writer.len;
}

/* Everything once more, and away with what was before. */
static void rewrite(struct shard *shard, int64_t wall_ms)
{
	struct partition_ends ends;
	int64_t start;
	bool failed = false;

	pthread_mutex_lock(&shard->lock);
	if (shard->log_bytes < REWRITE_BYTES ||
	    shard->log_bytes < shard->live_bytes * REWRITE_TIMES ||
	    partition_ends(shard->partition, &ends) != KAFKA_NONE) {
		pthread_mutex_unlock(&shard->lock);
		return;
	}
	shard->live_bytes = 0;
	for (unsigned i = 0; i < SHARD_BUCKETS && !failed; i++) {
		struct list *node;

		list_for_each (node, &shard->groups[i]) {
			record_all(shard, container_of(node, struct coordinator_group, node),
				   wall_ms);
			failed |= shard->writer.failed;
		}
	}
	shard->log_bytes = shard->live_bytes;
	pthread_mutex_unlock(&shard->lock);
	if (failed)
		log_warning("%s-%d could not be rewritten", OFFSETS_TOPIC,
			    partition_number(shard->partition));
	else
		partition_delete_records(shard->partition, ends.log_end, &start);
}

void coordinator_maintain(struct coordinator *coordinator, int64_t wall_ms)
{
	const struct kafka_config *config = coordinator->server->config;
	bool check = wall_ms >= coordinator->next_check_ms;
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
			pthread_mutex_unlock(&shard->lock);
		}
		rewrite(shard, wall_ms);
	}
	if (check && coordinator_is_ready(coordinator))
		coordinator->next_check_ms =
		    wall_ms + config_value(config, KAFKA_CONFIG_OFFSETS_CHECK_MS);
}
