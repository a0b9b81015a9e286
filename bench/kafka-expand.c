/*
 * What it costs to check a compressed batch, in nanoseconds of CPU time, by codec and by what the
 * records come to: lines of a log as applications write them, a hundred bytes each. One thread. What
 * a loop expands by itself (kafka_limits.h) is chosen by these numbers.
 */
#include <lz4frame.h>
#include <snappy-c.h>
#include <stdio.h>
#include <stdlib.h>
#include <zlib.h>
#include <zstd.h>

#include "base/varint.h"
#include "kafka/codec/expanded_records.h"
#include "micro.h"

#define CONTENT_MAX (1u << 20)

static uint8_t content[CONTENT_MAX + 4096];
static char compressed[2 * CONTENT_MAX];
static struct record_batch batch;
static struct expander *expander;

/* ---- records ---- */

static size_t put_bytes(uint8_t *at, const char *text, size_t len)
{
	size_t n = varint_write(at, zigzag_encode64((int64_t)len));

	memcpy(at + n, text, len);
	return n + len;
}

static size_t put_record(uint8_t *at, int32_t delta)
{
	static unsigned state = 1;
	uint8_t body[256];
	char text[160];
	size_t len = 0, n;

	state = state * 1103515245 + 12345;
	n = (size_t)
	    snprintf(text, sizeof(text),
		     "2024-05-07T11:22:%02u.%03uZ INFO request id=%08x path=/api/v1/items/%u "
		     "status=%u took=%u",
		     state >> 8 & 63, state >> 16 & 511, state * 2654435761u, state >> 10 & 4095,
		     state & 8 ? 200 : 304, state >> 20 & 255);
	body[len++] = 0;
	len += varint_write(body + len, zigzag_encode64(delta / 4));
	len += varint_write(body + len, zigzag_encode64(delta));
	len += put_bytes(body + len, text + 44, 4);
	len += put_bytes(body + len, text, n);
	body[len++] = 0;
	return put_bytes(at, (const char *)body, len);
}

static size_t make_records(size_t size, int32_t *ret_count)
{
	size_t len = 0;

	for (*ret_count = 0; len < size; ++*ret_count)
		len += put_record(content + len, *ret_count);
	return len;
}

/* ---- codecs ---- */

static size_t compress_gzip(size_t len)
{
	z_stream z = {.next_in = content, .avail_in = (uInt)len};

	if (deflateInit2(&z, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) != Z_OK)
		abort();
	z.next_out = (Bytef *)compressed;
	z.avail_out = sizeof(compressed);
	if (deflate(&z, Z_FINISH) != Z_STREAM_END)
		abort();
	deflateEnd(&z);
	return sizeof(compressed) - z.avail_out;
}

static size_t compress_snappy(size_t len)
{
	size_t size = sizeof(compressed);

	if (snappy_compress((const char *)content, len, compressed, &size) != SNAPPY_OK)
		abort();
	return size;
}

static size_t compress_lz4(size_t len)
{
	const LZ4F_preferences_t preferences = {.frameInfo.blockMode = LZ4F_blockIndependent};

	return LZ4F_compressFrame(compressed, sizeof(compressed), content, len, &preferences);
}

static size_t compress_zstd(size_t len)
{
	return ZSTD_compress(compressed, sizeof(compressed), content, len, 3);
}

static const struct {
	const char *name;
	size_t (*compress)(size_t len);
} codecs[] = {
    [RECORD_CODEC_GZIP] = {"gzip", compress_gzip},
    [RECORD_CODEC_SNAPPY] = {"snappy", compress_snappy},
    [RECORD_CODEC_LZ4] = {"lz4", compress_lz4},
    [RECORD_CODEC_ZSTD] = {"zstd", compress_zstd},
};

static void check(void)
{
	struct records_summary summary;
	size_t size;

	if (expanded_records_check(expander, &batch, SIZE_MAX, &RECORDS_ANY, &summary, &size) !=
	    RECORD_BATCH_OK)
		abort();
}

static void measure(enum record_codec codec, size_t size)
{
	char name[80];
	size_t len = make_records(size, &batch.count);

	batch.attributes = (int16_t)codec;
	batch.records = slice_make(compressed, codecs[codec].compress(len));
	snprintf(name, sizeof(name), "%s: %d records, %zu bytes of %zu", codecs[codec].name,
		 batch.count, batch.records.len, len);
	micro_measure(name, len, check, (unsigned)(1 + (8u << 20) / size));
}

int main(void)
{
	expander = expander_new();
	if (!expander)
		abort();
	for (size_t size = 1024; size <= CONTENT_MAX; size *= 8)
		for (int codec = RECORD_CODEC_GZIP; codec <= RECORD_CODEC_ZSTD; codec++)
			measure((enum record_codec)codec, size > CONTENT_MAX ? CONTENT_MAX : size);
	expander_free(expander);
	return 0;
}
