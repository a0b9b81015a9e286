#include "unit/reactor/rig.h"

#include <errno.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

/* The loops of the reactor under test, for the test's own thread. */
static struct loop *loops[2];
static _Atomic unsigned opened, closed;

static int room_open(struct loop *loop, void *arg, void **ret_data, struct err *err)
{
	loops[loop_index(loop)] = loop;
	*ret_data = loop;
	atomic_fetch_add(&opened, 1);
	return 0;
}

static void room_close(struct loop *loop, void *data)
{
	if (data == loop && loop_current() == loop && loop_data(loop) == loop)
		atomic_fetch_add(&closed, 1);
}

static struct reactor_options with_loops(unsigned threads)
{
	opened = 0;
	closed = 0;
	return (struct reactor_options){.threads = threads,
					.helpers = 1,
					.loop_open = room_open,
					.loop_close = room_close};
}

static void start_loops(struct rig *rig, unsigned threads, const struct conn_ops *ops)
{
	struct reactor_options options = with_loops(threads);

	rig_start(rig, &options, "127.0.0.1:0", ops);
	wait_for(&opened, threads);
}

/* ---- deadlines ---- */

static void set_deadline(struct conn *conn, unsigned events)
{
	char c;

	if (recv(conn_fd(conn), &c, 1, 0) != 1)
		return;
	conn_deadline(conn, 20);
	if (c == 'n')
		conn_deadline(conn, 0);
	send(conn_fd(conn), "k", 1, MSG_NOSIGNAL);
}

static void expired(struct conn *conn)
{
	send(conn_fd(conn), "expired", 7, MSG_NOSIGNAL);
	conn_close(conn);
}

static void a_deadline_expires_unless_it_is_taken_away(void **state)
{
	static const struct conn_ops ops = {.ready = set_deadline, .expired = expired};
	char buf[7];
	struct rig rig;
	int never, soon;

	start_loops(&rig, 1, &ops);
	never = client_open(&rig);
	client_send(never, "n", 1);
	client_read(never, buf, 1);
	soon = client_open(&rig);
	client_send(soon, "s", 1);
	client_read(soon, buf, 1);
	client_read(soon, buf, 7);
	assert_memory_equal(buf, "expired", 7);
	client_expect_end(soon);
	/* Its deadline would have come before. */
	assert_int_equal(recv(never, buf, 1, MSG_DONTWAIT), -1);
	assert_int_equal(errno, EAGAIN);
	close(never);
	close(soon);
	rig_stop(&rig);
}

static void without_a_handler_an_expired_connection_is_closed(void **state)
{
	static const struct conn_ops ops = {.ready = set_deadline};
	struct rig rig;
	char c;
	int fd;

	start_loops(&rig, 1, &ops);
	fd = client_open(&rig);
	client_send(fd, "s", 1);
	client_read(fd, &c, 1);
	client_expect_end(fd);
	close(fd);
	rig_stop(&rig);
}

/* ---- a process that does not run for a while ---- */

enum { MANY = 600 }; /* more than two batches of events */

static struct conn *silent[MANY];
static _Atomic unsigned many_count, held_up;
static sem_t go_on;

static int note_connection(struct conn *conn)
{
	unsigned i = atomic_load(&many_count);

	if (i < MANY)
		silent[i] = conn;
	atomic_store(&many_count, i + 1);
	return 0;
}

/* 'b': gives all others a deadline, and holds up the loop until the test lets it go. */
static void hold_up_or_answer(struct conn *conn, unsigned events)
{
	char c;

	if (recv(conn_fd(conn), &c, 1, MSG_DONTWAIT) != 1)
		return;
	if (c != 'b') {
		conn_deadline(conn, 0);
		send(conn_fd(conn), "k", 1, MSG_NOSIGNAL);
		return;
	}
	for (unsigned i = 0; i < MANY; i++)
		conn_deadline(silent[i], 20);
	atomic_store(&held_up, 1);
	while (sem_wait(&go_on) < 0)
		;
}

static void what_has_arrived_is_read_before_a_deadline_fires(void **state)
{
	static const struct conn_ops ops = {.open = note_connection,
					    .ready = hold_up_or_answer,
					    .expired = expired};
	int clients[MANY], holder;
	struct rig rig;
	char c;

	many_count = held_up = 0;
	sem_init(&go_on, 0, 0);
	start_loops(&rig, 1, &ops);
	for (unsigned i = 0; i < MANY; i++)
		clients[i] = client_open(&rig);
	wait_for(&many_count, MANY);
	holder = client_open(&rig);
	client_send(holder, "b", 1);
	wait_for(&held_up, 1);
	for (unsigned i = 0; i < MANY; i++)
		client_send(clients[i], "n", 1);
	usleep(500 * 1000); /* the deadlines pass */
	sem_post(&go_on);
	for (unsigned i = 0; i < MANY; i++) {
		client_read(clients[i], &c, 1);
		assert_int_equal(c, 'k');
		close(clients[i]);
	}
	close(holder);
	rig_stop(&rig);
	sem_destroy(&go_on);
}

static _Atomic unsigned ticks;

static void tick(struct timer *timer)
{
	if (atomic_fetch_add(&ticks, 1) < 4)
		loop_timer_set(timer->arg, timer, 5);
}

static struct timer ticker;

static void start_ticking(void *arg)
{
	ticker = (struct timer){.fired = tick, .arg = loop_current()};
	loop_timer_set(loop_current(), &ticker, 5);
}

static void a_timer_can_set_itself_again(void **state)
{
	struct rig rig;

	ticks = 0;
	start_loops(&rig, 1, &echo_ops);
	assert_int_equal(loop_post(loops[0], start_ticking, NULL), 0);
	wait_for(&ticks, 5);
	rig_stop(&rig);
	assert_int_equal(ticks, 5);
}

static void patient(struct conn *conn, unsigned events)
{
	conn_deadline(conn, 3600 * 1000);
	echo_ready(conn, events);
}

static void nothing_wakes_an_idle_loop(void **state)
{
	static const struct conn_ops ops = {.ready = patient};
	struct rig rig;
	uint64_t turns;
	char c = 'x';
	int fd;

	start_loops(&rig, 2, &ops);
	fd = client_open(&rig);
	client_send(fd, &c, 1);
	client_read(fd, &c, 1);
	usleep(100 * 1000);
	turns = rig_stats(&rig).turns;
	usleep(400 * 1000);
	assert_in_range(rig_stats(&rig).turns, turns, turns + 1);
	close(fd);
	rig_stop(&rig);
}

/* ---- messages ---- */

enum { POSTERS = 4, POSTS = 5000 };

static _Atomic unsigned counted, misplaced;

static void count(void *arg)
{
	if (loop_current() != arg)
		atomic_fetch_add(&misplaced, 1);
	atomic_fetch_add(&counted, 1);
}

static void *post_many(void *arg)
{
	for (unsigned i = 0; i < POSTS; i++) {
		struct loop *loop = loops[i % 2];

		while (loop_post(loop, count, loop) == -ENOBUFS)
			usleep(100);
	}
	return NULL;
}

static void each_post_of_many_threads_arrives_once_on_its_loop(void **state)
{
	pthread_t threads[POSTERS];
	struct rig rig;

	counted = 0;
	misplaced = 0;
	start_loops(&rig, 2, &echo_ops);
	for (unsigned i = 0; i < POSTERS; i++)
		pthread_create(&threads[i], NULL, post_many, NULL);
	for (unsigned i = 0; i < POSTERS; i++)
		pthread_join(threads[i], NULL);
	wait_for(&counted, POSTERS * POSTS);
	assert_int_equal(rig_stats(&rig).posts, POSTERS * POSTS);
	rig_stop(&rig);
	assert_int_equal(counted, POSTERS * POSTS);
	assert_int_equal(misplaced, 0);
	assert_int_equal(closed, 2);
}

static void bounce(void *arg)
{
	struct loop *other = loops[1 - loop_index(loop_current())];

	if (atomic_fetch_add(&counted, 1) < 2000)
		loop_post(other, bounce, NULL);
}

static void loops_answer_each_other_and_never_oversleep(void **state)
{
	struct rig rig;

	counted = 0;
	start_loops(&rig, 2, &echo_ops);
	loop_post(loops[0], bounce, NULL);
	wait_for(&counted, 2001);
	rig_stop(&rig);
}

static sem_t held, release;

static void hold(void *arg)
{
	sem_post(&held);
	sem_wait(&release);
}

/* The loop stands still until sem_post(&release). */
static void hold_loop(struct loop *loop)
{
	sem_init(&held, 0, 0);
	sem_init(&release, 0, 0);
	assert_int_equal(loop_post(loop, hold, NULL), 0);
	sem_wait(&held);
}

static void a_full_ring_says_so_and_loses_nothing(void **state)
{
	unsigned posted = 0;
	struct rig rig;

	counted = 0;
	misplaced = 0;
	start_loops(&rig, 1, &echo_ops);
	hold_loop(loops[0]);
	while (loop_post(loops[0], count, loops[0]) == 0)
		posted++;
	assert_int_equal(loop_post(loops[0], count, loops[0]), -ENOBUFS);
	sem_post(&release);
	wait_for(&counted, posted);
	rig_stop(&rig);
	assert_int_equal(counted, posted);
}

/* ---- watches ---- */

static char order[16];
static _Atomic unsigned order_len;
static struct watch watch_first, watch_late, watch_gone;

static void note(char c)
{
	order[order_len] = c;
	atomic_fetch_add(&order_len, 1);
}

static void ready_first(struct watch *watch, uint32_t epoll_events)
{
	uint64_t value;

	note('F');
	/* This one is in the same batch already: it must not be heard of any more. */
	loop_unwatch(watch->arg, &watch_gone);
	memset(&watch_gone, 0xee, sizeof(watch_gone));
	if (read(watch->fd, &value, sizeof(value)) < 0)
		note('?');
}

static void ready_late(struct watch *watch, uint32_t epoll_events)
{
	uint64_t value;

	note('l');
	if (read(watch->fd, &value, sizeof(value)) < 0)
		note('?');
}

static void ready_gone(struct watch *watch, uint32_t epoll_events)
{
	note('!');
}

static void ready_conn(struct conn *conn, unsigned events)
{
	char c;

	if (recv(conn_fd(conn), &c, 1, 0) == 1)
		note('c');
}

static void add_watches(void *arg)
{
	struct loop *loop = loop_current();

	watch_gone = (struct watch){.fd = eventfd(0, 0), .ready = ready_gone, .arg = loop};
	watch_late = (struct watch){.fd = eventfd(0, 0), .ready = ready_late, .arg = loop};
	watch_first =
	    (struct watch){.fd = eventfd(0, 0), .first = true, .ready = ready_first, .arg = loop};
	loop_watch(loop, &watch_gone, EPOLLIN);
	loop_watch(loop, &watch_late, EPOLLIN);
	loop_watch(loop, &watch_first, EPOLLIN);
	note('+');
}

static void signal_fd(int fd)
{
	uint64_t one = 1;

	assert_int_equal(write(fd, &one, sizeof(one)), sizeof(one));
}

static void a_first_watch_is_heard_before_connections_of_the_same_batch(void **state)
{
	static const struct conn_ops ops = {.ready = ready_conn};
	struct rig rig;
	int fd, gone;

	order_len = 0;
	start_loops(&rig, 1, &ops);
	fd = client_open(&rig);
	client_send(fd, "x", 1);
	wait_for(&order_len, 1);
	loop_post(loops[0], add_watches, NULL);
	wait_for(&order_len, 2);
	gone = watch_gone.fd;
	hold_loop(loops[0]);
	client_send(fd, "x", 1);
	signal_fd(gone);
	signal_fd(watch_late.fd);
	signal_fd(watch_first.fd);
	sem_post(&release);
	wait_for(&order_len, 5);
	rig_stop(&rig);
	order[order_len] = '\0';
	assert_memory_equal(order, "c+F", 3);
	assert_null(strchr(order, '!'));
	assert_null(strchr(order, '?'));
	close(gone);
	close(watch_late.fd);
	close(watch_first.fd);
	close(fd);
}

static void a_loop_that_does_not_come_round_is_noticed(void **state)
{
	struct rig rig;

	start_loops(&rig, 2, &echo_ops);
	hold_loop(loops[1]);
	while (reactor_turn_ms(rig.reactor) < 20)
		usleep(1000);
	sem_post(&release);
	while (reactor_turn_ms(rig.reactor) > 0)
		usleep(1000);
	rig_stop(&rig);
}

/* ---- helpers ---- */

struct work {
	struct job job;
	struct conn_ref ref;
	pthread_t ran_on, done_on;
	bool stale;
};

static sem_t work_started, work_may_end;
static _Atomic unsigned works_done;

static void run_work(struct job *job)
{
	struct work *work = container_of(job, struct work, job);

	work->ran_on = pthread_self();
	sem_post(&work_started);
	sem_wait(&work_may_end);
}

static void work_done(struct job *job)
{
	struct work *work = container_of(job, struct work, job);
	struct conn *conn = conn_deref(work->ref);

	work->done_on = pthread_self();
	work->stale = !conn;
	if (conn)
		send(conn_fd(conn), "done", 4, MSG_NOSIGNAL);
	atomic_fetch_add(&works_done, 1);
}

static struct work work;

static void ask_helper(struct conn *conn, unsigned events)
{
	char c;
	ssize_t n = recv(conn_fd(conn), &c, 1, 0);

	if (n == 1) {
		work = (struct work){.job = {.run = run_work, .done = work_done},
				     .ref = conn_ref(conn)};
		if (helpers_submit(conn_loop(conn), &work.job) < 0)
			conn_close(conn);
	} else if (n == 0) {
		conn_close(conn);
	}
}

static const struct conn_ops asking = {.ready = ask_helper};

static void prepare_work(void)
{
	works_done = 0;
	sem_init(&work_started, 0, 0);
	sem_init(&work_may_end, 0, 0);
}

static void a_helper_runs_what_blocks_and_its_loop_hears_of_it(void **state)
{
	struct rig rig;
	char buf[4];
	int fd;

	prepare_work();
	start_loops(&rig, 1, &asking);
	fd = client_open(&rig);
	client_send(fd, "x", 1);
	sem_wait(&work_started);
	sem_post(&work_may_end);
	client_read(fd, buf, 4);
	assert_false(pthread_equal(work.ran_on, work.done_on));
	assert_true(pthread_equal(work.done_on, rig.thread));
	assert_int_equal(rig_stats(&rig).helper_jobs, 1);
	close(fd);
	rig_stop(&rig);
}

static void a_job_outlives_its_connection_and_sees_that_it_is_gone(void **state)
{
	struct rig rig;
	int fd;

	prepare_work();
	start_loops(&rig, 1, &asking);
	fd = client_open(&rig);
	client_send(fd, "x", 1);
	sem_wait(&work_started);
	shutdown(fd, SHUT_WR);
	client_expect_end(fd);
	sem_post(&work_may_end);
	wait_for(&works_done, 1);
	assert_true(work.stale);
	close(fd);
	rig_stop(&rig);
}

static void the_end_waits_for_jobs(void **state)
{
	struct rig rig;
	int fd;

	prepare_work();
	start_loops(&rig, 2, &asking);
	fd = client_open(&rig);
	client_send(fd, "x", 1);
	sem_wait(&work_started);
	reactor_stop(rig.reactor);
	client_expect_end(fd);
	assert_int_equal(works_done, 0);
	sem_post(&work_may_end);
	rig_join(&rig);
	assert_int_equal(works_done, 1);
	close(fd);
}

enum { JOBS_MANY = 5000 };
static struct job many[JOBS_MANY];
static _Atomic unsigned taken, many_done;

static void run_one(struct job *job)
{
	sem_post(&work_started);
	sem_wait(&work_may_end);
	sem_post(&work_may_end);
}

static void one_done(struct job *job)
{
	atomic_fetch_add(&many_done, 1);
}

static void submit_many(void *arg)
{
	unsigned n = 0;

	for (; n < JOBS_MANY; n++) {
		many[n] = (struct job){.run = run_one, .done = one_done};
		if (helpers_submit(loop_current(), &many[n]) < 0)
			break;
	}
	atomic_store(&taken, n);
	sem_post(&held);
}

static void the_queue_has_no_end_and_what_it_took_is_done(void **state)
{
	struct rig rig;

	prepare_work();
	many_done = 0;
	sem_init(&held, 0, 0);
	start_loops(&rig, 1, &echo_ops);
	loop_post(loops[0], submit_many, NULL);
	sem_wait(&held);
	assert_int_equal(taken, JOBS_MANY);
	sem_post(&work_may_end);
	wait_for(&many_done, taken);
	rig_stop(&rig);
	assert_int_equal(many_done, taken);
}

/* Half of four helpers take bulk jobs, and nobody lets them go; quick ones are done all the same,
 * and a bulk one finds its helper while quick ones wait. */
static struct job bulk[8], quick[8];
static sem_t bulk_may_end;
static _Atomic unsigned bulk_started, bulk_done, quick_done;

static void run_bulk(struct job *job)
{
	atomic_fetch_add(&bulk_started, 1);
	sem_wait(&bulk_may_end);
}

static void bulk_is_done(struct job *job)
{
	atomic_fetch_add(&bulk_done, 1);
}

static void run_quick(struct job *job)
{
}

static void quick_is_done(struct job *job)
{
	atomic_fetch_add(&quick_done, 1);
}

static void submit_bulk(void *arg)
{
	for (unsigned i = 0; i < ARRAY_SIZE(bulk); i++) {
		bulk[i] = (struct job){.run = run_bulk, .done = bulk_is_done};
		CHECK(helpers_submit_bulk(loop_current(), &bulk[i]) == 0);
	}
}

static void submit_quick(void *arg)
{
	for (unsigned i = 0; i < ARRAY_SIZE(quick); i++) {
		quick[i] = (struct job){.run = run_quick, .done = quick_is_done};
		CHECK(helpers_submit(loop_current(), &quick[i]) == 0);
	}
}

static void bulk_jobs_leave_helpers_for_quick_ones(void **state)
{
	struct reactor_options options = with_loops(1);
	struct rig rig;

	bulk_started = bulk_done = quick_done = 0;
	sem_init(&bulk_may_end, 0, 0);
	options.helpers = 4;
	rig_start(&rig, &options, "127.0.0.1:0", &echo_ops);
	wait_for(&opened, 1);
	loop_post(loops[0], submit_bulk, NULL);
	wait_for(&bulk_started, 2);
	loop_post(loops[0], submit_quick, NULL);
	wait_for(&quick_done, ARRAY_SIZE(quick));
	assert_int_equal(bulk_started, 2);
	for (unsigned i = 0; i < ARRAY_SIZE(bulk); i++)
		sem_post(&bulk_may_end);
	wait_for(&bulk_done, ARRAY_SIZE(bulk));
	rig_stop(&rig);
}

static void quick_jobs_leave_a_helper_for_bulk_ones(void **state)
{
	struct reactor_options options = with_loops(1);
	struct rig rig;

	prepare_work();
	sem_init(&held, 0, 0);
	many_done = 0;
	bulk_started = bulk_done = 0;
	sem_init(&bulk_may_end, 0, ARRAY_SIZE(bulk));
	options.helpers = 4;
	rig_start(&rig, &options, "127.0.0.1:0", &echo_ops);
	wait_for(&opened, 1);
	loop_post(loops[0], submit_many, NULL);
	sem_wait(&held);
	loop_post(loops[0], submit_bulk, NULL);
	wait_for(&bulk_done, ARRAY_SIZE(bulk));
	assert_int_equal(many_done, 0);
	sem_post(&work_may_end);
	wait_for(&many_done, taken);
	rig_stop(&rig);
}

/* Syncs and serial jobs, while all others are held; serial ones one by one, in their order. */
static struct job syncs[4], serial[8];
static _Atomic unsigned serial_running, serial_done;

static void run_serial(struct job *job)
{
	CHECK(atomic_fetch_add(&serial_running, 1) == 0);
	usleep(1000);
	atomic_fetch_sub(&serial_running, 1);
}

static void serial_is_done(struct job *job)
{
	CHECK(job == &serial[serial_done]);
	atomic_fetch_add(&serial_done, 1);
}

static void submit_apart(void *arg)
{
	for (unsigned i = 0; i < ARRAY_SIZE(syncs); i++) {
		syncs[i] = (struct job){.run = run_quick, .done = quick_is_done};
		CHECK(helpers_submit_sync(loop_current(), &syncs[i]) == 0);
	}
	for (unsigned i = 0; i < ARRAY_SIZE(serial); i++) {
		serial[i] = (struct job){.run = run_serial, .done = serial_is_done};
		CHECK(helpers_submit_serial(loop_current(), &serial[i]) == 0);
	}
}

static void syncs_and_serial_jobs_have_threads_of_their_own(void **state)
{
	struct reactor_options options = with_loops(1);
	struct rig rig;

	prepare_work();
	sem_init(&held, 0, 0);
	many_done = 0;
	bulk_started = bulk_done = quick_done = serial_running = serial_done = 0;
	sem_init(&bulk_may_end, 0, 0);
	options.helpers = 4;
	rig_start(&rig, &options, "127.0.0.1:0", &echo_ops);
	wait_for(&opened, 1);
	loop_post(loops[0], submit_bulk, NULL);
	wait_for(&bulk_started, 2);
	loop_post(loops[0], submit_many, NULL);
	sem_wait(&held);
	loop_post(loops[0], submit_apart, NULL);
	wait_for(&quick_done, ARRAY_SIZE(syncs));
	wait_for(&serial_done, ARRAY_SIZE(serial));
	assert_int_equal(bulk_done, 0);
	for (unsigned i = 0; i < ARRAY_SIZE(bulk); i++)
		sem_post(&bulk_may_end);
	sem_post(&work_may_end);
	wait_for(&many_done, taken);
	wait_for(&bulk_done, ARRAY_SIZE(bulk));
	rig_stop(&rig);
}

/* ---- start ---- */

static int second_fails(struct loop *loop, void *arg, void **ret_data, struct err *err)
{
	if (loop_index(loop) == 1)
		return err_set(err, -ENOENT, "no such thing");
	return room_open(loop, arg, ret_data, err);
}

static void a_loop_that_cannot_open_ends_the_start_with_its_reason(void **state)
{
	struct reactor_options options = with_loops(2);
	struct rig rig;
	struct err err = {""};

	options.loop_open = second_fails;
	rig_make(&rig, &options, "127.0.0.1:0", &echo_ops);
	assert_int_equal(reactor_run(rig.reactor, &err), -ENOENT);
	assert_string_equal(err.text, "no such thing");
	assert_int_equal(opened, 1);
	assert_int_equal(closed, 1);
	assert_null(loop_current());
	reactor_free(rig.reactor);
}

static void a_stop_before_the_start_ends_it_at_once(void **state)
{
	struct reactor_options options = with_loops(2);
	struct rig rig;
	struct err err = {""};

	rig_make(&rig, &options, "127.0.0.1:0", &echo_ops);
	reactor_stop(rig.reactor);
	assert_int_equal(reactor_run(rig.reactor, &err), 0);
	assert_int_equal(closed, 2);
	reactor_free(rig.reactor);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_deadline_expires_unless_it_is_taken_away),
	    cmocka_unit_test(without_a_handler_an_expired_connection_is_closed),
	    cmocka_unit_test(what_has_arrived_is_read_before_a_deadline_fires),
	    cmocka_unit_test(a_timer_can_set_itself_again),
	    cmocka_unit_test(nothing_wakes_an_idle_loop),
	    cmocka_unit_test(each_post_of_many_threads_arrives_once_on_its_loop),
	    cmocka_unit_test(loops_answer_each_other_and_never_oversleep),
	    cmocka_unit_test(a_full_ring_says_so_and_loses_nothing),
	    cmocka_unit_test(a_loop_that_does_not_come_round_is_noticed),
	    cmocka_unit_test(a_first_watch_is_heard_before_connections_of_the_same_batch),
	    cmocka_unit_test(a_helper_runs_what_blocks_and_its_loop_hears_of_it),
	    cmocka_unit_test(a_job_outlives_its_connection_and_sees_that_it_is_gone),
	    cmocka_unit_test(the_end_waits_for_jobs),
	    cmocka_unit_test(the_queue_has_no_end_and_what_it_took_is_done),
	    cmocka_unit_test(bulk_jobs_leave_helpers_for_quick_ones),
	    cmocka_unit_test(quick_jobs_leave_a_helper_for_bulk_ones),
	    cmocka_unit_test(syncs_and_serial_jobs_have_threads_of_their_own),
	    cmocka_unit_test(a_loop_that_cannot_open_ends_the_start_with_its_reason),
	    cmocka_unit_test(a_stop_before_the_start_ends_it_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
