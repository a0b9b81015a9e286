/*
 * Gathering: adjacent memory and short file ranges leave in one send.
 *
 * A header and a short file by two calls would be two system calls and, without care, two packets;
 * measured on a 1 KiB file, send + sendfile costs a quarter more CPU than one send of both. So the
 * file's bytes are read into the engine's scratch buffer and go along. Nothing stays in the scratch
 * buffer between two calls: what the sink did not take is read again.
 *
 * What follows what is gathered decides on MSG_MORE, and is looked at before anything is sent: a
 * header whose body is still on the disk waits for it, or it would be held back by the kernel for
 * up to 200 ms (MSG_MORE), or leave alone (no MSG_MORE). Only a header that stands alone waits:
 * what was gathered before a cold file is not held up by it.
 *
 * To a writer (struct chain_writer) every file range goes this way, a piece of 64 KiB after the
 * other. What it refused is gathered once more, as many bytes at least, whatever the step's budget
 * is now.
 */
#include <errno.h>

#include "engine/chain_internal.h"

#define PIECES_MAX 16
/* A file range longer than this is never gathered, whatever the policy's limit. */
#define GATHER_FILE_MAX (BOUNCE_BYTES / 2)

struct gather {
	struct iovec pieces[PIECES_MAX];
	int count;
	unsigned segments; /* that are in it whole */
	bool stopped;      /* by a file that ended, or could not be read */
	bool partial;      /* the last one of them goes on behind what was gathered */
	size_t bytes, max;
	size_t scratch_used;
};

bool gather_fits(const struct leat_chain *chain, const struct segment *segment)
{
	if (segment->technique->id != LEAT_COPY || chain->mirror_count > 0)
		return false;
	return segment->kind == SOURCE_MEMORY ||
	       (segment->kind == SOURCE_FILE &&
		(segment_left(segment) <= GATHER_FILE_MAX || chain->sink.kind == SINK_WRITER));
}

static void gather_add_piece(struct gather *gather, const void *data, size_t len)
{
	gather->pieces[gather->count++] = (struct iovec){(void *)data, len};
	gather->bytes += len;
}

/* As much of the range as there is: `len`, less at the end of the file; -EAGAIN: it is not in
 * memory. */
static ssize_t gather_read_range(struct leat_chain *chain, int fd, char *buf, size_t len,
				 uint64_t offset, bool may_wait)
{
	size_t done = 0;

	while (done < len) {
		ssize_t n = -EOPNOTSUPP;

		chain_syscall(chain);
		if (!may_wait)
			n = sys_pread_nowait(fd, buf + done, len - done, offset + done);
		if (n == -EOPNOTSUPP) /* a file system that can't say: it is asked to wait */
			n = sys_pread(fd, buf + done, len - done, offset + done);
		if (n < 0)
			return n;
		if (n == 0)
			break;
		done += (size_t)n;
	}
	return (ssize_t)done;
}

/* 0, LEAT_WANT_LOAD or -errno. */
static int gather_add_file(struct leat_chain *chain, struct gather *gather, struct segment *segment,
			   size_t len)
{
	char *scratch = engine_scratch(chain->engine);
	uint64_t start = segment->offset + segment->taken;
	bool may_wait = chain->sink.flags & LEAT_MAY_LOAD;
	ssize_t n;

	if (!scratch)
		return -ENOMEM;
	scratch += gather->scratch_used;
	n = gather_read_range(chain, segment->fd, scratch, len, start, may_wait);
	if (n == -EAGAIN) {
		gather->stopped = gather->count > 1 && gather->bytes >= chain->refused;
		if (gather->stopped)
			return 0;
		if (chain_want_load(chain, segment, start, start + len))
			return LEAT_WANT_LOAD;
		n = gather_read_range(chain, segment->fd, scratch, len, start, true);
	}
	gather->stopped = n < (ssize_t)len;
	if (n < 0) /* what stands before is sent first; then it is the head, and meets this again */
		return gather->bytes > 0 && gather->bytes >= chain->refused ? 0 : (int)n;
	gather->scratch_used += (size_t)n;
	if (n > 0)
		gather_add_piece(gather, scratch, (size_t)n);
	return 0;
}

/* 0, LEAT_WANT_LOAD or -errno. */
static int gather_collect(struct leat_chain *chain, struct gather *gather)
{
	while (!gather->stopped && gather->segments < chain->count && gather->count < PIECES_MAX &&
	       gather->bytes < gather->max) {
		struct segment *segment = chain_segment(chain, gather->segments);
		uint64_t left = segment_left(segment);
		size_t len = (size_t)min_u64(left, gather->max - gather->bytes);
		size_t room = BOUNCE_BYTES - gather->scratch_used;
		int r = segment->technique ? 0 : chain_choose(chain, segment);

		if (r < 0)
			return r;
		if (!gather_fits(chain, segment))
			break;
		if (segment->kind == SOURCE_MEMORY && len > 0) {
			gather_add_piece(gather, segment->memory + segment->taken, len);
		} else if (len > 0) {
			if (chain->sink.kind == SINK_WRITER) {
				room = GATHER_FILE_MAX - gather->scratch_used;
				len = min_size(len, room);
			}
			if (len == 0 || len > room)
				break;
			r = gather_add_file(chain, gather, segment, len);
			if (r != 0)
				return r;
		}
		gather->partial = len < left;
		if (gather->partial || gather->stopped)
			break;
		gather->segments++;
	}
	return 0;
}

/* A sink that can be told that bytes follow at once. */
static bool gather_sink_takes_more(const struct leat_chain *chain)
{
	return sink_is_socket(chain) || chain->sink.kind == SINK_WRITER;
}

/* Whether the bytes behind what was gathered will follow at once: 1, 0, or LEAT_WANT_LOAD, or
 * -errno. */
static int gather_next_in_hand(struct leat_chain *chain, const struct gather *gather)
{
	unsigned index = gather->segments;
	struct segment *next;
	int r;

	if (index >= chain->count)
		return 0;
	next = chain_segment(chain, index);
	if (segment_left(next) == 0 || (next->kind != SOURCE_MEMORY && next->kind != SOURCE_FILE))
		return 0;
	r = next->technique ? 0 : chain_choose(chain, next);
	if (r < 0)
		return r;
	if (next->kind == SOURCE_MEMORY || chain_seems_resident(chain, next, CHUNK_MAX))
		return 1;
	if (gather->count > 1 || gather->partial)
		return 0;
	return chain_is_resident(chain, next, CHUNK_MAX) ? 1 : LEAT_WANT_LOAD;
}

static void gather_hand_out(struct leat_chain *chain, size_t bytes)
{
	for (unsigned i = 0; bytes > 0; i++) {
		struct segment *segment = chain_segment(chain, i);
		size_t share = (size_t)min_u64(bytes, segment_left(segment));

		segment->taken += share;
		chain_account(chain, segment, chain_copy_column(chain), share);
		bytes -= share;
	}
}

int chain_gather(struct leat_chain *chain, size_t max, size_t budget, struct moved *ret)
{
	struct gather gather;
	bool more = false;
	ssize_t n;
	int r;

	gather.count = 0;
	gather.segments = 0;
	gather.stopped = gather.partial = false;
	gather.bytes = gather.scratch_used = 0;
	gather.max = (size_t)max_u64(max, chain->refused);
	r = gather_collect(chain, &gather);
	if (r != 0)
		return r;
	if (gather.bytes < chain->refused)
		return chain_fail(chain, -ENODATA,
				  "a file is shorter now than what the sink's writer has to be "
				  "offered again");
	if (gather.bytes == 0) {
		*ret = (struct moved){0, STOP_SOURCE_END};
		return 0;
	}
	if (gather.bytes < budget && !gather.stopped && gather_sink_takes_more(chain)) {
		r = gather_next_in_hand(chain, &gather);
		if (r < 0 || r == LEAT_WANT_LOAD)
			return r;
		more = r == 1;
	}
	if (gather.count == 1)
		n = sink_write(chain, gather.pieces[0].iov_base, gather.bytes, more);
	else
		n = sink_writev(chain, gather.pieces, gather.count, more);
	*ret = (struct moved){0, STOP_NONE};
	if (n == -EAGAIN)
		return sink_full(chain, ret);
	if (n < 0)
		return (int)n;
	gather_hand_out(chain, (size_t)n);
	ret->bytes = (size_t)n;
	return 0;
}
