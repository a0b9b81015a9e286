/*
 * Accepting: each loop registers each listener for itself, the kernel wakes one loop for a
 * connection, and that loop keeps it or hands it to the one that has the fewest.
 *
 * Listeners come and go while the loops run (listener.c): a command has each loop compare what it
 * holds with what there is.
 *
 * At the limit of connections, and where few descriptors are left (reactor->descriptors_end),
 * nothing more is accepted, and a level-triggered listener would report what waits for ever: the
 * loop takes its listeners out of epoll and tries again when one of its connections has closed, or
 * after ACCEPT_PAUSE_MS. Nothing spins, the kernel's backlog holds the clients, and it recovers by
 * itself.
 */
#include "reactor/internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "sys/sys.h"

/* ---- whose connection it is ---- */

static unsigned load_of(const struct loop *loop)
{
	return atomic_load_explicit(&loop->load, memory_order_relaxed);
}

/* The loop itself unless it has clearly more than the one that has least: handing over costs a
 * wake-up, a difference of a sixteenth does not. */
static struct loop *choose_loop(struct loop *own)
{
	struct reactor *reactor = own->reactor;
	struct loop *least = own;
	unsigned least_load = load_of(own), own_load = least_load;

	for (unsigned i = 0; i < reactor->loop_count && least_load > 0; i++) {
		unsigned load = load_of(&reactor->loops[i]);

		if (load < least_load) {
			least = &reactor->loops[i];
			least_load = load;
		}
	}
	return own_load > least_load + least_load / 16 ? least : own;
}

/* On its way to another loop. Not from a pool: one a connection, not one a request. */
struct handover {
	/* The listener's own, which may be gone when this arrives. */
	const struct conn_ops *ops;
	void *arg;
	void (*leave)(void *arg);
	int fd;
	struct sockaddr_storage peer;
};

/* Nothing has come of a connection that its listener had a place for. */
static void give_place(void (*leave)(void *arg), void *arg)
{
	if (leave)
		leave(arg);
}

static void arrived(void *arg)
{
	struct handover *handover = arg;
	struct loop *loop = loop_current();

	/* Its listeners are closed and its connections drained: one more would be forgotten. */
	if (loop->draining) {
		sys_close(handover->fd);
		stat_add(&loop->stats.refused, 1);
		atomic_fetch_sub(&loop->reactor->connections, 1);
		atomic_fetch_sub(&loop->load, 1);
		give_place(handover->leave, handover->arg);
	} else {
		struct conn *conn;

		if (conn_start(loop, handover->fd, &handover->peer, handover->ops, handover->arg,
			       &conn) < 0)
			give_place(handover->leave, handover->arg);
	}
	free(handover);
}

/* False: it could not be sent, and is still the caller's. */
static bool hand_over(struct loop *to, const struct listener *listener, int fd,
		      const struct sockaddr_storage *peer)
{
	struct handover *handover = malloc(sizeof(*handover));

	if (!handover)
		return false;
	*handover = (struct handover){.ops = listener->ops,
				      .arg = listener->arg,
				      .leave = listener->leave,
				      .fd = fd,
				      .peer = *peer};
	atomic_fetch_add(&to->load, 1);
	if (loop_post(to, arrived, handover) == 0)
		return true;
	free(handover);
	atomic_fetch_sub(&to->load, 1);
	/* It may have waited for this one before it calls itself quiet: let it look again. */
	loop_command(to, 0);
	return false;
}

static void place(struct loop *loop, const struct listener *listener, int fd,
		  const struct sockaddr_storage *peer)
{
	struct loop *to = choose_loop(loop);
	struct conn *conn;

	if (to != loop && hand_over(to, listener, fd, peer))
		return;
	atomic_fetch_add(&loop->load, 1);
	/* A refusal is counted, and the peer sees its connection closed. */
	if (conn_start(loop, fd, peer, listener->ops, listener->arg, &conn) < 0)
		give_place(listener->leave, listener->arg);
}

/* ---- pausing ---- */

static int gate_register(struct loop *loop, struct gate *gate)
{
	/* EXCLUSIVE: one loop is woken for a connection, not all of them; 4.5. */
	return loop_watch(loop, &gate->watch, EPOLLIN | EPOLLEXCLUSIVE);
}

/* In epoll, unless all pause. */
static bool is_open(const struct gate *gate)
{
	return gate->held && !gate->rests;
}

static int gates_register(struct loop *loop)
{
	for (unsigned i = 0; i < LISTENERS_MAX; i++) {
		int r = is_open(&loop->gates[i]) ? gate_register(loop, &loop->gates[i]) : 0;

		if (r == 0)
			continue;
		while (i > 0)
			if (is_open(&loop->gates[--i]))
				loop_unwatch(loop, &loop->gates[i].watch);
		return r;
	}
	return 0;
}

static void gates_unregister(struct loop *loop)
{
	for (unsigned i = 0; i < LISTENERS_MAX; i++)
		if (is_open(&loop->gates[i]))
			loop_unwatch(loop, &loop->gates[i].watch);
}

/* This one alone: its listener has no places. */
static void gate_rest(struct loop *loop, struct gate *gate)
{
	stat_add(&loop->stats.refused, 1);
	loop_unwatch(loop, &gate->watch);
	gate->rests = true;
	loop->gates_resting++;
	loop_timer_set(loop, &loop->gates_timer, ACCEPT_PAUSE_MS);
}

/* Those ask again for a place when somebody comes. */
static void gates_wake(struct loop *loop)
{
	for (unsigned i = 0; i < LISTENERS_MAX && loop->gates_resting > 0; i++) {
		struct gate *gate = &loop->gates[i];

		if (!gate->rests || gate_register(loop, gate) < 0)
			continue;
		gate->rests = false;
		loop->gates_resting--;
	}
}

static void gates_pause(struct loop *loop)
{
	stat_add(&loop->stats.refused, 1);
	gates_unregister(loop);
	loop->gates_paused = true;
	loop_timer_set(loop, &loop->gates_timer, ACCEPT_PAUSE_MS);
}

/* Whether a connection that is accepted now would leave the others enough. */
static bool has_descriptors(const struct loop *loop)
{
	int fd = sys_dup_cloexec(loop->wake_fd);

	if (fd < 0)
		return false;
	sys_close(fd);
	return fd < loop->reactor->descriptors_end;
}

void gates_resume(struct loop *loop)
{
	struct reactor *reactor = loop->reactor;

	if (!loop->gates_paused && loop->gates_resting == 0)
		return;
	if (loop->gates_paused && (atomic_load(&reactor->connections) >= reactor->connections_max ||
				   !has_descriptors(loop) || gates_register(loop) < 0)) {
		loop_timer_set(loop, &loop->gates_timer, ACCEPT_PAUSE_MS);
		return;
	}
	loop->gates_paused = false;
	gates_wake(loop);
	if (loop->gates_resting > 0)
		loop_timer_set(loop, &loop->gates_timer, ACCEPT_PAUSE_MS);
	else
		loop_timer_cancel(loop, &loop->gates_timer);
}

static void pause_over(struct timer *timer)
{
	gates_resume(timer->arg);
}

/* ---- accepting ---- */

/* Takes a place within the limit. */
static bool admit(struct reactor *reactor)
{
	if (atomic_fetch_add(&reactor->connections, 1) < reactor->connections_max)
		return true;
	atomic_fetch_sub(&reactor->connections, 1);
	return false;
}

/* Errors of the one connection, which accept(2) passes on: the next may be sound. All others are
 * taken for a shortage, also those that nobody expects, so that nothing can spin. */
static bool concerns_one_connection(int error)
{
	switch (error) {
	case -ECONNABORTED:
	case -EPERM: /* a firewall's rule */
	case -EPROTO:
	case -ENETDOWN:
	case -ENOPROTOOPT:
	case -EHOSTDOWN:
	case -ENONET:
	case -EHOSTUNREACH:
	case -EOPNOTSUPP:
	case -ENETUNREACH:
	case -ETIMEDOUT:
		return true;
	default:
		return false;
	}
}

static void say_short(const struct loop *loop, const struct listener *listener, int error)
{
	log_limited(loop->now_ms * 1000000, LOG_LEVEL_WARNING,
		    "%s: can't accept connections for now: %s", listener->name, strerror(-error));
}

/* A place of the listener's own, and one of all. */
static bool take_place(struct loop *loop, struct gate *gate)
{
	const struct listener *listener = gate->listener;

	if (listener->admit && !listener->admit(listener->arg)) {
		log_limited(loop->now_ms * 1000000, LOG_LEVEL_WARNING,
			    "%s: as many connections are open as may be there: further ones wait "
			    "to be accepted",
			    listener->name);
		gate_rest(loop, gate);
		return false;
	}
	if (admit(loop->reactor))
		return true;
	give_place(listener->leave, listener->arg);
	log_limited(loop->now_ms * 1000000, LOG_LEVEL_WARNING,
		    "%s: %u connections are open, as many as may be: further ones wait to be "
		    "accepted",
		    listener->name, loop->reactor->connections_max);
	gates_pause(loop);
	return false;
}

static void accept_some(struct watch *watch, uint32_t epoll_events)
{
	struct gate *gate = watch->arg;
	struct loop *loop = gate->loop;

	for (unsigned n = 0; n < ACCEPTS_A_TURN; n++) {
		struct sockaddr_storage peer = {.ss_family = AF_UNSPEC};
		socklen_t len = sizeof(peer);
		int fd;

		if (!take_place(loop, gate))
			return;
		fd = sys_accept(gate->listener->fd, &peer, &len);
		if (fd >= 0) {
			place(loop, gate->listener, fd, &peer);
			if (fd < loop->reactor->descriptors_end)
				continue;
			say_short(loop, gate->listener, -EMFILE);
			gates_pause(loop);
			return;
		}
		atomic_fetch_sub(&loop->reactor->connections, 1);
		give_place(gate->listener->leave, gate->listener->arg);
		if (fd == -EAGAIN)
			return;
		if (concerns_one_connection(fd))
			continue;
		say_short(loop, gate->listener, fd);
		gates_pause(loop);
		return;
	}
}

/* ---- which there are ---- */

/* With the lock held, as all of these. One that can't be registered is held all the same. */
static int gate_hold(struct loop *loop, unsigned number)
{
	struct listener *listener = &loop->reactor->listeners[number];
	struct gate *gate = &loop->gates[number];

	CHECK(!gate->held);
	*gate = (struct gate){
	    .watch = {.fd = listener->fd, .ready = accept_some, .arg = gate},
	    .loop = loop,
	    .listener = listener,
	    .held = true,
	};
	listener->holders++;
	return loop->gates_paused ? 0 : gate_register(loop, gate);
}

static void gate_let_go(struct loop *loop, struct gate *gate)
{
	/* Not there where it could not be registered: nothing is done then. */
	if (!loop->gates_paused && !gate->rests)
		loop_unwatch(loop, &gate->watch);
	loop->gates_resting -= gate->rests;
	gate->held = gate->rests = false;
	listener_let_go(gate->listener);
}

/* 0, or why one could not be registered. */
static int gates_compare(struct loop *loop)
{
	struct reactor *reactor = loop->reactor;
	int result = 0;

	pthread_mutex_lock(&reactor->listeners_lock);
	for (unsigned i = 0; i < reactor->listener_count; i++) {
		enum listener_state state = reactor->listeners[i].state;
		int r = 0;

		if (state == LISTENER_OPEN && !loop->gates[i].held)
			r = gate_hold(loop, i);
		else if (state == LISTENER_CLOSING && loop->gates[i].held)
			gate_let_go(loop, &loop->gates[i]);
		if (r < 0)
			result = r;
	}
	pthread_mutex_unlock(&reactor->listeners_lock);
	return result;
}

int gates_open(struct loop *loop, struct err *err)
{
	int r;

	loop->gates_timer = (struct timer){.fired = pause_over, .arg = loop};
	r = gates_compare(loop);
	return r < 0 ? err_set(err, r, "epoll: listeners: %s", strerror(-r)) : 0;
}

void gates_follow(struct loop *loop)
{
	/* What could not be registered is tried again with the others. */
	if (!loop->gates_closed && gates_compare(loop) < 0)
		gates_pause(loop);
}

void gates_close(struct loop *loop)
{
	if (loop->gates_closed)
		return;
	loop->gates_closed = true;
	pthread_mutex_lock(&loop->reactor->listeners_lock);
	for (unsigned i = 0; i < LISTENERS_MAX; i++)
		if (loop->gates[i].held)
			gate_let_go(loop, &loop->gates[i]);
	if (--loop->reactor->loops_accepting == 0)
		listeners_free_unheld(loop->reactor);
	pthread_mutex_unlock(&loop->reactor->listeners_lock);
	loop->gates_paused = false;
	loop_timer_cancel(loop, &loop->gates_timer);
}
