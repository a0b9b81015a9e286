/*
 * Records without their contents: what the walk finds in pieces of any size is what record_next()
 * finds in one, and what a topic wants of them.
 */
#include "unit/unit.h"

#include <stdlib.h>
#include <string.h>

#include "base/varint.h"
#include "unit/kafka/produced.h"

#define BYTES_MAX 65536

static uint8_t bytes[BYTES_MAX];
static size_t bytes_len;
static uint64_t seed;

static unsigned any(unsigned below)
{
	seed = seed * 6364136223846793005u + 1442695040888963407u;
	return (unsigned)(seed >> 33) % below;
}

/* ---- making records ---- */

static void put_number(int64_t n)
{
	bytes_len += varint_write(bytes + bytes_len, zigzag_encode64(n));
}

static void put_bytes(int32_t len)
{
	put_number(len);
	if (len > 0)
		memset(bytes + bytes_len, 'x', (size_t)len);
	bytes_len += len > 0 ? (size_t)len : 0;
}

/* -1: null. */
static int32_t any_length(void)
{
	static const unsigned most[] = {2, 10, 70, 300};

	return (int32_t)any(most[any(4)]) - 1;
}

static void put_record(int64_t time, int32_t delta, int32_t key, int32_t value, int32_t headers)
{
	uint8_t body[8192];
	size_t from = bytes_len, len;

	bytes[bytes_len++] = 0;
	put_number(time);
	put_number(delta);
	put_bytes(key);
	put_bytes(value);
	put_number(headers);
	for (int32_t i = 0; i < headers; i++) {
		put_bytes((int32_t)any(9));
		put_bytes(any_length());
	}
	len = bytes_len - from;
	memcpy(body, bytes + from, len);
	bytes_len = from;
	put_number((int64_t)len);
	memcpy(bytes + bytes_len, body, len);
	bytes_len += len;
}

static struct record_batch batch_of(int32_t count)
{
	return (struct record_batch){
	    .records = slice_make((const char *)bytes, bytes_len),
	    .base_offset = 0,
	    .base_timestamp = 1700000000000,
	    .max_timestamp = 1700000000000,
	    .last_offset_delta = count - 1,
	    .count = count,
	};
}

static struct record_batch any_batch(void)
{
	int32_t count = 1 + (int32_t)any(40);

	bytes_len = 0;
	for (int32_t i = 0; i < count; i++)
		put_record((int64_t)any(2000) - 1000, i, any_length(), any_length(),
			   any(4) ? 0 : (int32_t)any(5));
	return batch_of(count);
}

/* ---- pieces ---- */

/* At most `most` bytes each, some of them empty. */
static enum record_batch_fault check_in_pieces(const struct record_batch *batch, unsigned most,
					       const struct records_rules *rules,
					       struct records_summary *ret)
{
	struct slice rest = batch->records;
	struct records_check check;
	enum record_batch_fault fault = RECORD_BATCH_OK;

	records_check_begin(&check, batch, rules, ret);
	while (rest.len > 0 && fault == RECORD_BATCH_OK) {
		size_t len = any(most + 1);
		char *copy;

		len = len < rest.len ? len : rest.len;
		copy = malloc(len ? len : 1);
		memcpy(copy, rest.ptr, len);
		fault = records_check_feed(&check, slice_make(copy, len));
		free(copy);
		rest = slice_make(rest.ptr + len, rest.len - len);
	}
	return fault == RECORD_BATCH_OK ? records_check_end(&check) : fault;
}

/* By the reader of whole records. */
static enum record_batch_fault model(const struct record_batch *batch, int64_t *ret_max,
				     uint32_t *ret_without_key)
{
	struct slice rest = batch->records;
	struct record record;

	*ret_max = -1;
	*ret_without_key = 0;
	for (int32_t i = 0; i < batch->count; i++) {
		enum record_batch_fault fault = record_next(batch, &rest, &record);

		if (fault != RECORD_BATCH_OK)
			return fault == RECORD_BATCH_END ? RECORD_BATCH_RECORD_COUNT : fault;
		if (record.offset != i)
			return RECORD_BATCH_RECORD_OFFSET;
		if (record.timestamp > *ret_max)
			*ret_max = record.timestamp;
		*ret_without_key += !record.key.ptr;
	}
	return rest.len > 0 ? RECORD_BATCH_RECORD_COUNT : RECORD_BATCH_OK;
}

static void agrees(const struct record_batch *batch)
{
	struct records_rules rules = RECORDS_ANY;
	struct records_summary whole, pieces;
	int64_t max;
	uint32_t without_key;
	enum record_batch_fault fault = model(batch, &max, &without_key);

	rules.needs_keys = true;
	assert_int_equal(records_check(batch, batch->records, &rules, &whole), fault);
	assert_int_equal(check_in_pieces(batch, 1 + any(300), &rules, &pieces), fault);
	if (fault != RECORD_BATCH_OK)
		return;
	assert_int_equal(whole.max_timestamp, max);
	assert_int_equal(whole.objected, without_key);
	assert_int_equal(pieces.max_timestamp, max);
	assert_int_equal(pieces.objected, without_key);
}

static void pieces_of_any_size_give_what_the_whole_gives(void **state)
{
	for (seed = 1; seed < 300; seed++) {
		uint64_t kept = seed;
		struct record_batch batch = any_batch();

		agrees(&batch);
		seed = kept;
	}
}

static void byte_by_byte_as_well(void **state)
{
	struct record_batch batch;
	struct records_summary summary;

	seed = 7;
	batch = any_batch();
	assert_int_equal(check_in_pieces(&batch, 1, &RECORDS_ANY, &summary), RECORD_BATCH_OK);
}

static void what_is_wrong_is_wrong_in_pieces_too(void **state)
{
	for (seed = 1; seed < 40; seed++) {
		uint64_t kept = seed;
		struct record_batch batch = any_batch();

		for (unsigned i = 0; i < 400; i++) {
			size_t at = any((unsigned)bytes_len);
			uint8_t before = bytes[at];

			bytes[at] = (uint8_t)any(256);
			agrees(&batch);
			bytes[at] = before;
		}
		seed = kept;
	}
}

static void cut_anywhere_it_is_wrong(void **state)
{
	struct records_summary summary;
	struct record_batch batch;

	seed = 3;
	batch = any_batch();
	/* Nothing, nowhere. */
	assert_int_equal(records_check(&batch, (struct slice){0}, &RECORDS_ANY, &summary),
			 RECORD_BATCH_RECORD_COUNT);
	for (size_t len = 0; len < bytes_len; len++) {
		struct record_batch cut = batch;

		cut.records.len = len;
		agrees(&cut);
		assert_int_not_equal(check_in_pieces(&cut, 9, &RECORDS_ANY, &summary),
				     RECORD_BATCH_OK);
	}
}

static void counts_that_lie(void **state)
{
	struct records_summary summary;
	struct record_batch batch;

	seed = 4;
	batch = any_batch();
	batch.count++;
	assert_int_equal(records_check(&batch, batch.records, &RECORDS_ANY, &summary),
			 RECORD_BATCH_RECORD_COUNT);
	batch.count -= 2;
	assert_int_equal(records_check(&batch, batch.records, &RECORDS_ANY, &summary),
			 RECORD_BATCH_RECORD_COUNT);
}

static void offsets_count_up_from_0(void **state)
{
	struct records_summary summary;
	struct record_batch batch;

	bytes_len = 0;
	put_record(0, 0, 1, 1, 0);
	put_record(0, 2, 1, 1, 0);
	batch = batch_of(2);
	assert_int_equal(records_check(&batch, batch.records, &RECORDS_ANY, &summary),
			 RECORD_BATCH_RECORD_OFFSET);
}

/* ---- numbers ---- */

/* A record whose time, or offset, is these bytes. */
static enum record_batch_fault with_number(bool time, const char *number, size_t len)
{
	static const uint8_t rest[] = {0x01, 0x01, 0x00}; /* null, null, no headers */
	struct records_summary summary;
	struct record_batch batch;
	enum record_batch_fault fault;

	bytes_len = 0;
	put_number((int64_t)(1 + 1 + len + sizeof(rest)));
	bytes[bytes_len++] = 0;
	if (!time)
		bytes[bytes_len++] = 0;
	memcpy(bytes + bytes_len, number, len);
	bytes_len += len;
	if (time)
		bytes[bytes_len++] = 0;
	memcpy(bytes + bytes_len, rest, sizeof(rest));
	bytes_len += sizeof(rest);
	batch = batch_of(1);
	fault = records_check(&batch, batch.records, &RECORDS_ANY, &summary);
	for (unsigned most = 1; most < 8; most++)
		assert_int_equal(check_in_pieces(&batch, most, &RECORDS_ANY, &summary), fault);
	return fault;
}

static void numbers_keep_to_their_width(void **state)
{
	/* Zero, as long as can be. */
	assert_int_equal(with_number(true, "\x80\x80\x80\x80\x80\x80\x80\x80\x80\0", 10),
			 RECORD_BATCH_OK);
	assert_int_equal(with_number(true, "\xff\xff\xff\xff\xff\xff\xff\xff\xff\1", 10),
			 RECORD_BATCH_OK);
	assert_int_equal(with_number(true, "\xff\xff\xff\xff\xff\xff\xff\xff\xff\2", 10),
			 RECORD_BATCH_RECORD);
	assert_int_equal(with_number(true, "\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\0", 11),
			 RECORD_BATCH_RECORD);
	assert_int_equal(with_number(false, "\x80\x80\x80\x80\0", 5), RECORD_BATCH_OK);
	assert_int_equal(with_number(false, "\x80\x80\x80\x80\x10", 5), RECORD_BATCH_RECORD);
	assert_int_equal(with_number(false, "\x80\x80\x80\x80\x80\0", 6), RECORD_BATCH_RECORD);
}

/* ---- what a topic wants ---- */

static void records_without_a_key_are_named(void **state)
{
	struct records_rules rules = RECORDS_ANY;
	struct records_summary summary;
	struct record_batch batch;

	bytes_len = 0;
	for (int32_t i = 0; i < 4; i++)
		put_record(0, i, i % 2 ? -1 : 0, 1, 0); /* an empty key is one */
	batch = batch_of(4);
	assert_int_equal(records_check(&batch, batch.records, &rules, &summary), RECORD_BATCH_OK);
	assert_int_equal(summary.error, KAFKA_NONE);
	rules.needs_keys = true;
	assert_int_equal(records_check(&batch, batch.records, &rules, &summary), RECORD_BATCH_OK);
	assert_int_equal(summary.error, KAFKA_INVALID_RECORD);
	assert_int_equal(summary.objected, 2);
	assert_int_equal(summary.first[0].index, 1);
	assert_int_equal(summary.first[1].index, 3);
	assert_int_equal(summary.first[1].why, RECORD_WITHOUT_KEY);
}

static void times_outside_of_the_bounds_are_named(void **state)
{
	struct records_rules rules = RECORDS_ANY;
	struct records_summary summary;
	struct record_batch batch;

	bytes_len = 0;
	put_record(-10, 0, 1, 1, 0);
	put_record(10, 1, 1, 1, 0);
	put_record(11, 2, 1, 1, 0);
	put_record(-11, 3, -1, 1, 0);
	put_record(-1700000000001, 4, 1, 1, 0); /* -1: none */
	batch = batch_of(5);
	rules.earliest = batch.base_timestamp - 10;
	rules.latest = batch.base_timestamp + 10;
	rules.needs_keys = true;
	assert_int_equal(records_check(&batch, batch.records, &rules, &summary), RECORD_BATCH_OK);
	/* Of a record without a key and with a wrong time the key is said, of the batch the time. */
	assert_int_equal(summary.error, KAFKA_INVALID_TIMESTAMP);
	assert_int_equal(summary.objected, 2);
	assert_int_equal(summary.first[0].index, 2);
	assert_int_equal(summary.first[0].why, RECORD_TOO_LATE);
	assert_int_equal(summary.first[1].index, 3);
	assert_int_equal(summary.first[1].why, RECORD_WITHOUT_KEY);
	rules.needs_keys = false;
	assert_int_equal(records_check(&batch, batch.records, &rules, &summary), RECORD_BATCH_OK);
	assert_int_equal(summary.first[1].why, RECORD_TOO_EARLY);
}

static void only_the_broker_says_that_it_set_the_time(void **state)
{
	struct records_rules rules = RECORDS_ANY;
	struct records_summary summary;
	struct record_batch batch;

	bytes_len = 0;
	put_record(5, 0, 1, 1, 0);
	put_record(6, 1, 1, 1, 0);
	batch = batch_of(2);
	batch.attributes = RECORD_ATTRIBUTE_LOG_APPEND_TIME;
	/* Where the producer's times count, that is what the batch says it is. */
	assert_int_equal(records_check(&batch, batch.records, &rules, &summary), RECORD_BATCH_OK);
	assert_int_equal(summary.error, KAFKA_NONE);
	assert_int_equal(summary.max_timestamp, batch.max_timestamp);
	rules.append_time = true;
	assert_int_equal(records_check(&batch, batch.records, &rules, &summary), RECORD_BATCH_OK);
	assert_int_equal(summary.error, KAFKA_INVALID_TIMESTAMP);
	assert_int_equal(summary.objected, 2);
	assert_int_equal(summary.first[0].why, RECORD_APPEND_TIME);
}

static void so_many_are_named_and_all_are_counted(void **state)
{
	struct records_rules rules = RECORDS_ANY;
	struct records_summary summary;
	struct record_batch batch;
	int32_t count = 3 * RECORDS_OBJECTED_MAX;

	bytes_len = 0;
	for (int32_t i = 0; i < count; i++)
		put_record(0, i, -1, 1, 0);
	batch = batch_of(count);
	rules.needs_keys = true;
	assert_int_equal(records_check(&batch, batch.records, &rules, &summary), RECORD_BATCH_OK);
	assert_int_equal(summary.objected, count);
	assert_int_equal(summary.first[RECORDS_OBJECTED_MAX - 1].index, RECORDS_OBJECTED_MAX - 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(pieces_of_any_size_give_what_the_whole_gives),
	    cmocka_unit_test(byte_by_byte_as_well),
	    cmocka_unit_test(what_is_wrong_is_wrong_in_pieces_too),
	    cmocka_unit_test(cut_anywhere_it_is_wrong),
	    cmocka_unit_test(counts_that_lie),
	    cmocka_unit_test(offsets_count_up_from_0),
	    cmocka_unit_test(numbers_keep_to_their_width),
	    cmocka_unit_test(records_without_a_key_are_named),
	    cmocka_unit_test(times_outside_of_the_bounds_are_named),
	    cmocka_unit_test(only_the_broker_says_that_it_set_the_time),
	    cmocka_unit_test(so_many_are_named_and_all_are_counted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
