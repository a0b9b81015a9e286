/*
 * What tables can't say: lies, unknown tags, gaps, nulls, the arena's bound, what a client sends.
 */
#include "unit/unit.h"

#include <errno.h>

#include "base/be.h"
#include "kafka/wire/error.h"
#include "kafka/wire/messages.h"

#define BYTES(s) slice_make(s, sizeof(s) - 1)

static _Alignas(8) char memory[4096];

static void a_count_that_lies_takes_no_memory(void **state)
{
	/* Metadata 1: 0x7fffffff topics; then 3, where there is room for two of the smallest. */
	struct slice huge = BYTES("\x7f\xff\xff\xff\0\1a"), three = BYTES("\0\0\0\3\0\1a\0\0");
	struct kafka_metadata_request request;
	struct arena arena = arena_over(memory, sizeof(memory));

	assert_int_equal(kafka_metadata_request_decode(&huge, 1, &arena, &request), -EBADMSG);
	assert_int_equal(kafka_metadata_request_decode(&three, 1, &arena, &request), -EBADMSG);
	assert_true(arena.used <= 3 * sizeof(struct kafka_metadata_request_topic));
	assert_int_equal(huge.len, 7);
	/* Flexible: a count of 2^32 - 2. */
	struct slice flexible = BYTES("\xff\xff\xff\xff\x0f\0\0\0");
	arena_reset(&arena);
	assert_int_equal(kafka_metadata_request_decode(&flexible, 9, &arena, &request), -EBADMSG);
	assert_int_equal(arena.used, 0);
}

static void a_full_arena_is_not_a_malformed_request(void **state)
{
	struct slice bytes = BYTES("\0\0\0\2\0\1a\0\1b");
	struct kafka_metadata_request request;
	struct arena arena = arena_over(memory, sizeof(struct kafka_metadata_request_topic));

	assert_int_equal(kafka_metadata_request_decode(&bytes, 1, &arena, &request), -ENOBUFS);
	assert_int_equal(bytes.len, 10);
	arena = arena_over(memory, sizeof(memory));
	assert_int_equal(kafka_metadata_request_decode(&bytes, 1, &arena, &request), 0);
	assert_int_equal(request.topics.count, 2);
	assert_true(slice_eq(request.topics.at[1].name, slice_of("b")));
}

static void more_elements_than_were_agreed_on_are_not_read(void **state)
{
	/* DescribeLogDirs 1: two topics with two partitions each: six elements. */
	struct slice bytes = BYTES("\0\0\0\2\0\1a\0\0\0\2\0\0\0\1\0\0\0\2"
				   "\0\1b\0\0\0\2\0\0\0\1\0\0\0\2"),
		     all = bytes;
	struct kafka_describe_log_dirs_request request;
	struct arena arena = arena_over(memory, sizeof(memory));
	size_t elements = 5;

	assert_int_equal(kafka_decode_bounded(&kafka_describe_log_dirs_request_message, 1, &bytes,
					      &arena, &request, &elements),
			 -E2BIG);
	assert_int_equal(bytes.len, all.len);
	elements = 6;
	assert_int_equal(kafka_decode_bounded(&kafka_describe_log_dirs_request_message, 1, &bytes,
					      &arena, &request, &elements),
			 0);
	assert_int_equal(elements, 6);
	elements = 100;
	bytes = all;
	assert_int_equal(kafka_decode_bounded(&kafka_describe_log_dirs_request_message, 1, &bytes,
					      &arena, &request, &elements),
			 0);
	assert_int_equal(elements, 6);
}

static void strings_point_into_the_request(void **state)
{
	struct slice bytes = BYTES("\0\0\0\1\0\1a"), all = bytes;
	struct kafka_metadata_request request;
	struct arena arena = arena_over(memory, sizeof(memory));

	assert_int_equal(kafka_metadata_request_decode(&bytes, 1, &arena, &request), 0);
	assert_ptr_equal(request.topics.at[0].name.ptr, all.ptr + 6);
	assert_true(request.allow_auto_topic_creation); /* its default, before version 4 */
	assert_int_equal(bytes.len, 0);
}

static void null_only_where_the_version_allows_it(void **state)
{
	struct kafka_metadata_request request;
	struct arena arena = arena_over(memory, sizeof(memory));
	struct slice v0 = BYTES("\xff\xff\xff\xff"), v1 = v0, name = BYTES("\0\0\0\1\xff\xff");
	char wire[16];
	struct kafka_writer writer = kafka_writer_over(wire, sizeof(wire));

	assert_int_equal(kafka_metadata_request_decode(&v0, 0, &arena, &request), -EBADMSG);
	assert_int_equal(kafka_metadata_request_decode(&name, 1, &arena, &request), -EBADMSG);
	assert_int_equal(kafka_metadata_request_decode(&v1, 1, &arena, &request), 0);
	assert_int_equal(request.topics.count, -1);
	/* Written where it may not be null, it is empty. */
	kafka_metadata_request_encode(&request, 0, &writer);
	assert_int_equal(writer.len, 4);
	assert_memory_equal(wire, "\0\0\0\0", 4);
}

static void versions_there_are_not(void **state)
{
	struct slice bytes = BYTES("\0\0\0\0\0\0\0\0\0\0\0\0\0");
	struct kafka_fetch_request request;
	struct arena arena = arena_over(memory, sizeof(memory));

	assert_int_equal(kafka_fetch_request_decode(&bytes, 3, &arena, &request), -EPROTONOSUPPORT);
	assert_int_equal(kafka_fetch_request_decode(&bytes, 99, &arena, &request),
			 -EPROTONOSUPPORT);
	assert_int_equal(kafka_fetch_request_decode(&bytes, -1, &arena, &request),
			 -EPROTONOSUPPORT);
}

static void unknown_tags_are_skipped(void **state)
{
	/* Heartbeat 4: group, generation, member, null instance; tags 5 (two bytes) and 300 (none).
	 */
	struct slice bytes = BYTES("\2g\0\0\0\3\2m\0\2\5\2xy\xac\2\0");
	struct slice beyond = BYTES("\2g\0\0\0\3\2m\0\1\5\3xy");
	struct kafka_heartbeat_request request;
	struct arena arena = arena_over(memory, sizeof(memory));

	assert_int_equal(kafka_heartbeat_request_decode(&bytes, 4, &arena, &request), 0);
	assert_int_equal(bytes.len, 0);
	assert_int_equal(request.generation_id, 3);
	assert_null(request.group_instance_id.ptr);
	assert_int_equal(kafka_heartbeat_request_decode(&beyond, 4, &arena, &request), -EBADMSG);
}

static void a_known_tag_stays_within_its_size(void **state)
{
	/* Fetch 12 with the tag for the cluster's name: "ab" in 3 bytes; then in a size of 2. */
	struct slice good =
	    BYTES("\xff\xff\xff\xff\0\0\0\1\0\0\0\1\0\0\0\1\0\0\0\0\0\xff\xff\xff\xff"
		  "\1\1\1\1\0\3\3ab");
	struct slice bad =
	    BYTES("\xff\xff\xff\xff\0\0\0\1\0\0\0\1\0\0\0\1\0\0\0\0\0\xff\xff\xff\xff"
		  "\1\1\1\1\0\2\3ab");
	struct kafka_fetch_request request;
	struct arena arena = arena_over(memory, sizeof(memory));

	assert_int_equal(kafka_fetch_request_decode(&good, 12, &arena, &request), 0);
	assert_true(slice_eq(request.cluster_id, slice_of("ab")));
	assert_int_equal(request.replica_state.replica_id, -1);
	assert_int_equal(kafka_fetch_request_decode(&bad, 12, &arena, &request), -EBADMSG);
}

/* A fetch response with two partitions, the records of which are elsewhere. */
static void fetch_response(struct kafka_fetch_response *response,
			   struct kafka_fetch_response_response *topic,
			   struct kafka_fetch_response_partition partitions[2])
{
	kafka_fetch_response_init(response);
	*topic = (struct kafka_fetch_response_response){.topic = slice_of("t")};
	topic->partitions.at = partitions;
	topic->partitions.count = 2;
	for (int i = 0; i < 2; i++)
		partitions[i] = (struct kafka_fetch_response_partition){
		    .partition_index = i,
		    .preferred_read_replica = -1,
		    .diverging_epoch = {-1, -1},
		    .current_leader = {-1, -1},
		    .snapshot_id = {-1, -1},
		};
	partitions[0].records = slice_of("the records of partition 0");
	partitions[1].records = slice_of("those of 1");
	response->responses.at = topic;
	response->responses.count = 1;
}

/* What goes out in pieces is what would have gone out in one. */
static void put_together(const struct kafka_writer *pieces, const struct kafka_writer *whole)
{
	size_t from = 0, at = 0;

	for (uint32_t i = 0; i < pieces->gaps_count; i++) {
		const struct kafka_gap *gap = &pieces->gaps[i];

		assert_memory_equal(whole->ptr + at, pieces->ptr + from, gap->at - from);
		at += gap->at - from;
		from = gap->at;
		assert_memory_equal(whole->ptr + at, gap->records.ptr, gap->records.len);
		at += gap->records.len;
	}
	assert_memory_equal(whole->ptr + at, pieces->ptr + from, pieces->len - from);
	assert_int_equal(at + pieces->len - from, whole->len);
}

static void records_are_left_as_gaps(void **state)
{
	struct kafka_fetch_response response;
	struct kafka_fetch_response_response topic;
	struct kafka_fetch_response_partition partitions[2];
	char small[512], all[512];
	struct kafka_gap gaps[2];

	fetch_response(&response, &topic, partitions);
	for (int version = 4; version <= 18; version++) {
		struct kafka_writer pieces = kafka_writer_over(small, sizeof(small));
		struct kafka_writer whole = kafka_writer_over(all, sizeof(all));

		pieces.gaps = gaps;
		pieces.gaps_size = 2;
		kafka_put_i32(&pieces, 0);
		kafka_put_i32(&whole, 0);
		kafka_fetch_response_encode(&response, version, &pieces);
		kafka_fetch_response_encode(&response, version, &whole);
		assert_true(kafka_writer_fits(&pieces));
		assert_int_equal(pieces.gaps_count, 2);
		assert_int_equal(pieces.gap_bytes, 36);
		put_together(&pieces, &whole);
	}
}

static void too_few_gaps_is_an_overflow(void **state)
{
	struct kafka_fetch_response response;
	struct kafka_fetch_response_response topic;
	struct kafka_fetch_response_partition partitions[2];
	struct kafka_gap gap;
	char wire[512];
	struct kafka_writer writer = kafka_writer_over(wire, sizeof(wire));

	fetch_response(&response, &topic, partitions);
	writer.gaps = &gap;
	writer.gaps_size = 1;
	kafka_fetch_response_encode(&response, 12, &writer);
	assert_false(kafka_writer_fits(&writer));
	assert_int_equal(writer.gaps_count, 2);
}

static void errors_are_counted_once_by_code(void **state)
{
	struct kafka_delete_topics_response_response topics[] = {
	    {.name = slice_of("a"), .error_code = KAFKA_NONE},
	    {.name = slice_of("b"), .error_code = KAFKA_UNKNOWN_TOPIC_OR_PARTITION},
	    {.name = slice_of("c"), .error_code = KAFKA_UNKNOWN_TOPIC_OR_PARTITION},
	    {.name = slice_of("d"), .error_code = KAFKA_UNKNOWN_SERVER_ERROR},
	    {.name = slice_of("e"), .error_code = 9999},
	};
	uint64_t counts[KAFKA_ERROR_CODES] = {0}, sum = 0;
	struct kafka_delete_topics_response response;
	struct kafka_writer writer;

	kafka_delete_topics_response_init(&response);
	response.responses.at = topics;
	response.responses.count = ARRAY_SIZE(topics);
	for (int version = 1; version <= 6; version++) {
		writer = kafka_writer_over(memory, sizeof(memory));
		writer.errors = counts;
		kafka_delete_topics_response_encode(&response, version, &writer);
	}
	for (unsigned i = 0; i < KAFKA_ERROR_CODES; i++)
		sum += counts[i];
	assert_int_equal(counts[KAFKA_UNKNOWN_TOPIC_OR_PARTITION + 1], 2 * 6);
	assert_int_equal(counts[KAFKA_UNKNOWN_SERVER_ERROR + 1], 2 * 6);
	assert_int_equal(sum, 4 * 6);
	assert_string_equal(kafka_error_nth(KAFKA_UNKNOWN_TOPIC_OR_PARTITION + 1)->name,
			    "UNKNOWN_TOPIC_OR_PARTITION");
}

static void a_string_longer_than_any_is_malformed(void **state)
{
	static char bytes[40000] = "\0\0\0\0";
	struct slice long_string = slice_make(bytes, sizeof(bytes));
	struct kafka_heartbeat_request request;
	struct arena arena = arena_over(memory, sizeof(memory));

	/* A group of 32768 bytes: a compact length can say so, Kafka does not take it. */
	memcpy(bytes, "\x81\x80\2", 3);
	assert_int_equal(kafka_heartbeat_request_decode(&long_string, 4, &arena, &request),
			 -EBADMSG);
}

static void nothing_at_all_is_malformed_or_empty(void **state)
{
	struct slice nothing = {NULL, 0};
	struct kafka_heartbeat_request heartbeat;
	struct kafka_list_groups_request list_groups;
	struct arena arena = arena_over(memory, sizeof(memory));

	assert_int_equal(kafka_heartbeat_request_decode(&nothing, 0, &arena, &heartbeat), -EBADMSG);
	assert_int_equal(kafka_list_groups_request_decode(&nothing, 0, &arena, &list_groups), 0);
	assert_int_equal(list_groups.states_filter.count, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_count_that_lies_takes_no_memory),
	    cmocka_unit_test(a_full_arena_is_not_a_malformed_request),
	    cmocka_unit_test(more_elements_than_were_agreed_on_are_not_read),
	    cmocka_unit_test(strings_point_into_the_request),
	    cmocka_unit_test(null_only_where_the_version_allows_it),
	    cmocka_unit_test(versions_there_are_not),
	    cmocka_unit_test(unknown_tags_are_skipped),
	    cmocka_unit_test(a_known_tag_stays_within_its_size),
	    cmocka_unit_test(records_are_left_as_gaps),
	    cmocka_unit_test(too_few_gaps_is_an_overflow),
	    cmocka_unit_test(errors_are_counted_once_by_code),
	    cmocka_unit_test(a_string_longer_than_any_is_malformed),
	    cmocka_unit_test(nothing_at_all_is_malformed_or_empty),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
