#include "http/http_metrics.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/json.h"
#include "base/metrics.h"
#include "http/http_account.h"

/* Name, type, help. */
#define METRICS(M)                                                                                 \
	M(requests, "leat_http_requests_total", COUNTER, "Requests that were answered.")           \
	M(responses, "leat_http_responses_total", COUNTER, "Answers by status.")                   \
	M(durations, "leat_http_request_duration_seconds", HISTOGRAM,                              \
	  "From the request received whole to the last byte with the kernel.")                     \
	M(opened, "leat_http_connections_total", COUNTER, "Connections that were accepted.")       \
	M(open, "leat_http_connections_open", GAUGE, "Connections that are open.")                 \
	M(refused, "leat_connections_refused_total", COUNTER,                                      \
	  "Times that accepting had to stop: connections or descriptors had run out.")             \
	M(expired, "leat_http_timeouts_total", COUNTER,                                            \
	  "Connections closed at a deadline, by which.")                                           \
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
	M(truncated, "leat_http_truncated_files_total", COUNTER,                                   \
	  "Files that shrank while they were sent: the connection was closed.")                    \
	M(hits, "leat_http_cache_hits_total", COUNTER, "Files found in the cache.")                \
	M(misses, "leat_http_cache_misses_total", COUNTER, "Names that were not in the cache.")    \
	M(changed, "leat_http_cache_changed_total", COUNTER,                                       \
	  "Cached files dropped since they had changed.")                                          \
	M(evicted, "leat_http_cache_evicted_total", COUNTER, "Cached files dropped to make room.") \
	M(compared, "leat_http_cache_compared_total", COUNTER,                                     \
	  "Times a cached file was compared with the file system.")                                \
	M(entries, "leat_http_cache_entries", GAUGE, "Files in the cache.")                        \
	M(cache_bytes, "leat_http_cache_bytes", GAUGE, "Memory of the cached files.")              \
	M(cache_fds, "leat_http_cache_fds", GAUGE, "Descriptors of the cached files.")             \
	M(watches, "leat_http_cache_watches", GAUGE, "Directories that are watched.")              \
	M(jobs, "leat_helper_jobs_total", COUNTER, "Jobs given to helper threads.")                \
	M(queued, "leat_helper_jobs_queued", GAUGE, "Jobs that wait for a helper thread.")         \
	M(helpers, "leat_helper_threads", GAUGE, "Helper threads that were started.")              \
	M(busy, "leat_helper_threads_busy", GAUGE, "Helper threads at work.")                      \
	M(turns, "leat_loop_turns_total", COUNTER, "Turns of the event loops.")                    \
	M(events, "leat_loop_events_total", COUNTER, "Events that the loops handled.")             \
	M(log_lines, "leat_access_log_lines_total", COUNTER, "Lines for the access log.")          \
	M(log_lost, "leat_access_log_lost_lines_total", COUNTER,                                   \
	  "Lines dropped since the log did not take them fast enough.")                            \
	M(log_bytes, "leat_access_log_written_bytes_total", COUNTER,                               \
	  "Bytes written to the access log.")                                                      \
	M(log_errors, "leat_access_log_errors_total", COUNTER,                                     \
	  "Failed writes to the access log, and openings of it.")

static const struct {
#define MEMBER(id, name, type, help) struct metric id;
	METRICS(MEMBER)
#undef MEMBER
} metrics = {
#define METRIC(id, name, type, help) .id = {name, METRIC_##type, help},
    METRICS(METRIC)
#undef METRIC
};

static const char *const deadline_names[HTTP_DEADLINE_COUNT] = {
    [HTTP_DEADLINE_HEADER] = "header", [HTTP_DEADLINE_BODY] = "body",
    [HTTP_DEADLINE_IDLE] = "idle",     [HTTP_DEADLINE_WRITE] = "write",
    [HTTP_DEADLINE_LINGER] = "linger",
};

static void sample(struct buf *out, const struct metric *metric, const char *label,
		   const char *value, uint64_t n)
{
	metric_sample(out, metric, &(struct metric_labels){label, value, NULL, NULL}, n);
}

static void put_requests(struct buf *out, const struct http_account *a)
{
	metric_put(out, &metrics.requests, a->requests);
	metric_begin(out, &metrics.responses);
	for (unsigned status = 0; status < HTTP_STATUS_MAX; status++) {
		char text[12];

		if (!a->status[status])
			continue;
		snprintf(text, sizeof(text), "%u", status);
		sample(out, &metrics.responses, "status", text, a->status[status]);
	}
	metric_put_histogram(out, &metrics.durations, &a->durations);
}

static void put_connections(struct buf *out, const struct http_account *a,
			    const struct reactor_stats *r)
{
	metric_put(out, &metrics.opened, a->opened);
	metric_put(out, &metrics.open, a->opened - a->closed);
	metric_put(out, &metrics.refused, r->refused);
	metric_begin(out, &metrics.expired);
	for (unsigned i = 0; i < HTTP_DEADLINE_COUNT; i++)
		sample(out, &metrics.expired, "deadline", deadline_names[i], a->expired[i]);
}

static void put_verdicts(struct buf *out, const struct leat_ledger *l)
{
	const struct metric *m = &metrics.verdicts;

	metric_begin(out, m);
	sample(out, m, "verdict", "by-reference", l->bytes_by_reference);
	sample(out, m, "verdict", "copied", l->bytes_copied);
	sample(out, m, "verdict", "copied-later", l->bytes_copied_later);
	sample(out, m, "verdict", "transformed", l->bytes_transformed);
	sample(out, m, "verdict", "unknown", l->bytes_unknown);
}

/* Those that were used. */
static void put_techniques(struct buf *out, const struct engine_counters *e)
{
	metric_begin(out, &metrics.techniques);
	for (unsigned t = 0; t < LEAT_TECHNIQUE_COUNT; t++)
		if (e->technique_bytes[t])
			sample(out, &metrics.techniques, "technique", leat_technique_name(t),
			       e->technique_bytes[t]);
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

static void put_transfers(struct buf *out, const struct http_account *a)
{
	put_verdicts(out, &a->ledger);
	put_techniques(out, &a->engine);
	metric_put(out, &metrics.fallen, a->ledger.bytes_fallen_back);
	metric_put(out, &metrics.calls, a->ledger.syscalls);
	metric_put(out, &metrics.blocked, a->ledger.would_block);
	metric_put(out, &metrics.cold, a->ledger.loads);
	metric_put(out, &metrics.truncated, a->truncated);
}

static void put_cache(struct buf *out, const struct file_cache_stats *c)
{
	metric_put(out, &metrics.hits, c->hits);
	metric_put(out, &metrics.misses, c->misses);
	metric_put(out, &metrics.changed, c->dropped);
	metric_put(out, &metrics.evicted, c->evicted);
	metric_put(out, &metrics.compared, c->compared);
	metric_put(out, &metrics.entries, c->entries);
	metric_put(out, &metrics.cache_bytes, c->bytes);
	metric_put(out, &metrics.cache_fds, c->fds);
	metric_put(out, &metrics.watches, c->watches);
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

static void put_log(struct buf *out, const struct access_log *log)
{
	struct access_log_stats stats = {0};

	if (!log)
		return;
	access_log_stats(log, &stats);
	metric_put(out, &metrics.log_lines, stats.lines);
	metric_put(out, &metrics.log_lost, stats.lost);
	metric_put(out, &metrics.log_bytes, stats.bytes);
	metric_put(out, &metrics.log_errors, stats.errors);
}

static void write_metrics(void *arg, struct buf *out)
{
	const struct http_metrics *m = arg;
	struct http_account account;
	struct reactor_stats stats;

	http_account(m->server, &account);
	reactor_stats(m->reactor, &stats);
	put_requests(out, &account);
	put_connections(out, &account, &stats);
	put_transfers(out, &account);
	put_cache(out, &account.cache);
	put_threads(out, &stats);
	put_log(out, http_server_access_log(m->server));
}

/* ---- /status ---- */

static void status_statuses(struct buf *out, const struct http_account *a)
{
	json_open(out, "statuses");
	for (unsigned status = 0; status < HTTP_STATUS_MAX; status++) {
		char text[12];

		snprintf(text, sizeof(text), "%u", status);
		if (a->status[status])
			json_u64(out, text, a->status[status]);
	}
	json_close(out);
}

static void status_bytes(struct buf *out, const struct leat_ledger *l)
{
	json_open(out, "bytes");
	json_u64(out, "sent", l->bytes);
	json_u64(out, "by_reference", l->bytes_by_reference);
	json_u64(out, "copied", l->bytes_copied + l->bytes_copied_later);
	json_u64(out, "transformed", l->bytes_transformed);
	json_u64(out, "unknown", l->bytes_unknown);
	json_close(out);
}

static void status_durations(struct buf *out, const struct histogram *h)
{
	json_open(out, "duration_microseconds");
	json_u64(out, "mean", histogram_mean(h) / 1000);
	json_u64(out, "p50", histogram_quantile(h, 500) / 1000);
	json_u64(out, "p99", histogram_quantile(h, 990) / 1000);
	json_u64(out, "max", histogram_max(h) / 1000);
	json_close(out);
}

static void write_status(void *arg, struct buf *out)
{
	const struct http_metrics *m = arg;
	struct http_account a;

	http_account(m->server, &a);
	json_text(out, "directory", http_server_site(m->server)->root_name);
	json_u64(out, "requests", a.requests);
	json_u64(out, "connections", a.opened);
	json_u64(out, "connections_open", a.opened - a.closed);
	status_statuses(out, &a);
	status_bytes(out, &a.ledger);
	status_durations(out, &a.durations);
	json_u64(out, "cache_hits", a.cache.hits);
	json_u64(out, "cache_misses", a.cache.misses);
	json_u64(out, "cache_entries", a.cache.entries);
	json_u64(out, "cold_ranges", a.ledger.loads);
}

void http_metrics_add(struct http_metrics *m, struct admin *admin)
{
	admin_add(admin, &(struct admin_source){
			     .name = "http",
			     .metrics = write_metrics,
			     .status = write_status,
			     .arg = m,
			 });
}
