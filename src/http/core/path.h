/*
 * From the path of a request target to a path relative to the served root, for openat2(2).
 *
 * Percent-escapes are decoded once, then dot segments are removed (RFC 3986 5.2.4) and runs of
 * slashes become one, so that "/a/%2e%2e/b" and "/a/../b" are the same file. ".." above the root
 * stays at the root. "%2f" is a slash (as in nginx): no file name has one. Backslashes are ordinary
 * bytes. None of this is the defence of the root: that is openat2's RESOLVE_BENEATH.
 */
#ifndef HTTP_CORE_PATH_H
#define HTTP_CORE_PATH_H

#include "base/slice.h"

struct http_path {
	struct slice text; /* in the caller's buffer, terminated; no slash at either end; "." for
			       the root, never empty */
	bool is_root;      /* text is "." */
	bool wants_dir;    /* it ended in a slash, "/." or "/.." */
};

/* `path` as in http_request.path, without query, starting with '/'. Decodes into buf[size], which
 * needs path.len + 1 bytes for certain. 0; -EBADMSG: no leading slash, a bad escape, or a NUL
 * (answer 400); -ENAMETOOLONG: does not fit (414). */
int http_path_decode(struct slice path, char *buf, size_t size, struct http_path *ret);

/* `text` as above, not the root's: a name on it begins with a dot. What is below ".well-known" at
 * the root (RFC 8615) is judged by the names there. */
bool http_path_is_hidden(struct slice text);

/* Percent-encodes what isn't unreserved (RFC 3986 2.3) or, if `keep_slash`, a slash. Writes at most
 * `size` bytes and returns the bytes needed (at most 3 * text.len); more than `size`: cut at a
 * whole escape. For Location and links. */
size_t http_path_encode(struct slice text, bool keep_slash, char *buf, size_t size);

#endif
