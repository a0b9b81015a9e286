/*
 * What http/core costs for a request, in nanoseconds of CPU time: the parser over heads as load
 * generators and browsers send them, a head that arrives byte by byte, and the decisions that a
 * request for a file takes. One process, one core, the best and the median of several rounds.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "http/core/conditional.h"
#include "http/core/date.h"
#include "http/core/path.h"
#include "http/core/range.h"
#include "http/core/response.h"
#include "micro.h"

static const char wrk[] = "GET /file HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n\r\n";
static const char curl[] = "GET /dir/some-file.html HTTP/1.1\r\nHost: localhost:8080\r\n"
			   "User-Agent: curl/7.88.1\r\nAccept: */*\r\n\r\n";
static const char browser[] =
    "GET /static/js/application.min.js?v=42 HTTP/1.1\r\n"
    "Host: www.example.org\r\n"
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\r\n"
    "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\n"
    "Accept-Language: en-US,en;q=0.5\r\n"
    "Accept-Encoding: gzip, deflate, br, zstd\r\n"
    "Connection: keep-alive\r\n"
    "Referer: https://www.example.org/index.html\r\n"
    "Cookie: session=0123456789abcdef0123456789abcdef; theme=dark\r\n"
    "If-None-Match: \"1a2b3c-4d5e-17f0a1b2c3d4e5f6\"\r\n"
    "\r\n";

static struct http_request request; /* as a loop has it: one a thread */

static void parse(const char *head, size_t len)
{
	struct http_scan scan = {0};

	if (http_parse_request(&scan, head, len, &request) != HTTP_PARSE_OK)
		abort();
}

static void parse_wrk(void)
{
	parse(wrk, sizeof(wrk) - 1);
}

static void parse_curl(void)
{
	parse(curl, sizeof(curl) - 1);
}

static void parse_browser(void)
{
	parse(browser, sizeof(browser) - 1);
}

static void parse_bytewise(void)
{
	struct http_scan scan = {0};
	enum http_parse result = HTTP_PARSE_MORE;

	for (size_t len = 1; result == HTTP_PARSE_MORE; len++)
		result = http_parse_request(&scan, browser, len, &request);
}

static void decide(void)
{
	static const char range[] = "bytes=0-1023";
	struct http_validators validators = {SLICE_LITERAL("\"1a2b3c-4d5e-17f0a1b2c3d4e5f7\""), 1};
	struct http_ranges ranges;
	struct http_path path;
	char buf[512];

	if (http_path_decode(request.path, buf, sizeof(buf), &path) < 0 ||
	    http_conditional(&request, &validators, 2) != HTTP_CONDITION_PASS ||
	    http_range_parse(SLICE_LITERAL(range), 4096, &ranges) != HTTP_RANGE_PARTIAL)
		abort();
}

static void build(void)
{
	static const char date[] = "Sun, 06 Nov 1994 08:49:37 GMT";
	struct http_writer w;
	struct http_head head;
	char block[512];

	http_writer_init(&w, block, sizeof(block));
	http_head_begin(&head, &w, 200);
	http_put_header(&w, SLICE_LITERAL("Content-Type"), SLICE_LITERAL("text/html"));
	http_put_header_u64(&w, SLICE_LITERAL("Content-Length"), 123456);
	http_put_header_date(&w, SLICE_LITERAL("Last-Modified"), 784111777);
	http_head_end(&head, &w);
	http_head_stamp(&head, block, date);
	__asm__ volatile("" : : "r"(block) : "memory");
}

int main(void)
{
	micro_measure("parse: GET /file and Host, as wrk", sizeof(wrk) - 1, parse_wrk, 200000);
	micro_measure("parse: four lines, as curl", sizeof(curl) - 1, parse_curl, 200000);
	micro_measure("parse: eleven lines, as a browser", sizeof(browser) - 1, parse_browser,
		      100000);
	micro_measure("parse: the same, byte by byte", sizeof(browser) - 1, parse_bytewise, 5000);
	parse_browser();
	micro_measure("path, conditions, range", 0, decide, 100000);
	micro_measure("a header block of seven lines", 0, build, 100000);
	return 0;
}
