#include "unit/kafka/codec/kit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/crc32c.h"

unsigned kit_lines(const char *path, unsigned words, void (*fn)(char *words[], void *arg),
		   void *arg)
{
	FILE *file = fopen(path, "r");
	char *line = NULL, *save, *word[KIT_WORDS];
	unsigned count = 0;
	size_t size = 0;

	assert_non_null(file);
	while (getline(&line, &size, file) > 0) {
		if (line[0] == '#')
			continue;
		line[strcspn(line, "\n")] = '\0';
		for (unsigned i = 0; i < words; i++)
			word[i] = strtok_r(i ? NULL : line, " ", &save);
		fn(word, arg);
		count++;
	}
	free(line);
	fclose(file);
	return count;
}

static int nibble(char c)
{
	return c <= '9' ? c - '0' : c - 'a' + 10;
}

size_t kit_from_hex(char *hex)
{
	size_t len;

	if (!hex)
		return 0;
	for (len = 0; hex[2 * len]; len++)
		hex[len] = (char)(nibble(hex[2 * len]) << 4 | nibble(hex[2 * len + 1]));
	return len;
}

enum record_codec kit_codec(const char *name)
{
	static const char *const names[] = {"none", "gzip", "snappy", "lz4", "zstd"};

	for (unsigned i = 0; i < ARRAY_SIZE(names); i++)
		if (strcmp(name, names[i]) == 0)
			return (enum record_codec)i;
	fail_msg("no codec: %s", name);
	return RECORD_CODEC_NONE;
}

struct kit_outcome kit_expand(struct expander *expander, enum record_codec codec, const char *in,
			      size_t len, size_t limit)
{
	struct kit_outcome outcome = {.end = EXPANDED_PIECE};
	struct slice piece;
	char *copy = malloc(len ? len : 1);

	if (len)
		memcpy(copy, in, len);
	expander_begin(expander, codec, slice_make(copy, len), limit);
	while ((outcome.end = expander_next(expander, &piece)) == EXPANDED_PIECE) {
		assert_true(piece.len > 0);
		outcome.len += piece.len;
		outcome.crc = crc32c(outcome.crc, piece.ptr, piece.len);
	}
	assert_true(outcome.len <= limit);
	assert_int_equal(expander_total(expander), outcome.len);
	/* And it stays so. */
	assert_int_equal(expander_next(expander, &piece), outcome.end);
	expander_end(expander);
	free(copy);
	return outcome;
}
