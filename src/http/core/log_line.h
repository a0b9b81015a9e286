/*
 * One line of the access log. Pure: what is known of an answer in, text out.
 *
 *     combined  198.51.100.7 - - [22/Nov/2026:23:45:00 +0000] "GET / HTTP/1.1" 200 512 "-" "curl/8"
 *     json      {"time":"2026-11-22T23:45:00+00:00","client":"198.51.100.7","method":"GET", ...}
 *
 * What came from a peer may hold any byte. It is escaped so that it can't end the field or the
 * line: combined as nginx does it (\xHH for control characters, ", \ and all from 0x7f up), JSON by
 * RFC 8259, with U+FFFD for what is not UTF-8. Fields are cut where their escaped text is longer
 * than HTTP_LOG_FIELD_MAX, and end in "..." then, so that a line has a limit.
 */
#ifndef HTTP_CORE_LOG_LINE_H
#define HTTP_CORE_LOG_LINE_H

#include "base/buf.h"

enum http_log_format { HTTP_LOG_COMBINED, HTTP_LOG_JSON };

/* Of the escaped text: a request line of the longest, and some bytes of it escaped. */
#define HTTP_LOG_FIELD_MAX 10240u
/* A whole line: five fields at most (JSON has the request line in three), and what else is in it. */
#define HTTP_LOG_LINE_MAX (6u * HTTP_LOG_FIELD_MAX)

/* "12.34.56.78", an IPv6 address, "unix:" */
#define HTTP_LOG_CLIENT_MAX 46

/* The time as both formats write it, for lines of the same second. */
struct http_log_time {
	int64_t second; /* what the text says */
	char text[48];
	size_t len;
};

struct http_log_entry {
	struct slice client;
	struct slice line; /* the request line as received, without its end */
	struct slice referer, user_agent;
	int status;
	uint64_t bytes; /* of the body, as sent */
	/* JSON only. */
	uint64_t duration_ns;
	const char *technique, *verdict;
};

/* Makes `time` say `second` in the local time zone, if it does not yet. */
void http_log_time_set(struct http_log_time *time, enum http_log_format format, int64_t second);

/* With its newline. HTTP_LOG_LINE_MAX bytes are enough for any. */
void http_log_line(struct buf *buf, enum http_log_format format, const struct http_log_time *time,
		   const struct http_log_entry *entry);

/* The two ways to escape, for tests: at most HTTP_LOG_FIELD_MAX bytes, "..." included. */
void http_log_escape_text(struct buf *buf, struct slice text);
void http_log_escape_json(struct buf *buf, struct slice text);

#endif
