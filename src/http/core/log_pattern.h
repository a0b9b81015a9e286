/*
 * Formats of the access log that an operator makes himself: text with nginx's variables, such as
 *
 *     $remote_addr [$time_local] "$request" $status $body_bytes_sent $request_time
 *
 * Read once, at start, into a list of pieces; a line is made by going through them. What came from
 * a peer is escaped as in combined (log_line.h); a value that is not there is "-".
 */
#ifndef HTTP_CORE_LOG_PATTERN_H
#define HTTP_CORE_LOG_PATTERN_H

#include "base/err.h"
#include "http/core/log_line.h"

#define HTTP_LOG_ITEMS_MAX 64

struct http_log_variable;

/* Text as it stands, or a variable. */
struct http_log_item {
	struct slice text;
	const struct http_log_variable *variable; /* NULL: text */
	unsigned field;                           /* of $http_...: which of the pattern's */
};

struct http_log_pattern {
	unsigned count, field_count;
	struct http_log_item items[HTTP_LOG_ITEMS_MAX];
	/* The header fields that are wanted beside Referer and User-Agent, as the text spells them:
	 * in any case, '_' for '-'. */
	struct slice fields[HTTP_LOG_FIELDS_MAX];
};

/* `text` must stay. 0, or -EINVAL with what is wrong in `err`: an unknown variable, or a line that
 * could get longer than HTTP_LOG_LINE_MAX. */
int http_log_pattern_parse(const char *text, struct http_log_pattern *ret, struct err *err);

/* With its newline. */
void http_log_pattern_line(struct buf *buf, const struct http_log_pattern *pattern,
			   const struct http_log_entry *entry);

/* Whether a header's name is the one that a pattern spells so. */
bool http_log_field_is(struct slice spelled, struct slice name);

#endif
