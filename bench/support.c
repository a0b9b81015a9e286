#include "support.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PIECE (1u << 20)

noreturn void die(const char *what)
{
	perror(what);
	exit(1);
}

noreturn void die_text(const char *text)
{
	fprintf(stderr, "%s\n", text);
	exit(1);
}

noreturn void die_answer(const char *fault)
{
	fprintf(stderr, "an answer is not good: %s\n", fault);
	exit(1);
}

void pin_to(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	(void)sched_setaffinity(0, sizeof(set), &set);
}

void limit_descriptors_to_max(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		die("getrlimit");
	limit.rlim_cur = limit.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
		die("setrlimit");
}

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

uint64_t cpu_ns(void)
{
	return clock_ns(CLOCK_PROCESS_CPUTIME_ID);
}

uint64_t wall_ns(void)
{
	return clock_ns(CLOCK_MONOTONIC);
}

uint64_t parse_number(const char *text, uint64_t min, uint64_t max)
{
	char *end;
	uint64_t number;

	errno = 0;
	number = strtoull(text, &end, 10);
	if (errno || end == text || *end || number < min || number > max) {
		fprintf(stderr, "'%s' is not a number from %llu to %llu\n", text,
			(unsigned long long)min, (unsigned long long)max);
		exit(2);
	}
	return number;
}

void print_array(const uint64_t *values, size_t count)
{
	putchar('[');
	for (size_t i = 0; i < count; i++)
		printf("%s%llu", i ? ", " : "", (unsigned long long)values[i]);
	putchar(']');
}

void set_nonblocking(int fd, bool on)
{
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0 || fcntl(fd, F_SETFL, on ? flags | O_NONBLOCK : flags & ~O_NONBLOCK) < 0)
		die("O_NONBLOCK");
}

void set_nodelay(int fd)
{
	int one = 1;

	if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)) < 0)
		die("TCP_NODELAY");
}

void wait_for(int fd, short poll_events)
{
	struct pollfd p = {.fd = fd, .events = poll_events};

	while (poll(&p, 1, -1) < 0)
		if (errno != EINTR)
			die("poll");
}

static struct sockaddr_in loopback(uint16_t port)
{
	return (struct sockaddr_in){.sin_family = AF_INET,
				    .sin_port = htons(port),
				    .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

int listen_loopback(uint16_t *port)
{
	struct sockaddr_in address = loopback(*port);
	socklen_t length = sizeof(address);
	int one = 1;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		die("socket");
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) < 0)
		die("SO_REUSEADDR");
	if (bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		die("bind");
	if (listen(fd, 4096) < 0)
		die("listen");
	if (getsockname(fd, (struct sockaddr *)&address, &length) < 0)
		die("getsockname");
	*port = ntohs(address.sin_port);
	return fd;
}

int connect_loopback(uint16_t port)
{
	struct sockaddr_in address = loopback(port);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		die("socket");
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		die("connect");
	return fd;
}

int accept_one(int listener)
{
	int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);

	if (fd < 0)
		die("accept");
	return fd;
}

static pid_t fork_on_load_cpu(void)
{
	pid_t child = fork();

	if (child < 0)
		die("fork");
	if (child)
		return child;
	/* It has copies of the parent's sockets, so it would not notice that the parent died. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	pin_to(CPU_LOAD);
	return 0;
}

pid_t fork_discard(int fd, uint64_t expected)
{
	uint64_t got = 0;
	ssize_t n;
	pid_t child = fork_on_load_cpu();

	if (child)
		return child;
	/* TCP never looks at the buffer under MSG_TRUNC: tcp(7). */
	while ((n = recv(fd, NULL, PIECE, MSG_TRUNC)) > 0)
		got += (uint64_t)n;
	if (n < 0)
		die("recv");
	if (got != expected)
		fprintf(stderr, "the receiver got %llu bytes, not %llu\n", (unsigned long long)got,
			(unsigned long long)expected);
	_exit(got == expected ? 0 : 1);
}

pid_t fork_source(int fd, uint64_t total)
{
	char *memory;
	pid_t child = fork_on_load_cpu();

	if (child)
		return child;
	memory = malloc(PIECE);
	if (!memory)
		die("malloc");
	memset(memory, 'x', PIECE);
	while (total > 0) {
		ssize_t n = send(fd, memory, total < PIECE ? (size_t)total : PIECE, MSG_NOSIGNAL);

		if (n < 0)
			die("send");
		total -= (uint64_t)n;
	}
	_exit(0);
}

void join(pid_t child)
{
	int status;

	if (waitpid(child, &status, 0) < 0)
		die("waitpid");
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
		die_text("the other side failed");
}
