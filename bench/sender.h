/*
 * The frame that floor-sendfile and engine-sendfile share, so that they differ in nothing but the
 * call under measurement: one TCP connection over loopback, a discarding receiver, one file sent
 * again and again until `total` bytes are on their way.
 *
 *     PROGRAM MODE FILE TOTAL_BYTES
 *
 * Prints {"mode":..., "bytes":..., "cpu_ns":..., "wall_ns":...}: CPU time of the sender alone,
 * from the first byte until the last was accepted by the socket.
 */
#ifndef BENCH_SENDER_H
#define BENCH_SENDER_H

#include "support.h"

struct sender_mode {
	const char *name;
	bool nonblocking; /* the socket is O_NONBLOCK */
	/* Once, before the clock starts; may be NULL. */
	void (*open)(int socket);
	/* The whole file, from its start. */
	void (*send_file)(int socket, int file, size_t size);
};

/* `modes` ends with one without a name. */
int sender_main(int argc, char **argv, const struct sender_mode *modes);

#endif
