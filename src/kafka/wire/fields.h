/*
 * How decode.c, encode.c and preset.c look at a message: a struct, its fields, their places.
 */
#ifndef KAFKA_WIRE_FIELDS_H
#define KAFKA_WIRE_FIELDS_H

#include "kafka/wire/message.h"

static inline bool field_in(const struct kafka_field *field, int version)
{
	return version >= field->first && version <= field->last;
}

static inline bool field_may_be_null(const struct kafka_field *field, int version)
{
	return version >= field->null_first && version <= field->null_last;
}

/* A struct that may be null in any version is held by pointer. */
static inline bool field_by_pointer(const struct kafka_field *field)
{
	return field->kind == KAFKA_STRUCT && !field->array &&
	       field->null_first <= field->null_last;
}

static inline size_t field_element_size(const struct kafka_field *field)
{
	static const uint8_t sizes[] = {
	    [KAFKA_BOOL] = sizeof(bool),
	    [KAFKA_INT8] = 1,
	    [KAFKA_INT16] = 2,
	    [KAFKA_INT32] = 4,
	    [KAFKA_INT64] = 8,
	    [KAFKA_UUID] = sizeof(struct kafka_uuid),
	    [KAFKA_STRING] = sizeof(struct slice),
	    [KAFKA_BYTES] = sizeof(struct slice),
	    [KAFKA_RECORDS] = sizeof(struct slice),
	};

	return field->kind == KAFKA_STRUCT ? field->of->size : sizes[field->kind];
}

void field_preset(const struct kafka_field *field, void *to);
/* Is it what field_preset() gives? */
bool field_is_preset(const struct kafka_field *field, const void *at);

#endif
