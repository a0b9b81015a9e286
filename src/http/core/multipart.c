#include "http/core/multipart.h"

void http_multipart_boundary(const uint64_t chance[2], char out[HTTP_BOUNDARY_LEN])
{
	static const char digits[] = "0123456789abcdef";

	_Static_assert(HTTP_BOUNDARY_LEN == 32, "four bits a digit");
	for (unsigned i = 0; i < HTTP_BOUNDARY_LEN; i++)
		out[i] = digits[chance[i / 16] >> (i % 16 * 4) & 15];
}

void http_put_multipart_type(struct http_writer *w, const struct http_multipart *multipart)
{
	http_put_literal(w, "Content-Type: multipart/byteranges; boundary=");
	http_put(w, multipart->boundary, HTTP_BOUNDARY_LEN);
	http_put_literal(w, "\r\n");
}

void http_put_multipart_text(struct http_writer *w, const struct http_multipart *multipart,
			     unsigned i)
{
	char range[HTTP_CONTENT_RANGE_MAX];
	size_t len;

	http_put_literal(w, "\r\n--");
	http_put(w, multipart->boundary, HTTP_BOUNDARY_LEN);
	if (i == multipart->ranges.count) {
		http_put_literal(w, "--\r\n");
		return;
	}
	len = http_content_range(&multipart->ranges.range[i], multipart->size, range);
	http_put_literal(w, "\r\n");
	http_put_header(w, SLICE_LITERAL("Content-Type"), multipart->type);
	http_put_header(w, SLICE_LITERAL("Content-Range"), slice_make(range, len));
	http_put_literal(w, "\r\n");
}

uint64_t http_multipart_length(const struct http_multipart *multipart)
{
	const struct http_ranges *ranges = &multipart->ranges;
	char text[HTTP_PART_TEXT_MAX];
	struct http_writer w;
	uint64_t length = 0;

	for (unsigned i = 0; i <= ranges->count; i++) {
		http_writer_init(&w, text, sizeof(text));
		http_put_multipart_text(&w, multipart, i);
		CHECK(!w.cut);
		length += http_written(&w);
		if (i < ranges->count)
			length += ranges->range[i].last - ranges->range[i].first + 1;
	}
	return length;
}
