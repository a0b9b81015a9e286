/*
 * The access log: lines from the loops to a file, which no loop ever waits for.
 *
 *     loop --access_log_add()--> its ring --> the writer's thread --writev--> the file
 *
 * A ring is bytes between two positions that only move on: the loop moves the head, the writer the
 * tail. What does not fit is dropped, counted, and said in the program's own log. The tail always
 * stands at the beginning of a line: when a write was cut inside a line (disk full), the rest
 * follows when there is room again, in the same file; where another file takes its place meanwhile,
 * that one gets the line whole.
 *
 * The writer sleeps while there is nothing, and writes ACCESS_LOG_FLUSH_MS after the first line or
 * when a ring is half full: a loop makes a system call (an eventfd) that often, not for each line.
 * `wanted` says what it is to do; both sides are sequentially consistent, so that a line is either
 * seen by the writer before it sleeps or its loop sees that it has to wake it.
 *
 * Lines of one loop stand in their order; those of different loops can be up to ACCESS_LOG_FLUSH_MS
 * out of it.
 *
 * Threads: new, start and free are the process's main thread; a ring is one loop's; reopen is
 * anybody's, so are the statistics.
 */
#ifndef HTTP_ACCESS_LOG_H
#define HTTP_ACCESS_LOG_H

#include "base/err.h"

struct access_log;
struct access_log_ring;

/* Opens `path` for appending, made with mode 0640 less the umask if it does not exist; "-" is
 * standard output. Nothing is written before access_log_start(). */
int access_log_new(const char *path, struct access_log **ret, struct err *err);
/* Starts the writer: after the process has given up what it won't need, and before the loops. */
int access_log_start(struct access_log *log, struct err *err);
/* Writes what is there, waits for it for ACCESS_LOG_END_MS at most (a disk may hang), ends the
 * writer. NULL is fine. */
void access_log_free(struct access_log *log);

/* A ring for one more loop, freed with the log. -ENOMEM. */
int access_log_ring_new(struct access_log *log, struct access_log_ring **ret);
/* A whole line with its newline. False: it was dropped. `now_ns` for what is said of that. */
bool access_log_add(struct access_log_ring *ring, const char *line, size_t len, uint64_t now_ns);

/* Soon: what was logged until now goes to the file that is open, the rest to one opened anew (after
 * a rename: log rotation). If that fails, it goes on with the old one. Standard output stays. */
void access_log_reopen(struct access_log *log);

struct access_log_stats {
	uint64_t lines,
	    lost; /* lost: there was no room, or the end came while it could not write */
	uint64_t bytes, errors; /* written; writes and openings that failed */
};
void access_log_stats(const struct access_log *log, struct access_log_stats *ret);

#endif
