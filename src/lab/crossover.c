#include "lab/crossover.h"

#include <math.h>

#include "lab/stats.h"

static const uint64_t sizes[LAB_CROSSOVER_POINTS] = {1024,  2048,  4096,  6144,  8192,
						     12288, 16384, 24576, 32768, CROSSOVER_LARGEST};

/* Microseconds of CPU for an answer; NAN after an error. */
static double answer_us(struct session *session, int file, uint64_t size, uint64_t round_bytes,
			uint32_t copy_below, struct err *err)
{
	uint32_t count = (uint32_t)(round_bytes / (size + 4096)) + 1;
	const struct order order = {
	    .kind = ORDER_CROSS,
	    .technique = LEAT_AUTO,
	    .file = file,
	    .size = size,
	    .count = count,
	    .bytes = (size + ORDER_CROSS_HEADER) * count,
	    .copy_below = copy_below,
	};
	struct round round;

	if (session_round(session, &order, &round, err) < 0)
		return NAN;
	return (double)round.sender.usage.cpu_ns / 1000 / count;
}

uint64_t crossover_threshold(const struct lab_crossover_point *points, unsigned count)
{
	double best_cost = INFINITY;
	unsigned best = 0;

	/* Below points[i] is copied, from there on not. */
	for (unsigned i = 0; i <= count; i++) {
		double cost = 0;

		for (unsigned p = 0; p < count; p++)
			cost +=
			    log(p < i ? points[p].copy_us.median : points[p].sendfile_us.median);
		if (cost < best_cost) {
			best_cost = cost;
			best = i;
		}
	}
	if (count == 0)
		return 0;
	return best < count ? points[best].size : points[count - 1].size + 1;
}

int crossover_measure(struct session *session, int file, uint32_t rounds, uint64_t round_bytes,
		      struct lab_result *result, struct err *err)
{
	struct lab_crossover *crossover = &result->crossover;
	double copied[LAB_ROUNDS_MAX], sent[LAB_ROUNDS_MAX];

	for (unsigned p = 0; p < ARRAY_SIZE(sizes); p++) {
		struct lab_crossover_point *point = &crossover->points[p];

		point->size = sizes[p];
		for (uint32_t round = 0; round < rounds; round++) {
			copied[round] =
			    answer_us(session, file, sizes[p], round_bytes, UINT32_MAX, err);
			if (isnan(copied[round]))
				return -1;
			sent[round] = answer_us(session, file, sizes[p], round_bytes, 0, err);
			if (isnan(sent[round]))
				return -1;
		}
		point->copy_us = lab_figure_of(copied, rounds);
		point->sendfile_us = lab_figure_of(sent, rounds);
		crossover->count = p + 1;
	}
	crossover->measured = crossover->count > 0;
	crossover->copy_below = crossover_threshold(crossover->points, crossover->count);
	return 0;
}
