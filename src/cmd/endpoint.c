#include "cmd/endpoint.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include "base/slice.h"
#include "sys/sys.h"

/* ---- how they are written ---- */

/* HOST:PORT, [HOST]:PORT or :PORT. */
static int parse_address(const char *text, struct endpoint *ret, struct err *err)
{
	const char *colon = strrchr(text, ':');
	size_t host_len = colon ? (size_t)(colon - text) : 0, digits;
	unsigned port = 0;

	if (!colon)
		return err_set(err, -EINVAL, "%s: the port is missing: HOST:PORT", ret->text);
	digits = strspn(colon + 1, "0123456789");
	if (digits == 0 || digits > 5 || colon[1 + digits] != '\0' ||
	    sscanf(colon + 1, "%5u", &port) != 1 || port > 65535)
		return err_set(err, -EINVAL, "%s: the port is a number up to 65535, not '%s'",
			       ret->text, colon + 1);
	if (port == 0 && ret->kind == ENDPOINT_TCP)
		return err_set(err, -EINVAL, "%s: port 0 is for listening only", ret->text);
	if (host_len >= 2 && text[0] == '[' && text[host_len - 1] == ']') {
		text++;
		host_len -= 2;
	} else if (memchr(text, ':', host_len)) {
		return err_set(err, -EINVAL, "%s: an IPv6 address stands in brackets: [::1]:PORT",
			       ret->text);
	}
	if (host_len >= sizeof(ret->host))
		return err_set(err, -EINVAL, "%s: the host name is too long", ret->text);
	if (host_len == 0 && ret->kind == ENDPOINT_TCP)
		return err_set(err, -EINVAL, "%s: the host is missing: tcp:HOST:PORT", ret->text);
	memcpy(ret->host, text, host_len);
	snprintf(ret->port, sizeof(ret->port), "%u", port);
	return 0;
}

static int parse_path(const char *path, struct endpoint *ret, struct err *err)
{
	const struct sockaddr_un *addr = NULL;

	if (path[0] == '\0')
		return err_set(err, -EINVAL, "'%s': the path is missing", ret->text);
	if (ret->kind != ENDPOINT_FILE && strlen(path) >= sizeof(addr->sun_path))
		return err_set(err, -EINVAL, "%s: a socket's path is shorter than %zu bytes",
			       ret->text, sizeof(addr->sun_path));
	ret->path = path;
	return 0;
}

int endpoint_parse(const char *text, struct endpoint *ret, struct err *err)
{
	static const struct {
		struct slice prefix;
		enum endpoint_kind kind;
	} prefixes[] = {
	    {SLICE_LITERAL("tcp:"), ENDPOINT_TCP},
	    {SLICE_LITERAL("tcp-listen:"), ENDPOINT_TCP_LISTEN},
	    {SLICE_LITERAL("unix:"), ENDPOINT_UNIX},
	    {SLICE_LITERAL("unix-listen:"), ENDPOINT_UNIX_LISTEN},
	};
	struct endpoint endpoint = {.kind = ENDPOINT_FILE, .text = text};
	const char *rest = text;
	int r = 0;

	for (size_t i = 0; i < ARRAY_SIZE(prefixes); i++) {
		if (slice_starts_with(slice_of(text), prefixes[i].prefix)) {
			endpoint.kind = prefixes[i].kind;
			rest = text + prefixes[i].prefix.len;
		}
	}
	if (strcmp(text, "-") == 0)
		endpoint.kind = ENDPOINT_STANDARD;
	else if (endpoint.kind == ENDPOINT_TCP || endpoint.kind == ENDPOINT_TCP_LISTEN)
		r = parse_address(rest, &endpoint, err);
	else
		r = parse_path(rest, &endpoint, err);
	if (r < 0)
		return r;
	*ret = endpoint;
	return 0;
}

/* ---- what to do about errors ---- */

const char *endpoint_name(const struct endpoint *endpoint, enum endpoint_role role)
{
	if (endpoint->kind != ENDPOINT_STANDARD)
		return endpoint->text;
	return role == ENDPOINT_SOURCE ? "standard input" : "standard output";
}

const char *endpoint_advice(const struct endpoint *endpoint, enum endpoint_role role, int error)
{
	bool file = endpoint->kind == ENDPOINT_FILE;
	bool listens =
	    endpoint->kind == ENDPOINT_TCP_LISTEN || endpoint->kind == ENDPOINT_UNIX_LISTEN;

	switch (-error) {
	case ENOENT:
		if (file && role == ENDPOINT_SOURCE)
			return "no such file";
		return file || listens ? "its folder does not exist: create it first"
				       : "nobody listens there: start the other side first";
	case ECONNREFUSED:
		return "nobody listens there: start the other side first";
	case EISDIR:
		return "is a directory: name a file in it";
	case EADDRINUSE:
		return endpoint->kind == ENDPOINT_UNIX_LISTEN
			   ? "exists already: remove it if nobody listens there"
			   : "in use already: take another port, or 0 for any";
	case EADDRNOTAVAIL:
		return listens ? "not an address of this machine" : "can't be reached from here";
	case EACCES:
	case EPERM:
		return "permission denied: look at its owner and mode, or be another user";
	case ENXIO:
		return "no such device, or a socket: write unix:PATH for a socket";
	case ENOSPC:
		return "no space left on its file system: make room and run it again";
	case EDQUOT:
		return "the disk quota is used up: make room and run it again";
	case EPIPE:
	case ECONNRESET:
		return role == ENDPOINT_SINK ? "the reader closed it before it had everything"
					     : "the other side broke the connection";
	case ETXTBSY:
		return "is a program that is running: write to a new file and rename it";
	default:
		return strerrordesc_np(-error);
	}
}

static int failed(const struct endpoint *endpoint, enum endpoint_role role, int error,
		  struct err *err)
{
	return err_set(err, error, "%s: %s", endpoint_name(endpoint, role),
		       endpoint_advice(endpoint, role, error));
}

/* ---- files ---- */

static int open_file(const char *path, enum endpoint_role role, bool append)
{
	int flags =
	    role == ENDPOINT_SOURCE ? O_RDONLY : O_WRONLY | O_CREAT | (append ? O_APPEND : 0);
	struct stat st;
	int fd = sys_open(path, flags | O_NOCTTY, 0666);

	/* A directory can be opened for reading, and fails at the first read only. */
	if (fd >= 0 && sys_fstat(fd, &st) == 0 && S_ISDIR(st.st_mode)) {
		sys_close(fd);
		return -EISDIR;
	}
	return fd;
}

int endpoint_truncate(const struct endpoint *endpoint, int fd, struct err *err)
{
	struct stat st;
	int r;

	if (endpoint->kind != ENDPOINT_FILE)
		return 0;
	r = sys_fstat(fd, &st);
	if (r == 0 && S_ISREG(st.st_mode) && st.st_size > 0)
		r = sys_ftruncate(fd, 0);
	return r < 0 ? failed(endpoint, ENDPOINT_SINK, r, err) : 0;
}

/* ---- sockets ---- */

/* The address a listener got, port 0 resolved: the user has to know it to connect. */
static void announce(int listener)
{
	struct sockaddr_storage addr;
	socklen_t len;
	char host[INET6_ADDRSTRLEN], port[6];
	bool v6;

	if (sys_getsockname(listener, &addr, &len) < 0 ||
	    getnameinfo((struct sockaddr *)&addr, len, host, sizeof(host), port, sizeof(port),
			NI_NUMERICHOST | NI_NUMERICSERV) != 0)
		return;
	v6 = addr.ss_family == AF_INET6;
	fprintf(stderr, "leat: listening on %s%s%s:%s\n", v6 ? "[" : "", host, v6 ? "]" : "", port);
}

static int connect_fd(int fd, const struct sockaddr *addr, socklen_t len)
{
	int r = sys_connect(fd, addr, len);

	if (r == -EINPROGRESS) {
		struct pollfd wait = {.fd = fd, .events = POLLOUT};

		do
			r = sys_poll(&wait, 1, -1);
		while (r == 0);
		if (r > 0)
			r = -sys_getsockopt_int(fd, SOL_SOCKET, SO_ERROR);
	}
	return r;
}

static int listen_fd(int fd, const struct sockaddr *addr, socklen_t len)
{
	int r = sys_setsockopt_int(fd, SOL_SOCKET, SO_REUSEADDR, 1);

	if (r == 0)
		r = sys_bind(fd, addr, len);
	if (r == 0)
		r = sys_listen(fd, 1);
	return r;
}

/* A connected or a listening socket. */
static int open_socket(const struct sockaddr *addr, socklen_t len, bool listens)
{
	int fd = sys_socket(addr->sa_family, SOCK_STREAM, 0);
	int r;

	if (fd < 0)
		return fd;
	r = listens ? listen_fd(fd, addr, len) : connect_fd(fd, addr, len);
	if (r == 0)
		return fd;
	sys_close(fd);
	return r;
}

/* The one connection that a listener is for. */
static int accept_one(int listener)
{
	int fd = sys_accept_blocking(listener);

	sys_close(listener);
	return fd;
}

/* Every address the name has is tried, in the resolver's order. */
static int open_tcp(const struct endpoint *endpoint, enum endpoint_role role, struct err *err)
{
	bool listens = endpoint->kind == ENDPOINT_TCP_LISTEN;
	/* "" is every address; the IPv6 one takes IPv4 connections too. */
	const char *host = endpoint->host[0] ? endpoint->host : "::";
	const struct addrinfo hints = {.ai_socktype = SOCK_STREAM,
				       .ai_flags = AI_NUMERICSERV | (listens ? AI_PASSIVE : 0)};
	struct addrinfo *list = NULL;
	int fd = -EADDRNOTAVAIL;
	int r = getaddrinfo(host, endpoint->port, &hints, &list);

	if (r != 0)
		return err_set(err, -EHOSTUNREACH, "%s: '%s' is not found: %s", endpoint->text,
			       host, gai_strerror(r));
	for (const struct addrinfo *a = list; a && fd < 0; a = a->ai_next)
		fd = open_socket(a->ai_addr, a->ai_addrlen, listens);
	freeaddrinfo(list);
	if (fd == -EAFNOSUPPORT && endpoint->host[0] == '\0') {
		const struct sockaddr_in any = {.sin_family = AF_INET,
						.sin_port = htons(
						    (uint16_t)strtoul(endpoint->port, NULL, 10))};

		fd = open_socket((const struct sockaddr *)&any, sizeof(any), true);
	}
	if (fd >= 0 && listens) {
		announce(fd);
		fd = accept_one(fd);
	}
	return fd < 0 ? failed(endpoint, role, fd, err) : fd;
}

static int open_unix(const struct endpoint *endpoint, enum endpoint_role role, struct err *err)
{
	bool listens = endpoint->kind == ENDPOINT_UNIX_LISTEN;
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	int fd;

	memcpy(addr.sun_path, endpoint->path, strlen(endpoint->path) + 1);
	fd = open_socket((const struct sockaddr *)&addr, sizeof(addr), listens);
	if (fd >= 0 && listens) {
		fprintf(stderr, "leat: listening on %s\n", endpoint->path);
		fd = accept_one(fd);
		sys_unlink(endpoint->path);
	}
	return fd < 0 ? failed(endpoint, role, fd, err) : fd;
}

/* ---- both ---- */

int endpoint_open(const struct endpoint *endpoint, enum endpoint_role role, bool append,
		  struct err *err)
{
	int fd = -EINVAL;

	switch (endpoint->kind) {
	case ENDPOINT_TCP:
	case ENDPOINT_TCP_LISTEN:
		return open_tcp(endpoint, role, err);
	case ENDPOINT_UNIX:
	case ENDPOINT_UNIX_LISTEN:
		return open_unix(endpoint, role, err);
	case ENDPOINT_STANDARD:
		fd = sys_dup_cloexec(role == ENDPOINT_SOURCE ? 0 : 1);
		break;
	case ENDPOINT_FILE:
		fd = open_file(endpoint->path, role, append);
		break;
	}
	return fd < 0 ? failed(endpoint, role, fd, err) : fd;
}

int endpoint_close_sink(const struct endpoint *endpoint, int fd, struct err *err)
{
	char unread[4096];
	int r;

	if (endpoint->kind != ENDPOINT_FILE && endpoint->kind != ENDPOINT_STANDARD) {
		sys_shutdown(fd, SHUT_WR);
		/* Closing a socket with unread bytes makes TCP reset the connection, and the peer
		 * may lose what it has not read yet (RFC 2525, 2.17). A peer that never stops
		 * talking has to be cut off, though. */
		for (int i = 0; i < 256; i++)
			if (sys_recv(fd, unread, sizeof(unread), MSG_DONTWAIT) <= 0)
				break;
	}
	r = sys_close(fd);
	return r < 0 ? failed(endpoint, ENDPOINT_SINK, r, err) : 0;
}
