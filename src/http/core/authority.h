/*
 * host[:port] as it stands in Host and in targets: uri-host and port of RFC 3986 3.2, no user.
 *
 * A host that two parties could read in two ways ("a:80:80", "[::1", "a:b") is nobody's: RFC 9112
 * 3.2 wants 400. So is an empty one (RFC 9110 4.2.1), as nginx has it.
 */
#ifndef HTTP_CORE_AUTHORITY_H
#define HTTP_CORE_AUTHORITY_H

#include "base/slice.h"

struct http_authority {
	struct slice host; /* of an IP literal without its brackets */
	struct slice port; /* digits; may be empty */
	bool is_literal;   /* it was in brackets */
};

/* False: it is none. */
bool http_authority_parse(struct slice text, struct http_authority *ret);

/* It is a number, of IPv4 or IPv6, and not a name that somebody resolves. */
bool http_authority_is_address(const struct http_authority *authority);

#endif
