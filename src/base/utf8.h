/*
 * UTF-8, as far as leat cares: whether bytes are text.
 */
#ifndef BASE_UTF8_H
#define BASE_UTF8_H

#include "base/check.h"

/* Length of the well-formed character at the front (RFC 3629: no surrogates, no overlong forms); 0:
 * there is none. `len` above 0. */
static inline size_t utf8_length(const char *text, size_t len)
{
	const unsigned char *s = (const unsigned char *)text;
	size_t need = s[0] < 0x80 ? 1 : s[0] < 0xc2 ? 0 : s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : 4;

	if (need == 0 || s[0] > 0xf4 || need > len)
		return 0;
	for (size_t i = 1; i < need; i++)
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) ||
	    (s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] > 0x8f))
		return 0;
	return need;
}

#endif
