/*
 * A text builder over memory of the caller's, with a bound.
 *
 * What does not fit is not added at all, and everything after it neither: `overflow` stays set, so
 * that a whole sequence is checked once, at its end. Never terminated by itself; see buf_text().
 */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include <stdarg.h>
#include <string.h>

#include "base/check.h"
#include "base/slice.h"

struct buf {
	char *ptr;
	size_t len, size;
	bool overflow;
};

static inline struct buf buf_over(char *memory, size_t size)
{
	return (struct buf){.ptr = memory, .size = size};
}

static inline void buf_add(struct buf *buf, const void *data, size_t len)
{
	if (unlikely(buf->overflow || len > buf->size - buf->len)) {
		buf->overflow = true;
		return;
	}
	if (len > 0)
		memcpy(buf->ptr + buf->len, data, len);
	buf->len += len;
}

static inline void buf_add_slice(struct buf *buf, struct slice s)
{
	buf_add(buf, s.ptr, s.len);
}

static inline void buf_add_text(struct buf *buf, const char *terminated)
{
	buf_add(buf, terminated, strlen(terminated));
}

static inline void buf_add_char(struct buf *buf, char c)
{
	buf_add(buf, &c, 1);
}

#define buf_add_literal(buf, s) buf_add((buf), "" s, sizeof(s) - 1)

/* Text from files and peers, for people: what would be no text, or move the cursor, hide or reorder what
 * is around it (control characters, bytes that are no UTF-8, bidirectional overrides), as \xNN. */
void buf_add_printable(struct buf *buf, struct slice text);
/* Decimal. */
void buf_add_u64(struct buf *buf, uint64_t value);
void buf_printf(struct buf *buf, const char *fmt, ...) PRINTF_LIKE(2, 3);
void buf_vprintf(struct buf *buf, const char *fmt, va_list args) PRINTF_LIKE(2, 0);

static inline struct slice buf_slice(const struct buf *buf)
{
	return slice_make(buf->ptr, buf->len);
}

/* Terminates it; NULL after an overflow or when the terminator has no room. */
const char *buf_text(struct buf *buf);

#endif
