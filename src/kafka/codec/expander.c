#include "kafka/codec/expander.h"

#include <stdlib.h>

#include "kafka/codec/internal.h"

static enum expanded none_begin(struct expander *expander)
{
	return EXPANDED_PIECE;
}

static enum expanded none_next(struct expander *expander, struct slice *ret_piece)
{
	if (expander->finished)
		return EXPANDED_END;
	*ret_piece = expander->in;
	expander->finished = true;
	return EXPANDED_PIECE;
}

static void none_end(struct expander *expander)
{
}

static const struct codec none_codec = {none_begin, none_next, none_end, none_end};

static const struct codec *const codecs[] = {
    [RECORD_CODEC_NONE] = &none_codec,     [RECORD_CODEC_GZIP] = &gzip_codec,
    [RECORD_CODEC_SNAPPY] = &snappy_codec, [RECORD_CODEC_LZ4] = &lz4_codec,
    [RECORD_CODEC_ZSTD] = &zstd_codec,
};

struct expander *expander_new(void)
{
	struct expander *expander = malloc(sizeof(*expander));

	/* The window is not touched. */
	if (expander)
		memset(expander, 0, offsetof(struct expander, window));
	return expander;
}

void expander_free(struct expander *expander)
{
	if (!expander)
		return;
	for (size_t i = 0; i < ARRAY_SIZE(codecs); i++)
		codecs[i]->free(expander);
	free(expander);
}

void expander_begin(struct expander *expander, enum record_codec codec, struct slice in,
		    size_t limit)
{
	CHECK(codec < ARRAY_SIZE(codecs));
	expander->in = in;
	expander->total = 0;
	expander->limit = limit;
	expander->codec = codec;
	expander->finished = false;
	expander->state = codecs[codec]->begin(expander);
}

enum expanded expander_next(struct expander *expander, struct slice *ret_piece)
{
	struct slice piece = {NULL, 0};

	while (expander->state == EXPANDED_PIECE && piece.len == 0)
		expander->state = codecs[expander->codec]->next(expander, &piece);
	if (expander->state != EXPANDED_PIECE)
		return expander->state;
	if (piece.len > expander->limit - expander->total)
		return expander->state = EXPANDED_TOO_LARGE;
	expander->total += piece.len;
	*ret_piece = piece;
	return EXPANDED_PIECE;
}

size_t expander_total(const struct expander *expander)
{
	return expander->total;
}

void expander_end(struct expander *expander)
{
	codecs[expander->codec]->end(expander);
}
