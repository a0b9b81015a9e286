/*
 * Paths: what comes out is relative, has no dot segments, empty segments or NUL, fits, and comes
 * out again from its own encoding.
 */
#include <errno.h>

#include "fuzz/fuzz.h"
#include "http/core/path.h"

static void check_segments(struct slice text)
{
	const char *at = text.ptr, *end = text.ptr + text.len;

	while (at <= end) {
		const char *slash = memchr(at, '/', (size_t)(end - at));
		struct slice s = slice_make(at, (size_t)((slash ? slash : end) - at));

		HOLDS(s.len > 0);
		HOLDS(!slice_eq(s, SLICE_LITERAL(".")) && !slice_eq(s, SLICE_LITERAL("..")));
		at = slash ? slash + 1 : end + 1;
	}
}

static void check_again(const struct http_path *p)
{
	struct http_path again;
	size_t size = p->text.len * 3 + 2;
	char *encoded = malloc(size), *decoded = malloc(size);

	CHECK(encoded && decoded);
	encoded[0] = '/';
	size_t len = http_path_encode(p->text, true, encoded + 1, size - 1);
	HOLDS(len < size);
	HOLDS(http_path_decode(slice_make(encoded, len + 1), decoded, size, &again) == 0);
	HOLDS(slice_eq(again.text, p->text) && !again.wants_dir);
	free(encoded);
	free(decoded);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *path = heap_copy(data, size), *buf = malloc(size + 1), *small = malloc(size / 2 + 1);
	struct http_path p, cut;

	CHECK(buf && small);
	int r = http_path_decode(slice_make(path, size), buf, size + 1, &p);
	HOLDS(r == 0 || r == -EBADMSG);
	int r_small = http_path_decode(slice_make(path, size), small, size / 2, &cut);
	HOLDS(r_small == r || r_small == -ENAMETOOLONG);
	if (r == 0) {
		HOLDS(p.text.len > 0 && p.text.len < size + 1 && p.text.ptr[p.text.len] == '\0');
		HOLDS(!memchr(p.text.ptr, '\0', p.text.len));
		if (p.is_root)
			HOLDS(slice_eq(p.text, SLICE_LITERAL(".")) && p.wants_dir);
		else {
			check_segments(p.text);
			check_again(&p);
		}
	}
	free(path);
	free(buf);
	free(small);
	return 0;
}
