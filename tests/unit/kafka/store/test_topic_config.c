#include "unit/unit.h"

#include <errno.h>
#include <stdio.h>

#include "kafka/store/topic_config.h"

static void assert_text(enum topic_config_id id, int64_t value, const char *expected)
{
	char memory[64];
	struct buf buf = buf_over(memory, sizeof(memory));
	int64_t back;

	topic_config_format(id, value, &buf);
	assert_string_equal(buf_text(&buf), expected);
	assert_int_equal(topic_config_parse(id, slice_of(expected), &back), 0);
	assert_true(back == value);
}

static void values_are_written_as_kafka_writes_them(void **state)
{
	assert_text(TOPIC_CONFIG_CLEANUP_POLICY, 1, "delete");
	assert_text(TOPIC_CONFIG_CLEANUP_POLICY, 0x21, "delete,compact");
	/* In the order in which it was written. */
	assert_text(TOPIC_CONFIG_CLEANUP_POLICY, 0x12, "compact,delete");
	/* Neither: everything is kept. */
	assert_text(TOPIC_CONFIG_CLEANUP_POLICY, 0, "");
	assert_text(TOPIC_CONFIG_DIRTY_RATIO, 500000000, "0.5");
	assert_text(TOPIC_CONFIG_DIRTY_RATIO, 1000000000, "1.0");
	assert_text(TOPIC_CONFIG_DIRTY_RATIO, 0, "0.0");
	assert_text(TOPIC_CONFIG_DIRTY_RATIO, 10000001, "0.010000001");
	assert_text(TOPIC_CONFIG_TIMESTAMP_TYPE, 1, "LogAppendTime");
	assert_text(TOPIC_CONFIG_PREALLOCATE, 0, "false");
	assert_text(TOPIC_CONFIG_RETENTION_MS, -1, "-1");
	assert_text(TOPIC_CONFIG_FLUSH_MESSAGES, INT64_MAX, "9223372036854775807");
	assert_text(TOPIC_CONFIG_RETENTION_BYTES, INT64_MIN, "-9223372036854775808");
}

static void assert_joined(const char *list, const char *more, bool append, const char *expected)
{
	enum topic_config_id id =
	    strchr(list, ':') ? TOPIC_CONFIG_LEADER_THROTTLED : TOPIC_CONFIG_CLEANUP_POLICY;
	int64_t a, b;

	assert_int_equal(topic_config_parse(id, slice_of(list), &a), 0);
	assert_int_equal(topic_config_parse(id, slice_of(more), &b), 0);
	assert_int_equal(topic_config_join(id, a, b, append, &a), 0);
	assert_text(id, a, expected);
}

static void lists_keep_their_order(void **state)
{
	int64_t value;

	assert_int_equal(topic_config_parse(TOPIC_CONFIG_CLEANUP_POLICY,
					    SLICE_LITERAL(" compact , delete,compact"), &value),
			 0);
	assert_text(TOPIC_CONFIG_CLEANUP_POLICY, value, "compact,delete");
	assert_joined("compact", "delete", true, "compact,delete");
	assert_joined("delete", "compact", true, "delete,compact");
	assert_joined("compact,delete", "compact", true, "compact,delete");
	assert_joined("compact,delete", "compact", false, "delete");
	assert_joined("", "compact,delete", true, "compact,delete");
	assert_joined("compact", "delete", false, "compact");
	assert_joined("compact", "delete,compact", false, "");
	assert_joined("1:2,0:1", "0:1,3:3", true, "1:2,0:1,3:3");
	assert_joined("1:2,0:1", "1:2", false, "0:1");
	assert_joined("1:2", "1:2", false, "");
}

static void lists_of_replicas_are_texts(void **state)
{
	static const char *const wrong[] = {"1", ":", "1:", ":1", "1:2:3", "*,1:2", "a:1", "none"};
	const enum topic_config_id id = TOPIC_CONFIG_FOLLOWER_THROTTLED;
	char text[SETTING_TEXT_MAX + 8] = "1:1";
	int64_t value, again;

	assert_int_equal(topic_config_parse(id, SLICE_LITERAL(" 1:2 , 3:4,"), &value), 0);
	assert_text(id, value, "1:2,3:4");
	/* Once for all who have it. */
	assert_int_equal(topic_config_parse(id, SLICE_LITERAL("1:2,3:4"), &again), 0);
	assert_true(again == value);
	assert_int_equal(topic_config_parse(id, SLICE_LITERAL("*"), &value), 0);
	assert_text(id, value, "*");
	assert_int_equal(topic_config_parse(id, SLICE_LITERAL(""), &value), 0);
	assert_int_equal(value, 0);
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
		assert_int_equal(topic_config_parse(id, slice_of(wrong[i]), &value), -EINVAL);
	while (strlen(text) <= SETTING_TEXT_MAX)
		strcat(text, ",1:1");
	assert_int_equal(topic_config_parse(id, slice_of(text), &value), -ERANGE);
	/* There is an end to them; those that are there stay. */
	for (int i = 0; i < SETTING_TEXTS_MAX; i++) {
		snprintf(text, sizeof(text), "%d:7", i);
		(void)topic_config_parse(id, slice_of(text), &value);
	}
	assert_int_equal(topic_config_parse(id, SLICE_LITERAL("9999:7"), &value), -ENOSPC);
	assert_int_equal(topic_config_parse(id, SLICE_LITERAL("1:2,3:4"), &value), 0);
	assert_true(again == value);
}

static void wrong_values_are_refused(void **state)
{
	static const struct {
		enum topic_config_id id;
		const char *text;
		int error;
	} cases[] = {
	    {TOPIC_CONFIG_SEGMENT_BYTES, "", -EINVAL},
	    {TOPIC_CONFIG_SEGMENT_BYTES, "-", -EINVAL},
	    {TOPIC_CONFIG_SEGMENT_BYTES, "1 GiB", -EINVAL},
	    {TOPIC_CONFIG_SEGMENT_BYTES, "1023", -ERANGE},
	    {TOPIC_CONFIG_SEGMENT_BYTES, "2147483648", -ERANGE},
	    {TOPIC_CONFIG_RETENTION_MS, "9223372036854775808", -ERANGE},
	    {TOPIC_CONFIG_RETENTION_MS, "-2", -ERANGE},
	    {TOPIC_CONFIG_CLEANUP_POLICY, "delete,shrink", -EINVAL},
	    {TOPIC_CONFIG_TIMESTAMP_TYPE, "Created", -EINVAL},
	    {TOPIC_CONFIG_CLEANUP_POLICY, "Delete", -EINVAL},
	    {TOPIC_CONFIG_DIRTY_RATIO, "", -EINVAL},
	    {TOPIC_CONFIG_DIRTY_RATIO, ".", -EINVAL},
	    {TOPIC_CONFIG_DIRTY_RATIO, "0.5.5", -EINVAL},
	    {TOPIC_CONFIG_DIRTY_RATIO, "half", -EINVAL},
	    {TOPIC_CONFIG_DIRTY_RATIO, "1.1", -ERANGE},
	    {TOPIC_CONFIG_DIRTY_RATIO, "99999999999999999999", -ERANGE},
	    {TOPIC_CONFIG_REMOTE_STORAGE_ENABLE, "true", -ERANGE},
	    {TOPIC_CONFIG_COMPRESSION_TYPE, "GZIP", -EINVAL},
	    {TOPIC_CONFIG_PREALLOCATE, "yes", -EINVAL},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		int64_t value = 42;

		assert_int_equal(topic_config_parse(cases[i].id, slice_of(cases[i].text), &value),
				 cases[i].error);
		assert_int_equal(value, 42);
	}
}

static void the_table_is_sorted_and_found_by_both_names(void **state)
{
	for (int id = 0; id < TOPIC_CONFIG_COUNT; id++) {
		const struct topic_config_info *info = &topic_configs[id];

		assert_int_equal(topic_config_find(slice_of(info->name)), id);
		if (info->server_name)
			assert_int_equal(topic_config_find_server(slice_of(info->server_name)), id);
		assert_true(info->preset >= info->min && info->preset <= info->max);
		assert_true(id == 0 || strcmp(topic_configs[id - 1].name, info->name) < 0);
	}
	assert_int_equal(topic_config_find(SLICE_LITERAL("segment.byte")), -ENOENT);
	assert_int_equal(topic_config_find_server(SLICE_LITERAL("segment.bytes")), -ENOENT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(values_are_written_as_kafka_writes_them),
	    cmocka_unit_test(lists_keep_their_order),
	    cmocka_unit_test(lists_of_replicas_are_texts),
	    cmocka_unit_test(wrong_values_are_refused),
	    cmocka_unit_test(the_table_is_sorted_and_found_by_both_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
