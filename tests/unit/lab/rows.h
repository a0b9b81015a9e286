/*
 * Results made by hand: what a run on a machine that behaves as the theory says would find.
 */
#ifndef TESTS_LAB_ROWS_H
#define TESTS_LAB_ROWS_H

#include "unit/unit.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "lab/classic.h"

static inline struct lab_figure exactly(double value)
{
	return (struct lab_figure){value, value, value};
}

/* `calls`: for one transfer. */
static inline struct lab_row *add_row(struct lab_result *result, enum leat_technique technique,
				      enum lab_transport transport, uint64_t size, double copies,
				      double calls)
{
	struct lab_row *row = lab_result_add(result);

	assert_non_null(row);
	row->technique = technique;
	row->transport = transport;
	row->size = size;
	row->transfers = 4;
	row->rounds = 3;
	row->proof = copies > 0 ? PROOF_COPIED : PROOF_BY_REFERENCE;
	row->counter = COUNTED_BY_COPYSTAT;
	for (unsigned m = 0; m < METRIC_COUNT; m++)
		row->figures[m] = exactly(1);
	row->figures[METRIC_COPIES] = exactly(copies);
	row->figures[METRIC_USER_COPIES] =
	    exactly(technique == LEAT_COPY || technique == LEAT_MMAP ? copies : 0);
	row->figures[METRIC_KERNEL_COPIES] =
	    exactly(technique == LEAT_COPY || technique == LEAT_MMAP ? 0 : copies);
	row->figures[METRIC_SWITCHES] = exactly(2 * calls * LAB_MIB / (double)size);
	return row;
}

static inline struct lab_result theory(void)
{
	struct lab_result result = {.kernel = "6.18", .machine = "a machine"};

	add_row(&result, LEAT_COPY, TRANSPORT_VETH, CLASSIC_SIZE, 2, 2);
	add_row(&result, LEAT_MMAP, TRANSPORT_VETH, CLASSIC_SIZE, 1, 2);
	add_row(&result, LEAT_SENDFILE, TRANSPORT_VETH, CLASSIC_SIZE, 0, 1);
	add_row(&result, LEAT_SENDFILE, TRANSPORT_VETH_SG_OFF, CLASSIC_SIZE, 1, 1);
	add_row(&result, LEAT_SPLICE, TRANSPORT_VETH, CLASSIC_SIZE, 0, 1);
	return result;
}

#endif
