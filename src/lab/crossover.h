/*
 * From which length on is sendfile cheaper than reading the file and sending it along with what
 * stands before? That is the policy's copy_below. Measured as a server answers: a header of 200
 * bytes, then the file, over loopback TCP, sender's CPU time; both ways in turn.
 */
#ifndef LAB_CROSSOVER_H
#define LAB_CROSSOVER_H

#include "lab/session.h"

#define CROSSOVER_LARGEST 65536 /* what the file has to hold */

/* Fills result->crossover. */
int crossover_measure(struct session *session, int file, uint32_t rounds, uint64_t round_bytes,
		      struct lab_result *result, struct err *err);

/* The threshold with which the answers of all points together cost least, each size weighing the
 * same: one noisy point does not move it far. The first point's size when sendfile is always
 * cheaper, one more than the last's when it never is. Pure. */
uint64_t crossover_threshold(const struct lab_crossover_point *points, unsigned count);

#endif
