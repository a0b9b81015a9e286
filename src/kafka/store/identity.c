#include "kafka/store/identity.h"

#include <errno.h>

#include "kafka/store/checkpoint.h"

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

void store_uuid_format(const struct kafka_uuid *uuid, char ret[STORE_UUID_TEXT + 1])
{
	for (unsigned i = 0; i < STORE_UUID_TEXT; i++) {
		unsigned bit = i * 6, byte = bit / 8, shift = bit % 8;
		unsigned two = (unsigned)uuid->bytes[byte] << 8;

		if (byte + 1 < sizeof(uuid->bytes))
			two |= uuid->bytes[byte + 1];
		ret[i] = digits[two >> (10 - shift) & 63];
	}
	ret[STORE_UUID_TEXT] = '\0';
}

int store_uuid_parse(struct slice text, struct kafka_uuid *ret)
{
	struct kafka_uuid uuid = {{0}};

	if (text.len != STORE_UUID_TEXT)
		return -EINVAL;
	for (unsigned i = 0; i < STORE_UUID_TEXT; i++) {
		const char *found = text.ptr[i] ? strchr(digits, text.ptr[i]) : NULL;
		unsigned bit = i * 6, byte = bit / 8, shift = bit % 8, two;

		if (!found)
			return -EINVAL;
		two = (unsigned)(found - digits) << (10 - shift);
		uuid.bytes[byte] |= (uint8_t)(two >> 8);
		if (byte + 1 < sizeof(uuid.bytes))
			uuid.bytes[byte + 1] |= (uint8_t)two;
	}
	*ret = uuid;
	return 0;
}

static bool take_line(struct slice *text, struct slice *ret)
{
	size_t len = 0;

	if (text->len == 0)
		return false;
	while (len < text->len && text->ptr[len] != '\n')
		len++;
	*ret = slice_make(text->ptr, len);
	len += len < text->len;
	*text = slice_make(text->ptr + len, text->len - len);
	if (ret->len > 0 && ret->ptr[ret->len - 1] == '\r')
		ret->len--;
	*ret = slice_trim(*ret);
	return true;
}

static int copy_text(struct slice value, char *out, size_t size)
{
	if (value.len == 0 || value.len >= size || memchr(value.ptr, '\0', value.len))
		return -EBADMSG;
	memcpy(out, value.ptr, value.len);
	out[value.len] = '\0';
	return 0;
}

static int set_property(struct slice key, struct slice value, struct identity *identity,
			int64_t *version, int64_t *node)
{
	if (slice_eq(key, SLICE_LITERAL("version")))
		return checkpoint_number(value, version);
	if (slice_eq(key, SLICE_LITERAL("node.id")) || slice_eq(key, SLICE_LITERAL("broker.id")))
		return checkpoint_number(value, node);
	if (slice_eq(key, SLICE_LITERAL("cluster.id")))
		return copy_text(value, identity->cluster_id, sizeof(identity->cluster_id));
	if (slice_eq(key, SLICE_LITERAL("directory.id")))
		return copy_text(value, identity->directory_id, sizeof(identity->directory_id));
	return 0;
}

int identity_parse(struct slice text, struct identity *ret, struct err *err)
{
	struct identity identity = {.node_id = -1};
	int64_t version = -1, node = -1;
	struct slice line;

	while (take_line(&text, &line)) {
		const char *equals = line.len ? memchr(line.ptr, '=', line.len) : NULL;
		size_t key_len = equals ? (size_t)(equals - line.ptr) : 0;

		if (line.len == 0 || line.ptr[0] == '#' || line.ptr[0] == '!')
			continue;
		if (!equals ||
		    set_property(slice_trim(slice_make(line.ptr, key_len)),
				 slice_trim(slice_make(equals + 1, line.len - key_len - 1)),
				 &identity, &version, &node) < 0)
			return err_set(err, -EBADMSG, "the line \"%.*s\" makes no sense",
				       (int)min_size(line.len, 80), line.ptr);
	}
	if (version > 1)
		return err_set(err, -EPROTONOSUPPORT,
			       "format version %lld is newer than this program knows",
			       (long long)version);
	if (version < 0 || node < 0 || node > INT32_MAX || !identity.cluster_id[0])
		return err_set(err, -EBADMSG, "version, node.id or cluster.id is missing");
	identity.node_id = (int32_t)node;
	*ret = identity;
	return 0;
}

void identity_format(const struct identity *identity, struct buf *buf)
{
	buf_printf(buf, "cluster.id=%s\n", identity->cluster_id);
	if (identity->directory_id[0])
		buf_printf(buf, "directory.id=%s\n", identity->directory_id);
	buf_printf(buf, "node.id=%d\nversion=1\n", identity->node_id);
}
