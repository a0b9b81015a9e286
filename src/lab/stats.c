#include "lab/stats.h"

#include <math.h>
#include <stdlib.h>

static int by_value(const void *a, const void *b)
{
	double left = *(const double *)a, right = *(const double *)b;

	return (left > right) - (left < right);
}

/* Of sorted values. */
static double quantile(const double *values, size_t count, double part)
{
	double place = part * (double)(count - 1);
	size_t below = (size_t)place;
	double rest = place - (double)below;

	if (below + 1 >= count)
		return values[count - 1];
	return values[below] + rest * (values[below + 1] - values[below]);
}

struct lab_figure lab_figure_of(double *values, size_t count)
{
	size_t kept = 0;

	for (size_t i = 0; i < count; i++)
		if (!isnan(values[i]))
			values[kept++] = values[i];
	if (kept == 0)
		return (struct lab_figure){NAN, NAN, NAN};
	qsort(values, kept, sizeof(*values), by_value);
	return (struct lab_figure){
	    .median = quantile(values, kept, 0.5),
	    .low = quantile(values, kept, 0.25),
	    .high = quantile(values, kept, 0.75),
	};
}
