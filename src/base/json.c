#include "base/json.h"

#include "base/utf8.h"

size_t json_escape_one(struct slice text, char out[JSON_ESCAPED_MAX], size_t *ret_len)
{
	static const char hex[] = "0123456789abcdef";
	size_t len = utf8_length(text.ptr, text.len);
	unsigned char c = (unsigned char)text.ptr[0];

	if (len == 0) {
		memcpy(out, (char[]){'\\', 'u', 'f', 'f', 'f', 'd'}, 6);
		*ret_len = 6;
		return 1;
	}
	if (c == '"' || c == '\\') {
		memcpy(out, (char[]){'\\', (char)c}, 2);
		*ret_len = 2;
	} else if (c < 0x20) {
		memcpy(out, (char[]){'\\', 'u', '0', '0', hex[c >> 4], hex[c & 15]}, 6);
		*ret_len = 6;
	} else {
		memcpy(out, text.ptr, len);
		*ret_len = len;
	}
	return len;
}

static void add_name(struct buf *buf, const char *name)
{
	if (buf->len > 0 && buf->ptr[buf->len - 1] != '{')
		buf_add_char(buf, ',');
	if (!name)
		return;
	buf_add_char(buf, '"');
	buf_add_text(buf, name);
	buf_add_literal(buf, "\":");
}

void json_open(struct buf *buf, const char *name)
{
	add_name(buf, name);
	buf_add_char(buf, '{');
}

void json_close(struct buf *buf)
{
	buf_add_char(buf, '}');
}

void json_u64(struct buf *buf, const char *name, uint64_t value)
{
	add_name(buf, name);
	buf_add_u64(buf, value);
}

void json_text(struct buf *buf, const char *name, const char *value)
{
	struct slice text = slice_of(value);

	add_name(buf, name);
	buf_add_char(buf, '"');
	while (text.len > 0) {
		char out[JSON_ESCAPED_MAX];
		size_t len, taken = json_escape_one(text, out, &len);

		buf_add(buf, out, len);
		text = slice_make(text.ptr + taken, text.len - taken);
	}
	buf_add_char(buf, '"');
}
