/*
 * The bytes of a segment as memory: the caller's own, or its file, mapped. What mmap, vmsplice and
 * zerocopy have in common.
 *
 * User code never touches mapped bytes: only system calls read them, so a file that was truncated
 * shows as EFAULT and never as SIGBUS. A page that the file's end cuts reads as zeros behind the
 * end, without any error; so the size is asked (fstat(2), one call a chunk) before bytes are handed
 * over. What remains is a truncation between the two calls:
 *
 *     do {
 *             r = window_at(...);
 *             if (r <= 0) ...
 *             n = write(window);
 *     } while (n == -EFAULT && window_was_cut(...));
 */
#ifndef ENGINE_WINDOW_H
#define ENGINE_WINDOW_H

#include <stdbool.h>
#include <stddef.h>

struct leat_chain;
struct segment;

/* The next bytes of the segment, at most `max`. 1, 0 at the file's end, or -errno: -EINVAL for a
 * source that is neither memory nor a file. */
int window_at(struct leat_chain *chain, const struct segment *segment, size_t max,
	      const char **ret_data, size_t *ret_len);
/* A call on the window said EFAULT: whether the file has less than `len` bytes there by now. */
bool window_was_cut(struct leat_chain *chain, const struct segment *segment, size_t len);

#endif
