/*
 * What becomes of the rounds: their median, and the middle half as the spread. Pure.
 */
#ifndef LAB_STATS_H
#define LAB_STATS_H

#include "lab/model.h"

/* More rounds than this are never run. */
#define LAB_ROUNDS_MAX 32

/* NAN is no value and is left out; nothing left: all NAN. Linear between two values, so the median
 * of two is their mean. Sorts `values`. */
struct lab_figure lab_figure_of(double *values, size_t count);

#endif
