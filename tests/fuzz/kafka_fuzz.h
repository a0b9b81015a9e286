/*
 * What the targets for Kafka's messages share.
 */
#ifndef TESTS_KAFKA_FUZZ_H
#define TESTS_KAFKA_FUZZ_H

#include <errno.h>

#include "fuzz/fuzz.h"
#include "kafka/wire/message.h"
#include "unit/kafka/values.h"

#define FUZZ_ARENA (64 * 1024)

/* Half of the arena's memory is for reading it again. */
static inline void decode_and_back(const struct kafka_message *message, int version,
				   struct slice bytes)
{
	static _Alignas(8) char memory[2][FUZZ_ARENA], wire[FUZZ_ARENA];
	static uint64_t value[2][512];
	struct arena arena = arena_over(memory[0], FUZZ_ARENA);
	struct kafka_writer writer = kafka_writer_over(wire, sizeof(wire));
	int result = kafka_decode(message, version, &bytes, &arena, value[0]);

	HOLDS(message->root->size <= sizeof(value[0]));
	HOLDS(result == 0 || result == -EBADMSG || result == -ENOBUFS);
	if (result < 0)
		return;
	kafka_encode(message, version, value[0], &writer);
	if (!kafka_writer_fits(&writer))
		return;
	struct slice again = slice_make(wire, writer.len);

	arena = arena_over(memory[1], FUZZ_ARENA);
	HOLDS(kafka_decode(message, version, &again, &arena, value[1]) == 0);
	HOLDS(again.len == 0);
	HOLDS(values_equal(message, value[0], value[1]));
}

#endif
