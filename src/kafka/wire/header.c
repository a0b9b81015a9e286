#include "kafka/wire/header.h"

#include <errno.h>

#include "base/be.h"
#include "base/varint.h"
#include "kafka/wire/messages.h"

#define SIZE_BYTES  4
#define FIXED_BYTES 8 /* key, version, correlation id */

static struct slice slice_from(struct slice s, size_t at)
{
	return slice_make(s.ptr + at, s.len - at);
}

static int take_client_id(struct slice *bytes, struct slice *ret)
{
	if (bytes->len < 2)
		return -EBADMSG;
	int16_t len = (int16_t)be_load16(bytes->ptr);
	struct slice rest = slice_from(*bytes, 2);

	if (len > 0 && (size_t)len > rest.len)
		return -EBADMSG;
	*ret = len < 0 ? slice_make(NULL, 0) : slice_make(rest.ptr, (size_t)len);
	*bytes = slice_from(rest, ret->len);
	return 0;
}

/* Tagged fields of headers: none has a meaning so far. */
static int skip_tags(struct slice *bytes)
{
	const uint8_t *at = (const uint8_t *)bytes->ptr, *end = at + bytes->len;
	uint32_t count, tag, size;

	at = varint_read_u32(at, end, &count);
	for (; at && count > 0; count--) {
		at = varint_read_u32(at, end, &tag);
		if (at)
			at = varint_read_u32(at, end, &size);
		if (!at || size > (size_t)(end - at))
			return -EBADMSG;
		at += size;
	}
	if (!at)
		return -EBADMSG;
	*bytes = slice_make((const char *)at, (size_t)(end - at));
	return 0;
}

static int decode_rest(struct slice *bytes, struct kafka_request_header *header)
{
	int result = take_client_id(bytes, &header->client_id);

	if (result == 0 && header->version >= header->api->flexible)
		result = skip_tags(bytes);
	return result;
}

int kafka_request_header_decode(struct slice *bytes, struct kafka_request_header *ret)
{
	struct kafka_request_header header = {0};
	struct slice rest = *bytes;

	if (rest.len < FIXED_BYTES)
		return -EBADMSG;
	header.api = kafka_api_find((int16_t)be_load16(rest.ptr));
	header.version = header.answer = (int16_t)be_load16(rest.ptr + 2);
	header.correlation_id = (int32_t)be_load32(rest.ptr + 4);
	rest = slice_from(rest, FIXED_BYTES);
	if (!header.api)
		return -EPROTONOSUPPORT;
	if (kafka_api_speaks(header.api, header.version)) {
		int result = decode_rest(&rest, &header);

		if (result < 0)
			return result;
	} else if (header.api->key == KAFKA_API_API_VERSIONS) {
		/* What follows may be laid out as no version we know. */
		header.unsupported = true;
		header.answer = 0;
	} else {
		return -EPROTONOSUPPORT;
	}
	*bytes = rest;
	*ret = header;
	return 0;
}

void kafka_request_begin(struct kafka_writer *writer, const struct kafka_api *api, int16_t version,
			 int32_t correlation_id, struct slice client_id)
{
	CHECK(writer->len == 0 && client_id.len <= INT16_MAX);
	kafka_put_i32(writer, 0);
	kafka_put_i16(writer, api->key);
	kafka_put_i16(writer, version);
	kafka_put_i32(writer, correlation_id);
	kafka_put_i16(writer, client_id.ptr ? (int16_t)client_id.len : -1);
	kafka_put(writer, client_id.ptr, client_id.len);
	if (version >= api->flexible)
		kafka_put(writer, "", 1);
}

static bool response_has_tags(const struct kafka_api *api, int16_t version)
{
	return version >= api->flexible && api->key != KAFKA_API_API_VERSIONS;
}

void kafka_response_begin(struct kafka_writer *writer, const struct kafka_request_header *request)
{
	CHECK(writer->len == 0);
	kafka_put_i32(writer, 0);
	kafka_put_i32(writer, request->correlation_id);
	if (response_has_tags(request->api, request->answer))
		kafka_put(writer, "", 1);
}

int kafka_frame_end(struct kafka_writer *writer)
{
	uint64_t size = writer->len - SIZE_BYTES + writer->gap_bytes;

	if (size > INT32_MAX)
		return -EMSGSIZE;
	if (writer->size >= SIZE_BYTES)
		be_store32(writer->ptr, (uint32_t)size);
	return 0;
}

int kafka_response_header_decode(struct slice *bytes, const struct kafka_api *api, int16_t version,
				 int32_t *ret_correlation_id)
{
	struct slice rest = *bytes;

	if (rest.len < sizeof(int32_t))
		return -EBADMSG;
	int32_t id = (int32_t)be_load32(rest.ptr);

	rest = slice_from(rest, sizeof(int32_t));
	if (response_has_tags(api, version)) {
		int result = skip_tags(&rest);

		if (result < 0)
			return result;
	}
	*bytes = rest;
	*ret_correlation_id = id;
	return 0;
}
