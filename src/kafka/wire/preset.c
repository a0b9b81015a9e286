#include "kafka/wire/fields.h"

static void struct_preset(const struct kafka_struct *of, char *to)
{
	for (int i = 0; i < of->plain + of->tagged; i++)
		field_preset(&of->fields[i], to + of->fields[i].offset);
}

static void single_preset(const struct kafka_field *field, void *to)
{
	switch (field->kind) {
	case KAFKA_BOOL:
		*(bool *)to = field->preset != 0;
		return;
	case KAFKA_INT8:
		*(int8_t *)to = (int8_t)field->preset;
		return;
	case KAFKA_INT16:
		*(int16_t *)to = (int16_t)field->preset;
		return;
	case KAFKA_INT32:
		*(int32_t *)to = (int32_t)field->preset;
		return;
	case KAFKA_INT64:
		*(int64_t *)to = field->preset;
		return;
	case KAFKA_UUID:
		memset(to, 0, sizeof(struct kafka_uuid));
		return;
	case KAFKA_STRING:
	case KAFKA_BYTES:
		*(struct slice *)to = slice_make(field->preset ? NULL : "", 0);
		return;
	case KAFKA_RECORDS:
		*(struct slice *)to = slice_make(NULL, 0);
		return;
	case KAFKA_STRUCT:
		if (field_by_pointer(field))
			*(void **)to = NULL;
		else
			struct_preset(field->of, to);
		return;
	}
}

void field_preset(const struct kafka_field *field, void *to)
{
	if (field->array)
		*(struct kafka_array *)to = (struct kafka_array){NULL, field->preset ? -1 : 0};
	else
		single_preset(field, to);
}

static bool struct_is_preset(const struct kafka_struct *of, const char *at)
{
	for (int i = 0; i < of->plain + of->tagged; i++)
		if (!field_is_preset(&of->fields[i], at + of->fields[i].offset))
			return false;
	return true;
}

static bool slice_is_preset(const struct kafka_field *field, const struct slice *s)
{
	bool null = field->preset || field->kind == KAFKA_RECORDS;

	return null ? !s->ptr : s->ptr && s->len == 0;
}

static bool single_is_preset(const struct kafka_field *field, const void *at)
{
	static const struct kafka_uuid zero;

	switch (field->kind) {
	case KAFKA_BOOL:
		return *(const bool *)at == (field->preset != 0);
	case KAFKA_INT8:
		return *(const int8_t *)at == field->preset;
	case KAFKA_INT16:
		return *(const int16_t *)at == field->preset;
	case KAFKA_INT32:
		return *(const int32_t *)at == field->preset;
	case KAFKA_INT64:
		return *(const int64_t *)at == field->preset;
	case KAFKA_UUID:
		return memcmp(at, &zero, sizeof(zero)) == 0;
	case KAFKA_STRING:
	case KAFKA_BYTES:
	case KAFKA_RECORDS:
		return slice_is_preset(field, at);
	case KAFKA_STRUCT:
		return field_by_pointer(field) ? !*(void *const *)at
					       : struct_is_preset(field->of, at);
	}
	return false;
}

bool field_is_preset(const struct kafka_field *field, const void *at)
{
	const struct kafka_array *array = at;

	if (field->array)
		return array->count == (field->preset ? -1 : 0);
	return single_is_preset(field, at);
}

void kafka_init(const struct kafka_message *message, void *ret)
{
	struct_preset(message->root, ret);
}
