/*
 * How long a server lets its clients wait: one small request (question.h) again and again, spread
 * over N keep-alive connections, and the time each answer took.
 *
 *     hot PORT QUESTION CONNECTIONS RATE MILLISECONDS
 *
 * Prints {"requests":..., "wall_ns":..., "p50_us":..., "p99_us":..., "p999_us":..., "max_us":...}.
 *
 * RATE is requests a second, or 0: then each connection asks as soon as it has its answer.
 *
 * A rate does not yield to a slow server: a request whose moment comes while every connection
 * waits for an answer is late from that moment on, not from when it could be sent (a load generator
 * that waits with its server hides just the stalls that are looked for). Late because this program
 * itself got no CPU is not counted. It asks for a real-time priority, so that other load beside it
 * does not show as the server's; where that is forbidden it goes on without.
 */
#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "question.h"
#include "support.h"

#define CONNECTIONS_MAX 1024
#define RATE_MAX        100000u
#define SECONDS_MAX     60u
#define ANSWER_MAX      65536

struct conn {
	int fd;
	uint64_t since; /* when its request was due; 0: idle */
	size_t left;    /* of its answer */
};

static struct {
	struct conn *conns;
	size_t count;
	struct question question;
	size_t answer_bytes; /* every answer is as long as the first */

	uint64_t start, interval, end; /* ns; without a rate no interval, but an end */
	uint64_t due, sent, wanted;    /* requests; without a rate as many as there is room for */
	uint64_t *latencies;
	uint64_t answers;
} hot;

static char inbox[ANSWER_MAX];

static uint64_t due_at(uint64_t number)
{
	return hot.start + number * hot.interval;
}

static void ask(struct conn *conn, uint64_t since)
{
	if (send(conn->fd, hot.question.bytes, hot.question.len, MSG_NOSIGNAL) !=
	    (ssize_t)hot.question.len)
		die("send");
	conn->since = since;
	conn->left = hot.answer_bytes;
	hot.sent++;
}

static bool is_over(void)
{
	return hot.sent == hot.wanted || wall_ns() >= hot.end;
}

static struct conn *idle_conn(void)
{
	for (size_t i = 0; i < hot.count; i++) {
		struct conn *conn = &hot.conns[(hot.sent + i) % hot.count];

		if (conn->since == 0)
			return conn;
	}
	return NULL;
}

static void look_at_answer(size_t len)
{
	const char *fault =
	    len == hot.answer_bytes ? hot.question.fault(inbox, len) : "it came in pieces";

	if (fault)
		die_answer(fault);
}

static void take_answer(struct conn *conn)
{
	ssize_t n = recv(conn->fd, inbox, sizeof(inbox), 0);

	if (n < 0 && errno == EAGAIN)
		return;
	if (n <= 0)
		die_text("the server closed a connection");
	if (conn->since == 0 || (size_t)n > conn->left)
		die_text("an answer is longer than the first one was");
	conn->left -= (size_t)n;
	if (conn->left > 0)
		return;
	hot.latencies[hot.answers++] = wall_ns() - conn->since;
	conn->since = 0;
	if (hot.question.fault)
		look_at_answer((size_t)n);
	if (hot.interval == 0 && !is_over())
		ask(conn, wall_ns());
	else if (hot.sent < hot.due) /* one waited for a connection */
		ask(conn, due_at(hot.sent));
}

/* Sends what is due; how long until the next, in ns. */
static uint64_t send_due(void)
{
	uint64_t now = wall_ns();

	while (hot.due < hot.wanted && due_at(hot.due) <= now) {
		struct conn *conn = hot.sent == hot.due ? idle_conn() : NULL;

		hot.due++;
		if (conn)
			ask(conn, wall_ns());
	}
	return hot.due < hot.wanted ? due_at(hot.due) - now : 1000000000;
}

static void take_answers(int epoll, uint64_t wait)
{
	struct timespec timeout = {(time_t)(wait / 1000000000), (long)(wait % 1000000000)};
	struct epoll_event events[64];
	int count = epoll_pwait2(epoll, events, 64, &timeout, NULL);

	if (wall_ns() > hot.end + 30000000000u)
		die_text("an answer did not come within 30 s");
	for (int i = 0; i < count; i++)
		take_answer(events[i].data.ptr);
}

static void run(int epoll)
{
	if (hot.interval) {
		while (hot.answers < hot.wanted)
			take_answers(epoll, send_due());
		return;
	}
	for (size_t i = 0; i < hot.count; i++)
		ask(&hot.conns[i], wall_ns());
	while (hot.answers < hot.sent || !is_over())
		take_answers(epoll, 1000000000);
}

/* The first request of a connection, not counted: the length of an answer, and a warm server. */
static size_t first_answer(int fd)
{
	size_t bytes;
	ssize_t n;

	if (send(fd, hot.question.bytes, hot.question.len, MSG_NOSIGNAL) !=
	    (ssize_t)hot.question.len)
		die_text("the question could not be sent");
	n = recv(fd, inbox, sizeof(inbox), 0);
	if (n <= 0)
		die_text("no answer");
	bytes = hot.question.answer_size(inbox, (size_t)n);
	if (bytes == 0)
		die_text("not a good answer");
	if (bytes > sizeof(inbox))
		die_text("the answer is not small");
	for (size_t got = (size_t)n; got < bytes; got += (size_t)n) {
		n = recv(fd, inbox, bytes - got, 0);
		if (n <= 0)
			die_text("the answer was cut short");
	}
	return bytes;
}

static void connect_all(int epoll, uint16_t port)
{
	hot.conns = calloc(hot.count, sizeof(*hot.conns));
	if (!hot.conns)
		die("calloc");
	for (size_t i = 0; i < hot.count; i++) {
		struct conn *conn = &hot.conns[i];
		struct epoll_event event = {.events = EPOLLIN, .data.ptr = conn};

		conn->fd = connect_loopback(port);
		set_nodelay(conn->fd);
		hot.answer_bytes = first_answer(conn->fd);
		set_nonblocking(conn->fd, true);
		if (epoll_ctl(epoll, EPOLL_CTL_ADD, conn->fd, &event) < 0)
			die("epoll_ctl");
	}
}

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static double percentile_us(unsigned thousandths)
{
	return (double)hot.latencies[(hot.answers - 1) * thousandths / 1000] / 1e3;
}

static void prepare(uint64_t rate, uint64_t milliseconds)
{
	hot.interval = rate ? 1000000000 / rate : 0;
	hot.wanted = (rate ? rate : RATE_MAX) * milliseconds / 1000;
	hot.latencies = calloc(hot.wanted + 1, sizeof(*hot.latencies));
	if (!hot.latencies || hot.wanted < hot.count)
		die_text("fewer requests than connections");
}

int main(int argc, char **argv)
{
	const struct sched_param priority = {.sched_priority = 1};
	int epoll = epoll_create1(EPOLL_CLOEXEC);
	uint64_t milliseconds;
	uint16_t port;

	if (argc != 6) {
		fprintf(stderr, "usage: %s PORT " QUESTION_USAGE " CONNECTIONS RATE MILLISECONDS\n",
			argv[0]);
		return 2;
	}
	if (epoll < 0)
		die("epoll_create1");
	port = (uint16_t)parse_number(argv[1], 1, UINT16_MAX);
	question_parse(argv[2], &hot.question);
	hot.count = parse_number(argv[3], 1, CONNECTIONS_MAX);
	milliseconds = parse_number(argv[5], 1, SECONDS_MAX * 1000);
	prepare(parse_number(argv[4], 0, RATE_MAX), milliseconds);
	pin_to(CPU_LOAD);
	(void)sched_setscheduler(0, SCHED_FIFO, &priority);
	(void)prctl(PR_SET_TIMERSLACK, 1);
	connect_all(epoll, port);
	hot.start = wall_ns();
	hot.end = hot.start + milliseconds * 1000000;
	run(epoll);
	printf("{\"requests\": %llu, \"wall_ns\": %llu, ", (unsigned long long)hot.answers,
	       (unsigned long long)(wall_ns() - hot.start));
	qsort(hot.latencies, hot.answers, sizeof(*hot.latencies), compare);
	printf("\"p50_us\": %.1f, \"p99_us\": %.1f, \"p999_us\": %.1f, \"max_us\": %.1f}\n",
	       percentile_us(500), percentile_us(990), percentile_us(999), percentile_us(1000));
	return 0;
}
