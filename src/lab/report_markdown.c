/*
 * Markdown, as GitHub renders it. What comes from the machine has its special characters escaped.
 */
#include <string.h>

#include "base/size.h"
#include "lab/report.h"

static void escaped(FILE *out, const char *text)
{
	for (; *text; text++) {
		if (strchr("\\`*_{}[]<>#|", *text))
			fputc('\\', out);
		fputc(*text, out);
	}
}

static void print_classic(FILE *out, const struct lab_result *result)
{
	struct classic_verdict verdicts[CLASSIC_CLAIMS];
	char text[FIGURE_TEXT_MAX];

	classic_judge(result, verdicts);
	fprintf(out, "## The table that everybody repeats, measured\n\n"
		     "| | copies, claimed | CPU copies, measured | switches, claimed | switches, "
		     "measured | what came out different |\n|---|---|---:|---:|---:|---|\n");
	for (size_t i = 0; i < CLASSIC_CLAIMS; i++) {
		const struct classic_verdict *verdict = &verdicts[i];

		fprintf(out, "| %s | %s | ", verdict->claim->name,
			report_claim(verdict->claim, text));
		if (verdict->row)
			fprintf(out, "%.2f | %u | %.1f | ", verdict->cpu_copies,
				verdict->claim->switches, verdict->switches);
		else
			fprintf(out, "- | %u | - | ", verdict->claim->switches);
		escaped(out, verdict->sentence);
		fprintf(out, " |\n");
	}
	fprintf(out, "\n%s\n", report_dma);
}

static void print_gain(FILE *out, const struct lab_result *result)
{
	struct classic_gain gain;
	char text[2 * FIGURE_TEXT_MAX];

	classic_gain(result, &gain);
	fprintf(out, "\n## How much of sendfile's gain is the avoided copy?\n\n");
	if (gain.known) {
		const struct {
			const char *name;
			const struct lab_figure *figure;
		} parts[] = {{"read + write", &gain.copy},
			     {"mmap + write", &gain.mmap},
			     {"sendfile, copied by the kernel", &gain.copied},
			     {"sendfile, by reference", &gain.by_reference}};

		fprintf(out, "| | CPU s per GB, both processes |\n|---|---:|\n");
		for (size_t i = 0; i < ARRAY_SIZE(parts); i++)
			fprintf(out, "| %s | %s |\n", parts[i].name,
				report_spread(METRIC_BOTH_CPU, parts[i].figure, text));
		fputc('\n', out);
	}
	fprintf(out, "%s\n", gain.sentence);
}

static void head(FILE *out, const struct lab_row *row)
{
	fprintf(out, "\n### %s, %s file\n\n| technique | size |",
		lab_transport_title(row->transport), lab_source_name(row->source));
	for (const enum lab_metric *m = report_columns; *m != METRIC_COUNT; m++)
		fprintf(out, " %s |", lab_metrics[*m].head);
	fprintf(out, " proof | counted by |\n|---|---:|");
	for (const enum lab_metric *m = report_columns; *m != METRIC_COUNT; m++)
		fprintf(out, "---:|");
	fprintf(out, "---|---|\n");
}

static void print_rows(FILE *out, const struct lab_result *result)
{
	const struct lab_row *before = NULL;

	fprintf(out, "\n## Everything\n\n"
		     "Medians. calls, switches, context, faults: per MiB; user, kernel, receiver, "
		     "by ref.: per byte delivered; CPU: seconds per GB.\n");
	for (size_t i = 0; i < result->row_count; i++) {
		const struct lab_row *row = &result->rows[i];
		char text[FIGURE_TEXT_MAX], size[SIZE_TEXT_MAX];

		if (report_begins_table(row, before))
			head(out, row);
		before = row;
		fprintf(out, "| %s | %s |", leat_technique_name(row->technique),
			size_format(row->size, size));
		for (const enum lab_metric *m = report_columns; *m != METRIC_COUNT; m++)
			fprintf(out, " %s |", report_figure(*m, &row->figures[*m], text));
		fprintf(out, " %s | %s |\n", lab_proof_name(row->proof),
			lab_counter_name(row->counter));
	}
}

static void print_crossover(FILE *out, const struct lab_crossover *crossover)
{
	if (!crossover->measured)
		return;
	fprintf(out, "\n## From read + write to sendfile\n\nCPU us for an answer of header and "
		     "file.\n\n| bytes | read + send | sendfile |\n|---:|---:|---:|\n");
	for (unsigned i = 0; i < crossover->count; i++)
		fprintf(out, "| %llu | %.1f | %.1f |\n",
			(unsigned long long)crossover->points[i].size,
			crossover->points[i].copy_us.median,
			crossover->points[i].sendfile_us.median);
	fprintf(out, "\nBelow %llu bytes reading and one send is cheaper here.\n",
		(unsigned long long)crossover->copy_below);
}

void report_markdown(FILE *out, const struct lab_result *result)
{
	fprintf(out, "# leat lab\n\n");
	escaped(out, result->capabilities);
	fprintf(out, "  \n");
	escaped(out, result->machine);
	fprintf(out, "\n\n");
	print_classic(out, result);
	print_gain(out, result);
	print_crossover(out, &result->crossover);
	print_rows(out, result);
	if (result->note_count > 0)
		fprintf(out, "\n## Left out\n\n");
	for (size_t i = 0; i < result->note_count; i++) {
		fprintf(out, "- ");
		escaped(out, result->notes[i].text);
		fputc('\n', out);
	}
}
