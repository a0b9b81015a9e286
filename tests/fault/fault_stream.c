/*
 * Streams with each of their system calls failing in turn: a file between a head and a tail, and a
 * relay of two. What arrives is a prefix of what should, a stream that can't go on is closed, each
 * segment is released and each link told once, everything ends, no descriptor is left.
 */
#include "unit/unit.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "engine/engine.h"
#include "fault/fault.h"
#include "reactor/address.h"
#include "stream/stream.h"

enum { BYTES = 300000 };

static char pattern_of(size_t at)
{
	return (char)(at * 31 >> 3);
}

struct play {
	pthread_mutex_t lock;
	struct reactor *reactor; /* NULL: gone */
	char name[ADDRESS_TEXT_MAX];
	pthread_t client;
	bool asked; /* there is one */
	struct stream_loop home;
	struct leat_engine engine;
	bool home_open;

	int file;                  /* of the pattern */
	int door;                  /* where the relay's target listens */
	struct sockaddr_in target; /* its address */
	size_t to_client, to_server;
	bool wrong; /* something that was never sent arrived */
	unsigned added, released, linked, told;
};

static struct play *play; /* the one that is on */

static struct stream_loop *play_home(void *arg, struct loop *loop)
{
	return &play->home;
}

/* ---- a server of a file ---- */

static void play_released(void *arg)
{
	play->released++;
}

static enum stream_turn file_step(struct stream *stream)
{
	char c;
	ssize_t n = stream_recv(stream, &c, 1);

	if (n == -EAGAIN)
		return STREAM_RESTS;
	if (n <= 0 || stream_put_bytes(stream, "he", 2) < 0)
		return STREAM_CLOSES;
	if (stream_add_file(stream, play->file, 1, 2, BYTES - 2, play_released, NULL) < 0)
		return STREAM_CLOSES;
	play->added++;
	return STREAM_GOES_ON;
}

static const struct stream_ops file_ops = {.conn = STREAM_CONN_OPS(0),
					   .home = play_home,
					   .step = file_step};

/* ---- a relay ---- */

struct side {
	struct stream *other;
	bool alone;
};

static struct side *side_of(struct stream *stream)
{
	return stream_data(stream);
}

static void side_link_over(void *arg, struct stream *from, struct stream *to,
			   const struct stream_linked *linked)
{
	play->told++;
	if (linked->error < 0 && (from || to))
		stream_reset(to ? to : from);
}

static enum stream_turn side_step(struct stream *stream)
{
	char c;

	if (stream->to || stream->from || stream->queue)
		return STREAM_RESTS;
	if (side_of(stream)->alone || stream->eof)
		return STREAM_CLOSES;
	if (side_of(stream)->other && stream_recv(stream, &c, 1) != -EAGAIN)
		return STREAM_CLOSES;
	return STREAM_RESTS;
}

static void side_closed(struct stream *stream)
{
	struct stream *other = side_of(stream)->other;

	if (!other && stream->error < 0 && stream->arg)
		other = stream->arg; /* never opened: its client has nobody */
	if (!other)
		return;
	side_of(other)->other = NULL;
	side_of(other)->alone = true;
	stream_again(other);
}

static int side_link(struct stream *from, struct stream *to)
{
	int r = stream_link(from, to, LEAT_TO_END, true, side_link_over, NULL);

	play->linked += r == 0;
	return r;
}

static int target_open(struct stream *stream)
{
	struct stream *client = stream->arg;
	int r;

	side_of(stream)->other = client;
	side_of(client)->other = stream;
	r = side_link(client, stream);
	return r < 0 ? r : side_link(stream, client);
}

static const struct stream_ops target_ops = {
    .conn = STREAM_CONN_OPS(sizeof(struct side)),
    .home = play_home,
    .open = target_open,
    .step = side_step,
    .closed = side_closed,
};

static int client_open(struct stream *stream)
{
	struct stream *made;

	return stream_connect(stream->home, (struct sockaddr *)&play->target, sizeof(play->target),
			      1000, &target_ops, stream, &made);
}

static const struct stream_ops client_ops = {
    .conn = STREAM_CONN_OPS(sizeof(struct side)),
    .home = play_home,
    .open = client_open,
    .step = side_step,
    .closed = side_closed,
};

/* ---- the clients: system calls of their own, which never fail ---- */

static int ask(void)
{
	struct address address;
	int fd;

	if (address_parse(play->name, &address, NULL) < 0)
		return -1;
	fd = socket(address.sockaddr.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	(void)connect(fd, (struct sockaddr *)&address.sockaddr, address.len);
	return fd;
}

/* What is there now, held against the pattern. False: no more will come. */
static bool take(int fd, size_t *got, const char *head)
{
	char buf[65536];
	ssize_t n = recv(fd, buf, sizeof(buf), MSG_DONTWAIT);

	if (n < 0)
		return errno == EAGAIN;
	for (ssize_t i = 0; i < n; i++, (*got)++)
		if (buf[i] != (*got < strlen(head) ? head[*got] : pattern_of(*got)))
			play->wrong = true;
	return n > 0;
}

/* Sends up to BYTES of it, and the end. */
static void give(int fd, size_t *sent)
{
	char buf[65536];
	size_t len = min_size(sizeof(buf), BYTES - *sent);
	ssize_t n;

	for (size_t i = 0; i < len; i++)
		buf[i] = pattern_of(*sent + i);
	n = len ? send(fd, buf, len, MSG_DONTWAIT | MSG_NOSIGNAL) : 0;
	*sent += n > 0 ? (size_t)n : 0;
	if (*sent == BYTES)
		shutdown(fd, SHUT_WR);
}

/* So long does nothing happen before the play counts as over. */
enum { PATIENCE_MS = 1000 };

static void *file_client(void *arg)
{
	int fd = ask();
	struct pollfd poll_fd = {.fd = fd, .events = POLLIN};

	(void)poll(&(struct pollfd){.fd = fd, .events = POLLOUT}, 1, PATIENCE_MS);
	(void)send(fd, "x", 1, MSG_NOSIGNAL);
	while (play->to_client < BYTES && poll(&poll_fd, 1, PATIENCE_MS) > 0)
		if (!take(fd, &play->to_client, "he"))
			break;
	close(fd);
	return NULL;
}

static void *relay_client(void *arg)
{
	struct pollfd fds[2] = {{.fd = ask()}, {.fd = play->door}};
	size_t sent_up = 0, sent_down = 0;
	bool up = true, down = true, accepted = false;

	while (up || down) {
		fds[0].events = (short)((up ? POLLIN : 0) | (sent_up < BYTES ? POLLOUT : 0));
		fds[1].events =
		    (short)((down ? POLLIN : 0) | (accepted && sent_down < BYTES ? POLLOUT : 0));
		if (poll(fds, 2, PATIENCE_MS) <= 0)
			break;
		if (!accepted && fds[1].revents) {
			fds[1].fd = accept(play->door, NULL, NULL);
			accepted = true;
			continue;
		}
		if (fds[0].revents & POLLOUT)
			give(fds[0].fd, &sent_up);
		if (accepted && fds[1].revents & POLLOUT)
			give(fds[1].fd, &sent_down);
		if (fds[0].revents & (POLLIN | POLLERR | POLLHUP))
			up = take(fds[0].fd, &play->to_client, "");
		if (accepted && fds[1].revents & (POLLIN | POLLERR | POLLHUP))
			down = take(fds[1].fd, &play->to_server, "");
		if (fds[0].revents & POLLERR || (accepted && fds[1].revents & POLLERR))
			break;
	}
	close(fds[0].fd);
	if (accepted)
		close(fds[1].fd);
	return NULL;
}

/* ---- the scenario ---- */

static int play_loop_open(struct loop *loop, void *arg, void **ret_data, struct err *err)
{
	engine_init(&play->engine);
	stream_loop_init(&play->home, loop, &play->engine, 5000);
	play->home_open = true;
	return 0;
}

static void play_loop_close(struct loop *loop, void *data)
{
	stream_loop_fini(&play->home);
	engine_fini(&play->engine);
	play->home_open = false;
}

struct scene {
	const struct stream_ops *ops;
	void *(*client)(void *arg);
};

static const struct scene *scene;

static void *play_client(void *arg)
{
	scene->client(NULL);
	pthread_mutex_lock(&play->lock);
	if (play->reactor)
		reactor_stop(play->reactor);
	pthread_mutex_unlock(&play->lock);
	return NULL;
}

static int play_ready(void *arg, struct err *err)
{
	pthread_create(&play->client, NULL, play_client, NULL);
	play->asked = true;
	return 0;
}

static int play_start(struct err *err)
{
	const struct reactor_options options = {.threads = 1,
						.helpers = 1,
						.connections_max = 10,
						.drain_ms = 1,
						.loop_open = play_loop_open,
						.loop_close = play_loop_close,
						.ready = play_ready};
	const struct listener_options listener = {.ops = &scene->ops->conn};
	int r = reactor_new(&options, &play->reactor, err);

	if (r == 0)
		r = reactor_listen(play->reactor, "127.0.0.1:0", &listener, err);
	if (r == 0)
		r = reactor_listener_name(play->reactor, 0, play->name, sizeof(play->name));
	return r;
}

static int play_run(void *state)
{
	struct err err = {""};
	struct reactor *reactor;
	int r = play_start(&err);

	if (r == 0)
		r = reactor_run(play->reactor, &err);
	pthread_mutex_lock(&play->lock);
	reactor = play->reactor;
	play->reactor = NULL;
	pthread_mutex_unlock(&play->lock);
	reactor_free(reactor);
	if (play->asked)
		pthread_join(play->client, NULL);
	return r;
}

static fault_complaint play_check(void *state, int result, bool hit)
{
	if (result < 0 && !hit)
		return "failed, though nothing did";
	if (play->wrong)
		return "something arrived that was not sent";
	if (play->added != play->released)
		return "a segment was not released, or twice";
	if (play->linked != play->told)
		return "a link was not told of its end, or twice";
	if (play->home_open)
		return "the loop's state was not closed";
	if (!hit &&
	    (play->to_client != BYTES || (scene->ops == &client_ops && play->to_server != BYTES)))
		return "not all arrived";
	return NULL;
}

static void *play_prepare(void *arg)
{
	socklen_t len = sizeof(play->target);
	char buf[BYTES];

	scene = arg;
	play = calloc(1, sizeof(*play));
	pthread_mutex_init(&play->lock, NULL);
	for (size_t i = 0; i < BYTES; i++)
		buf[i] = pattern_of(i);
	play->file = memfd_create("pattern", MFD_CLOEXEC);
	assert_int_equal(write(play->file, buf, BYTES), BYTES);
	play->door = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	play->target = (struct sockaddr_in){.sin_family = AF_INET};
	play->target.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(bind(play->door, (struct sockaddr *)&play->target, len), 0);
	assert_int_equal(listen(play->door, 5), 0);
	getsockname(play->door, (struct sockaddr *)&play->target, &len);
	return play;
}

static void play_clean(void *state)
{
	close(play->file);
	close(play->door);
	free(play);
	play = NULL;
}

static void a_file_with_its_head_survives_each_failure(void **state)
{
	static struct scene file_scene = {&file_ops, file_client};
	const struct fault_scenario scenario = {.name = "stream, file",
						.prepare = play_prepare,
						.run = play_run,
						.check = play_check,
						.clean = play_clean,
						.arg = &file_scene,
						.seconds_max = 20};

	fault_each(&scenario);
}

static void a_relay_survives_each_failure(void **state)
{
	static struct scene relay_scene = {&client_ops, relay_client};
	const struct fault_scenario scenario = {.name = "stream, relay",
						.prepare = play_prepare,
						.run = play_run,
						.check = play_check,
						.clean = play_clean,
						.arg = &relay_scene,
						.seconds_max = 20};

	fault_each(&scenario);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_file_with_its_head_survives_each_failure),
	    cmocka_unit_test(a_relay_survives_each_failure),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
