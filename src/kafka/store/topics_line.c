/*
 * A line of leat-topics, read. Pure: topics_file.c has the file and what it looks like.
 */
#include <errno.h>

#include "kafka/store/checkpoint.h"
#include "kafka/store/internal.h"

bool store_topic_name_valid(struct slice name)
{
	if (name.len == 0 || name.len > STORE_TOPIC_NAME_MAX)
		return false;
	if (slice_eq(name, SLICE_LITERAL(".")) || slice_eq(name, SLICE_LITERAL("..")))
		return false;
	for (size_t i = 0; i < name.len; i++) {
		char c = name.ptr[i];

		if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
		      c == '.' || c == '_' || c == '-'))
			return false;
	}
	return true;
}

static int parse_setting(struct slice word, struct topic_config *config)
{
	const char *equals = memchr(word.ptr, '=', word.len);
	size_t name_len = equals ? (size_t)(equals - word.ptr) : 0;
	int64_t value;
	int id;

	if (!equals)
		return -EBADMSG;
	id = topic_config_find(slice_make(word.ptr, name_len));
	if (id < 0 ||
	    topic_config_parse(id, slice_make(equals + 1, word.len - name_len - 1), &value) < 0)
		return -EBADMSG;
	topic_config_set(config, id, value);
	return 0;
}

int topics_parse_line(struct slice line, struct topics_line *ret)
{
	struct slice word;
	int64_t partitions;

	topic_config_init(&ret->config);
	if (!checkpoint_word(&line, &ret->name) || !store_topic_name_valid(ret->name) ||
	    !checkpoint_word(&line, &word) || store_uuid_parse(word, &ret->id) < 0 ||
	    !checkpoint_word(&line, &word) || checkpoint_number(word, &partitions) < 0 ||
	    partitions < 1 || partitions > INT32_MAX || !checkpoint_word(&line, &word))
		return -EBADMSG;
	ret->partitions = (int32_t)partitions;
	ret->deleted = slice_eq(word, SLICE_LITERAL("deleted"));
	if (!ret->deleted && !slice_eq(word, SLICE_LITERAL("live")))
		return -EBADMSG;
	while (line.len > 0)
		if (!checkpoint_word(&line, &word) || parse_setting(word, &ret->config) < 0)
			return -EBADMSG;
	return 0;
}
