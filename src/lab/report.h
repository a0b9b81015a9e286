/*
 * What was found, in four forms. All of them show the same figures.
 */
#ifndef LAB_REPORT_H
#define LAB_REPORT_H

#include <stdio.h>

#include "lab/model.h"

void report_text(FILE *out, const struct lab_result *result);
/* One object: kernel, machine, rows, verdicts, crossover, and more; leat-lab(1) names them. */
void report_json(FILE *out, const struct lab_result *result);

#endif
