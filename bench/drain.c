/*
 * A load generator that costs as little as a receiver can: N connections, GET in a loop, the body
 * dropped by recv(2) with MSG_TRUNC. wrk copies every byte it gets, so for large files it would
 * measure itself.
 *
 *     drain PORT PATH CONNECTIONS MILLISECONDS [SIZE]
 *
 * Prints {"bytes":..., "responses":..., "wall_ns":...}: body bytes that arrived while the clock ran
 * (parts of bodies count), responses that arrived whole. Whatever isn't a 200 with a Content-Length
 * ends it with a message. With the file's SIZE each connection asks for its own equal share of the
 * file, once (Range), and the end may come before the clock's: no byte is pulled twice.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "support.h"

#define CONNECTIONS_MAX 1024
#define PIECE           (4u << 20)
/* Beside a client that measures latency on the same CPU: a kernel that doesn't preempt lets that one
 * wait until the call is over. */
#define SHARE_PIECE (128u << 10)

struct conn {
	int fd;
	uint64_t left;     /* of the body under way */
	char head[4096];   /* of the response under way, as far as it came */
	size_t head_bytes; /* 0 while a body is under way */
};

static char request[4096];
static size_t request_bytes;
static uint64_t share; /* bytes a connection; 0: the whole file again and again */
static uint64_t bytes, responses;

static void ask_share(const struct conn *conn, size_t index)
{
	char text[sizeof(request) + 128];
	int len = snprintf(text, sizeof(text), "%.*sRange: bytes=%llu-%llu\r\n\r\n",
			   (int)request_bytes - 2, request, (unsigned long long)(index * share),
			   (unsigned long long)((index + 1) * share - 1));

	if (send(conn->fd, text, (size_t)len, MSG_NOSIGNAL) != len)
		die("send");
}

static void ask(struct conn *conn)
{
	if (send(conn->fd, request, request_bytes, MSG_NOSIGNAL) != (ssize_t)request_bytes)
		die("send");
}

static uint64_t parse_head(const char *head)
{
	const char *length;

	if (strncmp(head, share ? "HTTP/1.1 206 " : "HTTP/1.1 200 ", 13) != 0) {
		fprintf(stderr, "not a %d: %.40s\n", share ? 206 : 200, head);
		exit(1);
	}
	length = strcasestr(head, "\r\ncontent-length:");
	if (!length)
		die_text("no Content-Length");
	return strtoull(length + strlen("\r\ncontent-length:"), NULL, 10);
}

static void end_body(struct conn *conn)
{
	responses++;
	if (share == 0)
		ask(conn);
}

/* Peeks until the header is whole, then takes exactly the header: the body stays for MSG_TRUNC. */
static bool take_head(struct conn *conn)
{
	char *end;
	ssize_t n = recv(conn->fd, conn->head, sizeof(conn->head) - 1, MSG_PEEK);

	if (n == 0)
		die_text("the server closed the connection");
	if (n < 0 && errno == EAGAIN)
		return false;
	if (n < 0)
		die("recv");
	conn->head[n] = '\0';
	end = strstr(conn->head, "\r\n\r\n");
	if (!end)
		die_text("the header came in pieces");
	end[2] = '\0';
	conn->left = parse_head(conn->head);
	if (recv(conn->fd, NULL, (size_t)(end + 4 - conn->head), MSG_TRUNC) < 0)
		die("recv");
	if (conn->left == 0)
		end_body(conn);
	return true;
}

static bool take_body(struct conn *conn)
{
	size_t piece = share ? SHARE_PIECE : PIECE;
	ssize_t n = recv(conn->fd, NULL, conn->left < piece ? conn->left : piece, MSG_TRUNC);

	if (n == 0)
		die_text("the server closed the connection within a body");
	if (n < 0 && errno == EAGAIN)
		return false;
	if (n < 0)
		die("recv");
	bytes += (uint64_t)n;
	conn->left -= (uint64_t)n;
	if (conn->left == 0)
		end_body(conn);
	return true;
}

static void run(int epoll, uint64_t duration_ns, size_t count)
{
	struct epoll_event events[64];
	uint64_t start = wall_ns();

	while (wall_ns() - start < duration_ns && !(share && responses == count)) {
		int ready = epoll_wait(epoll, events, 64, 100);

		/* One piece each: level-triggered, so whoever has more comes again. */
		for (int i = 0; i < ready; i++) {
			struct conn *conn = events[i].data.ptr;

			(void)(conn->left ? take_body(conn) : take_head(conn));
		}
	}
	printf("{\"bytes\": %llu, \"responses\": %llu, \"wall_ns\": %llu}\n",
	       (unsigned long long)bytes, (unsigned long long)responses,
	       (unsigned long long)(wall_ns() - start));
}

static struct conn *connect_all(int epoll, uint16_t port, size_t count)
{
	struct conn *conns = calloc(count, sizeof(*conns));

	if (!conns)
		die("calloc");
	for (size_t i = 0; i < count; i++) {
		struct epoll_event event = {.events = EPOLLIN, .data.ptr = &conns[i]};

		conns[i].fd = connect_loopback(port);
		set_nonblocking(conns[i].fd, true);
		if (epoll_ctl(epoll, EPOLL_CTL_ADD, conns[i].fd, &event) < 0)
			die("epoll_ctl");
		if (share)
			ask_share(&conns[i], i);
		else
			ask(&conns[i]);
	}
	return conns;
}

int main(int argc, char **argv)
{
	struct conn *conns;
	size_t count;
	int epoll = epoll_create1(EPOLL_CLOEXEC);

	if (argc < 5 || argc > 6) {
		fprintf(stderr, "usage: %s PORT PATH CONNECTIONS MILLISECONDS [SIZE]\n", argv[0]);
		return 2;
	}
	if (epoll < 0)
		die("epoll_create1");
	pin_to(CPU_LOAD);
	request_bytes = (size_t)snprintf(request, sizeof(request),
					 "GET %s HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", argv[2]);
	if (request_bytes >= sizeof(request))
		die_text("the path is too long");
	count = parse_number(argv[3], 1, CONNECTIONS_MAX);
	share = argc == 6 ? parse_number(argv[5], count, INT64_MAX) / count : 0;
	conns = connect_all(epoll, (uint16_t)parse_number(argv[1], 1, UINT16_MAX), count);
	run(epoll, parse_number(argv[4], 1, 3600000) * 1000000u, count);
	for (size_t i = 0; i < count; i++)
		close(conns[i].fd);
	free(conns);
	close(epoll);
	return 0;
}
