/*
 * vmsplice(2): user pages into a pipe, and from there to the sink by splice(2): by reference, with
 * no completion. The kernel never says when the peer has read, so the memory must not change until
 * it has; a segment is released when its bytes are with the sink, which for a socket is too early
 * for the memory to be used again. Hence never chosen by LEAT_AUTO. Of a file the mapped pages go:
 * the same pages as with sendfile.
 *
 * Traps: a pipe counts pages, not bytes, so memory that does not start at a page takes one more; a
 * file cut short is EFAULT; kernels of 2026 and later may copy here (the self-probe would say so
 * of splice, not of vmsplice: a report that says by reference rests on splice's proof alone).
 */
#include <errno.h>

#include "engine/chain_internal.h"
#include "engine/window.h"

/* The next bytes into `pipe`: more than 0, 0 at the file's end, or -errno. */
static ssize_t vmsplice_take_pages(struct leat_chain *chain, struct segment *segment, int pipe,
				   size_t max)
{
	struct iovec iov;
	const char *data;
	ssize_t n;
	int r;

	do {
		r = window_at(chain, segment, max, &data, &iov.iov_len);
		if (r <= 0)
			return r;
		iov.iov_base = (char *)data;
		chain_syscall(chain);
		n = sys_vmsplice(pipe, &iov, 1, SPLICE_F_NONBLOCK);
	} while (n == -EFAULT && window_was_cut(chain, segment, iov.iov_len));
	if (n > 0)
		segment->taken += (uint64_t)n;
	return n;
}

static int vmsplice_said_end(ssize_t n, struct moved *ret)
{
	if (n == 0)
		ret->stop = STOP_SOURCE_END;
	return (int)n;
}

/* The sink is a pipe: nothing has to stand between. */
static int vmsplice_into_sink(struct leat_chain *chain, struct segment *segment, size_t max,
			      struct moved *ret)
{
	ssize_t n = vmsplice_take_pages(chain, segment, chain->sink.fd, max);

	if (n == -EAGAIN) {
		chain_would_block(chain, chain->sink.fd, POLLOUT);
		ret->stop = STOP_SINK_FULL;
		return 0;
	}
	if (n <= 0)
		return vmsplice_said_end(n, ret);
	chain_account(chain, segment, chain_reference_column(chain), (uint64_t)n);
	ret->bytes = (size_t)n;
	return 0;
}

static int vmsplice_move(struct leat_chain *chain, struct segment *segment, size_t max, bool more,
			 struct moved *ret)
{
	int r;

	*ret = (struct moved){0, STOP_NONE};
	if (chain->sink.kind == SINK_PIPE)
		return vmsplice_into_sink(chain, segment, max, ret);
	r = chain_take_pipe(chain);
	if (r < 0)
		return r;
	if (chain->piped == 0) {
		ssize_t n = vmsplice_take_pages(chain, segment, chain->pipe.write_fd,
						pipe_piece(segment, max));

		if (n <= 0)
			return vmsplice_said_end(n, ret);
		chain->piped = (size_t)n;
	}
	return splice_drain(chain, segment, more && chain->piped == max, ret);
}

const struct technique technique_vmsplice = {.id = LEAT_VMSPLICE, .move = vmsplice_move};
