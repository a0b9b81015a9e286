/* What operators read of the relay: the table of metrics, /status. */
#include "admin/admin.h"
#include "admin/admin_totals.h"
#include "base/json.h"
#include "base/metrics.h"
#include "reactor/address.h"
#include "relay/relay_server.h"
#include "sys/sys.h"

/* Name, type, help. */
#define METRICS(M)                                                                              \
	M(accepted, "leat_relay_connections_total", COUNTER, "Clients that were accepted.")     \
	M(open, "leat_relay_connections_open", GAUGE, "Clients that are connected.")            \
	M(retries, "leat_relay_retries_total", COUNTER, "Attempts to connect after the first.") \
	M(bytes, "leat_relay_bytes_total", COUNTER,                                             \
	  "Bytes of connections that have ended, by direction.")                                \
	M(ended, "leat_relay_ended_total", COUNTER, "Connections that have ended, by how.")     \
	M(peer_up, "leat_relay_target_up", GAUGE,                                               \
	  "1, or 0 after too many failures to connect in a row.")                               \
	M(peer_active, "leat_relay_target_connections_open", GAUGE,                             \
	  "Connections with the target, also those that are being made.")                       \
	M(peer_total, "leat_relay_target_connections_total", COUNTER,                           \
	  "Connections that were made with the target.")                                        \
	M(peer_failures, "leat_relay_target_failures_total", COUNTER,                           \
	  "Attempts to connect to the target that failed.")                                     \
	M(peer_downs, "leat_relay_target_downs_total", COUNTER,                                 \
	  "Times the target was taken for down.")                                               \
	M(peer_in, "leat_relay_target_received_bytes_total", COUNTER,                           \
	  "Bytes from the target, of connections that have ended.")                             \
	M(peer_out, "leat_relay_target_sent_bytes_total", COUNTER,                              \
	  "Bytes to the target, of connections that have ended.")

static METRICS_TABLE(METRICS) metrics = METRICS_ROWS(METRICS);

static uint64_t relay_ended_sum(const struct relay_counters *counters)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < RELAY_END_COUNT; i++)
		sum += counters->ended[i];
	return sum;
}

/* One metric of all targets. A name that has several addresses is several targets. */
static void relay_put_targets(struct buf *out, const struct relay_server *server,
			      const struct metric *metric,
			      uint64_t (*value)(const struct upstream_peer *peer))
{
	metric_begin(out, metric);
	for (unsigned i = 0; i < server->group.count; i++) {
		const struct upstream_peer *peer = &server->group.peers[i];
		char address[ADDRESS_TEXT_MAX];

		address_format(&peer->address, peer->address_len, address);
		metric_sample(out, metric,
			      &(struct metric_labels){"target", peer->name, "address", address},
			      value(peer));
	}
}

static uint64_t relay_peer_up(const struct upstream_peer *peer)
{
	return !upstream_is_down(peer, sys_now_coarse_ns() / 1000000);
}

#define PEER_VALUE(name, member)                                                  \
	static uint64_t relay_peer_##name(const struct upstream_peer *peer)       \
	{                                                                         \
		return atomic_load_explicit(&peer->member, memory_order_relaxed); \
	}

PEER_VALUE(active, active)
PEER_VALUE(total, connections)
PEER_VALUE(failures, failures)
PEER_VALUE(downs, downs)
PEER_VALUE(in, bytes_in)
PEER_VALUE(out, bytes_out)

static void relay_write_metrics(void *arg, struct buf *out)
{
	const struct relay_server *server = arg;
	struct relay_account sum;

	relay_account(server, &sum);
	metric_put(out, &metrics.accepted, sum.counters.accepted);
	metric_put(out, &metrics.open,
		   counter_between(sum.counters.accepted, relay_ended_sum(&sum.counters)));
	metric_put(out, &metrics.retries, sum.counters.retries);
	metric_begin(out, &metrics.bytes);
	metric_sample_of(out, &metrics.bytes, "to", "target", sum.counters.bytes_to_target);
	metric_sample_of(out, &metrics.bytes, "to", "client", sum.counters.bytes_to_client);
	metric_begin(out, &metrics.ended);
	for (unsigned i = RELAY_END_CLEAN; i < RELAY_END_COUNT; i++)
		metric_sample_of(out, &metrics.ended, "how", relay_end_name((enum relay_end)i),
				 sum.counters.ended[i]);
	relay_put_targets(out, server, &metrics.peer_up, relay_peer_up);
	relay_put_targets(out, server, &metrics.peer_active, relay_peer_active);
	relay_put_targets(out, server, &metrics.peer_total, relay_peer_total);
	relay_put_targets(out, server, &metrics.peer_failures, relay_peer_failures);
	relay_put_targets(out, server, &metrics.peer_downs, relay_peer_downs);
	relay_put_targets(out, server, &metrics.peer_in, relay_peer_in);
	relay_put_targets(out, server, &metrics.peer_out, relay_peer_out);
}

static void relay_write_status(void *arg, struct buf *out)
{
	const struct relay_server *server = arg;
	struct relay_account sum;

	relay_account(server, &sum);
	json_u64(out, "connections", sum.counters.accepted);
	json_u64(out, "connections_open",
		 counter_between(sum.counters.accepted, relay_ended_sum(&sum.counters)));
	admin_status_bytes(out, &sum.engine.ledger);
	json_open(out, "targets");
	for (unsigned i = 0; i < server->group.count; i++) {
		const struct upstream_peer *peer = &server->group.peers[i];
		char address[ADDRESS_TEXT_MAX];

		address_format(&peer->address, peer->address_len, address);
		json_open(out, address);
		json_text(out, "name", peer->name);
		json_u64(out, "up", relay_peer_up(peer));
		json_u64(out, "connections_open", relay_peer_active(peer));
		json_u64(out, "connections", relay_peer_total(peer));
		json_u64(out, "failures", relay_peer_failures(peer));
		json_close(out);
	}
	json_close(out);
}

static void relay_add_engines(void *arg, struct engine_account *sum)
{
	const struct relay_server *server = arg;

	for (unsigned i = 0; i < REACTOR_LOOPS_MAX; i++) {
		const struct relay_loop *loop = atomic_load(&server->loops[i]);

		if (loop)
			engine_account_add(sum, &loop->engine);
	}
}

void relay_metrics_add(struct relay_server *server, struct admin *admin)
{
	admin_add(admin, &(struct admin_source){
			     .name = "relay",
			     .metrics = relay_write_metrics,
			     .status = relay_write_status,
			     .engines = relay_add_engines,
			     .arg = server,
			 });
}
