/*
 * Bytes in, structs out, along the tables.
 *
 * Bounds: `at` never passes `end`. A count of elements is believed only as far as the bytes that
 * are left could hold that many of the smallest such element, so what the arena gives is in
 * proportion to what was received. The depth of recursion is that of the schema.
 */
#include <errno.h>

#include "base/be.h"
#include "base/varint.h"
#include "kafka/wire/fields.h"

struct reader {
	const uint8_t *at, *end;
	struct arena *arena;
	int version;
	bool flexible;
	int error;       /* the first one */
	size_t elements; /* of arrays, that may still come */
};

static bool read_struct(struct reader *r, const struct kafka_struct *of, char *to);

static bool fail(struct reader *r, int error)
{
	r->error = error;
	return false;
}

static inline size_t left(const struct reader *r)
{
	return (size_t)(r->end - r->at);
}

static bool read_uvarint(struct reader *r, uint32_t *ret)
{
	const uint8_t *next = varint_read_u32(r->at, r->end, ret);

	if (unlikely(!next))
		return fail(r, -EBADMSG);
	r->at = next;
	return true;
}

/* A length or a count: -1 is null. Before flexible versions it is an int16 for strings, an int32
 * for all else, and Kafka takes any negative number for null; then it is a varint, one too large.
 */
static bool read_length(struct reader *r, bool is_short, int64_t *ret)
{
	if (r->flexible) {
		uint32_t n;

		if (!read_uvarint(r, &n))
			return false;
		*ret = (int64_t)n - 1;
		return true;
	}
	if (unlikely(left(r) < (is_short ? 2 : 4)))
		return fail(r, -EBADMSG);
	*ret = is_short ? (int16_t)be_load16(r->at) : (int32_t)be_load32(r->at);
	r->at += is_short ? 2 : 4;
	if (*ret < 0)
		*ret = -1;
	return true;
}

static bool read_slice(struct reader *r, const struct kafka_field *field, bool may_be_null,
		       struct slice *ret)
{
	bool is_string = field->kind == KAFKA_STRING;
	int64_t len;

	if (!read_length(r, is_string, &len))
		return false;
	if (len < 0) {
		*ret = slice_make(NULL, 0);
		return may_be_null || fail(r, -EBADMSG);
	}
	if (unlikely((uint64_t)len > left(r) || (is_string && len > INT16_MAX)))
		return fail(r, -EBADMSG);
	*ret = slice_make((const char *)r->at, (size_t)len);
	r->at += len;
	return true;
}

/* Inline in both of its places: most fields of the hot requests are numbers. */
static inline bool read_number(struct reader *r, enum kafka_kind kind, void *to)
{
	static const uint8_t sizes[] = {
	    [KAFKA_BOOL] = 1,  [KAFKA_INT8] = 1,  [KAFKA_INT16] = 2,
	    [KAFKA_INT32] = 4, [KAFKA_INT64] = 8, [KAFKA_UUID] = 16,
	};
	const uint8_t *at = r->at;

	if (unlikely(left(r) < sizes[kind]))
		return fail(r, -EBADMSG);
	r->at += sizes[kind];
	if (kind == KAFKA_INT32)
		*(int32_t *)to = (int32_t)be_load32(at);
	else if (kind == KAFKA_INT64)
		*(int64_t *)to = (int64_t)be_load64(at);
	else if (kind == KAFKA_INT16)
		*(int16_t *)to = (int16_t)be_load16(at);
	else if (kind == KAFKA_INT8)
		*(int8_t *)to = (int8_t)*at;
	else if (kind == KAFKA_BOOL)
		*(bool *)to = *at != 0;
	else
		memcpy(to, at, sizeof(struct kafka_uuid));
	return true;
}

/* A struct that may be null: one byte before it says whether it is (below zero) or not. */
static bool read_optional(struct reader *r, const struct kafka_field *field, void **ret)
{
	bool there = true;

	if (field_may_be_null(field, r->version)) {
		int8_t mark;

		if (!read_number(r, KAFKA_INT8, &mark))
			return false;
		there = mark >= 0;
	}
	*ret = NULL;
	if (!there)
		return true;
	*ret = arena_take(r->arena, field->of->size);
	if (!*ret)
		return fail(r, -ENOBUFS);
	return read_struct(r, field->of, *ret);
}

static bool read_single(struct reader *r, const struct kafka_field *field, bool may_be_null,
			void *to)
{
	switch (field->kind) {
	case KAFKA_STRING:
	case KAFKA_BYTES:
	case KAFKA_RECORDS:
		return read_slice(r, field, may_be_null, to);
	case KAFKA_STRUCT:
		return read_struct(r, field->of, to);
	case KAFKA_BOOL:
	case KAFKA_INT8:
	case KAFKA_INT16:
	case KAFKA_INT32:
	case KAFKA_INT64:
	case KAFKA_UUID:
		return read_number(r, field->kind, to);
	}
	return fail(r, -EBADMSG);
}

/* The fewest bytes an element takes on the wire. */
static size_t element_min(const struct kafka_field *field, bool flexible)
{
	switch (field->kind) {
	case KAFKA_STRUCT:
		return field->of->wire_min;
	case KAFKA_STRING:
		return flexible ? 1 : 2;
	case KAFKA_BYTES:
	case KAFKA_RECORDS:
		return flexible ? 1 : 4;
	case KAFKA_BOOL:
	case KAFKA_INT8:
	case KAFKA_INT16:
	case KAFKA_INT32:
	case KAFKA_INT64:
	case KAFKA_UUID:
		return field_element_size(field);
	}
	return 1;
}

static bool read_array(struct reader *r, const struct kafka_field *field, struct kafka_array *ret)
{
	size_t size = field_element_size(field);
	int64_t count;

	if (!read_length(r, false, &count))
		return false;
	*ret = (struct kafka_array){NULL, -1};
	if (count < 0)
		return field_may_be_null(field, r->version) || fail(r, -EBADMSG);
	if (unlikely((uint64_t)count > left(r) / element_min(field, r->flexible)))
		return fail(r, -EBADMSG);
	if (unlikely((uint64_t)count > r->elements))
		return fail(r, -E2BIG);
	r->elements -= (size_t)count;
	char *elements = arena_take_array(r->arena, (size_t)count, size);
	if (unlikely(!elements))
		return fail(r, -ENOBUFS);
	*ret = (struct kafka_array){elements, (int32_t)count};
	for (int64_t i = 0; i < count; i++)
		if (!read_single(r, field, false, elements + (size_t)i * size))
			return false;
	return true;
}

static bool read_field(struct reader *r, const struct kafka_field *field, char *to)
{
	if (field->array)
		return read_array(r, field, (struct kafka_array *)(void *)to);
	if (field->kind <= KAFKA_UUID)
		return read_number(r, field->kind, to);
	if (field_by_pointer(field))
		return read_optional(r, field, (void **)(void *)to);
	return read_single(r, field, field_may_be_null(field, r->version), to);
}

static const struct kafka_field *tagged_field(const struct kafka_struct *of, int version,
					      uint32_t tag)
{
	const struct kafka_field *field = of->fields + of->plain;

	for (int i = 0; i < of->tagged; i++, field++)
		if ((uint32_t)field->tag == tag)
			return field_in(field, version) ? field : NULL;
	return NULL;
}

/* One tagged field, of `size` bytes: what we know must stay within them, what we do not is skipped.
 */
static bool read_tagged(struct reader *r, const struct kafka_struct *of, uint32_t tag,
			uint32_t size, char *to)
{
	const struct kafka_field *field = tagged_field(of, r->version, tag);
	const uint8_t *end = r->end, *next = r->at + size;

	if (field) {
		r->end = next;
		if (!read_field(r, field, to + field->offset))
			return false;
		r->end = end;
	}
	r->at = next;
	return true;
}

static bool read_tags(struct reader *r, const struct kafka_struct *of, char *to)
{
	uint32_t count, tag, size;

	if (!read_uvarint(r, &count))
		return false;
	for (; count > 0; count--) {
		if (!read_uvarint(r, &tag) || !read_uvarint(r, &size))
			return false;
		if (unlikely(size > left(r)))
			return fail(r, -EBADMSG);
		if (!read_tagged(r, of, tag, size, to))
			return false;
	}
	return true;
}

static bool read_struct(struct reader *r, const struct kafka_struct *of, char *to)
{
	const struct kafka_field *field = of->fields, *tagged = field + of->plain;

	for (; field < tagged; field++) {
		if (!field_in(field, r->version))
			field_preset(field, to + field->offset);
		else if (!read_field(r, field, to + field->offset))
			return false;
	}
	for (int i = 0; i < of->tagged; i++)
		field_preset(&tagged[i], to + tagged[i].offset);
	return !r->flexible || read_tags(r, of, to);
}

int kafka_decode_bounded(const struct kafka_message *message, int version, struct slice *bytes,
			 struct arena *arena, void *ret, size_t *elements)
{
	/* No bytes may be at NULL, from where one can't count on. */
	const uint8_t *start = (const uint8_t *)(bytes->len > 0 ? bytes->ptr : "");
	struct reader r = {
	    .at = start,
	    .end = start + bytes->len,
	    .arena = arena,
	    .version = version,
	    .flexible = version >= message->flexible,
	    .elements = *elements,
	};

	if (!kafka_message_has(message, version))
		return -EPROTONOSUPPORT;
	if (!read_struct(&r, message->root, ret))
		return r.error;
	*bytes = slice_make((const char *)r.at, left(&r));
	*elements -= r.elements;
	return 0;
}

int kafka_decode(const struct kafka_message *message, int version, struct slice *bytes,
		 struct arena *arena, void *ret)
{
	size_t elements = SIZE_MAX;

	return kafka_decode_bounded(message, version, bytes, arena, ret, &elements);
}
