/*
 * The table of variables is the one source for parsing, for the length that a line may have, and
 * for what is written: http_log_pattern_parse() finds each variable's row, http_log_pattern_line()
 * calls it.
 */
#include "http/core/log_pattern.h"

#include <errno.h>

#include "http/core/authority.h"

struct http_log_variable {
	const char *name;
	bool from_peer; /* it may be as long as an escaped field */
	void (*add)(struct buf *buf, const struct http_log_entry *entry, struct slice field);
};

/* What all others have at most: addresses, times, numbers, names of our own. */
#define SHORT_MAX 64u

static void pattern_add_text(struct buf *buf, struct slice text)
{
	if (text.len)
		http_log_escape_text(buf, text);
	else
		buf_add_char(buf, '-');
}

static void pattern_add_client(struct buf *buf, const struct http_log_entry *entry,
			       struct slice field)
{
	buf_add_slice(buf, entry->client);
}

static void pattern_add_peer(struct buf *buf, const struct http_log_entry *entry,
			     struct slice field)
{
	buf_add_slice(buf, entry->peer);
}

static void pattern_add_nothing(struct buf *buf, const struct http_log_entry *entry,
				struct slice field)
{
	buf_add_char(buf, '-');
}

static void pattern_add_local_time(struct buf *buf, const struct http_log_entry *entry,
				   struct slice field)
{
	buf_add(buf, entry->local->text, entry->local->len);
}

static void pattern_add_iso_time(struct buf *buf, const struct http_log_entry *entry,
				 struct slice field)
{
	buf_add(buf, entry->iso->text, entry->iso->len);
}

/* Seconds, to the millisecond. */
static void pattern_add_msec(struct buf *buf, const struct http_log_entry *entry,
			     struct slice field)
{
	http_log_add_decimal(buf, (uint64_t)entry->wall_ms, 3);
}

static void pattern_add_duration(struct buf *buf, const struct http_log_entry *entry,
				 struct slice field)
{
	http_log_add_decimal(buf, entry->duration_ns / 1000000, 3);
}

static void pattern_add_request(struct buf *buf, const struct http_log_entry *entry,
				struct slice field)
{
	pattern_add_text(buf, entry->line);
}

/* The part of the request line; of a line that is none, nothing. */
static void pattern_add_request_part(struct buf *buf, const struct http_log_entry *entry,
				     unsigned part)
{
	struct slice parts[3] = {{NULL, 0}};

	http_log_split_line(entry->line, parts);
	pattern_add_text(buf, parts[part]);
}

static void pattern_add_method(struct buf *buf, const struct http_log_entry *entry,
			       struct slice field)
{
	pattern_add_request_part(buf, entry, 0);
}

static void pattern_add_uri(struct buf *buf, const struct http_log_entry *entry, struct slice field)
{
	pattern_add_request_part(buf, entry, 1);
}

static void pattern_add_protocol(struct buf *buf, const struct http_log_entry *entry,
				 struct slice field)
{
	pattern_add_request_part(buf, entry, 2);
}

static void pattern_add_status(struct buf *buf, const struct http_log_entry *entry,
			       struct slice field)
{
	buf_add_u64(buf, (uint64_t)entry->status);
}

static void pattern_add_bytes(struct buf *buf, const struct http_log_entry *entry,
			      struct slice field)
{
	buf_add_u64(buf, entry->bytes);
}

static void pattern_add_referer(struct buf *buf, const struct http_log_entry *entry,
				struct slice field)
{
	pattern_add_text(buf, entry->referer);
}

static void pattern_add_user_agent(struct buf *buf, const struct http_log_entry *entry,
				   struct slice field)
{
	pattern_add_text(buf, entry->user_agent);
}

static void pattern_add_technique(struct buf *buf, const struct http_log_entry *entry,
				  struct slice field)
{
	buf_add_text(buf, entry->technique);
}

static void pattern_add_verdict(struct buf *buf, const struct http_log_entry *entry,
				struct slice field)
{
	buf_add_text(buf, entry->verdict);
}

/* Host without its port. */
static void pattern_add_host(struct buf *buf, const struct http_log_entry *entry,
			     struct slice field)
{
	struct http_authority authority;
	bool plain = http_authority_parse(field, &authority) && !authority.is_literal;

	pattern_add_text(buf, plain ? authority.host : field);
}

static void pattern_add_field(struct buf *buf, const struct http_log_entry *entry,
			      struct slice field)
{
	pattern_add_text(buf, field);
}

static const struct http_log_variable variables[] = {
    {"remote_addr", false, pattern_add_client},
    {"realip_remote_addr", false, pattern_add_peer},
    {"remote_user", false, pattern_add_nothing},
    {"time_local", false, pattern_add_local_time},
    {"time_iso8601", false, pattern_add_iso_time},
    {"msec", false, pattern_add_msec},
    {"request", true, pattern_add_request},
    {"request_method", true, pattern_add_method},
    {"request_uri", true, pattern_add_uri},
    {"server_protocol", true, pattern_add_protocol},
    {"status", false, pattern_add_status},
    {"body_bytes_sent", false, pattern_add_bytes},
    {"request_time", false, pattern_add_duration},
    {"http_referer", true, pattern_add_referer},
    {"http_user_agent", true, pattern_add_user_agent},
    {"technique", false, pattern_add_technique},
    {"verdict", false, pattern_add_verdict},
};

/* What needs a header field of the pattern's. */
static const struct http_log_variable host_variable = {"host", true, pattern_add_host};
static const struct http_log_variable field_variable = {"http_", true, pattern_add_field};

bool http_log_field_is(struct slice spelled, struct slice name)
{
	if (spelled.len != name.len)
		return false;
	for (size_t i = 0; i < name.len; i++) {
		char a = spelled.ptr[i], b = name.ptr[i];

		if (a == '_')
			a = '-';
		if (!slice_eq_nocase(slice_make(&a, 1), slice_make(&b, 1)))
			return false;
	}
	return true;
}

/* ---- reading ---- */

static bool is_variable_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '_';
}

/* "$name" or "${name}" at the front; empty: neither. */
static struct slice pattern_take_name(const char **at)
{
	bool braces = (*at)[1] == '{';
	const char *start = *at + (braces ? 2 : 1), *end = start;

	while (is_variable_char(*end))
		end++;
	if (braces && *end != '}')
		return slice_make(NULL, 0);
	*at = end + (braces ? 1 : 0);
	return slice_make(start, (size_t)(end - start));
}

/* The number of a field, which is added where it is new. HTTP_LOG_FIELDS_MAX: there are too
 * many. */
static unsigned pattern_want_field(struct http_log_pattern *pattern, struct slice spelled)
{
	unsigned i = 0;

	while (i < pattern->field_count && !slice_eq(pattern->fields[i], spelled))
		i++;
	if (i == pattern->field_count && i < HTTP_LOG_FIELDS_MAX)
		pattern->fields[pattern->field_count++] = spelled;
	return i;
}

static int pattern_find_variable(struct http_log_pattern *pattern, struct slice name,
				 struct http_log_item *ret, struct err *err)
{
	struct slice prefix = SLICE_LITERAL("http_"), spelled = SLICE_LITERAL("host");

	for (size_t i = 0; i < ARRAY_SIZE(variables); i++) {
		if (slice_eq(name, slice_of(variables[i].name))) {
			*ret = (struct http_log_item){.variable = &variables[i]};
			return 0;
		}
	}
	if (slice_eq(name, slice_of(host_variable.name))) {
		*ret = (struct http_log_item){.variable = &host_variable};
	} else if (name.len > prefix.len && memcmp(name.ptr, prefix.ptr, prefix.len) == 0) {
		*ret = (struct http_log_item){.variable = &field_variable};
		spelled = slice_make(name.ptr + prefix.len, name.len - prefix.len);
	} else {
		return err_set(err, -EINVAL, "--log-format: there is no variable $%.*s",
			       (int)min_size(name.len, 40), name.ptr);
	}
	ret->field = pattern_want_field(pattern, spelled);
	if (ret->field == HTTP_LOG_FIELDS_MAX)
		return err_set(err, -EINVAL, "--log-format: at most %d header fields",
			       HTTP_LOG_FIELDS_MAX);
	return 0;
}

static size_t item_length_max(const struct http_log_item *item)
{
	if (!item->variable)
		return item->text.len;
	return item->variable->from_peer ? HTTP_LOG_FIELD_MAX : SHORT_MAX;
}

int http_log_pattern_parse(const char *text, struct http_log_pattern *ret, struct err *err)
{
	struct http_log_pattern pattern = {.count = 0};
	size_t length = 1;
	int r;

	for (const char *at = text; *at;) {
		struct http_log_item *item = &pattern.items[pattern.count++];

		if (pattern.count == HTTP_LOG_ITEMS_MAX)
			return err_set(err, -EINVAL, "--log-format: more than %d pieces",
				       HTTP_LOG_ITEMS_MAX);
		if (*at == '$') {
			r = pattern_find_variable(&pattern, pattern_take_name(&at), item, err);
			if (r < 0)
				return r;
		} else {
			*item = (struct http_log_item){.text = slice_make(at, strcspn(at, "$"))};
			at += item->text.len;
		}
		length += item_length_max(item);
	}
	if (length > HTTP_LOG_LINE_MAX || strpbrk(text, "\r\n"))
		return err_set(
		    err, -EINVAL,
		    "--log-format: a line is one line of at most %u bytes, each text of a "
		    "client up to %u",
		    HTTP_LOG_LINE_MAX, HTTP_LOG_FIELD_MAX);
	*ret = pattern;
	return 0;
}

/* ---- writing ---- */

void http_log_pattern_line(struct buf *buf, const struct http_log_pattern *pattern,
			   const struct http_log_entry *entry)
{
	for (unsigned i = 0; i < pattern->count; i++) {
		const struct http_log_item *item = &pattern->items[i];

		if (item->variable)
			item->variable->add(buf, entry, entry->fields[item->field]);
		else
			buf_add_slice(buf, item->text);
	}
	buf_add_char(buf, '\n');
}
