/*
 * One line of the access log. Pure: what is known of an answer in, text out.
 *
 *     combined  198.51.100.7 - - [22/Nov/2026:23:45:00 +0000] "GET / HTTP/1.1" 200 512 "-" "curl/8"
 *     json      {"time":"2026-11-22T23:45:00.123+00:00","client":"198.51.100.7","method":"GET", ...}
 *
 * What came from a peer may hold any byte. It is escaped so that it can't end the field or the
 * line: combined as nginx does it (\xHH for control characters, ", \ and all from 0x7f up), JSON by
 * RFC 8259, with U+FFFD for what is not UTF-8. Fields are cut where their escaped text is longer
 * than HTTP_LOG_FIELD_MAX, and end in "..." then, so that a line has a limit.
 */
#ifndef HTTP_CORE_LOG_LINE_H
#define HTTP_CORE_LOG_LINE_H

#include "base/buf.h"

/* HTTP_LOG_OWN: log_pattern.h */
enum http_log_format { HTTP_LOG_COMBINED, HTTP_LOG_JSON, HTTP_LOG_OWN };

/* Of the escaped text: a request line of the longest, and some bytes of it escaped. */
#define HTTP_LOG_FIELD_MAX 10240u
/* A whole line: JSON has five fields (the request line is three of them) and what else is in it;
 * formats of one's own that could be longer are refused. */
#define HTTP_LOG_LINE_MAX (10u * HTTP_LOG_FIELD_MAX)
/* Header fields that a format of one's own has beside Referer and User-Agent. */
#define HTTP_LOG_FIELDS_MAX 6

/* The time as both formats write it, for lines of the same second. */
struct http_log_time {
	int64_t second; /* what the text says */
	char text[48];
	size_t len;
};

struct http_log_entry {
	struct slice client; /* as proxies that are believed tell it */
	struct slice line;   /* the request line as received, without its end */
	struct slice referer, user_agent;
	int status;
	uint64_t bytes; /* of the body, as sent */
	/* Not in combined. */
	uint64_t duration_ns;
	int64_t wall_ms; /* since 1970 */
	const char *technique, *verdict;
	/* Only in formats of one's own. */
	struct slice peer; /* who is connected */
	const struct http_log_time *local, *iso;
	struct slice fields[HTTP_LOG_FIELDS_MAX];
};

/* Makes `time` say `second` in the local time zone, if it does not yet. */
void http_log_time_set(struct http_log_time *time, enum http_log_format format, int64_t second);

/* With its newline. HTTP_LOG_LINE_MAX bytes are enough for any. */
void http_log_line(struct buf *buf, enum http_log_format format, const struct http_log_time *time,
		   const struct http_log_entry *entry);

/* "METHOD target HTTP/1.1" in three. False: the line is no such. */
bool http_log_split_line(struct slice line, struct slice ret_parts[3]);
/* `value` / 10^`digits` with so many digits behind the point. */
void http_log_add_decimal(struct buf *buf, uint64_t value, unsigned digits);

/* The two ways to escape, for tests: at most HTTP_LOG_FIELD_MAX bytes, "..." included. */
void http_log_escape_text(struct buf *buf, struct slice text);
void http_log_escape_json(struct buf *buf, struct slice text);

#endif
