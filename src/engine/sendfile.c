/*
 * sendfile(2): page cache to sink, by reference for sockets and pipes.
 *
 *   - Returns 0 at the end of the file, even where more was asked for: the file has been cut short,
 *     and asking again would spin (netty#8868).
 *   - Moves at most 0x7ffff000 bytes a call; chunks here are far smaller (technique.h).
 *   - Ignores O_NONBLOCK of the file: a cold page is waited for. The chain has asked beforehand.
 *   - EINVAL: the sink is in append mode, or the source has no splice_read.
 */
#include <errno.h>

#include "engine/chain_internal.h"

static int sendfile_move(struct leat_chain *chain, struct segment *segment, size_t max, bool more,
			 struct moved *ret)
{
	bool at_position = segment->offset == SEGMENT_CURRENT;
	int64_t offset = (int64_t)(segment->offset + segment->taken);
	ssize_t n;

	*ret = (struct moved){0, STOP_NONE};
	chain_syscall(chain);
	n = sys_sendfile(chain->sink.fd, segment->fd, at_position ? NULL : &offset, max);
	if (n == -EAGAIN)
		return stop_at(chain, chain->sink.fd, POLLOUT, STOP_SINK_FULL, ret);
	if (n < 0)
		return (int)n;
	if (n == 0) {
		ret->stop = STOP_SOURCE_END;
		return 0;
	}
	segment->taken += (uint64_t)n;
	chain_account(chain, segment, chain_reference_column(chain), (uint64_t)n);
	ret->bytes = (size_t)n;
	return 0;
}

const struct technique technique_sendfile = {.id = LEAT_SENDFILE, .move = sendfile_move};
