/*
 * What the codecs share. Each has its part of the expander, and three functions: begin() looks at
 * `in` for the first time, next() takes from it and says what it made, end() gives back what is
 * large. They need not count: expander.c does.
 */
#ifndef KAFKA_CODEC_INTERNAL_H
#define KAFKA_CODEC_INTERNAL_H

#include <lz4frame.h>
#include <zlib.h>
#include <zstd.h>

#include "kafka/codec/expander.h"

/* Where codecs that can stop anywhere write to: a block of lz4 as clients make them, so that it is
 * expanded in place, and half of zstd's. It stays in the processor's cache. */
#define EXPANDER_WINDOW (64u * 1024u)
/* What is kept of each codec. zstd at Kafka's own level refers back 2 MiB. */
#define EXPANDER_KEEP (4u * 1024u * 1024u)

struct expander {
	struct slice in; /* what has not been looked at */
	size_t total, limit;
	enum record_codec codec;
	enum expanded state; /* PIECE: goes on */
	bool finished;       /* nothing more will come of `in` */

	z_stream gzip;
	bool gzip_there;
	ZSTD_DCtx *zstd;
	bool zstd_inside; /* of a frame */
	LZ4F_dctx *lz4;
	size_t lz4_block; /* the largest it has made room for */
	char *block;      /* of snappy */
	size_t block_size;
	bool framed; /* by Java's snappy */

	char window[EXPANDER_WINDOW];
};

/* PIECE: go on with next(). */
typedef enum expanded (*codec_begin)(struct expander *);
/* PIECE with an empty one: nothing came of it yet. */
typedef enum expanded (*codec_next)(struct expander *, struct slice *ret_piece);
typedef void (*codec_end)(struct expander *);

struct codec {
	codec_begin begin;
	codec_next next;
	codec_end end;
	void (*free)(struct expander *);
};

extern const struct codec gzip_codec, snappy_codec, lz4_codec, zstd_codec;

static inline void expander_skip(struct expander *expander, size_t len)
{
	expander->in = slice_make(expander->in.ptr + len, expander->in.len - len);
}

#endif
