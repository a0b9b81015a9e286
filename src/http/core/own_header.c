#include "http/core/own_header.h"

#include "http/core/chars.h"

/* What the server writes, or what frames a message (RFC 9110 7.6.1, RFC 9112 6). */
static bool is_the_servers(struct slice name)
{
	static const char *const names[] = {
	    "accept-ranges",  "allow",         "connection",       "content-encoding",
	    "content-length", "content-range", "content-type",     "date",
	    "etag",           "keep-alive",    "last-modified",    "location",
	    "server",         "server-timing", "trailer",          "transfer-encoding",
	    "upgrade",        "vary",          "proxy-connection",
	};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (slice_eq_nocase(name, slice_of(names[i])))
			return true;
	return false;
}

const char *http_own_header_check_value(struct slice value)
{
	const char *end = value.ptr + value.len;

	return http_run(value.ptr, end, HTTP_VALUE) == end
		   ? NULL
		   : "a line break or control character in the value";
}

const char *http_own_header_parse(struct slice line, struct slice *ret_name,
				  struct slice *ret_value)
{
	const char *colon = line.len ? memchr(line.ptr, ':', line.len) : NULL;
	struct slice name, value;
	const char *wrong;

	if (!colon)
		return "no colon: it is 'Name: value'";
	name = slice_make(line.ptr, (size_t)(colon - line.ptr));
	value = slice_trim(slice_make(colon + 1, line.len - name.len - 1));
	if (name.len == 0 || http_run(name.ptr, colon, HTTP_TOKEN) != colon)
		return "the name may have letters, digits and !#$%&'*+-.^_`|~ only";
	if (slice_eq_nocase(name, SLICE_LITERAL("cache-control")))
		return "that is --cache-control's";
	if (is_the_servers(name))
		return "the server itself says that";
	wrong = http_own_header_check_value(value);
	if (wrong)
		return wrong;
	*ret_name = name;
	*ret_value = value;
	return NULL;
}
