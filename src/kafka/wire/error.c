#include "kafka/wire/error.h"

#define ROW(code, name, retriable, text) {code, retriable, #name, text},
static const struct kafka_error_info errors[] = {KAFKA_ERRORS(ROW)};
#undef ROW

_Static_assert(ARRAY_SIZE(errors) == KAFKA_ERROR_CODES, "a row each");

/* The codes count up from -1 without a gap. */
static unsigned row_of(int code)
{
	return code >= -1 && code + 1 < KAFKA_ERROR_CODES ? (unsigned)(code + 1) : 0;
}

const struct kafka_error_info *kafka_error_info(int code)
{
	return &errors[row_of(code)];
}

void kafka_error_count(uint64_t *counts, int code)
{
	__atomic_fetch_add(&counts[row_of(code)], 1, __ATOMIC_RELAXED);
}

uint64_t kafka_error_counted(const uint64_t *counts, int code)
{
	return __atomic_load_n(&counts[row_of(code)], __ATOMIC_RELAXED);
}

const struct kafka_error_info *kafka_error_nth(unsigned nth)
{
	CHECK(nth < KAFKA_ERROR_CODES);
	return &errors[nth];
}
