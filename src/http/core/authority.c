#include "http/core/authority.h"

#include <arpa/inet.h>

#include "http/core/chars.h"

/* The longest text of an address, with its end. */
#define ADDRESS_MAX INET6_ADDRSTRLEN

static bool authority_is_address_of(int family, struct slice text)
{
	struct in6_addr address;
	char terminated[ADDRESS_MAX];

	if (text.len == 0 || text.len >= sizeof(terminated))
		return false;
	memcpy(terminated, text.ptr, text.len);
	terminated[text.len] = '\0';
	return inet_pton(family, terminated, &address) == 1;
}

/* "v" 1*HEXDIG "." 1*( unreserved / sub-delims / ":" ) */
static bool authority_is_future(struct slice text)
{
	const char *end = text.ptr + text.len, *at = text.ptr + 1;

	if (text.len < 4 || (*text.ptr | 0x20) != 'v')
		return false;
	while (at < end && http_hex(*at) >= 0)
		at++;
	if (at == text.ptr + 1 || at + 1 >= end || *at++ != '.')
		return false;
	while (at < end && http_is(*at, HTTP_AUTHORITY) && *at != '[' && *at != '%')
		at++;
	return at == end;
}

/* 1*( unreserved / pct-encoded / sub-delims ); an IPv4 address is one, too. */
static bool authority_is_name(struct slice text)
{
	for (size_t i = 0; i < text.len; i++) {
		char c = text.ptr[i];

		if (likely(http_is(c, HTTP_UNRESERVED)))
			continue;
		if (!http_is(c, HTTP_AUTHORITY) || c == '[' || c == ']')
			return false;
		if (c == '%' && (text.len - i < 3 || http_hex(text.ptr[i + 1]) < 0 ||
				 http_hex(text.ptr[i + 2]) < 0))
			return false;
	}
	return text.len > 0;
}

/* What is behind the host: nothing, or ":" *DIGIT. */
static bool authority_parse_port(struct slice text, struct slice *ret)
{
	const char *end;

	*ret = text;
	if (text.len == 0)
		return true;
	end = text.ptr + text.len;
	*ret = slice_make(text.ptr + 1, text.len - 1);
	return *text.ptr == ':' && http_run(text.ptr + 1, end, HTTP_DIGIT) == end;
}

bool http_authority_parse(struct slice text, struct http_authority *ret)
{
	bool literal = text.len > 0 && *text.ptr == '[';
	const char *end = text.len ? memchr(text.ptr, literal ? ']' : ':', text.len) : NULL;
	struct slice host = text, rest;
	size_t len;

	if (literal && !end)
		return false;
	if (literal)
		host = slice_make(text.ptr + 1, (size_t)(end++ - text.ptr) - 1);
	else if (end)
		host.len = (size_t)(end - text.ptr);
	len = end ? (size_t)(end - text.ptr) : text.len;
	/* Nothing may be nowhere: then there is no address to add to. */
	rest = len < text.len ? slice_make(text.ptr + len, text.len - len) : slice_make(NULL, 0);
	if (literal ? !authority_is_address_of(AF_INET6, host) && !authority_is_future(host)
		    : !authority_is_name(host))
		return false;
	*ret = (struct http_authority){.host = host, .is_literal = literal};
	return authority_parse_port(rest, &ret->port);
}

bool http_authority_is_address(const struct http_authority *authority)
{
	return authority->is_literal || authority_is_address_of(AF_INET, authority->host);
}
