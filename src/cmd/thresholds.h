/*
 * The policy's thresholds, as measured on this machine by `leat lab --calibrate`, in a small file:
 *
 *     # leat lab --calibrate: Linux 6.18.1, ...
 *     copy_below 8192
 *
 * Read once, when a leat program starts. $LEAT_THRESHOLDS names another file; empty: none is read.
 */
#ifndef CMD_THRESHOLDS_H
#define CMD_THRESHOLDS_H

#include "base/err.h"
#include "leat/leat.h"

/* NULL: none is to be read. */
const char *thresholds_path(void);
/* Reads the file, if there is one, and puts its thresholds in force. A file that makes no sense is a
 * warning, and nothing of it counts. */
void thresholds_load(void);
/* Whether thresholds_save() could write the file; changes nothing. 0, or -errno with the line that
 * it would give. */
int thresholds_try(struct err *err);
/* Written whole or not at all. 0, or -errno with a line of why and what to do. */
int thresholds_save(uint64_t copy_below, const char *comment, struct err *err);

/* Pure. Changes in *thresholds what the text names; -EINVAL with the line that makes no sense. */
int thresholds_parse(const char *text, struct leat_thresholds *thresholds, struct err *err);

#endif
