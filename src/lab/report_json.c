#include <jansson.h>
#include <math.h>

#include "lab/report.h"

static json_t *number(double value)
{
	return isnan(value) ? json_null() : json_real(value);
}

/* {"median": m, "spread": [low, high]}, or null. */
static json_t *figure_json(const struct lab_figure *figure)
{
	if (isnan(figure->median))
		return json_null();
	return json_pack("{s:o, s:[o, o]}", "median", number(figure->median), "spread",
			 number(figure->low), number(figure->high));
}

static json_t *row_json(const struct lab_row *row)
{
	json_t *object = json_pack("{s:s, s:s, s:s, s:I, s:i, s:i}", "technique",
				   leat_technique_name(row->technique), "transport",
				   lab_transport_name(row->transport), "source",
				   lab_source_name(row->source), "size", (json_int_t)row->size,
				   "transfers", (int)row->transfers, "rounds", (int)row->rounds);

	for (unsigned m = 0; m < METRIC_COUNT; m++)
		json_object_set_new(object, lab_metrics[m].name, figure_json(&row->figures[m]));
	json_object_set_new(object, "mutation_proof", json_string(lab_proof_name(row->proof)));
	json_object_set_new(object, "measured_by", json_string(lab_counter_name(row->counter)));
	return object;
}

static json_t *rows_json(const struct lab_result *result)
{
	json_t *rows = json_array();

	for (size_t i = 0; i < result->row_count; i++)
		json_array_append_new(rows, row_json(&result->rows[i]));
	return rows;
}

static json_t *notes_json(const struct lab_result *result)
{
	json_t *notes = json_array();

	for (size_t i = 0; i < result->note_count; i++)
		json_array_append_new(notes, json_string(result->notes[i].text));
	return notes;
}

void report_json(FILE *out, const struct lab_result *result)
{
	json_t *object = json_pack("{s:s, s:s, s:s, s:b, s:b, s:f, s:o, s:o, s:o, s:o}", "kernel",
				   result->kernel, "machine", result->machine, "capabilities",
				   result->capabilities, "quick", result->quick, "interrupted",
				   result->interrupted, "seconds", result->seconds, "rows",
				   rows_json(result), "verdicts", json_array(), "crossover",
				   json_null(), "left_out", notes_json(result));

	CHECK(object);
	json_dumpf(object, out, JSON_PRESERVE_ORDER | JSON_REAL_PRECISION(6) | JSON_INDENT(1));
	fputc('\n', out);
	json_decref(object);
}
