/*
 * How long a server takes from fork to its first answer, and what memory it then holds.
 *
 *     start-cost PORT QUESTION PROGRAM [ARGUMENT...]
 *
 * Starts the program, connects again and again until somebody accepts, asks one question
 * (question.h), waits for the first bytes of the answer; then adds up the memory of the program and
 * its children, ends it by SIGTERM and waits for it. Prints {"start_ns":..., "rss_kib":...,
 * "anon_kib":..., "stop_ns":..., "status":...}.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "question.h"
#include "support.h"

extern char **environ;

#define START_LIMIT_NS (60ull * 1000000000u)
#define STOP_LIMIT_NS  (60ull * 1000000000u)
#define RETRY_US       50

struct memory {
	uint64_t rss_kib, anon_kib;
};

static pid_t start(char **command)
{
	posix_spawn_file_actions_t actions;
	pid_t child;
	int error;

	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
	posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
	error = posix_spawnp(&child, command[0], &actions, NULL, command, environ);
	if (error) {
		errno = error;
		die(command[0]);
	}
	posix_spawn_file_actions_destroy(&actions);
	return child;
}

noreturn static void give_up(pid_t child, const char *text)
{
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	die_text(text);
}

static int connect_when_ready(pid_t child, uint16_t port, uint64_t since_ns)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
				      .sin_port = htons(port),
				      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};

	for (;;) {
		int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

		if (fd < 0)
			die("socket");
		if (connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0)
			return fd;
		close(fd);
		if (waitpid(child, NULL, WNOHANG) == child)
			die_text("the server ended before it listened");
		if (wall_ns() - since_ns > START_LIMIT_NS)
			give_up(child, "the server does not listen");
		usleep(RETRY_US);
	}
}

static void ask(pid_t child, int fd, const struct question *question)
{
	char start[QUESTION_START];
	ssize_t n;

	if (send(fd, question->bytes, question->len, MSG_NOSIGNAL) != (ssize_t)question->len)
		give_up(child, "the question could not be sent");
	n = recv(fd, start, sizeof(start), 0);
	if (n <= 0 || question->answer_size(start, (size_t)n) == 0)
		give_up(child, "not a good answer");
}

static void add_status(pid_t pid, struct memory *memory)
{
	char path[64], line[256];
	unsigned long long kib;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	file = fopen(path, "re");
	if (!file)
		die(path);
	while (fgets(line, sizeof(line), file)) {
		if (sscanf(line, "VmRSS: %llu", &kib) == 1)
			memory->rss_kib += kib;
		if (sscanf(line, "RssAnon: %llu", &kib) == 1)
			memory->anon_kib += kib;
	}
	fclose(file);
}

/* Servers that fork have their memory in their children; pages shared with the parent count twice,
 * as in every tool that adds up RSS. */
static void add_tree(pid_t pid, struct memory *memory)
{
	char path[64];
	FILE *file;
	int child;

	add_status(pid, memory);
	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", pid, pid);
	file = fopen(path, "re");
	if (!file)
		return; /* a kernel without CONFIG_PROC_CHILDREN */
	while (fscanf(file, "%d", &child) == 1)
		add_tree(child, memory);
	fclose(file);
}

static int stop(pid_t child)
{
	uint64_t since = wall_ns();
	int status;

	kill(child, SIGTERM);
	while (waitpid(child, &status, WNOHANG) == 0) {
		if (wall_ns() - since > STOP_LIMIT_NS)
			give_up(child, "the server does not end on SIGTERM");
		usleep(RETRY_US);
	}
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int main(int argc, char **argv)
{
	struct memory memory = {0};
	struct question question;
	uint64_t begin, started, stopping;
	pid_t child;
	int fd, status;

	if (argc < 4) {
		fprintf(stderr, "usage: %s PORT " QUESTION_USAGE " PROGRAM [ARGUMENT...]\n",
			argv[0]);
		return 2;
	}
	question_parse(argv[2], &question);
	begin = wall_ns();
	child = start(argv + 3);
	fd = connect_when_ready(child, (uint16_t)parse_number(argv[1], 1, UINT16_MAX), begin);
	ask(child, fd, &question);
	started = wall_ns() - begin;
	add_tree(child, &memory);
	close(fd);
	stopping = wall_ns();
	status = stop(child);
	printf("{\"start_ns\": %llu, \"rss_kib\": %llu, \"anon_kib\": %llu, \"stop_ns\": %llu, "
	       "\"status\": %d}\n",
	       (unsigned long long)started, (unsigned long long)memory.rss_kib,
	       (unsigned long long)memory.anon_kib, (unsigned long long)(wall_ns() - stopping),
	       status);
	return 0;
}
