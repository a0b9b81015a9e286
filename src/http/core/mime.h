/*
 * Content types by file name extension: a built-in table, and before it one read from a mime.types
 * file in Debian's syntax ("type ext ext...") or nginx's ("types { type ext ext; }"). Files without
 * an extension that everybody has in plain text (README, LICENSE, Makefile) are known by their
 * names.
 *
 * A type of text/... without a charset gets one, utf-8 unless another is wanted. Extensions and
 * names are compared without case. A struct http_mime is made at start and read-only afterwards:
 * all threads share it.
 */
#ifndef HTTP_CORE_MIME_H
#define HTTP_CORE_MIME_H

#include "base/err.h"
#include "base/slice.h"

#define HTTP_MIME_DEFAULT SLICE_LITERAL("application/octet-stream")

/* A longer type is none: it stands in a header block, and those have an end. */
#define HTTP_MIME_TYPE_MAX 255

struct http_mime;

/* The name of a charset has at most 40 characters (RFC 2978 2.3). */
#define HTTP_CHARSET_MAX 40

struct http_mime_options {
	struct slice text;        /* of a mime.types file; empty: none */
	const char *name;         /* its name, for error messages */
	const char *default_type; /* of what has no other; NULL: HTTP_MIME_DEFAULT */
	const char *charset;      /* of texts; "off": none is said; NULL: utf-8 */
};

/* The syntax of a file is nginx's when the first word is "types" followed by '{'. Later lines win
 * over earlier ones. Allocates. 0, -ENOMEM, or -EINVAL with the line, or the option, in `err`. */
int http_mime_new(const struct http_mime_options *options, struct http_mime **ret, struct err *err);
void http_mime_free(struct http_mime *mime);

/* Type by the extension, or the whole, of the path's last segment; `mime` may be NULL (built-in
 * table only). The result lives as long as `mime`. Never empty. */
struct slice http_mime_type(const struct http_mime *mime, struct slice path);

/* The file's bytes are the type's in gzip (.svgz): Content-Encoding has to say so to everyone. */
bool http_mime_is_gzipped(struct slice path);

#endif
