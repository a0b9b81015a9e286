#include "kafka/broker/coordinator.h"

#include <errno.h>
#include <stdlib.h>

#include "base/hash.h"
#include "base/log.h"
#include "kafka/broker/flush.h"
#include "kafka/broker/watch.h"
#include "sys/sys.h"

/* ---- groups of a shard ---- */

static enum kafka_error store_group(struct group *group);

static void tell_of_group(const struct group *group, enum group_cause cause,
			  const struct group_member *member, struct slice reason);

static const struct group_ops group_ops = {
    .tell = tell_of_group,
    .joined = group_api_joined,
    .synced = group_api_synced,
    .store = store_group,
};

/* Names and reasons are what strangers say: the log has their beginning. */
#define SHOWN 100

static void tell_of_group(const struct group *group, enum group_cause cause,
			  const struct group_member *member, struct slice reason)
{
	const int id_len = (int)min_size(group->id.len, SHOWN);

	if (!member)
		log_bursts(sys_now_ns(), LOG_LEVEL_INFO,
			   "group %.*s, generation %d, %d members: rebalances, as a member %s",
			   id_len, group->id.ptr, group->generation, group->members_count,
			   group_cause_text(cause));
	else
		log_bursts(sys_now_ns(), LOG_LEVEL_INFO,
			   "group %.*s: member %.*s (client '%.*s' at %.*s) %s%s%.*s", id_len,
			   group->id.ptr, (int)min_size(member->id.len, SHOWN), member->id.ptr,
			   (int)min_size(member->client_id.len, SHOWN), member->client_id.ptr,
			   (int)member->client_host.len, member->client_host.ptr,
			   group_cause_text(cause), reason.len > 0 ? ": " : "",
			   (int)min_size(reason.len, SHOWN), reason.ptr ? reason.ptr : "");
}

static struct list *bucket(struct shard *shard, uint64_t hash)
{
	return &shard->groups[hash % SHARD_BUCKETS];
}

struct coordinator_group *shard_find(struct shard *shard, struct slice group_id)
{
	uint64_t hash = hash_slice_from(shard->coordinator->secret, group_id);
	struct list *node, *head = bucket(shard, hash);

	list_for_each (node, head) {
		struct coordinator_group *cg = container_of(node, struct coordinator_group, node);

		if (cg->hash == hash && slice_eq(cg->group->id, group_id))
			return cg;
	}
	return NULL;
}

struct coordinator_group *shard_group(struct shard *shard, struct slice group_id,
				      struct group_time time)
{
	struct coordinator_group *cg = shard_find(shard, group_id);

	if (cg)
		return cg;
	cg = calloc(1, sizeof(*cg));
	if (!cg)
		return NULL;
	cg->group = group_new(group_id, &group_ops, &shard->coordinator->limits, time);
	if (!cg->group) {
		free(cg);
		return NULL;
	}
	cg->group->owner = cg;
	cg->shard = shard;
	cg->hash = hash_slice_from(shard->coordinator->secret, group_id);
	group_offsets_init(&cg->offsets);
	group_offsets_init(&cg->staged);
	cg->offsets.held = &shard->coordinator->server->held;
	cg->offsets.secret = shard->coordinator->secret;
	cg->staged.held = cg->offsets.held;
	cg->staged.secret = cg->offsets.secret;
	list_push_back(bucket(shard, cg->hash), &cg->node);
	shard->groups_count++;
	return cg;
}

void shard_drop(struct shard *shard, struct coordinator_group *cg)
{
	wheel_cancel(&shard->wheel, &cg->timer);
	list_remove(&cg->node);
	shard->groups_count--;
	group_offsets_fini(&cg->offsets);
	group_offsets_fini(&cg->staged);
	group_free(cg->group);
	free(cg);
}

void shard_each_group(struct shard *shard, shard_visitor visit, void *arg)
{
	for (unsigned i = 0; i < SHARD_BUCKETS; i++)
		for (struct list *node = shard->groups[i].next, *next; node != &shard->groups[i];
		     node = next) {
			next = node->next;
			visit(shard, container_of(node, struct coordinator_group, node), arg);
		}
}

/* ---- storing ---- */

/* What clients of a coordinator are told of its own log's troubles. */
static enum kafka_error coordinator_error(enum kafka_error error)
{
	if (error == KAFKA_UNKNOWN_TOPIC_OR_PARTITION)
		return KAFKA_COORDINATOR_NOT_AVAILABLE;
	if (error == KAFKA_KAFKA_STORAGE_ERROR)
		return KAFKA_NOT_COORDINATOR;
	if (error == KAFKA_MESSAGE_TOO_LARGE || error == KAFKA_RECORD_LIST_TOO_LARGE)
		return KAFKA_UNKNOWN_SERVER_ERROR;
	return error;
}

/* Whoever watches is woken, and the disk synced if that is due; by a helper only after it has given
 * back the lock, for which loops wait. */
static void appended_to(struct shard *shard, const struct partition_appended *appended)
{
	struct loop *loop = loop_current();

	if (appended->flush_due && loop) {
		flush_begin(shard->coordinator->server->loops[loop_index(loop)], shard->partition);
	} else if (appended->flush_due) {
		shard->flush_due = true;
	}
	partition_wake(shard->partition);
}

void shard_unlock_and_flush(struct shard *shard)
{
	bool due = shard->flush_due;

	shard->flush_due = false;
	pthread_mutex_unlock(&shard->lock);
	if (due)
		flush_once(shard->home, shard->partition);
}

enum kafka_error shard_append(struct shard *shard, int64_t wall_ms, struct partition_appended *ret)
{
	struct slice batch = batch_end(&shard->writer);
	enum kafka_error error;

	if (!batch.ptr)
		return shard->writer.failed ? KAFKA_COORDINATOR_NOT_AVAILABLE : KAFKA_NONE;
	error = partition_append(shard->partition, (char *)batch.ptr, batch.len, wall_ms, ret);
	if (error != KAFKA_NONE)
		return coordinator_error(error);
	shard->log_bytes += batch.len;
	appended_to(shard, ret);
	return KAFKA_NONE;
}

void shard_make_room(struct shard *shard, size_t bytes, int64_t wall_ms)
{
	const struct topic *topic = shard->coordinator->topic;
	uint64_t batch = (uint64_t)topic_config_value(topic, TOPIC_CONFIG_MAX_MESSAGE_BYTES),
		 segment = (uint64_t)topic_config_value(topic, TOPIC_CONFIG_SEGMENT_BYTES);
	struct batch_writer *writer = &shard->writer;
	struct partition_appended appended = {0};

	if (writer->failed || writer->count == 0 || writer->len + bytes <= min_u64(batch, segment))
		return;
	if (shard_append(shard, wall_ms, &appended) == KAFKA_NONE)
		batch_begin(writer, wall_ms);
	else
		writer->failed = true;
}

static enum kafka_error store_group(struct group *group)
{
	struct coordinator_group *cg = group->owner;
	struct partition_appended appended = {0};
	int64_t wall_ms = sys_wall_ms();

	batch_begin(&cg->shard->writer, wall_ms);
	record_group(&cg->shard->writer, group, true);
	return shard_append(cg->shard, wall_ms, &appended);
}

static void record_offsets_gone(struct shard *shard, struct slice id,
				const struct group_offsets *offsets, int64_t wall_ms)
{
	struct list *node;

	list_for_each (node, &offsets->topics) {
		const struct committed_topic *topic =
		    container_of(node, struct committed_topic, node);

		for (int32_t i = 0; i < topic->count; i++) {
			const struct committed *each = &topic->entries[i];

			shard_make_room(shard, record_offset_max(id, topic->name, each), wall_ms);
			record_offset_gone(&shard->writer, id, topic->name, each->partition);
		}
	}
}

/* The group itself last: what a crash cuts short can be done again. */
static void record_all_gone(struct shard *shard, const struct coordinator_group *cg,
			    int64_t wall_ms)
{
	static const struct committed none;
	const struct slice id = cg->group->id, nothing = slice_make(NULL, 0);

	record_offsets_gone(shard, id, &cg->offsets, wall_ms);
	record_offsets_gone(shard, id, &cg->staged, wall_ms);
	shard_make_room(shard, record_offset_max(id, nothing, &none), wall_ms);
	record_group_gone(&shard->writer, id);
}

enum kafka_error shard_delete_group(struct shard *shard, struct coordinator_group *cg,
				    int64_t wall_ms)
{
	struct partition_appended appended = {0};
	enum kafka_error error;

	batch_begin(&shard->writer, wall_ms);
	record_all_gone(shard, cg, wall_ms);
	error = shard_append(shard, wall_ms, &appended);
	if (error == KAFKA_NONE)
		shard_drop(shard, cg);
	return error;
}

/* ---- time ---- */

static struct group_time now(void)
{
	return (struct group_time){sys_now_coarse_ns() / 1000000, sys_wall_ms()};
}

static void set_timer(struct shard *shard, uint64_t now_ms)
{
	uint64_t next = wheel_next(&shard->wheel);

	shard->armed_ms = next;
	if (next == WHEEL_NEVER)
		return;
	loop_timer_set(shard->home->loop, &shard->timer,
		       (uint32_t)min_u64(next > now_ms ? next - now_ms : 0, 1u << 30));
	shard->timed = true;
}

/* With the lock held: the earliest deadline may have come nearer. */
static void arm(struct shard *shard)
{
	if (wheel_next(&shard->wheel) >= shard->armed_ms || shard->rearming)
		return;
	shard->rearming = true;
	inbox_send(&shard->home->inbox, &shard->rearm);
}

/* On the home loop. */
static void rearm(struct message *message)
{
	struct shard *shard = container_of(message, struct shard, rearm);

	pthread_mutex_lock(&shard->lock);
	shard->rearming = false;
	if (shard->home->inbox.loop) /* not at the end */
		set_timer(shard, now().now_ms);
	pthread_mutex_unlock(&shard->lock);
}

static void look_at(struct shard *shard, struct coordinator_group *cg, void *nothing)
{
	const struct group *group = cg->group;
	uint64_t next = group_next(group);

	shard->generations[group->cause] += cg->generation != group->generation;
	cg->generation = group->generation;
	/* Nobody is in it, nothing is stored of it. */
	if (group->state == GROUP_EMPTY && group->generation == 0 && group->pending_count == 0 &&
	    cg->offsets.count == 0 && cg->staged.count == 0) {
		shard_drop(shard, cg);
		return;
	}
	wheel_set(&shard->wheel, &cg->timer, next == GROUP_NEVER ? WHEEL_NEVER : next);
}

static void timer_fired(struct timer *timer)
{
	struct shard *shard = timer->arg;
	struct group_time time = now();
	struct wheel_timer *due;

	/* Members can't be heard any more: they are who they were when we start again. */
	if (loop_is_draining(shard->home->loop))
		return;
	pthread_mutex_lock(&shard->lock);
	shard->timed = false;
	wheel_advance(&shard->wheel, max_u64(time.now_ms, shard->wheel.now_ms));
	while ((due = wheel_expired(&shard->wheel))) {
		struct coordinator_group *cg = container_of(due, struct coordinator_group, timer);

		group_tick(cg->group, time);
		look_at(shard, cg, NULL);
	}
	set_timer(shard, time.now_ms);
	pthread_mutex_unlock(&shard->lock);
}

/* ---- visits ---- */

bool coordinator_is_ready(const struct coordinator *coordinator)
{
	return atomic_load_explicit(&coordinator->ready, memory_order_acquire);
}

enum kafka_error visit_begin(struct coordinator *coordinator, struct slice group_id,
			     struct visit *ret)
{
	if (!coordinator_is_ready(coordinator))
		return KAFKA_NOT_COORDINATOR;
	ret->shard = &coordinator->shards[group_partition(group_id, coordinator->shards_count)];
	ret->time = now();
	pthread_mutex_lock(&ret->shard->lock);
	/* What is due is the timer's to say: of a process that did not run for a while, it lets all
	 * loops read what members have sent meanwhile (reactor/loop.c). */
	ret->found = shard_find(ret->shard, group_id);
	return KAFKA_NONE;
}

bool visit_make(struct visit *visit, struct slice group_id)
{
	if (!visit->found)
		visit->found = shard_group(visit->shard, group_id, visit->time);
	return visit->found != NULL;
}

void visit_end(struct visit *visit)
{
	if (visit->found)
		look_at(visit->shard, visit->found, NULL);
	arm(visit->shard);
	if (loop_current())
		pthread_mutex_unlock(&visit->shard->lock);
	else
		shard_unlock_and_flush(visit->shard);
}

void coordinator_abandoned(struct kafka_call *call)
{
	struct shard *shard = call->shard;
	struct group_member *member = call->state;
	struct visit visit = {.shard = shard, .time = now()};

	/* All of them go now, and are who they were when we start again. */
	if (loop_is_draining(call->home->loop))
		return;
	pthread_mutex_lock(&shard->lock);
	/* If not, its answer is on the way, and the member perhaps gone. */
	if (call->handled == CALL_WAITS) {
		visit.found = member->group->owner;
		group_abandon(member->group, member, visit.time);
	}
	visit_end(&visit);
}

struct shard *coordinator_shard(struct coordinator *coordinator, int32_t number)
{
	if (!coordinator_is_ready(coordinator) || number >= coordinator->shards_count)
		return NULL;
	return &coordinator->shards[number];
}

static void add_group(struct shard *shard, struct coordinator_group *cg, void *arg)
{
	struct coordinator_stats *stats = arg;

	CHECK(cg->group->state < GROUP_DEAD);
	stats->all++;
	stats->groups[cg->group->state]++;
	stats->members += (uint64_t)cg->group->members_count;
	stats->offsets += (uint64_t)cg->offsets.count;
}

void coordinator_stats(struct coordinator *coordinator, struct coordinator_stats *ret)
{
	struct coordinator_stats sum = {0};
	struct shard *shard;

	for (int32_t i = 0; (shard = coordinator_shard(coordinator, i)); i++) {
		pthread_mutex_lock(&shard->lock);
		shard_each_group(shard, add_group, &sum);
		for (int cause = 0; cause < GROUP_CAUSE_COUNT; cause++)
			sum.generations[cause] += shard->generations[cause];
		pthread_mutex_unlock(&shard->lock);
	}
	*ret = sum;
}

/* ---- life ---- */

static void shard_init(struct coordinator *coordinator, int32_t number)
{
	struct shard *shard = &coordinator->shards[number];
	struct kafka_server *server = coordinator->server;

	shard->coordinator = coordinator;
	shard->partition = topic_partition(coordinator->topic, number);
	pthread_mutex_init(&shard->lock, NULL);
	for (unsigned i = 0; i < SHARD_BUCKETS; i++)
		list_init(&shard->groups[i]);
	wheel_init(&shard->wheel, now().now_ms);
	shard->armed_ms = WHEEL_NEVER;
	shard->home = server->loops[(unsigned)number % server->loops_count];
	shard->timer.fired = timer_fired;
	shard->timer.arg = shard;
	shard->rearm.fn = rearm;
}

static void loaded(struct shard *shard, struct coordinator_group *cg, void *nothing)
{
	cg->generation = cg->group->generation;
	look_at(shard, cg, NULL);
}

static int make_shards(struct coordinator *coordinator)
{
	int32_t count = topic_partition_count(coordinator->topic);
	int r = 0;

	coordinator->shards = calloc((size_t)count, sizeof(*coordinator->shards));
	if (!coordinator->shards)
		return -ENOMEM;
	for (; coordinator->shards_count < count && r == 0; coordinator->shards_count++) {
		struct shard *shard = &coordinator->shards[coordinator->shards_count];

		shard_init(coordinator, coordinator->shards_count);
		r = shard_load(shard, now());
		shard_each_group(shard, loaded, NULL);
		arm(shard);
	}
	if (r == 0)
		atomic_store_explicit(&coordinator->ready, true, memory_order_release);
	return r;
}

int coordinator_new(struct kafka_server *server, struct coordinator **ret, struct err *err)
{
	struct coordinator *coordinator = calloc(1, sizeof(*coordinator));
	const struct kafka_config *config = server->config;
	int r;

	if (!coordinator)
		return err_set(err, -ENOMEM, "out of memory");
	*ret = coordinator;
	coordinator->server = server;
	coordinator->limits = (struct group_limits){
	    .session_min_ms = (int32_t)config_value(config, KAFKA_CONFIG_GROUP_SESSION_MIN),
	    .session_max_ms = (int32_t)config_value(config, KAFKA_CONFIG_GROUP_SESSION_MAX),
	    .size_max = (int32_t)config_value(config, KAFKA_CONFIG_GROUP_SIZE),
	    .initial_delay_ms = (int32_t)config_value(config, KAFKA_CONFIG_GROUP_DELAY),
	};
	r = sys_random(&coordinator->secret, sizeof(coordinator->secret));
	coordinator->limits.secret = coordinator->secret;
	coordinator->limits.held = &server->held;
	coordinator->topic = store_topic(server->store, SLICE_LITERAL(OFFSETS_TOPIC));
	if (r >= 0 && coordinator->topic)
		r = make_shards(coordinator);
	return r < 0 ? err_set(err, r, "%s can't be loaded: %s", OFFSETS_TOPIC, strerror(-r)) : 0;
}

enum kafka_error coordinator_make(struct coordinator *coordinator)
{
	struct kafka_server *server = coordinator->server;
	const struct kafka_config *config = server->config;
	struct topic_config own = {0};
	enum kafka_error error = KAFKA_NONE;

	topic_config_set(&own, TOPIC_CONFIG_CLEANUP_POLICY, TOPIC_CLEANUP_COMPACT);
	topic_config_set(&own, TOPIC_CONFIG_COMPRESSION_TYPE, 0);
	topic_config_set(&own, TOPIC_CONFIG_SEGMENT_BYTES,
			 config_value(config, KAFKA_CONFIG_OFFSETS_SEGMENT));
	pthread_mutex_lock(&server->making);
	if (!coordinator->topic)
		error = store_topic_create(server->store, SLICE_LITERAL(OFFSETS_TOPIC),
					   (int32_t)config_value(config,
								 KAFKA_CONFIG_OFFSETS_PARTITIONS),
					   &own, &coordinator->topic);
	if (error == KAFKA_NONE && !coordinator_is_ready(coordinator) &&
	    (coordinator->shards || make_shards(coordinator) < 0))
		error = KAFKA_COORDINATOR_NOT_AVAILABLE;
	pthread_mutex_unlock(&server->making);
	return error == KAFKA_NONE ? KAFKA_NONE : KAFKA_COORDINATOR_NOT_AVAILABLE;
}

void coordinator_loop_closes(struct coordinator *coordinator, struct kafka_loop *loop)
{
	if (!coordinator_is_ready(coordinator))
		return;
	for (int32_t i = 0; i < coordinator->shards_count; i++) {
		struct shard *shard = &coordinator->shards[i];

		if (shard->home == loop && shard->timed)
			loop_timer_cancel(loop->loop, &shard->timer);
	}
}

static void end_group(struct shard *shard, struct coordinator_group *cg, void *nothing)
{
	shard_drop(shard, cg);
}

void coordinator_end(struct coordinator *coordinator)
{
	for (int32_t i = 0; coordinator && i < coordinator->shards_count; i++)
		shard_each_group(&coordinator->shards[i], end_group, NULL);
}

void coordinator_free(struct coordinator *coordinator)
{
	if (!coordinator)
		return;
	coordinator_end(coordinator);
	for (int32_t i = 0; i < coordinator->shards_count; i++) {
		batch_writer_fini(&coordinator->shards[i].writer);
		pthread_mutex_destroy(&coordinator->shards[i].lock);
	}
	if (coordinator->topic)
		topic_unref(coordinator->topic);
	free(coordinator->shards);
	free(coordinator);
}
