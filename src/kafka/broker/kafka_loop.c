#include "kafka/broker/kafka_loop.h"

#include <errno.h>
#include <stdlib.h>

#include "base/log.h"
#include "kafka/broker/coordinator.h"
#include "kafka/broker/flush.h"
#include "kafka/broker/kafka_fetch.h"
#include "kafka/broker/kafka_conn.h"
#include "kafka/broker/kafka_produce.h"
#include "sys/sys.h"

/* ---- memory of large requests ---- */

static const size_t request_sizes[KAFKA_REQUEST_SIZES_MAX] = KAFKA_REQUEST_SIZES;

size_t kafka_request_size(size_t size)
{
	if (size <= KAFKA_RECV_BYTES)
		return size;
	for (unsigned i = 0; i < KAFKA_REQUEST_SIZES_MAX; i++)
		if (size <= request_sizes[i])
			return request_sizes[i];
	return size;
}

static struct spare *spare_of(struct kafka_loop *loop, size_t size)
{
	for (unsigned i = 0; i < KAFKA_REQUEST_SIZES_MAX; i++)
		if (size == request_sizes[i])
			return &loop->requests[i];
	return NULL;
}

char *kafka_request_take(struct kafka_loop *loop, size_t size)
{
	struct spare *spare = spare_of(loop, size);

	return spare ? spare_take(spare) : malloc(size);
}

void kafka_request_give(struct kafka_loop *loop, char *memory, size_t size)
{
	struct spare *spare = spare_of(loop, size);

	if (spare && memory)
		spare_give(spare, memory);
	else
		free(memory);
}

static _Atomic uint64_t *account_of(struct kafka_server *server, uint64_t size, uint64_t *ret_most)
{
	bool small = size <= KAFKA_RECV_BYTES;

	*ret_most = small ? KAFKA_SMALL_REQUESTS_BYTES : KAFKA_REQUESTS_BYTES;
	return small ? &server->small_bytes : &server->large_bytes;
}

bool kafka_requests_take(struct kafka_server *server, size_t size, bool must)
{
	uint64_t most;
	_Atomic uint64_t *used = account_of(server, size, &most);

	if (atomic_fetch_add(used, size) + size <= (must ? 2 * most : most))
		return true;
	atomic_fetch_sub(used, size);
	return false;
}

void kafka_requests_give(struct kafka_server *server, uint64_t size)
{
	uint64_t most;

	if (size == 0)
		return;
	atomic_fetch_sub(account_of(server, size, &most), size);
	atomic_fetch_add(&server->freed_bytes, size);
}

bool kafka_requests_are_tight(struct kafka_server *server)
{
	return atomic_load_explicit(&server->small_bytes, memory_order_relaxed) >
	       KAFKA_SMALL_REQUESTS_BYTES / 2;
}

/* ---- what has its time: on loop 0, by a helper ---- */

static void give_back_memory(struct kafka_server *server)
{
	uint64_t freed = atomic_exchange(&server->freed_bytes, 0), held = 0;

	for (unsigned kind = 0; kind < HELD_KINDS; kind++)
		held += atomic_load(&server->held.bytes[kind]);
	if (server->held_before > held)
		freed += server->held_before - held;
	server->held_before = held;
	server->trim_bytes += freed;
	if (server->trim_bytes < KAFKA_TRIM_BYTES || freed > KAFKA_TRIM_IDLE_BYTES)
		return;
	server->trim_bytes = 0;
	sys_memory_trim();
}

static void maintain(struct job *job)
{
	struct kafka_loop *loop = container_of(job, struct kafka_loop, maintenance);

	store_maintain(loop->server->store, sys_wall_ms());
	coordinator_maintain(loop->server->coordinator, sys_wall_ms());
	give_back_memory(loop->server);
}

static void maintained(struct job *job)
{
	container_of(job, struct kafka_loop, maintenance)->maintaining = false;
}

static void tick(struct timer *timer)
{
	struct kafka_loop *loop = timer->arg;

	loop_timer_set(loop->loop, timer, KAFKA_MAINTAIN_MS);
	inbox_deliver(&loop->inbox);
	flush_retry(loop);
	for (unsigned i = 0; i < KAFKA_REQUEST_SIZES_MAX; i++)
		spare_trim(&loop->requests[i]);
	if (loop_index(loop->loop) != 0 || loop->maintaining)
		return;
	loop->maintenance.what = "maintenance of the store";
	loop->maintenance.run = maintain;
	loop->maintenance.done = maintained;
	loop->maintaining = helpers_submit_bulk(loop->loop, &loop->maintenance) == 0;
}

/* ---- life ---- */

void kafka_loop_open(struct loop *reactor_loop, struct kafka_server *server)
{
	struct kafka_loop *loop = server->loops[loop_index(reactor_loop)];

	loop->loop = reactor_loop;
	loop->tick.fired = tick;
	loop->tick.arg = loop;
	loop_timer_set(reactor_loop, &loop->tick, KAFKA_MAINTAIN_MS);
	inbox_open(&loop->inbox, reactor_loop);
}

void kafka_loop_close(struct loop *reactor_loop, struct kafka_server *server)
{
	struct kafka_loop *loop = server->loops[loop_index(reactor_loop)];

	loop_timer_cancel(reactor_loop, &loop->tick);
	coordinator_loop_closes(server->coordinator, loop);
	inbox_close(&loop->inbox);
}

struct kafka_loop *kafka_loop_new(struct kafka_server *server, unsigned index, unsigned count)
{
	int64_t sessions = config_value(server->config, KAFKA_CONFIG_FETCH_SESSIONS);
	struct kafka_loop *loop = calloc(1, sizeof(*loop));

	CHECK(kafka_apis_count <= KAFKA_COUNTED_APIS_MAX);
	if (!loop)
		return NULL;
	if (leat_engine_new(&loop->engine) < 0) {
		free(loop);
		return NULL;
	}
	loop->server = server;
	list_init(&loop->flushes_waiting);
	fetch_sessions_init(&loop->sessions, (uint32_t)(sessions + count - 1) / count,
			    (int32_t)index + 1, (int32_t)count);
	loop->sessions.held = &server->held;
	loop->sessions.secret = server->secret;
	inbox_init(&loop->inbox);
	loop->work = arena_over(loop->work_memory, sizeof(loop->work_memory));
	spare_init(&loop->calls, sizeof(struct kafka_call), KAFKA_SPARE_MAX);
	spare_init(&loop->fetches, fetch_size(KAFKA_INLINE_PARTITIONS), KAFKA_SPARE_MAX);
	spare_init(&loop->produces, produce_size(KAFKA_INLINE_PARTITIONS), KAFKA_SPARE_MAX);
	for (unsigned i = 0; i < KAFKA_REQUEST_SIZES_MAX; i++)
		spare_init(&loop->requests[i], request_sizes[i], KAFKA_REQUEST_SPARE_MAX);
	return loop;
}

void kafka_loop_free(struct kafka_loop *loop)
{
	if (!loop)
		return;
	/* Messages to calls whose connections are gone: they end now. */
	inbox_deliver(&loop->inbox);
	inbox_fini(&loop->inbox);
	leat_engine_free(loop->engine);
	fetch_sessions_fini(&loop->sessions);
	spare_fini(&loop->calls);
	spare_fini(&loop->fetches);
	spare_fini(&loop->produces);
	for (unsigned i = 0; i < KAFKA_REQUEST_SIZES_MAX; i++)
		spare_fini(&loop->requests[i]);
	free(loop);
}
