#include "sys/pipe_pool.h"

#include <errno.h>
#include <stdlib.h>

#include "base/check.h"
#include "sys/sys.h"

struct pipe_pool {
	uint32_t pipe_bytes;
	unsigned spare, spare_max;
	struct pipe_pair spares[]; /* [0, spare): empty pipes */
};

int pipe_pool_new(uint32_t pipe_bytes, unsigned spare_max, struct pipe_pool **ret)
{
	struct pipe_pool *pool =
	    calloc(1, sizeof(*pool) + (size_t)spare_max * sizeof(struct pipe_pair));

	if (!pool)
		return -ENOMEM;
	pool->pipe_bytes = pipe_bytes;
	pool->spare_max = spare_max;
	*ret = pool;
	return 0;
}

static void pair_close(struct pipe_pair *pipe)
{
	sys_close(pipe->read_fd);
	sys_close(pipe->write_fd);
	*pipe = PIPE_NONE;
}

void pipe_pool_free(struct pipe_pool *pool)
{
	if (!pool)
		return;
	while (pool->spare > 0)
		pair_close(&pool->spares[--pool->spare]);
	free(pool);
}

/* As large as the kernel allows, up to `wanted`. Growth is refused (EPERM) as a whole when it would
 * pass the user's soft limit, so a smaller step may still be granted (fs/pipe.c, pipe_set_size). */
static int grow(int fd, uint32_t wanted)
{
	int size = sys_pipe_size(fd);

	for (; size > 0 && wanted > (uint32_t)size; wanted /= 2) {
		int grown = sys_pipe_resize(fd, (int)wanted);

		if (grown >= 0)
			return grown;
	}
	return size;
}

int pipe_pool_take(struct pipe_pool *pool, struct pipe_pair *ret)
{
	int ends[2], size, r;

	if (pool->spare > 0) {
		*ret = pool->spares[--pool->spare];
		return 0;
	}
	r = sys_pipe(ends);
	if (r < 0)
		return r;
	size = grow(ends[1], pool->pipe_bytes);
	if (size < 0) {
		sys_close(ends[0]);
		sys_close(ends[1]);
		return size;
	}
	*ret = (struct pipe_pair){ends[0], ends[1], (uint32_t)size};
	return 0;
}

void pipe_pool_give(struct pipe_pool *pool, struct pipe_pair *pipe, bool empty)
{
	if (pipe->read_fd < 0)
		return;
	if (!empty || pool->spare == pool->spare_max) {
		pair_close(pipe);
		return;
	}
	pool->spares[pool->spare++] = *pipe;
	*pipe = PIPE_NONE;
}

unsigned pipe_pool_spare(const struct pipe_pool *pool)
{
	return pool->spare;
}
