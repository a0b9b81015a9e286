/*
 * The loop around a floor's few lines: epoll, one thread, pinned by whoever started it.
 */
#ifndef BENCH_FLOOR_H
#define BENCH_FLOOR_H

#include <stdint.h>
#include <stdnoreturn.h>

/* Descriptors are below it: a floor keeps what it knows of connections in an array. */
#define FLOOR_FD_MAX 20000

/* Listens on 127.0.0.1:`port` and calls serve() for each connection that is ready for `events`
 * (EPOLLIN ...). serve() closes it in the end. */
noreturn void floor_run(uint16_t port, uint32_t events, void (*serve)(int fd));

#endif
