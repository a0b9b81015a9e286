/*
 * What clients compress comes back to the byte; what is damaged, cut, too large or in a format that
 * Kafka does not read ends in an error, and never in more than the limit.
 */
#include "unit/kafka/codec/kit.h"

#include <lz4frame.h>
#include <snappy-c.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>

#include "base/be.h"

#define ENOUGH (1u << 20)

static const char *golden;
static struct expander *expander;

static int setup(void **state)
{
	expander = expander_new();
	return expander ? 0 : -1;
}

static int teardown(void **state)
{
	expander_free(expander);
	return 0;
}

/* ---- golden bytes ---- */

struct wanted {
	enum record_codec codec;
	bool refused;
	size_t len; /* of the content */
	uint32_t crc;
	char *bytes;
	size_t size;
};

static struct wanted wanted_of(char *words[])
{
	struct wanted wanted = {
	    .codec = kit_codec(words[0]),
	    .refused = strcmp(words[2], "-") == 0,
	    .bytes = words[4] ? words[4] : words[3],
	    .size = kit_from_hex(words[4]),
	};

	if (!wanted.refused) {
		wanted.len = (size_t)strtoul(words[2], NULL, 10);
		wanted.crc = (uint32_t)strtoul(words[3], NULL, 16);
	}
	return wanted;
}

static void is_as_wanted(const struct wanted *wanted, const char *label)
{
	struct kit_outcome outcome =
	    kit_expand(expander, wanted->codec, wanted->bytes, wanted->size, ENOUGH);

	if (wanted->refused ? outcome.end != EXPANDED_CORRUPT
			    : outcome.end != EXPANDED_END || outcome.len != wanted->len ||
				  outcome.crc != wanted->crc)
		fail_msg("%s: ended with %d after %zu bytes", label, outcome.end, outcome.len);
}

static void expand_line(char *words[], void *arg)
{
	struct wanted wanted = wanted_of(words);

	/* Twice: nothing is left behind. */
	is_as_wanted(&wanted, words[1]);
	is_as_wanted(&wanted, words[1]);
}

static void what_libraries_made_comes_back(void **state)
{
	assert_true(kit_lines(golden, 5, expand_line, NULL) > 60);
}

static void limit_line(char *words[], void *arg)
{
	struct wanted wanted = wanted_of(words);
	struct kit_outcome outcome;

	if (wanted.refused || wanted.len == 0)
		return;
	outcome = kit_expand(expander, wanted.codec, wanted.bytes, wanted.size, wanted.len);
	assert_int_equal(outcome.end, EXPANDED_END);
	for (size_t less = 1; less <= wanted.len; less += 1 + wanted.len / 7) {
		outcome = kit_expand(expander, wanted.codec, wanted.bytes, wanted.size,
				     wanted.len - less);
		assert_int_equal(outcome.end, EXPANDED_TOO_LARGE);
	}
}

static void the_limit_is_kept_to_the_byte(void **state)
{
	kit_lines(golden, 5, limit_line, NULL);
}

/* ---- damaged ---- */

/* Where memory is filled as it is taken, 8 or 128 MiB each time take too long. */
static bool takes_much(const char *label)
{
	return strstr(label, "MiB") || strstr(label, "level-19") || strstr(label, "level-22");
}

struct counts {
	unsigned cut, complete;
};

static void cut_line(char *words[], void *arg)
{
	struct wanted wanted = wanted_of(words);
	struct counts *counts = arg;

	for (size_t len = 0; len < wanted.size && wanted.size < 2000 && !takes_much(words[1]);
	     len++) {
		struct kit_outcome outcome =
		    kit_expand(expander, wanted.codec, wanted.bytes, len, ENOUGH);

		assert_true(outcome.end == EXPANDED_CORRUPT || outcome.end == EXPANDED_END);
		counts->cut++;
		counts->complete += outcome.end == EXPANDED_END;
	}
	is_as_wanted(&wanted, words[1]);
}

static void cut_anywhere_it_ends(void **state)
{
	struct counts counts = {0, 0};

	kit_lines(golden, 5, cut_line, &counts);
	/* Between blocks, frames or members, and in what is not looked at, a cut can't be seen. */
	assert_true(counts.cut > 10000 && counts.complete < counts.cut / 50);
}

/* One line, cut in its middle, and then each line: each must be as if nothing had been before it. */
static void after_a_cut_line(char *words[], void *arg)
{
	const struct wanted *before = arg;
	struct wanted wanted = wanted_of(words);

	if (takes_much(words[1]))
		return;
	(void)kit_expand(expander, before->codec, before->bytes, before->size / 2, ENOUGH);
	is_as_wanted(&wanted, words[1]);
}

static void cut_and_then_all_line(char *words[], void *arg)
{
	struct wanted wanted = wanted_of(words);

	if (!takes_much(words[1]))
		kit_lines(golden, 5, after_a_cut_line, &wanted);
}

static void what_was_cut_leaves_nothing_behind(void **state)
{
	kit_lines(golden, 5, cut_and_then_all_line, NULL);
}

static void flip_line(char *words[], void *arg)
{
	struct wanted wanted = wanted_of(words);
	size_t step = 1 + wanted.size / 400;

	for (size_t at = 0; at < wanted.size && !takes_much(words[1]); at += step)
		for (int bit = 0; bit < 8; bit++) {
			wanted.bytes[at] = (char)(wanted.bytes[at] ^ 1 << bit);
			(void)kit_expand(expander, wanted.codec, wanted.bytes, wanted.size, ENOUGH);
			wanted.bytes[at] = (char)(wanted.bytes[at] ^ 1 << bit);
		}
	is_as_wanted(&wanted, words[1]);
}

static void any_bit_may_be_wrong(void **state)
{
	kit_lines(golden, 5, flip_line, NULL);
}

static void other_codec_line(char *words[], void *arg)
{
	struct wanted wanted = wanted_of(words);

	for (int codec = RECORD_CODEC_NONE; codec <= RECORD_CODEC_ZSTD; codec++)
		(void)kit_expand(expander, (enum record_codec)codec, wanted.bytes, wanted.size,
				 ENOUGH);
}

static void what_another_codec_made_is_no_harm(void **state)
{
	kit_lines(golden, 5, other_codec_line, NULL);
}

static void what_is_not_compressed_goes_through(void **state)
{
	struct kit_outcome outcome = kit_expand(expander, RECORD_CODEC_NONE, "abc", 3, 3);

	assert_int_equal(outcome.end, EXPANDED_END);
	assert_int_equal(outcome.len, 3);
	assert_int_equal(kit_expand(expander, RECORD_CODEC_NONE, "abc", 3, 2).end,
			 EXPANDED_TOO_LARGE);
	assert_int_equal(kit_expand(expander, RECORD_CODEC_NONE, "", 0, 0).end, EXPANDED_END);
}

/* ---- bombs ---- */

#define BOMB_BYTES (64u << 20)

static struct slice gzip_of(const char *plain, size_t len, char *out, size_t size)
{
	z_stream z = {0};

	assert_int_equal(deflateInit2(&z, 9, Z_DEFLATED, 15 + 16, 9, Z_DEFAULT_STRATEGY), Z_OK);
	z.next_in = (Bytef *)(uintptr_t)plain;
	z.avail_in = (uInt)len;
	z.next_out = (Bytef *)out;
	z.avail_out = (uInt)size;
	assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
	deflateEnd(&z);
	return slice_make(out, size - z.avail_out);
}

static struct slice snappy_of(const char *plain, size_t len, char *out, size_t size)
{
	assert_int_equal(snappy_compress(plain, len, out, &size), SNAPPY_OK);
	return slice_make(out, size);
}

static struct slice lz4_of(const char *plain, size_t len, char *out, size_t size)
{
	const LZ4F_preferences_t preferences = {.frameInfo.blockMode = LZ4F_blockIndependent,
						.frameInfo.blockSizeID = LZ4F_max4MB};

	size = LZ4F_compressFrame(out, size, plain, len, &preferences);
	assert_false(LZ4F_isError(size));
	return slice_make(out, size);
}

static struct slice zstd_of(const char *plain, size_t len, char *out, size_t size)
{
	size = ZSTD_compress(out, size, plain, len, 19);
	assert_false(ZSTD_isError(size));
	return slice_make(out, size);
}

static void bombs_go_no_further_than_the_limit(void **state)
{
	static struct slice (*const make[])(const char *, size_t, char *, size_t) = {
	    [RECORD_CODEC_GZIP] = gzip_of,
	    [RECORD_CODEC_SNAPPY] = snappy_of,
	    [RECORD_CODEC_LZ4] = lz4_of,
	    [RECORD_CODEC_ZSTD] = zstd_of,
	};
	const size_t room = BOMB_BYTES + BOMB_BYTES / 4;
	char *plain = calloc(1, BOMB_BYTES), *out = malloc(room);

	for (int codec = RECORD_CODEC_GZIP; codec <= RECORD_CODEC_ZSTD; codec++) {
		struct slice bomb = make[codec](plain, BOMB_BYTES, out, room);
		struct kit_outcome outcome =
		    kit_expand(expander, (enum record_codec)codec, bomb.ptr, bomb.len, ENOUGH);

		assert_int_equal(outcome.end, EXPANDED_TOO_LARGE);
		outcome =
		    kit_expand(expander, (enum record_codec)codec, bomb.ptr, bomb.len, BOMB_BYTES);
		assert_int_equal(outcome.end, EXPANDED_END);
		assert_int_equal(outcome.len, BOMB_BYTES);
	}
	free(plain);
	free(out);
}

/* What says nothing, as often as there is room for it. */
static void emptiness_ends_too(void **state)
{
	static const char magic[] = "\x82SNAPPY\0\0\0\0\1\0\0\0\1";
	enum { TIMES = 20000 };
	char *out = malloc(64 * TIMES), piece[64];
	size_t len, at = 0;

	len = gzip_of("", 0, piece, sizeof(piece)).len;
	for (int i = 0; i < TIMES; i++)
		memcpy(out + (size_t)i * len, piece, len);
	assert_int_equal(kit_expand(expander, RECORD_CODEC_GZIP, out, len * TIMES, 0).end,
			 EXPANDED_END);
	len = zstd_of("", 0, piece, sizeof(piece)).len;
	for (int i = 0; i < TIMES; i++)
		memcpy(out + (size_t)i * len, piece, len);
	assert_int_equal(kit_expand(expander, RECORD_CODEC_ZSTD, out, len * TIMES, 0).end,
			 EXPANDED_END);
	memcpy(out, magic, 16);
	for (at = 16; at < 16 + 5 * TIMES; at += 5)
		memcpy(out + at, "\0\0\0\1\0", 5);
	assert_int_equal(kit_expand(expander, RECORD_CODEC_SNAPPY, out, at, 0).end, EXPANDED_END);
	free(out);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(what_libraries_made_comes_back),
	    cmocka_unit_test(the_limit_is_kept_to_the_byte),
	    cmocka_unit_test(cut_anywhere_it_ends),
	    cmocka_unit_test(what_was_cut_leaves_nothing_behind),
	    cmocka_unit_test(any_bit_may_be_wrong),
	    cmocka_unit_test(what_another_codec_made_is_no_harm),
	    cmocka_unit_test(what_is_not_compressed_goes_through),
	    cmocka_unit_test(bombs_go_no_further_than_the_limit),
	    cmocka_unit_test(emptiness_ends_too),
	};

	golden = argc > 1 ? argv[1] : "golden.txt";
	return cmocka_run_group_tests(tests, setup, teardown);
}
