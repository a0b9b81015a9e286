#include "kafka/broker/kafka_metrics.h"

#include "admin/admin_totals.h"
#include "base/json.h"
#include "base/metrics.h"
#include "kafka/broker/kafka_account.h"

/* Name, type, help. */
#define METRICS(M)                                                                                \
	M(requests, "leat_kafka_requests_total", COUNTER, "Requests that were taken up, by API.") \
	M(errors, "leat_kafka_errors_total", COUNTER,                                             \
	  "Error codes in answers, by API and name: a request may have one for each partition.")  \
	M(durations, "leat_kafka_request_duration_seconds", HISTOGRAM,                            \
	  "From the request taken up to its answer with the kernel, without waiting for others.") \
	M(opened, "leat_kafka_connections_total", COUNTER, "Connections that were accepted.")     \
	M(open, "leat_kafka_connections_open", GAUGE, "Connections that are open.")               \
	M(not_kafka, "leat_kafka_not_kafka_total", COUNTER,                                       \
	  "Connections closed for a request that is malformed or not known here.")                \
	M(expired, "leat_kafka_timeouts_total", COUNTER,                                          \
	  "Connections closed at a deadline, by which.")                                          \
	M(produced_bytes, "leat_kafka_produced_bytes_total", COUNTER,                             \
	  "Bytes of record batches that were appended for producers.")                            \
	M(produced_batches, "leat_kafka_produced_batches_total", COUNTER, "Such batches.")        \
	M(produced_records, "leat_kafka_produced_records_total", COUNTER, "Records in them.")     \
	M(duplicates, "leat_kafka_duplicate_batches_total", COUNTER,                              \
	  "Batches of idempotent producers that were there already.")                             \
	M(fetched_bytes, "leat_kafka_fetched_bytes_total", COUNTER,                               \
	  "Bytes of records in answers to fetches.")                                              \
	M(waiting, "leat_kafka_fetches_waiting", GAUGE, "Fetches that wait for data.")            \
	M(waited, "leat_kafka_fetches_waited_total", COUNTER,                                     \
	  "Fetches that had to wait for data.")                                                   \
	M(sessions, "leat_kafka_fetch_sessions", GAUGE, "Fetch sessions that are kept.")          \
	M(helped, "leat_kafka_helped_requests_total", COUNTER,                                    \
	  "Requests that a helper thread carried on, as they had to wait for the disk.")          \
	M(request_bytes, "leat_kafka_request_memory_bytes", GAUGE,                                \
	  "Memory of requests that are being received; at most 640 MiB.")                         \
	M(memory_waits, "leat_kafka_request_memory_waits_total", COUNTER,                         \
	  "Times a connection was not read on, as that memory was used up.")                      \
	M(turn_elements, "leat_kafka_turn_elements_max", GAUGE,                                   \
	  "The most elements of arrays that a loop has handled for a request.")                   \
	M(step_elements, "leat_kafka_step_elements_max", GAUGE,                                   \
	  "The most that a helper has handled without a look whether anybody waits.")             \
	M(held, "leat_kafka_held_bytes", GAUGE,                                                   \
	  "Memory held for clients between requests, by what it is for.")                         \
	M(held_refused, "leat_kafka_held_refused_total", COUNTER,                                 \
	  "Times that there was no room for more of it.")                                         \
	M(topics, "leat_kafka_topics", GAUGE, "Topics.")                                          \
	M(partitions, "leat_kafka_partitions", GAUGE, "Partitions.")                              \
	M(offline, "leat_kafka_partitions_offline", GAUGE,                                        \
	  "Partitions that can't be used until the next start, as the disk failed.")              \
	M(no_room, "leat_kafka_disk_full", GAUGE,                                                 \
	  "1: the last write of something new found no room.")                                    \
	M(segments, "leat_kafka_segments", GAUGE, "Segments of all partitions.")                  \
	M(segments_open, "leat_kafka_segments_open", GAUGE, "Segments with open files.")          \
	M(log_bytes, "leat_kafka_log_bytes", GAUGE, "Bytes of all segments.")                     \
	M(flushes, "leat_kafka_flush_duration_seconds", HISTOGRAM,                                \
	  "Syncs of partitions to the disk, by how long they took.")                              \
	M(groups, "leat_kafka_groups", GAUGE, "Consumer groups, by state.")                       \
	M(members, "leat_kafka_group_members", GAUGE, "Members of all groups.")                   \
	M(offsets, "leat_kafka_committed_offsets", GAUGE, "Offsets that groups have committed.")  \
	M(generations, "leat_kafka_rebalances_total", COUNTER,                                    \
	  "Rebalances of groups that led to a new generation, by what began them.")               \
	M(ids, "leat_kafka_producer_ids_total", COUNTER, "Ids given to idempotent producers.")

static METRICS_TABLE(METRICS) metrics = METRICS_ROWS(METRICS);

static const char *const deadline_names[KAFKA_DEADLINE_COUNT] = {
    [KAFKA_DEADLINE_REQUEST] = "request",
    [KAFKA_DEADLINE_IDLE] = "idle",
    [KAFKA_DEADLINE_WRITE] = "write",
};

static const char *const timed_names[KAFKA_TIMED_COUNT] = {
    [KAFKA_TIMED_PRODUCE] = "Produce",
    [KAFKA_TIMED_FETCH] = "Fetch",
    [KAFKA_TIMED_OTHER] = "other",
};

/* ---- /metrics ---- */

/* Those that came. */
static void put_requests(struct buf *out, const struct kafka_account *a)
{
	metric_begin(out, &metrics.requests);
	for (size_t i = 0; i < kafka_apis_count; i++)
		if (a->counters.requests[i])
			metric_sample_of(out, &metrics.requests, "api", kafka_apis[i].name,
					 a->counters.requests[i]);
	metric_begin(out, &metrics.durations);
	for (unsigned kind = 0; kind < KAFKA_TIMED_COUNT; kind++)
		metric_sample_histogram(out, &metrics.durations, "api", timed_names[kind],
					&a->durations[kind]);
}

static void put_errors(struct buf *out, const struct kafka_server *server)
{
	metric_begin(out, &metrics.errors);
	for (size_t i = 0; i < kafka_apis_count; i++)
		for (unsigned n = 0; n < KAFKA_ERROR_CODES; n++) {
			uint64_t count = counter_get(&server->errors[i][n]);

			if (count)
				metric_sample(out, &metrics.errors,
					      &(struct metric_labels){"api", kafka_apis[i].name,
								      "error",
								      kafka_error_nth(n)->name},
					      count);
		}
}

static void put_connections(struct buf *out, const struct kafka_counters *c)
{
	metric_put(out, &metrics.opened, c->opened);
	metric_put(out, &metrics.open, counter_between(c->opened, c->closed));
	metric_put(out, &metrics.not_kafka, c->not_kafka);
	metric_begin(out, &metrics.expired);
	for (unsigned i = 0; i < KAFKA_DEADLINE_COUNT; i++)
		metric_sample_of(out, &metrics.expired, "deadline", deadline_names[i],
				 c->expired[i]);
}

static void put_records(struct buf *out, const struct kafka_counters *c)
{
	metric_put(out, &metrics.produced_bytes, c->produced.bytes);
	metric_put(out, &metrics.produced_batches, c->produced.batches);
	metric_put(out, &metrics.produced_records, c->produced.records);
	metric_put(out, &metrics.duplicates, c->produced.duplicates);
	metric_put(out, &metrics.fetched_bytes, c->fetched_bytes);
	metric_put(out, &metrics.waiting, c->waiting);
	metric_put(out, &metrics.waited, c->waited);
	metric_put(out, &metrics.sessions, c->sessions);
}

static void put_costs(struct buf *out, const struct kafka_server *server)
{
	metric_put(out, &metrics.turn_elements, atomic_load(&server->turn_elements));
	metric_put(out, &metrics.step_elements, atomic_load(&server->step_elements));
	metric_begin(out, &metrics.held);
	for (unsigned kind = 0; kind < HELD_KINDS; kind++)
		metric_sample_of(out, &metrics.held, "for", held_names[kind],
				 atomic_load(&server->held.bytes[kind]));
	metric_begin(out, &metrics.held_refused);
	for (unsigned kind = 0; kind < HELD_KINDS; kind++)
		metric_sample_of(out, &metrics.held_refused, "for", held_names[kind],
				 atomic_load(&server->held.refused[kind]));
}

static void put_store(struct buf *out, const struct kafka_account *a)
{
	const struct store_stats *s = &a->store;

	metric_put(out, &metrics.topics, s->topics);
	metric_put(out, &metrics.partitions, s->partitions);
	metric_put(out, &metrics.offline, s->partitions_offline);
	metric_put(out, &metrics.no_room, s->no_room);
	metric_put(out, &metrics.segments, s->segments);
	metric_put(out, &metrics.segments_open, s->segments_open);
	metric_put(out, &metrics.log_bytes, s->bytes);
	metric_put_histogram(out, &metrics.flushes, &a->flushes);
}

static void put_groups(struct buf *out, const struct coordinator_stats *g)
{
	metric_begin(out, &metrics.groups);
	for (unsigned state = 0; state < GROUP_DEAD; state++)
		metric_sample_of(out, &metrics.groups, "state",
				 group_state_name((enum group_state)state), g->groups[state]);
	metric_put(out, &metrics.members, g->members);
	metric_put(out, &metrics.offsets, g->offsets);
	metric_begin(out, &metrics.generations);
	for (unsigned cause = 0; cause < GROUP_CAUSE_COUNT; cause++)
		metric_sample_of(out, &metrics.generations, "reason",
				 group_cause_name((enum group_cause)cause), g->generations[cause]);
}

static void write_metrics(void *arg, struct buf *out)
{
	struct kafka_server *server = arg;
	struct kafka_account a;

	kafka_account(server, &a);
	put_requests(out, &a);
	put_errors(out, server);
	put_connections(out, &a.counters);
	put_records(out, &a.counters);
	metric_put(out, &metrics.helped, a.counters.helped);
	metric_put(out, &metrics.request_bytes, a.request_bytes);
	metric_put(out, &metrics.memory_waits, a.counters.memory_waits);
	put_costs(out, server);
	put_store(out, &a);
	put_groups(out, &a.groups);
	metric_put(out, &metrics.ids, a.producer_ids);
}

/* ---- /status ---- */

static void status_durations(struct buf *out, const struct kafka_account *a)
{
	json_open(out, "apis");
	for (unsigned kind = 0; kind < KAFKA_TIMED_COUNT; kind++) {
		json_open(out, timed_names[kind]);
		json_u64(out, "requests", histogram_count(&a->durations[kind]));
		admin_status_durations(out, &a->durations[kind]);
		json_close(out);
	}
	json_close(out);
}

static void write_status(void *arg, struct buf *out)
{
	struct kafka_server *server = arg;
	struct kafka_account a;
	const struct kafka_counters *c = &a.counters;

	kafka_account(server, &a);
	json_text(out, "directory", store_path(server->store));
	json_text(out, "cluster_id", store_cluster_id(server->store));
	json_u64(out, "node_id", (uint64_t)store_node_id(server->store));
	json_u64(out, "requests", a.requests);
	json_u64(out, "connections", c->opened);
	json_u64(out, "connections_open", counter_between(c->opened, c->closed));
	json_u64(out, "produced_bytes", c->produced.bytes);
	json_u64(out, "produced_records", c->produced.records);
	json_u64(out, "fetched_bytes", c->fetched_bytes);
	json_u64(out, "fetches_waiting", c->waiting);
	admin_status_bytes(out, &a.engines.ledger);
	status_durations(out, &a);
	json_u64(out, "topics", a.store.topics);
	json_u64(out, "partitions", a.store.partitions);
	json_u64(out, "partitions_offline", a.store.partitions_offline);
	json_u64(out, "log_bytes", a.store.bytes);
	json_u64(out, "groups", a.groups.all);
	json_u64(out, "group_members", a.groups.members);
	json_u64(out, "cold_ranges", a.engines.ledger.loads);
}

static void write_trouble(void *arg, struct buf *out)
{
	const struct kafka_server *server = arg;
	struct store_stats stats;

	store_stats(server->store, &stats);
	if (stats.partitions_offline > 0)
		buf_printf(
		    out, "%u of %u partitions are offline until the next start: the log says why\n",
		    stats.partitions_offline, stats.partitions);
	if (stats.no_room)
		buf_printf(out, "the disk is full: %s\n", store_path(server->store));
	if (stats.unsettled)
		buf_add_literal(out,
				"a change of topics that failed can't be taken back for now\n");
}

static void add_engines(void *arg, struct engine_account *sum)
{
	kafka_account_engines(arg, sum);
}

void kafka_metrics_add(struct kafka_server *server, struct admin *admin)
{
	server->observed = true;
	admin_add(admin, &(struct admin_source){
			     .name = "kafka",
			     .metrics = write_metrics,
			     .status = write_status,
			     .trouble = write_trouble,
			     .engines = add_engines,
			     .arg = server,
			 });
}
