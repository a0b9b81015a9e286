/*
 * The copy technique: read + write, and for memory one write. It works for every source and every
 * sink, so it is what everything else falls back to.
 *
 * A file is read into the engine's scratch buffer, and what the sink did not take is read again:
 * nothing is held. A source that can't be read twice is read into the chain's bounce buffer.
 *
 * With mirrors the bounce buffer serves all sinks, memory's bytes too: the sink has yet to get
 * [start, end), a mirror the last mirror->unwritten bytes before `end`. It is filled again when the
 * sink and all mirrors that are waited for have everything, and the rest of the others is put
 * aside.
 */
#include <errno.h>
#include <string.h>

#include "engine/mirror.h"

/* The source's next bytes, into `buf`: what read(2) says. */
static ssize_t copy_read_source(struct leat_chain *chain, const struct segment *segment, char *buf,
				size_t len)
{
	if (segment->kind == SOURCE_MEMORY) {
		memcpy(buf, segment->memory + segment->taken, len);
		return (ssize_t)len;
	}
	chain_syscall(chain);
	if (segment->offset == SEGMENT_CURRENT)
		return sys_read(segment->fd, buf, len);
	return sys_pread(segment->fd, buf, len, segment->offset + segment->taken);
}

static int copy_write_once(struct leat_chain *chain, struct segment *segment, const char *data,
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
	int r = copy_write_once(chain, segment, segment->memory + segment->taken, max, more, ret);

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
	n = copy_read_source(chain, segment, scratch, len);
	if (n < 0)
		return (int)n;
	if (n == 0) {
		ret->stop = STOP_SOURCE_END;
		return 0;
	}
	r = copy_write_once(chain, segment, scratch, (size_t)n, more && (size_t)n == max, ret);
	segment->taken = segment->sent;
	return r;
}

/* The empty bounce buffer is filled. Returns -errno, 0 (with ret->stop), or 1: there are bytes. */
static int copy_fill_bounce(struct leat_chain *chain, struct segment *segment, size_t max,
			    struct moved *ret)
{
	struct bounce *bounce = &chain->bounce;
	int r = chain_take_bounce(chain);
	ssize_t n;

	if (r < 0)
		return r;
	n = copy_read_source(chain, segment, bounce->data, min_size(max, BOUNCE_BYTES));
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

static int copy_empty_bounce(struct leat_chain *chain, struct segment *segment, bool more,
			     struct moved *ret)
{
	struct bounce *bounce = &chain->bounce;
	int r = copy_write_once(chain, segment, bounce->data + bounce->start,
				bounce->end - bounce->start, more, ret);

	bounce->start += ret->bytes;
	return r;
}

static int copy_stream(struct leat_chain *chain, struct segment *segment, size_t max,
		       struct moved *ret)
{
	if (chain->bounce.start == chain->bounce.end) {
		int r = copy_fill_bounce(chain, segment, max, ret);

		if (r <= 0)
			return r;
	}
	return copy_empty_bounce(chain, segment, false, ret);
}

/* ---- Mirrors ---- */

/* What the buffer holds, to every sink as far as each takes. A mirror that is full is waited for
 * when the sink has its bytes. */
static int copy_to_all(struct leat_chain *chain, struct segment *segment, struct moved *ret)
{
	int full_fd = -1;

	for (unsigned i = 0; i < chain->mirror_count; i++) {
		struct mirror *mirror = &chain->mirrors[i];
		bool full = false;
		int r = mirror_write(chain, mirror, &full);

		if (r < 0)
			return r;
		if (full && mirror->policy == LEAT_MIRROR_WAIT)
			full_fd = mirror->fd;
	}
	if (chain->bounce.start < chain->bounce.end)
		return copy_empty_bounce(chain, segment, false, ret);
	if (full_fd >= 0)
		return stop_at(chain, full_fd, POLLOUT, STOP_SINK_FULL, ret);
	return 0;
}

/* The buffer is wanted for the next bytes. */
static int copy_put_aside(struct leat_chain *chain)
{
	int r = 0;

	for (unsigned i = 0; r == 0 && i < chain->mirror_count; i++)
		r = mirror_put_aside(chain, &chain->mirrors[i]);
	return r;
}

static int copy_mirrored(struct leat_chain *chain, struct segment *segment, size_t max,
			 struct moved *ret)
{
	int r = copy_to_all(chain, segment, ret);

	if (r < 0 || ret->stop != STOP_NONE || ret->bytes > 0)
		return r;
	if (max == 0)
		return mirrors_settle(chain, ret);
	r = copy_put_aside(chain);
	if (r == 0)
		r = copy_fill_bounce(chain, segment, max, ret);
	if (r <= 0)
		return r;
	for (unsigned i = 0; i < chain->mirror_count; i++)
		if (mirror_is_on(&chain->mirrors[i]))
			chain->mirrors[i].unwritten = chain->bounce.end;
	return copy_to_all(chain, segment, ret);
}

static int copy_move(struct leat_chain *chain, struct segment *segment, size_t max, bool more,
		     struct moved *ret)
{
	*ret = (struct moved){0, STOP_NONE};
	if (chain->mirror_count > 0)
		return copy_mirrored(chain, segment, max, ret);
	if (chain->bounce.start < chain->bounce.end)
		return copy_empty_bounce(chain, segment, false, ret);
	if (segment->kind == SOURCE_MEMORY)
		return copy_memory(chain, segment, max, more, ret);
	if (segment->kind == SOURCE_FILE)
		return copy_file(chain, segment, max, more, ret);
	return copy_stream(chain, segment, max, ret);
}

const struct technique technique_copy = {.id = LEAT_COPY, .move = copy_move};
