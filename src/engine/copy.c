/*
 * The copy technique: read + write, and for memory one write. It works for every source and every
 * sink, so it is what everything else falls back to.
 *
 * A file is read into the engine's scratch buffer, and what the sink did not take is read again:
 * nothing is held. A source that can't be read twice is read into the chain's bounce buffer.
 *
 * With mirrors the bounce buffer serves all sinks: the sink has yet to get [start, end), a mirror
 * the last mirror->piped bytes before `end`. It is filled again when all have everything.
 */
#include <errno.h>

#include "engine/chain_internal.h"

/* The source's next bytes, into `buf`: what read(2) says. */
static ssize_t read_source(struct leat_chain *chain, const struct segment *segment, char *buf,
			   size_t len)
{
	chain_syscall(chain);
	if (segment->offset == SEGMENT_CURRENT)
		return sys_read(segment->fd, buf, len);
	return sys_pread(segment->fd, buf, len, segment->offset + segment->taken);
}

static int write_once(struct leat_chain *chain, struct segment *segment, const char *data,
		      size_t len, bool more, struct moved *ret)
{
	ssize_t n = sink_write(chain, data, len, more);

	if (n == -EAGAIN)
		return sink_full(chain, ret);
	if (n < 0)
		return (int)n;
	chain_account(chain, segment, chain_copy_column(chain), (uint64_t)n);
	ret->bytes += (size_t)n;
	return 0;
}

static int copy_memory(struct leat_chain *chain, struct segment *segment, size_t max, bool more,
		       struct moved *ret)
{
	int r = write_once(chain, segment, segment->memory + segment->taken, max, more, ret);

	segment->taken = segment->sent;
	return r;
}

static int copy_file(struct leat_chain *chain, struct segment *segment, size_t max, bool more,
		     struct moved *ret)
{
	char *scratch = engine_scratch(chain->engine);
	size_t len = min_size(max, BOUNCE_BYTES);
	ssize_t n;
	int r;

	if (!scratch)
		return -ENOMEM;
	n = read_source(chain, segment, scratch, len);
	if (n < 0)
		return (int)n;
	if (n == 0) {
		ret->stop = STOP_SOURCE_END;
		return 0;
	}
	r = write_once(chain, segment, scratch, (size_t)n, more && (size_t)n == max, ret);
	segment->taken = segment->sent;
	return r;
}

/* The empty bounce buffer is filled. Returns -errno, 0 (with ret->stop), or 1: there are bytes. */
static int fill_bounce(struct leat_chain *chain, struct segment *segment, size_t max,
		       struct moved *ret)
{
	struct bounce *bounce = &chain->bounce;
	int r = chain_take_bounce(chain);
	ssize_t n;

	if (r < 0)
		return r;
	n = read_source(chain, segment, bounce->data, min_size(max, BOUNCE_BYTES));
	if (n == -EAGAIN)
		return stop_at(chain, segment->fd, POLLIN, STOP_SOURCE_EMPTY, ret);
	if (n < 0)
		return (int)n;
	if (n == 0) {
		ret->stop = STOP_SOURCE_END;
		return 0;
	}
	bounce->start = 0;
	bounce->end = (size_t)n;
	segment->taken += (uint64_t)n;
	return 1;
}

static int empty_bounce(struct leat_chain *chain, struct segment *segment, bool more,
			struct moved *ret)
{
	struct bounce *bounce = &chain->bounce;
	int r = write_once(chain, segment, bounce->data + bounce->start,
			   bounce->end - bounce->start, more, ret);

	bounce->start += ret->bytes;
	return r;
}

static int copy_stream(struct leat_chain *chain, struct segment *segment, size_t max,
		       struct moved *ret)
{
	if (chain->bounce.start == chain->bounce.end) {
		int r = fill_bounce(chain, segment, max, ret);

		if (r <= 0)
			return r;
	}
	return empty_bounce(chain, segment, false, ret);
}

/* ---- Mirrors ---- */

/* Until it has everything, or is full. */
static int write_mirror(struct leat_chain *chain, struct mirror *mirror, struct moved *ret)
{
	while (mirror->piped > 0) {
		ssize_t n;

		chain_syscall(chain);
		n = sys_write(mirror->fd, chain->bounce.data + chain->bounce.end - mirror->piped,
			      mirror->piped);
		if (n == -EAGAIN)
			return stop_at(chain, mirror->fd, POLLOUT, STOP_SINK_FULL, ret);
		if (n < 0)
			return mirror_failed(chain, mirror, (int)n);
		mirror->piped -= (size_t)n;
	}
	return 0;
}

/* What the buffer holds, to every sink as far as each takes. */
static int write_all(struct leat_chain *chain, struct segment *segment, struct moved *ret)
{
	for (unsigned i = 0; i < chain->mirror_count; i++) {
		int r = write_mirror(chain, &chain->mirrors[i], ret);

		if (r < 0)
			return r;
	}
	if (chain->bounce.start == chain->bounce.end)
		return 0;
	return empty_bounce(chain, segment, false, ret);
}

static bool all_written(const struct leat_chain *chain)
{
	for (unsigned i = 0; i < chain->mirror_count; i++)
		if (chain->mirrors[i].piped > 0)
			return false;
	return chain->bounce.start == chain->bounce.end;
}

static int copy_mirrored(struct leat_chain *chain, struct segment *segment, size_t max,
			 struct moved *ret)
{
	int r = write_all(chain, segment, ret);

	if (r < 0 || ret->stop != STOP_NONE || ret->bytes > 0 || !all_written(chain) || max == 0)
		return r;
	r = fill_bounce(chain, segment, max, ret);
	if (r <= 0)
		return r;
	for (unsigned i = 0; i < chain->mirror_count; i++)
		chain->mirrors[i].piped = chain->bounce.end;
	return write_all(chain, segment, ret);
}

static int copy_move(struct leat_chain *chain, struct segment *segment, size_t max, bool more,
		     struct moved *ret)
{
	*ret = (struct moved){0, STOP_NONE};
	if (chain->mirror_count > 0 && segment->kind != SOURCE_MEMORY)
		return copy_mirrored(chain, segment, max, ret);
	if (chain->bounce.start < chain->bounce.end)
		return empty_bounce(chain, segment, false, ret);
	if (segment->kind == SOURCE_MEMORY)
		return copy_memory(chain, segment, max, more, ret);
	if (segment->kind == SOURCE_FILE)
		return copy_file(chain, segment, max, more, ret);
	return copy_stream(chain, segment, max, ret);
}

const struct technique technique_copy = {.id = LEAT_COPY, .move = copy_move};
