/*
 * What clients compress, in each codec. The last byte is the codec, the one before it the limit.
 */
#include "fuzz/fuzz.h"

#include "base/crc32c.h"
#include "kafka/codec/expander.h"

struct outcome {
	enum expanded end;
	size_t total;
	uint32_t crc;
};

static struct outcome expand(struct expander *expander, enum record_codec codec, struct slice in,
			     size_t limit)
{
	struct outcome outcome = {.total = 0};
	struct slice piece;

	expander_begin(expander, codec, in, limit);
	while ((outcome.end = expander_next(expander, &piece)) == EXPANDED_PIECE) {
		HOLDS(piece.len > 0 && piece.len <= limit - outcome.total);
		outcome.total += piece.len;
		outcome.crc = crc32c(outcome.crc, piece.ptr, piece.len);
	}
	HOLDS(expander_next(expander, &piece) == outcome.end);
	HOLDS(expander_total(expander) == outcome.total);
	expander_end(expander);
	return outcome;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct expander *kept;
	enum record_codec codec = (enum record_codec)(take_number(data, &size, 1) % 5);
	size_t limit = (size_t)1 << take_number(data, &size, 1) % 22;
	char *copy = heap_copy(data, size);
	struct expander *fresh = expander_new();
	struct outcome one, other;

	if (!kept)
		kept = expander_new();
	CHECK(kept && fresh);
	/* What came before leaves nothing behind. How much of a damaged frame comes out before that shows
	 * depends on the room there was, with zstd. */
	one = expand(kept, codec, slice_make(copy, size), limit);
	other = expand(fresh, codec, slice_make(copy, size), limit);
	HOLDS((one.end == EXPANDED_END) == (other.end == EXPANDED_END));
	HOLDS(one.end != EXPANDED_END || (one.total == other.total && one.crc == other.crc));
	expander_free(fresh);
	free(copy);
	return 0;
}
