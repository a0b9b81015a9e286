#include "base/check.h"

#include <stdio.h>
#include <stdlib.h>

void check_failed(const char *file, int line, const char *func, const char *cond)
{
	fprintf(stderr, "leat: internal error: %s:%d: %s: '%s' does not hold\n", file, line, func,
		cond);
	abort();
}
