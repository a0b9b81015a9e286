/*
 * The frame that floor-splice and engine-splice share: source process -> relay -> discarding sink
 * process, two TCP connections over loopback; the relay between them is what is measured.
 *
 *     PROGRAM TOTAL_BYTES
 *
 * Prints {"bytes":..., "cpu_ns":..., "wall_ns":...}: CPU time of the relay alone, until it has seen
 * the end of the source and given away the last byte.
 */
#ifndef BENCH_RELAY_H
#define BENCH_RELAY_H

#include "support.h"

/* Moves everything from `in` to `out`, both O_NONBLOCK, until `in` ends; `total` is how much that
 * will be. */
typedef void (*relay_fn)(int in, int out, uint64_t total);

int relay_main(int argc, char **argv, relay_fn relay);

#endif
