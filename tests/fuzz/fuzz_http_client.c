/*
 * What proxies say of their clients: PROXY headers, X-Forwarded-For and Forwarded. An address that
 * comes out is written and read back as the same; a header in pieces is the header; and whoever is
 * not believed is the client himself, whatever he says.
 */
#include "fuzz/fuzz.h"
#include "http/core/forwarded.h"
#include "http/core/proxy_protocol.h"

static void check_address(const struct http_address *address)
{
	char text[HTTP_ADDRESS_TEXT_MAX];
	struct slice written = http_address_format(address, text);
	struct http_address again = {.bits = 0};

	HOLDS(address->bits == 0 || address->bits == 32 || address->bits == 128);
	HOLDS(written.len > 0 && written.len <= sizeof(text));
	HOLDS(address->bits == 0 || http_address_parse(written, &again));
	HOLDS(memcmp(address, &again, sizeof(again)) == 0);
}

static void check_proxy(const char *bytes, size_t size)
{
	struct http_address whole = {.bits = 0}, piece;
	size_t used = 0, used_piece = 0;
	enum http_parse parse = http_proxy_parse(bytes, size, &used, &whole);

	check_address(&whole);
	HOLDS(parse == HTTP_PARSE_OK ? used > 0 && used <= size : used == 0);
	for (size_t len = 0; len < size && len < 300; len++) {
		char *copy = heap_copy((const uint8_t *)bytes, len);
		enum http_parse before = http_proxy_parse(copy, len, &used_piece, &piece);

		HOLDS(before == HTTP_PARSE_MORE || before == parse);
		HOLDS(before != HTTP_PARSE_OK || (used_piece == used && len >= used));
		free(copy);
	}
}

static void check_header(const char *name, struct slice value)
{
	struct http_network list[1] = {{.address = {.bits = 32, .bytes = {10}}, .bits = 8}};
	const struct http_networks trusted = {.list = list, .count = 1};
	struct http_address proxy = http_address_v4((const uint8_t[]){10, 0, 0, 1});
	struct http_address stranger = http_address_v4((const uint8_t[]){192, 0, 2, 1});
	struct http_request request = {.header_count = 2};
	struct http_address client;

	request.headers[0] = (struct http_header){.name = slice_of(name), .value = value};
	request.headers[1] = request.headers[0];
	client = http_forwarded_client(&request, slice_of(name), &trusted, &proxy);
	check_address(&client);
	client = http_forwarded_client(&request, slice_of(name), &trusted, &stranger);
	HOLDS(memcmp(&client, &stranger, sizeof(client)) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = heap_copy(data, size);
	struct http_network network;

	check_proxy(text, size);
	check_header("X-Forwarded-For", slice_make(text, size));
	check_header("Forwarded", slice_make(text, size));
	if (http_network_parse(slice_make(text, size), &network))
		HOLDS(network.bits <= network.address.bits);
	free(text);
	return 0;
}
