#include "http/core/path.h"

#include <errno.h>

#include "http/core/chars.h"

/* out[0..at) is "seg/seg/.../" and then the bytes of the segment that begins at `segment`. */
struct builder {
	char *out;
	size_t at, segment;
};

static void drop_last_segment(struct builder *b)
{
	size_t at = b->segment;

	if (at > 0)
		at--; /* its slash */
	while (at > 0 && b->out[at - 1] != '/')
		at--;
	b->at = b->segment = at;
}

/* The segment is complete. Keeps it, or not; says whether it stands for a directory by itself. */
static bool end_segment(struct builder *b)
{
	struct slice s = slice_make(b->out + b->segment, b->at - b->segment);
	bool is_dot = slice_eq(s, SLICE_LITERAL("."));
	bool is_dotdot = slice_eq(s, SLICE_LITERAL(".."));

	if (is_dot)
		b->at = b->segment;
	if (is_dotdot)
		drop_last_segment(b);
	return is_dot || is_dotdot || s.len == 0;
}

/* The byte at path[*at], escapes decoded; *at moves past it. */
static int next_byte(struct slice path, size_t *at, char *ret)
{
	char c = path.ptr[(*at)++];

	if (c == '%') {
		if (path.len - *at < 2)
			return -EBADMSG;
		int high = http_hex(path.ptr[*at]), low = http_hex(path.ptr[*at + 1]);
		if (high < 0 || low < 0)
			return -EBADMSG;
		c = (char)(high << 4 | low);
		*at += 2;
	}
	if (c == '\0')
		return -EBADMSG;
	*ret = c;
	return 0;
}

static int add_byte(struct builder *b, char c, size_t size)
{
	if (c == '/' && end_segment(b))
		return 0;
	if (b->at + 1 >= size)
		return -ENAMETOOLONG;
	b->out[b->at++] = c;
	if (c == '/')
		b->segment = b->at;
	return 0;
}

/* Copies the run of bytes at path[*at] that stand for themselves: most of every path. */
static int add_plain(struct builder *b, struct slice path, size_t *at, size_t size)
{
	const char *from = path.ptr + *at;
	size_t len = (size_t)(http_run(from, path.ptr + path.len, HTTP_UNRESERVED) - from);

	if (len >= size - b->at)
		return -ENAMETOOLONG;
	memcpy(b->out + b->at, from, len);
	b->at += len;
	*at += len;
	return 0;
}

int http_path_decode(struct slice path, char *buf, size_t size, struct http_path *ret)
{
	struct builder b = {.out = buf};
	int r;
	char c;

	if (path.len == 0 || path.ptr[0] != '/')
		return -EBADMSG;
	if (size < 2)
		return -ENAMETOOLONG;
	for (size_t at = 1; at < path.len;) {
		if ((r = add_plain(&b, path, &at, size)) < 0)
			return r;
		if (at == path.len)
			break;
		if ((r = next_byte(path, &at, &c)) < 0 || (r = add_byte(&b, c, size)) < 0)
			return r;
	}
	bool wants_dir = end_segment(&b);

	if (b.at > 0 && buf[b.at - 1] == '/')
		b.at--;
	bool is_root = b.at == 0;
	if (is_root)
		buf[b.at++] = '.';
	buf[b.at] = '\0';
	*ret = (struct http_path){slice_make(buf, b.at), is_root, wants_dir};
	return 0;
}

bool http_path_is_hidden(struct slice text)
{
	struct slice known = SLICE_LITERAL(".well-known");
	const char *at = text.ptr, *end = text.ptr + text.len;

	if (text.len >= known.len && memcmp(at, known.ptr, known.len) == 0 &&
	    (text.len == known.len || at[known.len] == '/'))
		at += known.len;
	else if (text.len > 0 && *at == '.')
		return true;
	while ((at = memchr(at, '/', (size_t)(end - at))))
		if (++at < end && *at == '.')
			return true;
	return false;
}

size_t http_path_encode(struct slice text, bool keep_slash, char *buf, size_t size)
{
	static const char hex[] = "0123456789ABCDEF";
	size_t need = 0, at = 0;

	for (size_t i = 0; i < text.len; i++) {
		unsigned char c = (unsigned char)text.ptr[i];
		bool plain = http_is((char)c, HTTP_UNRESERVED) || (keep_slash && c == '/');
		char escape[3] = {'%', hex[c >> 4], hex[c & 15]};
		size_t len = plain ? 1 : 3;

		need += len;
		if (need > size)
			continue;
		memcpy(buf + at, plain ? (const char *)&c : escape, len);
		at += len;
	}
	return need;
}
