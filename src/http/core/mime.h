/*
 * Content types by file name extension: a built-in table, and before it one read from a mime.types
 * file in Debian's syntax ("type ext ext...") or nginx's ("types { type ext ext; }").
 *
 * A type of text/... without a charset gets "; charset=utf-8". Extensions are compared without
 * case. A struct http_mime is made at start and read-only afterwards: all threads share it.
 */
#ifndef HTTP_CORE_MIME_H
#define HTTP_CORE_MIME_H

#include "base/err.h"
#include "base/slice.h"

#define HTTP_MIME_DEFAULT SLICE_LITERAL("application/octet-stream")

/* A longer type is none: it stands in a header block, and those have an end. */
#define HTTP_MIME_TYPE_MAX 255

struct http_mime;

/* Reads the text of a mime.types file; `name` is for error messages. The syntax is nginx's when the
 * first word is "types" followed by '{'. Later lines win over earlier ones. Allocates. 0, -ENOMEM,
 * or -EINVAL with the line in `err`. */
int http_mime_new(struct slice text, const char *name, struct http_mime **ret, struct err *err);
void http_mime_free(struct http_mime *mime);

/* Type by the extension of the path's last segment; `mime` may be NULL (built-in table only). The
 * result lives as long as `mime`. Never empty. */
struct slice http_mime_type(const struct http_mime *mime, struct slice path);

#endif
