/*
 * Values for any message, along its tables: random ones, and ones that follow from the names of the
 * fields (tools/kafka-golden does the same); and whether two are equal.
 */
#ifndef TESTS_KAFKA_VALUES_H
#define TESTS_KAFKA_VALUES_H

#include "kafka/wire/message.h"

struct values {
	bool random; /* otherwise from the names */
	uint64_t seed;
	struct arena *arena;
};

uint64_t values_random(struct values *v);
/* A message as it could come from the wire in that version: what the version lacks is at its
 * default. */
void values_fill(struct values *v, const struct kafka_message *message, int version, void *ret);
bool values_equal(const struct kafka_message *message, const void *a, const void *b);
/* By name; NULL: none. */
const struct kafka_message *values_message(const char *name, size_t len);

#endif
