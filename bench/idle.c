/*
 * What an idle connection costs a server: opens N keep-alive connections, one answered request
 * (question.h) on each, and holds them all.
 *
 *     idle PORT QUESTION CONNECTIONS
 *
 * Prints {"connections":..., "wall_ns":...} once all are idle, then holds them until stdin ends:
 * whoever started it looks at the server's memory in between. The answer must be small: it is read
 * and dropped in one go.
 */
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "question.h"
#include "support.h"

/* Below the ephemeral ports that one address has on a default Linux. */
#define CONNECTIONS_MAX 28000

static void drop_answer(int fd, const struct question *question)
{
	char start[QUESTION_START];
	ssize_t n = recv(fd, start, sizeof(start), 0);
	size_t size, left;

	if (n < 0)
		die("no answer");
	if (n == 0)
		die_text("the server closed the connection");
	size = question->answer_size(start, (size_t)n);
	if (size == 0)
		die_text("not a good answer");
	left = size - (size_t)n;
	if (left > 0 && recv(fd, NULL, left, MSG_TRUNC | MSG_WAITALL) != (ssize_t)left)
		die_text("the answer was cut short");
}

static int open_idle(uint16_t port, const struct question *question)
{
	/* A server that is full leaves new connections unanswered: better an error than a wait. */
	struct timeval limit = {.tv_sec = 5};
	int fd = connect_loopback(port);

	if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)) < 0)
		die("SO_RCVTIMEO");
	if (send(fd, question->bytes, question->len, MSG_NOSIGNAL) != (ssize_t)question->len)
		die("send");
	drop_answer(fd, question);
	return fd;
}

int main(int argc, char **argv)
{
	struct question question;
	size_t count;
	uint64_t begin;
	uint16_t port;
	char byte;

	if (argc != 4) {
		fprintf(stderr, "usage: %s PORT " QUESTION_USAGE " CONNECTIONS\n", argv[0]);
		return 2;
	}
	port = (uint16_t)parse_number(argv[1], 1, UINT16_MAX);
	count = parse_number(argv[3], 1, CONNECTIONS_MAX);
	question_parse(argv[2], &question);
	limit_descriptors_to_max();
	pin_to(CPU_LOAD);
	begin = wall_ns();
	for (size_t i = 0; i < count; i++)
		(void)open_idle(port, &question); /* closed by the end of the process */
	printf("{\"connections\": %zu, \"wall_ns\": %llu}\n", count,
	       (unsigned long long)(wall_ns() - begin));
	fflush(stdout);
	while (read(STDIN_FILENO, &byte, 1) > 0)
		;
	return 0;
}
