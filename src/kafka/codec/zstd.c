/*
 * zstd: frames, one behind the other, also those that are to be skipped.
 */
#include <zstd_errors.h>

#include "kafka/codec/internal.h"

/* How far a frame may refer back: 128 MiB, the library's own limit, which Kafka's keeps to. */
#define WINDOW_LOG_MAX 27

static enum expanded zstd_begin(struct expander *expander)
{
	if (!expander->zstd)
		expander->zstd = ZSTD_createDCtx();
	if (!expander->zstd)
		return EXPANDED_NO_MEMORY;
	ZSTD_DCtx_reset(expander->zstd, ZSTD_reset_session_only);
	ZSTD_DCtx_setParameter(expander->zstd, ZSTD_d_windowLogMax, WINDOW_LOG_MAX);
	expander->zstd_inside = false;
	return EXPANDED_PIECE;
}

static enum expanded zstd_next(struct expander *expander, struct slice *ret_piece)
{
	ZSTD_inBuffer in = {expander->in.ptr, expander->in.len, 0};
	ZSTD_outBuffer out = {expander->window, sizeof(expander->window), 0};
	size_t left;

	if (in.size == 0 && !expander->zstd_inside)
		return EXPANDED_END;
	left = ZSTD_decompressStream(expander->zstd, &out, &in);
	if (ZSTD_isError(left))
		return ZSTD_getErrorCode(left) == ZSTD_error_memory_allocation ? EXPANDED_NO_MEMORY
									       : EXPANDED_CORRUPT;
	if (in.pos == 0 && out.pos == 0)
		return EXPANDED_CORRUPT; /* it is cut */
	expander_skip(expander, in.pos);
	expander->zstd_inside = left > 0;
	*ret_piece = slice_make(expander->window, out.pos);
	return EXPANDED_PIECE;
}

static void zstd_free(struct expander *expander)
{
	ZSTD_freeDCtx(expander->zstd);
	expander->zstd = NULL;
}

static void zstd_end(struct expander *expander)
{
	if (expander->zstd && ZSTD_sizeof_DCtx(expander->zstd) > EXPANDER_KEEP)
		zstd_free(expander);
}

const struct codec zstd_codec = {zstd_begin, zstd_next, zstd_end, zstd_free};
