/*
 * tee(2): one source, several sinks, by reference. Pages go from the source into the chain's pipe,
 * are duplicated into a pipe for each mirror, and each pipe is spliced to its sink.
 *
 *     pull      splice  source -> chain's pipe            only when the sink, and all mirrors that
 *                                                         are waited for, have everything
 *     share     tee     chain's pipe -> mirrors' pipes    the same first chain->teed bytes for all
 *     drain     splice  each pipe -> its sink             as far as each sink takes
 *
 * In lockstep: no sink is more than a pipeful ahead of another; one that takes nothing holds up the
 * next pull, but not what the others have in their pipes. tee does not consume, so a second tee
 * gives the same bytes again: all mirrors get as much as the smallest pipe took, which is why that
 * one is asked first. A mirror that may be dropped may have bytes in its pipe still: it takes as
 * much as the others behind them, or it has fallen behind. A pull is at most half of its pipe, so
 * that it can be late by the other half.
 *
 * A sink that refuses splice (a file in append mode, some devices) is drained by read + write, and
 * the bytes count as copied. A mirror that is waited for and fails fails the transfer, with its
 * number. The chain's ledger counts what the main sink accepted, each mirror's what that one did.
 * Linux 2.6.17.
 */
#include <errno.h>

#include "engine/mirror.h"

#define FLAGS (SPLICE_F_MOVE | SPLICE_F_NONBLOCK)

/* ---- Pull and share ---- */

static int tee_take_pipes(struct leat_chain *chain)
{
	int r = chain_take_pipe(chain);

	for (unsigned i = 0; r == 0 && i < chain->mirror_count; i++)
		if (mirror_is_on(&chain->mirrors[i]))
			r = mirror_take_pipe(chain, &chain->mirrors[i]);
	return r;
}

static size_t tee_pull_max(const struct leat_chain *chain, size_t max)
{
	for (unsigned i = 0; i < chain->mirror_count; i++) {
		const struct mirror *mirror = &chain->mirrors[i];

		if (mirror->policy == LEAT_MIRROR_DROP && mirror_is_on(mirror))
			max = min_size(max, mirror->pipe.capacity / 2);
	}
	return max;
}

static int tee_pull(struct leat_chain *chain, struct segment *segment, size_t max,
		    struct moved *ret)
{
	int64_t offset = (int64_t)(segment->offset + segment->taken);
	bool at_position = segment->offset == SEGMENT_CURRENT;
	int r = tee_take_pipes(chain);
	ssize_t n;

	if (r < 0)
		return r;
	chain_syscall(chain);
	n = sys_splice(segment->fd, at_position ? NULL : &offset, chain->pipe.write_fd, NULL,
		       tee_pull_max(chain, max), FLAGS);
	if (n == -EAGAIN)
		return stop_at(chain, segment->fd, POLLIN, STOP_SOURCE_EMPTY, ret);
	if (n < 0)
		return (int)n;
	if (n == 0)
		ret->stop = STOP_SOURCE_END;
	segment->taken += (uint64_t)n;
	chain->piped = (size_t)n;
	return 0;
}

/* Bytes that the mirror's pipe took, or -errno. */
static ssize_t tee_to(struct leat_chain *chain, struct mirror *mirror, size_t len)
{
	ssize_t n;

	chain_syscall(chain);
	mirror->ledger.syscalls++;
	n = sys_tee(chain->pipe.read_fd, mirror->pipe.write_fd, len, SPLICE_F_NONBLOCK);
	if (n > 0)
		mirror->piped += (size_t)n;
	return n != 0 ? n : -EIO;
}

/* Of the mirrors that have everything; NULL: there is none. */
static struct mirror *tee_smallest(struct leat_chain *chain)
{
	struct mirror *smallest = NULL;

	for (unsigned i = 0; i < chain->mirror_count; i++) {
		struct mirror *mirror = &chain->mirrors[i];

		if (!mirror_is_on(mirror) || mirror_behind(mirror) > 0)
			continue;
		if (!smallest || mirror->pipe.capacity < smallest->pipe.capacity)
			smallest = mirror;
	}
	return smallest;
}

/* The mirror gets the same first `len` bytes as the others. One with an empty pipe that is no
 * smaller takes them all: that it takes less was not seen yet. */
static int tee_the_same(struct leat_chain *chain, struct mirror *mirror, size_t len)
{
	bool empty = mirror_behind(mirror) == 0;
	ssize_t n = tee_to(chain, mirror, len);

	if (n == (ssize_t)len)
		return 0;
	return mirror_gives_up(chain, mirror, n < 0 ? (int)n : empty ? -EIO : -EAGAIN);
}

static int tee_share(struct leat_chain *chain)
{
	size_t len = chain->piped; /* without mirrors: splice by another name */
	struct mirror *smallest;
	int r = 0;

	while (r == 0 && (smallest = tee_smallest(chain)) != NULL) {
		ssize_t n = tee_to(chain, smallest, len);

		if (n > 0) {
			len = (size_t)n;
			break;
		}
		r = mirror_gives_up(chain, smallest, (int)n);
	}
	for (unsigned i = 0; r == 0 && i < chain->mirror_count; i++)
		if (&chain->mirrors[i] != smallest && mirror_is_on(&chain->mirrors[i]))
			r = tee_the_same(chain, &chain->mirrors[i], len);
	chain->teed = len;
	return r;
}

/* ---- Drain ---- */

static int tee_drain_mirrors(struct leat_chain *chain, int *ret_full_fd)
{
	for (unsigned i = 0; i < chain->mirror_count; i++) {
		struct mirror *mirror = &chain->mirrors[i];
		bool full = false;
		int r = mirror_drain(chain, mirror, &full);

		if (r < 0)
			return r;
		if (full && mirror->policy == LEAT_MIRROR_WAIT)
			*ret_full_fd = mirror->fd;
	}
	return 0;
}

/* Pages that one sink has read are copied, whoever else got them by reference. */
static enum column tee_column(struct leat_chain *chain)
{
	bool copied = chain->sink_copies;

	for (unsigned i = 0; i < chain->mirror_count; i++)
		copied |= chain->mirrors[i].copies && mirror_is_on(&chain->mirrors[i]);
	return copied ? COLUMN_COPIED : chain_reference_column(chain);
}

static int tee_drain_sink(struct leat_chain *chain, struct segment *segment, int *ret_full_fd,
			  struct moved *ret)
{
	const struct outlet outlet = {chain->sink.fd, &chain->pipe, &chain->teed, &chain->bounce,
				      &chain->sink_copies};
	size_t teed = chain->teed, bytes = 0;
	int r = outlet_drain(chain, &outlet, &bytes);

	chain->piped -= teed - chain->teed;
	if (bytes > 0)
		chain_account(chain, segment, tee_column(chain), bytes);
	ret->bytes = bytes;
	if (r != -EAGAIN)
		return r;
	*ret_full_fd = chain->sink.fd;
	return 0;
}

static int tee_drain_all(struct leat_chain *chain, struct segment *segment, struct moved *ret)
{
	int full_fd = -1;
	int r = tee_drain_mirrors(chain, &full_fd);

	if (r == 0)
		r = tee_drain_sink(chain, segment, &full_fd, ret);
	if (r == 0 && full_fd >= 0)
		return stop_at(chain, full_fd, POLLOUT, STOP_SINK_FULL, ret);
	return r;
}

static int tee_move(struct leat_chain *chain, struct segment *segment, size_t max, bool more,
		    struct moved *ret)
{
	int r;

	*ret = (struct moved){0, STOP_NONE};
	r = tee_drain_all(chain, segment, ret); /* what is left of the last call */
	if (r < 0 || ret->stop != STOP_NONE || ret->bytes > 0)
		return r;
	if (chain->piped == 0) {
		if (max == 0)
			return mirrors_settle(chain, ret);
		r = tee_pull(chain, segment, max, ret);
		if (r < 0 || ret->stop != STOP_NONE)
			return r;
	}
	r = tee_share(chain);
	return r < 0 ? r : tee_drain_all(chain, segment, ret);
}

const struct technique technique_tee = {.id = LEAT_TEE, .move = tee_move};
