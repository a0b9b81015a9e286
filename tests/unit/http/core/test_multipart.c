#include "unit/http/core/http_test.h"

#include "http/core/multipart.h"

static struct http_multipart two_parts(void)
{
	struct http_multipart multipart = {
	    .ranges = {.count = 2, .range = {{0, 1}, {8, 9}}},
	    .size = 10,
	    .type = SLICE_LITERAL("text/plain"),
	};

	http_multipart_boundary((const uint64_t[2]){0x0123456789abcdef, 0}, multipart.boundary);
	return multipart;
}

static struct slice text(const struct http_multipart *multipart, unsigned i, char *buf, size_t size)
{
	struct http_writer w;

	http_writer_init(&w, buf, size);
	http_put_multipart_text(&w, multipart, i);
	assert_false(w.cut);
	return slice_make(buf, http_written(&w));
}

static void the_text_stands_around_the_parts(void **state)
{
	struct http_multipart multipart = two_parts();
	char buf[HTTP_PART_TEXT_MAX];

	assert_slice(text(&multipart, 1, buf, sizeof(buf)),
		     "\r\n--fedcba98765432100000000000000000\r\nContent-Type: text/plain\r\n"
		     "Content-Range: bytes 8-9/10\r\n\r\n");
	assert_slice(text(&multipart, 2, buf, sizeof(buf)),
		     "\r\n--fedcba98765432100000000000000000--\r\n");
}

static void the_length_is_that_of_texts_and_parts(void **state)
{
	struct http_multipart multipart = two_parts();
	char buf[HTTP_PART_TEXT_MAX];
	size_t length = 4; /* two parts of two bytes */

	for (unsigned i = 0; i <= 2; i++)
		length += text(&multipart, i, buf, sizeof(buf)).len;
	assert_int_equal(http_multipart_length(&multipart), length);
}

static void the_longest_text_has_room(void **state)
{
	struct http_multipart multipart = {
	    .ranges = {.count = 1, .range = {{UINT64_MAX - 2, UINT64_MAX - 1}}},
	    .size = UINT64_MAX,
	};
	char type[HTTP_MIME_TYPE_MAX + 15], buf[HTTP_PART_TEXT_MAX];

	/* As http/core/mime.c makes it at worst: with "; charset=utf-8" behind. */
	memset(type, 't', sizeof(type));
	memset(multipart.boundary, 'b', sizeof(multipart.boundary));
	multipart.type = slice_make(type, sizeof(type));
	assert_true(text(&multipart, 0, buf, sizeof(buf)).len > sizeof(type));
}

static void each_bit_of_chance_is_in_the_boundary(void **state)
{
	char zero[HTTP_BOUNDARY_LEN], one[HTTP_BOUNDARY_LEN];

	http_multipart_boundary((const uint64_t[2]){0, 0}, zero);
	for (unsigned bit = 0; bit < 128; bit++) {
		uint64_t chance[2] = {0, 0};

		chance[bit / 64] = UINT64_C(1) << bit % 64;
		http_multipart_boundary(chance, one);
		assert_memory_not_equal(zero, one, HTTP_BOUNDARY_LEN);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(the_text_stands_around_the_parts),
	    cmocka_unit_test(the_length_is_that_of_texts_and_parts),
	    cmocka_unit_test(the_longest_text_has_room),
	    cmocka_unit_test(each_bit_of_chance_is_in_the_boundary),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
