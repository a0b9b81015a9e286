#include "http/http_proxies.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>

#include "http/core/chars.h"
#include "http/core/proxy_protocol.h"
#include "http/http_server.h"

#define CLIENT_HEADER "X-Forwarded-For"

static int proxies_check_header(const char *name, struct slice *ret, struct err *err)
{
	struct slice text = slice_of(name ? name : CLIENT_HEADER);

	if (text.len == 0 ||
	    http_run(text.ptr, text.ptr + text.len, HTTP_TOKEN) != text.ptr + text.len)
		return err_set(err, -EINVAL,
			       "--client-header '%.60s': it is the name of a header, such as "
			       "X-Real-IP or Forwarded",
			       name);
	*ret = text;
	return 0;
}

/* What is said by nobody who is believed would count for nothing. */
static int proxies_check_use(const struct http_options *options, struct err *err)
{
	if (options->trusted_count > 0)
		return 0;
	if (options->client_header || options->proxy_protocol)
		return err_set(err, -EINVAL,
			       "%s needs --trusted-proxy: without it no proxy is believed",
			       options->proxy_protocol ? "--proxy-protocol on" : "--client-header");
	return 0;
}

int http_proxies_init(struct http_proxies *proxies, const struct http_options *options,
		      struct err *err)
{
	struct http_network *list;
	int r = proxies_check_use(options, err);

	if (r == 0)
		r = proxies_check_header(options->client_header, &proxies->header, err);
	if (r < 0 || options->trusted_count == 0)
		return r;
	list = calloc(options->trusted_count, sizeof(*list));
	if (!list)
		return err_set(err, -ENOMEM, "out of memory");
	proxies->trusted = (struct http_networks){.list = list, .count = options->trusted_count};
	proxies->protocol = options->proxy_protocol;
	for (unsigned i = 0; i < options->trusted_count; i++)
		if (!http_network_parse(slice_of(options->trusted[i]), &list[i]))
			return err_set(
			    err, -EINVAL,
			    "--trusted-proxy '%.60s': it is an address or a network, such "
			    "as 10.0.0.0/8 or fd00::/8, or unix: for sockets of files",
			    options->trusted[i]);
	return 0;
}

void http_proxies_fini(struct http_proxies *proxies)
{
	free((struct http_network *)proxies->trusted.list);
	proxies->trusted = (struct http_networks){NULL, 0};
}

struct http_address http_peer_address(const struct sockaddr_storage *peer)
{
	const struct sockaddr_in *in = (const struct sockaddr_in *)peer;
	const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)peer;

	switch (peer->ss_family) {
	case AF_INET:
		return http_address_v4((const uint8_t *)&in->sin_addr);
	case AF_INET6:
		return http_address_v6((const uint8_t *)&in6->sin6_addr);
	default:
		return (struct http_address){.bits = 0};
	}
}

enum http_parse http_proxies_begin(const struct http_proxies *proxies,
				   const struct sockaddr_storage *peer, struct slice received,
				   size_t *ret_used, struct http_address *ret_client)
{
	struct http_address address = http_peer_address(peer), named = address;
	enum http_parse parse = http_proxy_parse(received.ptr, received.len, ret_used, &named);

	if (parse == HTTP_PARSE_OK)
		*ret_client = http_networks_have(&proxies->trusted, &address) ? named : address;
	return parse;
}
