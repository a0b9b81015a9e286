#include "http/core/etag.h"

#include "http/core/response.h"

size_t http_etag_format(uint64_t inode, uint64_t size, int64_t mtime_ns, const char *suffix,
			char out[HTTP_ETAG_MAX])
{
	struct http_writer w;

	CHECK(strlen(suffix) <= 8);
	http_writer_init(&w, out, HTTP_ETAG_MAX);
	http_put_literal(&w, "\"");
	http_put_hex(&w, inode);
	http_put_literal(&w, "-");
	http_put_hex(&w, size);
	http_put_literal(&w, "-");
	http_put_hex(&w, (uint64_t)mtime_ns);
	if (*suffix) {
		http_put_literal(&w, "-");
		http_put(&w, suffix, strlen(suffix));
	}
	http_put_literal(&w, "\"");
	CHECK(!w.cut);
	return http_written(&w);
}
