/*
 * One line a message, with its level, to whoever wants to see it.
 *
 *     leat: warning: eth0 has no scatter-gather: sendfile will copy
 *
 * The line is made on the caller's stack and handed to the sink whole, in one call, from whichever
 * thread it is: a sink that writes it by one write(2) needs no lock. Line breaks and other
 * characters that are not to be seen become \xNN, so that what a peer sent can't forge a line. Until a sink is
 * set (by src/cmd, before there are threads), lines are dropped.
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stdatomic.h>

#include "base/check.h"

#define LOG_LINE_MAX 1024

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

/* `line` ends with a newline and is not terminated. Called from any thread. */
typedef void (*log_sink)(void *arg, enum log_level level, const char *line, size_t len);

/* Lines above `max` (less important) are dropped. NULL: drop all. Not thread-safe. */
void log_set_sink(log_sink sink, void *arg, enum log_level max);
bool log_wants(enum log_level level);

void log_write(enum log_level level, const char *fmt, ...) PRINTF_LIKE(2, 3);

#define log_error(...)   log_write(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warning(...) log_write(LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_info(...)    log_write(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...)   log_write(LOG_LEVEL_DEBUG, __VA_ARGS__)

#define LOG_LIMIT_NS UINT64_C(1000000000)
#define LOG_BURST_NS UINT64_C(100000000)
#define LOG_BURST    100

/* A line is due every `every_ns`; `burst` of them may come early. */
struct log_limit {
	uint64_t every_ns;
	uint32_t burst;
	_Atomic uint32_t dropped;
	_Atomic uint64_t due_ns; /* the next one, if all that were written had come in their time */
};

#define LOG_LIMITED_(every, burst_, now_ns, level, ...)                                        \
	do {                                                                                   \
		static struct log_limit log_limit_ = {.every_ns = (every), .burst = (burst_)}; \
		log_write_limited(&log_limit_, now_ns, level, __VA_ARGS__);                    \
	} while (0)

/* At most one line a LOG_LIMIT_NS for each place in the code that says it; the next one tells how
 * many were dropped. `now_ns`: any clock that does not run backwards. */
#define log_limited(now_ns, level, ...) LOG_LIMITED_(LOG_LIMIT_NS, 1, now_ns, level, __VA_ARGS__)
/* The same for what each deserves its line, but clients can bring about: LOG_BURST at once, then one
 * a LOG_BURST_NS. */
#define log_bursts(now_ns, level, ...) \
	LOG_LIMITED_(LOG_BURST_NS, LOG_BURST, now_ns, level, __VA_ARGS__)

void log_write_limited(struct log_limit *limit, uint64_t now_ns, enum log_level level,
		       const char *fmt, ...) PRINTF_LIKE(4, 5);

#endif
