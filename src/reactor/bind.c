/*
 * One socket of a listener: made and bound, or taken over, made to listen, closed. Internet
 * addresses, socket files, sockets that systemd hands over, and errors that say what to do.
 *
 * In two steps: bound at once, so that an address that can't be had is an error before anything
 * else is done, and while there is the right to take it; made to listen when the loops are about to
 * run: a port that answers belongs to a server that serves, and that handles signals. Two processes
 * that start at the same time can both bind (SO_REUSEADDR); the second one to listen is told then.
 */
#include "reactor/internal.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include "base/size.h"
#include "sys/sys.h"

/* SD_LISTEN_FDS_START of sd_listen_fds(3). */
enum { ACTIVATED_FIRST = 3, ACTIVATED_MAX = LISTENERS_MAX };

static int fail_bind(const char *where, const struct sockaddr_storage *address, int error,
		     struct err *err)
{
	const struct sockaddr_in *in = (const struct sockaddr_in *)address;
	bool unix_socket = address->ss_family == AF_UNIX;

	switch (error) {
	case -EADDRINUSE:
		if (unix_socket)
			return err_set(
			    err, error,
			    "%s: address already in use: another program listens there, or "
			    "the file is not a socket; choose another path",
			    where);
		return err_set(err, error,
			       "%s: address already in use: another program listens there; choose "
			       "another port or stop it",
			       where);
	case -EACCES:
		/* sin_port and sin6_port are at the same place. */
		if (!unix_socket && ntohs(in->sin_port) < 1024)
			return err_set(err, error,
				       "%s: permission denied: ports below 1024 need root or "
				       "CAP_NET_BIND_SERVICE",
				       where);
		return err_set(err, error, "%s: permission denied", where);
	case -EADDRNOTAVAIL:
		return err_set(
		    err, error,
		    "%s: no interface of this machine has that address; use 127.0.0.1, or "
		    "* for all",
		    where);
	case -EAFNOSUPPORT:
		return err_set(err, error, "%s: this kernel has no such protocol", where);
	case -ENOENT:
		return err_set(err, error, "%s: the folder does not exist", where);
	default:
		return err_set(err, error, "%s: %s", where, strerror(-error));
	}
}

/* ---- socket files ---- */

/* A socket file that nobody listens on any more, left by a process that was killed. Something else
 * than a socket is left alone: connect says ECONNREFUSED to that as well (unix_find_bsd). */
static bool is_stale(const struct address *address, const char *path)
{
	struct stat st;
	int fd, r;

	if (sys_fstatat(AT_FDCWD, path, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISSOCK(st.st_mode))
		return false;
	fd = sys_socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return false;
	r = sys_connect(fd, (const struct sockaddr *)&address->sockaddr, address->len);
	sys_close(fd);
	return r == -ECONNREFUSED;
}

static int bind_unix(struct listener *listener, const struct address *address)
{
	const struct sockaddr_un *un = (const struct sockaddr_un *)&address->sockaddr;
	struct stat st;
	int r = sys_bind(listener->fd, (const struct sockaddr *)un, address->len);

	if (r == -EADDRINUSE && is_stale(address, un->sun_path)) {
		sys_unlink(un->sun_path);
		r = sys_bind(listener->fd, (const struct sockaddr *)un, address->len);
	}
	if (r < 0)
		return r;
	/* Remembered by identity: at the end only our own file is removed, not a successor's. */
	if (sys_fstatat(AT_FDCWD, un->sun_path, &st, AT_SYMLINK_NOFOLLOW) == 0) {
		snprintf(listener->path, sizeof(listener->path), "%s", un->sun_path);
		listener->device = st.st_dev;
		listener->inode = st.st_ino;
	}
	return 0;
}

static void remove_socket_file(struct listener *listener)
{
	struct stat st;

	if (!listener->path[0])
		return;
	if (sys_fstatat(AT_FDCWD, listener->path, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	    st.st_dev == listener->device && st.st_ino == listener->inode)
		sys_unlink(listener->path);
	listener->path[0] = '\0';
}

/* ---- internet addresses ---- */

static int bind_inet(struct listener *listener, const struct address *address)
{
	int r;

	/* Old connections of this port may still linger (TIME_WAIT) after a restart. */
	r = sys_setsockopt_int(listener->fd, SOL_SOCKET, SO_REUSEADDR, 1);
	/* [::] is IPv6 only, whatever net.ipv6.bindv6only says, so that * can be bound beside it.
	 */
	if (r == 0 && address->sockaddr.ss_family == AF_INET6)
		r = sys_setsockopt_int(listener->fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
	if (r < 0)
		return r;
	return sys_bind(listener->fd, (const struct sockaddr *)&address->sockaddr, address->len);
}

/* ---- handed over ---- */

static unsigned env_number(const char *name)
{
	const char *text = getenv(name);
	uint64_t value;

	return text && number_parse(text, &value) == 0 && value <= INT32_MAX ? (unsigned)value : 0;
}

int reactor_activated_count(void)
{
	unsigned count = env_number("LISTEN_FDS");

	/* Another process's variables, inherited: not for us (sd_listen_fds(3)). */
	if (env_number("LISTEN_PID") != (unsigned)sys_pid())
		return 0;
	return (int)min_u64(count, ACTIVATED_MAX);
}

static int take_over(struct listener *listener, const char *where, int fd, struct err *err)
{
	int r;

	if (sys_getsockopt_int(fd, SOL_SOCKET, SO_ACCEPTCONN) != 1 ||
	    sys_getsockopt_int(fd, SOL_SOCKET, SO_TYPE) != SOCK_STREAM)
		return err_set(err, -EINVAL,
			       "%s: not a listening stream socket (%d of them were handed over by "
			       "systemd, from fd:%d on)",
			       where, reactor_activated_count(), ACTIVATED_FIRST);
	r = sys_set_cloexec(fd);
	if (r == 0)
		r = sys_set_nonblock(fd, true);
	if (r < 0)
		return err_set(err, r, "%s: %s", where, strerror(-r));
	listener->fd = fd;
	listener->listens = true;
	return 0;
}

/* ---- all kinds ---- */

static int listener_bind(struct listener *listener, const char *where,
			 const struct address *address, struct err *err)
{
	int r;

	listener->fd = sys_socket(address->sockaddr.ss_family, SOCK_STREAM | SOCK_NONBLOCK, 0);
	if (listener->fd < 0)
		return fail_bind(where, &address->sockaddr, listener->fd, err);
	r = address->sockaddr.ss_family == AF_UNIX ? bind_unix(listener, address)
						   : bind_inet(listener, address);
	return r < 0 ? fail_bind(where, &address->sockaddr, r, err) : 0;
}

static int listener_finish(struct listener *listener, const char *where, struct err *err)
{
	struct sockaddr_storage bound;
	socklen_t len;
	int r = sys_getsockname(listener->fd, &bound, &len);

	if (r < 0)
		return err_set(err, r, "%s: %s", where, strerror(-r));
	address_format(&bound, len, listener->name);
	if (bound.ss_family == AF_UNIX)
		return 0;
	/* Inherited by what it accepts (the socket is cloned), so it costs no call a connection.
	 * Answers are whole segments already; Nagle would only hold back the last of them. */
	r = sys_setsockopt_int(listener->fd, IPPROTO_TCP, TCP_NODELAY, 1);
	return r < 0 ? err_set(err, r, "%s: TCP_NODELAY: %s", where, strerror(-r)) : 0;
}

int listener_open(struct listener *listener, const char *where, const struct address *address,
		  struct err *err)
{
	int r = address->fd >= 0 ? take_over(listener, where, address->fd, err)
				 : listener_bind(listener, where, address, err);

	if (r == 0)
		r = listener_finish(listener, where, err);
	if (r < 0)
		listener_close(listener);
	return r;
}

int listener_listen(struct listener *listener, struct err *err)
{
	struct sockaddr_storage bound;
	socklen_t len;
	int r;

	if (listener->listens)
		return 0;
	r = sys_listen(listener->fd, listener->backlog);
	if (r < 0 && sys_getsockname(listener->fd, &bound, &len) == 0)
		return fail_bind(listener->name, &bound, r, err);
	if (r < 0)
		return err_set(err, r, "%s: %s", listener->name, strerror(-r));
	listener->listens = true;
	return 0;
}

void listener_close(struct listener *listener)
{
	if (listener->fd < 0)
		return;
	remove_socket_file(listener);
	sys_close(listener->fd);
	listener->fd = -1;
}
