/*
 * The control plane's error text: what went wrong, where, and what to do.
 *
 * The data plane returns 0 or -errno and nothing more. Start-up, configuration and recovery also
 * fill a struct err, so that the user reads one sentence and not an errno.
 */
#ifndef BASE_ERR_H
#define BASE_ERR_H

#include "base/check.h"

#define ERR_TEXT_MAX 512

struct err {
	char text[ERR_TEXT_MAX]; /* one line, no newline; "" when nothing was said */
};

/* Writes the text (cut at ERR_TEXT_MAX; what can't be printed as \xNN) and returns `code`, so that callers say
 * `return err_set(err, -EADDRINUSE, "%s: port taken", addr);`. `err` may be NULL. */
int err_set(struct err *err, int code, const char *fmt, ...) PRINTF_LIKE(3, 4);

#endif
