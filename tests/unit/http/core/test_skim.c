#include "unit/http/core/http_test.h"

#include "base/buf.h"

static struct http_skim chunked(void)
{
	return (struct http_skim){.state = HTTP_SKIM_SIZE_FIRST};
}

static enum http_parse skim_text(const char *body, size_t *ret_used)
{
	struct http_skim skim = chunked();

	return http_skim_step(&skim, body, strlen(body), ret_used);
}

static void well_framed_bodies_end_where_the_next_request_begins(void **state)
{
	static const char *const bodies[] = {
	    "0\r\n\r\n",
	    "5\r\nhello\r\n0\r\n\r\n",
	    "00005\r\nhello\r\n1\r\n!\r\n000\r\n\r\n",
	    "a\r\n0123456789\r\nA\r\n0123456789\r\n0\r\n\r\n",
	    "5;name=value\r\nhello\r\n0;last\r\n\r\n",
	    "5 ; name=\"a b\" ;x\r\nhello\r\n0 \t;y\r\n\r\n",
	    "5;a=\"\\\"\\\\; \x80\"\r\nhello\r\n0\r\n\r\n",
	    "5;a =\tb; c\t; d = \"\";e\r\nhello\r\n0\r\n\r\n",
	    "5\r\n\r\n0\r\n\r\n0\r\nX-Sum: 1\r\nY:\r\n\r\n",
	};
	size_t used;
	char text[200];

	for (size_t i = 0; i < ARRAY_SIZE(bodies); i++) {
		snprintf(text, sizeof(text), "%sGET /", bodies[i]);
		assert_int_equal(skim_text(text, &used), HTTP_PARSE_OK);
		assert_int_equal(used, strlen(bodies[i]));
	}
}

static void bad_framing_is_refused(void **state)
{
	static const char *const bodies[] = {
	    "\r\n",
	    "\n",
	    " 5\r\nhello\r\n0\r\n\r\n",
	    ";x\r\n",
	    "x\r\n",
	    "-1\r\n",
	    "+1\r\n",
	    "0x5\r\nhello\r\n0\r\n\r\n",
	    "5\nhello\r\n0\r\n\r\n",
	    "5;a\nhello\r\n0\r\n\r\n",
	    "5\rhello\r\n0\r\n\r\n",
	    "5;a\rb\r\nhello\r\n0\r\n\r\n",
	    "5 5\r\nhello",
	    "5 \r\nhello",
	    "5,\r\nhello",
	    "5;\x01\r\nhello",
	    "5;\r\nhello\r\n0\r\n\r\n",
	    "5; \r\nhello\r\n0\r\n\r\n",
	    "5;;a\r\nhello\r\n0\r\n\r\n",
	    "5;a b\r\nhello\r\n0\r\n\r\n",
	    "5;a \r\nhello\r\n0\r\n\r\n",
	    "5;a=\r\nhello\r\n0\r\n\r\n",
	    "5;=b\r\nhello\r\n0\r\n\r\n",
	    "5;a==b\r\nhello\r\n0\r\n\r\n",
	    "5;a=b c\r\nhello\r\n0\r\n\r\n",
	    "5;a=b \r\nhello\r\n0\r\n\r\n",
	    "5;a=b\"c\"\r\nhello\r\n0\r\n\r\n",
	    "5;a=\"b\r\nhello\"\r\n0\r\n\r\n",
	    "5;a=\"b\"c\r\nhello\r\n0\r\n\r\n",
	    "5;a=\"b\\\r\n\"\r\n0\r\n\r\n",
	    "5;a/b\r\nhello\r\n0\r\n\r\n",
	    "5;\x80\r\nhello\r\n0\r\n\r\n",
	    "5\r\nhello0\r\n\r\n",
	    "5\r\nhello\n0\r\n\r\n",
	    "5\r\nhello\r0\r\n\r\n",
	    "5\r\nhello!\r\n0\r\n\r\n",
	    "5\r\nhello\r\n\r\n",
	    "0\r\n\n",
	    "0\r\n\rX",
	    "0\r\n X: y\r\n\r\n",
	    "0\r\nX : y\r\n\r\n",
	    "0\r\nX\r\n\r\n",
	    "0\r\n: y\r\n\r\n",
	    "0\r\nX: y\n\r\n",
	    "0\r\nX: y\r\n z\r\n\r\n",
	    "0\r\nX: \x7f\r\n\r\n",
	    "4000000000000000\r\n",
	    "10000000000000005\r\nhello\r\n0\r\n\r\n",
	    "fffffffffffffffffffff\r\n",
	};
	size_t used;

	for (size_t i = 0; i < ARRAY_SIZE(bodies); i++)
		if (skim_text(bodies[i], &used) != HTTP_PARSE_BAD)
			fail_msg("not refused: %s", bodies[i]);
}

static void a_refused_body_stays_refused(void **state)
{
	struct http_skim skim = chunked();
	size_t used;

	assert_int_equal(http_skim_step(&skim, "x", 1, &used), HTTP_PARSE_BAD);
	assert_int_equal(http_skim_step(&skim, "0\r\n\r\n", 5, &used), HTTP_PARSE_BAD);
	assert_int_equal(used, 0);
}

static void chunk_lines_and_trailers_are_bounded(void **state)
{
	static char body[HTTP_TRAILERS_MAX + 100];
	size_t used;

	memset(body, '0', sizeof(body) - 1);
	memcpy(body + HTTP_CHUNK_LINE_MAX - 2, "\r\n\r\n", 5);
	assert_int_equal(skim_text(body, &used), HTTP_PARSE_OK);
	memset(body, '0', HTTP_CHUNK_LINE_MAX);
	memcpy(body + HTTP_CHUNK_LINE_MAX - 1, "\r\n\r\n", 5);
	assert_int_equal(skim_text(body, &used), HTTP_PARSE_BAD);

	memcpy(body, "0\r\nX:", 5);
	memset(body + 5, 'x', sizeof(body) - 6);
	memcpy(body + 3 + HTTP_TRAILERS_MAX - 4, "\r\n\r\n", 5);
	assert_int_equal(skim_text(body, &used), HTTP_PARSE_OK);
	memcpy(body + 3 + HTTP_TRAILERS_MAX - 4, "xx\r\n\r\n", 7);
	assert_int_equal(skim_text(body, &used), HTTP_PARSE_BAD);
}

static void a_length_is_counted_down_over_any_pieces(void **state)
{
	struct http_request r;
	struct http_skim skim;
	size_t used;

	parse_text("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n", &r);
	http_skim_init(&skim, &r);
	assert_int_equal(http_skim_step(&skim, "", 0, &used), HTTP_PARSE_MORE);
	assert_int_equal(http_skim_step(&skim, "0123456", 7, &used), HTTP_PARSE_MORE);
	assert_int_equal(used, 7);
	assert_int_equal(http_skim_step(&skim, "789GET", 6, &used), HTTP_PARSE_OK);
	assert_int_equal(used, 3);
	assert_int_equal(skim.bytes, 10);

	parse_text("GET / HTTP/1.1\r\nHost: a\r\n\r\n", &r);
	http_skim_init(&skim, &r);
	assert_int_equal(http_skim_step(&skim, "GET", 3, &used), HTTP_PARSE_OK);
	assert_int_equal(used, 0);
}

static void add_random_body(uint64_t *random, struct buf *body)
{
	unsigned chunks = (unsigned)random_below(random, 20);

	for (unsigned c = 0; c < chunks; c++) {
		unsigned size = 1 + (unsigned)random_below(random, 300);

		if (random_below(random, 2))
			buf_printf(body, "%x\r\n", size);
		else
			buf_printf(body, "%04X;e=1\r\n", size);
		for (unsigned b = 0; b < size; b++)
			buf_add_char(body, "\r\n0;:"[random_below(random, 5)]);
		buf_add_text(body, "\r\n");
	}
	buf_add_text(body, random_below(random, 2) ? "0\r\n\r\n" : "0\r\nA: b\r\n\r\n");
}

/* Random bodies made of random chunks, cut at random places: the skimmer finds the end. */
static void random_chunks_in_random_pieces_are_skimmed_exactly(void **state)
{
	uint64_t random = 5;
	char memory[20000];

	for (int i = 0; i < 3000; i++) {
		struct buf body = buf_over(memory, sizeof(memory));
		struct http_skim skim = chunked();
		enum http_parse result = HTTP_PARSE_MORE;
		size_t at = 0;

		add_random_body(&random, &body);
		size_t end = body.len;
		buf_add_text(&body, "GET / HTTP/1.1\r\n");
		assert_false(body.overflow);
		while (result == HTTP_PARSE_MORE) {
			size_t piece = min_size(1 + random_below(&random, 64), body.len - at), used;

			result = http_skim_step(&skim, memory + at, piece, &used);
			at += used;
			if (result == HTTP_PARSE_MORE)
				assert_int_equal(used, piece);
		}
		assert_int_equal(result, HTTP_PARSE_OK);
		assert_int_equal(at, end);
		assert_int_equal(skim.bytes, end);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(well_framed_bodies_end_where_the_next_request_begins),
	    cmocka_unit_test(bad_framing_is_refused),
	    cmocka_unit_test(a_refused_body_stays_refused),
	    cmocka_unit_test(chunk_lines_and_trailers_are_bounded),
	    cmocka_unit_test(a_length_is_counted_down_over_any_pieces),
	    cmocka_unit_test(random_chunks_in_random_pieces_are_skimmed_exactly),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
