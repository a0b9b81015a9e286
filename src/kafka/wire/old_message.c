#include "kafka/wire/old_message.h"

#include "base/be.h"
#include "base/crc32.h"

enum {
	AT_OFFSET = 0,
	AT_CRC = 12,
	AT_MAGIC = 16,
	AT_ATTRIBUTES = 17,
	AT_TIMESTAMP = 18, /* format 1 */
	AT_KEY_0 = 18,
	AT_KEY_1 = 26,
};

void old_message_load(const char *start, int64_t length, struct record_batch *ret)
{
	int8_t magic = (int8_t)start[AT_MAGIC];
	int64_t timestamp = magic == 1 ? (int64_t)be_load64(start + AT_TIMESTAMP) : -1;
	int16_t attributes =
	    start[AT_ATTRIBUTES] & (RECORD_ATTRIBUTE_CODEC | RECORD_ATTRIBUTE_LOG_APPEND_TIME);

	*ret = (struct record_batch){
	    .bytes = slice_make(start, (size_t)length),
	    .base_offset = (int64_t)be_load64(start + AT_OFFSET),
	    .base_timestamp = timestamp,
	    .max_timestamp = timestamp,
	    .producer_id = -1,
	    .producer_epoch = -1,
	    .leader_epoch = -1,
	    .base_sequence = -1,
	    .count = 1,
	    .crc = be_load32(start + AT_CRC),
	    .attributes = attributes,
	    .magic = magic,
	};
}

static bool lengths_add_up(struct slice message)
{
	size_t at = message.ptr[AT_MAGIC] == 0 ? AT_KEY_0 : AT_KEY_1;

	for (unsigned i = 0; i < 2; i++) {
		int32_t len;

		if (message.len < at || message.len - at < 4)
			return false;
		len = (int32_t)be_load32(message.ptr + at);
		at += 4;
		if (len < -1 || (len > 0 && (size_t)len > message.len - at))
			return false;
		at += len > 0 ? (size_t)len : 0;
	}
	return at == message.len;
}

bool old_message_check(struct slice message)
{
	return message.len >= OLD_MESSAGE_HEADER && lengths_add_up(message) &&
	       crc32_ieee(0, message.ptr + AT_MAGIC, message.len - AT_MAGIC) ==
		   be_load32(message.ptr + AT_CRC);
}
