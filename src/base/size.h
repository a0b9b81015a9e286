/*
 * Numbers, sizes and times as people write them: "12", "1.5 GiB", "64k" (units are powers of 1024),
 * "500ms", "1m".
 */
#ifndef BASE_SIZE_H
#define BASE_SIZE_H

#include "base/check.h"

#define SIZE_TEXT_MAX 16

/* "0 B", "1023 B", "1.0 KiB", "640.0 MiB"; rounded to a tenth. Returns `text`. */
const char *size_format(uint64_t bytes, char text[SIZE_TEXT_MAX]);

/* Digits, then at most one of k, M, G, T (either case), then nothing or "B" or "iB". -EINVAL,
 * -ERANGE. */
int size_parse(const char *text, uint64_t *ret_bytes);

/* Digits and nothing else. -EINVAL, -ERANGE. */
int number_parse(const char *text, uint64_t *ret);

/* Digits, then nothing (seconds), or ms, s, m or h. -EINVAL, -ERANGE. */
int duration_parse(const char *text, uint64_t *ret_ms);

#endif
