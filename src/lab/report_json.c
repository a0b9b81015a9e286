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
	/* No transport of the lab has a network card. */
	json_object_set_new(object, "nic_dma_per_byte", json_null());
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

static json_t *verdict_json(const struct classic_verdict *verdict)
{
	const struct classic_claim *claim = verdict->claim;
	const struct lab_row *row = verdict->row;
	json_t *object = json_pack("{s:s, s:s, s:{s:i, s:i, s:i}}", "claim", claim->name,
				   "technique", leat_technique_name(claim->technique), "claimed",
				   "copies", (int)claim->copies, "cpu_copies",
				   (int)claim->cpu_copies, "switches", (int)claim->switches);

	if (row) {
		json_object_set_new(object, "measured",
				    json_pack("{s:f, s:f}", "cpu_copies", verdict->cpu_copies,
					      "switches", verdict->switches));
		json_object_set_new(object, "transport",
				    json_string(lab_transport_name(row->transport)));
		json_object_set_new(object, "size", json_integer((json_int_t)row->size));
		json_object_set_new(object, "mutation_proof",
				    json_string(lab_proof_name(row->proof)));
		json_object_set_new(object, "measured_by",
				    json_string(lab_counter_name(row->counter)));
		json_object_set_new(object, "copies_hold", json_boolean(verdict->copies_hold));
		json_object_set_new(object, "switches_hold", json_boolean(verdict->switches_hold));
	} else {
		json_object_set_new(object, "measured", json_null());
	}
	json_object_set_new(object, "sentence", json_string(verdict->sentence));
	return object;
}

static json_t *verdicts_json(const struct lab_result *result)
{
	struct classic_verdict verdicts[CLASSIC_CLAIMS];
	json_t *array = json_array();

	classic_judge(result, verdicts);
	for (unsigned i = 0; i < CLASSIC_CLAIMS; i++)
		json_array_append_new(array, verdict_json(&verdicts[i]));
	return array;
}

static json_t *crossover_json(const struct lab_crossover *crossover)
{
	json_t *points;

	if (!crossover->measured)
		return json_null();
	points = json_array();
	for (unsigned i = 0; i < crossover->count; i++) {
		const struct lab_crossover_point *point = &crossover->points[i];

		json_array_append_new(points,
				      json_pack("{s:I, s:o, s:o}", "size", (json_int_t)point->size,
						"copy_us", figure_json(&point->copy_us),
						"sendfile_us", figure_json(&point->sendfile_us)));
	}
	return json_pack("{s:s, s:I, s:o}", "transport", "tcp", "copy_below",
			 (json_int_t)crossover->copy_below, "points", points);
}

static json_t *gain_json(const struct lab_result *result)
{
	struct classic_gain gain;

	classic_gain(result, &gain);
	if (!gain.known)
		return json_pack("{s:s}", "sentence", gain.sentence);
	return json_pack("{s:I, s:o, s:o, s:o, s:o, s:s}", "size", (json_int_t)gain.size,
			 "copy_cpu_s_per_gb", figure_json(&gain.copy), "mmap_cpu_s_per_gb",
			 figure_json(&gain.mmap), "sendfile_copied_cpu_s_per_gb",
			 figure_json(&gain.copied), "sendfile_by_reference_cpu_s_per_gb",
			 figure_json(&gain.by_reference), "sentence", gain.sentence);
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
	json_t *object = json_pack("{s:s, s:s, s:s, s:b, s:b, s:f, s:o, s:o, s:o, s:o, s:o}",
				   "kernel", result->kernel, "machine", result->machine,
				   "capabilities", result->capabilities, "quick", result->quick,
				   "interrupted", result->interrupted, "seconds", result->seconds,
				   "rows", rows_json(result), "verdicts", verdicts_json(result),
				   "crossover", crossover_json(&result->crossover), "gain",
				   gain_json(result), "left_out", notes_json(result));

	CHECK(object);
	json_dumpf(object, out, JSON_PRESERVE_ORDER | JSON_REAL_PRECISION(6) | JSON_INDENT(1));
	fputc('\n', out);
	json_decref(object);
}
