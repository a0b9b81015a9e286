#include "admin/admin_totals.h"

#include "base/json.h"
#include "base/metrics.h"

/* Name, type, help. */
#define METRICS(M)                                                                                 \
	M(refused, "leat_connections_refused_total", COUNTER,                                      \
	  "Times that accepting had to stop: connections or descriptors had run out.")             \
	M(verdicts, "leat_bytes_total", COUNTER, "Bytes sent, by what became of them.")            \
	M(techniques, "leat_technique_bytes_total", COUNTER, "Bytes sent, by technique.")          \
	M(fallbacks, "leat_fallbacks_total", COUNTER,                                              \
	  "Times the kernel refused a technique, and another was used, by error.")                 \
	M(fallen, "leat_fallback_bytes_total", COUNTER, "Bytes that went by the other technique.") \
	M(calls, "leat_transfer_calls_total", COUNTER, "System calls made to send.")               \
	M(blocked, "leat_transfer_would_block_total", COUNTER,                                     \
	  "Times a socket took no more for now.")                                                  \
	M(cold, "leat_cold_ranges_total", COUNTER,                                                 \
	  "File ranges that were not in memory, and were loaded by a helper thread.")              \
	M(jobs, "leat_helper_jobs_total", COUNTER, "Jobs given to helper threads.")                \
	M(queued, "leat_helper_jobs_queued", GAUGE, "Jobs that wait for a helper thread.")         \
	M(helpers, "leat_helper_threads", GAUGE, "Helper threads that were started.")              \
	M(busy, "leat_helper_threads_busy", GAUGE, "Helper threads at work.")                      \
	M(turns, "leat_loop_turns_total", COUNTER, "Turns of the event loops.")                    \
	M(events, "leat_loop_events_total", COUNTER, "Events that the loops handled.")

static METRICS_TABLE(METRICS) metrics = METRICS_ROWS(METRICS);

static void put_verdicts(struct buf *out, const struct leat_ledger *l)
{
	const struct metric *m = &metrics.verdicts;

	metric_begin(out, m);
	metric_sample_of(out, m, "verdict", "by-reference", l->bytes_by_reference);
	metric_sample_of(out, m, "verdict", "copied", l->bytes_copied);
	metric_sample_of(out, m, "verdict", "copied-later", l->bytes_copied_later);
	metric_sample_of(out, m, "verdict", "transformed", l->bytes_transformed);
	metric_sample_of(out, m, "verdict", "unknown", l->bytes_unknown);
}

/* Those that were used. */
static void put_techniques(struct buf *out, const struct engine_counters *e)
{
	metric_begin(out, &metrics.techniques);
	for (unsigned t = 0; t < LEAT_TECHNIQUE_COUNT; t++)
		if (e->technique_bytes[t])
			metric_sample_of(out, &metrics.techniques, "technique",
					 leat_technique_name(t), e->technique_bytes[t]);
	metric_begin(out, &metrics.fallbacks);
	for (unsigned t = 0; t < LEAT_TECHNIQUE_COUNT; t++)
		for (unsigned i = 0; i < REFUSAL_COUNT; i++)
			if (e->fallbacks[t][i])
				metric_sample(out, &metrics.fallbacks,
					      &(struct metric_labels){"technique",
								      leat_technique_name(t),
								      "error", refusal_name(i)},
					      e->fallbacks[t][i]);
}

static void put_transfers(struct buf *out, const struct engine_account *engines)
{
	const struct leat_ledger *l = &engines->ledger;

	put_verdicts(out, l);
	put_techniques(out, &engines->counters);
	metric_put(out, &metrics.fallen, l->bytes_fallen_back);
	metric_put(out, &metrics.calls, l->syscalls);
	metric_put(out, &metrics.blocked, l->would_block);
	metric_put(out, &metrics.cold, l->loads);
}

static void put_threads(struct buf *out, const struct reactor_stats *r)
{
	metric_put(out, &metrics.jobs, r->helper_jobs);
	metric_put(out, &metrics.queued, r->helper_queued);
	metric_put(out, &metrics.helpers, r->helper_threads);
	metric_put(out, &metrics.busy, r->helper_busy);
	metric_put(out, &metrics.turns, r->turns);
	metric_put(out, &metrics.events, r->events);
}

void admin_totals_metrics(const struct engine_account *engines, const struct reactor_stats *reactor,
			  struct buf *out)
{
	metric_put(out, &metrics.refused, reactor->refused);
	put_transfers(out, engines);
	put_threads(out, reactor);
}

/* ---- parts of /status ---- */

void admin_status_bytes(struct buf *out, const struct leat_ledger *l)
{
	json_open(out, "bytes");
	json_u64(out, "sent", l->bytes);
	json_u64(out, "by_reference", l->bytes_by_reference);
	json_u64(out, "copied", l->bytes_copied + l->bytes_copied_later);
	json_u64(out, "transformed", l->bytes_transformed);
	json_u64(out, "unknown", l->bytes_unknown);
	json_close(out);
}

void admin_status_durations(struct buf *out, const struct histogram *h)
{
	json_open(out, "duration_microseconds");
	json_u64(out, "mean", histogram_mean(h) / 1000);
	json_u64(out, "p50", histogram_quantile(h, 500) / 1000);
	json_u64(out, "p99", histogram_quantile(h, 990) / 1000);
	json_u64(out, "max", histogram_max(h) / 1000);
	json_close(out);
}
