#include "kafka/broker/core/batch_writer.h"

#include <stdlib.h>

#include "base/be.h"
#include "base/crc32c.h"
#include "base/varint.h"
#include "kafka/wire/record_batch.h"

static bool make_room(struct batch_writer *writer, size_t more)
{
	size_t size = writer->size ? writer->size : 1024;
	char *memory;

	if (writer->failed)
		return false;
	while (size - writer->len < more)
		size *= 2;
	if (size == writer->size)
		return true;
	memory = realloc(writer->memory, size);
	if (!memory) {
		writer->failed = true;
		return false;
	}
	writer->memory = memory;
	writer->size = size;
	return true;
}

void batch_begin(struct batch_writer *writer, int64_t timestamp_ms)
{
	writer->len = 0;
	writer->count = 0;
	writer->failed = false;
	writer->timestamp_ms = timestamp_ms;
	if (make_room(writer, RECORD_BATCH_HEADER)) {
		memset(writer->memory, 0, RECORD_BATCH_HEADER);
		writer->len = RECORD_BATCH_HEADER;
	}
}

static unsigned bytes_size(struct slice s)
{
	return s.ptr ? varint_size(zigzag_encode32((int32_t)s.len)) + (unsigned)s.len : 1;
}

static void put_number(struct batch_writer *writer, int32_t n)
{
	writer->len += varint_write((uint8_t *)writer->memory + writer->len, zigzag_encode32(n));
}

static void put_bytes(struct batch_writer *writer, struct slice s)
{
	put_number(writer, s.ptr ? (int32_t)s.len : -1);
	if (s.len)
		memcpy(writer->memory + writer->len, s.ptr, s.len);
	writer->len += s.len;
}

void batch_add(struct batch_writer *writer, struct slice key, struct slice value)
{
	/* Attributes, the time's delta, the offset's delta, key, value, no headers. */
	unsigned length = 2 + varint_size(zigzag_encode32(writer->count)) + bytes_size(key) +
			  bytes_size(value) + 1;

	if (!make_room(writer, length + VARINT64_MAX * 2))
		return;
	put_number(writer, (int32_t)length);
	writer->memory[writer->len++] = 0;
	writer->memory[writer->len++] = 0;
	put_number(writer, writer->count++);
	put_bytes(writer, key);
	put_bytes(writer, value);
	put_number(writer, 0);
}

struct slice batch_end(struct batch_writer *writer)
{
	char *at = writer->memory;

	if (writer->failed || writer->count == 0)
		return slice_make(NULL, 0);
	be_store32(at + 8, (uint32_t)(writer->len - RECORD_BATCH_PREFIX));
	at[16] = 2;
	be_store32(at + 23, (uint32_t)(writer->count - 1));
	be_store64(at + 27, (uint64_t)writer->timestamp_ms);
	be_store64(at + 35, (uint64_t)writer->timestamp_ms);
	be_store64(at + 43, UINT64_MAX); /* no producer, epoch, sequence */
	be_store16(at + 51, UINT16_MAX);
	be_store32(at + 53, UINT32_MAX);
	be_store32(at + 57, (uint32_t)writer->count);
	be_store32(at + 17, crc32c(0, at + 21, writer->len - 21));
	return slice_make(at, writer->len);
}

void batch_writer_fini(struct batch_writer *writer)
{
	free(writer->memory);
	*writer = (struct batch_writer){0};
}
