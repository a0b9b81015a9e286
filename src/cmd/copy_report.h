/*
 * The closing report of `leat copy`, for people and as one JSON object.
 */
#ifndef CMD_COPY_REPORT_H
#define CMD_COPY_REPORT_H

#include <stdio.h>

#include "leat/leat.h"

/* Several lines. */
void copy_report_text(FILE *out, const struct leat_report *report);

/* One line: bytes, seconds, cpu_seconds, technique, reason, verdict, evidence, bytes_by_reference,
 * bytes_copied (at the call or later by the kernel), fallbacks, syscalls; and `error` if it is not
 * NULL. */
void copy_report_json(FILE *out, const struct leat_report *report, const char *error);

#endif
