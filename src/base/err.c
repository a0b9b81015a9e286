#include "base/err.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/buf.h"

int err_set(struct err *err, int code, const char *fmt, ...)
{
	char raw[ERR_TEXT_MAX];
	struct buf text;
	va_list args;

	if (!err)
		return code;
	/* The arguments may be in `err` itself. */
	va_start(args, fmt);
	vsnprintf(raw, sizeof(raw), fmt, args);
	va_end(args);
	text = buf_over(err->text, sizeof(err->text) - 1);
	buf_add_printable(&text, slice_of(raw));
	err->text[text.len] = '\0';
	return code;
}
