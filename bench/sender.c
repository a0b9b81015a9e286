#include "sender.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

static const struct sender_mode *find_mode(const struct sender_mode *modes, const char *name)
{
	for (; modes->name; modes++)
		if (strcmp(modes->name, name) == 0)
			return modes;
	fprintf(stderr, "no mode '%s'\n", name);
	return NULL;
}

static int open_whole(const char *path, size_t *ret_size)
{
	struct stat st;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || fstat(fd, &st) < 0)
		die(path);
	if (st.st_size == 0)
		die_text("the file is empty");
	*ret_size = (size_t)st.st_size;
	return fd;
}

static void run(const struct sender_mode *mode, int file, size_t size, uint64_t times)
{
	uint16_t port = 0;
	int listener = listen_loopback(&port);
	int receiver_end = connect_loopback(port);
	int socket = accept_one(listener);
	pid_t receiver;
	uint64_t cpu, wall;

	receiver = fork_discard(receiver_end, size * times);
	close(receiver_end);
	pin_to(CPU_MEASURED);
	if (mode->nonblocking)
		set_nonblocking(socket);
	if (mode->open)
		mode->open(socket);
	cpu = cpu_ns();
	wall = wall_ns();
	for (uint64_t i = 0; i < times; i++)
		mode->send_file(socket, file, size);
	cpu = cpu_ns() - cpu;
	wall = wall_ns() - wall;
	if (shutdown(socket, SHUT_WR) < 0)
		die("shutdown");
	join(receiver);
	close(socket);
	close(listener);
	printf("{\"mode\": \"%s\", \"bytes\": %llu, \"cpu_ns\": %llu, \"wall_ns\": %llu}\n",
	       mode->name, (unsigned long long)(size * times), (unsigned long long)cpu,
	       (unsigned long long)wall);
}

int sender_main(int argc, char **argv, const struct sender_mode *modes)
{
	const struct sender_mode *mode;
	size_t size;
	int file;

	if (argc != 4) {
		fprintf(stderr, "usage: %s MODE FILE TOTAL_BYTES\n", argv[0]);
		return 2;
	}
	mode = find_mode(modes, argv[1]);
	if (!mode)
		return 2;
	signal(SIGPIPE, SIG_IGN);
	file = open_whole(argv[2], &size);
	run(mode, file, size, parse_number(argv[3], size, UINT64_MAX) / size);
	close(file);
	return 0;
}
