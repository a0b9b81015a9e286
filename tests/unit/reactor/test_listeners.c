/* Listeners that are added and taken away, before the loops run and while they do. */
#include "unit/reactor/rig.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/check.h"

static const struct reactor_options two_loops = {.threads = 2};
static const struct reactor_options one_loop = {.threads = 1};
static const struct listener_options echoing = {.ops = &echo_ops};

static void echo_once(int fd)
{
	char buf[5];

	client_send(fd, "hello", 5);
	client_read(fd, buf, 5);
	assert_memory_equal(buf, "hello", 5);
}

static void echo_at(const char *where)
{
	int fd = client_connect(where);

	assert_true(fd >= 0);
	echo_once(fd);
	close(fd);
}

/* A port that is free at this moment. */
static void find_place(char where[128])
{
	struct rig rig;

	rig_make(&rig, &one_loop, "127.0.0.1:0", &echo_ops);
	snprintf(where, 128, "%s", rig.where);
	reactor_free(rig.reactor);
}

static void listen_at(struct rig *rig, const char *where)
{
	struct err err = {""};

	if (reactor_listen(rig->reactor, where, &echoing, &err) < 0)
		fail_msg("%s", err.text);
}

static void expect_closed(const char *where)
{
	for (unsigned ms = 0; ms < CLIENT_PATIENCE_S * 1000; ms++) {
		int fd = client_connect(where);

		if (fd < 0)
			return;
		close(fd);
		usleep(1000);
	}
	fail_msg("%s still answers", where);
}

static unsigned count_descriptors(void)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned count = 0;

	assert_non_null(dir);
	while (readdir(dir))
		count++;
	closedir(dir);
	return count;
}

static void one_that_is_added_is_served_and_one_that_is_taken_away_is_not(void **state)
{
	char where[128];
	struct rig rig;
	int old;

	find_place(where);
	rig_start(&rig, &two_loops, "127.0.0.1:0", &echo_ops);
	assert_int_equal(client_connect(where), -1);
	for (unsigned i = 0; i < 5; i++) {
		listen_at(&rig, where);
		for (unsigned n = 0; n < 8; n++)
			echo_at(where);
		old = client_connect(where);
		echo_once(old);
		assert_int_equal(reactor_unlisten(rig.reactor, where), 0);
		expect_closed(where);
		/* Its connections stay, and the other listener. */
		echo_once(old);
		echo_at(rig.where);
		close(old);
		assert_int_equal(reactor_unlisten(rig.reactor, where), -ENOENT);
	}
	rig_stop(&rig);
}

static void what_is_taken_away_before_the_run_is_not_opened(void **state)
{
	char where[128];
	struct rig rig;

	find_place(where);
	rig_make(&rig, &two_loops, "127.0.0.1:0", &echo_ops);
	listen_at(&rig, where);
	assert_int_equal(reactor_listener_count(rig.reactor), 2);
	assert_int_equal(reactor_unlisten(rig.reactor, where), 0);
	assert_int_equal(reactor_listener_count(rig.reactor), 1);
	/* The number is free for another. */
	listen_at(&rig, "127.0.0.1:0");
	assert_int_equal(reactor_listener_count(rig.reactor), 2);
	rig_run(&rig);
	assert_int_equal(client_connect(where), -1);
	echo_at(rig.where);
	rig_stop(&rig);
}

/* ---- the last loop closes ---- */

static sem_t held, go_on;

static void hold_loop(void *arg)
{
	sem_post(&held);
	sem_wait(&go_on);
}

static struct loop *second;

static int note_loop(struct loop *loop, void *arg, void **ret_data, struct err *err)
{
	if (loop_index(loop) == 1)
		second = loop;
	return 0;
}

static void a_socket_is_open_until_the_last_loop_has_let_go(void **state)
{
	struct reactor_options options = two_loops;
	char where[128], name[128];
	struct rig rig;
	int fd;

	sem_init(&held, 0, 0);
	sem_init(&go_on, 0, 0);
	find_place(where);
	options.loop_open = note_loop;
	rig_start(&rig, &options, "127.0.0.1:0", &echo_ops);
	listen_at(&rig, where);
	/* Both have it. */
	for (unsigned i = 0; i < 64; i++)
		echo_at(where);
	assert_int_equal(loop_post(second, hold_loop, NULL), 0);
	sem_wait(&held);
	assert_int_equal(reactor_unlisten(rig.reactor, where), 0);
	usleep(20 * 1000);
	/* The kernel still answers for it, and it has its number. */
	fd = client_connect(where);
	assert_true(fd >= 0);
	assert_int_equal(reactor_listener_name(rig.reactor, 1, name, sizeof(name)), 0);
	assert_string_equal(name, where);
	close(fd);
	sem_post(&go_on);
	expect_closed(where);
	assert_int_equal(reactor_listener_name(rig.reactor, 1, name, sizeof(name)), -ENOENT);
	rig_stop(&rig);
}

static void nothing_is_left_of_those_that_went_at_once(void **state)
{
	char where[128];
	struct rig rig;
	unsigned before;

	find_place(where);
	rig_start(&rig, &two_loops, "127.0.0.1:0", &echo_ops);
	echo_at(rig.where);
	for (unsigned ms = 0; rig_stats(&rig).open > 0 && ms < CLIENT_PATIENCE_S * 1000; ms++)
		usleep(1000);
	before = count_descriptors();
	for (unsigned i = 0; i < 200; i++) {
		struct err err;
		int r;

		/* The one before may be on its way out. */
		do
			r = reactor_listen(rig.reactor, where, &echoing, &err);
		while (r == -EADDRINUSE);
		assert_int_equal(r, 0);
		assert_int_equal(reactor_unlisten(rig.reactor, where), 0);
	}
	expect_closed(where);
	for (unsigned ms = 0; count_descriptors() != before && ms < CLIENT_PATIENCE_S * 1000; ms++)
		usleep(1000);
	assert_int_equal(count_descriptors(), before);
	rig_stop(&rig);
}

/* ---- many at once ---- */

static _Atomic bool enough;
static _Atomic unsigned served;

struct changer {
	pthread_t thread;
	struct rig *rig;
	char where[128];
};

static void *change(void *arg)
{
	struct changer *changer = arg;

	while (!enough) {
		struct err err;

		if (reactor_listen(changer->rig->reactor, changer->where, &echoing, &err) < 0)
			continue;
		for (unsigned i = 0; i < 3; i++) {
			int fd = client_connect(changer->where);
			char buf[5];

			/* Refused by nobody while it is there. */
			assert_true(fd >= 0);
			send(fd, "hello", 5, MSG_NOSIGNAL);
			if (recv(fd, buf, 5, MSG_WAITALL) == 5)
				atomic_fetch_add(&served, 1);
			close(fd);
		}
		reactor_unlisten(changer->rig->reactor, changer->where);
	}
	return NULL;
}

static void threads_change_them_while_clients_come(void **state)
{
	struct reactor_options options = {.threads = 3};
	struct changer changers[3];
	struct rig rig;

	enough = false;
	served = 0;
	rig_start(&rig, &options, "127.0.0.1:0", &echo_ops);
	for (unsigned i = 0; i < ARRAY_SIZE(changers); i++) {
		changers[i].rig = &rig;
		find_place(changers[i].where);
		assert_int_equal(pthread_create(&changers[i].thread, NULL, change, &changers[i]),
				 0);
	}
	for (unsigned i = 0; i < 100; i++)
		echo_at(rig.where);
	wait_for(&served, 2000);
	enough = true;
	for (unsigned i = 0; i < ARRAY_SIZE(changers); i++)
		pthread_join(changers[i].thread, NULL);
	echo_at(rig.where);
	rig_stop(&rig);
}

/* The end comes while they change. */
static void *change_to_the_end(void *arg)
{
	struct changer *changer = arg;
	int r = 0;

	while (r != -ESHUTDOWN) {
		struct err err;

		r = reactor_listen(changer->rig->reactor, changer->where, &echoing, &err);
		if (r == 0)
			atomic_fetch_add(&served, 1);
		/* The last one stays. */
		if (served < 50)
			reactor_unlisten(changer->rig->reactor, changer->where);
	}
	return NULL;
}

static void the_end_closes_what_was_added(void **state)
{
	struct changer changer;
	struct rig rig;

	served = 0;
	rig_start(&rig, &two_loops, "127.0.0.1:0", &echo_ops);
	changer.rig = &rig;
	find_place(changer.where);
	assert_int_equal(pthread_create(&changer.thread, NULL, change_to_the_end, &changer), 0);
	wait_for(&served, 50);
	reactor_stop(rig.reactor);
	pthread_join(changer.thread, NULL);
	expect_closed(changer.where);
	rig_join(&rig);
}

/* ---- what does not go ---- */

struct large {
	char bytes[5000];
};

static const struct conn_ops large_ops = {.data_size = sizeof(struct large), .ready = echo_ready};

static void connections_may_be_as_large_as_was_said(void **state)
{
	const struct listener_options large = {.ops = &large_ops};
	struct reactor_options options = one_loop;
	struct err err = {""};
	char where[128];
	struct rig rig;

	find_place(where);
	rig_start(&rig, &options, "127.0.0.1:0", &echo_ops);
	assert_int_equal(reactor_listen(rig.reactor, where, &large, &err), -ENOBUFS);
	assert_non_null(strstr(err.text, "larger than the reactor was made for"));
	rig_stop(&rig);
	options.data_size_min = sizeof(struct large);
	rig_start(&rig, &options, "127.0.0.1:0", &echo_ops);
	assert_int_equal(reactor_listen(rig.reactor, where, &large, &err), 0);
	echo_at(where);
	rig_stop(&rig);
}

static void what_can_not_be_had_is_said_and_changes_nothing(void **state)
{
	struct rig rig, other;
	struct err err = {""};

	rig_start(&other, &one_loop, "127.0.0.1:0", &echo_ops);
	rig_start(&rig, &two_loops, "127.0.0.1:0", &echo_ops);
	assert_int_equal(reactor_listen(rig.reactor, other.where, &echoing, &err), -EADDRINUSE);
	assert_non_null(strstr(err.text, "another program listens there"));
	assert_int_equal(reactor_listen(rig.reactor, rig.where, &echoing, &err), -EADDRINUSE);
	assert_non_null(strstr(err.text, "it is there twice"));
	assert_int_equal(reactor_listener_count(rig.reactor), 1);
	echo_at(rig.where);
	echo_at(other.where);
	rig_stop(&rig);
	rig_stop(&other);
}

static void the_table_has_an_end(void **state)
{
	struct err err = {""};
	unsigned count = 1;
	struct rig rig;

	rig_start(&rig, &one_loop, "127.0.0.1:0", &echo_ops);
	while (reactor_listen(rig.reactor, "127.0.0.1:0", &echoing, &err) == 0)
		count++;
	assert_int_equal(count, 64);
	assert_non_null(strstr(err.text, "at most 64 listeners"));
	assert_int_equal(reactor_unlisten(rig.reactor, "127.0.0.1:0"), 0);
	rig_stop(&rig);
}

/* ---- while a loop accepts nothing ---- */

static void what_is_added_while_all_pause_is_served_later(void **state)
{
	struct reactor_options options = one_loop;
	char where[128], buf[5];
	struct rig rig;
	int first, second_fd;

	find_place(where);
	options.connections_max = 1;
	rig_start(&rig, &options, "127.0.0.1:0", &echo_ops);
	first = client_open(&rig);
	echo_once(first);
	/* Over the limit: the loop has taken its listeners out. */
	second_fd = client_open(&rig);
	client_send(second_fd, "hello", 5);
	for (unsigned ms = 0; rig_stats(&rig).refused == 0 && ms < CLIENT_PATIENCE_S * 1000; ms++)
		usleep(1000);
	listen_at(&rig, where);
	close(first);
	client_read(second_fd, buf, 5);
	close(second_fd);
	echo_at(where);
	rig_stop(&rig);
}

static void a_socket_file_is_removed_with_its_listener(void **state)
{
	char folder[] = "/tmp/leat-listeners-XXXXXX", path[64], where[128];
	struct rig rig;

	assert_non_null(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/s", folder);
	snprintf(where, sizeof(where), "unix:%s", path);
	rig_start(&rig, &two_loops, "127.0.0.1:0", &echo_ops);
	listen_at(&rig, where);
	echo_at(where);
	assert_int_equal(reactor_unlisten(rig.reactor, where), 0);
	expect_closed(where);
	for (unsigned ms = 0; access(path, F_OK) == 0 && ms < CLIENT_PATIENCE_S * 1000; ms++)
		usleep(1000);
	assert_int_equal(rmdir(folder), 0);
	rig_stop(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(one_that_is_added_is_served_and_one_that_is_taken_away_is_not),
	    cmocka_unit_test(what_is_taken_away_before_the_run_is_not_opened),
	    cmocka_unit_test(a_socket_is_open_until_the_last_loop_has_let_go),
	    cmocka_unit_test(nothing_is_left_of_those_that_went_at_once),
	    cmocka_unit_test(threads_change_them_while_clients_come),
	    cmocka_unit_test(the_end_closes_what_was_added),
	    cmocka_unit_test(connections_may_be_as_large_as_was_said),
	    cmocka_unit_test(what_can_not_be_had_is_said_and_changes_nothing),
	    cmocka_unit_test(the_table_has_an_end),
	    cmocka_unit_test(what_is_added_while_all_pause_is_served_later),
	    cmocka_unit_test(a_socket_file_is_removed_with_its_listener),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
