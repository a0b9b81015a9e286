#include "http/core/log_line.h"

#include <stdio.h>
#include <time.h>

#include "base/json.h"

/* ---- escaping ---- */

/* Room that is kept for the "..." of a cut field. */
#define DOTS 3u

#define ONES  UINT64_C(0x0101010101010101)
#define HIGHS UINT64_C(0x8080808080808080)

/* The high bit of each byte that is below n (n up to 128); bits above the first found may be wrong
 * (borrows), so only whether it is 0 counts. Bit Twiddling Hacks, "hasless". */
static uint64_t has_below(uint64_t word, uint64_t n)
{
	return (word - ONES * n) & ~word & HIGHS;
}

/* Whether all of eight bytes may stand in a field as they are: most do, eight at a time. */
static bool all_plain(const char *at)
{
	uint64_t word;

	memcpy(&word, at, sizeof(word));
	/* 0x7f is found as 0x80 and above are: by adding one. */
	return !(has_below(word, 0x20) | has_below(word ^ ONES * '"', 1) |
		 has_below(word ^ ONES * '\\', 1) | ((word | (word + ONES)) & HIGHS));
}

static bool is_plain(char c)
{
	unsigned char byte = (unsigned char)c;

	return byte >= 0x20 && byte < 0x7f && byte != '"' && byte != '\\';
}

/* The length of the run at the front that needs no escaping. */
static size_t plain_run(struct slice text)
{
	size_t at = 0;

	while (at + 8 <= text.len && all_plain(text.ptr + at))
		at += 8;
	while (at < text.len && is_plain(text.ptr[at]))
		at++;
	return at;
}

/* One character that is not plain. How many bytes of `text` it was; `out` gets up to 6. */
typedef size_t (*escape_one)(struct slice text, char out[JSON_ESCAPED_MAX], size_t *ret_len);

static size_t escape_text(struct slice text, char out[JSON_ESCAPED_MAX], size_t *ret_len)
{
	static const char hex[] = "0123456789ABCDEF";
	unsigned char c = (unsigned char)text.ptr[0];

	memcpy(out, (char[]){'\\', 'x', hex[c >> 4], hex[c & 15]}, 4);
	*ret_len = 4;
	return 1;
}

static void add_escaped(struct buf *buf, struct slice text, escape_one escape)
{
	size_t left = HTTP_LOG_FIELD_MAX - DOTS;

	for (;;) {
		size_t run = plain_run(text), taken, len;
		char out[JSON_ESCAPED_MAX];

		buf_add(buf, text.ptr, min_size(run, left));
		if (run > left)
			break;
		left -= run;
		text = slice_make(text.ptr + run, text.len - run);
		if (text.len == 0)
			return;
		taken = escape(text, out, &len);
		if (len > left)
			break;
		buf_add(buf, out, len);
		left -= len;
		text = slice_make(text.ptr + taken, text.len - taken);
	}
	buf_add_literal(buf, "...");
}

void http_log_escape_text(struct buf *buf, struct slice text)
{
	add_escaped(buf, text, escape_text);
}

void http_log_escape_json(struct buf *buf, struct slice text)
{
	add_escaped(buf, text, json_escape_one);
}

/* ---- time ---- */

/* RFC 3339 wants a colon in the zone, which strftime has no letter for. */
static size_t add_rfc3339(char *text, size_t size, const struct tm *tm)
{
	long minutes = tm->tm_gmtoff / 60, distance = minutes < 0 ? -minutes : minutes;
	size_t len = strftime(text, size, "%Y-%m-%dT%H:%M:%S", tm);

	return len + (size_t)snprintf(text + len, size - len, "%c%02u:%02u",
				      minutes < 0 ? '-' : '+', (unsigned)(distance / 60) % 100,
				      (unsigned)(distance % 60));
}

void http_log_time_set(struct http_log_time *time, enum http_log_format format, int64_t second)
{
	time_t t = (time_t)second;
	struct tm tm;

	if (likely(time->second == second && time->len > 0))
		return;
	localtime_r(&t, &tm);
	if (format == HTTP_LOG_COMBINED)
		time->len = strftime(time->text, sizeof(time->text), "%d/%b/%Y:%H:%M:%S %z", &tm);
	else
		time->len = add_rfc3339(time->text, sizeof(time->text), &tm);
	time->second = second;
}

/* ---- combined ---- */

static void add_quoted(struct buf *buf, struct slice text)
{
	buf_add_char(buf, '"');
	if (text.len)
		http_log_escape_text(buf, text);
	else
		buf_add_char(buf, '-');
	buf_add_char(buf, '"');
}

static void add_combined(struct buf *buf, const struct http_log_time *time,
			 const struct http_log_entry *entry)
{
	buf_add_slice(buf, entry->client);
	buf_add_literal(buf, " - - [");
	buf_add(buf, time->text, time->len);
	buf_add_literal(buf, "] ");
	add_quoted(buf, entry->line);
	buf_add_char(buf, ' ');
	buf_add_u64(buf, (uint64_t)entry->status);
	buf_add_char(buf, ' ');
	buf_add_u64(buf, entry->bytes);
	buf_add_char(buf, ' ');
	add_quoted(buf, entry->referer);
	buf_add_char(buf, ' ');
	add_quoted(buf, entry->user_agent);
	buf_add_char(buf, '\n');
}

/* ---- JSON ---- */

static void add_member(struct buf *buf, struct slice name, struct slice value)
{
	buf_add_literal(buf, ",\"");
	buf_add_slice(buf, name);
	buf_add_literal(buf, "\":\"");
	http_log_escape_json(buf, value);
	buf_add_char(buf, '"');
}

bool http_log_split_line(struct slice line, struct slice ret_parts[3])
{
	const char *end = line.ptr + line.len;
	const char *first = line.len ? memchr(line.ptr, ' ', line.len) : NULL;
	const char *last = first ? memrchr(first, ' ', (size_t)(end - first)) : NULL;

	if (!first || last == first || first == line.ptr)
		return false;
	ret_parts[0] = slice_make(line.ptr, (size_t)(first - line.ptr));
	ret_parts[1] = slice_make(first + 1, (size_t)(last - first - 1));
	ret_parts[2] = slice_make(last + 1, (size_t)(end - last - 1));
	return true;
}

/* A line that is no request goes into one member, "request". */
static void add_request(struct buf *buf, struct slice line)
{
	struct slice parts[3];

	if (!http_log_split_line(line, parts)) {
		add_member(buf, SLICE_LITERAL("request"), line);
		return;
	}
	add_member(buf, SLICE_LITERAL("method"), parts[0]);
	add_member(buf, SLICE_LITERAL("path"), parts[1]);
	add_member(buf, SLICE_LITERAL("protocol"), parts[2]);
}

void http_log_add_decimal(struct buf *buf, uint64_t value, unsigned digits)
{
	char fraction[20];

	CHECK(digits <= sizeof(fraction));
	for (size_t i = digits; i > 0; value /= 10)
		fraction[--i] = (char)('0' + value % 10);
	buf_add_u64(buf, value);
	buf_add_char(buf, '.');
	buf_add(buf, fraction, digits);
}

/* The text has seconds and the zone: milliseconds belong between them. */
static void add_precise_time(struct buf *buf, const struct http_log_time *time, int64_t wall_ms)
{
	size_t seconds = strlen("2026-11-22T23:45:00");
	unsigned ms = (unsigned)(wall_ms % 1000);

	CHECK(time->len > seconds && wall_ms >= 0);
	buf_add(buf, time->text, seconds);
	buf_add(buf,
		(char[]){'.', (char)('0' + ms / 100), (char)('0' + ms / 10 % 10),
			 (char)('0' + ms % 10)},
		4);
	buf_add(buf, time->text + seconds, time->len - seconds);
}

static void add_json(struct buf *buf, const struct http_log_time *time,
		     const struct http_log_entry *entry)
{
	buf_add_literal(buf, "{\"time\":\"");
	add_precise_time(buf, time, entry->wall_ms);
	buf_add_char(buf, '"');
	add_member(buf, SLICE_LITERAL("client"), entry->client);
	add_request(buf, entry->line);
	buf_add_literal(buf, ",\"status\":");
	buf_add_u64(buf, (uint64_t)entry->status);
	buf_add_literal(buf, ",\"bytes\":");
	buf_add_u64(buf, entry->bytes);
	add_member(buf, SLICE_LITERAL("referer"), entry->referer);
	add_member(buf, SLICE_LITERAL("user_agent"), entry->user_agent);
	buf_add_literal(buf, ",\"duration\":");
	http_log_add_decimal(buf, entry->duration_ns / 1000, 6);
	add_member(buf, SLICE_LITERAL("technique"), slice_of(entry->technique));
	add_member(buf, SLICE_LITERAL("verdict"), slice_of(entry->verdict));
	buf_add_literal(buf, "}\n");
}

void http_log_line(struct buf *buf, enum http_log_format format, const struct http_log_time *time,
		   const struct http_log_entry *entry)
{
	if (format == HTTP_LOG_COMBINED)
		add_combined(buf, time, entry);
	else
		add_json(buf, time, entry);
}
