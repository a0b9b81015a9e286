/*
 * gzip, by zlib. As with Java's GZIPInputStream one member may follow another, and what follows the
 * last one and is no member is not looked at.
 */
#include "kafka/codec/internal.h"

/* The largest window, and gzip's header alone. */
#define WINDOW_BITS (15 + 16)
/* Header and trailer. Of less than that Java doesn't look for a member. */
#define MEMBER_MIN 18

static enum expanded gzip_begin(struct expander *expander)
{
	int r = expander->gzip_there ? inflateReset(&expander->gzip)
				     : inflateInit2(&expander->gzip, WINDOW_BITS);

	expander->gzip_there |= r == Z_OK;
	return r == Z_OK ? EXPANDED_PIECE : EXPANDED_NO_MEMORY;
}

static bool is_member(struct slice in)
{
	return in.len > MEMBER_MIN && memcmp(in.ptr, "\x1f\x8b\x08", 3) == 0;
}

static enum expanded gzip_next(struct expander *expander, struct slice *ret_piece)
{
	z_stream *z = &expander->gzip;
	int r;

	if (expander->finished)
		return EXPANDED_END;
	z->next_in = (Bytef *)(uintptr_t)expander->in.ptr;
	z->avail_in = (uInt)expander->in.len;
	z->next_out = (Bytef *)expander->window;
	z->avail_out = sizeof(expander->window);
	r = inflate(z, Z_NO_FLUSH);
	expander_skip(expander, expander->in.len - z->avail_in);
	*ret_piece = slice_make(expander->window, sizeof(expander->window) - z->avail_out);
	if (r == Z_MEM_ERROR)
		return EXPANDED_NO_MEMORY;
	if (r != Z_OK && r != Z_STREAM_END)
		return EXPANDED_CORRUPT; /* Z_BUF_ERROR: it is cut */
	expander->finished = r == Z_STREAM_END && !is_member(expander->in);
	if (r == Z_STREAM_END && !expander->finished)
		(void)inflateReset(z); /* fails only where nothing was initialized */
	return EXPANDED_PIECE;
}

static void gzip_end(struct expander *expander)
{
}

static void gzip_free(struct expander *expander)
{
	if (expander->gzip_there)
		(void)inflateEnd(&expander->gzip);
}

const struct codec gzip_codec = {gzip_begin, gzip_next, gzip_end, gzip_free};
