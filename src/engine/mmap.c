/*
 * mmap + write: the file is mapped and written from. One copy by the CPU (page cache to socket
 * buffer, or to page cache), none into user memory. Kept for comparison, and for where it measures
 * faster than read + write.
 *
 * Traps: a file cut short while it is sent is EFAULT, not SIGBUS, since only the kernel touches the
 * mapping (window.h). A page that is not in memory is read from the disk inside write(2): the chain
 * probes for that beforehand, as for sendfile.
 */
#include <errno.h>

#include "engine/chain_internal.h"
#include "engine/window.h"

static int mmap_move(struct leat_chain *chain, struct segment *segment, size_t max, bool more,
		     struct moved *ret)
{
	const char *data;
	size_t len;
	ssize_t n;
	int r;

	*ret = (struct moved){0, STOP_NONE};
	if (segment->kind != SOURCE_FILE)
		return -EINVAL;
	do {
		r = window_at(chain, segment, max, &data, &len);
		if (r == 0)
			ret->stop = STOP_SOURCE_END;
		if (r <= 0)
			return r;
		n = sink_write(chain, data, len, more && len == max);
	} while (n == -EFAULT && window_was_cut(chain, segment, len));
	if (n == -EAGAIN)
		return sink_full(chain, ret);
	if (n < 0)
		return (int)n;
	segment->taken += (uint64_t)n;
	chain_account(chain, segment, chain_copy_column(chain), (uint64_t)n);
	ret->bytes = (size_t)n;
	return 0;
}

/* The mapping itself is the chain's: it ends with the segment. */
const struct technique technique_mmap = {.id = LEAT_MMAP, .move = mmap_move};
