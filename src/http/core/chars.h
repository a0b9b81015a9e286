/*
 * What a byte may be in HTTP: one table, a bit a class.
 */
#ifndef HTTP_CORE_CHARS_H
#define HTTP_CORE_CHARS_H

#include "base/slice.h"

enum http_char {
	HTTP_TOKEN = 1 << 0,     /* RFC 9110 5.6.2 */
	HTTP_PATH = 1 << 1,      /* of a target before its '?': no space, control, '?' or '#'. More
				     than RFC 3986 has: clients send quotes, braces, raw UTF-8 */
	HTTP_QUERY = 1 << 2,     /* the same, and '?' */
	HTTP_AUTHORITY = 1 << 3, /* what authority.c parses: uri-host and port of RFC 3986 3.2, IPv6
				     brackets; no '@' */
	HTTP_UNRESERVED = 1 << 4, /* RFC 3986 2.3 */
	HTTP_VALUE = 1 << 5,      /* of a header value: no control but the tab */
	HTTP_DIGIT = 1 << 6,
	HTTP_ETAG = 1 << 7, /* inside the quotes of an entity tag, RFC 9110 8.8.3 */
};

extern const uint8_t http_chars[256];

static inline bool http_is(char c, enum http_char class)
{
	return (http_chars[(unsigned char)c] & class) != 0;
}

/* The end of the run of `class` that starts at `at`. */
static inline const char *http_run(const char *at, const char *end, enum http_char class)
{
	while (at < end && http_is(*at, class))
		at++;
	return at;
}

/* 0 to 15, or -1. */
static inline int http_hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)(c | 0x20);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Next member of a comma-separated list (RFC 9110 5.6.1), trimmed; empty members are skipped.
 * Commas in quoted strings are not respected: for lists of tokens. false: the list has ended. */
bool http_list_next(struct slice *rest, struct slice *ret_member);

/* Decimal digits, all of `text`. -EINVAL: none, or something else; -ERANGE: above UINT64_MAX. */
int http_number_parse(struct slice text, uint64_t *ret);

#endif
