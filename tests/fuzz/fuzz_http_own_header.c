/*
 * Header lines of the operator: what is let through is one line for the parser of requests too, with
 * the same name and value.
 */
#include "fuzz/fuzz.h"
#include "http/core/own_header.h"
#include "http/core/request.h"

static void check_line(struct slice name, struct slice value)
{
	static const char start[] = "GET / HTTP/1.1\r\nHost: a\r\n";
	size_t size = sizeof(start) - 1 + name.len + 2 + value.len + 4;
	struct http_scan scan = {0};
	struct http_request request;
	char *head = malloc(size), *at = head;

	HOLDS(head);
	at = mempcpy(at, start, sizeof(start) - 1);
	at = mempcpy(at, name.ptr, name.len);
	at = mempcpy(at, ": ", 2);
	at = mempcpy(at, value.ptr, value.len);
	memcpy(at, "\r\n\r\n", 4);
	/* Host, Range and the like are refused by requests for reasons of their own. */
	if (http_parse_request(&scan, head, size, &request) == HTTP_PARSE_OK) {
		HOLDS(request.length == size && request.header_count == 2);
		HOLDS(slice_eq(request.headers[1].name, name));
		HOLDS(slice_eq(request.headers[1].value, value));
	} else {
		HOLDS(size > HTTP_LINE_MAX || request.headers[1].field != HTTP_FIELD_OTHER);
	}
	free(head);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *line = heap_copy(data, size);
	struct slice name, value;

	if (!http_own_header_parse(slice_make(line, size), &name, &value))
		check_line(name, value);
	free(line);
	return 0;
}
