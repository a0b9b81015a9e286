/*
 * For terminals: tables of fixed columns, and sentences folded at 96.
 */
#include <string.h>

#include "base/size.h"
#include "lab/report.h"

#define FOLD 96

static void head(FILE *out, const struct lab_row *row)
{
	fprintf(out, "\n%s, %s file\n", lab_transport_title(row->transport),
		lab_source_name(row->source));
	fprintf(out, "%-10s %10s", "", "");
	fprintf(out, "%36s%36s%18s\n", "per MiB", "copies by the CPU per byte", "CPU s per GB");
	fprintf(out, "%-10s %10s", "technique", "size");
	for (const enum lab_metric *m = report_columns; *m != METRIC_COUNT; m++)
		fprintf(out, " %8s", lab_metrics[*m].head);
	fprintf(out, "  %-12s %s\n", "proof", "counted by");
}

static void print_row(FILE *out, const struct lab_row *row)
{
	char text[FIGURE_TEXT_MAX], size[SIZE_TEXT_MAX];

	fprintf(out, "%-10s %10s", leat_technique_name(row->technique),
		size_format(row->size, size));
	for (const enum lab_metric *m = report_columns; *m != METRIC_COUNT; m++)
		fprintf(out, " %8s", report_figure(*m, &row->figures[*m], text));
	fprintf(out, "  %-12s %s\n", lab_proof_name(row->proof), lab_counter_name(row->counter));
}

/* Words, folded and indented. */
static void fold(FILE *out, const char *indent, const char *text)
{
	size_t column = strlen(indent);

	fputs(indent, out);
	for (bool first = true; *text; first = false) {
		size_t len = strcspn(text, " ");

		if (!first && column + 1 + len > FOLD) {
			fprintf(out, "\n%s", indent);
			column = strlen(indent);
		} else if (!first) {
			fputc(' ', out);
			column++;
		}
		fprintf(out, "%.*s", (int)len, text);
		column += len;
		text += len + (text[len] == ' ');
	}
	fputc('\n', out);
}

static void print_classic(FILE *out, const struct lab_result *result)
{
	struct classic_verdict verdicts[CLASSIC_CLAIMS];
	char text[FIGURE_TEXT_MAX];

	classic_judge(result, verdicts);
	fprintf(out, "\nThe table that everybody repeats, and what was measured here\n");
	fprintf(out, "%-30s %-20s %14s %10s %10s\n", "", "copies claimed", "CPU, measured",
		"switches", "measured");
	for (size_t i = 0; i < CLASSIC_CLAIMS; i++) {
		const struct classic_verdict *verdict = &verdicts[i];

		fprintf(out, "%-30s %-20s", verdict->claim->name,
			report_claim(verdict->claim, text));
		if (verdict->row)
			fprintf(out, " %14.2f %10u %10.1f\n", verdict->cpu_copies,
				verdict->claim->switches, verdict->switches);
		else
			fprintf(out, " %14s %10u %10s\n", "-", verdict->claim->switches, "-");
		if (verdict->sentence[0])
			fold(out, "    ", verdict->sentence);
	}
	fold(out, "", report_dma);
}

static void print_gain(FILE *out, const struct lab_result *result)
{
	struct classic_gain gain;

	classic_gain(result, &gain);
	fprintf(out, "\nHow much of sendfile's gain is the avoided copy?\n");
	if (gain.known)
		fprintf(
		    out,
		    "CPU s per GB, both processes: read + write %.3f, mmap + write %.3f, sendfile "
		    "copied by the kernel %.3f,\nsendfile by reference %.3f\n",
		    gain.copy.median, gain.mmap.median, gain.copied.median,
		    gain.by_reference.median);
	fold(out, "", gain.sentence);
}

static void print_crossover(FILE *out, const struct lab_crossover *crossover)
{
	if (!crossover->measured)
		return;
	fprintf(out,
		"\nFrom read + write to sendfile: CPU us for an answer of header and file\n%10s",
		"bytes");
	for (unsigned i = 0; i < crossover->count; i++)
		fprintf(out, " %7llu", (unsigned long long)crossover->points[i].size);
	fprintf(out, "\n%10s", "read");
	for (unsigned i = 0; i < crossover->count; i++)
		fprintf(out, " %7.1f", crossover->points[i].copy_us.median);
	fprintf(out, "\n%10s", "sendfile");
	for (unsigned i = 0; i < crossover->count; i++)
		fprintf(out, " %7.1f", crossover->points[i].sendfile_us.median);
	fprintf(out, "\nbelow %llu bytes reading and one send is cheaper here\n",
		(unsigned long long)crossover->copy_below);
}

void report_text(FILE *out, const struct lab_result *result)
{
	const struct lab_row *before = NULL;

	fprintf(out, "%s\n%s\n", result->capabilities, result->machine);
	for (size_t i = 0; i < result->row_count; i++) {
		if (report_begins_table(&result->rows[i], before))
			head(out, &result->rows[i]);
		before = &result->rows[i];
		print_row(out, before);
	}
	print_crossover(out, &result->crossover);
	print_gain(out, result);
	print_classic(out, result);
	if (result->note_count > 0)
		fprintf(out, "\nLeft out\n");
	for (size_t i = 0; i < result->note_count; i++)
		fold(out, "  ", result->notes[i].text);
}
