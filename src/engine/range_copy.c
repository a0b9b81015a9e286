/*
 * File to file inside the kernel: blocks are shared where the file system can (FICLONERANGE: btrfs,
 * xfs), else copied by copy_file_range(2), which still saves the trip through user memory.
 *
 * Sharing works in whole blocks, with both ranges at the same place within a block, and for the odd
 * rest of the source's last block only at the sink's end. So a range goes in up to three pieces:
 * copied up to the first block boundary, shared, copied. Where sharing was refused once nothing
 * more of the segment is tried; then copy_file_range's bytes count as copied: it would share too,
 * but only what FICLONERANGE has just refused.
 *
 * Traps: O_APPEND is EBADF; another file system is EXDEV (always before 5.3, mostly after); cifs
 * and ceph say EPERM and EACCES; some pseudo-files say 0 although they have bytes: a 0 is the end
 * only if the size says so. The position of the sink moves as with write(2); that of the source is
 * the chain's business.
 */
#include <errno.h>

#include "engine/chain_internal.h"

/* Shared blocks cost no copying but metadata, and the call can't be interrupted. */
#define CLONE_MAX (1024ull * 1024 * 1024)

static bool range_is_multiple(uint64_t n, uint64_t block)
{
	return n % block == 0;
}

/* Shares `len` bytes and moves the sink's position; false: refused. */
static bool range_clone_at(struct leat_chain *chain, const struct segment *segment, uint64_t from,
			   uint64_t to, uint64_t len)
{
	chain_syscall(chain);
	if (sys_clone_range(segment->fd, from, chain->sink.fd, to, len) < 0)
		return false;
	chain_syscall(chain);
	return sys_lseek(chain->sink.fd, (int64_t)(to + len), SEEK_SET) >= 0;
}

/* The bytes that could be shared at `from`: whole blocks, and the odd rest at the source's end. */
static uint64_t range_clonable(const struct segment *segment, uint64_t from, uint64_t size,
			       uint64_t block)
{
	uint64_t left = segment_left(segment);

	if (left > CLONE_MAX)
		return CLONE_MAX;
	return from + left == size ? left : left - left % block;
}

/* Bytes that now share blocks, or 0. *len becomes what may be copied before sharing is possible. */
static uint64_t range_clone_some(struct leat_chain *chain, const struct segment *segment,
				 size_t *len)
{
	uint64_t from = segment->offset + segment->taken, to, block, share;
	struct stat in, out;
	int64_t position;

	chain->ledger.syscalls += 3;
	position = sys_lseek(chain->sink.fd, 0, SEEK_CUR);
	if (position < 0 || sys_fstat(segment->fd, &in) < 0 || sys_fstat(chain->sink.fd, &out) < 0)
		return 0;
	to = (uint64_t)position;
	block = (uint64_t)out.st_blksize;
	if (in.st_dev != out.st_dev || block == 0 || !range_is_multiple(to - from, block))
		return 0;
	if (!range_is_multiple(from, block)) {
		*len = min_size(*len, block - from % block);
		return 0;
	}
	share = range_clonable(segment, from, (uint64_t)in.st_size, block);
	if (share > 0 && range_clone_at(chain, segment, from, to, share))
		return share;
	/* The odd rest is only welcome at the sink's end. */
	if (range_is_multiple(share, block))
		return 0;
	share -= share % block;
	return share > 0 && range_clone_at(chain, segment, from, to, share) ? share : 0;
}

/* copy_file_range said 0: the file's end, or a file system that does not say what it has. */
static int range_nothing_copied(struct leat_chain *chain, const struct segment *segment,
				struct moved *ret)
{
	struct stat st;
	int r;

	chain_syscall(chain);
	r = sys_fstat(segment->fd, &st);
	if (r < 0)
		return r;
	if (segment->offset + segment->taken < (uint64_t)st.st_size)
		return segment->taken == 0 ? -EINVAL : -EIO;
	ret->stop = STOP_SOURCE_END;
	return 0;
}

static int range_accept(struct leat_chain *chain, struct segment *segment, enum column column,
			uint64_t bytes, struct moved *ret)
{
	segment->taken += bytes;
	chain_account(chain, segment, column, bytes);
	ret->bytes = bytes;
	return 0;
}

static int range_copy_move(struct leat_chain *chain, struct segment *segment, size_t max, bool more,
			   struct moved *ret)
{
	int64_t from = (int64_t)(segment->offset + segment->taken);
	size_t len = max;
	ssize_t n;

	*ret = (struct moved){0, STOP_NONE};
	if (segment->kind != SOURCE_FILE)
		return -EINVAL;
	if (!segment->no_clone) {
		uint64_t shared = range_clone_some(chain, segment, &len);

		if (shared > 0)
			return range_accept(chain, segment, COLUMN_BY_REFERENCE, shared, ret);
		segment->no_clone = len == max;
	}
	chain_syscall(chain);
	n = sys_copy_file_range(segment->fd, &from, chain->sink.fd, NULL, len);
	if (n < 0)
		return (int)n;
	if (n == 0)
		return range_nothing_copied(chain, segment, ret);
	return range_accept(chain, segment, COLUMN_COPIED, (uint64_t)n, ret);
}

const struct technique technique_range_copy = {.id = LEAT_RANGE_COPY, .move = range_copy_move};
