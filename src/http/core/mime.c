/*
 * http_mime_new() sizes one piece of memory for all strings (mime_allocate()), stores the charset,
 * the default type, the built-in texts where they have another charset than they are compiled with,
 * and then what the file says, so that the file wins. http_mime_type() asks that table by the
 * extension, and then the built-in one; a name without a dot may be a text by its whole name.
 *
 * Only the file can be wrong: it is the operator's, and is refused with its line.
 */
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
	bool text; /* the type ends in CHARSET */
} builtins[] = {
#define TYPE(extension, type) {extension, {type, sizeof(type) - 1}, false},
#define TEXT(extension, type) {extension, {type CHARSET, sizeof(type CHARSET) - 1}, true},
#include "http/core/mime_table.h"
#undef TYPE
#undef TEXT
};

/* Empty: it is not there. */
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
	return slice_make(NULL, 0);
}

/* Files without an extension that are texts wherever they are found. In lower case. */
static bool mime_is_text_name(struct slice lower)
{
	static const char *const names[] = {
	    "authors",    "changelog",     "changes",      "copying",      "credits",
	    "dockerfile", "codeowners",    "install",      "licence",      "license",
	    "makefile",   "containerfile", "contributing", "contributors", "news",
	    "notice",     "patents",       "procfile",     "readme",       "todo",
	    "version",    "md5sums",       "sha1sums",     "sha256sums",   "sha512sums",
	    "gemfile",    "rakefile",      "jenkinsfile",  "vagrantfile",
	};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (slice_eq(lower, slice_of(names[i])))
			return true;
	return false;
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
	struct slice charset;      /* "; charset=utf-8", or empty */
	struct slice other, plain; /* the types of what is not known, and of mime_is_text_name() */
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
	if (mime->charset.len > 0 && len > 5 &&
	    slice_eq_nocase(slice_make(out, 5), SLICE_LITERAL("text/")) && !memchr(out, ';', len) &&
	    len + mime->charset.len <= HTTP_MIME_TYPE_MAX) {
		memcpy(out + len, mime->charset.ptr, mime->charset.len);
		len += mime->charset.len;
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

/* Room for every word of the text, each of which is stored at most once, types with a charset more;
 * for the built-in texts, the default type and two charsets. */
static int mime_allocate(struct http_mime *mime, const struct http_mime_options *options)
{
	size_t words = count_words(options->text), capacity = 16, i;
	size_t strings = options->text.len + words * (sizeof("; charset=") + HTTP_CHARSET_MAX);

	while (capacity < 2 * (words + ARRAY_SIZE(builtins) + 1))
		capacity *= 2;
	for (i = 0; i < ARRAY_SIZE(builtins); i++)
		strings += builtins[i].type.len + EXTENSION_MAX + HTTP_CHARSET_MAX;
	strings += 4 * (HTTP_MIME_TYPE_MAX + sizeof("; charset=") + HTTP_CHARSET_MAX);
	mime->mask = capacity - 1;
	mime->entries = calloc(capacity, sizeof(mime->entries[0]));
	mime->text = malloc(strings);
	return mime->entries && mime->text ? 0 : -ENOMEM;
}

static int mime_set_charset(struct http_mime *mime, const char *charset, struct err *err)
{
	struct slice name = slice_of(charset ? charset : "utf-8");
	struct slice begin = SLICE_LITERAL("; charset=");
	char *out = mime->text + mime->used;

	if (slice_eq(name, SLICE_LITERAL("off")))
		return 0;
	if (name.len == 0 || name.len > HTTP_CHARSET_MAX ||
	    http_run(name.ptr, name.ptr + name.len, HTTP_TOKEN) != name.ptr + name.len)
		return err_set(err, -EINVAL,
			       "--charset '%.60s': not the name of a charset, nor off", charset);
	memcpy(out, begin.ptr, begin.len);
	memcpy(out + begin.len, name.ptr, name.len);
	mime->charset = slice_make(out, begin.len + name.len);
	mime->used += mime->charset.len;
	return 0;
}

static int mime_set_defaults(struct http_mime *mime, const struct http_mime_options *options,
			     struct err *err)
{
	struct slice other = HTTP_MIME_DEFAULT;

	if (options->default_type)
		other = slice_of(options->default_type);
	if (!is_type(other))
		return err_set(err, -EINVAL,
			       "--default-type '%.60s': it is a type such as text/plain",
			       options->default_type);
	mime->other = store_type(mime, other);
	mime->plain = store_type(mime, SLICE_LITERAL("text/plain"));
	return 0;
}

/* The built-in texts with another charset than they have: as if they stood in the file's front. */
static void mime_store_builtin_texts(struct http_mime *mime)
{
	if (slice_eq(mime->charset, SLICE_LITERAL(CHARSET)))
		return;
	for (size_t i = 0; i < ARRAY_SIZE(builtins); i++) {
		struct slice type = builtins[i].type;

		if (!builtins[i].text)
			continue;
		type.len -= sizeof(CHARSET) - 1;
		store_extension(mime, slice_of(builtins[i].extension), store_type(mime, type));
	}
}

static int mime_fill(struct http_mime *mime, const struct http_mime_options *options,
		     struct err *err)
{
	struct reader reader = {.rest = options->text, .line = 1};
	int r = mime_set_charset(mime, options->charset, err);

	if (r == 0)
		r = mime_set_defaults(mime, options, err);
	if (r < 0)
		return r;
	mime_store_builtin_texts(mime);
	if (read_all(&reader, mime))
		return 0;
	return err_set(err, -EINVAL,
		       "%s:%u: expected 'type/subtype extension...', as in mime.types, or nginx's "
		       "'types { type/subtype extension...; }'",
		       options->name, reader.line);
}

int http_mime_new(const struct http_mime_options *options, struct http_mime **ret, struct err *err)
{
	struct http_mime *mime = calloc(1, sizeof(*mime));
	int r;

	if (!mime || mime_allocate(mime, options) < 0) {
		http_mime_free(mime);
		return err_set(err, -ENOMEM, "content types: not enough memory");
	}
	r = mime_fill(mime, options, err);
	if (r < 0) {
		http_mime_free(mime);
		return r;
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

static struct slice mime_name_of(struct slice path)
{
	const char *slash = path.len ? memrchr(path.ptr, '/', path.len) : NULL;
	size_t from = slash ? (size_t)(slash - path.ptr) + 1 : 0;

	return slice_make(path.ptr + from, path.len - from);
}

/* After the last dot; a name that begins with its only dot has none. Empty: none. */
static struct slice mime_extension_of(struct slice name)
{
	size_t at = name.len;

	while (at > 0 && name.ptr[at - 1] != '.')
		at--;
	return at < 2 ? slice_make(NULL, 0) : slice_make(name.ptr + at, name.len - at);
}

static struct slice mime_extension_type(const struct http_mime *mime, struct slice lower)
{
	if (mime) {
		const struct entry *entry = find(mime, lower);

		if (entry->extension.ptr)
			return entry->type;
	}
	return builtin_type(lower);
}

struct slice http_mime_type(const struct http_mime *mime, struct slice path)
{
	struct slice name = mime_name_of(path), extension = mime_extension_of(name);
	bool whole = !memchr(name.ptr, '.', name.len);
	struct slice text = whole ? name : extension, type = {NULL, 0};
	char lower[EXTENSION_MAX];

	if (text.len > 0 && text.len <= sizeof(lower)) {
		to_lower(lower, text);
		text.ptr = lower;
		if (!whole)
			type = mime_extension_type(mime, text);
		else if (mime_is_text_name(text))
			type = mime ? mime->plain : SLICE_LITERAL("text/plain" CHARSET);
	}
	if (type.len)
		return type;
	return mime ? mime->other : HTTP_MIME_DEFAULT;
}

bool http_mime_is_gzipped(struct slice path)
{
	return slice_eq_nocase(mime_extension_of(mime_name_of(path)), SLICE_LITERAL("svgz"));
}
