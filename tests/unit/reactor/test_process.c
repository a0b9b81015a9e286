/* What concerns the whole process, in forked children: signals, limits, sockets handed over. */
#include "unit/reactor/rig.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

/* What the child says: its address, then a letter for each thing that happens. */
enum { NAME_LEN = 128, EXIT_STUCK = 97 };

struct child {
	pid_t pid;
	int said; /* the reading end */
	char where[NAME_LEN];
};

struct child_options {
	struct reactor_options reactor;
	const struct conn_ops *ops;
	const char *where;
	void (*prepare)(void);
	int fd_at_3; /* > 0: this descriptor becomes number 3 */
	rlim_t fd_limit;
};

static int say_to = -1;

static void say(char c)
{
	if (write(say_to, &c, 1) != 1)
		_exit(99);
}

static struct reactor *running;

/* The name comes once signals are handled. */
static int say_name(void *arg, struct err *err)
{
	char name[NAME_LEN] = "";

	reactor_listener_name(running, 0, name, sizeof(name));
	if (write(say_to, name, sizeof(name)) != sizeof(name))
		_exit(93);
	return 0;
}

static void run_child(const struct child_options *options)
{
	struct listener_options listener = {.ops = options->ops};
	struct rlimit limit = {options->fd_limit, options->fd_limit};
	struct reactor_stats stats;
	struct reactor *reactor;
	struct err err;

	if (options->fd_limit && setrlimit(RLIMIT_NOFILE, &limit) < 0)
		_exit(90);
	if (options->fd_at_3 > 0 && dup2(options->fd_at_3, 3) < 0)
		_exit(91);
	if (options->prepare)
		options->prepare();
	if (reactor_new(&options->reactor, &reactor, &err) < 0 ||
	    reactor_listen(reactor, options->where, &listener, &err) < 0) {
		fprintf(stderr, "%s\n", err.text);
		_exit(92);
	}
	running = reactor;
	if (reactor_run(reactor, &err) < 0) {
		if (!reactor_is_stuck(reactor))
			fprintf(stderr, "%s\n", err.text);
		_exit(reactor_is_stuck(reactor) ? EXIT_STUCK : 94);
	}
	reactor_stats(reactor, &stats);
	reactor_free(reactor);
	/* A loop that spins makes millions of turns. */
	_exit(stats.open ? 95 : stats.turns > 20000 ? 96 : 0);
}

static void child_start(struct child *child, const struct child_options *options)
{
	int ends[2];

	assert_int_equal(pipe(ends), 0);
	fflush(stdout);
	child->pid = fork();
	assert_true(child->pid >= 0);
	if (child->pid == 0) {
		/* Out of the way of descriptor 3. */
		say_to = fcntl(ends[1], F_DUPFD, 10);
		close(ends[0]);
		close(ends[1]);
		run_child(options);
	}
	close(ends[1]);
	child->said = ends[0];
	for (size_t got = 0; got < NAME_LEN;) {
		ssize_t n = read(child->said, child->where + got, NAME_LEN - got);

		if (n <= 0)
			fail_msg("the child did not start");
		got += (size_t)n;
	}
}

/* The next letter; 0 when the child is gone. */
static char child_says(struct child *child)
{
	struct pollfd fd = {.fd = child->said, .events = POLLIN};
	char c;

	if (poll(&fd, 1, CLIENT_PATIENCE_S * 1000) != 1)
		fail_msg("the child says nothing");
	return read(child->said, &c, 1) == 1 ? c : 0;
}

static int child_ends(struct child *child)
{
	int status;

	while (child_says(child))
		;
	assert_int_equal(waitpid(child->pid, &status, 0), child->pid);
	close(child->said);
	return status;
}

static void child_expect_exit(struct child *child)
{
	int status = child_ends(child);

	if (status != 0)
		fail_msg("the child ended with status %x", (unsigned)status);
}

/* ---- a room whose connections finish a request after drain ---- */

/* Two bytes are a request; the second one ends it. Drained in the middle of one, it closes after
 * the answer; idle, at once. */
struct request {
	bool in_flight, draining;
};

static void serve_request(struct conn *conn, unsigned events)
{
	struct request *request = conn_data(conn);
	char c;
	ssize_t n;

	while ((n = recv(conn_fd(conn), &c, 1, 0)) == 1) {
		request->in_flight = !request->in_flight;
		say('b');
		if (request->in_flight)
			continue;
		send(conn_fd(conn), "answer", 6, MSG_NOSIGNAL);
		if (request->draining) {
			conn_close(conn);
			return;
		}
	}
	if (n == 0)
		conn_close(conn);
}

static void drain_request(struct conn *conn)
{
	struct request *request = conn_data(conn);

	say('d');
	request->draining = true;
	if (!request->in_flight)
		conn_close(conn);
}

static const struct conn_ops requests = {.data_size = sizeof(struct request),
					 .ready = serve_request,
					 .drain = drain_request};

static struct child_options two_loops_of(const struct conn_ops *ops)
{
	return (struct child_options){.reactor = {.threads = 2,
						  .drain_ms = 3600 * 1000,
						  .ready = say_name},
				      .ops = ops,
				      .where = "127.0.0.1:0"};
}

static void each_ending_signal_ends_an_idle_server_well(void **state)
{
	static const int signals[] = {SIGTERM, SIGQUIT, SIGINT};
	struct child_options options = two_loops_of(&requests);
	struct child child;

	for (unsigned i = 0; i < 3; i++) {
		child_start(&child, &options);
		kill(child.pid, signals[i]);
		child_expect_exit(&child);
	}
}

static void a_request_in_flight_is_finished_and_listeners_are_closed_at_once(void **state)
{
	struct child_options options = two_loops_of(&requests);
	struct child child;
	char answer[6];
	int busy, idle, more;

	child_start(&child, &options);
	busy = client_connect(child.where);
	client_send(busy, "1", 1);
	assert_int_equal(child_says(&child), 'b');
	idle = client_connect(child.where);
	client_send(idle, "12", 2);
	client_read(idle, answer, 6);
	kill(child.pid, SIGTERM);
	client_expect_end(idle);
	while ((more = client_connect(child.where)) >= 0) {
		close(more);
		usleep(1000);
	}
	client_send(busy, "2", 1);
	client_read(busy, answer, 6);
	assert_memory_equal(answer, "answer", 6);
	client_expect_end(busy);
	child_expect_exit(&child);
	close(busy);
	close(idle);
}

static void ends_with_a_stuck_connection(struct child_options *options, unsigned signals)
{
	struct child child;
	int stuck;

	child_start(&child, options);
	stuck = client_connect(child.where);
	client_send(stuck, "1", 1);
	assert_int_equal(child_says(&child), 'b');
	for (unsigned i = 0; i < signals; i++) {
		kill(child.pid, SIGTERM);
		if (i == 0)
			assert_int_equal(child_says(&child), 'd');
	}
	client_expect_end(stuck);
	child_expect_exit(&child);
	close(stuck);
}

static void a_stuck_connection_is_closed_when_the_limit_is_over(void **state)
{
	struct child_options options = two_loops_of(&requests);

	options.reactor.drain_ms = 50;
	ends_with_a_stuck_connection(&options, 1);
}

static void a_second_signal_ends_at_once(void **state)
{
	struct child_options options = two_loops_of(&requests);

	ends_with_a_stuck_connection(&options, 2);
}

/* ---- helpers that the kernel does not let go ---- */

static void never_returns(struct job *job)
{
	say('s');
	for (;;)
		pause();
}

static void ask_for_ever(struct conn *conn, unsigned events)
{
	static struct job job = {.run = never_returns, .done = never_returns};
	char c;

	if (recv(conn_fd(conn), &c, 1, 0) == 1 && helpers_submit(conn_loop(conn), &job) < 0)
		_exit(98);
}

static void drained(struct conn *conn)
{
	say('d');
}

static const struct conn_ops asks_for_ever = {.ready = ask_for_ever, .drain = drained};

static void ends_with_a_stuck_helper(struct child_options *options, unsigned signals)
{
	struct child child;
	int fd, status;

	child_start(&child, options);
	fd = client_connect(child.where);
	client_send(fd, "1", 1);
	assert_int_equal(child_says(&child), 's');
	for (unsigned i = 0; i < signals; i++) {
		kill(child.pid, SIGTERM);
		if (i == 0)
			assert_int_equal(child_says(&child), 'd');
	}
	client_expect_end(fd);
	status = child_ends(&child);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), EXIT_STUCK);
	close(fd);
}

static void a_stuck_helper_is_left_behind_when_the_limit_is_over(void **state)
{
	struct child_options options = two_loops_of(&asks_for_ever);

	options.reactor.drain_ms = 50;
	ends_with_a_stuck_helper(&options, 1);
}

static void a_stuck_helper_is_left_behind_after_a_second_signal(void **state)
{
	struct child_options options = two_loops_of(&asks_for_ever);

	ends_with_a_stuck_helper(&options, 2);
}

/* A loop that never comes back from a connection's code. */
static void hang(struct conn *conn, unsigned events)
{
	say('s');
	for (;;)
		pause();
}

static const struct conn_ops hangs = {.ready = hang};

/* Of the two loops one or the other has it: whichever hangs, the process ends. */
static void a_loop_that_hangs_does_not_keep_the_process_from_ending(void **state)
{
	struct child_options options = two_loops_of(&hangs);
	struct child child;
	int fds[2], status;

	options.reactor.drain_ms = 50;
	options.reactor.helpers_ms = 50;
	options.reactor.watchdog_ms = 100;
	/* Up to so many: until both loops hang nobody is left to answer. */
	for (unsigned loops = 1; loops <= 2; loops++) {
		child_start(&child, &options);
		for (unsigned i = 0; i < loops; i++) {
			fds[i] = client_connect(child.where);
			client_send(fds[i], "1", 1);
			assert_int_equal(child_says(&child), 's');
		}
		kill(child.pid, SIGTERM);
		status = child_ends(&child);
		assert_true(WIFEXITED(status));
		assert_int_equal(WEXITSTATUS(status), EXIT_FAILURE);
		for (unsigned i = 0; i < loops; i++)
			close(fds[i]);
	}
}

/* Longer than the default is for. */
static void takes_long(struct job *job)
{
	say('s');
	usleep(1500 * 1000);
}

static void is_done(struct job *job)
{
	say('e');
}

static void ask_for_long(struct conn *conn, unsigned events)
{
	static struct job job = {.run = takes_long, .done = is_done};
	char c;

	if (recv(conn_fd(conn), &c, 1, 0) == 1 && helpers_submit(conn_loop(conn), &job) < 0)
		_exit(98);
}

static const struct conn_ops asks_for_long = {.ready = ask_for_long};

static void a_helper_is_waited_for_as_long_as_was_said(void **state)
{
	struct child_options options = two_loops_of(&asks_for_long);
	struct child child;
	int fd;

	options.reactor.drain_ms = 50;
	options.reactor.helpers_ms = 3600 * 1000;
	child_start(&child, &options);
	fd = client_connect(child.where);
	client_send(fd, "1", 1);
	assert_int_equal(child_says(&child), 's');
	kill(child.pid, SIGTERM);
	assert_int_equal(child_says(&child), 'e');
	child_expect_exit(&child);
	close(fd);
}

/* Forked: what is not held back ends it by the signal. 0: all is well. */
static int held_signals(void)
{
	struct reactor_options options = {.threads = 1};
	sigset_t before, now;
	struct reactor *reactor;
	struct err err;

	pthread_sigmask(SIG_SETMASK, NULL, &before);
	for (int run = 0; run < 2; run++) {
		if (reactor_new(&options, &reactor, &err) < 0)
			return 1;
		reactor_hold_signals(reactor);
		if (run) {
			raise(SIGHUP);
			raise(SIGTERM);
			if (reactor_run(reactor, &err) != 0)
				return 2;
		}
		reactor_free(reactor);
		pthread_sigmask(SIG_SETMASK, NULL, &now);
		if (sigismember(&now, SIGTERM) != sigismember(&before, SIGTERM))
			return 3;
	}
	return 0;
}

static void held_signals_are_handled_when_it_runs(void **state)
{
	int status;
	pid_t pid = fork();

	if (pid == 0)
		_exit(held_signals());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void hangup(struct loop *loop, void *data)
{
	say((char)('0' + loop_index(loop)));
}

static void sighup_reaches_each_loop_and_ends_nothing(void **state)
{
	struct child_options options = two_loops_of(&requests);
	struct child child;
	char first, second, answer[6];
	int fd;

	options.reactor.hangup = hangup;
	child_start(&child, &options);
	kill(child.pid, SIGHUP);
	first = child_says(&child);
	second = child_says(&child);
	assert_int_equal(first + second, '0' + '1');
	assert_int_not_equal(first, second);
	fd = client_connect(child.where);
	client_send(fd, "12", 2);
	client_read(fd, answer, 6);
	close(fd);
	kill(child.pid, SIGTERM);
	child_expect_exit(&child);
}

static void write_to_closed(struct conn *conn, unsigned events)
{
	if (!(events & CONN_HANGUP))
		return;
	/* Without MSG_NOSIGNAL, as sendfile would. */
	say(write(conn_fd(conn), "x", 1) < 0 ? 'e' : 'w');
	say(write(conn_fd(conn), "x", 1) < 0 ? 'e' : 'w');
	conn_close(conn);
}

static void writing_to_a_peer_that_is_gone_does_not_kill(void **state)
{
	static const struct conn_ops ops = {.ready = write_to_closed};
	struct child_options options = two_loops_of(&ops);
	struct linger reset = {.l_onoff = 1};
	struct child child;
	int fd;

	child_start(&child, &options);
	fd = client_connect(child.where);
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
	close(fd);
	assert_int_equal(child_says(&child), 'e');
	assert_int_equal(child_says(&child), 'e');
	kill(child.pid, SIGTERM);
	child_expect_exit(&child);
}

/* ---- limits ---- */

static bool answered(int fd)
{
	struct pollfd poll_fd = {.fd = fd, .events = POLLIN};

	return poll(&poll_fd, 1, 0) == 1;
}

static unsigned count_answered(const int *fds, unsigned count)
{
	unsigned served = 0;

	for (unsigned i = 0; i < count; i++)
		served += answered(fds[i]);
	return served;
}

/* Opens `count` connections that ask for an echo. How many are answered while none is closed: waits
 * for at least `least` and then some more, for one too many. */
static unsigned open_many(struct child *child, int *fds, unsigned count, unsigned least)
{
	for (unsigned i = 0; i < count; i++) {
		fds[i] = client_connect(child->where);
		assert_true(fds[i] >= 0);
		client_send(fds[i], "x", 1);
	}
	for (unsigned ms = 0; ms < CLIENT_PATIENCE_S * 1000; ms += 10) {
		if (count_answered(fds, count) >= least)
			break;
		usleep(10 * 1000);
	}
	usleep(250 * 1000);
	return count_answered(fds, count);
}

/* Closes those that have been served, again and again, until all have been. */
static void serve_the_rest(int *fds, unsigned count)
{
	unsigned left = count;

	for (unsigned ms = 0; left > 0 && ms < CLIENT_PATIENCE_S * 1000; ms += 10) {
		for (unsigned i = 0; i < count; i++) {
			if (fds[i] < 0 || !answered(fds[i]))
				continue;
			close(fds[i]);
			fds[i] = -1;
			left--;
		}
		usleep(10 * 1000);
	}
	assert_int_equal(left, 0);
}

static void without_descriptors_it_waits_and_recovers(void **state)
{
	struct child_options options = two_loops_of(&echo_ops);
	struct child child;
	unsigned served;
	int fds[48];

	options.fd_limit = 40;
	options.reactor.connections_max = 1000;
	child_start(&child, &options);
	served = open_many(&child, fds, 48, 5);
	assert_in_range(served, 5, 40);
	serve_the_rest(fds, 48);
	kill(child.pid, SIGTERM);
	child_expect_exit(&child);
}

/* Says whether there was a descriptor for a file. */
static void file_ready(struct conn *conn, unsigned events)
{
	char byte;
	int fd;

	while (recv(conn_fd(conn), &byte, 1, MSG_DONTWAIT) == 1) {
		fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
		if (fd >= 0)
			close(fd);
		send(conn_fd(conn), fd >= 0 ? "y" : "n", 1, MSG_NOSIGNAL);
	}
	if (events & CONN_ENDED)
		conn_close(conn);
}

static void connections_leave_descriptors_for_files(void **state)
{
	static const struct conn_ops ops = {.ready = file_ready};
	struct child_options options = two_loops_of(&ops);
	struct child child;
	char byte;
	int fds[150];

	options.fd_limit = 120;
	options.reactor.connections_max = 1000;
	child_start(&child, &options);
	assert_in_range(open_many(&child, fds, 150, 50), 50, 110);
	for (unsigned i = 0; i < 150; i++) {
		if (!answered(fds[i]))
			continue;
		client_read(fds[i], &byte, 1);
		assert_int_equal(byte, 'y');
		client_send(fds[i], "x", 1); /* for serve_the_rest() */
	}
	serve_the_rest(fds, 150);
	kill(child.pid, SIGTERM);
	child_expect_exit(&child);
}

static void beyond_the_limit_connections_wait_in_the_backlog(void **state)
{
	struct child_options options = two_loops_of(&echo_ops);
	struct child child;
	int fds[12];

	options.reactor.connections_max = 5;
	child_start(&child, &options);
	assert_int_equal(open_many(&child, fds, 12, 5), 5);
	serve_the_rest(fds, 12);
	kill(child.pid, SIGTERM);
	child_expect_exit(&child);
}

/* ---- socket activation ---- */

static void name_the_sockets(void)
{
	char pid[16];

	snprintf(pid, sizeof(pid), "%d", getpid());
	setenv("LISTEN_PID", pid, 1);
	setenv("LISTEN_FDS", "1", 1);
	if (reactor_activated_count() != 1)
		_exit(80);
	setenv("LISTEN_PID", "1", 1);
	if (reactor_activated_count() != 0)
		_exit(81);
	setenv("LISTEN_PID", pid, 1);
}

static void a_socket_of_systemd_is_served_and_survives(void **state)
{
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct child_options options = two_loops_of(&echo_ops);
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), fd;
	struct child child;
	char c;

	assert_int_equal(bind(listener, (struct sockaddr *)&in, sizeof(in)), 0);
	assert_int_equal(listen(listener, 16), 0);
	assert_int_equal(reactor_activated_count(), 0);
	options.where = "fd:3";
	options.fd_at_3 = listener;
	options.prepare = name_the_sockets;
	for (unsigned i = 0; i < 2; i++) {
		child_start(&child, &options);
		fd = client_connect(child.where);
		client_send(fd, "x", 1);
		client_read(fd, &c, 1);
		close(fd);
		kill(child.pid, SIGTERM);
		child_expect_exit(&child);
	}
	/* Nobody accepts now, but the socket listens on: nothing is refused across a restart. */
	fd = client_connect(child.where);
	assert_true(fd >= 0);
	close(fd);
	close(listener);
}

/* ---- memory ---- */

static void say_resident(struct loop *loop, void *data)
{
	char line[256];
	unsigned kib = 0;
	FILE *status = fopen("/proc/self/status", "r");

	while (loop_index(loop) == 0 && fgets(line, sizeof(line), status))
		if (sscanf(line, "VmRSS: %u kB", &kib) == 1)
			say(kib < 8 * 1024 ? 'y' : 'n');
	fclose(status);
}

static void a_server_for_a_million_connections_starts_small(void **state)
{
	struct child_options options = two_loops_of(&echo_ops);
	struct child child;

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
	unit_skip("sanitizers need memory of their own");
#endif
	options.reactor.connections_max = 1000000;
	options.reactor.hangup = say_resident;
	child_start(&child, &options);
	kill(child.pid, SIGHUP);
	assert_int_equal(child_says(&child), 'y');
	kill(child.pid, SIGTERM);
	child_expect_exit(&child);
}

static void little_address_space(void)
{
	struct rlimit limit = {256u << 20, 256u << 20};

	setrlimit(RLIMIT_AS, &limit);
}

static void with_few_addresses_it_serves_fewer_connections(void **state)
{
	static const struct conn_ops ops = {.data_size = 16384, .ready = echo_ready};
	struct child_options options = two_loops_of(&ops);
	struct child child;
	char c = 'x';
	int fd;

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
	unit_skip("sanitizers need addresses of their own");
#endif
	options.prepare = little_address_space;
	child_start(&child, &options);
	fd = client_connect(child.where);
	client_send(fd, &c, 1);
	client_read(fd, &c, 1);
	close(fd);
	kill(child.pid, SIGTERM);
	child_expect_exit(&child);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(each_ending_signal_ends_an_idle_server_well),
	    cmocka_unit_test(a_request_in_flight_is_finished_and_listeners_are_closed_at_once),
	    cmocka_unit_test(a_stuck_connection_is_closed_when_the_limit_is_over),
	    cmocka_unit_test(a_second_signal_ends_at_once),
	    cmocka_unit_test(a_stuck_helper_is_left_behind_when_the_limit_is_over),
	    cmocka_unit_test(a_stuck_helper_is_left_behind_after_a_second_signal),
	    cmocka_unit_test(a_loop_that_hangs_does_not_keep_the_process_from_ending),
	    cmocka_unit_test(a_helper_is_waited_for_as_long_as_was_said),
	    cmocka_unit_test(held_signals_are_handled_when_it_runs),
	    cmocka_unit_test(sighup_reaches_each_loop_and_ends_nothing),
	    cmocka_unit_test(writing_to_a_peer_that_is_gone_does_not_kill),
	    cmocka_unit_test(without_descriptors_it_waits_and_recovers),
	    cmocka_unit_test(connections_leave_descriptors_for_files),
	    cmocka_unit_test(beyond_the_limit_connections_wait_in_the_backlog),
	    cmocka_unit_test(a_socket_of_systemd_is_served_and_survives),
	    cmocka_unit_test(a_server_for_a_million_connections_starts_small),
	    cmocka_unit_test(with_few_addresses_it_serves_fewer_connections),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
