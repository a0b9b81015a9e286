/*
 * What an idle connection costs a server: opens N keep-alive connections, one answered request on
 * each, and holds them all.
 *
 *     idle PORT PATH CONNECTIONS
 *
 * Prints {"connections":..., "wall_ns":...} once all are idle, then holds them until stdin ends:
 * whoever started it looks at the server's memory in between. The body must be small: it is read
 * and dropped in one go.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "support.h"

/* Below the ephemeral ports that one address has on a default Linux. */
#define CONNECTIONS_MAX 28000

static void drop_response(int fd)
{
	char head[4097];
	const char *length, *end;
	ssize_t n = recv(fd, head, sizeof(head) - 1, 0);
	size_t left;

	if (n < 0)
		die("no answer");
	if (n == 0)
		die_text("the server closed the connection");
	head[n] = '\0';
	end = strstr(head, "\r\n\r\n");
	length = strcasestr(head, "\r\ncontent-length:");
	if (strncmp(head, "HTTP/1.1 200 ", 13) != 0 || !end || !length)
		die_text("not a 200 with a Content-Length");
	left = strtoull(length + strlen("\r\ncontent-length:"), NULL, 10);
	left -= (size_t)(head + n - (end + 4));
	if (left > 0 && recv(fd, NULL, left, MSG_TRUNC | MSG_WAITALL) != (ssize_t)left)
		die_text("the body was cut short");
}

static int open_idle(uint16_t port, const char *request, size_t length)
{
	/* A server that is full leaves new connections unanswered: better an error than a wait. */
	struct timeval limit = {.tv_sec = 5};
	int fd = connect_loopback(port);

	if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)) < 0)
		die("SO_RCVTIMEO");
	if (send(fd, request, length, MSG_NOSIGNAL) != (ssize_t)length)
		die("send");
	drop_response(fd);
	return fd;
}

int main(int argc, char **argv)
{
	char request[4096], byte;
	size_t length, count;
	uint64_t begin;
	uint16_t port;

	if (argc != 4) {
		fprintf(stderr, "usage: %s PORT PATH CONNECTIONS\n", argv[0]);
		return 2;
	}
	port = (uint16_t)parse_number(argv[1], 1, UINT16_MAX);
	count = parse_number(argv[3], 1, CONNECTIONS_MAX);
	length = (size_t)snprintf(request, sizeof(request),
				  "GET %s HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", argv[2]);
	if (length >= sizeof(request))
		die_text("the path is too long");
	limit_descriptors_to_max();
	pin_to(CPU_LOAD);
	begin = wall_ns();
	for (size_t i = 0; i < count; i++)
		(void)open_idle(port, request, length); /* closed by the end of the process */
	printf("{\"connections\": %zu, \"wall_ns\": %llu}\n", count,
	       (unsigned long long)(wall_ns() - begin));
	fflush(stdout);
	while (read(STDIN_FILENO, &byte, 1) > 0)
		;
	return 0;
}
