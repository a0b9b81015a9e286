/*
 * Record batches: those of a real client, and what is wrong with others.
 */
#include "unit/unit.h"

#include <stdlib.h>
#include <string.h>

#include "base/be.h"
#include "base/crc32c.h"
#include "unit/kafka/produced.h"

/* Written by python3-kafka 2.0.2 (Debian): three records at 1700000000000 and up, the second
 * without a key, the third with the headers h=x and n=null. */
static const char plain_hex[] =
    "00000000000000000000006a0000000002522a9e420000000000020000018bcfe568000000018bcf"
    "e56802ffffffffffffffffffffffffffff0000000322000000086b6579300e76616c75652030001a"
    "000202010e76616c756520310030000404086b6579320e76616c756520320402680278026e01";
/* The same with producer id 7, epoch 0, base sequence 5. */
static const char idempotent_hex[] =
    "00000000000000000000006a0000000002af933e520000000000020000018bcfe568000000018bcf"
    "e5680200000000000000070000000000050000000322000000086b6579300e76616c75652030001a"
    "000202010e76616c756520310030000404086b6579320e76616c756520320402680278026e01";
static char batch[1024];
static size_t batch_len;

static int nibble(char c)
{
	return c <= '9' ? c - '0' : c - 'a' + 10;
}

static struct slice load(const char *hex)
{
	for (batch_len = 0; hex[2 * batch_len]; batch_len++)
		batch[batch_len] =
		    (char)(nibble(hex[2 * batch_len]) << 4 | nibble(hex[2 * batch_len + 1]));
	return slice_make(batch, batch_len);
}

/* After a change: the checksum is right again, so that only the change is wrong. */
static enum record_batch_fault produced_after_change(struct record_batch *ret)
{
	be_store32(batch + 17, crc32c(0, batch + 21, batch_len - 21));
	return check_produced(slice_make(batch, batch_len), ret);
}

static void a_client_s_batch_is_read(void **state)
{
	struct slice stream = load(plain_hex);
	struct record_batch b;

	assert_int_equal(record_batch_length(stream), batch_len);
	assert_int_equal(record_batch_next(&stream, &b), RECORD_BATCH_OK);
	assert_int_equal(stream.len, 0);
	assert_int_equal(record_batch_next(&stream, &b), RECORD_BATCH_END);
	assert_int_equal(record_batch_check(&b), RECORD_BATCH_OK);
	assert_int_equal(b.bytes.len, batch_len);
	assert_int_equal(b.base_offset, 0);
	assert_int_equal(b.magic, 2);
	assert_int_equal(b.count, 3);
	assert_int_equal(b.last_offset_delta, 2);
	assert_true(b.base_timestamp == 1700000000000 && b.max_timestamp == 1700000000002);
	assert_int_equal(b.producer_id, -1);
	assert_int_equal(b.producer_epoch, -1);
	assert_int_equal(b.base_sequence, -1);
	assert_int_equal(record_batch_codec(&b), RECORD_CODEC_NONE);
}

static void producer_fields_are_read(void **state)
{
	struct record_batch b;

	assert_int_equal(check_produced(load(idempotent_hex), &b), RECORD_BATCH_OK);
	assert_int_equal(b.producer_id, 7);
	assert_int_equal(b.producer_epoch, 0);
	assert_int_equal(b.base_sequence, 5);
}

static void its_records_are_read(void **state)
{
	struct record_batch b;
	struct slice records, key, value;
	struct record r;

	assert_int_equal(check_produced(load(plain_hex), &b), RECORD_BATCH_OK);
	records = b.records;
	assert_int_equal(record_next(&b, &records, &r), RECORD_BATCH_OK);
	assert_true(slice_eq(r.key, slice_of("key0")) && slice_eq(r.value, slice_of("value 0")));
	assert_int_equal(record_next(&b, &records, &r), RECORD_BATCH_OK);
	assert_null(r.key.ptr);
	assert_int_equal(r.offset, 1);
	assert_true(r.timestamp == 1700000000001);
	assert_int_equal(record_next(&b, &records, &r), RECORD_BATCH_OK);
	assert_int_equal(r.headers_count, 2);
	assert_true(record_header_next(&r, &key, &value));
	assert_true(slice_eq(key, slice_of("h")) && slice_eq(value, slice_of("x")));
	assert_true(record_header_next(&r, &key, &value));
	assert_true(slice_eq(key, slice_of("n")) && !value.ptr);
	assert_false(record_header_next(&r, &key, &value));
	assert_int_equal(record_next(&b, &records, &r), RECORD_BATCH_END);
}

static void cut_anywhere_it_is_cut(void **state)
{
	struct slice whole = load(plain_hex);

	for (size_t len = 1; len < whole.len; len++) {
		char *copy = malloc(len);
		struct slice part = slice_make(copy, len);
		struct record_batch b;

		memcpy(copy, whole.ptr, len);
		assert_int_equal(record_batch_next(&part, &b), RECORD_BATCH_CUT);
		assert_int_equal(part.len, len);
		assert_int_equal(check_produced(part, &b), RECORD_BATCH_CUT);
		free(copy);
	}
}

static void any_changed_bit_behind_the_checksum_is_seen(void **state)
{
	struct record_batch b;

	load(plain_hex);
	for (size_t bit = 21 * 8; bit < batch_len * 8; bit++) {
		batch[bit / 8] = (char)(batch[bit / 8] ^ 1 << bit % 8);
		assert_int_equal(check_produced(slice_make(batch, batch_len), &b),
				 RECORD_BATCH_CHECKSUM);
		batch[bit / 8] = (char)(batch[bit / 8] ^ 1 << bit % 8);
	}
}

static void old_and_unknown_formats_are_refused(void **state)
{
	/* One message of format 0: offset, size 14, crc, magic, attributes, null key, null value.
	 */
	static const char old[] = "\0\0\0\0\0\0\0\0"
				  "\0\0\0\x0e"
				  "\xa7\xec\x68\x03"
				  "\0\0\xff\xff\xff\xff\xff\xff\xff\xff";
	struct slice stream = slice_make(old, sizeof(old) - 1);
	struct record_batch b;

	assert_int_equal(check_produced(stream, &b), RECORD_BATCH_OLD_MAGIC);
	load(plain_hex);
	batch[16] = 1;
	assert_int_equal(produced_after_change(&b), RECORD_BATCH_OLD_MAGIC);
	assert_int_equal(record_batch_error(RECORD_BATCH_OLD_MAGIC), KAFKA_INVALID_RECORD);
	batch[16] = 3;
	assert_int_equal(produced_after_change(&b), RECORD_BATCH_MAGIC);
	batch[16] = -1;
	assert_int_equal(produced_after_change(&b), RECORD_BATCH_MAGIC);
}

static void lengths_that_no_batch_has(void **state)
{
	static const int32_t lengths[] = {INT32_MIN, -1, 0, 13, 14, 48};
	struct record_batch b;

	for (size_t i = 0; i < ARRAY_SIZE(lengths); i++) {
		load(plain_hex);
		be_store32(batch + 8, (uint32_t)lengths[i]);
		assert_int_equal(produced_after_change(&b), RECORD_BATCH_LENGTH);
	}
	be_store32(batch + 8, INT32_MAX);
	assert_int_equal(produced_after_change(&b), RECORD_BATCH_CUT);
	assert_int_equal(record_batch_error(RECORD_BATCH_CUT), KAFKA_CORRUPT_MESSAGE);
}

/* What a producer may not send; each change is the only thing wrong. */
static void what_only_a_broker_writes_is_refused(void **state)
{
	struct record_batch b;

	load(plain_hex);
	be_store64(batch, 1);
	assert_int_equal(produced_after_change(&b), RECORD_BATCH_BASE_OFFSET);
	load(plain_hex);
	batch[22] = RECORD_ATTRIBUTE_CONTROL;
	assert_int_equal(produced_after_change(&b), RECORD_BATCH_CONTROL);
	for (char codec = 5; codec < 8; codec++) {
		batch[22] = codec;
		assert_int_equal(produced_after_change(&b), RECORD_BATCH_CODEC);
	}
	load(idempotent_hex);
	be_store32(batch + 53, UINT32_MAX);
	assert_int_equal(produced_after_change(&b), RECORD_BATCH_SEQUENCE);
	load(idempotent_hex);
	be_store16(batch + 51, UINT16_MAX);
	assert_int_equal(produced_after_change(&b), RECORD_BATCH_SEQUENCE);
}

static void counts_and_offsets_must_agree(void **state)
{
	static const struct {
		int32_t count, delta;
	} wrong[] = {{0, 0},  {-1, 0}, {2, 2}, {4, 2},         {3, 3},
		     {3, -1}, {0, -1}, {3, 1}, {3, INT32_MAX}, {INT32_MIN, INT32_MAX}};
	struct record_batch b;

	load(plain_hex);
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		be_store32(batch + 23, (uint32_t)wrong[i].delta);
		be_store32(batch + 57, (uint32_t)wrong[i].count);
		assert_int_equal(produced_after_change(&b), RECORD_BATCH_COUNT);
	}
	/* A compacted segment has batches with gaps, even empty ones. */
	be_store32(batch + 23, 9);
	be_store32(batch + 57, 3);
	assert_int_equal(produced_after_change(&b), RECORD_BATCH_COUNT);
	assert_int_equal(record_batch_check(&b), RECORD_BATCH_OK);
	assert_int_equal(record_batch_last_offset(&b), 9);
}

static void what_comes_first_in_kafka_s_order_is_said(void **state)
{
	struct record_batch b;

	/* A wrong base offset outweighs the size, and that a wrong checksum. */
	assert_int_equal(record_batch_only(load(plain_hex), &b), RECORD_BATCH_OK);
	assert_int_equal(record_batch_check_produced(&b, batch_len), RECORD_BATCH_OK);
	b.crc++;
	assert_int_equal(record_batch_check_produced(&b, batch_len), RECORD_BATCH_CHECKSUM);
	assert_int_equal(record_batch_check_produced(&b, batch_len - 1), RECORD_BATCH_TOO_LARGE);
	b.base_offset = 1;
	assert_int_equal(record_batch_check_produced(&b, batch_len - 1), RECORD_BATCH_BASE_OFFSET);
}

static void exactly_one_batch_a_partition(void **state)
{
	struct slice one = load(plain_hex);
	struct record_batch b;

	assert_int_equal(check_produced(slice_make(batch, 0), &b), RECORD_BATCH_SEVERAL);
	memcpy(batch + one.len, batch, one.len);
	assert_int_equal(check_produced(slice_make(batch, 2 * one.len), &b), RECORD_BATCH_SEVERAL);
	assert_int_equal(check_produced(slice_make(batch, one.len + 1), &b), RECORD_BATCH_SEVERAL);
}

static void a_place_in_the_log_leaves_the_checksum_alone(void **state)
{
	struct record_batch b;
	struct slice stream = load(plain_hex);
	char after[1024];

	memcpy(after, batch, batch_len);
	record_batch_place(batch, 0x123456789abc, 77);
	assert_int_equal(record_batch_next(&stream, &b), RECORD_BATCH_OK);
	assert_int_equal(record_batch_check(&b), RECORD_BATCH_OK);
	assert_true(b.base_offset == 0x123456789abc);
	assert_int_equal(b.leader_epoch, 77);
	assert_true(record_batch_last_offset(&b) == 0x123456789abe);
	assert_memory_equal(batch + 16, after + 16, batch_len - 16);
	assert_memory_equal(batch + 8, after + 8, 4);
}

static void times_set_by_the_broker_renew_the_checksum(void **state)
{
	struct slice stream = load(plain_hex), records;
	struct record_batch b;
	struct record r;

	record_batch_set_max_timestamp(batch, batch_len, 1700000000009);
	assert_int_equal(check_produced(stream, &b), RECORD_BATCH_OK);
	assert_true(b.max_timestamp == 1700000000009);
	assert_int_equal(b.attributes, 0);
	record_batch_set_log_append_time(batch, batch_len, 1800000000000);
	assert_int_equal(check_produced(stream, &b), RECORD_BATCH_OK);
	assert_int_equal(b.attributes, RECORD_ATTRIBUTE_LOG_APPEND_TIME);
	records = b.records;
	assert_int_equal(record_next(&b, &records, &r), RECORD_BATCH_OK);
	assert_true(r.timestamp == 1800000000000);
	/* And back: the producer's time stands. */
	record_batch_set_max_timestamp(batch, batch_len, 1700000000002);
	assert_int_equal(check_produced(stream, &b), RECORD_BATCH_OK);
	assert_int_equal(b.attributes, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_client_s_batch_is_read),
	    cmocka_unit_test(producer_fields_are_read),
	    cmocka_unit_test(its_records_are_read),
	    cmocka_unit_test(cut_anywhere_it_is_cut),
	    cmocka_unit_test(any_changed_bit_behind_the_checksum_is_seen),
	    cmocka_unit_test(old_and_unknown_formats_are_refused),
	    cmocka_unit_test(lengths_that_no_batch_has),
	    cmocka_unit_test(what_only_a_broker_writes_is_refused),
	    cmocka_unit_test(counts_and_offsets_must_agree),
	    cmocka_unit_test(what_comes_first_in_kafka_s_order_is_said),
	    cmocka_unit_test(exactly_one_batch_a_partition),
	    cmocka_unit_test(a_place_in_the_log_leaves_the_checksum_alone),
	    cmocka_unit_test(times_set_by_the_broker_renew_the_checksum),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
