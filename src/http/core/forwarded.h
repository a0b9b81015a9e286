/*
 * Whose request it is, behind proxies: X-Forwarded-For and its like, and Forwarded (RFC 7239).
 *
 * Each proxy adds the address of its own peer at the right. So what stands at the right was said by
 * the last proxy, and is true if that one is believed; what it says of a peer that is believed as
 * well is true in turn. The client is the right-most address that is not of a believed proxy; where
 * all are, the left-most one. What is no address ("unknown", "_hidden") hides what is left of it.
 */
#ifndef HTTP_CORE_FORWARDED_H
#define HTTP_CORE_FORWARDED_H

#include "http/core/address.h"
#include "http/core/request.h"

/* `peer`, or whose request its header called `name` says it is, as far as proxies of `trusted` say
 * so. */
struct http_address http_forwarded_client(const struct http_request *request, struct slice name,
					  const struct http_networks *trusted,
					  const struct http_address *peer);

#endif
