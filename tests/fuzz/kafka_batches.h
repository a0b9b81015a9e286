/*
 * What the targets for record batches share.
 */
#ifndef TESTS_KAFKA_BATCHES_H
#define TESTS_KAFKA_BATCHES_H

#include "base/be.h"
#include "base/crc32.h"
#include "base/crc32c.h"
#include "kafka/wire/record_batch.h"

/* Else nothing behind the check of the sum would ever be tried. */
static inline void put_checksums_right(char *stream, size_t len)
{
	for (;;) {
		int64_t batch = record_batch_length(slice_make(stream, len));

		if (batch <= 0 || (uint64_t)batch > len)
			return;
		if (stream[16] == 0 || stream[16] == 1)
			be_store32(stream + 12, crc32_ieee(0, stream + 16, (size_t)batch - 16));
		else if (batch >= RECORD_BATCH_HEADER)
			be_store32(stream + 17, crc32c(0, stream + 21, (size_t)batch - 21));
		stream += batch;
		len -= (size_t)batch;
	}
}

#endif
