/*
 * snappy: one block, as librdkafka sends it, or Java's frame around blocks: a magic number, two
 * versions, then each block behind its length. Frames may follow each other; less than a length at
 * the end is not looked at.
 */
#include <snappy-c.h>
#include <stdlib.h>

#include "base/be.h"
#include "kafka/codec/internal.h"

#define FRAME_MAGIC     "\x82SNAPPY"
#define FRAME_MAGIC_LEN sizeof(FRAME_MAGIC) /* with a zero behind it */
#define FRAME_HEADER    16u
#define LENGTH_BYTES    4u

/* What makes most of few bytes is a copy: three bytes that stand for 64. */
#define RATIO_MAX 22u

static bool is_frame(struct slice in)
{
	return in.len >= FRAME_HEADER && memcmp(in.ptr, FRAME_MAGIC, FRAME_MAGIC_LEN) == 0;
}

static enum expanded snappy_begin(struct expander *expander)
{
	expander->framed = is_frame(expander->in);
	return EXPANDED_PIECE;
}

static enum expanded make_room(struct expander *expander, size_t size)
{
	char *block;

	if (size <= expander->block_size)
		return EXPANDED_PIECE;
	/* Nothing of the last one is needed. */
	free(expander->block);
	expander->block = NULL;
	expander->block_size = 0;
	block = malloc(size);
	if (!block)
		return EXPANDED_NO_MEMORY;
	expander->block = block;
	expander->block_size = size;
	return EXPANDED_PIECE;
}

static enum expanded expand_block(struct expander *expander, struct slice in,
				  struct slice *ret_piece)
{
	size_t size = 0;
	enum expanded r;

	if (snappy_uncompressed_length(in.ptr, in.len, &size) != SNAPPY_OK ||
	    size / RATIO_MAX > in.len)
		return EXPANDED_CORRUPT;
	if (size > expander->limit - expander->total)
		return EXPANDED_TOO_LARGE;
	r = make_room(expander, size > 0 ? size : 1);
	if (r != EXPANDED_PIECE)
		return r;
	if (snappy_uncompress(in.ptr, in.len, expander->block, &size) != SNAPPY_OK)
		return EXPANDED_CORRUPT;
	*ret_piece = slice_make(expander->block, size);
	return EXPANDED_PIECE;
}

static enum expanded snappy_next(struct expander *expander, struct slice *ret_piece)
{
	struct slice in = expander->in;

	if (expander->finished)
		return EXPANDED_END;
	if (!expander->framed) {
		expander->finished = true;
		return expand_block(expander, in, ret_piece);
	}
	if (is_frame(in)) {
		expander_skip(expander, FRAME_HEADER);
		return EXPANDED_PIECE;
	}
	if (in.len < LENGTH_BYTES)
		return EXPANDED_END;
	in.len = be_load32(in.ptr);
	expander_skip(expander, LENGTH_BYTES);
	if (in.len > expander->in.len)
		return EXPANDED_CORRUPT;
	in.ptr = expander->in.ptr;
	expander_skip(expander, in.len);
	return expand_block(expander, in, ret_piece);
}

static void snappy_free(struct expander *expander)
{
	free(expander->block);
	expander->block = NULL;
	expander->block_size = 0;
}

static void snappy_end(struct expander *expander)
{
	if (expander->block_size > EXPANDER_KEEP)
		snappy_free(expander);
}

const struct codec snappy_codec = {snappy_begin, snappy_next, snappy_end, snappy_free};
