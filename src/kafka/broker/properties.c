#include "kafka/broker/properties.h"

#include <errno.h>
#include <stdlib.h>

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\f';
}

int properties_init(struct properties *properties, struct slice text)
{
	*properties = (struct properties){.rest = text, .memory = malloc(text.len + 1)};
	return properties->memory ? 0 : -ENOMEM;
}

void properties_fini(struct properties *properties)
{
	free(properties->memory);
}

/* The next line as it stands in the file, without its end and the white space before it. */
static struct slice take_line(struct properties *p)
{
	size_t len = 0, end;
	struct slice line;

	while (len < p->rest.len && p->rest.ptr[len] != '\n' && p->rest.ptr[len] != '\r')
		len++;
	end = len;
	if (end < p->rest.len)
		end++;
	if (end < p->rest.len && p->rest.ptr[len] == '\r' && p->rest.ptr[end] == '\n')
		end++;
	line = slice_make(p->rest.ptr, len);
	p->rest = slice_make(p->rest.ptr + end, p->rest.len - end);
	p->lines++;
	while (line.len > 0 && is_blank(line.ptr[0]))
		line = slice_make(line.ptr + 1, line.len - 1);
	return line;
}

static bool goes_on(struct slice line)
{
	size_t backslashes = 0;

	while (backslashes < line.len && line.ptr[line.len - 1 - backslashes] == '\\')
		backslashes++;
	return backslashes % 2 == 1;
}

/* All of its lines, one behind the other, in the memory; ptr NULL: the end. */
static struct slice take_property(struct properties *p)
{
	size_t len = 0;
	bool more = true;

	while (more && p->rest.len > 0) {
		struct slice line = take_line(p);

		if (len == 0 && (line.len == 0 || line.ptr[0] == '#' || line.ptr[0] == '!'))
			continue;
		if (len == 0)
			p->line = p->lines;
		more = goes_on(line);
		line.len -= more;
		if (line.len)
			memcpy(p->memory + len, line.ptr, line.len);
		len += line.len;
	}
	return slice_make(len ? p->memory : NULL, len);
}

/* How long the name is: up to a separator that is not escaped. */
static size_t name_len(struct slice property)
{
	size_t at = 0;

	while (at < property.len && property.ptr[at] != '=' && property.ptr[at] != ':' &&
	       !is_blank(property.ptr[at]))
		at += property.ptr[at] == '\\' ? 2 : 1;
	return at < property.len ? at : property.len;
}

static size_t skip_separator(struct slice property, size_t at)
{
	bool separator = false;

	for (; at < property.len; at++) {
		char c = property.ptr[at];

		if (!is_blank(c) && (separator || (c != '=' && c != ':')))
			break;
		separator |= !is_blank(c);
	}
	return at;
}

/* ---- escapes, in place: what they stand for is never longer ---- */

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* As UTF-8. */
static size_t put_character(char *to, unsigned character)
{
	size_t len = 0;

	if (character >= 0x800)
		to[len++] = (char)(0xe0 | character >> 12);
	if (character >= 0x800)
		to[len++] = (char)(0x80 | (character >> 6 & 0x3f));
	else if (character >= 0x80)
		to[len++] = (char)(0xc0 | character >> 6);
	to[len++] = (char)(character >= 0x80 ? 0x80 | (character & 0x3f) : character);
	return len;
}

/* Four digits at `at`; -1: there are none. */
static int take_hex(struct slice text, size_t at)
{
	int value = 0;

	if (text.len < at + 4)
		return -1;
	for (size_t i = at; i < at + 4; i++) {
		int digit = hex_digit(text.ptr[i]);

		if (digit < 0)
			return -1;
		value = value * 16 + digit;
	}
	return value;
}

static char escaped(char c)
{
	switch (c) {
	case 't':
		return '\t';
	case 'n':
		return '\n';
	case 'r':
		return '\r';
	case 'f':
		return '\f';
	default:
		return c;
	}
}

static int unescape(struct slice *text)
{
	char *to = (char *)text->ptr;
	size_t len = 0;

	for (size_t at = 0; at < text->len; at++) {
		int character;

		if (text->ptr[at] != '\\' || at + 1 == text->len) {
			to[len++] = text->ptr[at];
			continue;
		}
		at++;
		if (text->ptr[at] != 'u') {
			to[len++] = escaped(text->ptr[at]);
			continue;
		}
		character = take_hex(*text, at + 1);
		if (character < 0)
			return -EINVAL;
		len += put_character(to + len, (unsigned)character);
		at += 4;
	}
	text->len = len;
	return 0;
}

int properties_next(struct properties *p)
{
	struct slice property = take_property(p);
	size_t len, at;

	if (!property.ptr)
		return 0;
	len = name_len(property);
	at = skip_separator(property, len);
	p->name = slice_make(property.ptr, len);
	p->value = slice_make(property.ptr + at, property.len - at);
	return unescape(&p->name) < 0 || unescape(&p->value) < 0 ? -EINVAL : 1;
}
