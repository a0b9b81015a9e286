#include "http/core/chars.h"

#include <errno.h>

enum {
	T = HTTP_TOKEN | HTTP_VALUE | HTTP_ETAG,
	V = HTTP_VALUE | HTTP_ETAG,
	P = HTTP_PATH | HTTP_QUERY,
	H = HTTP_AUTHORITY,
	U = HTTP_UNRESERVED | H | P | T,
};

const uint8_t http_chars[256] = {
    ['\t'] = HTTP_VALUE, [' '] = HTTP_VALUE,
    ['!'] = T | P | H,   ['"'] = HTTP_VALUE | P,
    ['#'] = T,           ['$'] = T | P | H,
    ['%'] = T | P | H,   ['&'] = T | P | H,
    ['\''] = T | P | H,  ['('] = V | P | H,
    [')'] = V | P | H,   ['*'] = T | P | H,
    ['+'] = T | P | H,   [','] = V | P | H,
    ['-'] = U,           ['.'] = U,
    ['/'] = V | P,       ['0' ... '9'] = U | HTTP_DIGIT,
    [':'] = V | P | H,   [';'] = V | P | H,
    ['<'] = V | P,       ['='] = V | P | H,
    ['>'] = V | P,       ['?'] = V | HTTP_QUERY,
    ['@'] = V | P,       ['A' ... 'Z'] = U,
    ['['] = V | P | H,   ['\\'] = V | P,
    [']'] = V | P | H,   ['^'] = T | P,
    ['_'] = U,           ['`'] = T | P,
    ['a' ... 'z'] = U,   ['{'] = V | P,
    ['|'] = T | P,       ['}'] = V | P,
    ['~'] = U,           [0x80 ... 0xff] = V | P,
};

bool http_list_next(struct slice *rest, struct slice *ret_member)
{
	while (rest->len) {
		const char *comma = memchr(rest->ptr, ',', rest->len);
		size_t len = comma ? (size_t)(comma - rest->ptr) : rest->len;
		struct slice member = slice_trim(slice_make(rest->ptr, len));
		size_t eaten = comma ? len + 1 : len;

		rest->ptr += eaten;
		rest->len -= eaten;
		if (member.len) {
			*ret_member = member;
			return true;
		}
	}
	return false;
}

int http_number_parse(struct slice text, uint64_t *ret)
{
	uint64_t value = 0;
	bool over = false;

	if (text.len == 0)
		return -EINVAL;
	for (size_t i = 0; i < text.len; i++) {
		if (!http_is(text.ptr[i], HTTP_DIGIT))
			return -EINVAL;
		over |= __builtin_mul_overflow(value, 10u, &value);
		over |= __builtin_add_overflow(value, (unsigned)(text.ptr[i] - '0'), &value);
	}
	if (over)
		return -ERANGE;
	*ret = value;
	return 0;
}
