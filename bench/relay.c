#include "relay.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define MODES_MAX  4
#define ROUNDS_MAX 10000

struct contest {
	const char *names[MODES_MAX];
	relay_fn relays[MODES_MAX];
	unsigned mode_count, rounds;
	uint64_t *cpu_ns[MODES_MAX]; /* of each round */
	uint64_t bytes;
};

struct wire {
	int near, far; /* near: the relay's end */
};

static struct wire wire_new(int listener, uint16_t port)
{
	struct wire wire;

	wire.far = connect_loopback(port);
	wire.near = accept_one(listener);
	set_nonblocking(wire.near, true);
	return wire;
}

static relay_fn find_relay(const char *name)
{
	if (strcmp(name, "floor") == 0)
		return floor_relay;
	if (strcmp(name, "engine") == 0)
		return engine_relay;
	fprintf(stderr, "no mode '%s'\n", name);
	exit(2);
}

static uint64_t take_turn(const struct contest *contest, unsigned mode, int in, int out)
{
	uint64_t cpu = cpu_ns();

	contest->relays[mode](in, out, contest->bytes);
	return cpu_ns() - cpu;
}

/* The source is always ahead, so each turn starts with a full socket. */
static void take_turns(const struct contest *contest, int in, int out)
{
	unsigned last = contest->mode_count - 1;

	for (unsigned m = 0; m <= last; m++)
		(void)take_turn(contest, m, in, out);
	for (unsigned round = 0; round < contest->rounds; round++) {
		for (unsigned i = 0; i <= last; i++) {
			unsigned m = round % 2 ? last - i : i;

			contest->cpu_ns[m][round] = take_turn(contest, m, in, out);
		}
	}
}

static void run(const struct contest *contest)
{
	uint16_t port = 0;
	int listener = listen_loopback(&port);
	struct wire in = wire_new(listener, port), out = wire_new(listener, port);
	uint64_t total = contest->bytes * contest->mode_count * (contest->rounds + 1);
	pid_t source = fork_source(in.far, total), sink;

	/* Before the second fork: who holds a copy of this end keeps the stream from ending. */
	close(in.far);
	sink = fork_discard(out.far, total);
	close(out.far);
	pin_to(CPU_MEASURED);
	take_turns(contest, in.near, out.near);
	if (shutdown(out.near, SHUT_WR) < 0)
		die("shutdown");
	join(source);
	join(sink);
	close(in.near);
	close(out.near);
	close(listener);
}

static void print(const struct contest *contest)
{
	printf("{\"bytes\": %llu, \"cpu_ns\": {", (unsigned long long)contest->bytes);
	for (unsigned m = 0; m < contest->mode_count; m++) {
		printf("%s\"%s\": ", m ? ", " : "", contest->names[m]);
		print_array(contest->cpu_ns[m], contest->rounds);
	}
	puts("}}");
}

int main(int argc, char **argv)
{
	struct contest contest = {.mode_count = (unsigned)argc - 3};

	if (argc < 4 || argc > 3 + MODES_MAX) {
		fprintf(stderr, "usage: %s TURN_BYTES ROUNDS floor|engine...\n", argv[0]);
		return 2;
	}
	contest.bytes = parse_number(argv[1], 1, UINT64_MAX);
	contest.rounds = (unsigned)parse_number(argv[2], 1, ROUNDS_MAX);
	for (unsigned m = 0; m < contest.mode_count; m++) {
		contest.names[m] = argv[3 + m];
		contest.relays[m] = find_relay(argv[3 + m]);
		contest.cpu_ns[m] = calloc(contest.rounds, sizeof(uint64_t));
		if (!contest.cpu_ns[m])
			die("calloc");
	}
	signal(SIGPIPE, SIG_IGN);
	run(&contest);
	print(&contest);
	for (unsigned m = 0; m < contest.mode_count; m++)
		free(contest.cpu_ns[m]);
	return 0;
}
