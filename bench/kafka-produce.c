/*
 * A producer that costs as little as one can: N connections, each sends REQUESTS requests with up to
 * DEPTH of them under way, all with the same batch, made once.
 *
 *     kafka-produce PORT TOPIC PARTITIONS CONNECTIONS DEPTH BATCH_BYTES RECORD_BYTES REQUESTS
 *
 * Prints {"requests":..., "bytes":..., "batch_bytes":..., "wall_ns":...}: bytes of batches, all of
 * them acknowledged (acks=all). Connection i sends its request n to partition i + n * CONNECTIONS,
 * modulo PARTITIONS. An answer that is not a good one ends it with a message.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/be.h"
#include "kafka.h"
#include "support.h"

#define CONNECTIONS_MAX 1024

struct conn {
	int fd;
	uint64_t number;
	struct head head; /* of its requests */
	bool sending;
	size_t sent;         /* of the request that is being sent */
	uint64_t asked, got; /* requests begun, answers */
	char answer[KAFKA_HEAD_MAX];
	size_t answer_got;
};

static struct {
	struct batch batch;
	size_t answer_bytes;
	uint64_t depth, wanted; /* of a connection */
	uint64_t connections, partitions;
	uint64_t answered; /* of all */
} producer;

/* False: nothing more is there. */
static bool take_answer(struct conn *conn)
{
	ssize_t n = recv(conn->fd, conn->answer + conn->answer_got,
			 producer.answer_bytes - conn->answer_got, 0);
	const char *fault;

	if (n < 0 && errno == EAGAIN)
		return false;
	if (n <= 0)
		die_text("the broker closed a connection");
	conn->answer_got += (size_t)n;
	if (conn->answer_got < producer.answer_bytes)
		return true;
	fault = produce_answer_fault(conn->answer, producer.answer_bytes, (int32_t)conn->got);
	if (fault)
		die_answer(fault);
	conn->answer_got = 0;
	conn->got++;
	producer.answered++;
	return true;
}

/* False: enough is under way. */
static bool begin(struct conn *conn)
{
	if (conn->asked == producer.wanted || conn->asked - conn->got == producer.depth)
		return false;
	be_store32(conn->head.bytes + KAFKA_REQUEST_CORRELATION, (uint32_t)conn->asked);
	produce_request_set_partition(&conn->head, (int32_t)((conn->number +
							      conn->asked * producer.connections) %
							     producer.partitions));
	conn->asked++;
	conn->sending = true;
	conn->sent = 0;
	return true;
}

/* False: the socket takes no more. */
static bool send_some(struct conn *conn)
{
	size_t whole = conn->head.len + producer.batch.bytes.len;
	size_t head = conn->sent < conn->head.len ? conn->head.len - conn->sent : 0;
	size_t batch_sent = conn->sent + head - conn->head.len;
	struct iovec parts[] = {
	    {conn->head.bytes + conn->sent, head},
	    {(char *)producer.batch.bytes.ptr + batch_sent, producer.batch.bytes.len - batch_sent},
	};
	struct msghdr message = {.msg_iov = parts + !head, .msg_iovlen = head ? 2 : 1};
	ssize_t n;

	n = sendmsg(conn->fd, &message, MSG_NOSIGNAL);
	if (n < 0 && errno != EAGAIN)
		die("send");
	conn->sent += n > 0 ? (size_t)n : 0;
	conn->sending = conn->sent < whole;
	return n > 0;
}

static void turn(struct conn *conn)
{
	while (take_answer(conn))
		;
	while (conn->sending || begin(conn))
		if (!send_some(conn))
			break;
}

static void run(int epoll, uint64_t wanted)
{
	struct epoll_event events[64];
	int count;

	while (producer.answered < wanted) {
		count = epoll_wait(epoll, events, 64, 60000);
		if (count == 0)
			die_text("nothing happened for a minute");
		for (int i = 0; i < count; i++)
			turn(events[i].data.ptr);
	}
}

static struct conn *connect_all(int epoll, uint16_t port, const char *topic)
{
	struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLET};
	struct conn *conns = calloc(producer.connections, sizeof(*conns));

	if (!conns)
		die("calloc");
	for (size_t i = 0; i < producer.connections; i++) {
		conns[i].number = i;
		conns[i].fd = connect_loopback(port);
		set_nodelay(conns[i].fd);
		set_nonblocking(conns[i].fd, true);
		produce_request(&conns[i].head, topic, 0, producer.batch.bytes.len);
		event.data.ptr = &conns[i];
		if (epoll_ctl(epoll, EPOLL_CTL_ADD, conns[i].fd, &event) < 0)
			die("epoll_ctl");
	}
	return conns;
}

int main(int argc, char **argv)
{
	int epoll = epoll_create1(EPOLL_CLOEXEC);
	struct head answer;
	struct conn *conns;
	uint64_t begin_ns;

	if (argc != 9) {
		fprintf(stderr,
			"usage: %s PORT TOPIC PARTITIONS CONNECTIONS DEPTH BATCH_BYTES "
			"RECORD_BYTES REQUESTS\n",
			argv[0]);
		return 2;
	}
	if (epoll < 0)
		die("epoll_create1");
	limit_descriptors_to_max();
	pin_to(CPU_LOAD);
	producer.partitions = parse_number(argv[3], 1, INT32_MAX);
	producer.connections = parse_number(argv[4], 1, CONNECTIONS_MAX);
	producer.depth = parse_number(argv[5], 1, 1000);
	producer.batch = batch_make(parse_number(argv[6], 0, BATCH_BYTES_MAX),
				    parse_number(argv[7], 0, BATCH_BYTES_MAX));
	producer.wanted = parse_number(argv[8], 1, INT32_MAX);
	produce_answer(&answer, argv[2]);
	producer.answer_bytes = answer.len;
	conns = connect_all(epoll, (uint16_t)parse_number(argv[1], 1, UINT16_MAX), argv[2]);
	begin_ns = wall_ns();
	run(epoll, producer.wanted * producer.connections);
	printf("{\"requests\": %llu, \"bytes\": %llu, \"batch_bytes\": %zu, \"wall_ns\": %llu}\n",
	       (unsigned long long)producer.answered,
	       (unsigned long long)(producer.answered * producer.batch.bytes.len),
	       producer.batch.bytes.len, (unsigned long long)(wall_ns() - begin_ns));
	free(conns);
	return 0;
}
