#include "sender.h"

#include <fcntl.h>
#include <linux/sockios.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define MODES_MAX  8
#define ROUNDS_MAX 10000

struct contest {
	const struct sender_mode *modes[MODES_MAX];
	unsigned mode_count, rounds;
	uint64_t *cpu_ns[MODES_MAX]; /* of each round */
	int file;
	size_t size, times;
};

static const struct sender_mode *find_mode(const char *name)
{
	for (const struct sender_mode *mode = floor_modes; mode->name; mode++)
		if (strcmp(mode->name, name) == 0)
			return mode;
	for (const struct sender_mode *mode = engine_modes; mode->name; mode++)
		if (strcmp(mode->name, name) == 0)
			return mode;
	fprintf(stderr, "no mode '%s'\n", name);
	exit(2);
}

static void wait_until_acknowledged(int socket)
{
	int queued = 1;

	while (queued > 0) {
		usleep(100);
		if (ioctl(socket, SIOCOUTQ, &queued) < 0)
			die("SIOCOUTQ");
	}
}

static uint64_t take_turn(const struct contest *contest, const struct sender_mode *mode, int socket)
{
	uint64_t cpu;

	set_nonblocking(socket, mode->nonblocking);
	if (mode->open)
		mode->open(socket);
	cpu = cpu_ns();
	for (size_t i = 0; i < contest->times; i++)
		mode->send_file(socket, contest->file, contest->size);
	cpu = cpu_ns() - cpu;
	if (mode->close)
		mode->close();
	wait_until_acknowledged(socket);
	return cpu;
}

/* To and fro, so that nobody always runs after the same neighbour. The round before the first is
 * for the socket's buffers to grow, and isn't noted. */
static void take_turns(const struct contest *contest, int socket)
{
	unsigned last = contest->mode_count - 1;

	for (unsigned m = 0; m <= last; m++)
		(void)take_turn(contest, contest->modes[m], socket);
	for (unsigned round = 0; round < contest->rounds; round++) {
		for (unsigned i = 0; i <= last; i++) {
			unsigned m = round % 2 ? last - i : i;

			contest->cpu_ns[m][round] = take_turn(contest, contest->modes[m], socket);
		}
	}
}

static void run(const struct contest *contest)
{
	uint16_t port = 0;
	int listener = listen_loopback(&port);
	int receiver_end = connect_loopback(port);
	int socket = accept_one(listener);
	pid_t receiver =
	    fork_discard(receiver_end, contest->size * contest->times * contest->mode_count *
					   (contest->rounds + 1));

	close(receiver_end);
	pin_to(CPU_MEASURED);
	take_turns(contest, socket);
	if (shutdown(socket, SHUT_WR) < 0)
		die("shutdown");
	join(receiver);
	close(socket);
	close(listener);
}

static void print(const struct contest *contest)
{
	printf("{\"bytes\": %zu, \"cpu_ns\": {", contest->size * contest->times);
	for (unsigned m = 0; m < contest->mode_count; m++) {
		printf("%s\"%s\": ", m ? ", " : "", contest->modes[m]->name);
		print_array(contest->cpu_ns[m], contest->rounds);
	}
	puts("}}");
}

static void open_file(struct contest *contest, const char *path)
{
	struct stat st;

	contest->file = open(path, O_RDONLY | O_CLOEXEC);
	if (contest->file < 0 || fstat(contest->file, &st) < 0)
		die(path);
	if (st.st_size == 0)
		die_text("the file is empty");
	contest->size = (size_t)st.st_size;
}

int main(int argc, char **argv)
{
	struct contest contest = {.mode_count = (unsigned)argc - 4};

	if (argc < 5 || argc > 4 + MODES_MAX) {
		fprintf(stderr, "usage: %s FILE TURN_BYTES ROUNDS MODE...\n", argv[0]);
		return 2;
	}
	open_file(&contest, argv[1]);
	contest.times = parse_number(argv[2], contest.size, UINT64_MAX) / contest.size;
	contest.rounds = (unsigned)parse_number(argv[3], 1, ROUNDS_MAX);
	for (unsigned m = 0; m < contest.mode_count; m++) {
		contest.modes[m] = find_mode(argv[4 + m]);
		contest.cpu_ns[m] = calloc(contest.rounds, sizeof(uint64_t));
		if (!contest.cpu_ns[m])
			die("calloc");
	}
	signal(SIGPIPE, SIG_IGN);
	run(&contest);
	print(&contest);
	for (unsigned m = 0; m < contest.mode_count; m++)
		free(contest.cpu_ns[m]);
	close(contest.file);
	return 0;
}
