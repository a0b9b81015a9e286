#include "unit/unit.h"

#include <stdlib.h>

#include "base/metrics.h"

static const struct metric counter = {"x_total", METRIC_COUNTER, "How many x."};
static const struct metric gauge = {"y", METRIC_GAUGE, "Now."};
static const struct metric times = {"t_seconds", METRIC_HISTOGRAM, "How long."};

static struct buf text(void)
{
	static char memory[8192];

	return buf_over(memory, sizeof(memory));
}

static void each_has_its_help_and_type(void **state)
{
	struct buf buf = text();

	metric_put(&buf, &counter, 3);
	metric_put_ns(&buf, &gauge, 1500000001);
	assert_string_equal(buf_text(&buf), "# HELP x_total How many x.\n"
					    "# TYPE x_total counter\n"
					    "x_total 3\n"
					    "# HELP y Now.\n"
					    "# TYPE y gauge\n"
					    "y 1.500000001\n");
}

static void label_values_are_escaped(void **state)
{
	struct buf buf = text();

	metric_begin(&buf, &counter);
	metric_sample(&buf, &counter, &(struct metric_labels){"a", "1\"2\\3\n", NULL, NULL}, 4);
	metric_sample(&buf, &counter, &(struct metric_labels){"a", "b", "c", "d"}, 5);
	assert_non_null(strstr(buf_text(&buf), "\nx_total{a=\"1\\\"2\\\\3\\n\"} 4\n"
					       "x_total{a=\"b\",c=\"d\"} 5\n"));
}

static void a_histogram_adds_up(void **state)
{
	struct histogram *h = calloc(1, sizeof(*h));
	struct buf buf = text();
	const char *out;

	histogram_add_times(h, 5000, 2);    /* 5 us */
	histogram_add(h, 90000000000);      /* 90 s */
	histogram_add_times(h, 2000000, 3); /* 2 ms */
	metric_put_histogram(&buf, &times, h);
	out = buf_text(&buf);
	assert_non_null(strstr(out, "\nt_seconds_bucket{le=\"1e-05\"} 2\n"));
	assert_non_null(strstr(out, "\nt_seconds_bucket{le=\"0.001\"} 2\n"));
	assert_non_null(strstr(out, "\nt_seconds_bucket{le=\"0.0025\"} 5\n"));
	assert_non_null(strstr(out, "\nt_seconds_bucket{le=\"60.0\"} 5\n"
				    "t_seconds_bucket{le=\"+Inf\"} 6\n"
				    "t_seconds_sum 90.006010000\n"
				    "t_seconds_count 6\n"));
	free(h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(each_has_its_help_and_type),
	    cmocka_unit_test(label_values_are_escaped),
	    cmocka_unit_test(a_histogram_adds_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
