/*
 * Headers, the table of APIs, the table of errors. The bytes were written down by hand from the
 * protocol's description, but for those that name a client.
 */
#include "unit/unit.h"

#include <errno.h>
#include <stdlib.h>

#include "kafka/wire/error.h"
#include "kafka/wire/header.h"
#include "kafka/wire/messages.h"

#define BYTES(s) slice_make(s, sizeof(s) - 1)

static struct kafka_request_header decoded(struct slice bytes, size_t want_left)
{
	struct kafka_request_header header;

	assert_int_equal(kafka_request_header_decode(&bytes, &header), 0);
	assert_int_equal(bytes.len, want_left);
	return header;
}

static int result_of(struct slice bytes)
{
	struct kafka_request_header header;

	return kafka_request_header_decode(&bytes, &header);
}

static void a_header_before_flexible_versions(void **state)
{
	struct kafka_request_header header =
	    decoded(BYTES("\0\1\0\4\0\0\0\7\0\7rdkafka\xff\xff\xff\xff"), 4);

	assert_int_equal(header.api->key, KAFKA_API_FETCH);
	assert_int_equal(header.version, 4);
	assert_int_equal(header.answer, 4);
	assert_int_equal(header.correlation_id, 7);
	assert_true(slice_eq(header.client_id, slice_of("rdkafka")));
	assert_false(header.unsupported);
	header = decoded(BYTES("\0\3\0\1\xff\xff\xff\xff\xff\xff"), 0);
	assert_int_equal(header.correlation_id, -1);
	assert_null(header.client_id.ptr);
}

static void a_flexible_header_has_tags_and_still_an_old_client_id(void **state)
{
	/* Two tagged fields, that nobody knows, of 3 and 0 bytes; one byte of the body. */
	struct kafka_request_header header =
	    decoded(BYTES("\0\1\0\14\0\0\0\1\0\2me\2\0\3abc\x81\1\0b"), 1);

	assert_true(slice_eq(header.client_id, slice_of("me")));
	assert_int_equal(header.version, 12);
}

static void cut_anywhere_a_header_is_malformed(void **state)
{
	static const char whole[] = "\0\1\0\14\0\0\0\1\0\2me\2\0\3abc\x81\1\0";

	for (size_t len = 0; len < sizeof(whole) - 1; len++) {
		char *copy = malloc(len + 1);

		memcpy(copy, whole, len);
		assert_int_equal(result_of(slice_make(copy, len)), -EBADMSG);
		free(copy);
	}
	assert_int_equal(result_of(BYTES("\0\1\0\4\0\0\0\7\x7f\xff")), -EBADMSG);
	assert_int_equal(result_of(BYTES("\0\1\0\14\0\0\0\1\0\0\1\0\xff\xff\xff\xff\x0f")),
			 -EBADMSG);
}

static void what_we_do_not_speak_is_told_from_what_is_malformed(void **state)
{
	assert_int_equal(result_of(BYTES("\0\4\0\0\0\0\0\1\0\0")), -EPROTONOSUPPORT);
	assert_int_equal(result_of(BYTES("\x7f\xff\0\0\0\0\0\1\0\0")), -EPROTONOSUPPORT);
	assert_int_equal(result_of(BYTES("\xff\xff\0\0\0\0\0\1\0\0")), -EPROTONOSUPPORT);
	/* Fetch 3 and 99; Produce 0, which is advertised, but can't be sent. */
	assert_int_equal(result_of(BYTES("\0\1\0\3\0\0\0\1\0\0")), -EPROTONOSUPPORT);
	assert_int_equal(result_of(BYTES("\0\1\0\x63\0\0\0\1\0\0")), -EPROTONOSUPPORT);
	assert_int_equal(result_of(BYTES("\0\0\0\0\0\0\0\1\0\0")), -EPROTONOSUPPORT);
	/* OffsetCommit 10 can be read, but was not offered. */
	assert_int_equal(result_of(BYTES("\0\x08\0\x0a\0\0\0\1\0\0\0")), -EPROTONOSUPPORT);
	assert_int_equal(result_of(BYTES("GET / HTTP/1.1\r\n\r\n")), -EPROTONOSUPPORT);
}

static void api_versions_is_answered_in_any_version(void **state)
{
	struct kafka_api_versions_response_api_key keys[1];
	struct kafka_api_versions_response response;
	struct kafka_request_header header = decoded(BYTES("\0\x12\0\x63\0\0\0\x2agarbage"), 7);
	char wire[64];
	struct kafka_writer writer = kafka_writer_over(wire, sizeof(wire));

	assert_true(header.unsupported);
	assert_int_equal(header.answer, 0);
	kafka_api_versions_response_init(&response);
	response.error_code = KAFKA_UNSUPPORTED_VERSION;
	response.api_keys.at = keys;
	response.api_keys.count = kafka_api_list(keys, true);
	kafka_response_begin(&writer, &header);
	kafka_api_versions_response_encode(&response, header.answer, &writer);
	assert_int_equal(kafka_frame_end(&writer), 0);
	/* size, correlation id, error 35, one key: 18, from 0 to 5. */
	static const char want[] = "\0\0\0\x10\0\0\0\x2a\0\x23\0\0\0\1\0\x12\0\0\0\5";
	assert_int_equal(writer.len, sizeof(want) - 1);
	assert_memory_equal(wire, want, sizeof(want) - 1);
}

static void what_librdkafka_sends_first(void **state)
{
	/* Captured from kcat with librdkafka 2.0.2 (Debian), without the size before it. */
	static const char captured[] = "\0\x12\0\3\0\0\0\1\0\7rdkafka\0"
				       "\x0blibrdkafka\x06"
				       "2.0.2\0";
	struct slice bytes = BYTES(captured);
	struct kafka_request_header header;
	struct kafka_api_versions_request request;
	struct arena arena = arena_over(NULL, 0);

	assert_int_equal(bytes.len, 36);
	assert_int_equal(kafka_request_header_decode(&bytes, &header), 0);
	assert_true(slice_eq(header.client_id, slice_of("rdkafka")));
	assert_int_equal(kafka_api_versions_request_decode(&bytes, 3, &arena, &request), 0);
	assert_int_equal(bytes.len, 0);
	assert_true(slice_eq(request.client_software_name, slice_of("librdkafka")));
	assert_true(slice_eq(request.client_software_version, slice_of("2.0.2")));
}

static void its_header_never_has_tags(void **state)
{
	struct kafka_request_header header = decoded(BYTES("\0\x12\0\3\0\0\0\1\xff\xff\0"), 0);
	char wire[16];
	struct kafka_writer writer = kafka_writer_over(wire, sizeof(wire));
	struct slice response = BYTES("\0\0\0\1\0");
	int32_t id;

	assert_false(header.unsupported);
	kafka_response_begin(&writer, &header);
	assert_int_equal(writer.len, 8);
	assert_int_equal(kafka_response_header_decode(&response, header.api, 3, &id), 0);
	assert_int_equal(response.len, 1);
	/* The others' do. */
	header = decoded(BYTES("\0\1\0\14\0\0\0\1\xff\xff\0"), 0);
	writer = kafka_writer_over(wire, sizeof(wire));
	kafka_response_begin(&writer, &header);
	assert_int_equal(writer.len, 9);
}

static void a_request_of_ours_is_read_as_it_was_meant(void **state)
{
	for (size_t i = 0; i < kafka_apis_count; i++)
		for (int16_t v = kafka_apis[i].first; v <= kafka_apis[i].last; v++) {
			if (!kafka_api_speaks(&kafka_apis[i], v))
				continue;
			char wire[64];
			struct kafka_writer writer = kafka_writer_over(wire, sizeof(wire));

			kafka_request_begin(&writer, &kafka_apis[i], v, 99, slice_of("leat"));
			assert_int_equal(kafka_frame_end(&writer), 0);
			struct kafka_request_header header =
			    decoded(slice_make(wire + 4, writer.len - 4), 0);
			assert_ptr_equal(header.api, &kafka_apis[i]);
			assert_int_equal(header.version, v);
			assert_int_equal(header.correlation_id, 99);
			assert_true(slice_eq(header.client_id, slice_of("leat")));
		}
}

static void all_that_is_advertised_can_be_read(void **state)
{
	struct kafka_api_versions_response_api_key keys[64];
	int32_t count = kafka_api_list(keys, false);

	assert_int_equal(count, kafka_apis_count);
	assert_true(count >= 39);
	for (int32_t i = 0; i < count; i++) {
		const struct kafka_api *api = kafka_api_find(keys[i].api_key);

		assert_non_null(api);
		assert_true(i == 0 || keys[i - 1].api_key < keys[i].api_key);
		assert_true(keys[i].max_version <= api->last);
		assert_true(keys[i].max_version >= api->first);
		/* librdkafka compresses only where Produce 0 is offered, and nobody sends that. */
		assert_true(keys[i].min_version == api->first || api->key == KAFKA_API_PRODUCE);
		assert_int_equal(api->request->last, api->last);
		assert_int_equal(api->response->last, api->last);
		assert_int_equal(api->response->flexible, api->flexible);
	}
}

static void codes_have_names(void **state)
{
	assert_string_equal(kafka_error_info(0)->name, "NONE");
	assert_string_equal(kafka_error_info(-1)->name, "UNKNOWN_SERVER_ERROR");
	assert_string_equal(kafka_error_info(87)->name, "INVALID_RECORD");
	assert_true(kafka_error_info(KAFKA_NOT_LEADER_OR_FOLLOWER)->retriable);
	assert_false(kafka_error_info(KAFKA_UNKNOWN_MEMBER_ID)->retriable);
	assert_int_equal(kafka_error_info(134)->code, -1);
	assert_int_equal(kafka_error_info(-2)->code, -1);
	for (int code = -1; code <= 133; code++)
		assert_int_equal(kafka_error_info(code)->code, code);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_header_before_flexible_versions),
	    cmocka_unit_test(a_flexible_header_has_tags_and_still_an_old_client_id),
	    cmocka_unit_test(cut_anywhere_a_header_is_malformed),
	    cmocka_unit_test(what_we_do_not_speak_is_told_from_what_is_malformed),
	    cmocka_unit_test(api_versions_is_answered_in_any_version),
	    cmocka_unit_test(what_librdkafka_sends_first),
	    cmocka_unit_test(its_header_never_has_tags),
	    cmocka_unit_test(a_request_of_ours_is_read_as_it_was_meant),
	    cmocka_unit_test(all_that_is_advertised_can_be_read),
	    cmocka_unit_test(codes_have_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
