#include "kafka/wire/error.h"

#define ROW(code, name, retriable, text) {code, retriable, #name, text},
static const struct kafka_error_info errors[] = {KAFKA_ERRORS(ROW)};
#undef ROW

const struct kafka_error_info *kafka_error_info(int code)
{
	/* The codes count up from -1 without a gap. */
	bool known = code >= -1 && code + 1 < (int)ARRAY_SIZE(errors);

	return &errors[known ? code + 1 : 0];
}
