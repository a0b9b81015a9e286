/*
 * Accept-Encoding and Accept: the choice is always something available (or identity). The input is
 * the header lines; its last byte says what is available.
 */
#include "fuzz/fuzz.h"
#include "http/core/accept.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char start[] = "GET / HTTP/1.1\r\nHost: a\r\n";
	static struct http_request request;
	struct http_scan scan = {0};
	unsigned available = (unsigned)take_number(data, &size, 1) % (1u << HTTP_CODING_COUNT);
	size_t len = sizeof(start) - 1 + size + 4;
	char *head = malloc(len);

	CHECK(head);
	memcpy(head, start, sizeof(start) - 1);
	if (size)
		memcpy(head + sizeof(start) - 1, data, size);
	memcpy(head + len - 4, "\r\n\r\n", 4);
	if (http_parse_request(&scan, head, len, &request) == HTTP_PARSE_OK) {
		enum http_coding coding = http_accept_coding(&request, available);

		HOLDS(coding == HTTP_IDENTITY || (available & (1u << coding)));
		HOLDS(!http_accepts_json(&request) ||
		      http_request_has(&request, HTTP_FIELD_ACCEPT));
	}
	free(head);
	return 0;
}
