/*
 * A consumer that costs as little as one can: N connections, each with one fetch under way, the
 * records dropped by recv(2) with MSG_TRUNC.
 *
 *     kafka-fetch PORT TOPIC PARTITIONS CONNECTIONS MAX_BYTES BATCH_BYTES RECORD_BYTES MILLISECONDS
 *         [once]
 *
 * Prints {"bytes":..., "answers":..., "wall_ns":...}: bytes of records that arrived while the clock
 * ran (parts of answers count), answers that arrived whole. Connection i reads partition i modulo
 * PARTITIONS from its beginning to its end, and again, MAX_BYTES rounded down to whole batches at a
 * time; `once`: not again, and the end may come before the clock's. The log has to be of batches that
 * kafka-produce has made with the same arguments: each answer's first batch is looked at, whether it
 * is the one that was asked for.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/be.h"
#include "kafka.h"
#include "support.h"

#define CONNECTIONS_MAX 1024
#define PIECE           (4u << 20)
/* Beside a client that measures latency on the same CPU: a kernel that doesn't preempt lets that one
 * wait until the call is over. */
#define ONCE_PIECE (128u << 10)
/* Of a batch: its offset and its length. */
#define BATCH_START 12

struct conn {
	int fd;
	struct head request;
	int64_t offset;
	int32_t id;
	uint64_t left; /* of the records under way */
	char start[KAFKA_HEAD_MAX];
	size_t got; /* of the start; it is looked at when the batch's is there, too */
};

static struct {
	struct batch batch;
	size_t head; /* of an answer */
	bool once;
	uint64_t bytes, answers, finished;
} consumer;

static void ask(struct conn *conn)
{
	be_store32(conn->request.bytes + KAFKA_REQUEST_CORRELATION, (uint32_t)++conn->id);
	fetch_request_set_offset(&conn->request, conn->offset);
	conn->got = 0;
	if (send(conn->fd, conn->request.bytes, conn->request.len, MSG_NOSIGNAL) !=
	    (ssize_t)conn->request.len)
		die("send");
}

/* Where the next fetch begins: behind the last whole batch, or at the beginning again. */
static void advance(struct conn *conn, const struct fetched *fetched)
{
	int64_t batches = fetched->records_len / (int64_t)consumer.batch.bytes.len;
	const char *batch = conn->start + consumer.head;

	if (batches == 0 || be_load64(batch) != (uint64_t)conn->offset ||
	    be_load32(batch + 8) + BATCH_START != consumer.batch.bytes.len)
		die_text("other batches than kafka-produce makes with these arguments");
	conn->offset += batches * consumer.batch.records;
	if (conn->offset >= fetched->high_watermark)
		conn->offset = consumer.once ? -1 : 0;
}

static void end_answer(struct conn *conn)
{
	consumer.answers++;
	if (conn->offset >= 0)
		ask(conn);
	else
		consumer.finished++;
}

/* The answer's head, and that of its first batch. */
static void take_start(struct conn *conn)
{
	size_t whole = consumer.head + BATCH_START;
	struct fetched fetched;
	const char *fault;
	ssize_t n = recv(conn->fd, conn->start + conn->got, whole - conn->got, 0);

	if (n == 0)
		die_text("the broker closed the connection");
	if (n < 0 && errno == EAGAIN)
		return;
	if (n < 0)
		die("recv");
	conn->got += (size_t)n;
	if (conn->got < consumer.head)
		return;
	fault = fetch_answer_parse(conn->start, consumer.head, conn->id, &fetched);
	if (!fault && fetched.records_len == 0)
		fault = "it has no records";
	if (fault)
		die_answer(fault);
	if (conn->got < whole)
		return;
	conn->left = (uint64_t)fetched.records_len - BATCH_START;
	consumer.bytes += BATCH_START;
	advance(conn, &fetched);
}

static void take_records(struct conn *conn)
{
	size_t piece = consumer.once ? ONCE_PIECE : PIECE;
	ssize_t n = recv(conn->fd, NULL, conn->left < piece ? conn->left : piece, MSG_TRUNC);

	if (n == 0)
		die_text("the broker closed the connection within an answer");
	if (n < 0 && errno == EAGAIN)
		return;
	if (n < 0)
		die("recv");
	consumer.bytes += (uint64_t)n;
	conn->left -= (uint64_t)n;
	if (conn->left == 0)
		end_answer(conn);
}

static void run(int epoll, uint64_t duration_ns, size_t count)
{
	struct epoll_event events[64];
	uint64_t start = wall_ns();

	while (wall_ns() - start < duration_ns && consumer.finished < count) {
		int ready = epoll_wait(epoll, events, 64, 100);

		/* One piece each: level-triggered, so whoever has more comes again. */
		for (int i = 0; i < ready; i++) {
			struct conn *conn = events[i].data.ptr;

			if (conn->left)
				take_records(conn);
			else
				take_start(conn);
		}
	}
	printf("{\"bytes\": %llu, \"answers\": %llu, \"wall_ns\": %llu}\n",
	       (unsigned long long)consumer.bytes, (unsigned long long)consumer.answers,
	       (unsigned long long)(wall_ns() - start));
}

static struct conn *connect_all(int epoll, uint16_t port, size_t count)
{
	struct conn *conns = calloc(count, sizeof(*conns));

	if (!conns)
		die("calloc");
	for (size_t i = 0; i < count; i++) {
		struct epoll_event event = {.events = EPOLLIN, .data.ptr = &conns[i]};

		conns[i].fd = connect_loopback(port);
		set_nodelay(conns[i].fd);
		set_nonblocking(conns[i].fd, true);
		if (epoll_ctl(epoll, EPOLL_CTL_ADD, conns[i].fd, &event) < 0)
			die("epoll_ctl");
	}
	return conns;
}

static void ask_all(struct conn *conns, size_t count, const char *topic, int32_t partitions,
		    size_t max_bytes)
{
	/* What is cut off would have to come again. */
	if (max_bytes > consumer.batch.bytes.len)
		max_bytes -= max_bytes % consumer.batch.bytes.len;
	for (size_t i = 0; i < count; i++) {
		fetch_request(&conns[i].request, topic, (int32_t)i % partitions,
			      (int32_t)max_bytes);
		ask(&conns[i]);
	}
}

int main(int argc, char **argv)
{
	int epoll = epoll_create1(EPOLL_CLOEXEC);
	struct conn *conns;
	size_t count;

	if (argc < 9 || argc > 10 || (argc == 10 && strcmp(argv[9], "once") != 0)) {
		fprintf(stderr,
			"usage: %s PORT TOPIC PARTITIONS CONNECTIONS MAX_BYTES BATCH_BYTES "
			"RECORD_BYTES MILLISECONDS [once]\n",
			argv[0]);
		return 2;
	}
	if (epoll < 0)
		die("epoll_create1");
	pin_to(CPU_LOAD);
	count = parse_number(argv[4], 1, CONNECTIONS_MAX);
	consumer.batch = batch_make(parse_number(argv[6], 0, BATCH_BYTES_MAX),
				    parse_number(argv[7], 0, BATCH_BYTES_MAX));
	consumer.head = fetch_answer_head(argv[2]);
	consumer.once = argc == 10;
	conns = connect_all(epoll, (uint16_t)parse_number(argv[1], 1, UINT16_MAX), count);
	ask_all(conns, count, argv[2], (int32_t)parse_number(argv[3], 1, INT32_MAX),
		parse_number(argv[5], 1, INT32_MAX));
	run(epoll, parse_number(argv[8], 1, 3600000) * 1000000u, count);
	for (size_t i = 0; i < count; i++)
		close(conns[i].fd);
	free(conns);
	close(epoll);
	return 0;
}
