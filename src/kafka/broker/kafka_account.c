#include "kafka/broker/kafka_account.h"

/* Counters are nothing but uint64_t, so that they can be gone through as an array. */
#define COUNTERS (sizeof(struct kafka_counters) / sizeof(uint64_t))

static void add_counters(struct kafka_counters *sum, const struct kafka_counters *more)
{
	uint64_t *total = (uint64_t *)sum;
	const uint64_t *from = (const uint64_t *)more;

	for (size_t i = 0; i < COUNTERS; i++)
		total[i] += counter_get(&from[i]);
}

void kafka_account_loops(const struct kafka_server *server, struct kafka_account *ret)
{
	memset(ret, 0, sizeof(*ret));
	for (unsigned i = 0; i < server->loops_count; i++)
		add_counters(&ret->counters, &server->loops[i]->counters);
	for (size_t i = 0; i < kafka_apis_count; i++)
		ret->requests += ret->counters.requests[i];
}

void kafka_account(struct kafka_server *server, struct kafka_account *ret)
{
	kafka_account_loops(server, ret);
	for (unsigned i = 0; i < server->loops_count; i++)
		for (unsigned kind = 0; kind < KAFKA_TIMED_COUNT; kind++)
			histogram_merge(&ret->durations[kind],
					&server->loops[i]->timing.durations[kind]);
	kafka_account_engines(server, &ret->engines);
	coordinator_stats(server->coordinator, &ret->groups);
	store_stats(server->store, &ret->store);
	store_flush_times(server->store, &ret->flushes);
	ret->request_bytes = atomic_load(&server->large_bytes) + atomic_load(&server->small_bytes);
	ret->producer_ids = kafka_producer_ids_given(server);
}

void kafka_account_engines(const struct kafka_server *server, struct engine_account *sum)
{
	for (unsigned i = 0; i < server->loops_count; i++)
		engine_account_add(sum, server->loops[i]->engine);
}
