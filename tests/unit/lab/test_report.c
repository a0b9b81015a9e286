#include "rows.h"

#include <jansson.h>
#include <stdlib.h>

#include "lab/report.h"

static struct lab_result full_result(void)
{
	struct lab_result result = theory();

	result.rows[0].figures[METRIC_RATE] = (struct lab_figure){NAN, NAN, NAN};
	add_row(&result, LEAT_COPY, TRANSPORT_VETH, 1 << 20, 2, 16);
	add_row(&result, LEAT_SENDFILE, TRANSPORT_VETH, 1 << 20, 0, 1);
	lab_result_note(&result, "a <note> & \"more\" with | and *");
	result.crossover = (struct lab_crossover){.measured = true, .copy_below = 2048, .count = 2};
	for (unsigned i = 0; i < 2; i++)
		result.crossover.points[i] =
		    (struct lab_crossover_point){.size = 1024u << i,
						 .copy_us = exactly(4 + i),
						 .sendfile_us = exactly(5)};
	return result;
}

static char *text_of(void (*report)(FILE *out, const struct lab_result *result))
{
	struct lab_result result = full_result();
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	assert_non_null(out);
	report(out, &result);
	assert_int_equal(fclose(out), 0);
	lab_result_free(&result);
	return text;
}

static void the_json_has_the_named_keys(void **state)
{
	static const char *const keys[] = {"kernel", "machine", "rows", "verdicts", "crossover"};
	char *text = text_of(report_json);
	json_t *object = json_loads(text, 0, NULL), *row, *figure;

	assert_non_null(object);
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		assert_non_null(json_object_get(object, keys[i]));
	assert_int_equal(json_array_size(json_object_get(object, "rows")), 7);
	assert_int_equal(json_array_size(json_object_get(object, "verdicts")), CLASSIC_CLAIMS);
	row = json_array_get(json_object_get(object, "rows"), 0);
	for (unsigned m = 0; m < METRIC_COUNT; m++)
		assert_non_null(json_object_get(row, lab_metrics[m].name));
	assert_true(json_is_null(json_object_get(row, "gb_per_s"))); /* not measured */
	figure = json_object_get(row, "sender_copies_per_byte");
	assert_true(json_real_value(json_object_get(figure, "median")) == 2);
	assert_int_equal(json_array_size(json_object_get(figure, "spread")), 2);
	assert_string_equal(json_string_value(json_object_get(row, "technique")), "copy");
	assert_string_equal(json_string_value(json_object_get(row, "measured_by")), "copystat");
	json_decref(object);
	free(text);
}

static unsigned occurrences(const char *text, const char *what)
{
	unsigned count = 0;

	for (; (text = strstr(text, what)); text++)
		count++;
	return count;
}

static void balanced(const char *page, const char *tag)
{
	char open[16], open_with[16], close[16];

	snprintf(open, sizeof(open), "<%s>", tag);
	snprintf(open_with, sizeof(open_with), "<%s ", tag);
	snprintf(close, sizeof(close), "</%s>", tag);
	assert_int_equal(occurrences(page, open) + occurrences(page, open_with),
			 occurrences(page, close));
}

static void the_page_needs_nothing_else(void **state)
{
	static const char *const foreign[] = {"<script", "http:",   "https:", "<link",
					      "<img",    "@import", "url("};
	static const char *const tags[] = {"svg",  "table", "tr",   "td",     "figure", "div",
					   "text", "g",     "p",    "tbody",  "span",   "h2",
					   "ul",   "li",    "html", "details"};
	char *page = text_of(report_html);

	for (size_t i = 0; i < ARRAY_SIZE(foreign); i++)
		if (strstr(page, foreign[i]))
			fail_msg("the page has %s", foreign[i]);
	for (size_t i = 0; i < ARRAY_SIZE(tags); i++)
		balanced(page, tags[i]);
	assert_true(occurrences(page, "<svg") >= 4);
	assert_null(strstr(page, "nan"));
	assert_null(strstr(page, "inf"));
	free(page);
}

static void text_is_escaped(void **state)
{
	char *page = text_of(report_html), *markdown = text_of(report_markdown);

	assert_non_null(strstr(page, "a &lt;note&gt; &amp; &quot;more&quot;"));
	assert_non_null(strstr(markdown, "a \\<note\\> & \"more\" with \\| and \\*"));
	free(page);
	free(markdown);
}

static void the_tables_end_with_the_classic_one(void **state)
{
	char *text = text_of(report_text);
	const char *classic = strstr(text, "The table that everybody repeats");

	assert_non_null(classic);
	assert_non_null(strstr(text, "below 2048 bytes"));
	assert_true(strstr(text, "TCP over a veth pair, cached file") < classic);
	assert_non_null(strstr(classic, "read + write"));
	assert_non_null(strstr(classic, "Left out"));
	for (const char *line = classic; line; line = strchr(line + 1, '\n'))
		assert_true(strcspn(line + 1, "\n") <= 100);
	assert_null(strstr(text, " \n"));
	free(text);
}

static void an_empty_result_is_a_page_too(void **state)
{
	struct lab_result result = {.quick = true};
	FILE *out = fopen("/dev/null", "w");

	assert_non_null(out);
	report_text(out, &result);
	report_json(out, &result);
	report_markdown(out, &result);
	report_html(out, &result);
	fclose(out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(the_json_has_the_named_keys),
	    cmocka_unit_test(the_page_needs_nothing_else),
	    cmocka_unit_test(text_is_escaped),
	    cmocka_unit_test(the_tables_end_with_the_classic_one),
	    cmocka_unit_test(an_empty_result_is_a_page_too),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
