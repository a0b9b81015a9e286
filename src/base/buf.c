#include "base/buf.h"

#include <stdio.h>

#include "base/utf8.h"

void buf_add_u64(struct buf *buf, uint64_t value)
{
	char digits[20];
	size_t at = sizeof(digits);

	do {
		digits[--at] = (char)('0' + value % 10);
		value /= 10;
	} while (value > 0);
	buf_add(buf, digits + at, sizeof(digits) - at);
}

void buf_vprintf(struct buf *buf, const char *fmt, va_list args)
{
	size_t room = buf->size - buf->len;
	int n;

	if (buf->overflow)
		return;
	n = vsnprintf(room > 0 ? buf->ptr + buf->len : NULL, room, fmt, args);
	/* vsnprintf also writes a terminator: a text that fills the room exactly was cut by one. */
	if (n < 0 || (size_t)n >= room)
		buf->overflow = true;
	else
		buf->len += (size_t)n;
}

void buf_printf(struct buf *buf, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	buf_vprintf(buf, fmt, args);
	va_end(args);
}

const char *buf_text(struct buf *buf)
{
	if (buf->overflow || buf->len == buf->size)
		return NULL;
	buf->ptr[buf->len] = '\0';
	return buf->ptr;
}

/* U+0080 to U+009F, which terminals obey; line and paragraph separators; what turns the direction. */
static bool is_unseen(const unsigned char *s, size_t len)
{
	if (len == 1)
		return s[0] < 0x20 || s[0] == 0x7f;
	if (len == 2)
		return s[0] == 0xc2 && s[1] < 0xa0;
	if (len != 3 || s[0] != 0xe2)
		return false;
	return (s[1] == 0x80 && s[2] >= 0xa8 && s[2] <= 0xae) ||
	       (s[1] == 0x80 && (s[2] == 0x8e || s[2] == 0x8f)) ||
	       (s[1] == 0x81 && s[2] >= 0xa6 && s[2] <= 0xa9);
}

static void add_escaped(struct buf *buf, const unsigned char *s, size_t len)
{
	static const char hex[] = "0123456789abcdef";

	for (size_t i = 0; i < len; i++) {
		const char escaped[4] = {'\\', 'x', hex[s[i] >> 4], hex[s[i] & 15]};

		buf_add(buf, escaped, sizeof(escaped));
	}
}

void buf_add_printable(struct buf *buf, struct slice text)
{
	while (text.len > 0) {
		size_t len = utf8_length(text.ptr, text.len), step = len ? len : 1;
		const unsigned char *s = (const unsigned char *)text.ptr;

		if (len == 0 || is_unseen(s, len))
			add_escaped(buf, s, step);
		else
			buf_add(buf, s, step);
		text = slice_make(text.ptr + step, text.len - step);
	}
}
