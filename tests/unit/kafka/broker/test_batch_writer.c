/*
 * Batches of our own are what everybody else's checks accept.
 */
#include "unit/unit.h"

#include <stdlib.h>

#include "kafka/broker/core/batch_writer.h"
#include "unit/kafka/produced.h"

static void batches_pass_the_checks_and_give_back_their_records(void **state)
{
	struct batch_writer writer = {0};
	char *large = malloc(100000);

	memset(large, 'x', 100000);
	for (int count = 1; count <= 300; count += 37) {
		struct record_batch batch;
		struct records_summary summary;
		struct record record;
		struct slice bytes, records;

		batch_begin(&writer, 1234567890123);
		for (int i = 0; i < count; i++)
			batch_add(&writer, slice_make(large, (size_t)i),
				  i % 3 ? slice_make(large, (size_t)i * 300) : slice_make(NULL, 0));
		bytes = batch_end(&writer);
		assert_int_equal(check_produced(bytes, &batch), RECORD_BATCH_OK);
		assert_int_equal(records_check(&batch, batch.records, &RECORDS_ANY, &summary),
				 RECORD_BATCH_OK);
		assert_int_equal(batch.count, count);
		assert_int_equal(batch.max_timestamp, 1234567890123);
		records = batch.records;
		for (int i = 0; i < count; i++) {
			assert_int_equal(record_next(&batch, &records, &record), RECORD_BATCH_OK);
			assert_int_equal(record.key.len, i);
			assert_int_equal(record.value.ptr != NULL, i % 3 != 0);
			assert_int_equal(record.value.len, i % 3 ? i * 300 : 0);
			assert_int_equal(record.offset, i);
		}
		assert_int_equal(record_next(&batch, &records, &record), RECORD_BATCH_END);
	}
	batch_writer_fini(&writer);
	free(large);
}

static void without_a_record_there_is_no_batch(void **state)
{
	struct batch_writer writer = {0};

	batch_begin(&writer, 1);
	assert_null(batch_end(&writer).ptr);
	assert_false(writer.failed);
	batch_writer_fini(&writer);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(batches_pass_the_checks_and_give_back_their_records),
	    cmocka_unit_test(without_a_record_there_is_no_batch),
	};

	return cmocka_run_group_tests_name("kafka/broker/batch_writer", tests, NULL, NULL);
}
