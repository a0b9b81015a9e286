#include "base/buf.h"

#include <stdio.h>

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
