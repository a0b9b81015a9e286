#include "http/core/mime.h"

#include <errno.h>
#include <stdlib.h>

#include "http/core/chars.h"

#define EXTENSION_MAX 32
#define CHARSET       "; charset=utf-8"

/* ---- the built-in table: by extension, in byte order ---- */

static const struct builtin {
	const char *extension;
	struct slice type;
} builtins[] = {
#define TYPE(extension, type) {extension, {type, sizeof(type) - 1}},
#define TEXT(extension, type) TYPE(extension, type CHARSET)
#include "http/core/mime_table.h"
#undef TYPE
#undef TEXT
};

static struct slice builtin_type(struct slice lower)
{
	size_t low = 0, high = ARRAY_SIZE(builtins);

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		struct slice key = slice_of(builtins[middle].extension);
		int order = memcmp(lower.ptr, key.ptr, min_size(lower.len, key.len));

		if (order == 0 && lower.len == key.len)
			return builtins[middle].type;
		if (order < 0 || (order == 0 && lower.len < key.len))
			high = middle;
		else
			low = middle + 1;
	}
	return HTTP_MIME_DEFAULT;
}

/* ---- a table from a file ---- */

struct entry {
	struct slice extension; /* lower case; ptr NULL: free */
	struct slice type;
};

struct http_mime {
	struct entry *entries; /* open addressing, at most half full */
	size_t mask, count;
	char *text; /* all strings */
	size_t used;
};

static uint32_t hash_of(struct slice s)
{
	uint32_t hash = 2166136261u; /* FNV-1a */

	for (size_t i = 0; i < s.len; i++)
		hash = (hash ^ (unsigned char)s.ptr[i]) * 16777619u;
	return hash;
}

/* The entry of `extension`, or the free one where it belongs. */
static struct entry *find(const struct http_mime *mime, struct slice extension)
{
	size_t at = hash_of(extension) & mime->mask;

	while (mime->entries[at].extension.ptr && !slice_eq(mime->entries[at].extension, extension))
		at = (at + 1) & mime->mask;
	return &mime->entries[at];
}

static void to_lower(char *out, struct slice text)
{
	for (size_t i = 0; i < text.len; i++) {
		char c = text.ptr[i];
		out[i] = c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
	}
}

/* What is read: words and the marks between them. */
enum word_kind { WORD, WORD_LINE_END, WORD_SEMICOLON, WORD_OPEN, WORD_CLOSE, WORD_END, WORD_BAD };

struct reader {
	struct slice rest;
	unsigned line;
	bool braces; /* nginx's syntax: ; { } and quotes mean something, line ends don't */
	struct slice word;
};

#define BLANKS " \t\r"
#define MARKS  ";{}"
#define QUOTES "\"'"

static bool is_one_of(char c, const char *set)
{
	return c != '\0' && strchr(set, c) != NULL;
}

/* Ends a word. */
static bool is_end(const struct reader *r, char c)
{
	return is_one_of(c, BLANKS "\n#") || (r->braces && is_one_of(c, MARKS));
}

static enum word_kind take(struct reader *r, enum word_kind kind, size_t word_len, size_t eaten)
{
	r->word = slice_make(r->rest.ptr, word_len);
	r->rest.ptr += eaten;
	r->rest.len -= eaten;
	return kind;
}

static enum word_kind read_quoted(struct reader *r)
{
	char quote = *r->rest.ptr;

	r->rest.ptr++;
	r->rest.len--;
	const char *end = memchr(r->rest.ptr, quote, r->rest.len);
	if (!end)
		return WORD_BAD;
	size_t len = (size_t)(end - r->rest.ptr);
	return take(r, WORD, len, len + 1);
}

/* Past blanks and a comment. */
static void skip_blanks(struct reader *r)
{
	while (r->rest.len && is_one_of(*r->rest.ptr, BLANKS))
		take(r, WORD, 0, 1);
	if (r->rest.len && *r->rest.ptr == '#') {
		const char *end = memchr(r->rest.ptr, '\n', r->rest.len);
		take(r, WORD, 0, end ? (size_t)(end - r->rest.ptr) : r->rest.len);
	}
}

static enum word_kind read_word(struct reader *r)
{
	size_t len = 0;

	skip_blanks(r);
	if (r->rest.len == 0)
		return WORD_END;
	char c = *r->rest.ptr;
	if (c == '\n') {
		r->line++;
		return take(r, WORD_LINE_END, 0, 1);
	}
	if (r->braces && is_one_of(c, QUOTES))
		return read_quoted(r);
	if (is_end(r, c))
		return take(r, c == ';' ? WORD_SEMICOLON : c == '{' ? WORD_OPEN : WORD_CLOSE, 0, 1);
	while (len < r->rest.len && !is_end(r, r->rest.ptr[len]))
		len++;
	return take(r, WORD, len, len);
}

static enum word_kind read_past_lines(struct reader *r)
{
	enum word_kind kind;

	do
		kind = read_word(r);
	while (kind == WORD_LINE_END);
	return kind;
}

/* token "/" token, and after it anything that can stand in a header. */
static bool is_type(struct slice text)
{
	const char *end = text.ptr + text.len;
	const char *slash = http_run(text.ptr, end, HTTP_TOKEN);

	if (slash == text.ptr || slash == end || *slash != '/' || text.len > HTTP_MIME_TYPE_MAX)
		return false;
	const char *rest = http_run(slash + 1, end, HTTP_TOKEN);
	return rest > slash + 1 && (rest == end || *rest == ';') &&
	       http_run(rest, end, HTTP_VALUE) == end;
}

/* Copies the type, with a charset where it wants one. */
static struct slice store_type(struct http_mime *mime, struct slice type)
{
	char *out = mime->text + mime->used;
	size_t len = type.len;

	memcpy(out, type.ptr, len);
	if (len > 5 && slice_eq_nocase(slice_make(out, 5), SLICE_LITERAL("text/")) &&
	    !memchr(out, ';', len)) {
		memcpy(out + len, CHARSET, sizeof(CHARSET) - 1);
		len += sizeof(CHARSET) - 1;
	}
	mime->used += len;
	return slice_make(out, len);
}

static void store_extension(struct http_mime *mime, struct slice extension, struct slice type)
{
	char *out = mime->text + mime->used;

	if (extension.len > EXTENSION_MAX) /* no look-up will ask for it */
		return;
	to_lower(out, extension);
	struct entry *entry = find(mime, slice_make(out, extension.len));
	if (!entry->extension.ptr) {
		entry->extension = slice_make(out, extension.len);
		mime->used += extension.len;
		mime->count++;
		CHECK(mime->count <= mime->mask / 2 + 1); /* else find() may not end */
	}
	entry->type = type;
}

/* "type ext ext": r->word is the type; ends after the mark that ends it. */
static enum word_kind read_entry(struct reader *r, struct http_mime *mime)
{
	struct slice type;
	enum word_kind kind;

	if (!is_type(r->word))
		return WORD_BAD;
	type = store_type(mime, r->word);
	for (;;) {
		kind = r->braces ? read_past_lines(r) : read_word(r);
		if (kind != WORD)
			return kind;
		store_extension(mime, r->word, type);
	}
}

static bool read_debian(struct reader *r, struct http_mime *mime)
{
	enum word_kind kind;

	while ((kind = read_past_lines(r)) != WORD_END)
		if (kind == WORD_BAD || read_entry(r, mime) == WORD_BAD)
			return false;
	return true;
}

/* After "types": "{ type ext ext; ... }" and nothing more, or another block. */
static bool read_nginx(struct reader *r, struct http_mime *mime)
{
	enum word_kind kind;

	do {
		if (!slice_eq(r->word, SLICE_LITERAL("types")) || read_past_lines(r) != WORD_OPEN)
			return false;
		while ((kind = read_past_lines(r)) == WORD)
			if (read_entry(r, mime) != WORD_SEMICOLON)
				return false;
		if (kind != WORD_CLOSE)
			return false;
		kind = read_past_lines(r);
	} while (kind == WORD);
	return kind == WORD_END;
}

/* Looks ahead: is the first word "types"? (No content type is: it has no slash.) */
static bool is_nginx(struct slice text)
{
	struct reader r = {.rest = text, .braces = true};

	return read_past_lines(&r) == WORD && slice_eq(r.word, SLICE_LITERAL("types"));
}

static bool read_all(struct reader *r, struct http_mime *mime)
{
	if (!is_nginx(r->rest))
		return read_debian(r, mime);
	r->braces = true;
	return read_past_lines(r) == WORD && read_nginx(r, mime);
}

/* At least as many as the reader finds in either syntax: what is no blank, after a blank, a mark or
 * a quote. */
static size_t count_words(struct slice text)
{
	size_t words = 0;
	char before = '\n';

	for (size_t i = 0; i < text.len; i++) {
		char c = text.ptr[i];

		words += !is_one_of(c, BLANKS) && is_one_of(before, BLANKS "\n" MARKS QUOTES);
		before = c;
	}
	return words;
}

/* Room for every word of the text: each is stored at most once, types with a charset more. */
static int allocate(struct http_mime *mime, struct slice text)
{
	size_t words = count_words(text), capacity = 16;

	while (capacity < 2 * (words + 1))
		capacity *= 2;
	mime->mask = capacity - 1;
	mime->entries = calloc(capacity, sizeof(mime->entries[0]));
	mime->text = malloc(text.len + (words + 1) * sizeof(CHARSET));
	return mime->entries && mime->text ? 0 : -ENOMEM;
}

int http_mime_new(struct slice text, const char *name, struct http_mime **ret, struct err *err)
{
	struct http_mime *mime = calloc(1, sizeof(*mime));
	struct reader reader = {.rest = text, .line = 1};

	if (!mime || allocate(mime, text) < 0) {
		http_mime_free(mime);
		return err_set(err, -ENOMEM, "%s: not enough memory", name);
	}
	if (!read_all(&reader, mime)) {
		http_mime_free(mime);
		return err_set(err, -EINVAL,
			       "%s:%u: expected 'type/subtype extension...', as in mime.types, or "
			       "nginx's 'types { type/subtype extension...; }'",
			       name, reader.line);
	}
	*ret = mime;
	return 0;
}

void http_mime_free(struct http_mime *mime)
{
	if (!mime)
		return;
	free(mime->entries);
	free(mime->text);
	free(mime);
}

/* ---- look-up ---- */

/* After the last dot of the last segment; a name that begins with its only dot has none. */
static struct slice extension_of(struct slice path)
{
	size_t at = path.len;

	while (at > 0 && path.ptr[at - 1] != '.' && path.ptr[at - 1] != '/')
		at--;
	if (at < 2 || path.ptr[at - 1] == '/' || path.ptr[at - 2] == '/')
		return slice_make(NULL, 0);
	return slice_make(path.ptr + at, path.len - at);
}

struct slice http_mime_type(const struct http_mime *mime, struct slice path)
{
	struct slice extension = extension_of(path);
	char lower[EXTENSION_MAX];

	if (extension.len == 0 || extension.len > sizeof(lower))
		return HTTP_MIME_DEFAULT;
	to_lower(lower, extension);
	extension = slice_make(lower, extension.len);
	if (mime) {
		const struct entry *entry = find(mime, extension);

		if (entry->extension.ptr)
			return entry->type;
	}
	return builtin_type(extension);
}
