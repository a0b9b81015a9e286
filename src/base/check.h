/*
 * Assertions, and the few macros that every room uses.
 *
 * CHECK guards our own invariants and stays on in release builds: a server that has lost track of
 * its bytes must stop, not guess. What comes from a peer, a user or the kernel is never CHECKed: it
 * gets an error.
 */
#ifndef BASE_CHECK_H
#define BASE_CHECK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define likely(x)   __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

#define PRINTF_LIKE(fmt, args) __attribute__((format(printf, fmt, args)))
#define MUST_CHECK             __attribute__((warn_unused_result))
#define CLEANUP(fn)            __attribute__((cleanup(fn)))

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

#define container_of(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

/* Aborts with the place and the condition: our own invariant is broken. */
#define CHECK(cond)                                                        \
	do {                                                               \
		if (unlikely(!(cond)))                                     \
			check_failed(__FILE__, __LINE__, __func__, #cond); \
	} while (0)

__attribute__((noreturn, cold)) void check_failed(const char *file, int line, const char *func,
						  const char *cond);

static inline uint64_t min_u64(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static inline uint64_t max_u64(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

static inline int64_t max_i64(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

static inline size_t min_size(size_t a, size_t b)
{
	return a < b ? a : b;
}

#endif
