/*
 * Lines of the access log: whatever a peer sends, one line comes out, its quotes are those of the
 * format, and its length has a limit. The input is the request line, the referer and the user
 * agent; where they end is taken from the input's end.
 */
#include "fuzz/fuzz.h"
#include "http/core/log_line.h"

/* Quotes that are not escaped, over a line without any other line end. */
static unsigned count_quotes(const char *line, size_t len)
{
	unsigned quotes = 0;

	HOLDS(len > 0 && line[len - 1] == '\n');
	for (size_t i = 0; i + 1 < len; i++) {
		unsigned char c = (unsigned char)line[i];

		HOLDS(c >= 0x20);
		if (c == '\\')
			i++; /* what follows belongs to it */
		else
			quotes += c == '"';
	}
	return quotes;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char out[HTTP_LOG_LINE_MAX];
	size_t first = take_number(data, &size, 2), second = take_number(data, &size, 2);
	char *text = heap_copy(data, size);
	struct http_log_time time = {0};
	struct http_log_entry entry = {.client = SLICE_LITERAL("::1"),
				       .status = 200,
				       .technique = "copy",
				       .verdict = "copied"};
	struct buf buf = buf_over(out, sizeof(out));
	unsigned quotes;

	first %= size + 1;
	second = first + second % (size - first + 1);
	entry.line = slice_make(text, first);
	entry.referer = slice_make(text + first, second - first);
	entry.user_agent = slice_make(text + second, size - second);
	http_log_time_set(&time, HTTP_LOG_COMBINED, 0);
	http_log_line(&buf, HTTP_LOG_COMBINED, &time, &entry);
	HOLDS(!buf.overflow && count_quotes(buf.ptr, buf.len) == 6);
	buf = buf_over(out, sizeof(out));
	http_log_time_set(&time, HTTP_LOG_JSON, 1);
	http_log_line(&buf, HTTP_LOG_JSON, &time, &entry);
	/* Twelve names, of which one may stand for three, and nine texts or seven. */
	quotes = count_quotes(buf.ptr, buf.len);
	HOLDS(!buf.overflow && (quotes == 42 || quotes == 34));
	free(text);
	return 0;
}
