/*
 * The names of one request, however many: sorted, each once, or which of them stand there more than
 * once. In n log n: a request may have a million.
 */
#ifndef KAFKA_BROKER_NAMES_H
#define KAFKA_BROKER_NAMES_H

#include "kafka/broker/kafka_call.h"

enum name_twin {
	NAME_ALONE,
	NAME_FIRST, /* of several that are the same */
	NAME_AGAIN,
};

/* The names of a request's elements, as an array of the call's; NULL: no memory. */
#define NAMES_TAKE(call, array, member)                                                         \
	({                                                                                      \
		struct slice *names_ = call_take(call, (size_t)(array).count, sizeof(*names_)); \
		for (int32_t i_ = 0; names_ && i_ < (array).count; i_++)                        \
			names_[i_] = (array).at[i_].member;                                     \
		names_;                                                                         \
	})
/* Those of all topics, sorted; NULL: no memory, or too many for a loop. */
struct slice *names_of_topics(struct kafka_call *call, int32_t *ret_count);

/* Sorted, and each once: how many are left. */
int32_t names_settle(struct slice *names, int32_t count);
/* For each whether it stands alone; NULL: no memory. */
const enum name_twin *names_twins(struct kafka_call *call, const struct slice *names,
				  int32_t count);

#endif
