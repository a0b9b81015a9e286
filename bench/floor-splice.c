/*
 * The floor for socket to socket: splice(2) into a pipe, splice(2) out of it, poll(2) when one of
 * them says "not now". The pipe is emptied before more is taken, so EAGAIN of the first splice
 * always means an empty socket and never a full pipe.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include "relay.h"

#define PIPE_BYTES (1u << 20)

static void drain_pipe(int pipe, int out, size_t left)
{
	while (left > 0) {
		ssize_t n = splice(pipe, NULL, out, NULL, left, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);

		if (n > 0)
			left -= (size_t)n;
		else if (n < 0 && errno == EAGAIN)
			wait_for(out, POLLOUT);
		else
			die("splice out");
	}
}

void floor_relay(int in, int out, uint64_t bytes)
{
	int pipe[2];
	ssize_t n;

	if (pipe2(pipe, O_CLOEXEC) < 0)
		die("pipe");
	(void)fcntl(pipe[0], F_SETPIPE_SZ, PIPE_BYTES); /* smaller works too */
	while (bytes > 0) {
		n = splice(in, NULL, pipe[1], NULL, bytes < PIPE_BYTES ? (size_t)bytes : PIPE_BYTES,
			   SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
		if (n > 0) {
			drain_pipe(pipe[0], out, (size_t)n);
			bytes -= (uint64_t)n;
		} else if (n < 0 && errno == EAGAIN) {
			wait_for(in, POLLIN);
		} else {
			die("splice in");
		}
	}
	close(pipe[0]);
	close(pipe[1]);
}
