#include "relay.h"

#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

struct wire {
	int near, far; /* near: the relay's end */
};

static struct wire wire_new(int listener, uint16_t port)
{
	struct wire wire;

	wire.far = connect_loopback(port);
	wire.near = accept_one(listener);
	set_nonblocking(wire.near);
	return wire;
}

/* The child must not hold the other ends open, or nobody ever sees the end of a stream. */
static pid_t fork_ends(uint64_t total, struct wire *in, struct wire *out, pid_t *ret_sink)
{
	pid_t source = fork_source(in->far, total);

	close(in->far);
	*ret_sink = fork_discard(out->far, total);
	close(out->far);
	return source;
}

int relay_main(int argc, char **argv, relay_fn relay)
{
	uint16_t port = 0;
	int listener = listen_loopback(&port);
	uint64_t total, cpu, wall;
	struct wire in, out;
	pid_t source, sink;

	if (argc != 2) {
		fprintf(stderr, "usage: %s TOTAL_BYTES\n", argv[0]);
		return 2;
	}
	total = parse_number(argv[1], 1, UINT64_MAX);
	signal(SIGPIPE, SIG_IGN);
	in = wire_new(listener, port);
	out = wire_new(listener, port);
	pin_to(CPU_MEASURED);
	source = fork_ends(total, &in, &out, &sink);
	cpu = cpu_ns();
	wall = wall_ns();
	relay(in.near, out.near, total);
	cpu = cpu_ns() - cpu;
	wall = wall_ns() - wall;
	if (shutdown(out.near, SHUT_WR) < 0)
		die("shutdown");
	join(source);
	join(sink);
	printf("{\"bytes\": %llu, \"cpu_ns\": %llu, \"wall_ns\": %llu}\n",
	       (unsigned long long)total, (unsigned long long)cpu, (unsigned long long)wall);
	return 0;
}
