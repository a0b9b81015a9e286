#include "http/core/proxy_protocol.h"

#include "http/core/chars.h"

/* ---- version 1: "PROXY TCP4 192.0.2.1 192.0.2.2 4711 80\r\n" ---- */

/* Up to a space or the end. */
static struct slice proxy_next_word(struct slice *rest)
{
	const char *space = rest->len ? memchr(rest->ptr, ' ', rest->len) : NULL;
	size_t len = space ? (size_t)(space - rest->ptr) : rest->len;
	struct slice word = slice_make(rest->ptr, len);
	size_t eaten = space ? len + 1 : len;

	*rest = slice_make(rest->ptr + eaten, rest->len - eaten);
	return word;
}

/* An address of that length, not in brackets, and without a port. */
static bool proxy_parse_address(struct slice text, bool v6, struct http_address *ret)
{
	bool colon = text.len && memchr(text.ptr, ':', text.len);

	if (text.len == 0 || text.ptr[0] == '[' || colon != v6)
		return false;
	return http_address_parse(text, ret);
}

static bool proxy_is_port(struct slice text)
{
	uint64_t port;

	return text.len <= 5 && http_number_parse(text, &port) == 0 && port <= UINT16_MAX;
}

/* The line without its beginning and end. */
static bool proxy_parse_line(struct slice line, struct http_address *ret_client)
{
	struct slice family = proxy_next_word(&line);
	struct http_address client, server;
	bool v6 = slice_eq(family, SLICE_LITERAL("TCP6"));

	if (slice_eq(family, SLICE_LITERAL("UNKNOWN")))
		return true;
	if (!v6 && !slice_eq(family, SLICE_LITERAL("TCP4")))
		return false;
	if (!proxy_parse_address(proxy_next_word(&line), v6, &client) ||
	    !proxy_parse_address(proxy_next_word(&line), v6, &server))
		return false;
	for (unsigned port = 0; port < 2; port++)
		if (!proxy_is_port(proxy_next_word(&line)))
			return false;
	if (line.len > 0)
		return false;
	*ret_client = client;
	return true;
}

static const char v1_begin[] = "PROXY ";
#define V1_BEGIN_LEN (sizeof(v1_begin) - 1)

static enum http_parse proxy_parse_v1(const char *buf, size_t len, size_t *ret_used,
				      struct http_address *ret_client)
{
	const char *end = memchr(buf, '\n', min_size(len, HTTP_PROXY_V1_MAX));
	size_t line;

	if (!end)
		return len < HTTP_PROXY_V1_MAX ? HTTP_PARSE_MORE : HTTP_PARSE_BAD;
	line = (size_t)(end - buf);
	if (line < V1_BEGIN_LEN + 1 || buf[line - 1] != '\r')
		return HTTP_PARSE_BAD;
	if (!proxy_parse_line(slice_make(buf + V1_BEGIN_LEN, line - 1 - V1_BEGIN_LEN), ret_client))
		return HTTP_PARSE_BAD;
	*ret_used = line + 1;
	return HTTP_PARSE_OK;
}

/* ---- version 2: signature, version and command, family, length, addresses, extensions ---- */

static const char v2_begin[] = "\r\n\r\n\0\r\nQUIT\n";
#define V2_BEGIN_LEN (sizeof(v2_begin) - 1)
#define V2_HEAD_LEN  (V2_BEGIN_LEN + 4)

enum { V2_LOCAL = 0x20, V2_PROXY = 0x21, V2_TCP4 = 0x11, V2_TCP6 = 0x21 };

static enum http_parse proxy_parse_v2(const char *buf, size_t len, size_t *ret_used,
				      struct http_address *ret_client)
{
	const uint8_t *head = (const uint8_t *)buf + V2_BEGIN_LEN;
	const uint8_t *addresses = (const uint8_t *)buf + V2_HEAD_LEN;
	size_t left;

	if (len < V2_HEAD_LEN)
		return HTTP_PARSE_MORE;
	left = (size_t)head[2] << 8 | head[3];
	if ((head[0] != V2_LOCAL && head[0] != V2_PROXY) || left > HTTP_PROXY_V2_MAX - V2_HEAD_LEN)
		return HTTP_PARSE_BAD;
	/* Two addresses and two ports. */
	if (head[0] == V2_PROXY &&
	    ((head[1] == V2_TCP4 && left < 12) || (head[1] == V2_TCP6 && left < 36)))
		return HTTP_PARSE_BAD;
	if (len < V2_HEAD_LEN + left)
		return HTTP_PARSE_MORE;
	if (head[0] == V2_PROXY && head[1] == V2_TCP4)
		*ret_client = http_address_v4(addresses);
	if (head[0] == V2_PROXY && head[1] == V2_TCP6)
		*ret_client = http_address_v6(addresses);
	*ret_used = V2_HEAD_LEN + left;
	return HTTP_PARSE_OK;
}

static bool proxy_begins(const char *buf, size_t len, const char *with, size_t with_len)
{
	return memcmp(buf, with, min_size(len, with_len)) == 0;
}

enum http_parse http_proxy_parse(const char *buf, size_t len, size_t *ret_used,
				 struct http_address *ret_client)
{
	if (len == 0)
		return HTTP_PARSE_MORE;
	if (proxy_begins(buf, len, v1_begin, V1_BEGIN_LEN))
		return proxy_parse_v1(buf, len, ret_used, ret_client);
	if (proxy_begins(buf, len, v2_begin, V2_BEGIN_LEN))
		return proxy_parse_v2(buf, len, ret_used, ret_client);
	return HTTP_PARSE_BAD;
}
