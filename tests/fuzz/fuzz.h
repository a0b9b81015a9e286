/*
 * What the fuzz targets share. A target hands the input to the code as a heap copy of exactly its
 * size, so that AddressSanitizer sees a read one byte too far.
 */
#ifndef TESTS_FUZZ_H
#define TESTS_FUZZ_H

#include <stdlib.h>

#include "base/slice.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A property that does not hold: libFuzzer keeps the input. */
#define HOLDS(cond) CHECK(cond)

static inline char *heap_copy(const void *data, size_t size)
{
	char *copy = malloc(size ? size : 1);

	CHECK(copy);
	if (size)
		memcpy(copy, data, size);
	return copy;
}

/* Takes `count` bytes as a number from the end of the input (0 where there are none): the rest
 * stays readable text. */
static inline uint64_t take_number(const uint8_t *data, size_t *size, unsigned count)
{
	uint64_t value = 0;

	for (unsigned i = 0; i<count && * size> 0; i++)
		value = value << 8 | data[--*size];
	return value;
}

#endif
