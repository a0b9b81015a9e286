/*
 * The floor for a broker's side of consuming: the smallest epoll loop that answers fetches from one
 * segment, a small header and then sendfile(2). Of a request only the offset and the limit are
 * read, from their place (kafka.h); batches are all alike, so an offset is a position.
 *
 *     floor-fetch PORT FILE BATCH_BYTES RECORD_BYTES TOPIC
 *
 * One thread, pinned by whoever starts it. Edge-triggered: a connection either waits for a request
 * or is in the middle of its answer.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/be.h"
#include "floor.h"
#include "kafka.h"
#include "support.h"

#define SENDFILE_PIECE (1u << 20)

static struct {
	int file;
	uint64_t size, batch;
	int64_t records; /* a batch */
	const char *topic;
	size_t head;
	struct head answer;
} broker;

static struct {
	char head[KAFKA_HEAD_MAX];
	size_t head_left;
	off_t position;
	uint64_t left; /* of the range */
} conns[FLOOR_FD_MAX];

static void hang_up(int fd)
{
	memset(&conns[fd], 0, sizeof(conns[fd]));
	close(fd);
}

static void prepare(int fd, const char *request, size_t len)
{
	uint64_t batch = (uint64_t)(fetch_request_offset(request, len) / broker.records);
	uint64_t limit = (uint64_t)fetch_request_max_bytes(request, len);
	uint64_t position = batch * broker.batch;
	uint64_t left = position < broker.size ? broker.size - position : 0;

	if (left > limit)
		left = limit;
	conns[fd].position = (off_t)position;
	conns[fd].left = left;
	conns[fd].head_left = broker.head;
	memcpy(conns[fd].head, broker.answer.bytes, broker.head);
	/* What differs: the size of all, of the records, and whose answer it is. */
	be_store32(conns[fd].head, (uint32_t)(broker.head - KAFKA_SIZE_BYTES + left));
	be_store32(conns[fd].head + broker.head - sizeof(int32_t), (uint32_t)left);
	memcpy(conns[fd].head + KAFKA_ANSWER_CORRELATION, request + KAFKA_REQUEST_CORRELATION,
	       sizeof(int32_t));
}

/* Sends a piece of what is left; false when the socket takes no more. */
static bool send_piece(int fd)
{
	uint64_t left = conns[fd].left;
	ssize_t n;

	if (conns[fd].head_left > 0) {
		n = send(fd, conns[fd].head + broker.head - conns[fd].head_left,
			 conns[fd].head_left, left ? MSG_MORE | MSG_NOSIGNAL : MSG_NOSIGNAL);
		conns[fd].head_left -= n > 0 ? (size_t)n : 0;
		return n > 0;
	}
	n = sendfile(fd, broker.file, &conns[fd].position,
		     left < SENDFILE_PIECE ? (size_t)left : SENDFILE_PIECE);
	conns[fd].left -= n > 0 ? (uint64_t)n : 0;
	return n > 0;
}

/* All of the answer, or as much as the socket takes; false: the connection is over. */
static bool answer(int fd)
{
	while (conns[fd].head_left + conns[fd].left > 0)
		if (!send_piece(fd))
			return errno == EAGAIN;
	return true;
}

/* A request; false: there is none. */
static bool take(int fd, bool *over)
{
	char request[KAFKA_HEAD_MAX];
	ssize_t n = recv(fd, request, sizeof(request), 0);

	*over = n == 0 || (n < 0 && errno != EAGAIN);
	if (n <= 0)
		return false;
	if ((size_t)n < KAFKA_SIZE_BYTES || (size_t)n != be_load32(request) + KAFKA_SIZE_BYTES)
		die_text("not one whole request");
	prepare(fd, request, (size_t)n);
	return true;
}

static void serve(int fd)
{
	bool over = !answer(fd);

	if (!over && conns[fd].head_left + conns[fd].left == 0 && take(fd, &over))
		over = !answer(fd);
	if (over)
		hang_up(fd);
}

int main(int argc, char **argv)
{
	struct batch batch;
	struct stat st;

	if (argc != 6) {
		fprintf(stderr, "usage: %s PORT FILE BATCH_BYTES RECORD_BYTES TOPIC\n", argv[0]);
		return 2;
	}
	broker.file = open(argv[2], O_RDONLY | O_CLOEXEC);
	if (broker.file < 0 || fstat(broker.file, &st) < 0)
		die(argv[2]);
	batch = batch_make(parse_number(argv[3], 0, BATCH_BYTES_MAX),
			   parse_number(argv[4], 0, BATCH_BYTES_MAX));
	broker.batch = batch.bytes.len;
	broker.records = batch.records;
	broker.size = (uint64_t)st.st_size / broker.batch * broker.batch;
	fetch_answer(&broker.answer, argv[5], 0,
		     (int64_t)(broker.size / broker.batch) * broker.records);
	broker.head = broker.answer.len;
	if (broker.head != fetch_answer_head(argv[5]) || broker.size == 0)
		die_text("no whole batch in the file");
	limit_descriptors_to_max();
	floor_run((uint16_t)parse_number(argv[1], 0, UINT16_MAX),
		  EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, serve);
}
