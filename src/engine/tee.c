/*
 * tee(2): one source, several sinks, by reference. Pages go from the source into the chain's pipe,
 * are duplicated into a pipe for each mirror, and each pipe is spliced to its sink.
 *
 *     pull      splice  source -> chain's pipe            only when everything is empty
 *     share     tee     chain's pipe -> mirrors' pipes    the same first chain->teed bytes for all
 *     drain     splice  each pipe -> its sink             as far as each sink takes
 *
 * In lockstep: no sink is more than a pipeful ahead of another; one that takes nothing holds up the
 * next pull, but not what the others have in their pipes. tee does not consume, so a second tee
 * gives the same bytes again: all mirrors get as much as the smallest pipe took, which is why that
 * one is asked first.
 *
 * A sink that refuses splice (a file in append mode, some devices) is drained by read + write, and
 * the bytes count as copied. A mirror that fails fails the transfer, with its number. The ledger
 * counts what the main sink accepted: each mirror gets the same bytes. Linux 2.6.17.
 */
#include <errno.h>

#include "engine/chain_internal.h"

#define FLAGS (SPLICE_F_MOVE | SPLICE_F_NONBLOCK)

/* One way out: the main sink's or a mirror's. */
struct outlet {
	int fd;
	const struct pipe_pair *pipe;
	size_t *piped; /* bytes in the pipe */
	struct bounce *bounce;
	bool *copies; /* refuses splice */
};

static struct outlet main_outlet(struct leat_chain *chain)
{
	return (struct outlet){chain->sink.fd, &chain->pipe, &chain->teed, &chain->bounce,
			       &chain->sink_copies};
}

static struct outlet mirror_outlet(struct mirror *mirror)
{
	return (struct outlet){mirror->fd, &mirror->pipe, &mirror->piped, &mirror->bounce,
			       &mirror->copies};
}

static size_t outlet_held(const struct outlet *outlet)
{
	return *outlet->piped + (outlet->bounce->end - outlet->bounce->start);
}

/* ---- Pull and share ---- */

static int take_pipes(struct leat_chain *chain)
{
	int r = chain_take_pipe(chain);

	for (unsigned i = 0; r == 0 && i < chain->mirror_count; i++)
		if (chain->mirrors[i].pipe.read_fd < 0)
			r = engine_take_pipe(chain->engine, &chain->mirrors[i].pipe);
	return r;
}

static int pull(struct leat_chain *chain, struct segment *segment, size_t max, struct moved *ret)
{
	int64_t offset = (int64_t)(segment->offset + segment->taken);
	bool at_position = segment->offset == SEGMENT_CURRENT;
	int r = take_pipes(chain);
	ssize_t n;

	if (r < 0)
		return r;
	chain_syscall(chain);
	n = sys_splice(segment->fd, at_position ? NULL : &offset, chain->pipe.write_fd, NULL, max,
		       FLAGS);
	if (n == -EAGAIN) {
		chain_would_block(chain, segment->fd, POLLIN);
		ret->stop = STOP_SOURCE_EMPTY;
		return 0;
	}
	if (n < 0)
		return (int)n;
	if (n == 0)
		ret->stop = STOP_SOURCE_END;
	segment->taken += (uint64_t)n;
	chain->piped = (size_t)n;
	return 0;
}

static int tee_to(struct leat_chain *chain, struct mirror *mirror, size_t len)
{
	ssize_t n;

	chain_syscall(chain);
	n = sys_tee(chain->pipe.read_fd, mirror->pipe.write_fd, len, SPLICE_F_NONBLOCK);
	if (n <= 0)
		return mirror_failed(chain, mirror, n < 0 ? (int)n : -EIO);
	mirror->piped = (size_t)n;
	return 0;
}

static struct mirror *smallest_mirror(struct leat_chain *chain)
{
	struct mirror *smallest = &chain->mirrors[0];

	for (unsigned i = 1; i < chain->mirror_count; i++)
		if (chain->mirrors[i].pipe.capacity < smallest->pipe.capacity)
			smallest = &chain->mirrors[i];
	return smallest;
}

static int share(struct leat_chain *chain)
{
	struct mirror *smallest;
	int r;

	if (chain->mirror_count == 0) { /* forced, with one sink: splice by another name */
		chain->teed = chain->piped;
		return 0;
	}
	smallest = smallest_mirror(chain);
	r = tee_to(chain, smallest, chain->piped);
	if (r < 0)
		return r;
	for (unsigned i = 0; i < chain->mirror_count; i++) {
		struct mirror *mirror = &chain->mirrors[i];

		if (mirror == smallest)
			continue;
		r = tee_to(chain, mirror, smallest->piped);
		if (r < 0)
			return r;
		if (mirror->piped != smallest->piped) /* a larger pipe took less: not seen yet */
			return mirror_failed(chain, mirror, -EIO);
	}
	chain->teed = smallest->piped;
	return 0;
}

/* ---- Drain ---- */

/* read + write; what the sink did not take stays in the bounce buffer. */
static ssize_t drain_copied(struct leat_chain *chain, const struct outlet *outlet)
{
	struct bounce *bounce = outlet->bounce;
	ssize_t n;

	if (!bounce->data) {
		bounce->data = engine_take_bounce(chain->engine);
		if (!bounce->data)
			return -ENOMEM;
		bounce->start = bounce->end = 0;
	}
	if (bounce->start == bounce->end) {
		chain_syscall(chain);
		n = sys_read(outlet->pipe->read_fd, bounce->data,
			     min_size(*outlet->piped, BOUNCE_BYTES));
		if (n <= 0)
			return n < 0 ? n : -EIO;
		*outlet->piped -= (size_t)n;
		bounce->start = 0;
		bounce->end = (size_t)n;
	}
	chain_syscall(chain);
	n = sys_write(outlet->fd, bounce->data + bounce->start, bounce->end - bounce->start);
	if (n > 0)
		bounce->start += (size_t)n;
	return n;
}

/* Bytes that the sink took, or -errno. */
static ssize_t drain_once(struct leat_chain *chain, const struct outlet *outlet)
{
	ssize_t n;

	if (!*outlet->copies) {
		chain_syscall(chain);
		n = sys_splice(outlet->pipe->read_fd, NULL, outlet->fd, NULL, *outlet->piped,
			       FLAGS);
		if (n > 0)
			*outlet->piped -= (size_t)n;
		if (n > 0 || !policy_is_refusal(LEAT_SPLICE, (int)n))
			return n != 0 ? n : -EIO; /* takes nothing and says nothing: don't spin */
		*outlet->copies = true;
	}
	return drain_copied(chain, outlet);
}

/* Until the outlet is empty (0) or its sink is full (-EAGAIN); -errno. */
static int drain(struct leat_chain *chain, const struct outlet *outlet, size_t *ret_bytes)
{
	while (outlet_held(outlet) > 0) {
		ssize_t n = drain_once(chain, outlet);

		if (n < 0)
			return (int)n;
		*ret_bytes += (size_t)n;
	}
	return 0;
}

static int drain_mirrors(struct leat_chain *chain, int *ret_full_fd)
{
	for (unsigned i = 0; i < chain->mirror_count; i++) {
		struct outlet outlet = mirror_outlet(&chain->mirrors[i]);
		size_t bytes = 0;
		int r = drain(chain, &outlet, &bytes);

		if (r == -EAGAIN)
			*ret_full_fd = outlet.fd;
		else if (r < 0)
			return mirror_failed(chain, &chain->mirrors[i], r);
	}
	return 0;
}

static enum column column_of_outlets(struct leat_chain *chain)
{
	bool copied = chain->sink_copies;

	for (unsigned i = 0; i < chain->mirror_count; i++)
		copied |= chain->mirrors[i].copies;
	return copied ? COLUMN_COPIED : chain_reference_column(chain);
}

static int drain_main(struct leat_chain *chain, struct segment *segment, int *ret_full_fd,
		      struct moved *ret)
{
	struct outlet outlet = main_outlet(chain);
	size_t teed = chain->teed, bytes = 0;
	int r = drain(chain, &outlet, &bytes);

	chain->piped -= teed - chain->teed;
	if (bytes > 0)
		chain_account(chain, segment, column_of_outlets(chain), bytes);
	ret->bytes = bytes;
	if (r != -EAGAIN)
		return r;
	*ret_full_fd = outlet.fd;
	return 0;
}

static int drain_all(struct leat_chain *chain, struct segment *segment, struct moved *ret)
{
	int full_fd = -1;
	int r = drain_mirrors(chain, &full_fd);

	if (r == 0)
		r = drain_main(chain, segment, &full_fd, ret);
	if (r == 0 && full_fd >= 0) {
		chain_would_block(chain, full_fd, POLLOUT);
		ret->stop = STOP_SINK_FULL;
	}
	return r;
}

static int tee_move(struct leat_chain *chain, struct segment *segment, size_t max, bool more,
		    struct moved *ret)
{
	int r;

	*ret = (struct moved){0, STOP_NONE};
	r = drain_all(chain, segment, ret); /* what is left of the last call */
	if (r < 0 || ret->stop != STOP_NONE || ret->bytes > 0)
		return r;
	if (chain->piped == 0) {
		if (max == 0)
			return 0;
		r = pull(chain, segment, max, ret);
		if (r < 0 || ret->stop != STOP_NONE)
			return r;
	}
	r = share(chain);
	return r < 0 ? r : drain_all(chain, segment, ret);
}

static void tee_stop(struct leat_chain *chain)
{
	for (unsigned i = 0; i < chain->mirror_count; i++) {
		struct mirror *mirror = &chain->mirrors[i];

		if (mirror->pipe.read_fd >= 0)
			engine_give_pipe(chain->engine, &mirror->pipe, mirror->piped == 0);
		if (mirror->bounce.data)
			engine_give_bounce(chain->engine, mirror->bounce.data);
		mirror->bounce = (struct bounce){NULL, 0, 0};
		mirror->piped = 0;
	}
	chain->teed = 0;
}

const struct technique technique_tee = {.id = LEAT_TEE, .move = tee_move, .stop = tee_stop};
