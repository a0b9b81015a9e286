/*
 * Metrics as Prometheus reads them: the text format, version 0.0.4.
 *
 *     # HELP leat_http_requests_total Requests that were answered.
 *     # TYPE leat_http_requests_total counter
 *     leat_http_requests_total 42
 *
 * A metric is a line of some room's table: its name, type and help stand there once, and the manual
 * page has the same words. Names end in _total where they only grow, in _seconds or _bytes where
 * they have a unit.
 */
#ifndef BASE_METRICS_H
#define BASE_METRICS_H

#include "base/buf.h"
#include "base/histogram.h"

#define METRICS_TYPE "text/plain; version=0.0.4; charset=utf-8"

enum metric_type { METRIC_COUNTER, METRIC_GAUGE, METRIC_HISTOGRAM };

struct metric {
	const char *name;
	enum metric_type type;
	const char *help; /* one sentence, without a line break or backslash */
};

/*
 * A room's table, from a macro METRICS(M) of M(id, name, COUNTER | GAUGE | HISTOGRAM, help):
 *
 *     static METRICS_TABLE(METRICS) metrics = METRICS_ROWS(METRICS);
 */
#define METRICS_MEMBER(id, name, type, help) struct metric id;
#define METRICS_ROW(id, name, type, help)    .id = {name, METRIC_##type, help},
#define METRICS_TABLE(table)          \
	const struct {                \
		table(METRICS_MEMBER) \
	}
#define METRICS_ROWS(table)        \
	{                          \
		table(METRICS_ROW) \
	}

/* One that has no labels, whole. */
void metric_put(struct buf *buf, const struct metric *metric, uint64_t value);
/* Nanoseconds, shown as seconds. */
void metric_put_ns(struct buf *buf, const struct metric *metric, uint64_t ns);
/* Of nanoseconds, shown as seconds, up to 1 minute. */
void metric_put_histogram(struct buf *buf, const struct metric *metric,
			  const struct histogram *histogram);

/* One with labels: first this, then each of its samples. */
void metric_begin(struct buf *buf, const struct metric *metric);
/* `value2` NULL: one label. Values are escaped, names are ours. */
struct metric_labels {
	const char *name, *value, *name2, *value2;
};
void metric_sample(struct buf *buf, const struct metric *metric, const struct metric_labels *labels,
		   uint64_t value);
/* With one label. */
void metric_sample_of(struct buf *buf, const struct metric *metric, const char *label,
		      const char *label_value, uint64_t value);
/* As metric_put_histogram(). */
void metric_sample_histogram(struct buf *buf, const struct metric *metric, const char *label,
			     const char *label_value, const struct histogram *histogram);

#endif
