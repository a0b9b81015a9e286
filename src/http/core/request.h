/*
 * The HTTP/1.0 and 1.1 request parser, after RFC 9112: bytes in, a decision out.
 *
 * Pure: no allocation, no system call, no state but struct http_scan. Slices point into the
 * caller's buffer, which must stay where it is as long as the request is used.
 *
 * Strict where leniency lets two parties see different requests (RFC 9112 section 11):
 *   - NUL, bare CR, obs-fold, white space before the colon, bytes that are no token: 400.
 *   - Content-Length and Transfer-Encoding together, either of them twice, a Content-Length that is
 *     no plain number (lists of equal numbers too: RFC 9112 6.3 allows to refuse them), a
 *     Transfer-Encoding that is not exactly "chunked", or any in HTTP/1.0: 400.
 *   - Host missing (1.1), doubled, empty, or no authority (authority.h): 400. HTTP/0.9: 400.
 *   - an Expect that is not 100-continue (HTTP/1.1): 417.
 * Lenient only where RFC 9112 2.2 says so and it is harmless:
 *   - a lone LF ends a line of the request's head, as nginx has it, for people with netcat; never
 *     in chunked framing.
 *   - up to HTTP_EMPTY_LINES_MAX empty lines before the request line, for clients that send a CRLF
 *     too many after a body.
 * Every error closes the connection: what follows a request that was not understood is not a
 * request.
 *
 * The order of errors is the order of bytes, then Host, framing, method. A limit counts before any
 * error beyond it, so that a request gets the same answer however it is cut into packets.
 */
#ifndef HTTP_CORE_REQUEST_H
#define HTTP_CORE_REQUEST_H

#include "base/slice.h"

#define HTTP_HEADERS_MAX     100         /* more: 431 */
#define HTTP_LINE_MAX        (8 * 1024)  /* request line with its end; longer: 414 */
#define HTTP_HEAD_MAX        (32 * 1024) /* request line and header block; longer: 431 */
#define HTTP_EMPTY_LINES_MAX 4
#define HTTP_TRAILERS_MAX    (8 * 1024) /* bytes of a chunked body's trailer section */
#define HTTP_CHUNK_LINE_MAX  256        /* bytes of a chunk-size line with its extensions */

enum http_method {
	HTTP_METHOD_UNKNOWN, /* a token that is none of these: the parser says 501 */
	HTTP_GET,
	HTTP_HEAD,
	HTTP_OPTIONS,
	HTTP_POST,
	HTTP_PUT,
	HTTP_DELETE,
	HTTP_PATCH,
	HTTP_TRACE,
	HTTP_CONNECT,
};

/* The header fields that leat looks at: recognised once, then found in O(1). */
enum http_field {
	HTTP_FIELD_OTHER,
	HTTP_FIELD_HOST,
	HTTP_FIELD_CONNECTION,
	HTTP_FIELD_RANGE,
	HTTP_FIELD_IF_MATCH,
	HTTP_FIELD_IF_NONE_MATCH,
	HTTP_FIELD_IF_MODIFIED_SINCE,
	HTTP_FIELD_IF_UNMODIFIED_SINCE,
	HTTP_FIELD_IF_RANGE,
	HTTP_FIELD_ACCEPT,
	HTTP_FIELD_ACCEPT_ENCODING,
	HTTP_FIELD_CONTENT_LENGTH,
	HTTP_FIELD_TRANSFER_ENCODING,
	HTTP_FIELD_EXPECT,
	HTTP_FIELD_USER_AGENT,
	HTTP_FIELD_REFERER,
	HTTP_FIELD_COUNT,
};

enum http_form {
	HTTP_FORM_ORIGIN,    /* /path?query */
	HTTP_FORM_ABSOLUTE,  /* http://authority/path?query */
	HTTP_FORM_ASTERISK,  /* OPTIONS * */
	HTTP_FORM_AUTHORITY, /* CONNECT host:port */
};

enum http_framing { HTTP_BODY_NONE, HTTP_BODY_LENGTH, HTTP_BODY_CHUNKED };

struct http_header {
	struct slice name;
	struct slice value; /* without the white space around it; may be empty */
	enum http_field field;
};

struct http_request {
	/* Set for HTTP_PARSE_BAD, and only then with `line`: what to answer and a short why. */
	int status;
	const char *reason;

	/* The request line without its end, as received: for logs. On HTTP_PARSE_BAD what there is
	 * of it, which may hold any byte. */
	struct slice line;

	size_t length; /* bytes of the head in the buffer: the body or next request comes after */
	enum http_method method;
	enum http_form form;
	unsigned minor; /* HTTP/1.minor: 0 or 1 (greater ones are 1 to us) */
	bool keep_alive;
	bool expect_continue; /* asks for 100 Continue before it sends its body */
	enum http_framing framing;
	uint64_t content_length; /* of HTTP_BODY_LENGTH (then above 0), else 0 */

	struct slice method_text;
	struct slice target; /* as received */
	struct slice path;   /* still percent-encoded, from its '/'; "*" and authorities: empty */
	struct slice query;  /* after the '?'; ptr is NULL when there is no '?' */
	struct slice host;   /* host[:port] of the target or else of Host; empty: there is none */

	uint8_t field_at[HTTP_FIELD_COUNT]; /* index + 1 of the first such header, 0: none */
	uint32_t repeated;                  /* bit (1u << field): there is more than one */
	unsigned header_count;
	struct http_header headers[HTTP_HEADERS_MAX]; /* valid up to header_count */
};

/* What the parser remembers of a head that is not complete; all zero for a new one. It belongs to
 * the connection and is all that has to be kept between two reads, next to the bytes. */
struct http_scan {
	uint32_t seen; /* bytes looked at */
	bool line;     /* the request line was among them, and good */
};

enum http_parse {
	HTTP_PARSE_MORE, /* not complete: call again with the same bytes and more behind them */
	HTTP_PARSE_OK,
	HTTP_PARSE_BAD, /* answer ret->status, then close */
};

/* `buf` starts at the first byte of the request. Linear in the bytes of the head however they
 * arrive: the head is parsed at most once for its request line and once when complete. With
 * HTTP_HEAD_MAX bytes in the buffer the answer is never HTTP_PARSE_MORE. The scan is reset for the
 * next request when the answer is not HTTP_PARSE_MORE. */
enum http_parse http_parse_request(struct http_scan *scan, const char *buf, size_t len,
				   struct http_request *ret);

/* For logs: the first line of the bytes, without its end, or what there is of it. */
static inline struct slice http_first_line(const char *bytes, size_t len)
{
	const char *end = len ? memchr(bytes, '\n', len) : NULL;
	size_t line = end ? (size_t)(end - bytes) : len;

	return slice_make(bytes, line > 0 && bytes[line - 1] == '\r' ? line - 1 : line);
}

/* Value of the first such header; false: there is none. */
static inline bool http_request_field(const struct http_request *request, enum http_field field,
				      struct slice *ret)
{
	unsigned at = request->field_at[field];

	if (at == 0)
		return false;
	*ret = request->headers[at - 1].value;
	return true;
}

/* The same for a field that is no list, and means nothing if it is there twice: then false. */
static inline bool http_request_single(const struct http_request *request, enum http_field field,
				       struct slice *ret)
{
	return !(request->repeated & (1u << field)) && http_request_field(request, field, ret);
}

static inline bool http_request_has(const struct http_request *request, enum http_field field)
{
	return request->field_at[field] != 0;
}

/* Index of the first header with `field` at or after `from`; header_count: there is none. For list
 * fields, whose lines belong together (RFC 9110 5.3). */
unsigned http_request_next(const struct http_request *request, enum http_field field,
			   unsigned from);

/* ---- reading a body away ------------------------------------------------------------------------
 *
 *     LENGTH:  left bytes --> DONE
 *     CHUNKED: SIZE -> [extensions] -> SIZE_LF -> DATA -> DATA_CR -> DATA_LF -> SIZE ...
 *              a size of 0: ... SIZE_LF -> TRAILER lines -> TRAILER_LF / END_LF -> DONE
 */

enum http_skim_state {
	HTTP_SKIM_DONE,
	HTTP_SKIM_LENGTH,
	HTTP_SKIM_SIZE_FIRST,
	HTTP_SKIM_SIZE,
	HTTP_SKIM_SPACE,      /* before a semicolon */
	HTTP_SKIM_NAME_FIRST, /* of an extension: after the semicolon */
	HTTP_SKIM_NAME,
	HTTP_SKIM_NAME_SPACE,  /* before the equals sign, or a semicolon */
	HTTP_SKIM_VALUE_FIRST, /* after the equals sign */
	HTTP_SKIM_VALUE,
	HTTP_SKIM_QUOTED,
	HTTP_SKIM_QUOTED_PAIR,
	HTTP_SKIM_QUOTED_END,
	HTTP_SKIM_SIZE_LF,
	HTTP_SKIM_DATA,
	HTTP_SKIM_DATA_CR,
	HTTP_SKIM_DATA_LF,
	HTTP_SKIM_TRAILER_FIRST,
	HTTP_SKIM_TRAILER_NAME,
	HTTP_SKIM_TRAILER_VALUE,
	HTTP_SKIM_TRAILER_LF,
	HTTP_SKIM_END_LF,
	HTTP_SKIM_BAD,
};

struct http_skim {
	enum http_skim_state state;
	uint64_t left;  /* of the body, or of the chunk */
	uint64_t bytes; /* eaten so far, framing included: what to hold against a limit */
	uint32_t line;  /* of the chunk-size line, or of all trailers */
};

void http_skim_init(struct http_skim *skim, const struct http_request *request);

/* Eats the body's bytes at the front of `buf`: HTTP_PARSE_OK, the body has ended after *ret_used
 * bytes and the next request starts there; HTTP_PARSE_MORE, all `len` bytes were eaten;
 * HTTP_PARSE_BAD, not chunked framing (400, close). Incremental: each byte is shown once. */
enum http_parse http_skim_step(struct http_skim *skim, const char *buf, size_t len,
			       size_t *ret_used);

#endif
