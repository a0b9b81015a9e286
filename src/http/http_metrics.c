#include "http/http_metrics.h"

#include <stdio.h>
#include <stdlib.h>

#include "admin/admin_totals.h"
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
	M(expired, "leat_http_timeouts_total", COUNTER,                                            \
	  "Connections closed at a deadline, by which.")                                           \
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
	M(log_lines, "leat_access_log_lines_total", COUNTER, "Lines for the access log.")          \
	M(log_lost, "leat_access_log_lost_lines_total", COUNTER,                                   \
	  "Lines dropped since the log did not take them fast enough.")                            \
	M(log_bytes, "leat_access_log_written_bytes_total", COUNTER,                               \
	  "Bytes written to the access log.")                                                      \
	M(log_errors, "leat_access_log_errors_total", COUNTER,                                     \
	  "Failed writes to the access log, and openings of it.")

static METRICS_TABLE(METRICS) metrics = METRICS_ROWS(METRICS);

static const char *const deadline_names[HTTP_DEADLINE_COUNT] = {
    [HTTP_DEADLINE_HEADER] = "header", [HTTP_DEADLINE_BODY] = "body",
    [HTTP_DEADLINE_IDLE] = "idle",     [HTTP_DEADLINE_WRITE] = "write",
    [HTTP_DEADLINE_LINGER] = "linger",
};

static void put_requests(struct buf *out, const struct http_account *a)
{
	metric_put(out, &metrics.requests, a->requests);
	metric_begin(out, &metrics.responses);
	for (unsigned status = 0; status < HTTP_STATUS_MAX; status++) {
		char text[12];

		if (!a->status[status])
			continue;
		snprintf(text, sizeof(text), "%u", status);
		metric_sample_of(out, &metrics.responses, "status", text, a->status[status]);
	}
	metric_put_histogram(out, &metrics.durations, &a->durations);
}

static void put_connections(struct buf *out, const struct http_account *a)
{
	metric_put(out, &metrics.opened, a->opened);
	metric_put(out, &metrics.open, counter_between(a->opened, a->closed));
	metric_begin(out, &metrics.expired);
	for (unsigned i = 0; i < HTTP_DEADLINE_COUNT; i++)
		metric_sample_of(out, &metrics.expired, "deadline", deadline_names[i],
				 a->expired[i]);
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
	const struct http_server *server = arg;
	struct http_account account;

	http_account(server, &account);
	put_requests(out, &account);
	put_connections(out, &account);
	put_cache(out, &account.cache);
	put_log(out, http_server_access_log(server));
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

static void write_status(void *arg, struct buf *out)
{
	const struct http_server *server = arg;
	struct http_account a;

	http_account(server, &a);
	json_text(out, "directory", http_server_site(server)->root_name);
	json_u64(out, "requests", a.requests);
	json_u64(out, "connections", a.opened);
	json_u64(out, "connections_open", counter_between(a.opened, a.closed));
	status_statuses(out, &a);
	admin_status_bytes(out, &a.engine.ledger);
	admin_status_durations(out, &a.durations);
	json_u64(out, "cache_hits", a.cache.hits);
	json_u64(out, "cache_misses", a.cache.misses);
	json_u64(out, "cache_entries", a.cache.entries);
	json_u64(out, "cold_ranges", a.engine.ledger.loads);
}

static void add_engines(void *arg, struct engine_account *sum)
{
	const struct http_server *server = arg;
	const struct http_loop *loop;

	for (unsigned i = 0; (loop = http_server_loop(server, i)); i++)
		engine_account_add(sum, loop->engine);
}

void http_metrics_add(struct http_server *server, struct admin *admin)
{
	http_server_observe(server);
	admin_add(admin, &(struct admin_source){
			     .name = "http",
			     .metrics = write_metrics,
			     .status = write_status,
			     .engines = add_engines,
			     .arg = server,
			 });
}
