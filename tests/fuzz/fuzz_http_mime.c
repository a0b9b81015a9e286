/*
 * mime.types files: every type that comes out can stand in a header. The file's own words are
 * looked up as extensions.
 */
#include "fuzz/fuzz.h"
#include "http/core/chars.h"
#include "http/core/mime.h"

static void check_type(const struct http_mime *mime, struct slice path)
{
	struct slice type = http_mime_type(mime, path);

	HOLDS(type.len >= 3);
	HOLDS(http_run(type.ptr, type.ptr + type.len, HTTP_VALUE) == type.ptr + type.len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = heap_copy(data, size);
	struct http_mime *mime = NULL;
	struct err err = {""};
	const struct http_mime_options options = {
	    .text = slice_make(text, size),
	    .name = "fuzz",
	    .charset = size % 2 ? "iso-8859-1" : NULL,
	};
	int r = http_mime_new(&options, &mime, &err);

	HOLDS((r == 0) == (mime != NULL) && (r == 0) == (err.text[0] == '\0'));
	for (size_t i = 0; mime && i + 1 < size && i < 32; i++) {
		char path[66] = "x.";
		size_t len = min_size(size - i, 64);

		memcpy(path + 2, text + i, len);
		for (size_t n = 1; n < len && n < 12; n++)
			check_type(mime, slice_make(path, 2 + n));
	}
	http_mime_free(mime);
	free(text);
	return 0;
}
