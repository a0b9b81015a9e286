#include "unit/reactor/rig.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/check.h"
#include "sys/sys.h"

static const struct reactor_options one_loop = {.threads = 1};
static const struct reactor_options two_loops = {.threads = 2};

static void echo_once(int fd)
{
	char buf[5];

	client_send(fd, "hello", 5);
	client_read(fd, buf, 5);
	assert_memory_equal(buf, "hello", 5);
}

static void echo_through(const char *where)
{
	struct rig rig;
	int fd;

	rig_start(&rig, &two_loops, where, &echo_ops);
	fd = client_open(&rig);
	for (unsigned i = 0; i < 3; i++)
		echo_once(fd);
	shutdown(fd, SHUT_WR);
	client_expect_end(fd);
	close(fd);
	rig_stop(&rig);
}

static bool have_ipv6(void)
{
	struct sockaddr_in6 any = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
	int fd = socket(AF_INET6, SOCK_STREAM, 0);
	int r = fd < 0 ? -1 : bind(fd, (struct sockaddr *)&any, sizeof(any));

	if (fd >= 0)
		close(fd);
	return r == 0;
}

static void it_serves_ipv4(void **state)
{
	echo_through("127.0.0.1:0");
}

static void it_serves_ipv6(void **state)
{
	if (!have_ipv6())
		unit_skip("no IPv6 loopback address here");
	echo_through("[::1]:0");
}

static void echo_at(const char *host, const char *port)
{
	char where[64];
	int fd;

	snprintf(where, sizeof(where), "%s:%s", host, port);
	fd = client_connect(where);
	assert_true(fd >= 0);
	echo_once(fd);
	close(fd);
}

static void everyone_and_localhost_are_served_by_both_families(void **state)
{
	static const char *const where[] = {"*:0", ":0", "0", "localhost:0"};
	char name[128];
	struct rig rig;

	if (!have_ipv6())
		unit_skip("no IPv6 loopback address here");
	for (unsigned i = 0; i < ARRAY_SIZE(where); i++) {
		rig_start(&rig, &two_loops, where[i], &echo_ops);
		assert_int_equal(reactor_listener_count(rig.reactor), 2);
		assert_int_equal(reactor_listener_name(rig.reactor, 1, name, sizeof(name)), 0);
		assert_string_equal(strrchr(rig.where, ':'), strrchr(name, ':'));
		echo_at("127.0.0.1", strrchr(name, ':') + 1);
		echo_at("[::1]", strrchr(name, ':') + 1);
		rig_stop(&rig);
	}
}

/* localhost and one of its addresses, which is somebody else's: in both orders. */
static void an_address_belongs_to_who_names_it(void **state)
{
	int all = 0, one = 0;
	const struct listener_options for_all = {.ops = &echo_ops, .arg = &all};
	const struct listener_options for_one = {.ops = &echo_ops, .arg = &one};
	struct err err = {""};
	struct rig rig;
	char everyone[64], exact[64], name[128];

	if (!have_ipv6())
		unit_skip("no IPv6 loopback address here");
	for (unsigned order = 0; order < 2; order++) {
		rig_make(&rig, &one_loop, "127.0.0.1:0", &echo_ops);
		snprintf(everyone, sizeof(everyone), "localhost%s", strrchr(rig.where, ':'));
		snprintf(exact, sizeof(exact), "[::1]%s", strrchr(rig.where, ':'));
		for (unsigned i = 0; i < 2; i++)
			if (reactor_listen(rig.reactor, i == order ? everyone : exact,
					   i == order ? &for_all : &for_one, &err) < 0)
				fail_msg("%s", err.text);
		/* 127.0.0.1 was there, and is left to whom it belongs. */
		assert_int_equal(reactor_listener_count(rig.reactor), 2);
		assert_ptr_equal(reactor_listener_arg(rig.reactor, 0), NULL);
		assert_int_equal(reactor_listener_name(rig.reactor, 1, name, sizeof(name)), 0);
		assert_string_equal(name, exact);
		assert_ptr_equal(reactor_listener_arg(rig.reactor, 1), &one);
		/* Whose would it be? */
		assert_int_equal(reactor_listen(rig.reactor, exact, &for_one, &err), -EADDRINUSE);
		assert_non_null(strstr(err.text, "is there twice"));
		rig_run(&rig);
		echo_at("[::1]", strrchr(rig.where, ':') + 1);
		rig_stop(&rig);
	}
}

static void what_is_taken_of_several_is_named(void **state)
{
	const struct listener_options listener = {.ops = &echo_ops};
	struct rig taken, rig;
	struct err err = {""};
	char where[64], said[256];

	if (!have_ipv6())
		unit_skip("no IPv6 loopback address here");
	rig_start(&taken, &one_loop, "[::1]:0", &echo_ops);
	snprintf(where, sizeof(where), "localhost%s", strrchr(taken.where, ':'));
	snprintf(said, sizeof(said), "%s (%s): address already in use", where, taken.where);
	rig_make(&rig, &one_loop, "127.0.0.1:0", &echo_ops);
	assert_int_equal(reactor_listen(rig.reactor, where, &listener, &err), -EADDRINUSE);
	assert_non_null(strstr(err.text, said));
	/* Nothing of it stays. */
	assert_int_equal(reactor_listener_count(rig.reactor), 1);
	reactor_free(rig.reactor);
	rig_stop(&taken);
}

static void names_of_hosts_are_looked_up(void **state)
{
	struct sockaddr_storage found[4];
	socklen_t lens[4];
	char own[256] = "", where[300];
	struct rig rig;
	int fd;

	if (gethostname(own, sizeof(own) - 1) < 0 || sys_resolve(own, found, lens, 4) < 0)
		unit_skip("this machine does not know its own name");
	snprintf(where, sizeof(where), "%s:0", own);
	rig_start(&rig, &one_loop, where, &echo_ops);
	fd = client_open(&rig);
	echo_once(fd);
	close(fd);
	rig_stop(&rig);
}

static void a_name_that_nobody_has_is_said_so(void **state)
{
	const struct listener_options listener = {.ops = &echo_ops};
	struct reactor *reactor;
	struct err err = {""};

	assert_int_equal(reactor_new(&one_loop, &reactor, &err), 0);
	assert_true(reactor_listen(reactor, "no-such-host.invalid:80", &listener, &err) < 0);
	assert_ptr_equal(strstr(err.text, "no-such-host.invalid:80: "), err.text);
	assert_non_null(strstr(err.text, "use an address, or * for all"));
	assert_int_equal(reactor_listener_count(reactor), 0);
	reactor_free(reactor);
}

/* ---- socket files ---- */

static char folder[] = "/tmp/leat-reactor-XXXXXX";
static char socket_path[64], socket_where[80];

static int make_folder(void **state)
{
	strcpy(folder + sizeof(folder) - 7, "XXXXXX");
	if (!mkdtemp(folder))
		return -1;
	snprintf(socket_path, sizeof(socket_path), "%s/s", folder);
	snprintf(socket_where, sizeof(socket_where), "unix:%s", socket_path);
	return 0;
}

static int remove_folder(void **state)
{
	unlink(socket_path);
	return rmdir(folder);
}

static void it_serves_a_socket_file_and_removes_it_at_the_end(void **state)
{
	echo_through(socket_where);
	assert_int_equal(access(socket_path, F_OK), -1);
}

static void a_stale_socket_file_is_replaced(void **state)
{
	struct sockaddr_un un = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	strcpy(un.sun_path, socket_path);
	assert_int_equal(bind(fd, (struct sockaddr *)&un, sizeof(un)), 0);
	close(fd);
	assert_int_equal(access(socket_path, F_OK), 0);
	echo_through(socket_where);
}

static void refused(const char *where, int error, const char *said)
{
	struct listener_options listener = {.ops = &echo_ops};
	struct reactor *reactor;
	struct err err = {""};

	assert_int_equal(reactor_new(&one_loop, &reactor, &err), 0);
	assert_int_equal(reactor_listen(reactor, where, &listener, &err), error);
	assert_non_null(strstr(err.text, where));
	if (!strstr(err.text, said))
		fail_msg("'%s' does not say '%s'", err.text, said);
	reactor_free(reactor);
}

static void a_socket_file_in_use_is_left_alone(void **state)
{
	struct rig rig;
	int fd;

	rig_start(&rig, &one_loop, socket_where, &echo_ops);
	refused(socket_where, -EADDRINUSE, "another program listens there");
	fd = client_open(&rig);
	echo_once(fd);
	close(fd);
	rig_stop(&rig);
}

static void another_kind_of_file_is_left_alone(void **state)
{
	int fd = open(socket_path, O_CREAT | O_WRONLY, 0600);
	struct stat st;

	close(fd);
	refused(socket_where, -EADDRINUSE, "not a socket");
	assert_int_equal(lstat(socket_path, &st), 0);
	assert_true(S_ISREG(st.st_mode));
}

static void a_successors_socket_file_is_not_removed(void **state)
{
	struct sockaddr_un un = {.sun_family = AF_UNIX};
	struct rig rig;
	int fd;

	rig_start(&rig, &one_loop, socket_where, &echo_ops);
	unlink(socket_path);
	fd = socket(AF_UNIX, SOCK_STREAM, 0);
	strcpy(un.sun_path, socket_path);
	assert_int_equal(bind(fd, (struct sockaddr *)&un, sizeof(un)), 0);
	rig_stop(&rig);
	assert_int_equal(access(socket_path, F_OK), 0);
	close(fd);
}

/* ---- errors ---- */

static void a_taken_port_is_said_so(void **state)
{
	struct rig rig;

	rig_start(&rig, &one_loop, "127.0.0.1:0", &echo_ops);
	refused(rig.where, -EADDRINUSE, "choose another port or stop it");
	rig_stop(&rig);
}

static void a_port_that_was_taken_meanwhile_is_said_so(void **state)
{
	struct rig first, second;
	struct err err = {""};

	rig_make(&first, &one_loop, "127.0.0.1:0", &echo_ops);
	rig_make(&second, &one_loop, first.where, &echo_ops);
	rig_run(&first);
	assert_int_equal(reactor_run(second.reactor, &err), -EADDRINUSE);
	assert_non_null(strstr(err.text, "choose another port or stop it"));
	assert_ptr_equal(strstr(err.text, first.where), err.text);
	reactor_free(second.reactor);
	rig_stop(&first);
}

static void an_address_of_another_machine_is_said_so(void **state)
{
	refused("192.0.2.1:8080", -EADDRNOTAVAIL, "no interface of this machine");
}

static void a_low_port_needs_a_privilege(void **state)
{
	pid_t child;
	int status;

	if (geteuid() != 0)
		unit_skip("needs root, to give it up");
	fflush(stdout);
	child = fork();
	if (child == 0) {
		struct listener_options listener = {.ops = &echo_ops};
		struct reactor *reactor;
		struct err err;
		int r;

		if (setuid(65534) < 0 || reactor_new(&one_loop, &reactor, &err) < 0)
			_exit(2);
		r = reactor_listen(reactor, "127.0.0.1:80", &listener, &err);
		if (r == -EADDRINUSE || r == 0)
			_exit(77);
		reactor_free(reactor);
		_exit(strcmp(err.text, "127.0.0.1:80: permission denied: ports below 1024 need "
				       "root or CAP_NET_BIND_SERVICE"));
	}
	waitpid(child, &status, 0);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
		unit_skip("port 80 is taken, or open to everybody here");
	assert_int_equal(status, 0);
}

static void what_is_no_listening_socket_is_not_taken_over(void **state)
{
	refused("fd:0", -EINVAL, "not a listening stream socket");
}

/* ---- the start ---- */

static int early_fd;

static int note_ready(void *arg, struct err *err)
{
	struct rig *rig = arg;
	int fd = client_connect(rig->where);

	/* The kernel has answered it; the loops will serve it. */
	if (fd < 0)
		return err_set(err, -ECONNREFUSED, "not listening");
	client_send(fd, "hello", 5);
	early_fd = fd;
	return 0;
}

static void nobody_is_answered_before_it_serves(void **state)
{
	struct reactor_options options = two_loops;
	struct rig rig;
	char buf[5];
	int fd;

	options.ready = note_ready;
	rig_make(&rig, &options, "127.0.0.1:0", &echo_ops);
	assert_int_equal(client_connect(rig.where), -1);
	rig_run(&rig);
	fd = early_fd;
	client_read(fd, buf, 5);
	close(fd);
	rig_stop(&rig);
}

static int never_ready(void *arg, struct err *err)
{
	return err_set(err, -ENOTTY, "not today");
}

static void who_is_not_ready_after_all_serves_nobody(void **state)
{
	struct reactor_options options = two_loops;
	struct err err = {""};
	struct rig rig;

	options.ready = never_ready;
	rig_make(&rig, &options, "127.0.0.1:0", &echo_ops);
	assert_int_equal(reactor_run(rig.reactor, &err), -ENOTTY);
	assert_string_equal(err.text, "not today");
	assert_int_equal(client_connect(rig.where), -1);
	reactor_free(rig.reactor);
}

/* ---- what a connection knows ---- */

static struct {
	_Atomic unsigned opened, events;
	_Atomic unsigned per_loop[2];
	_Atomic int nodelay, nonblocking;
	struct sockaddr_storage peer;
	bool zeroed;
} seen;

struct big {
	char bytes[1000];
};

static int look(struct conn *conn)
{
	struct big *big = conn_data(conn);
	socklen_t len = sizeof(int);
	int nodelay = 0;

	getsockopt(conn_fd(conn), IPPROTO_TCP, TCP_NODELAY, &nodelay, &len);
	seen.nodelay = nodelay;
	seen.nonblocking = (fcntl(conn_fd(conn), F_GETFL) & O_NONBLOCK) != 0;
	seen.peer = *conn_peer(conn);
	seen.zeroed = true;
	for (size_t i = 0; i < sizeof(big->bytes); i++)
		seen.zeroed &= big->bytes[i] == 0;
	memset(big->bytes, 'x', sizeof(big->bytes));
	atomic_fetch_add(&seen.opened, 1);
	return 0;
}

static const struct conn_ops looking = {.data_size = sizeof(struct big),
					.open = look,
					.ready = echo_ready};

static void a_connection_knows_its_peer_and_sends_at_once(void **state)
{
	struct sockaddr_in own;
	socklen_t len = sizeof(own);
	struct rig rig;
	int fd;

	memset(&seen, 0, sizeof(seen));
	rig_start(&rig, &one_loop, "127.0.0.1:0", &looking);
	fd = client_open(&rig);
	echo_once(fd);
	getsockname(fd, (struct sockaddr *)&own, &len);
	rig_stop(&rig);
	assert_int_equal(seen.nodelay, 1);
	assert_int_equal(seen.nonblocking, 1);
	assert_int_equal(((struct sockaddr_in *)&seen.peer)->sin_port, own.sin_port);
	close(fd);
}

static void a_slot_used_again_is_zeroed(void **state)
{
	struct rig rig;

	memset(&seen, 0, sizeof(seen));
	rig_start(&rig, &one_loop, "127.0.0.1:0", &looking);
	for (unsigned i = 1; i <= 3; i++) {
		int fd = client_open(&rig);

		echo_once(fd);
		shutdown(fd, SHUT_WR);
		client_expect_end(fd);
		close(fd);
	}
	rig_stop(&rig);
	assert_int_equal(seen.opened, 3);
	assert_true(seen.zeroed);
}

static int count_per_loop(struct conn *conn)
{
	atomic_fetch_add(&seen.per_loop[loop_index(conn_loop(conn))], 1);
	atomic_fetch_add(&seen.opened, 1);
	return 0;
}

static int many_fds[64];

/* Before any loop takes one. */
static int open_many(void *arg, struct err *err)
{
	for (unsigned i = 0; i < ARRAY_SIZE(many_fds); i++)
		many_fds[i] = client_open(arg);
	return 0;
}

static void many_connections_spread_evenly_over_the_loops(void **state)
{
	static const struct conn_ops ops = {.open = count_per_loop, .ready = echo_ready};
	struct reactor_options options = two_loops;
	struct rig rig;

	memset(&seen, 0, sizeof(seen));
	options.ready = open_many;
	rig_start(&rig, &options, "127.0.0.1:0", &ops);
	for (unsigned i = 0; i < 64; i++)
		echo_once(many_fds[i]);
	wait_for(&seen.opened, 64);
	assert_in_range(seen.per_loop[0], 30, 34);
	assert_in_range(seen.per_loop[1], 30, 34);
	for (unsigned i = 0; i < 64; i++)
		close(many_fds[i]);
	rig_stop(&rig);
}

static int refuse(struct conn *conn)
{
	return atomic_fetch_add(&seen.opened, 1) == 0 ? -ENOMEM : 0;
}

static void never_closed(struct conn *conn)
{
	atomic_fetch_add(&seen.events, 1);
}

static void a_connection_whose_open_fails_is_closed_and_the_next_is_served(void **state)
{
	static const struct conn_ops ops = {.open = refuse,
					    .ready = echo_ready,
					    .closed = never_closed};
	struct rig rig;
	int fd;

	memset(&seen, 0, sizeof(seen));
	rig_start(&rig, &one_loop, "127.0.0.1:0", &ops);
	fd = client_open(&rig);
	client_expect_end(fd);
	assert_int_equal(seen.events, 0);
	close(fd);
	fd = client_open(&rig);
	echo_once(fd);
	assert_int_equal(rig_stats(&rig).refused, 1);
	close(fd);
	rig_stop(&rig);
	assert_int_equal(seen.events, 1);
}

/* ---- turns ---- */

/* 'H' makes a hog, which wants every turn it can get; else an echo. */
static void hog_or_echo(struct conn *conn, unsigned events)
{
	bool *hog = conn_data(conn);
	char c;

	if (!*hog && recv(conn_fd(conn), &c, 1, MSG_PEEK) == 1 && c == 'H')
		*hog = true;
	if (!*hog) {
		echo_ready(conn, events);
		return;
	}
	if ((events & (CONN_AGAIN | CONN_READABLE)) == (CONN_AGAIN | CONN_READABLE)) {
		seen.nodelay = 1; /* news reach a hog with its turn */
		conn_close(conn);
		return;
	}
	if (events & CONN_AGAIN)
		atomic_fetch_add(&seen.events, 1);
	conn_again(conn);
}

static void a_connection_that_always_wants_more_does_not_starve_others(void **state)
{
	static const struct conn_ops ops = {.data_size = sizeof(bool), .ready = hog_or_echo};
	struct rig rig;
	int hog, fd;

	memset(&seen, 0, sizeof(seen));
	rig_start(&rig, &one_loop, "127.0.0.1:0", &ops);
	hog = client_open(&rig);
	client_send(hog, "H", 1);
	wait_for(&seen.events, 10);
	fd = client_open(&rig);
	for (unsigned i = 0; i < 10; i++) {
		unsigned turns = seen.events;

		echo_once(fd);
		wait_for(&seen.events, turns + 2);
	}
	client_send(hog, "more", 4);
	client_expect_end(hog);
	assert_int_equal(seen.nodelay, 1);
	close(hog);
	close(fd);
	rig_stop(&rig);
}

static void note_events(struct conn *conn, unsigned events)
{
	if (!(events & CONN_ENDED))
		return;
	seen.zeroed = events & CONN_READABLE;
	conn_close(conn);
}

static void the_peers_end_is_announced_even_behind_unread_data(void **state)
{
	static const struct conn_ops ops = {.ready = note_events};
	struct rig rig;
	int fd;

	rig_start(&rig, &one_loop, "127.0.0.1:0", &ops);
	fd = client_open(&rig);
	client_send(fd, "data", 4);
	shutdown(fd, SHUT_WR);
	client_expect_end(fd);
	close(fd);
	rig_stop(&rig);
	assert_true(seen.zeroed);
}

/* ---- references ---- */

static struct conn_ref first_ref;

static void check_refs(struct conn *conn, unsigned events)
{
	char c;

	if (recv(conn_fd(conn), &c, 1, 0) != 1)
		return;
	if (c == 'a') {
		first_ref = conn_ref(conn);
		seen.nodelay = conn_deref(first_ref) == conn;
		conn_close(conn);
		seen.nonblocking = conn_deref(first_ref) == NULL;
	} else {
		/* The same slot, another connection. */
		seen.zeroed = first_ref.conn == conn && conn_deref(first_ref) == NULL;
		conn_close(conn);
	}
}

static void a_reference_goes_stale_with_its_connection(void **state)
{
	static const struct conn_ops ops = {.ready = check_refs};
	struct rig rig;
	int fd;

	memset(&seen, 0, sizeof(seen));
	rig_start(&rig, &one_loop, "127.0.0.1:0", &ops);
	for (const char *c = "ab"; *c; c++) {
		fd = client_open(&rig);
		client_send(fd, c, 1);
		client_expect_end(fd);
		close(fd);
	}
	rig_stop(&rig);
	assert_true(seen.nodelay);
	assert_true(seen.nonblocking);
	assert_true(seen.zeroed);
}

static void adopt(void *arg)
{
	struct conn *conn;

	if (conn_adopt(loop_current(), *(int *)arg, &echo_ops, NULL, &conn) == 0)
		atomic_fetch_add(&seen.opened, 1);
}

static int *adopted;

static int open_room(struct loop *loop, void *arg, void **ret_data, struct err *err)
{
	return loop_post(loop, adopt, adopted);
}

static void a_descriptor_of_ones_own_becomes_a_connection(void **state)
{
	struct reactor_options options = {.threads = 1, .loop_open = open_room};
	struct rig rig;
	int ends[2];

	memset(&seen, 0, sizeof(seen));
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
	fcntl(ends[1], F_SETFL, O_NONBLOCK);
	adopted = &ends[1];
	rig_start(&rig, &options, "127.0.0.1:0", &echo_ops);
	echo_once(ends[0]);
	rig_stop(&rig);
	client_expect_end(ends[0]);
	assert_int_equal(seen.opened, 1);
	close(ends[0]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(it_serves_ipv4),
	    cmocka_unit_test(it_serves_ipv6),
	    cmocka_unit_test(everyone_and_localhost_are_served_by_both_families),
	    cmocka_unit_test(an_address_belongs_to_who_names_it),
	    cmocka_unit_test(what_is_taken_of_several_is_named),
	    cmocka_unit_test(names_of_hosts_are_looked_up),
	    cmocka_unit_test(a_name_that_nobody_has_is_said_so),
	    cmocka_unit_test_setup_teardown(it_serves_a_socket_file_and_removes_it_at_the_end,
					    make_folder, remove_folder),
	    cmocka_unit_test_setup_teardown(a_stale_socket_file_is_replaced, make_folder,
					    remove_folder),
	    cmocka_unit_test_setup_teardown(a_socket_file_in_use_is_left_alone, make_folder,
					    remove_folder),
	    cmocka_unit_test_setup_teardown(another_kind_of_file_is_left_alone, make_folder,
					    remove_folder),
	    cmocka_unit_test_setup_teardown(a_successors_socket_file_is_not_removed, make_folder,
					    remove_folder),
	    cmocka_unit_test(a_taken_port_is_said_so),
	    cmocka_unit_test(a_port_that_was_taken_meanwhile_is_said_so),
	    cmocka_unit_test(nobody_is_answered_before_it_serves),
	    cmocka_unit_test(who_is_not_ready_after_all_serves_nobody),
	    cmocka_unit_test(an_address_of_another_machine_is_said_so),
	    cmocka_unit_test(a_low_port_needs_a_privilege),
	    cmocka_unit_test(what_is_no_listening_socket_is_not_taken_over),
	    cmocka_unit_test(a_connection_knows_its_peer_and_sends_at_once),
	    cmocka_unit_test(a_slot_used_again_is_zeroed),
	    cmocka_unit_test(many_connections_spread_evenly_over_the_loops),
	    cmocka_unit_test(a_connection_whose_open_fails_is_closed_and_the_next_is_served),
	    cmocka_unit_test(a_connection_that_always_wants_more_does_not_starve_others),
	    cmocka_unit_test(the_peers_end_is_announced_even_behind_unread_data),
	    cmocka_unit_test(a_reference_goes_stale_with_its_connection),
	    cmocka_unit_test(a_descriptor_of_ones_own_becomes_a_connection),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
