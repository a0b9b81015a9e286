/*
 * The reactor with each of its system calls failing in turn: it starts or says why not, what it
 * delivers is a prefix of what it should, it always ends, and it leaks no descriptor.
 */
#include "unit/unit.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "fault/fault.h"
#include "reactor/address.h"
#include "reactor/reactor.h"
#include "sys/sys.h"

static const char question[] = "a question of some bytes";

struct talk {
	char folder[32];
	char where[64];
	pthread_mutex_t lock;
	struct reactor *reactor; /* NULL: gone */
	char name[ADDRESS_TEXT_MAX];
	pthread_t client;
	bool asked;  /* there is one */
	bool silent; /* an error without a text */
	char got[64];
	size_t got_len;
};

/* ---- the room: an echo that answers in full or closes ---- */

struct echo {
	char held[64]; /* received, not sent back yet */
	size_t len;
};

static bool give_back(struct conn *conn, struct echo *echo)
{
	while (echo->len > 0) {
		ssize_t n = sys_send(conn_fd(conn), echo->held, echo->len, 0);

		if (n < 0)
			return n == -EAGAIN;
		echo->len -= (size_t)n;
		memmove(echo->held, echo->held + n, echo->len);
	}
	return true;
}

static void ready(struct conn *conn, unsigned events)
{
	struct echo *echo = conn_data(conn);
	ssize_t n;

	conn_deadline(conn, 60 * 1000);
	do {
		if (!give_back(conn, echo)) {
			conn_close(conn);
			return;
		}
		if (echo->len > 0)
			return;
		n = sys_recv(conn_fd(conn), echo->held, sizeof(echo->held), 0);
		if (n > 0)
			echo->len = (size_t)n;
	} while (n > 0);
	if (n != -EAGAIN)
		conn_close(conn);
}

static const struct conn_ops echo_ops = {.data_size = sizeof(struct echo), .ready = ready};

/* ---- the client: system calls of its own, which never fail ---- */

static int connect_to(const char *name)
{
	struct timeval patience = {.tv_sec = 2};
	struct address address;
	int fd;

	if (address_parse(name, &address, NULL) < 0)
		return -1;
	fd = socket(address.sockaddr.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	if (connect(fd, (struct sockaddr *)&address.sockaddr, address.len) == 0)
		return fd;
	close(fd);
	return -1;
}

static void ask(struct talk *talk)
{
	int fd = connect_to(talk->name);

	if (fd < 0)
		return;
	if (send(fd, question, sizeof(question), MSG_NOSIGNAL) == sizeof(question))
		while (talk->got_len < sizeof(question)) {
			ssize_t n = recv(fd, talk->got + talk->got_len,
					 sizeof(talk->got) - talk->got_len, 0);

			if (n <= 0)
				break;
			talk->got_len += (size_t)n;
		}
	close(fd);
}

/* A listener more, for a moment. */
static void change_listeners(struct talk *talk)
{
	const struct listener_options listener = {.ops = &echo_ops};
	struct err err = {""};

	if (reactor_listen(talk->reactor, "localhost:0", &listener, &err) == 0)
		reactor_unlisten(talk->reactor, "localhost:0");
	else if (!err.text[0])
		talk->silent = true;
}

static void *client_main(void *arg)
{
	struct talk *talk = arg;

	ask(talk);
	pthread_mutex_lock(&talk->lock);
	if (talk->reactor) {
		change_listeners(talk);
		reactor_stop(talk->reactor);
	}
	pthread_mutex_unlock(&talk->lock);
	return NULL;
}

/* ---- the scenario ---- */

static int start_client(void *arg, struct err *err)
{
	struct talk *talk = arg;

	pthread_create(&talk->client, NULL, client_main, talk);
	talk->asked = true;
	return 0;
}

static int start(struct talk *talk, struct err *err)
{
	const struct reactor_options options = {
	    .threads = 2, .connections_max = 10, .drain_ms = 1, .ready = start_client, .arg = talk};
	const struct listener_options listener = {.ops = &echo_ops};
	int r = reactor_new(&options, &talk->reactor, err);

	if (r < 0)
		return r;
	r = reactor_listen(talk->reactor, talk->where, &listener, err);
	if (r == 0)
		r = reactor_listener_name(talk->reactor, 0, talk->name, sizeof(talk->name));
	return r;
}

static int serve(void *state)
{
	struct talk *talk = state;
	struct err err = {""};
	struct reactor *reactor;
	int r = start(talk, &err);

	if (r == 0)
		r = reactor_run(talk->reactor, &err);
	pthread_mutex_lock(&talk->lock);
	reactor = talk->reactor;
	talk->reactor = NULL;
	pthread_mutex_unlock(&talk->lock);
	reactor_free(reactor);
	if (talk->asked)
		pthread_join(talk->client, NULL);
	/* Who can't start says why. */
	return r < 0 && !err.text[0] ? 1 : r;
}

static fault_complaint prefix_or_whole(void *state, int result, bool hit)
{
	const struct talk *talk = state;

	if (result > 0 || talk->silent)
		return "an error without a text";
	if (result < 0 && !hit)
		return "failed, though nothing did";
	if (talk->got_len > sizeof(question) || memcmp(talk->got, question, talk->got_len) != 0)
		return "not a prefix of the answer";
	if (!hit && talk->got_len != sizeof(question))
		return "not the whole answer";
	return NULL;
}

static void *prepare_inet(void *arg)
{
	struct talk *talk = calloc(1, sizeof(*talk));

	pthread_mutex_init(&talk->lock, NULL);
	strcpy(talk->where, "127.0.0.1:0");
	return talk;
}

/* With a stale socket file in the way. */
static void *prepare_unix(void *arg)
{
	struct talk *talk = prepare_inet(arg);
	struct sockaddr_un un = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	strcpy(talk->folder, "/tmp/leat-fault-XXXXXX");
	assert_non_null(mkdtemp(talk->folder));
	snprintf(un.sun_path, sizeof(un.sun_path), "%s/s", talk->folder);
	snprintf(talk->where, sizeof(talk->where), "unix:%s/s", talk->folder);
	assert_int_equal(bind(fd, (struct sockaddr *)&un, sizeof(un)), 0);
	close(fd);
	return talk;
}

static void clean(void *state)
{
	struct talk *talk = state;

	if (talk->folder[0]) {
		unlink(talk->where + strlen("unix:"));
		rmdir(talk->folder);
	}
	free(talk);
}

static void a_server_of_tcp_survives_each_failure(void **state)
{
	const struct fault_scenario scenario = {.name = "reactor, TCP",
						.prepare = prepare_inet,
						.run = serve,
						.check = prefix_or_whole,
						.clean = clean};

	fault_each(&scenario);
}

static void a_server_of_a_socket_file_survives_each_failure(void **state)
{
	const struct fault_scenario scenario = {.name = "reactor, socket file",
						.prepare = prepare_unix,
						.run = serve,
						.check = prefix_or_whole,
						.clean = clean};

	fault_each(&scenario);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_server_of_tcp_survives_each_failure),
	    cmocka_unit_test(a_server_of_a_socket_file_survives_each_failure),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
