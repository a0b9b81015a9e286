/*
 * What was found, in four forms. All of them show the same figures.
 */
#ifndef LAB_REPORT_H
#define LAB_REPORT_H

#include <stdio.h>

#include "lab/classic.h"

void report_text(FILE *out, const struct lab_result *result);
/* One object: kernel, machine, rows, verdicts, crossover, and more; leat-lab(1) names them. */
void report_json(FILE *out, const struct lab_result *result);
void report_markdown(FILE *out, const struct lab_result *result);
/* One page that needs nothing else: no scripts, no fonts, no network. */
void report_html(FILE *out, const struct lab_result *result);

/* ---- shared by them ---- */

/* The columns of the tables, METRIC_COUNT at the end. */
extern const enum lab_metric report_columns[];
/* "2.00", or "-" where nothing was measured. */
#define FIGURE_TEXT_MAX 32
const char *report_figure(enum lab_metric metric, const struct lab_figure *figure,
			  char text[FIGURE_TEXT_MAX]);
/* The same with its spread: "2.00 (1.98 to 2.01)". */
const char *report_spread(enum lab_metric metric, const struct lab_figure *figure,
			  char text[2 * FIGURE_TEXT_MAX]);
/* Whether a row begins another table than the row before it (NULL: there is none). */
bool report_begins_table(const struct lab_row *row, const struct lab_row *before);
/* "4 (2 by the CPU)". */
const char *report_claim(const struct classic_claim *claim, char text[FIGURE_TEXT_MAX]);
/* The line about the copies that are not the CPU's. */
extern const char report_dma[];

#endif
