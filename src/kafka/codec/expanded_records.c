#include "kafka/codec/expanded_records.h"

#include <stdlib.h>

static enum record_batch_fault fault_of(enum expanded expanded)
{
	switch (expanded) {
	case EXPANDED_PIECE:
	case EXPANDED_END:
		return RECORD_BATCH_OK;
	case EXPANDED_TOO_LARGE:
		return RECORD_BATCH_EXPANDED;
	case EXPANDED_NO_MEMORY:
		return RECORD_BATCH_NO_MEMORY;
	case EXPANDED_CORRUPT:
		break;
	}
	return RECORD_BATCH_COMPRESSED;
}

/* Each piece, until one of them is not OK. */
static enum record_batch_fault
each_piece(struct expander *expander, const struct record_batch *batch, size_t limit,
	   enum record_batch_fault (*take)(void *arg, struct slice piece), void *arg)
{
	enum record_batch_fault fault = RECORD_BATCH_OK;
	enum expanded expanded = EXPANDED_PIECE;
	struct slice piece;

	expander_begin(expander, record_batch_codec(batch), batch->records, limit);
	while (fault == RECORD_BATCH_OK && expanded == EXPANDED_PIECE) {
		expanded = expander_next(expander, &piece);
		fault = expanded == EXPANDED_PIECE ? take(arg, piece) : fault_of(expanded);
	}
	expander_end(expander);
	return fault;
}

/* ---- check ---- */

static enum record_batch_fault check_piece(void *arg, struct slice piece)
{
	return records_check_feed(arg, piece);
}

enum record_batch_fault expanded_records_check(struct expander *expander,
					       const struct record_batch *batch, size_t limit,
					       const struct records_rules *rules,
					       struct records_summary *ret, size_t *ret_size)
{
	struct records_check check;
	enum record_batch_fault fault;

	records_check_begin(&check, batch, rules, ret);
	fault = each_piece(expander, batch, limit, check_piece, &check);
	*ret_size = expander_total(expander);
	return fault == RECORD_BATCH_OK ? records_check_end(&check) : fault;
}

/* ---- find ---- */

struct finding {
	struct record_walk walk;
	int64_t from, timestamp;
	struct record_head head;
	bool found;
};

static enum record_batch_fault find_in_piece(void *arg, struct slice piece)
{
	struct finding *finding = arg;
	const struct record_batch *batch = finding->walk.batch;
	enum record_batch_fault fault = RECORD_BATCH_OK;

	while (fault == RECORD_BATCH_OK) {
		fault = record_walk_next(&finding->walk, &piece, &finding->head);
		finding->found = fault == RECORD_BATCH_OK &&
				 finding->head.timestamp >= finding->timestamp &&
				 batch->base_offset + finding->head.delta >= finding->from;
		if (finding->found)
			return RECORD_BATCH_END;
	}
	/* This piece's end. */
	return fault == RECORD_BATCH_END ? RECORD_BATCH_OK : fault;
}

enum record_batch_fault expanded_records_find(struct expander *expander,
					      const struct record_batch *batch, size_t limit,
					      int64_t from, int64_t timestamp,
					      struct record_head *ret)
{
	struct finding finding = {.from = from, .timestamp = timestamp};
	enum record_batch_fault fault;

	record_walk_begin(&finding.walk, batch);
	fault = each_piece(expander, batch, limit, find_in_piece, &finding);
	if (finding.found) {
		*ret = finding.head;
		return RECORD_BATCH_OK;
	}
	if (fault != RECORD_BATCH_OK)
		return fault;
	return record_walk_is_between(&finding.walk) ? RECORD_BATCH_END : RECORD_BATCH_RECORD;
}

/* ---- load ---- */

struct loading {
	char *ptr;
	size_t len, size;
};

static enum record_batch_fault load_piece(void *arg, struct slice piece)
{
	struct loading *loading = arg;

	if (piece.len > loading->size - loading->len) {
		size_t size = 2 * (loading->len + piece.len);
		char *larger = realloc(loading->ptr, size);

		if (!larger)
			return RECORD_BATCH_NO_MEMORY;
		loading->ptr = larger;
		loading->size = size;
	}
	memcpy(loading->ptr + loading->len, piece.ptr, piece.len);
	loading->len += piece.len;
	return RECORD_BATCH_OK;
}

enum record_batch_fault expanded_records_load(struct expander *expander,
					      const struct record_batch *batch, size_t limit,
					      char **ret, size_t *ret_len)
{
	struct loading loading = {NULL, 0, 0};
	enum record_batch_fault fault = each_piece(expander, batch, limit, load_piece, &loading);

	if (fault != RECORD_BATCH_OK) {
		free(loading.ptr);
		return fault;
	}
	*ret = loading.ptr;
	*ret_len = loading.len;
	return RECORD_BATCH_OK;
}
