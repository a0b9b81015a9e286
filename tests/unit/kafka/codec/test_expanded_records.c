/*
 * The compressed batches of real clients: checked, looked through for a time, put together.
 */
#include "unit/kafka/codec/kit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kafka/codec/expanded_records.h"
#include "unit/kafka/produced.h"

#define ENOUGH (1u << 20)

static const char *clients;
static struct expander *expander;

static int setup(void **state)
{
	expander = expander_new();
	return expander ? 0 : -1;
}

static int teardown(void **state)
{
	expander_free(expander);
	return 0;
}

static struct record_batch batch_of(char *words[])
{
	size_t len = kit_from_hex(words[3]);
	struct record_batch batch;

	assert_int_equal(check_produced(slice_make(words[3], len), &batch), RECORD_BATCH_OK);
	assert_int_equal(record_batch_codec(&batch), kit_codec(words[1]));
	assert_int_equal(batch.count, strtol(words[2], NULL, 10));
	return batch;
}

static enum record_batch_fault check(const struct record_batch *batch, size_t limit,
				     struct records_summary *ret, size_t *ret_size)
{
	struct records_rules rules = RECORDS_ANY;

	rules.needs_keys = true;
	return expanded_records_check(expander, batch, limit, &rules, ret, ret_size);
}

static void check_line(char *words[], void *arg)
{
	struct record_batch batch = batch_of(words);
	struct records_summary summary;
	size_t size, again;

	assert_int_equal(check(&batch, ENOUGH, &summary, &size), RECORD_BATCH_OK);
	assert_int_equal(summary.max_timestamp, batch.max_timestamp);
	assert_int_equal(summary.objected, 0);
	assert_true(size > batch.records.len);
	/* The limit, and counts that lie. */
	assert_int_equal(check(&batch, size, &summary, &again), RECORD_BATCH_OK);
	assert_int_equal(check(&batch, size - 1, &summary, &again), RECORD_BATCH_EXPANDED);
	assert_true(again < size);
	batch.count++;
	assert_int_equal(check(&batch, ENOUGH, &summary, &size), RECORD_BATCH_RECORD_COUNT);
	batch.count -= 2;
	assert_int_equal(check(&batch, ENOUGH, &summary, &size), RECORD_BATCH_RECORD_COUNT);
}

static void batches_of_clients_pass(void **state)
{
	assert_int_equal(kit_lines(clients, 4, check_line, NULL), 12);
}

/* ---- load ---- */

static void load_line(char *words[], void *arg)
{
	struct record_batch batch = batch_of(words);
	struct record record;
	struct slice rest;
	char *memory, key[16], begins[32];
	size_t len;
	int first = batch.count == 60 ? 0 : 1, seen = 0;

	assert_int_equal(expanded_records_load(expander, &batch, ENOUGH, &memory, &len),
			 RECORD_BATCH_OK);
	for (rest = slice_make(memory, len); record_next(&batch, &rest, &record) == RECORD_BATCH_OK;
	     seen++) {
		snprintf(key, sizeof(key), "key%d", first + seen);
		snprintf(begins, sizeof(begins), "value number %d of", (first + seen) % 5);
		assert_true(slice_eq(record.key, slice_of(key)));
		assert_true(slice_starts_with(record.value, slice_of(begins)));
	}
	assert_int_equal(seen, batch.count);
	assert_int_equal(rest.len, 0);
	free(memory);
	assert_int_equal(expanded_records_load(expander, &batch, len - 1, &memory, &len),
			 RECORD_BATCH_EXPANDED);
}

static void their_records_are_put_together(void **state)
{
	kit_lines(clients, 4, load_line, NULL);
}

/* ---- find ---- */

/* By the reader of whole records. */
static int model(const struct record_batch *batch, int64_t from, int64_t timestamp)
{
	struct record record;
	struct slice rest;
	char *memory;
	size_t len;
	int found = -1;

	assert_int_equal(expanded_records_load(expander, batch, ENOUGH, &memory, &len),
			 RECORD_BATCH_OK);
	rest = slice_make(memory, len);
	for (int i = 0; found < 0 && record_next(batch, &rest, &record) == RECORD_BATCH_OK; i++)
		if (record.timestamp >= timestamp && record.offset >= from)
			found = i;
	free(memory);
	return found;
}

static void find_line(char *words[], void *arg)
{
	struct record_batch batch = batch_of(words);

	batch.base_offset = 1000;
	for (int64_t time = batch.base_timestamp - 1; time <= batch.max_timestamp + 1; time++)
		for (int64_t from = 990; from < 1070; from += 13) {
			struct record_head head = {.delta = -1};
			enum record_batch_fault fault =
			    expanded_records_find(expander, &batch, ENOUGH, from, time, &head);
			int wanted = model(&batch, from, time);

			assert_int_equal(head.delta, wanted);
			assert_int_equal(fault, wanted < 0 ? RECORD_BATCH_END : RECORD_BATCH_OK);
			assert_true(wanted < 0 || head.timestamp >= time);
		}
}

static void a_time_is_found_in_them(void **state)
{
	kit_lines(clients, 4, find_line, NULL);
}

/* ---- damaged ---- */

static void damage_line(char *words[], void *arg)
{
	struct record_batch batch = batch_of(words);
	char *records = (char *)(uintptr_t)batch.records.ptr;
	unsigned *noticed = arg;

	for (size_t at = 0; at < batch.records.len; at++) {
		struct record_batch cut = batch;
		struct records_summary summary;
		struct record_head head;
		size_t size;

		records[at] ^= 0x10;
		*noticed += check(&batch, ENOUGH, &summary, &size) != RECORD_BATCH_OK;
		(void)expanded_records_find(expander, &batch, ENOUGH, 0, INT64_MAX, &head);
		records[at] ^= 0x10;
		cut.records.len = at;
		assert_int_not_equal(check(&cut, ENOUGH, &summary, &size), RECORD_BATCH_OK);
		assert_int_not_equal(expanded_records_find(expander, &cut, ENOUGH, 0, INT64_MAX,
							   &head),
				     RECORD_BATCH_OK);
	}
}

static void what_is_damaged_is_seen_or_does_no_harm(void **state)
{
	unsigned noticed = 0;

	kit_lines(clients, 4, damage_line, &noticed);
	assert_true(noticed > 1000);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(batches_of_clients_pass),
	    cmocka_unit_test(their_records_are_put_together),
	    cmocka_unit_test(a_time_is_found_in_them),
	    cmocka_unit_test(what_is_damaged_is_seen_or_does_no_harm),
	};

	clients = argc > 1 ? argv[1] : "clients.txt";
	return cmocka_run_group_tests(tests, setup, teardown);
}
