/*
 * Structs in, bytes out, along the tables.
 *
 * A tagged field has its size before it, so it is written twice: first to nowhere, to be counted.
 */
#include "base/be.h"
#include "base/varint.h"
#include "kafka/wire/error.h"
#include "kafka/wire/fields.h"

struct context {
	struct kafka_writer *w;
	int version;
	bool flexible;
};

static void write_struct(const struct context *c, const struct kafka_struct *of, const char *at);

/* Inline, so that a length that is known becomes a store. */
static inline void put(struct kafka_writer *writer, const void *data, size_t len)
{
	size_t at = writer->len;

	writer->len += len;
	if (likely(writer->len <= writer->size && len > 0))
		memcpy(writer->ptr + at, data, len);
}

void kafka_put(struct kafka_writer *writer, const void *data, size_t len)
{
	put(writer, data, len);
}

static void put_i8(struct kafka_writer *writer, int8_t n)
{
	put(writer, &n, 1);
}

void kafka_put_i16(struct kafka_writer *writer, int16_t n)
{
	uint16_t wire = be_swap16((uint16_t)n);

	put(writer, &wire, sizeof(wire));
}

void kafka_put_i32(struct kafka_writer *writer, int32_t n)
{
	uint32_t wire = be_swap32((uint32_t)n);

	put(writer, &wire, sizeof(wire));
}

static void put_i64(struct kafka_writer *writer, int64_t n)
{
	uint64_t wire = be_swap64((uint64_t)n);

	put(writer, &wire, sizeof(wire));
}

static void put_uvarint(struct kafka_writer *writer, uint64_t n)
{
	uint8_t out[VARINT64_MAX] = {(uint8_t)n};

	if (likely(n < 0x80))
		put(writer, out, 1);
	else
		put(writer, out, varint_write(out, n));
}

/* -1: null. */
static void write_length(const struct context *c, bool is_short, int64_t len)
{
	CHECK(len <= (is_short ? INT16_MAX : INT32_MAX));
	if (c->flexible)
		put_uvarint(c->w, (uint64_t)(len + 1));
	else if (is_short)
		kafka_put_i16(c->w, (int16_t)len);
	else
		kafka_put_i32(c->w, (int32_t)len);
}

static void leave_gap(struct kafka_writer *w, struct slice records)
{
	if (w->gaps_count < w->gaps_size)
		w->gaps[w->gaps_count] = (struct kafka_gap){w->len, records};
	w->gaps_count++;
	w->gap_bytes += records.len;
}

static void write_slice(const struct context *c, const struct kafka_field *field,
			const struct slice *s, bool may_be_null)
{
	bool null = !s->ptr && may_be_null;

	/* A length of what can't be in memory at all can't be in an int64 either. */
	CHECK(s->len <= INT32_MAX);
	write_length(c, field->kind == KAFKA_STRING, null ? -1 : (int64_t)s->len);
	if (field->kind == KAFKA_RECORDS && c->w->gaps && s->len > 0)
		leave_gap(c->w, *s);
	else
		kafka_put(c->w, s->ptr, s->len);
}

static void write_single(const struct context *c, const struct kafka_field *field, const void *at,
			 bool may_be_null)
{
	switch (field->kind) {
	case KAFKA_BOOL:
		put_i8(c->w, *(const bool *)at ? 1 : 0);
		return;
	case KAFKA_INT8:
		put_i8(c->w, *(const int8_t *)at);
		return;
	case KAFKA_INT16:
		if (field->is_error && unlikely(*(const int16_t *)at != 0) && c->w->errors)
			kafka_error_count(c->w->errors, *(const int16_t *)at);
		kafka_put_i16(c->w, *(const int16_t *)at);
		return;
	case KAFKA_INT32:
		kafka_put_i32(c->w, *(const int32_t *)at);
		return;
	case KAFKA_INT64:
		put_i64(c->w, *(const int64_t *)at);
		return;
	case KAFKA_UUID:
		put(c->w, at, sizeof(struct kafka_uuid));
		return;
	case KAFKA_STRING:
	case KAFKA_BYTES:
	case KAFKA_RECORDS:
		write_slice(c, field, at, may_be_null);
		return;
	case KAFKA_STRUCT:
		write_struct(c, field->of, at);
		return;
	}
}

static void write_array(const struct context *c, const struct kafka_field *field,
			const struct kafka_array *array)
{
	size_t size = field_element_size(field);
	bool null = array->count < 0 && field_may_be_null(field, c->version);
	int32_t count = array->count < 0 ? 0 : array->count;
	const char *elements = array->at;

	write_length(c, false, null ? -1 : count);
	for (int32_t i = 0; i < count; i++)
		write_single(c, field, elements + (size_t)i * size, false);
}

static void write_optional(const struct context *c, const struct kafka_field *field,
			   const void *value)
{
	bool may_be_null = field_may_be_null(field, c->version);

	CHECK(value || may_be_null);
	if (may_be_null)
		put_i8(c->w, value ? 1 : -1);
	if (value)
		write_struct(c, field->of, value);
}

static void write_field(const struct context *c, const struct kafka_field *field, const char *at)
{
	if (field->array)
		write_array(c, field, (const struct kafka_array *)(const void *)at);
	else if (field_by_pointer(field))
		write_optional(c, field, *(void *const *)(const void *)at);
	else
		write_single(c, field, at, field_may_be_null(field, c->version));
}

static size_t size_of_field(const struct context *c, const struct kafka_field *field,
			    const char *at)
{
	struct kafka_writer nowhere = {0};
	struct context counting = *c;

	counting.w = &nowhere;
	write_field(&counting, field, at);
	return nowhere.len;
}

static bool wants_tag(const struct context *c, const struct kafka_field *field, const char *at)
{
	return field_in(field, c->version) && !field_is_preset(field, at + field->offset);
}

/* In the order of their tags, as Kafka asks; those at their default are left out. */
static void write_tags(const struct context *c, const struct kafka_struct *of, const char *at)
{
	const struct kafka_field *tagged = of->fields + of->plain;
	unsigned count = 0;

	for (int i = 0; i < of->tagged; i++)
		count += wants_tag(c, &tagged[i], at);
	put_uvarint(c->w, count);
	for (int i = 0; i < of->tagged && count > 0; i++) {
		if (!wants_tag(c, &tagged[i], at))
			continue;
		put_uvarint(c->w, (uint64_t)tagged[i].tag);
		put_uvarint(c->w, size_of_field(c, &tagged[i], at + tagged[i].offset));
		write_field(c, &tagged[i], at + tagged[i].offset);
	}
}

static void write_struct(const struct context *c, const struct kafka_struct *of, const char *at)
{
	for (const struct kafka_field *field = of->fields; field < of->fields + of->plain; field++)
		if (field_in(field, c->version))
			write_field(c, field, at + field->offset);
	if (c->flexible)
		write_tags(c, of, at);
}

void kafka_encode(const struct kafka_message *message, int version, const void *value,
		  struct kafka_writer *writer)
{
	struct context c = {writer, version, version >= message->flexible};

	CHECK(kafka_message_has(message, version));
	write_struct(&c, message->root, value);
}
