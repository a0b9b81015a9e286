/*
 * Reads a request's body away (request.h has the states). Strict: chunk lines end in CRLF, sizes
 * are plain hex, extensions are names with a token or a quoted string (RFC 9112 7.1.1), white space
 * is allowed only around their marks, and what is no control may stand in trailers, since nobody
 * looks at them.
 */
#include "http/core/chars.h"
#include "http/core/request.h"

void http_skim_init(struct http_skim *skim, const struct http_request *request)
{
	*skim = (struct http_skim){.state = HTTP_SKIM_DONE};
	if (request->framing == HTTP_BODY_LENGTH) {
		skim->state = HTTP_SKIM_LENGTH;
		skim->left = request->content_length;
	}
	if (request->framing == HTTP_BODY_CHUNKED)
		skim->state = HTTP_SKIM_SIZE_FIRST;
}

static bool skim_is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static enum http_skim_state after_size(struct http_skim *skim, char c)
{
	int digit = http_hex(c);

	if (digit >= 0) {
		if (skim->left >> 58) /* a chunk of 2^62 bytes is no chunk */
			return HTTP_SKIM_BAD;
		skim->left = skim->left * 16 + (unsigned)digit;
		return HTTP_SKIM_SIZE;
	}
	if (skim->state == HTTP_SKIM_SIZE_FIRST)
		return HTTP_SKIM_BAD;
	if (c == '\r')
		return HTTP_SKIM_SIZE_LF;
	if (c == ';')
		return HTTP_SKIM_NAME_FIRST;
	return skim_is_blank(c) ? HTTP_SKIM_SPACE : HTTP_SKIM_BAD;
}

/* BWS ";" */
static enum http_skim_state after_space(char c)
{
	if (skim_is_blank(c))
		return HTTP_SKIM_SPACE;
	return c == ';' ? HTTP_SKIM_NAME_FIRST : HTTP_SKIM_BAD;
}

/* What comes after a whole extension. White space leads to another one, never to the line's end. */
static enum http_skim_state after_extension(char c)
{
	return c == '\r' ? HTTP_SKIM_SIZE_LF : after_space(c);
}

/* BWS name [ BWS "=" ... */
static enum http_skim_state after_name(enum http_skim_state state, char c)
{
	if (state != HTTP_SKIM_NAME_SPACE && http_is(c, HTTP_TOKEN))
		return HTTP_SKIM_NAME;
	if (state == HTTP_SKIM_NAME_FIRST)
		return skim_is_blank(c) ? state : HTTP_SKIM_BAD;
	if (c == '=')
		return HTTP_SKIM_VALUE_FIRST;
	if (skim_is_blank(c))
		return HTTP_SKIM_NAME_SPACE;
	if (state == HTTP_SKIM_NAME_SPACE)
		return c == ';' ? HTTP_SKIM_NAME_FIRST : HTTP_SKIM_BAD;
	return after_extension(c);
}

/* ... BWS ( token / quoted-string ) ] */
static enum http_skim_state after_value(enum http_skim_state state, char c)
{
	if (http_is(c, HTTP_TOKEN))
		return HTTP_SKIM_VALUE;
	if (state == HTTP_SKIM_VALUE)
		return after_extension(c);
	if (c == '"')
		return HTTP_SKIM_QUOTED;
	return skim_is_blank(c) ? state : HTTP_SKIM_BAD;
}

static enum http_skim_state after_quoted(enum http_skim_state state, char c)
{
	if (!http_is(c, HTTP_VALUE))
		return HTTP_SKIM_BAD;
	if (state == HTTP_SKIM_QUOTED && c == '"')
		return HTTP_SKIM_QUOTED_END;
	return state == HTTP_SKIM_QUOTED && c == '\\' ? HTTP_SKIM_QUOTED_PAIR : HTTP_SKIM_QUOTED;
}

static enum http_skim_state after_trailer_value(char c)
{
	if (c == '\r')
		return HTTP_SKIM_TRAILER_LF;
	return http_is(c, HTTP_VALUE) ? HTTP_SKIM_TRAILER_VALUE : HTTP_SKIM_BAD;
}

static enum http_skim_state after_trailer_name(const struct http_skim *skim, char c)
{
	if (http_is(c, HTTP_TOKEN))
		return HTTP_SKIM_TRAILER_NAME;
	if (skim->state == HTTP_SKIM_TRAILER_FIRST)
		return c == '\r' ? HTTP_SKIM_END_LF : HTTP_SKIM_BAD;
	return c == ':' ? HTTP_SKIM_TRAILER_VALUE : HTTP_SKIM_BAD;
}

static enum http_skim_state after_size_line(struct http_skim *skim)
{
	skim->line = 0;
	return skim->left ? HTTP_SKIM_DATA : HTTP_SKIM_TRAILER_FIRST;
}

/* The state after a byte of framing. */
static enum http_skim_state after(struct http_skim *skim, char c)
{
	switch (skim->state) {
	case HTTP_SKIM_SIZE_FIRST:
	case HTTP_SKIM_SIZE:
		return after_size(skim, c);
	case HTTP_SKIM_SPACE:
		return after_space(c);
	case HTTP_SKIM_NAME_FIRST:
	case HTTP_SKIM_NAME:
	case HTTP_SKIM_NAME_SPACE:
		return after_name(skim->state, c);
	case HTTP_SKIM_VALUE_FIRST:
	case HTTP_SKIM_VALUE:
		return after_value(skim->state, c);
	case HTTP_SKIM_QUOTED:
	case HTTP_SKIM_QUOTED_PAIR:
		return after_quoted(skim->state, c);
	case HTTP_SKIM_QUOTED_END:
		return after_extension(c);
	case HTTP_SKIM_SIZE_LF:
		return c == '\n' ? after_size_line(skim) : HTTP_SKIM_BAD;
	case HTTP_SKIM_DATA_CR:
		return c == '\r' ? HTTP_SKIM_DATA_LF : HTTP_SKIM_BAD;
	case HTTP_SKIM_DATA_LF:
		skim->line = 0;
		return c == '\n' ? HTTP_SKIM_SIZE_FIRST : HTTP_SKIM_BAD;
	case HTTP_SKIM_TRAILER_FIRST:
	case HTTP_SKIM_TRAILER_NAME:
		return after_trailer_name(skim, c);
	case HTTP_SKIM_TRAILER_VALUE:
		return after_trailer_value(c);
	case HTTP_SKIM_TRAILER_LF:
		return c == '\n' ? HTTP_SKIM_TRAILER_FIRST : HTTP_SKIM_BAD;
	case HTTP_SKIM_END_LF:
		return c == '\n' ? HTTP_SKIM_DONE : HTTP_SKIM_BAD;
	case HTTP_SKIM_LENGTH:
	case HTTP_SKIM_DATA:
	case HTTP_SKIM_DONE:
	case HTTP_SKIM_BAD:
		break;
	}
	return HTTP_SKIM_BAD;
}

static bool in_trailer(enum http_skim_state state)
{
	return state >= HTTP_SKIM_TRAILER_FIRST && state <= HTTP_SKIM_END_LF;
}

static size_t skim_data(struct http_skim *skim, size_t len)
{
	size_t eaten = (size_t)min_u64(skim->left, len);

	skim->left -= eaten;
	if (skim->left == 0)
		skim->state = skim->state == HTTP_SKIM_LENGTH ? HTTP_SKIM_DONE : HTTP_SKIM_DATA_CR;
	return eaten;
}

static void skim_framing(struct http_skim *skim, char c)
{
	uint32_t line_max = in_trailer(skim->state) ? HTTP_TRAILERS_MAX : HTTP_CHUNK_LINE_MAX;

	skim->line++;
	skim->state = skim->line > line_max ? HTTP_SKIM_BAD : after(skim, c);
}

enum http_parse http_skim_step(struct http_skim *skim, const char *buf, size_t len,
			       size_t *ret_used)
{
	size_t at = 0;

	while (at < len && skim->state != HTTP_SKIM_DONE && skim->state != HTTP_SKIM_BAD) {
		if (skim->state == HTTP_SKIM_LENGTH || skim->state == HTTP_SKIM_DATA)
			at += skim_data(skim, len - at);
		else
			skim_framing(skim, buf[at++]);
	}
	skim->bytes += at;
	*ret_used = at;
	if (skim->state == HTTP_SKIM_DONE)
		return HTTP_PARSE_OK;
	return skim->state == HTTP_SKIM_BAD ? HTTP_PARSE_BAD : HTTP_PARSE_MORE;
}
