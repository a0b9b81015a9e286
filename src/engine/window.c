#include "engine/window.h"

#include <errno.h>

#include "engine/chain_internal.h"

/* Bytes of the file from where the segment stands; 0 or more, or -errno. */
static int64_t window_file_left(struct leat_chain *chain, const struct segment *segment)
{
	uint64_t offset = segment->offset + segment->taken;
	struct stat st;
	int r;

	chain_syscall(chain);
	r = sys_fstat(segment->fd, &st);
	if (r < 0)
		return r;
	return offset < (uint64_t)st.st_size ? st.st_size - (int64_t)offset : 0;
}

int window_at(struct leat_chain *chain, const struct segment *segment, size_t max,
	      const char **ret_data, size_t *ret_len)
{
	int64_t left;
	size_t len;
	int r;

	if (segment->kind == SOURCE_MEMORY) {
		*ret_data = segment->memory + segment->taken;
		*ret_len = max;
		return 1;
	}
	if (segment->kind != SOURCE_FILE)
		return -EINVAL;
	left = window_file_left(chain, segment);
	if (left <= 0)
		return (int)left;
	len = min_u64(max, (uint64_t)left);
	r = chain_map(chain, segment->fd, segment->offset + segment->taken, len, ret_data);
	if (r < 0)
		return r;
	*ret_len = len;
	return 1;
}

bool window_was_cut(struct leat_chain *chain, const struct segment *segment, size_t len)
{
	int64_t left;

	if (segment->kind != SOURCE_FILE)
		return false;
	left = window_file_left(chain, segment);
	return left >= 0 && (uint64_t)left < len;
}
