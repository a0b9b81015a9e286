/*
 * Requests as they come from a socket (without their size): whatever it is, it is read within its
 * bounds or refused; what was read can be written and read again.
 */
#include "fuzz/fuzz.h"
#include "kafka/wire/header.h"
#include "fuzz/kafka_fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *copy = heap_copy(data, size);
	struct slice bytes = slice_make(copy, size);
	struct kafka_request_header header;

	if (kafka_request_header_decode(&bytes, &header) == 0 && !header.unsupported)
		decode_and_back(header.api->request, header.version, bytes);
	free(copy);
	return 0;
}
