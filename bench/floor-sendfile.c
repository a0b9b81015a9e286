/*
 * The floor for file to socket: sendfile(2) in a loop and nothing else. `blocking` waits inside
 * the call; `poll` has a non-blocking socket and waits in poll(2), as event loops do.
 */
#include <errno.h>
#include <poll.h>
#include <sys/sendfile.h>

#include "sender.h"

/* The piece that a server would give one connection before it looks at the others. */
#define PIECE (1u << 20)

static size_t piece_of(size_t left)
{
	return left < PIECE ? left : PIECE;
}

static void send_blocking(int socket, int file, size_t size)
{
	off_t offset = 0;

	while ((size_t)offset < size)
		if (sendfile(socket, file, &offset, piece_of(size - (size_t)offset)) <= 0)
			die("sendfile");
}

static void send_poll(int socket, int file, size_t size)
{
	off_t offset = 0;

	while ((size_t)offset < size) {
		if (sendfile(socket, file, &offset, piece_of(size - (size_t)offset)) > 0)
			continue;
		if (errno != EAGAIN)
			die("sendfile");
		wait_for(socket, POLLOUT);
	}
}

const struct sender_mode floor_modes[] = {
    {.name = "blocking", .send_file = send_blocking},
    {.name = "poll", .nonblocking = true, .send_file = send_poll},
    {.name = NULL},
};
