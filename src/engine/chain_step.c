/*
 * The step: what moves, by which technique, and what the caller hears.
 *
 *     leat_chain_step()   once around: step_run(), give back what is empty, verify, publish
 *       step_run()        while there is a head: completions, then step_run_head(); at the end the
 *                         completions that are outstanding
 * step_run_head() the head is over: drop it; else step_move_head(), and step_after_move() turns
 *                         the technique's stop into a step
 *           step_move_head()  chooses a technique if there is none yet (chain_choose()), moves by
 *                         chain_gather() or by the technique, once; when that is refused before the
 *                         first byte, step_fall_back() chooses another, and again
 *
 * A budget bounds what one step moves, a chunk what one call does. Errors end the chain:
 * chain_fail() notes the first one with its text, and every later step returns it.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "engine/completion.h"
#include "engine/mirror.h"

#define BUDGET_DEFAULT (1024u * 1024u)

int chain_fail(struct leat_chain *chain, int error, const char *fmt, ...)
{
	va_list args;

	chain->error = error;
	if (chain->error_text[0] == '\0') {
		va_start(args, fmt);
		vsnprintf(chain->error_text, sizeof(chain->error_text), fmt, args);
		va_end(args);
	}
	return error;
}

static const char *step_error_name(int error)
{
	const char *name = strerrorname_np(-error);

	return name ? name : "unknown error";
}

void chain_would_block(struct leat_chain *chain, int fd, short poll_events)
{
	chain->ledger.would_block++;
	chain->wait = (struct leat_wait){sizeof(chain->wait), fd, poll_events};
}

/* ---- Which technique ---- */

static enum leat_technique step_asked_technique(const struct leat_chain *chain,
						const struct segment *segment)
{
	if (segment->kind == SOURCE_MEMORY && chain->sink.memory_is_free)
		return LEAT_AUTO;
	return chain->sink.technique;
}

int chain_choose(struct leat_chain *chain, struct segment *segment)
{
	struct policy_input input = {
	    .source = segment->kind,
	    .sink = chain->sink.kind,
	    .length = segment->length,
	    .asked = step_asked_technique(chain, segment),
	    .refused = segment->refused,
	    .mirrored = chain->mirror_count > 0,
	    .limits = &chain->engine->limits,
	};

	for (;;) {
		struct policy_choice choice = policy_choose(&input);
		const char *name = leat_technique_name(choice.technique);

		if (choice.error < 0)
			return chain_fail(chain, choice.error, "%s: %s", name, choice.reason);
		segment->technique = technique_find(choice.technique);
		if (segment->technique) {
			segment->reason = choice.reason;
			chain->techniques_used |= 1u << choice.technique;
			return 0;
		}
		if (input.asked != LEAT_AUTO)
			return chain_fail(chain, -EOPNOTSUPP, "%s: not built into this library",
					  name);
		input.refused |= 1u << choice.technique;
	}
}

/* Nothing of the segment is with the sink, and what was taken is where copying finds it. */
static bool step_may_fall_back(const struct leat_chain *chain, const struct segment *segment)
{
	return segment->sent == 0 && chain->piped == 0 && segment->taken == chain_held(chain);
}

/* The technique said -errno: another one, or the end of the chain. 0 or -errno. */
static int step_fall_back(struct leat_chain *chain, struct segment *segment, int error)
{
	enum leat_technique id = segment->technique->id;
	const char *name = leat_technique_name(id);
	int r;

	if (!policy_is_refusal(id, error) || !step_may_fall_back(chain, segment))
		return chain_fail(chain, error, "%s failed with %s after %llu bytes of the segment",
				  name, step_error_name(error), (unsigned long long)segment->sent);
	if (chain->sink.technique != LEAT_AUTO) {
		snprintf(chain->fallback_text, sizeof(chain->fallback_text), "%s refused (%s)",
			 name, step_error_name(error));
		return chain_fail(chain, -EOPNOTSUPP,
				  "%s was asked for, and refused for these descriptors (%s)", name,
				  step_error_name(error));
	}
	chain_fell_back(chain, id, error);
	segment->refused |= 1u << id;
	segment->technique = NULL;
	r = chain_choose(chain, segment);
	if (r < 0)
		return r;
	CHECK(segment->technique);
	snprintf(chain->fallback_text, sizeof(chain->fallback_text),
		 "%s refused (%s): went on by %s", name, step_error_name(error),
		 leat_technique_name(segment->technique->id));
	return 0;
}

/* ---- One move ---- */

/* The bytes behind the head are in memory already: the last packet of the head may wait for them.
 */
static bool step_next_in_hand(const struct leat_chain *chain)
{
	const struct segment *next;

	if (chain->count < 2)
		return false;
	next = chain_segment(chain, 1);
	return next->kind == SOURCE_MEMORY && next->length > 0;
}

static int step_move_by_technique(struct leat_chain *chain, struct segment *segment, size_t max,
				  size_t budget, struct moved *ret)
{
	bool more = max < budget && max == segment_left(segment) && step_next_in_hand(chain);

	if (max > 0 && !segment->technique->reads_elsewhere &&
	    !chain_is_resident(chain, segment, max))
		return LEAT_WANT_LOAD;
	if (segment->technique->id != LEAT_COPY || chain->mirror_count > 0)
		sink_guard(chain);
	return segment->technique->move(chain, segment, max, more, ret);
}

/* What one step may do. */
struct turn {
	size_t budget; /* as given */
	size_t moved;  /* so far */
};

static size_t step_turn_left(const struct turn *turn)
{
	return turn->budget - turn->moved;
}

/* 0, LEAT_WANT_LOAD, or -errno. */
static int step_move_head(struct leat_chain *chain, struct segment *segment,
			  const struct turn *turn, struct moved *ret)
{
	/* By the whole budget, not by what is left of it: a header must not cost its body a
	 * second step of a few bytes. */
	size_t chunk = min_size(turn->budget, CHUNK_MAX);
	size_t max = (size_t)min_u64(segment_left(segment), chunk);
	uint64_t bytes_before = chain->ledger.bytes;
	uint64_t taken_before = segment->taken;
	int r = segment->technique ? 0 : chain_choose(chain, segment);

	if (r < 0)
		return r;
	for (;;) {
		if (chain_held(chain) == 0 && gather_fits(chain, segment))
			r = chain_gather(chain, chunk, step_turn_left(turn), ret);
		else
			r = step_move_by_technique(chain, segment, max, step_turn_left(turn), ret);
		if (r >= 0)
			break;
		if (chain->error == 0)
			r = step_fall_back(chain, segment, r);
		if (r < 0)
			return r;
	}
	if (r == LEAT_WANT_LOAD)
		return r;
	CHECK(chain->ledger.bytes - bytes_before == ret->bytes);
	/* "Call again" with nothing done would spin. (Mirrors may move while the sink does not.) */
	CHECK(ret->stop != STOP_NONE || max == 0 || ret->bytes > 0 ||
	      segment->taken != taken_before || chain->mirror_count > 0);
	return 0;
}

static int step_source_ended(struct leat_chain *chain, struct segment *segment)
{
	uint64_t start = segment->offset == SEGMENT_CURRENT ? 0 : segment->offset;

	CHECK(chain_held(chain) == 0);
	if (segment->length == LEAT_TO_END || segment->may_end_early) {
		segment->length = segment->sent;
		return LEAT_MORE;
	}
	return chain_fail(chain, -ENODATA, "%s ended at %llu, expected %llu",
			  segment->kind == SOURCE_FILE ? "file" : "source",
			  (unsigned long long)(start + segment->taken),
			  (unsigned long long)(start + segment->length));
}

/* LEAT_MORE: go on. */
static int step_after_move(struct leat_chain *chain, struct segment *segment,
			   const struct moved *moved)
{
	CHECK(segment->taken - segment->sent == chain_held(chain));
	chain->unsettled = moved->stop == STOP_COMPLETION || mirrors_hold_segment(chain);
	switch (moved->stop) {
	case STOP_SOURCE_EMPTY:
		return LEAT_WANT_READ;
	case STOP_SINK_FULL:
		return LEAT_WANT_WRITE;
	case STOP_COMPLETION:
		return LEAT_WANT_COMPLETION;
	case STOP_SOURCE_END:
		return step_source_ended(chain, segment);
	case STOP_NONE:
		break;
	}
	return LEAT_MORE;
}

/* ---- The step ---- */

static bool step_head_is_over(const struct leat_chain *chain)
{
	return segment_left(chain_segment(chain, 0)) == 0 && !chain->unsettled;
}

/* The head moves, or is over. LEAT_MORE: go on. */
static int step_run_head(struct leat_chain *chain, struct turn *turn)
{
	struct segment *segment = chain_segment(chain, 0);
	struct moved moved = {0, STOP_NONE};
	int r;

	if (step_head_is_over(chain)) {
		chain_drop_head(chain);
		return LEAT_MORE;
	}
	r = step_move_head(chain, segment, turn, &moved);
	if (r != 0)
		return r;
	turn->moved += moved.bytes;
	return step_after_move(chain, segment, &moved);
}

/* Releases are called by chain_drop_head() and completion_...() only, where nobody holds a segment:
 * a release may add some. */
static int step_run(struct leat_chain *chain, size_t budget)
{
	struct turn turn = {budget, 0};
	bool outstanding;

	do {
		while (chain->count > 0) {
			int r;

			completion_collect(chain);
			if (chain->error < 0)
				return chain->error;
			if (turn.moved >= turn.budget && !step_head_is_over(chain))
				return LEAT_MORE;
			r = step_run_head(chain, &turn);
			if (r != LEAT_MORE)
				return r;
		}
		outstanding = completion_outstanding(chain);
		if (chain->error < 0)
			return chain->error;
	} while (chain->count > 0);
	return outstanding ? LEAT_WANT_COMPLETION : LEAT_DONE;
}

int leat_chain_step(struct leat_chain *chain, size_t budget)
{
	int r;

	if (unlikely(chain->error < 0))
		return chain->error;
	r = step_run(chain, budget == 0 ? BUDGET_DEFAULT : budget);
	if (chain->piped == 0)
		chain_give_pipe(chain);
	if (chain->bounce.data && chain->bounce.start == chain->bounce.end &&
	    !mirrors_hold_bounce(chain))
		chain_give_bounce(chain);
	chain->ledger.syscalls += sigpipe_let_go(&chain->engine->sigpipe);
	chain_verify(chain);
	ledger_publish(&chain->engine->totals, &chain->ledger, &chain->published);
	chain->published = chain->ledger;
	if (r >= 0)
		chain->step = (enum leat_step)r;
	else
		chain_fail(chain, r, "%s", step_error_name(r));
	return r;
}
