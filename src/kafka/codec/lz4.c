/*
 * lz4: one frame. Kafka reads less than the format has: its blocks must not refer to each other, and
 * there are no dictionaries. What follows the frame is not looked at.
 */
#include "kafka/codec/internal.h"

#define FRAME_MAGIC "\x04\x22\x4d\x18"
/* Magic, flags, size of blocks. */
#define HEAD_BYTES 6u

/* Version 1, independent blocks, no dictionary; the other flags may be as they want. */
#define FLAGS_MASK 0xe3
#define FLAGS      0x60

/* 0: not what Kafka reads. */
static size_t block_size(struct slice in)
{
	unsigned char flags, size;

	if (in.len < HEAD_BYTES || memcmp(in.ptr, FRAME_MAGIC, 4) != 0)
		return 0;
	flags = (unsigned char)in.ptr[4];
	size = (unsigned char)in.ptr[5];
	if ((flags & FLAGS_MASK) != FLAGS || size & 0x8f || size < 0x40)
		return 0;
	return (size_t)1 << (2 * (size >> 4) + 8);
}

static enum expanded lz4_begin(struct expander *expander)
{
	size_t block = block_size(expander->in);

	if (block == 0)
		return EXPANDED_CORRUPT;
	if (!expander->lz4 &&
	    LZ4F_isError(LZ4F_createDecompressionContext(&expander->lz4, LZ4F_VERSION)))
		return EXPANDED_NO_MEMORY;
	LZ4F_resetDecompressionContext(expander->lz4);
	if (block > expander->lz4_block)
		expander->lz4_block = block;
	return EXPANDED_PIECE;
}

static enum expanded lz4_next(struct expander *expander, struct slice *ret_piece)
{
	size_t in = expander->in.len, out = sizeof(expander->window), left;

	if (expander->finished)
		return EXPANDED_END;
	left = LZ4F_decompress(expander->lz4, expander->window, &out, expander->in.ptr, &in, NULL);
	if (LZ4F_isError(left))
		return EXPANDED_CORRUPT;
	if (in == 0 && out == 0 && left > 0)
		return EXPANDED_CORRUPT; /* it is cut */
	expander_skip(expander, in);
	expander->finished = left == 0;
	*ret_piece = slice_make(expander->window, out);
	return EXPANDED_PIECE;
}

static void lz4_free(struct expander *expander)
{
	LZ4F_freeDecompressionContext(expander->lz4);
	expander->lz4 = NULL;
	expander->lz4_block = 0;
}

/* The library has room for two blocks. And where a frame has not come to its end, resetting is not
 * enough: how much of it there should be is taken for that of the next one, if that doesn't say (seen
 * with 1.9.4). */
static void lz4_end(struct expander *expander)
{
	if (!expander->finished || 2 * expander->lz4_block > EXPANDER_KEEP)
		lz4_free(expander);
}

const struct codec lz4_codec = {lz4_begin, lz4_next, lz4_end, lz4_free};
