/*
 * The frame in which floor-sendfile.c and engine-sendfile.c run side by side: one process, one TCP
 * connection over loopback, a discarding receiver, and turns of a few ten milliseconds taken in
 * rotation. Separate runs of the same loop differ by a tenth or more on a virtual machine; turns
 * next to each other on one connection do not.
 *
 *     pair-sendfile FILE TURN_BYTES ROUNDS MODE...
 *
 * In each round every mode sends FILE again and again until TURN_BYTES are with the socket. Prints
 * {"bytes": of one turn, "cpu_ns": {mode: [one a round]}}: CPU time of the sender alone. Between
 * turns it waits, off the clock, until the receiver has acknowledged everything.
 */
#ifndef BENCH_SENDER_H
#define BENCH_SENDER_H

#include "support.h"

struct sender_mode {
	const char *name;
	bool nonblocking; /* the socket is O_NONBLOCK */
	/* Before and after each turn, off the clock; may be NULL. */
	void (*open)(int socket);
	void (*close)(void);
	/* The whole file, from its start. */
	void (*send_file)(int socket, int file, size_t size);
};

/* Each ends with one without a name. */
extern const struct sender_mode floor_modes[];
extern const struct sender_mode engine_modes[];

#endif
