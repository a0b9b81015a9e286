#include "base/metrics.h"

static const char *type_name(enum metric_type type)
{
	switch (type) {
	case METRIC_COUNTER:
		return "counter";
	case METRIC_GAUGE:
		return "gauge";
	case METRIC_HISTOGRAM:
		break;
	}
	return "histogram";
}

void metric_begin(struct buf *buf, const struct metric *metric)
{
	buf_add_literal(buf, "# HELP ");
	buf_add_text(buf, metric->name);
	buf_add_char(buf, ' ');
	buf_add_text(buf, metric->help);
	buf_add_literal(buf, "\n# TYPE ");
	buf_add_text(buf, metric->name);
	buf_add_char(buf, ' ');
	buf_add_text(buf, type_name(metric->type));
	buf_add_char(buf, '\n');
}

static void add_label(struct buf *buf, const char *name, const char *value)
{
	buf_add_text(buf, name);
	buf_add_literal(buf, "=\"");
	for (; *value; value++) {
		if (*value == '\n') {
			buf_add_literal(buf, "\\n");
			continue;
		}
		if (*value == '"' || *value == '\\')
			buf_add_char(buf, '\\');
		buf_add_char(buf, *value);
	}
	buf_add_char(buf, '"');
}

static void add_value(struct buf *buf, uint64_t value)
{
	buf_add_char(buf, ' ');
	buf_add_u64(buf, value);
	buf_add_char(buf, '\n');
}

void metric_sample(struct buf *buf, const struct metric *metric, const struct metric_labels *labels,
		   uint64_t value)
{
	buf_add_text(buf, metric->name);
	buf_add_char(buf, '{');
	add_label(buf, labels->name, labels->value);
	if (labels->value2) {
		buf_add_char(buf, ',');
		add_label(buf, labels->name2, labels->value2);
	}
	buf_add_char(buf, '}');
	add_value(buf, value);
}

void metric_sample_of(struct buf *buf, const struct metric *metric, const char *label,
		      const char *label_value, uint64_t value)
{
	metric_sample(buf, metric, &(struct metric_labels){label, label_value, NULL, NULL}, value);
}

void metric_put(struct buf *buf, const struct metric *metric, uint64_t value)
{
	metric_begin(buf, metric);
	buf_add_text(buf, metric->name);
	add_value(buf, value);
}

static void add_seconds(struct buf *buf, uint64_t ns)
{
	buf_printf(buf, " %llu.%09llu\n", (unsigned long long)(ns / 1000000000),
		   (unsigned long long)(ns % 1000000000));
}

void metric_put_ns(struct buf *buf, const struct metric *metric, uint64_t ns)
{
	metric_begin(buf, metric);
	buf_add_text(buf, metric->name);
	add_seconds(buf, ns);
}

static void put_bucket(struct buf *buf, const struct metric *metric, const char *label,
		       const char *label_value, const char *bound, uint64_t value)
{
	buf_add_text(buf, metric->name);
	buf_add_literal(buf, "_bucket{");
	if (label) {
		add_label(buf, label, label_value);
		buf_add_char(buf, ',');
	}
	add_label(buf, "le", bound);
	buf_add_char(buf, '}');
	add_value(buf, value);
}

static void put_total(struct buf *buf, const struct metric *metric, const char *label,
		      const char *label_value, const char *what)
{
	buf_add_text(buf, metric->name);
	buf_add_text(buf, what);
	if (!label)
		return;
	buf_add_char(buf, '{');
	add_label(buf, label, label_value);
	buf_add_char(buf, '}');
}

void metric_sample_histogram(struct buf *buf, const struct metric *metric, const char *label,
			     const char *label_value, const struct histogram *histogram)
{
	static const struct {
		uint64_t us;
		const char *seconds;
	} bounds[] = {
	    {10, "1e-05"},      {25, "2.5e-05"},  {50, "5e-05"},      {100, "0.0001"},
	    {250, "0.00025"},   {500, "0.0005"},  {1000, "0.001"},    {2500, "0.0025"},
	    {5000, "0.005"},    {10000, "0.01"},  {25000, "0.025"},   {50000, "0.05"},
	    {100000, "0.1"},    {250000, "0.25"}, {500000, "0.5"},    {1000000, "1.0"},
	    {2500000, "2.5"},   {5000000, "5.0"}, {10000000, "10.0"}, {30000000, "30.0"},
	    {60000000, "60.0"},
	};
	/* The sum of the buckets, not the count: it may be read a moment later. */
	uint64_t count = histogram_count_to(histogram, UINT64_MAX);

	for (size_t i = 0; i < ARRAY_SIZE(bounds); i++)
		put_bucket(buf, metric, label, label_value, bounds[i].seconds,
			   histogram_count_to(histogram, bounds[i].us * 1000));
	put_bucket(buf, metric, label, label_value, "+Inf", count);
	put_total(buf, metric, label, label_value, "_sum");
	add_seconds(buf, histogram_sum(histogram));
	put_total(buf, metric, label, label_value, "_count");
	add_value(buf, count);
}

void metric_put_histogram(struct buf *buf, const struct metric *metric,
			  const struct histogram *histogram)
{
	metric_begin(buf, metric);
	metric_sample_histogram(buf, metric, NULL, NULL, histogram);
}
