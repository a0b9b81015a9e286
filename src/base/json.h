/*
 * JSON, written: names are ours, texts are escaped, commas come by themselves.
 *
 *     json_open(&buf, NULL);  json_text(&buf, "version", "0.1.0");  json_u64(&buf, "pid", 7);
 *     json_open(&buf, "http");  ...  json_close(&buf);  json_close(&buf);
 */
#ifndef BASE_JSON_H
#define BASE_JSON_H

#include "base/buf.h"

/* An object; `name` NULL: the outermost. */
void json_open(struct buf *buf, const char *name);
void json_close(struct buf *buf);
void json_u64(struct buf *buf, const char *name, uint64_t value);
void json_text(struct buf *buf, const char *name, const char *value);

#define JSON_ESCAPED_MAX 6

/* The character at the front of `text` (not empty) as it stands in a JSON text; a byte that is not
 * UTF-8 is U+FFFD. How many bytes of `text` it was. */
size_t json_escape_one(struct slice text, char out[JSON_ESCAPED_MAX], size_t *ret_len);

#endif
