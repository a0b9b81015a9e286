#include "unit/kafka/values.h"

#include <stdio.h>

#include "kafka/wire/fields.h"

static void fill_struct(struct values *v, const struct kafka_struct *of, int version, char *to);

uint64_t values_random(struct values *v)
{
	v->seed = v->seed * 6364136223846793005u + 1442695040888963407u;
	return v->seed ^ v->seed >> 29;
}

static uint64_t number_for(struct values *v, const struct kafka_field *field, unsigned index)
{
	uint32_t h = 2166136261u;

	if (v->random)
		return values_random(v) << 32 ^ values_random(v);
	for (const char *c = field->name; *c; c++)
		h = (h ^ (uint8_t)*c) * 16777619u;
	return (h + (uint64_t)index) * 0x9e3779b97f4a7c15u;
}

static bool now_and_then(struct values *v)
{
	return v->random && values_random(v) % 4 == 0;
}

static struct slice text_for(struct values *v, const struct kafka_field *field)
{
	static const char text[] = "whatever a string, or some bytes or records, may hold";

	if (v->random)
		return slice_make(text, values_random(v) % sizeof(text));
	return slice_of(field->name);
}

static void *take(struct values *v, size_t count, size_t size)
{
	void *piece = arena_take_array(v->arena, count, size);

	CHECK(piece);
	return piece;
}

static void fill_single(struct values *v, const struct kafka_field *field, int version,
			unsigned index, bool may_be_null, void *to)
{
	uint64_t n = number_for(v, field, index);

	switch (field->kind) {
	case KAFKA_BOOL:
		*(bool *)to = !v->random || n >> 63;
		return;
	case KAFKA_INT8:
		*(int8_t *)to = (int8_t)(n >> 56);
		return;
	case KAFKA_INT16:
		*(int16_t *)to = (int16_t)(n >> 48);
		return;
	case KAFKA_INT32:
		*(int32_t *)to = (int32_t)(n >> 32);
		return;
	case KAFKA_INT64:
		*(int64_t *)to = (int64_t)n;
		return;
	case KAFKA_UUID:
		for (int i = 0; i < 16; i++)
			((struct kafka_uuid *)to)->bytes[i] = (uint8_t)(n >> 8 * (7 - i % 8));
		return;
	case KAFKA_STRING:
	case KAFKA_BYTES:
	case KAFKA_RECORDS:
		*(struct slice *)to =
		    may_be_null && now_and_then(v) ? slice_make(NULL, 0) : text_for(v, field);
		return;
	case KAFKA_STRUCT:
		fill_struct(v, field->of, version, to);
		return;
	}
}

static void fill_array(struct values *v, const struct kafka_field *field, int version,
		       struct kafka_array *to)
{
	size_t size = field_element_size(field);
	unsigned count = field->kind == KAFKA_STRUCT ? 1 : 2;

	*to = (struct kafka_array){NULL, -1};
	if (field_may_be_null(field, version) && now_and_then(v))
		return;
	if (v->random)
		count = (unsigned)(values_random(v) % 4);
	*to = (struct kafka_array){take(v, count, size), (int32_t)count};
	for (unsigned i = 0; i < count; i++)
		fill_single(v, field, version, i, false, (char *)to->at + i * size);
}

static void fill_optional(struct values *v, const struct kafka_field *field, int version, void **to)
{
	*to = NULL;
	if (field_may_be_null(field, version) && now_and_then(v))
		return;
	*to = take(v, 1, field->of->size);
	fill_struct(v, field->of, version, *to);
}

static void fill_field(struct values *v, const struct kafka_field *field, int version, void *to)
{
	if (!field_in(field, version) || (field->tag >= 0 && now_and_then(v)))
		field_preset(field, to);
	else if (field->array)
		fill_array(v, field, version, to);
	else if (field_by_pointer(field))
		fill_optional(v, field, version, to);
	else
		fill_single(v, field, version, 0, field_may_be_null(field, version), to);
}

static void fill_struct(struct values *v, const struct kafka_struct *of, int version, char *to)
{
	for (int i = 0; i < of->plain + of->tagged; i++)
		fill_field(v, &of->fields[i], version, to + of->fields[i].offset);
}

void values_fill(struct values *v, const struct kafka_message *message, int version, void *ret)
{
	fill_struct(v, message->root, version, ret);
}

static bool equal_structs(const struct kafka_struct *of, const char *a, const char *b);

static bool equal_singles(const struct kafka_field *field, const void *a, const void *b)
{
	const struct slice *s = a, *t = b;

	switch (field->kind) {
	case KAFKA_STRING:
	case KAFKA_BYTES:
	case KAFKA_RECORDS:
		return !s->ptr == !t->ptr && slice_eq(*s, *t);
	case KAFKA_STRUCT:
		return equal_structs(field->of, a, b);
	case KAFKA_BOOL:
	case KAFKA_INT8:
	case KAFKA_INT16:
	case KAFKA_INT32:
	case KAFKA_INT64:
	case KAFKA_UUID:
		return memcmp(a, b, field_element_size(field)) == 0;
	}
	return false;
}

static bool equal_arrays(const struct kafka_field *field, const struct kafka_array *a,
			 const struct kafka_array *b)
{
	size_t size = field_element_size(field);

	if (a->count != b->count)
		return false;
	for (int32_t i = 0; i < a->count; i++)
		if (!equal_singles(field, (char *)a->at + (size_t)i * size,
				   (char *)b->at + (size_t)i * size))
			return false;
	return true;
}

static bool equal_fields(const struct kafka_field *field, const void *a, const void *b)
{
	if (field->array)
		return equal_arrays(field, a, b);
	if (field_by_pointer(field)) {
		const void *s = *(void *const *)a, *t = *(void *const *)b;

		return s && t ? equal_structs(field->of, s, t) : !s && !t;
	}
	return equal_singles(field, a, b);
}

static bool equal_structs(const struct kafka_struct *of, const char *a, const char *b)
{
	for (int i = 0; i < of->plain + of->tagged; i++) {
		const struct kafka_field *field = &of->fields[i];

		if (!equal_fields(field, a + field->offset, b + field->offset))
			return false;
	}
	return true;
}

bool values_equal(const struct kafka_message *message, const void *a, const void *b)
{
	return equal_structs(message->root, a, b);
}

const struct kafka_message *values_message(const char *name, size_t len)
{
	for (size_t i = 0; i < kafka_messages_count; i++)
		if (strlen(kafka_messages[i]->name) == len &&
		    memcmp(kafka_messages[i]->name, name, len) == 0)
			return kafka_messages[i];
	return NULL;
}
