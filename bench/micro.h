/*
 * Timing of a piece of code inside one thread: its own CPU time, several rounds, median and best.
 */
#ifndef BENCH_MICRO_H
#define BENCH_MICRO_H

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define MICRO_ROUNDS 15

static inline double micro_cpu_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

/* For qsort(3). */
static inline int micro_by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* A line: nanoseconds of one run(), which handles so many bytes. */
static inline void micro_measure(const char *name, size_t bytes, void (*run)(void), unsigned times)
{
	double ns[MICRO_ROUNDS];

	for (int round = 0; round < MICRO_ROUNDS; round++) {
		double start = micro_cpu_ns();

		for (unsigned i = 0; i < times; i++)
			run();
		ns[round] = (micro_cpu_ns() - start) / times;
	}
	qsort(ns, MICRO_ROUNDS, sizeof(ns[0]), micro_by_value);
	printf("%-52s %7zu B %10.1f ns (best %.1f)\n", name, bytes, ns[MICRO_ROUNDS / 2], ns[0]);
}

#endif
