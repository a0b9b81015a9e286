/*
 * Accepting: each loop registers each listener for itself, the kernel wakes one loop for a
 * connection, and that loop keeps it or hands it to the one that has the fewest.
 *
 * At the limit of connections, and where few descriptors are left (reactor->descriptors_end), nothing
 * more is accepted, and a level-triggered listener would report what waits for ever: the loop takes its
 * listeners out of epoll and tries again when one of its connections has closed, or after
 * ACCEPT_PAUSE_MS. Nothing spins, the kernel's backlog holds the clients, and it recovers by itself.
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
	struct listener *listener;
	int fd;
	struct sockaddr_storage peer;
};

static void start(struct loop *loop, struct listener *listener, int fd,
		  const struct sockaddr_storage *peer)
{
	struct conn *conn;

	/* A refusal is counted, and the peer sees its connection closed. */
	(void)conn_start(loop, fd, peer, listener->ops, listener->arg, &conn);
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
	} else {
		start(loop, handover->listener, handover->fd, &handover->peer);
	}
	free(handover);
}

/* False: it could not be sent, and is still the caller's. */
static bool hand_over(struct loop *to, struct listener *listener, int fd,
		      const struct sockaddr_storage *peer)
{
	struct handover *handover = malloc(sizeof(*handover));

	if (!handover)
		return false;
	*handover = (struct handover){.listener = listener, .fd = fd, .peer = *peer};
	atomic_fetch_add(&to->load, 1);
	if (loop_post(to, arrived, handover) == 0)
		return true;
	free(handover);
	atomic_fetch_sub(&to->load, 1);
	/* It may have waited for this one before it calls itself quiet: let it look again. */
	loop_command(to, 0);
	return false;
}

static void place(struct loop *loop, struct listener *listener, int fd,
		  const struct sockaddr_storage *peer)
{
	struct loop *to = choose_loop(loop);

	if (to != loop && hand_over(to, listener, fd, peer))
		return;
	atomic_fetch_add(&loop->load, 1);
	start(loop, listener, fd, peer);
}

/* ---- pausing ---- */

static int gates_register(struct loop *loop)
{
	for (unsigned i = 0; i < loop->reactor->listener_count; i++) {
		/* EXCLUSIVE: one loop is woken for a connection, not all of them; 4.5. */
		int r = loop_watch(loop, &loop->gates[i].watch, EPOLLIN | EPOLLEXCLUSIVE);

		if (r == 0)
			continue;
		while (i > 0)
			loop_unwatch(loop, &loop->gates[--i].watch);
		return r;
	}
	return 0;
}

static void gates_unregister(struct loop *loop)
{
	for (unsigned i = 0; i < loop->reactor->listener_count; i++)
		loop_unwatch(loop, &loop->gates[i].watch);
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

	if (!loop->gates_paused)
		return;
	if (atomic_load(&reactor->connections) >= reactor->connections_max ||
	    !has_descriptors(loop) || gates_register(loop) < 0) {
		loop_timer_set(loop, &loop->gates_timer, ACCEPT_PAUSE_MS);
		return;
	}
	loop->gates_paused = false;
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

static void accept_some(struct watch *watch, uint32_t epoll_events)
{
	struct gate *gate = watch->arg;
	struct loop *loop = gate->loop;

	for (unsigned n = 0; n < ACCEPTS_A_TURN; n++) {
		struct sockaddr_storage peer = {.ss_family = AF_UNSPEC};
		socklen_t len = sizeof(peer);
		int fd;

		if (!admit(loop->reactor)) {
			gates_pause(loop);
			return;
		}
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
		if (fd == -EAGAIN)
			return;
		if (concerns_one_connection(fd))
			continue;
		say_short(loop, gate->listener, fd);
		gates_pause(loop);
		return;
	}
}

int gates_open(struct loop *loop, struct err *err)
{
	struct reactor *reactor = loop->reactor;
	int r;

	loop->gates_timer = (struct timer){.fired = pause_over, .arg = loop};
	for (unsigned i = 0; i < reactor->listener_count; i++) {
		struct gate *gate = &loop->gates[i];

		gate->loop = loop;
		gate->listener = &reactor->listeners[i];
		gate->watch =
		    (struct watch){.fd = gate->listener->fd, .ready = accept_some, .arg = gate};
	}
	r = gates_register(loop);
	return r < 0 ? err_set(err, r, "epoll: listeners: %s", strerror(-r)) : 0;
}

void gates_close(struct loop *loop)
{
	if (loop->gates_closed)
		return;
	loop->gates_closed = true;
	if (!loop->gates_paused)
		gates_unregister(loop);
	loop->gates_paused = false;
	loop_timer_cancel(loop, &loop->gates_timer);
	if (atomic_fetch_sub(&loop->reactor->loops_listening, 1) == 1)
		listeners_close(loop->reactor);
}
