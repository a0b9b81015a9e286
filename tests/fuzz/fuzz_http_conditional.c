/*
 * Conditions and dates. A date that is read is written and read again as the same; conditions are
 * decided for whatever a request that parses has in its fields.
 *
 * The input is the header lines.
 */
#include "fuzz/fuzz.h"
#include "http/core/conditional.h"
#include "http/core/date.h"

#define NOW INT64_C(1795380000)

static void check_date(const uint8_t *data, size_t size)
{
	char *text = heap_copy(data, size), out[HTTP_DATE_LEN];
	int64_t t, again;

	if (http_date_parse(slice_make(text, size), NOW, &t) == 0) {
		http_date_format(t, out);
		HOLDS(http_date_parse(slice_make(out, sizeof(out)), NOW, &again) == 0);
		/* a leap second at the end of the last year is beyond what can be written */
		HOLDS(again == t || t == INT64_C(253402300800));
	}
	free(text);
}

static void check_conditions(const struct http_request *request)
{
	const struct http_validators validators[] = {
	    {SLICE_LITERAL("\"x\""), 784111777},
	    {SLICE_LITERAL("W/\"x\""), 784111777},
	    {{NULL, 0}, NOW},
	};

	for (size_t i = 0; i < ARRAY_SIZE(validators); i++) {
		enum http_condition c = http_conditional(request, &validators[i], NOW);

		HOLDS(c != HTTP_CONDITION_WHOLE || http_request_has(request, HTTP_FIELD_IF_RANGE));
		HOLDS(c != HTTP_CONDITION_NOT_MODIFIED ||
		      http_request_has(request, HTTP_FIELD_IF_NONE_MATCH) ||
		      http_request_has(request, HTTP_FIELD_IF_MODIFIED_SINCE));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char start[] = "GET / HTTP/1.1\r\nHost: a\r\nRange: bytes=0-1\r\n";
	static struct http_request request;
	struct http_scan scan = {0};
	size_t len = sizeof(start) - 1 + size + 4;
	char *head = malloc(len);

	CHECK(head);
	check_date(data, size);
	memcpy(head, start, sizeof(start) - 1);
	if (size)
		memcpy(head + sizeof(start) - 1, data, size);
	memcpy(head + len - 4, "\r\n\r\n", 4);
	if (http_parse_request(&scan, head, len, &request) == HTTP_PARSE_OK)
		check_conditions(&request);
	free(head);
	return 0;
}
