/*
 * Spare pipes, so that a splice costs two system calls and not five.
 *
 * One pool a thread, no locks. A pipe that comes back must be empty: bytes left in it would turn up
 * in somebody else's transfer. A pipe that is not empty is closed, never pooled.
 *
 * Sizes: pipes are grown to `pipe_bytes` where the kernel allows it. An unprivileged user has a
 * soft limit of pages over all his pipes (fs.pipe-user-pages-soft, 16384): beyond it new pipes have
 * 2 pages and growing fails with EPERM; such a pipe works, and the pool says its true size. Needs
 * Linux 2.6.35 (F_SETPIPE_SZ).
 */
#ifndef SYS_PIPE_POOL_H
#define SYS_PIPE_POOL_H

#include <stdbool.h>
#include <stdint.h>

struct pipe_pair {
	int read_fd, write_fd; /* -1: none */
	uint32_t capacity;     /* bytes, if every page is used whole */
};

#define PIPE_NONE ((struct pipe_pair){-1, -1, 0})

struct pipe_pool;

/* `pipe_bytes`: wanted size of each; `spare_max`: how many empty pipes are kept. -ENOMEM. */
int pipe_pool_new(uint32_t pipe_bytes, unsigned spare_max, struct pipe_pool **ret);
void pipe_pool_free(struct pipe_pool *pool);
/* 0 or -errno (-EMFILE, -ENFILE). */
int pipe_pool_take(struct pipe_pool *pool, struct pipe_pair *ret);
/* `empty`: the caller knows that nothing is in it. Sets *pipe to PIPE_NONE. */
void pipe_pool_give(struct pipe_pool *pool, struct pipe_pair *pipe, bool empty);
unsigned pipe_pool_spare(const struct pipe_pool *pool);

#endif
