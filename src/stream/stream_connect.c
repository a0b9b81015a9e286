/*
 * Outgoing streams: a socket that connects is a connection of the loop from the beginning, with the
 * deadline of the attempt; the first event says how it went.
 */
#include "stream/stream_internal.h"

#include <errno.h>

#include "sys/sys.h"

/* Non-blocking; it has been told to connect. The socket or -errno. */
static int stream_dial(const struct sockaddr *address, socklen_t length)
{
	int fd = sys_socket(address->sa_family, SOCK_STREAM | SOCK_NONBLOCK, 0);
	int r;

	if (fd < 0)
		return fd;
	r = sys_connect(fd, address, length);
	if (r == 0 || r == -EINPROGRESS)
		return fd;
	sys_close(fd);
	return r;
}

int stream_connect(struct stream_loop *home, const struct sockaddr *address, socklen_t length,
		   uint32_t timeout_ms, const struct stream_ops *ops, void *arg,
		   struct stream **ret)
{
	int fd = stream_dial(address, length), r;
	struct conn *conn;

	if (fd < 0)
		return fd;
	CHECK(!home->connecting && ops->home(arg, home->loop) == home);
	home->connecting = true;
	r = conn_adopt(home->loop, fd, &ops->conn, arg, &conn);
	home->connecting = false;
	if (r < 0)
		return r;
	stream_of(conn)->unix_socket = address->sa_family == AF_UNIX;
	stream_deadline(stream_of(conn), timeout_ms);
	*ret = stream_of(conn);
	return 0;
}

bool stream_connected(struct stream *stream, unsigned events)
{
	int error;

	if (!(events & (CONN_WRITABLE | CONN_HANGUP)))
		return false;
	/* SO_ERROR is the attempt's, and taken away by asking (connect(2), EINPROGRESS). */
	error = sys_getsockopt_int(conn_fd(stream->conn), SOL_SOCKET, SO_ERROR);
	/* A socket that has not begun, or has failed before, says HANGUP alone. */
	if (error == 0 && !(events & CONN_WRITABLE))
		return false;
	stream->error = error < 0 ? error : -error;
	if (stream->error == 0) {
		stream_deadline(stream, 0);
		stream_enter(stream, STREAM_STATE_OPEN);
		if (stream->ops->open)
			stream->error = stream->ops->open(stream);
	}
	if (stream->error < 0)
		stream_close(stream);
	return stream->error == 0;
}
