/*
 * The header's members are gone through from left to right, all lines of it in turn, as RFC 9110
 * 5.3 joins them. `found` is what a walk from the right would end at if the list ended here: a
 * member that is not trusted replaces it, one that is trusted only stands where nothing better
 * does, and what is no address clears it.
 */
#include "http/core/forwarded.h"

#include "http/core/chars.h"

struct walk {
	const struct http_networks *trusted;
	struct http_address found;
	bool any; /* `found` is one */
};

static void walk_member(struct walk *walk, struct slice text)
{
	struct http_address address;

	if (!http_address_parse(text, &address)) {
		walk->any = false;
		return;
	}
	if (walk->any && http_networks_have(walk->trusted, &address))
		return;
	walk->found = address;
	walk->any = true;
}

static void walk_list(struct walk *walk, struct slice value)
{
	struct slice member;

	while (http_list_next(&value, &member))
		walk_member(walk, member);
}

/* ---- Forwarded ---- */

/* The end of a quoted string that begins at `at`, behind its quote; NULL: it has none. */
static const char *forwarded_quoted_end(const char *at, const char *end)
{
	for (at++; at < end && *at != '"'; at++)
		if (*at == '\\')
			at++;
	return at < end ? at + 1 : NULL;
}

/* Up to the next `mark`, or both of them, outside of quotes. */
static struct slice forwarded_take_until(struct slice *rest, char mark)
{
	const char *at = rest->ptr, *end = rest->ptr + rest->len;
	struct slice taken;

	while (at && at < end && *at != mark)
		at = *at == '"' ? forwarded_quoted_end(at, end) : at + 1;
	if (!at || at > end) /* a quote without an end takes everything */
		at = end;
	taken = slice_trim(slice_make(rest->ptr, (size_t)(at - rest->ptr)));
	if (at < end)
		at++;
	*rest = slice_make(at, (size_t)(end - at));
	return taken;
}

/* Addresses need no backslash: what has one is none. */
static struct slice forwarded_unquote(struct slice text)
{
	if (text.len >= 2 && text.ptr[0] == '"' && text.ptr[text.len - 1] == '"')
		return slice_make(text.ptr + 1, text.len - 2);
	return text;
}

/* The value of "for", or empty. */
static struct slice forwarded_member_for(struct slice member)
{
	while (member.len) {
		struct slice pair = forwarded_take_until(&member, ';');

		if (pair.len > 4 && slice_eq_nocase(slice_make(pair.ptr, 4), SLICE_LITERAL("for=")))
			return forwarded_unquote(slice_make(pair.ptr + 4, pair.len - 4));
	}
	return slice_make(NULL, 0);
}

static void walk_forwarded(struct walk *walk, struct slice value)
{
	while (value.len) {
		struct slice member = forwarded_take_until(&value, ',');

		if (member.len)
			walk_member(walk, forwarded_member_for(member));
	}
}

struct http_address http_forwarded_client(const struct http_request *request, struct slice name,
					  const struct http_networks *trusted,
					  const struct http_address *peer)
{
	bool forwarded = slice_eq_nocase(name, SLICE_LITERAL("forwarded"));
	struct walk walk = {.trusted = trusted};

	if (!http_networks_have(trusted, peer))
		return *peer;
	for (unsigned i = 0; i < request->header_count; i++) {
		if (!slice_eq_nocase(request->headers[i].name, name))
			continue;
		if (forwarded)
			walk_forwarded(&walk, request->headers[i].value);
		else
			walk_list(&walk, request->headers[i].value);
	}
	return walk.any ? walk.found : *peer;
}
