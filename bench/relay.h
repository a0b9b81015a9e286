/*
 * The frame in which floor-splice.c and engine-splice.c run side by side: source process -> relay
 * -> discarding sink process, two TCP connections over loopback, and turns taken in rotation by
 * the relays on the same connections (sender.h says why). The relay is what is measured.
 *
 *     pair-splice TURN_BYTES ROUNDS MODE...
 *
 * Prints {"bytes": of one turn, "cpu_ns": {mode: [one a round]}}: CPU time of the relay alone.
 */
#ifndef BENCH_RELAY_H
#define BENCH_RELAY_H

#include "support.h"

/* Moves exactly `bytes` from `in` to `out`, both O_NONBLOCK. */
typedef void (*relay_fn)(int in, int out, uint64_t bytes);

void floor_relay(int in, int out, uint64_t bytes);
void engine_relay(int in, int out, uint64_t bytes);

#endif
