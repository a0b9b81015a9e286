/*
 * Every other message: responses and stored records. The last two bytes say which, and its version.
 */
#include "fuzz/fuzz.h"
#include "fuzz/kafka_fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int version = (int)take_number(data, &size, 1) % 20;
	size_t which = take_number(data, &size, 1) % kafka_messages_count;
	char *copy = heap_copy(data, size);

	if (kafka_message_has(kafka_messages[which], version))
		decode_and_back(kafka_messages[which], version, slice_make(copy, size));
	free(copy);
	return 0;
}
