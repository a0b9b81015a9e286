/*
 * The page: first what anyone can read, then the charts, then every figure. It needs nothing but
 * itself: style, charts and text are in it, and there is no script.
 */
#include <math.h>
#include <string.h>

#include "base/size.h"
#include "lab/report.h"
#include "lab/svg.h"

static const char style[] =
    ":root{--bg:#fbfaf7;--fg:#1d2327;--dim:#667077;--line:#dcdad3;--card:#fff;--user:#c8443f;"
    "--kernel:#e59f2f;--peer:#a9b4bb;--ref:#1a7f8e;--c1:#c8443f;--c2:#d98324;--c3:#1a7f8e;"
    "--c4:#3c6fd1;--c5:#8a56b8;--c6:#5d8a2f;--c7:#b0457d;--c8:#6b7680}"
    "@media(prefers-color-scheme:dark){:root{--bg:#14181b;--fg:#e6e8e9;--dim:#96a1a8;"
    "--line:#2d3439;--card:#1b2024;--user:#e8736d;--kernel:#f0b858;--peer:#5c6870;--ref:#4fb8c6;"
    "--c1:#e8736d;--c2:#eda35a;--c3:#4fb8c6;--c4:#7fa6f2;--c5:#bb8fe0;--c6:#9cc66b;--c7:#e07fb0;"
    "--c8:#a3adb5}}"
    "*{box-sizing:border-box}body{margin:0 auto;padding:2rem 1.25rem 4rem;max-width:1080px;"
    "background:var(--bg);color:var(--fg);font:16px/1.55 system-ui,-apple-system,'Segoe UI',"
    "Roboto,'DejaVu Sans',sans-serif}h1{font-size:2.1rem;line-height:1.2;margin:0 0 .4rem}"
    "h2{font-size:1.3rem;margin:3rem 0 .4rem}p{max-width:46rem;margin:.5rem 0}"
    ".dim,figcaption{color:var(--dim)}.dim{font-size:.9rem}"
    ".scroll{overflow-x:auto}table{border-collapse:collapse;font-variant-numeric:tabular-nums}"
    "th,td{padding:.42rem .7rem;text-align:right;border-bottom:1px solid var(--line);"
    "white-space:nowrap}th{font-weight:600;color:var(--dim);font-size:.85rem}"
    "th:first-child,td:first-child,.left{text-align:left!important}"
    ".classic{width:100%;background:var(--card);border:1px solid var(--line);border-radius:8px;"
    "border-spacing:0}.classic td{padding:.6rem .8rem}.classic "
    "th{white-space:normal;vertical-align:bottom}.classic .big{font-size:1.25rem;"
    "font-weight:650}.classic tr.why td{white-space:normal;padding-top:0;color:var(--dim);"
    "font-size:.9rem}.classic tr.has-why td{border-bottom:0}"
    ".ok{color:var(--ref)}.off{color:var(--user)}"
    ".panels{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,420px),1fr));"
    "gap:1rem 1.5rem}figure{margin:.8rem 0 0}figcaption{font-size:.9rem;margin-bottom:.3rem}"
    "svg{display:block;width:100%;height:auto}svg text{font-size:12px;fill:var(--fg);"
    "font-family:inherit}.label{text-anchor:end}.tick{text-anchor:middle}"
    "svg .label,svg .tick,svg .unit{fill:var(--dim)}.axis,.grid{stroke:var(--line);fill:none}"
    ".mark{stroke:var(--fg);stroke-dasharray:4 4;fill:none}.spread{stroke:var(--fg);fill:none;"
    "opacity:.7}.user{fill:var(--user)}.kernel{fill:var(--kernel)}.peer{fill:var(--peer)}"
    ".ref{fill:var(--ref)}.line{fill:none;stroke-width:2;stroke:currentColor}"
    ".band{fill:currentColor;opacity:.12}g circle{fill:currentColor}svg .name{"
    "fill:currentColor}.s1{color:var(--c1)}.s2{color:var(--c2)}.s3{color:var(--c3)}"
    ".s4{color:var(--c4)}.s5{color:var(--c5)}.s6{color:var(--c6)}.s7{color:var(--c7)}"
    ".s8{color:var(--c8)}.key{display:inline-block;width:.8em;height:.8em;border-radius:2px;"
    "margin:0 .35em 0 1em;vertical-align:-.05em}.key.user{background:var(--user);margin-left:0}"
    ".key.kernel{background:var(--kernel)}.key.peer{background:var(--peer)}"
    ".key.ref{background:var(--ref);margin-left:0}details{margin-top:2.5rem}"
    "summary{cursor:pointer;font-size:1.1rem;font-weight:600}details table{font-size:.82rem;"
    "margin-bottom:1.5rem}h3{font-size:1rem;margin:1.4rem 0 .2rem}";

/* ---- the classic table ---- */

static void cell(FILE *out, bool holds, double value, int digits)
{
	fprintf(out, "<td class=\"big %s\">%.*f</td>", holds ? "ok" : "off", digits, value);
}

static void print_verdict(FILE *out, const struct classic_verdict *verdict)
{
	char text[FIGURE_TEXT_MAX];

	fprintf(out, "<tr%s><td>%s</td><td>%s</td>",
		verdict->sentence[0] ? " class=\"has-why\"" : "", verdict->claim->name,
		report_claim(verdict->claim, text));
	if (verdict->row)
		cell(out, verdict->copies_hold, verdict->cpu_copies, 2);
	else
		fprintf(out, "<td>-</td>");
	fprintf(out, "<td>%u</td>", verdict->claim->switches);
	if (verdict->row)
		cell(out, verdict->switches_hold, verdict->switches, 1);
	else
		fprintf(out, "<td>-</td>");
	fprintf(out, "<td class=\"left\">%s</td></tr>\n",
		verdict->row ? lab_proof_name(verdict->row->proof) : "");
	if (verdict->sentence[0]) {
		fprintf(out, "<tr class=\"why\"><td colspan=\"6\">");
		svg_text(out, verdict->sentence);
		fprintf(out, "</td></tr>\n");
	}
}

static void print_classic(FILE *out, const struct lab_result *result)
{
	struct classic_verdict verdicts[CLASSIC_CLAIMS];

	classic_judge(result, verdicts);
	fprintf(out,
		"<h2>The table that everybody repeats, measured</h2>\n<div class=\"scroll\"><table "
		"class=\"classic\"><thead><tr><th></th><th>copies, claimed</th><th>CPU copies, "
		"measured</th><th>switches, claimed</th><th>switches, measured</th><th "
		"class=\"left\">mutation proof</th></tr></thead><tbody>\n");
	for (size_t i = 0; i < CLASSIC_CLAIMS; i++)
		print_verdict(out, &verdicts[i]);
	fprintf(out,
		"</tbody></table></div>\n<p class=\"dim\">%s The mutation proof: a range is "
		"sent to a peer that does not read, the file is overwritten, then the peer "
		"reads; new bytes went by reference.</p>\n",
		report_dma);
}

/* ---- bars ---- */

/* Fills bars with the rows of one transport and size; how many. */
static unsigned rows_of(const struct lab_result *result, enum lab_transport transport,
			uint64_t size, const struct lab_row *ret[LEAT_TECHNIQUE_COUNT])
{
	unsigned count = 0;

	for (unsigned t = 0; t < LEAT_TECHNIQUE_COUNT; t++) {
		const struct lab_row *row =
		    lab_result_find(result, (enum leat_technique)t, transport, LAB_CACHED, size);

		if (row)
			ret[count++] = row;
	}
	return count;
}

static double median(const struct lab_row *row, enum lab_metric metric)
{
	return row->figures[metric].median;
}

static struct svg_bar copies_bar(const struct lab_row *row)
{
	struct svg_bar bar = {
	    .label = leat_technique_name(row->technique),
	    .parts = {median(row, METRIC_USER_COPIES), median(row, METRIC_KERNEL_COPIES),
		      median(row, METRIC_RECEIVER_COPIES)},
	    .low = NAN,
	    .high = NAN,
	};

	snprintf(bar.value, sizeof(bar.value), "%.2f + %.2f", median(row, METRIC_COPIES),
		 median(row, METRIC_RECEIVER_COPIES));
	return bar;
}

static struct svg_bar cost_bar(const struct lab_row *row)
{
	struct svg_bar bar = {
	    .label = leat_technique_name(row->technique),
	    .parts = {median(row, METRIC_SENDER_CPU), 0, median(row, METRIC_RECEIVER_CPU)},
	    .low = row->figures[METRIC_BOTH_CPU].low,
	    .high = row->figures[METRIC_BOTH_CPU].high,
	};

	snprintf(bar.value, sizeof(bar.value), "%.2f", median(row, METRIC_BOTH_CPU));
	return bar;
}

/* One panel a transport. `size` 0: the largest. */
static void print_panels(FILE *out, const struct lab_result *result, uint64_t size,
			 struct svg_bar (*bar_of)(const struct lab_row *row),
			 const char *const classes[SVG_PARTS])
{
	struct svg_bar bars[TRANSPORT_COUNT][LEAT_TECHNIQUE_COUNT];
	unsigned counts[TRANSPORT_COUNT];
	double max = 0;

	for (unsigned t = 0; t < TRANSPORT_COUNT; t++) {
		const struct lab_row *rows[LEAT_TECHNIQUE_COUNT];

		counts[t] = rows_of(result, (enum lab_transport)t, size, rows);
		for (unsigned i = 0; i < counts[t]; i++) {
			struct svg_bar *bar = &bars[t][i];

			*bar = bar_of(rows[i]);
			max = fmax(max, bar->parts[0] + bar->parts[1] + bar->parts[2]);
			max = fmax(max, isnan(bar->high) ? 0 : bar->high);
		}
	}
	fprintf(out, "<div class=\"panels\">\n");
	for (unsigned t = 0; t < TRANSPORT_COUNT; t++)
		if (counts[t] > 0 && max > 0)
			svg_bars(out, lab_transport_title((enum lab_transport)t), bars[t],
				 counts[t], max * 1.12, classes);
	fprintf(out, "</div>\n");
}

/* The size of the copies' panels: the classic one, or what there is. */
static uint64_t copies_size(const struct lab_result *result)
{
	for (size_t i = 0; i < result->row_count; i++)
		if (result->rows[i].size == CLASSIC_SIZE && result->rows[i].source == LAB_CACHED)
			return CLASSIC_SIZE;
	return 0;
}

static void print_charts(FILE *out, const struct lab_result *result)
{
	static const char *const copies[SVG_PARTS] = {"user", "kernel", "peer"};
	static const char *const cost[SVG_PARTS] = {"ref", "kernel", "peer"};

	fprintf(out, "<h2>Copies by the CPU for each byte delivered</h2>\n<p class=\"dim\"><span "
		     "class=\"key user\"></span>sender, between user memory and kernel<span "
		     "class=\"key kernel\"></span>sender, inside the kernel<span class=\"key "
		     "peer\"></span>receiver, into its memory</p>\n");
	print_panels(out, result, copies_size(result), copies_bar, copies);
	fprintf(out, "<h2>What it costs</h2>\n<p class=\"dim\">CPU seconds for each GB with the "
		     "largest transfers: <span class=\"key ref\"></span>the sending process<span "
		     "class=\"key peer\"></span>the receiving process; the whisker is the middle "
		     "half of the rounds.</p>\n");
	print_panels(out, result, 0, cost_bar, cost);
}

/* ---- lines ---- */

static void add_point(struct svg_line *line, uint64_t size, const struct lab_figure *figure)
{
	unsigned p = line->count;

	if (p == SVG_POINTS || isnan(figure->median) || figure->low <= 0)
		return;
	line->x[p] = (double)size;
	line->y[p] = figure->median;
	line->low[p] = figure->low;
	line->high[p] = figure->high;
	line->count++;
}

static void print_sweep(FILE *out, const struct lab_result *result, enum lab_transport transport)
{
	static const char *const classes[LEAT_TECHNIQUE_COUNT] = {
	    [LEAT_COPY] = "s1",     [LEAT_MMAP] = "s2",  [LEAT_SENDFILE] = "s3",
	    [LEAT_SPLICE] = "s4",   [LEAT_TEE] = "s5",   [LEAT_VMSPLICE] = "s6",
	    [LEAT_ZEROCOPY] = "s7", [LEAT_URING] = "s8",
	};
	struct svg_line lines[LEAT_TECHNIQUE_COUNT];
	unsigned count = 0;

	for (unsigned t = 0; t < LEAT_TECHNIQUE_COUNT; t++) {
		struct svg_line *line = &lines[count];

		*line = (struct svg_line){.label = leat_technique_name((enum leat_technique)t),
					  .class_name = classes[t]};
		for (size_t i = 0; i < result->row_count; i++) {
			const struct lab_row *row = &result->rows[i];

			if ((unsigned)row->technique == t && row->transport == transport &&
			    row->source == LAB_CACHED)
				add_point(line, row->size, &row->figures[METRIC_BOTH_CPU]);
		}
		count += line->count >= 2;
	}
	if (count > 0)
		svg_lines(out, lab_transport_title(transport),
			  "CPU s per GB, both processes, by size of the transfer", lines, count, 0);
}

static void print_sweeps(FILE *out, const struct lab_result *result)
{
	fprintf(out, "<h2>By size</h2>\n<p class=\"dim\">CPU seconds of both processes for each "
		     "GB; the band is the middle half of the rounds. Both axes are logarithmic."
		     "</p>\n");
	for (unsigned t = 0; t < TRANSPORT_COUNT; t++)
		if (t != TRANSPORT_VETH_GSO_OFF)
			print_sweep(out, result, (enum lab_transport)t);
}

static void print_crossover(FILE *out, const struct lab_crossover *crossover)
{
	struct svg_line lines[] = {{.label = "read + send", .class_name = "s1"},
				   {.label = "sendfile", .class_name = "s3"}};

	if (!crossover->measured)
		return;
	for (unsigned i = 0; i < crossover->count; i++) {
		add_point(&lines[0], crossover->points[i].size, &crossover->points[i].copy_us);
		add_point(&lines[1], crossover->points[i].size, &crossover->points[i].sendfile_us);
	}
	fprintf(out,
		"<h2>Where sendfile begins to pay</h2>\n<p>An answer is a header and a file. Below "
		"%llu bytes reading the file and one send of both is cheaper on this machine: the "
		"policy's threshold, which <code>leat lab --calibrate</code> writes down.</p>\n",
		(unsigned long long)crossover->copy_below);
	if (lines[0].count >= 2 && lines[1].count >= 2)
		svg_lines(out, "One answer over TCP loopback", "CPU us of the sender, by file size",
			  lines, 2, (double)crossover->copy_below);
}

static struct svg_bar gain_bar(const char *label, const struct lab_figure *figure)
{
	struct svg_bar bar = {.label = label,
			      .parts = {figure->median, 0, 0},
			      .low = figure->low,
			      .high = figure->high};

	snprintf(bar.value, sizeof(bar.value), "%.2f", figure->median);
	return bar;
}

static void print_gain(FILE *out, const struct lab_result *result)
{
	static const char *const classes[SVG_PARTS] = {"ref", "kernel", "peer"};
	struct classic_gain gain;

	classic_gain(result, &gain);
	fprintf(out, "<h2>How much of sendfile's gain is the avoided copy?</h2>\n<p>");
	svg_text(out, gain.sentence);
	fprintf(out, "</p>\n");
	if (!gain.known)
		return;
	const struct svg_bar bars[] = {
	    gain_bar("read + write", &gain.copy),
	    gain_bar("mmap + write", &gain.mmap),
	    gain_bar("sendfile, 1 copy", &gain.copied),
	    gain_bar("sendfile, 0 copies", &gain.by_reference),
	};
	double max = 0;

	for (size_t i = 0; i < ARRAY_SIZE(bars); i++)
		max = fmax(max, bars[i].high);
	fprintf(out, "<div class=\"panels\">");
	svg_bars(out, "CPU s per GB, both processes", bars, ARRAY_SIZE(bars), max * 1.12, classes);
	fprintf(out, "</div>\n<p class=\"dim\">Over a veth pair without segmentation offload, so "
		     "that scatter-gather is all that differs between the last two.</p>\n");
}

/* ---- everything ---- */

static void head(FILE *out, const struct lab_row *row)
{
	fprintf(out,
		"<h3>%s, %s file</h3><div class=\"scroll\"><table><thead><tr><th>technique"
		"</th><th>size</th>",
		lab_transport_title(row->transport), lab_source_name(row->source));
	for (const enum lab_metric *m = report_columns; *m != METRIC_COUNT; m++) {
		fprintf(out, "<th title=\"");
		svg_text(out, lab_metrics[*m].what);
		fprintf(out, "\">%s</th>", lab_metrics[*m].head);
	}
	fprintf(out, "<th class=\"left\">proof</th><th class=\"left\">counted by</th></tr></thead>"
		     "<tbody>\n");
}

static void print_row(FILE *out, const struct lab_row *row)
{
	char text[2 * FIGURE_TEXT_MAX], size[SIZE_TEXT_MAX];

	fprintf(out, "<tr><td>%s</td><td>%s</td>", leat_technique_name(row->technique),
		size_format(row->size, size));
	for (const enum lab_metric *m = report_columns; *m != METRIC_COUNT; m++) {
		fprintf(out, "<td title=\"%s\">", report_spread(*m, &row->figures[*m], text));
		fprintf(out, "%s</td>", report_figure(*m, &row->figures[*m], text));
	}
	fprintf(out, "<td class=\"left\">%s</td><td class=\"left\">%s</td></tr>\n",
		lab_proof_name(row->proof), lab_counter_name(row->counter));
}

static void print_rows(FILE *out, const struct lab_result *result)
{
	const struct lab_row *before = NULL;

	fprintf(out, "<details open><summary>Every figure</summary>\n<p class=\"dim\">Medians; the "
		     "middle half of the rounds is behind each. calls, switches, context, faults: "
		     "per MiB; user, kernel, receiver, by ref.: per byte delivered; CPU: seconds "
		     "per GB.</p>\n");
	for (size_t i = 0; i < result->row_count; i++) {
		if (report_begins_table(&result->rows[i], before)) {
			fprintf(out, "%s", before ? "</tbody></table></div>\n" : "");
			head(out, &result->rows[i]);
		}
		before = &result->rows[i];
		print_row(out, before);
	}
	fprintf(out, "%s</details>\n", before ? "</tbody></table></div>\n" : "");
}

static void print_notes(FILE *out, const struct lab_result *result)
{
	if (result->note_count == 0)
		return;
	fprintf(out, "<h2>Left out</h2>\n<ul>\n");
	for (size_t i = 0; i < result->note_count; i++) {
		fprintf(out, "<li>");
		svg_text(out, result->notes[i].text);
		fprintf(out, "</li>\n");
	}
	fprintf(out, "</ul>\n");
}

void report_html(FILE *out, const struct lab_result *result)
{
	fprintf(
	    out,
	    "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta "
	    "name=\"viewport\" content=\"width=device-width\"><meta name=\"color-scheme\" "
	    "content=\"light dark\"><title>leat lab</title><style>%s</style></head><body>\n"
	    "<h1>Who copies the bytes?</h1>\n<p>A file is sent over a socket by every technique "
	    "that Linux has. One process sends, another receives, and what the CPU really did is "
	    "counted.</p>\n<p class=\"dim\">",
	    style);
	svg_text(out, result->capabilities);
	fprintf(out, "<br>");
	svg_text(out, result->machine);
	fprintf(out, "<br>%s run of <code>leat lab</code>, %.0f s%s</p>\n",
		result->quick ? "quick" : "full", result->seconds,
		result->interrupted ? ", interrupted" : "");
	print_classic(out, result);
	print_charts(out, result);
	print_gain(out, result);
	print_crossover(out, &result->crossover);
	print_sweeps(out, result);
	print_rows(out, result);
	print_notes(out, result);
	fprintf(out, "</body></html>\n");
}
