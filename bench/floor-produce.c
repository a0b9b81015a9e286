/*
 * The floor for a broker's side of producing: the smallest epoll loop that takes requests and
 * answers each with a prepared acknowledgement. Nothing is parsed: all requests are alike, so the
 * first one's size is everyone's, and the batch is their last bytes (kafka.h).
 *
 *     floor-produce MODE PORT FILE BATCH_BYTES RECORD_BYTES TOPIC
 *
 *     echo    a request in, an answer out: a bare TCP echo of these sizes
 *     write   and the batch's CRC-32C, and one write of it to the end of FILE
 *     sync    and fdatasync(2) before the answer
 *
 * FILE is made, and must not be there. One thread, pinned by whoever starts it. Level-triggered: one
 * receive a turn, into the connection's own memory, never beyond the request.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/be.h"
#include "base/crc32c.h"
#include "floor.h"
#include "kafka.h"
#include "support.h"

/* Of a batch: where its checksum stands, and where what that covers begins. */
#define BATCH_CRC     17
#define BATCH_COVERED 21

enum mode { MODE_ECHO, MODE_WRITE, MODE_SYNC };

static struct {
	enum mode mode;
	int file;
	size_t batch;
	struct head answer;
} broker;

static struct {
	char *request;    /* stays for the next connection with the same number */
	size_t size, got; /* size: 0 before the first request */
} conns[FLOOR_FD_MAX];

static void hang_up(int fd)
{
	conns[fd].size = conns[fd].got = 0;
	close(fd);
}

static void store(const char *batch)
{
	uint32_t crc = crc32c(0, batch + BATCH_COVERED, broker.batch - BATCH_COVERED);

	if (crc != be_load32(batch + BATCH_CRC))
		die_text("a batch has a wrong checksum");
	if (write(broker.file, batch, broker.batch) != (ssize_t)broker.batch)
		die("write");
	if (broker.mode == MODE_SYNC && fdatasync(broker.file) < 0)
		die("fdatasync");
}

/* Small, and the client waits for it: the socket takes it. */
static bool answer(int fd, const char *request)
{
	memcpy(broker.answer.bytes + KAFKA_ANSWER_CORRELATION, request + KAFKA_REQUEST_CORRELATION,
	       sizeof(int32_t));
	return send(fd, broker.answer.bytes, broker.answer.len, MSG_NOSIGNAL) ==
	       (ssize_t)broker.answer.len;
}

/* How long requests are: looked up once a connection. */
static bool look(int fd)
{
	char size[KAFKA_SIZE_BYTES];

	if (recv(fd, size, sizeof(size), MSG_PEEK) != sizeof(size))
		return false;
	conns[fd].size = be_load32(size) + KAFKA_SIZE_BYTES;
	if (conns[fd].size < broker.batch || conns[fd].size > broker.batch + KAFKA_HEAD_MAX)
		die_text("a request of an unexpected size");
	if (!conns[fd].request)
		conns[fd].request = malloc(broker.batch + KAFKA_HEAD_MAX);
	if (!conns[fd].request)
		die("malloc");
	return true;
}

/* One receive; false: the connection is over. */
static bool turn(int fd)
{
	ssize_t n;

	if (conns[fd].size == 0 && !look(fd))
		return false;
	n = recv(fd, conns[fd].request + conns[fd].got, conns[fd].size - conns[fd].got, 0);
	if (n <= 0)
		return n < 0 && errno == EAGAIN;
	conns[fd].got += (size_t)n;
	if (conns[fd].got < conns[fd].size)
		return true;
	conns[fd].got = 0;
	if (broker.mode != MODE_ECHO)
		store(conns[fd].request + conns[fd].size - broker.batch);
	return answer(fd, conns[fd].request);
}

static void serve(int fd)
{
	if (!turn(fd))
		hang_up(fd);
}

static enum mode parse_mode(const char *name)
{
	static const char *const names[] = {"echo", "write", "sync"};

	for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcmp(name, names[i]) == 0)
			return (enum mode)i;
	fprintf(stderr, "no mode '%s'\n", name);
	exit(2);
}

int main(int argc, char **argv)
{
	if (argc != 7) {
		fprintf(stderr,
			"usage: %s echo|write|sync PORT FILE BATCH_BYTES RECORD_BYTES TOPIC\n",
			argv[0]);
		return 2;
	}
	broker.mode = parse_mode(argv[1]);
	broker.file = open(argv[3], O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	if (broker.file < 0)
		die(argv[3]);
	broker.batch = batch_make(parse_number(argv[4], 0, BATCH_BYTES_MAX),
				  parse_number(argv[5], 0, BATCH_BYTES_MAX))
			   .bytes.len;
	produce_answer(&broker.answer, argv[6]);
	limit_descriptors_to_max();
	floor_run((uint16_t)parse_number(argv[2], 0, UINT16_MAX), EPOLLIN, serve);
}
