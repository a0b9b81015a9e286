/*
 * The proxies in front: which peers are believed when they say whose requests they bring, and how
 * they say it. Made at start, read by all loops.
 */
#ifndef HTTP_HTTP_PROXIES_H
#define HTTP_HTTP_PROXIES_H

#include <sys/socket.h>

#include "base/err.h"
#include "http/core/forwarded.h"

struct http_options;

struct http_proxies {
	struct http_networks trusted;
	struct slice header; /* in which they name the client of a request */
	bool protocol;       /* connections begin with a PROXY header */
};

/* 0, -ENOMEM, or -EINVAL with the option in `err`. */
int http_proxies_init(struct http_proxies *proxies, const struct http_options *options,
		      struct err *err);
void http_proxies_fini(struct http_proxies *proxies);

/* Of a connection. */
struct http_address http_peer_address(const struct sockaddr_storage *peer);

/* The PROXY header at the front of what a connection has received. HTTP_PARSE_OK: it has *ret_used
 * bytes, and *ret_client is whom it names if `peer` is believed, else the peer. */
enum http_parse http_proxies_begin(const struct http_proxies *proxies,
				   const struct sockaddr_storage *peer, struct slice received,
				   size_t *ret_used, struct http_address *ret_client);

#endif
