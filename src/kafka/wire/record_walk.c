#include "kafka/wire/record_walk.h"

#include "base/varint.h"

enum field {
	FIELD_LENGTH,
	FIELD_ATTRIBUTES,
	FIELD_TIMESTAMP,
	FIELD_OFFSET,
	FIELD_KEY,
	FIELD_VALUE,
	FIELD_HEADERS,
	FIELD_NAME,
	FIELD_CONTENT,
	FIELD_NONE, /* that was the last */
};

/* ---- a record in one piece ---- */

/* Skips `len` bytes, or what is null; NULL: malformed. */
static inline const uint8_t *skip(const uint8_t *at, const uint8_t *end, int32_t len, int32_t least)
{
	if (unlikely(!at || len < least || len > end - at))
		return NULL;
	return len > 0 ? at + len : at;
}

static const uint8_t *skip_headers(const uint8_t *at, const uint8_t *end, int32_t count)
{
	/* Each takes two bytes at least. */
	if (count < 0 || count > (end - at) / 2)
		return NULL;
	for (; count > 0 && at; count--) {
		int32_t len = 0;

		at = varint_read_i32(at, end, &len);
		at = skip(at, end, len, 0);
		if (at)
			at = varint_read_i32(at, end, &len);
		at = skip(at, end, len, -1);
	}
	return at;
}

/* What is between `at` and `end` is exactly one record, without its length. */
static inline bool read_whole(const struct record_batch *batch, const uint8_t *at,
			      const uint8_t *end, struct record_head *ret)
{
	int64_t time = 0;
	int32_t key = 0, value = 0, headers = 0;

	at = varint_read_i64(at + 1, end, &time);
	if (likely(at))
		at = varint_read_i32(at, end, &ret->delta);
	if (likely(at))
		at = varint_read_i32(at, end, &key);
	at = skip(at, end, key, -1);
	if (likely(at))
		at = varint_read_i32(at, end, &value);
	at = skip(at, end, value, -1);
	if (likely(at))
		at = varint_read_i32(at, end, &headers);
	if (at && unlikely(headers != 0))
		at = skip_headers(at, end, headers);
	/* Unsigned: differences that wrap are the producer's affair. */
	ret->timestamp = (int64_t)((uint64_t)batch->base_timestamp + (uint64_t)time);
	ret->has_key = key >= 0;
	return at == end;
}

/* ---- one that is cut ---- */

/* More of the number that is the next field: END when the piece ends before it. */
static enum record_batch_fault take_number(struct record_walk *walk, struct slice *piece)
{
	/* As in varint.h: where the width ends, and what its last byte may be. */
	const unsigned last_shift = walk->field == FIELD_TIMESTAMP ? 63 : 28;
	const unsigned last_byte = walk->field == FIELD_TIMESTAMP ? 1 : 0x0f;

	while (piece->len > 0) {
		uint8_t byte = (uint8_t)*piece->ptr;

		if (walk->field != FIELD_LENGTH && walk->left-- == 0)
			return RECORD_BATCH_RECORD;
		if (walk->shift == last_shift && byte > last_byte)
			return RECORD_BATCH_RECORD;
		*piece = slice_make(piece->ptr + 1, piece->len - 1);
		walk->number |= (uint64_t)(byte & 0x7f) << walk->shift;
		walk->shift = (uint8_t)(walk->shift + 7);
		if (byte < 0x80)
			return RECORD_BATCH_OK;
	}
	return RECORD_BATCH_END;
}

/* The bytes behind a length. */
static bool begin_skip(struct record_walk *walk, int32_t len, int32_t least)
{
	if (len < least || len > walk->left)
		return false;
	walk->skip = len > 0 ? len : 0;
	walk->left -= walk->skip;
	return true;
}

/* The number of the field is there: what it means, and what comes next. */
static bool take_field(struct record_walk *walk)
{
	int32_t n = zigzag_decode32((uint32_t)walk->number);

	switch ((enum field)walk->field++) {
	case FIELD_LENGTH:
		walk->left = n;
		return n > 0;
	case FIELD_TIMESTAMP:
		walk->head.timestamp = (int64_t)((uint64_t)walk->batch->base_timestamp +
						 (uint64_t)zigzag_decode64(walk->number));
		return true;
	case FIELD_OFFSET:
		walk->head.delta = n;
		return true;
	case FIELD_KEY:
		walk->head.has_key = n >= 0;
		return begin_skip(walk, n, -1);
	case FIELD_VALUE:
		return begin_skip(walk, n, -1);
	case FIELD_HEADERS:
		walk->headers = n;
		if (n == 0)
			walk->field = FIELD_NONE;
		return n >= 0 && n <= walk->left / 2;
	case FIELD_NAME:
		return begin_skip(walk, n, 0);
	case FIELD_CONTENT:
		walk->field = --walk->headers > 0 ? FIELD_NAME : FIELD_NONE;
		return begin_skip(walk, n, -1);
	case FIELD_ATTRIBUTES:
	case FIELD_NONE:
		break;
	}
	CHECK(false);
	return false;
}

static void take_skipped(struct record_walk *walk, struct slice *piece)
{
	size_t n = piece->len < (size_t)walk->skip ? piece->len : (size_t)walk->skip;

	*piece = slice_make(piece->ptr + n, piece->len - n);
	walk->skip -= (int32_t)n;
}

/* One step: OK when there may be another. */
static enum record_batch_fault take_some(struct record_walk *walk, struct slice *piece)
{
	enum record_batch_fault fault;

	if (walk->skip > 0) {
		take_skipped(walk, piece);
		return walk->skip > 0 ? RECORD_BATCH_END : RECORD_BATCH_OK;
	}
	if (walk->field == FIELD_ATTRIBUTES) {
		if (piece->len == 0)
			return RECORD_BATCH_END;
		*piece = slice_make(piece->ptr + 1, piece->len - 1);
		walk->left--;
		walk->field++;
		return RECORD_BATCH_OK;
	}
	fault = take_number(walk, piece);
	if (fault != RECORD_BATCH_OK)
		return fault;
	fault = take_field(walk) ? RECORD_BATCH_OK : RECORD_BATCH_RECORD;
	walk->number = 0;
	walk->shift = 0;
	return fault;
}

static enum record_batch_fault next_in_parts(struct record_walk *walk, struct slice *piece)
{
	enum record_batch_fault fault = RECORD_BATCH_OK;

	while (fault == RECORD_BATCH_OK && (walk->field != FIELD_NONE || walk->skip > 0))
		fault = take_some(walk, piece);
	if (fault == RECORD_BATCH_OK && walk->left > 0)
		return RECORD_BATCH_RECORD;
	if (fault == RECORD_BATCH_OK)
		walk->field = FIELD_LENGTH;
	return fault;
}

/* ---- any ---- */

void record_walk_begin(struct record_walk *walk, const struct record_batch *batch)
{
	*walk = (struct record_walk){.batch = batch};
}

bool record_walk_is_between(const struct record_walk *walk)
{
	return walk->field == FIELD_LENGTH && walk->shift == 0;
}

enum record_batch_fault record_walk_next(struct record_walk *walk, struct slice *piece,
					 struct record_head *ret)
{
	const struct record_batch *batch = walk->batch;
	const uint8_t *at = (const uint8_t *)piece->ptr, *end;
	enum record_batch_fault fault = RECORD_BATCH_OK;
	int32_t len = 0;

	/* Nothing may be nowhere, and NULL has no end. */
	if (unlikely(piece->len == 0))
		return RECORD_BATCH_END;
	end = at + piece->len;
	if (likely(record_walk_is_between(walk)))
		at = varint_read_i32(at, end, &len);
	if (likely(at && len > 0 && len <= end - at)) {
		if (unlikely(!read_whole(batch, at, at + len, ret)))
			return RECORD_BATCH_RECORD;
		*piece = slice_make((const char *)at + len, (size_t)(end - at - len));
	} else {
		fault = next_in_parts(walk, piece);
		*ret = walk->head;
	}
	if (unlikely(batch->attributes & RECORD_ATTRIBUTE_LOG_APPEND_TIME))
		ret->timestamp = batch->max_timestamp;
	return fault;
}

/* ---- what a producer may send ---- */

#define ROW_ERROR(name, error, text) KAFKA_##error,
#define ROW_TEXT(name, error, text)  text,

static enum kafka_error objection_error(enum record_objection objection)
{
	static const int16_t errors[] = {RECORD_OBJECTIONS(ROW_ERROR)};

	return (enum kafka_error)errors[objection];
}

const char *record_objection_text(enum record_objection objection)
{
	static const char *const texts[] = {RECORD_OBJECTIONS(ROW_TEXT)};

	return texts[objection];
}

/* In Kafka's order: a record has at most one. */
static bool objection_to(const struct records_check *check, const struct record_head *head,
			 enum record_objection *ret)
{
	const struct records_rules *rules = check->rules;

	if (rules->needs_keys && !head->has_key) {
		*ret = RECORD_WITHOUT_KEY;
		return true;
	}
	if (rules->append_time || head->timestamp == -1) {
		*ret = RECORD_APPEND_TIME;
		return check->batch->attributes & RECORD_ATTRIBUTE_LOG_APPEND_TIME;
	}
	*ret = head->timestamp < rules->earliest ? RECORD_TOO_EARLY : RECORD_TOO_LATE;
	return head->timestamp < rules->earliest || head->timestamp > rules->latest;
}

static void object(const struct records_check *check, const struct record_head *head)
{
	struct records_summary *summary = check->summary;
	enum record_objection why;

	if (!objection_to(check, head, &why))
		return;
	/* A wrong time outweighs a missing key, as with Kafka. */
	if (summary->error != KAFKA_INVALID_TIMESTAMP)
		summary->error = objection_error(why);
	if (summary->objected < RECORDS_OBJECTED_MAX)
		summary->first[summary->objected] = (struct record_objected){check->seen, why};
	summary->objected++;
}

void records_check_begin(struct records_check *check, const struct record_batch *batch,
			 const struct records_rules *rules, struct records_summary *ret)
{
	check->batch = batch;
	check->rules = rules;
	check->seen = 0;
	check->summary = ret;
	record_walk_begin(&check->walk, batch);
	ret->max_timestamp = -1;
	ret->objected = 0;
	ret->error = KAFKA_NONE;
}

enum record_batch_fault records_check_feed(struct records_check *check, struct slice piece)
{
	const struct records_rules *rules = check->rules;
	bool append_time = check->batch->attributes & RECORD_ATTRIBUTE_LOG_APPEND_TIME;
	struct record_head head;

	for (; check->seen < check->batch->count; check->seen++) {
		enum record_batch_fault fault = record_walk_next(&check->walk, &piece, &head);

		if (fault != RECORD_BATCH_OK)
			return fault == RECORD_BATCH_END ? RECORD_BATCH_OK : fault;
		if (unlikely(head.delta != check->seen))
			return RECORD_BATCH_RECORD_OFFSET;
		if (head.timestamp > check->summary->max_timestamp)
			check->summary->max_timestamp = head.timestamp;
		if (unlikely((rules->needs_keys && !head.has_key) || append_time ||
			     head.timestamp < rules->earliest || head.timestamp > rules->latest))
			object(check, &head);
	}
	return piece.len > 0 ? RECORD_BATCH_RECORD_COUNT : RECORD_BATCH_OK;
}

enum record_batch_fault records_check_end(const struct records_check *check)
{
	if (check->seen == check->batch->count)
		return RECORD_BATCH_OK;
	return record_walk_is_between(&check->walk) ? RECORD_BATCH_RECORD_COUNT
						    : RECORD_BATCH_RECORD;
}

enum record_batch_fault records_check(const struct record_batch *batch, struct slice records,
				      const struct records_rules *rules,
				      struct records_summary *ret)
{
	struct records_check check;
	enum record_batch_fault fault;

	records_check_begin(&check, batch, rules, ret);
	fault = records_check_feed(&check, records);
	return fault == RECORD_BATCH_OK ? records_check_end(&check) : fault;
}
