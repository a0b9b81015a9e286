/*
 * Expands what clients have compressed, a piece at a time: gzip, snappy, lz4, zstd, each as Kafka's
 * own broker reads it.
 *
 *     expander_begin() -> expander_next(): PIECE, PIECE, ... END -> expander_end()
 *
 * Memory does not depend on what the input claims, but for two things. A block of snappy can only be
 * expanded whole: its claim is checked against the limit, and against what so few bytes can hold,
 * before there is memory for it. A frame of zstd says how far it refers back, up to 128 MiB, as with
 * Kafka; of that only as much is touched as there is content, so again no more than the limit.
 * What is larger than EXPANDER_KEEP goes back at the end, the rest is there for the next batch:
 * with batches as clients make them nothing is allocated.
 *
 * Total: any input ends in END or an error, after work in proportion to its length and the limit.
 *
 * No system calls, no threads: an expander belongs to who uses it, between begin and end.
 */
#ifndef KAFKA_CODEC_EXPANDER_H
#define KAFKA_CODEC_EXPANDER_H

#include "base/slice.h"
#include "kafka/wire/record_batch.h"

enum expanded {
	EXPANDED_PIECE,
	EXPANDED_END,
	EXPANDED_CORRUPT, /* damaged, cut, or in no format that Kafka reads */
	EXPANDED_TOO_LARGE,
	EXPANDED_NO_MEMORY,
};

struct expander;

/* NULL: no memory. What a codec needs is made when it is needed. */
struct expander *expander_new(void);
void expander_free(struct expander *expander);

/* `in` stays until the end. More than `limit` bytes come to TOO_LARGE. */
void expander_begin(struct expander *expander, enum record_codec codec, struct slice in,
		    size_t limit);
/* The piece is valid until the next call; it is never empty. After END or an error: the same. */
enum expanded expander_next(struct expander *expander, struct slice *ret_piece);
/* How many bytes there were so far. */
size_t expander_total(const struct expander *expander);
void expander_end(struct expander *expander);

#endif
