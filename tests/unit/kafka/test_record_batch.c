/*
 * Record batches: those of a real client, and what is wrong with others.
 */
#include "unit/unit.h"

#include <stdlib.h>
#include <string.h>

#include "base/be.h"
#include "base/crc32c.h"
#include "kafka/wire/record_batch.h"

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
/* Forty records, compressed with gzip. */
static const char gzip_hex[] =
    "00000000000000000000017f00000000027d2aacf40001000000270000018bcfe568000000018bcf"
    "e56827ffffffffffffffffffffffffffff000000281f8b0800c866036b02ff35cf5d87426114c5f1"
    "a7234992244992e34892e49cbdcf6b922449d277988b1866ccdd8c996f3fcfda9e75b97feb66ff13"
    "e75cf7e3f5970e7ede3ebf5f71ea662e8a5ae1ca5ceada6dec1244dad17bf41b7db512d7e960d030"
    "a84b5cb70bc983e45e7a3d4811a4f0d2ef43ca20a597c1005205a9bc0c87903a48ed65348234411a"
    "b772e371cf4b960ec3a7a9b7c9c42ca365dea65333a189b7d9cc4c69ea6d3e37cb69b9b7c5c2aca0"
    "15dee2d8aca495de92c4aca255de964bb39a567b5badcc1a1a3ad66b98b043d0b1d998b143d0b1dd"
    "9ab143d0b1db99b143d091a666ec10748898b143d091e766ec107494a5193b041d756dc60e41c77e"
    "6fc60e41c7e1005376283a8e473376283a4e273376283ace673376283a2e173376283aae57337628"
    "3a6e373376283aee773376283a1e0f3376283a9e4f337668e3fe01625105890f030000";

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
	return record_batch_check_produced(slice_make(batch, batch_len), ret);
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

	assert_int_equal(record_batch_check_produced(load(idempotent_hex), &b), RECORD_BATCH_OK);
	assert_int_equal(b.producer_id, 7);
	assert_int_equal(b.producer_epoch, 0);
	assert_int_equal(b.base_sequence, 5);
}

static void its_records_are_read(void **state)
{
	struct record_batch b;
	struct slice records, key, value;
	struct record r;

	assert_int_equal(record_batch_check_produced(load(plain_hex), &b), RECORD_BATCH_OK);
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

static void a_summary_says_what_the_header_may_not(void **state)
{
	struct records_summary summary;
	struct record_batch b;

	assert_int_equal(record_batch_check_produced(load(plain_hex), &b), RECORD_BATCH_OK);
	assert_int_equal(records_check(&b, b.records, &summary), RECORD_BATCH_OK);
	assert_true(summary.max_timestamp == 1700000000002);
	assert_int_equal(summary.without_key, 1);
}

static void how_far_compressed_batches_are_trusted(void **state)
{
	struct record_batch b;

	assert_int_equal(record_batch_check_produced(load(gzip_hex), &b), RECORD_BATCH_OK);
	assert_int_equal(record_batch_codec(&b), RECORD_CODEC_GZIP);
	assert_int_equal(b.count, 40);
	assert_false(record_batch_wants_expanding(&b, RECORD_VALIDATION_HEADER));
	assert_false(record_batch_wants_expanding(&b, RECORD_VALIDATION_RELAXED));
	assert_true(record_batch_wants_expanding(&b, RECORD_VALIDATION_STRICT));
	b.max_timestamp = -1;
	assert_false(record_batch_wants_expanding(&b, RECORD_VALIDATION_HEADER));
	assert_true(record_batch_wants_expanding(&b, RECORD_VALIDATION_RELAXED));
	b.attributes = 0;
	assert_false(record_batch_wants_expanding(&b, RECORD_VALIDATION_STRICT));
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
		assert_int_equal(record_batch_check_produced(part, &b), RECORD_BATCH_CUT);
		free(copy);
	}
}

static void any_changed_bit_behind_the_checksum_is_seen(void **state)
{
	struct record_batch b;

	load(plain_hex);
	for (size_t bit = 21 * 8; bit < batch_len * 8; bit++) {
		batch[bit / 8] = (char)(batch[bit / 8] ^ 1 << bit % 8);
		assert_int_equal(record_batch_check_produced(slice_make(batch, batch_len), &b),
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

	assert_int_equal(record_batch_check_produced(stream, &b), RECORD_BATCH_OLD_MAGIC);
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

static void exactly_one_batch_a_partition(void **state)
{
	struct slice one = load(plain_hex);
	struct record_batch b;

	assert_int_equal(record_batch_check_produced(slice_make(batch, 0), &b),
			 RECORD_BATCH_SEVERAL);
	memcpy(batch + one.len, batch, one.len);
	assert_int_equal(record_batch_check_produced(slice_make(batch, 2 * one.len), &b),
			 RECORD_BATCH_SEVERAL);
	assert_int_equal(record_batch_check_produced(slice_make(batch, one.len + 1), &b),
			 RECORD_BATCH_SEVERAL);
}

static void records_that_do_not_fit_their_batch(void **state)
{
	struct records_summary summary = {.without_key = 42};
	struct record_batch b;

	assert_int_equal(record_batch_check_produced(load(plain_hex), &b), RECORD_BATCH_OK);
	b.count = 2;
	assert_int_equal(records_check(&b, b.records, &summary), RECORD_BATCH_RECORD_COUNT);
	b.count = 4;
	assert_int_equal(records_check(&b, b.records, &summary), RECORD_BATCH_RECORD_COUNT);
	assert_int_equal(records_check(&b, slice_make(NULL, 0), &summary),
			 RECORD_BATCH_RECORD_COUNT);
	b.count = 3;
	batch[61 + 3] = 2; /* the offset delta of the first: 1 */
	assert_int_equal(records_check(&b, b.records, &summary), RECORD_BATCH_RECORD_OFFSET);
	batch[61 + 3] = 0;
	for (size_t cut = 1; cut < b.records.len; cut++) {
		char *copy = malloc(cut);
		enum record_batch_fault fault;

		memcpy(copy, b.records.ptr, cut);
		fault = records_check(&b, slice_make(copy, cut), &summary);
		assert_true(fault == RECORD_BATCH_RECORD || fault == RECORD_BATCH_RECORD_COUNT);
		free(copy);
	}
	assert_int_equal(summary.without_key, 42);
}

static void lengths_within_records_that_lie(void **state)
{
	struct records_summary summary;
	struct record_batch b;

	assert_int_equal(record_batch_check_produced(load(plain_hex), &b), RECORD_BATCH_OK);
	for (size_t at = 0; at < b.records.len; at++)
		for (int value = 0; value < 256; value++) {
			char *copy = malloc(b.records.len);

			memcpy(copy, b.records.ptr, b.records.len);
			copy[at] = (char)value;
			(void)records_check(&b, slice_make(copy, b.records.len), &summary);
			free(copy);
		}
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
	assert_int_equal(record_batch_check_produced(stream, &b), RECORD_BATCH_OK);
	assert_true(b.max_timestamp == 1700000000009);
	record_batch_set_log_append_time(batch, batch_len, 1800000000000);
	assert_int_equal(record_batch_check_produced(stream, &b), RECORD_BATCH_OK);
	assert_int_equal(b.attributes, RECORD_ATTRIBUTE_LOG_APPEND_TIME);
	records = b.records;
	assert_int_equal(record_next(&b, &records, &r), RECORD_BATCH_OK);
	assert_true(r.timestamp == 1800000000000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_client_s_batch_is_read),
	    cmocka_unit_test(producer_fields_are_read),
	    cmocka_unit_test(its_records_are_read),
	    cmocka_unit_test(a_summary_says_what_the_header_may_not),
	    cmocka_unit_test(how_far_compressed_batches_are_trusted),
	    cmocka_unit_test(cut_anywhere_it_is_cut),
	    cmocka_unit_test(any_changed_bit_behind_the_checksum_is_seen),
	    cmocka_unit_test(old_and_unknown_formats_are_refused),
	    cmocka_unit_test(lengths_that_no_batch_has),
	    cmocka_unit_test(what_only_a_broker_writes_is_refused),
	    cmocka_unit_test(counts_and_offsets_must_agree),
	    cmocka_unit_test(exactly_one_batch_a_partition),
	    cmocka_unit_test(records_that_do_not_fit_their_batch),
	    cmocka_unit_test(lengths_within_records_that_lie),
	    cmocka_unit_test(a_place_in_the_log_leaves_the_checksum_alone),
	    cmocka_unit_test(times_set_by_the_broker_renew_the_checksum),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
