/*
 * From which length on is sendfile cheaper than one send of header and body? CPU time of the
 * sending thread per response (a 200-byte header and the body) over loopback TCP, the receiver
 * discarding:
 *
 *   read      the file range is read and sent along (LEAT_COPY)
 *   memory    the body is in memory already, as in a server's cache
 *   sendfile  send(MSG_MORE) of the header, the question whether the range is in memory, sendfile
 *
 * The three are interleaved, medians are told. Where "read" meets "sendfile" stands as copy_below
 * in src/engine/policy.c; where "memory" does is for those who keep bodies.
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "engine/chain.h"
#include "engine/engine.h"
#include "micro.h"
#include "sys/sys.h"

#define ROUNDS      15
#define ROUND_BYTES (16u << 20)
#define FILE_BYTES  (1u << 20)

static const char header[200];

static void *discard(void *arg)
{
	int fd = *(int *)arg;

	while (recv(fd, NULL, 1 << 20, MSG_TRUNC) > 0)
		;
	return NULL;
}

static void connect_pair(int ends[2])
{
	struct sockaddr_in address = {.sin_family = AF_INET,
				      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(address);
	int listener = socket(AF_INET, SOCK_STREAM, 0);

	if (bind(listener, (struct sockaddr *)&address, sizeof(address)) < 0 ||
	    listen(listener, 1) < 0 || getsockname(listener, (struct sockaddr *)&address, &len) < 0)
		abort();
	ends[1] = socket(AF_INET, SOCK_STREAM, 0);
	if (connect(ends[1], (struct sockaddr *)&address, sizeof(address)) < 0)
		abort();
	ends[0] = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
	close(listener);
}

static int make_file(void)
{
	static char block[65536];
	int fd = open(".", O_TMPFILE | O_RDWR, 0600);

	for (size_t i = 0; i < FILE_BYTES; i += sizeof(block))
		if (write(fd, block, sizeof(block)) != sizeof(block))
			abort();
	return fd;
}

enum way { READ, MEMORY, SENDFILE, WAYS };

static void respond(struct leat_chain *chain, enum way way, int file, uint64_t offset,
		    size_t length)
{
	static const char body[FILE_BYTES];
	int step;

	leat_chain_add_memory(chain, header, sizeof(header), NULL, NULL);
	if (way == MEMORY)
		leat_chain_add_memory(chain, body + offset, length, NULL, NULL);
	else
		/* There is one file: any number tells it from the others. */
		chain_add_known_file(chain, file, 1, offset, length, NULL, NULL);
	while ((step = leat_chain_step(chain, 0)) != LEAT_DONE) {
		struct pollfd wait = {.fd = chain->sink.fd, .events = POLLOUT};

		if (step < 0)
			abort();
		if (step == LEAT_WANT_WRITE)
			sys_poll(&wait, 1, -1);
	}
}

/* Nanoseconds of CPU per response. */
static double round_of(struct leat_engine *engine, struct leat_chain *chain, enum way way, int file,
		       size_t length)
{
	unsigned responses = (unsigned)(ROUND_BYTES / (length + 4096));
	uint64_t start = sys_thread_cpu_ns();

	engine->limits.copy_below = way == READ ? UINT32_MAX : 0;
	for (unsigned i = 0; i < responses; i++)
		respond(chain, way, file, (uint64_t)i * 4096 % (FILE_BYTES - length), length);
	return (double)(sys_thread_cpu_ns() - start) / responses;
}

int main(void)
{
	static const size_t lengths[] = {1024,  2048,  4096,  6144,  8192,
					 12288, 16384, 24576, 32768, 65536};
	struct leat_engine *engine;
	struct leat_chain *chain;
	pthread_t receiver;
	int ends[2];
	int file = make_file();

	signal(SIGPIPE, SIG_IGN);
	connect_pair(ends);
	if (sys_cpu_count() > 1)
		sys_pin_thread(0);
	pthread_create(&receiver, NULL, discard, &ends[1]);
	if (leat_engine_new(&engine) < 0 || leat_chain_new(engine, ends[0], NULL, &chain) < 0)
		return 1;
	printf("%8s %10s %10s %10s %16s %18s\n", "bytes", "read us", "memory us", "sendfile us",
	       "read / sendfile", "memory / sendfile");
	for (size_t i = 0; i < ARRAY_SIZE(lengths); i++) {
		double ns[WAYS][ROUNDS], median[WAYS];

		for (int round = 0; round < ROUNDS; round++)
			for (int way = 0; way < WAYS; way++)
				ns[way][round] =
				    round_of(engine, chain, (enum way)way, file, lengths[i]);
		for (int way = 0; way < WAYS; way++) {
			qsort(ns[way], ROUNDS, sizeof(double), micro_by_value);
			median[way] = ns[way][ROUNDS / 2];
		}
		printf("%8zu %10.1f %10.1f %10.1f %16.2f %18.2f\n", lengths[i], median[READ] / 1000,
		       median[MEMORY] / 1000, median[SENDFILE] / 1000,
		       median[READ] / median[SENDFILE], median[MEMORY] / median[SENDFILE]);
	}
	shutdown(ends[0], SHUT_WR);
	pthread_join(receiver, NULL);
	leat_chain_free(chain);
	leat_engine_free(engine);
	return 0;
}
