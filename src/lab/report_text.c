#include <math.h>

#include "base/size.h"
#include "lab/report.h"

/* The columns of the table. */
static const enum lab_metric columns[] = {
    METRIC_SYSCALLS,        METRIC_SWITCHES,     METRIC_CONTEXT_SWITCHES,
    METRIC_FAULTS,          METRIC_USER_COPIES,  METRIC_KERNEL_COPIES,
    METRIC_RECEIVER_COPIES, METRIC_BY_REFERENCE, METRIC_SENDER_CPU,
    METRIC_RECEIVER_CPU,    METRIC_RATE,
};

static void figure(FILE *out, enum lab_metric metric, const struct lab_figure *value)
{
	if (isnan(value->median))
		fprintf(out, " %8s", "-");
	else
		fprintf(out, " %8.*f", lab_metrics[metric].digits, value->median);
}

static void head(FILE *out, const struct lab_row *row)
{
	fprintf(out, "\n%s, %s file\n", lab_transport_title(row->transport),
		lab_source_name(row->source));
	fprintf(out, "%-10s %10s", "", "");
	fprintf(out, "%36s%36s%18s\n", "per MiB", "copies by the CPU per byte", "CPU s per GB");
	fprintf(out, "%-10s %10s", "technique", "size");
	for (size_t i = 0; i < ARRAY_SIZE(columns); i++)
		fprintf(out, " %8s", lab_metrics[columns[i]].head);
	fprintf(out, "  %-12s %s\n", "proof", "counted by");
}

void report_text(FILE *out, const struct lab_result *result)
{
	const struct lab_row *last = NULL;

	fprintf(out, "Linux %s, %s\n", result->kernel, result->machine);
	for (size_t i = 0; i < result->row_count; i++) {
		const struct lab_row *row = &result->rows[i];
		char size[SIZE_TEXT_MAX];

		if (!last || last->transport != row->transport || last->source != row->source)
			head(out, row);
		last = row;
		fprintf(out, "%-10s %10s", leat_technique_name(row->technique),
			size_format(row->size, size));
		for (size_t m = 0; m < ARRAY_SIZE(columns); m++)
			figure(out, columns[m], &row->figures[columns[m]]);
		fprintf(out, "  %-12s %s\n", lab_proof_name(row->proof),
			lab_counter_name(row->counter));
	}
	for (size_t i = 0; i < result->note_count; i++)
		fprintf(out, "%s%s\n", i == 0 ? "\n" : "", result->notes[i].text);
}
