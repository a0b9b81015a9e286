/*
 * The records in a batch: a varint length, then attributes, timestamp and offset as differences to
 * the batch's, key, value and headers, each length a varint, -1 for null.
 */
#include "base/varint.h"
#include "kafka/wire/record_batch.h"

struct cursor {
	const uint8_t *at, *end; /* at NULL: malformed */
};

static struct cursor cursor_over(struct slice s)
{
	return (struct cursor){(const uint8_t *)s.ptr, (const uint8_t *)s.ptr + s.len};
}

static struct slice rest_of(const struct cursor *c)
{
	return slice_make((const char *)c->at, (size_t)(c->end - c->at));
}

static inline int32_t take_i32(struct cursor *c)
{
	int32_t n = 0;

	if (c->at)
		c->at = varint_read_i32(c->at, c->end, &n);
	return n;
}

static inline int64_t take_i64(struct cursor *c)
{
	int64_t n = 0;

	if (c->at)
		c->at = varint_read_i64(c->at, c->end, &n);
	return n;
}

/* `len` bytes, or null. */
static inline struct slice take_bytes(struct cursor *c, int32_t len, bool may_be_null)
{
	struct slice bytes = {NULL, 0};

	if (!c->at || (len == -1 && may_be_null))
		return bytes;
	if (len < 0 || len > c->end - c->at) {
		c->at = NULL;
		return bytes;
	}
	bytes = slice_make((const char *)c->at, (size_t)len);
	c->at += len;
	return bytes;
}

static void skip_headers(struct cursor *c, int32_t count)
{
	/* Each takes two bytes at least. */
	if (!c->at || count < 0 || count > (c->end - c->at) / 2) {
		c->at = NULL;
		return;
	}
	for (; count > 0 && c->at; count--) {
		take_bytes(c, take_i32(c), false);
		take_bytes(c, take_i32(c), true);
	}
}

/* What is between `body` and its end is exactly one record. */
static bool load(const struct record_batch *batch, struct slice body, struct record *ret)
{
	struct cursor c = cursor_over(body);

	if (body.len == 0)
		return false;
	ret->attributes = (int8_t)*c.at++;
	/* Differences that wrap are the producer's affair: unsigned, so that they do no harm here.
	 */
	ret->timestamp = (int64_t)((uint64_t)batch->base_timestamp + (uint64_t)take_i64(&c));
	ret->offset = (int64_t)((uint64_t)batch->base_offset + (uint64_t)(int64_t)take_i32(&c));
	ret->key = take_bytes(&c, take_i32(&c), true);
	ret->value = take_bytes(&c, take_i32(&c), true);
	ret->headers_count = take_i32(&c);
	if (!c.at)
		return false;
	ret->headers = rest_of(&c);
	skip_headers(&c, ret->headers_count);
	return c.at && c.at == c.end;
}

enum record_batch_fault record_next(const struct record_batch *batch, struct slice *records,
				    struct record *ret)
{
	if (records->len == 0)
		return RECORD_BATCH_END;
	struct cursor c = cursor_over(*records);
	struct slice body = take_bytes(&c, take_i32(&c), false);

	if (!c.at || !load(batch, body, ret))
		return RECORD_BATCH_RECORD;
	if (batch->attributes & RECORD_ATTRIBUTE_LOG_APPEND_TIME)
		ret->timestamp = batch->max_timestamp;
	*records = rest_of(&c);
	return RECORD_BATCH_OK;
}

bool record_header_next(struct record *record, struct slice *ret_key, struct slice *ret_value)
{
	struct cursor c = cursor_over(record->headers);

	if (record->headers_count == 0)
		return false;
	*ret_key = take_bytes(&c, take_i32(&c), false);
	*ret_value = take_bytes(&c, take_i32(&c), true);
	CHECK(c.at); /* record_next() has walked them */
	record->headers = rest_of(&c);
	record->headers_count--;
	return true;
}
