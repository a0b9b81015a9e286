/*
 * A loop's connections: a slot each, one registration with epoll for life, one deadline.
 *
 *                 ops->open                       conn_close()
 *     FREE ──> OPENING ─────────> OPEN ──────────────────────────> CLOSED ──> FREE
 *                 └── refused: no ops->closed ─────────────────────┘    └ end of the batch
 *
 * Events that were reported together with the one that closed a connection still name its slot:
 * it is CLOSED until the batch is over, and events for what is not OPEN are dropped. An event for
 * an earlier connection of the same slot can also come later, when another thread was inside a
 * system call on that descriptor as it was closed (the registration lives as long as the open
 * file): it looks like one event too many, which edge-triggered code has to bear anyway.
 *
 * All on the loop's own thread.
 */
#include "reactor/internal.h"

#include <errno.h>
#include <string.h>

#include "sys/sys.h"

/* Edge-triggered and never changed again. EPOLLOUT costs nothing while nobody waits for it: TCP
 * reports it only after a send has found the buffer full (SOCK_NOSPACE, sk_stream_write_space). */
#define CONN_EPOLL_EVENTS (EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET)

int conn_fd(const struct conn *conn)
{
	return conn->fd;
}

void *conn_data(struct conn *conn)
{
	return conn + 1;
}

struct loop *conn_loop(const struct conn *conn)
{
	return conn->loop;
}

const struct conn_ops *conn_ops(const struct conn *conn)
{
	return conn->ops;
}

size_t conn_data_size(const struct conn *conn)
{
	return conn->loop->conns.slot_size - sizeof(*conn);
}

void *conn_arg(const struct conn *conn)
{
	return conn->arg;
}

const struct sockaddr_storage *conn_peer(const struct conn *conn)
{
	return &conn->peer;
}

size_t conn_slot_size(size_t data_size)
{
	return (sizeof(struct conn) + data_size + CONN_ALIGN - 1) / CONN_ALIGN * CONN_ALIGN;
}

/* The one door of the state machine. */
static void set_state(struct conn *conn, enum conn_state state)
{
	switch (state) {
	case CONN_STATE_FREE:
		CHECK(conn->state == CONN_STATE_CLOSED);
		break;
	case CONN_STATE_OPENING:
		CHECK(conn->state == CONN_STATE_FREE);
		break;
	case CONN_STATE_OPEN:
		CHECK(conn->state == CONN_STATE_OPENING);
		break;
	case CONN_STATE_CLOSED:
		CHECK(conn->state == CONN_STATE_OPENING || conn->state == CONN_STATE_OPEN);
		break;
	}
	conn->state = (uint16_t)state;
}

static void deadline_passed(struct timer *timer)
{
	struct conn *conn = container_of(timer, struct conn, deadline);

	if (conn->ops->expired)
		conn->ops->expired(conn);
	else
		conn_close(conn);
}

static struct conn *take_slot(struct loop *loop, const struct conn_ops *ops)
{
	bool fresh;
	struct conn *conn;

	if (conn_slot_size(ops->data_size) > loop->conns.slot_size)
		return NULL;
	conn = slots_take(&loop->conns, &fresh);
	/* What was never used is zero, and stays without memory until somebody writes to it. */
	if (conn && !fresh)
		memset((char *)conn + sizeof(conn->slot), 0,
		       sizeof(*conn) - sizeof(conn->slot) + ops->data_size);
	return conn;
}

static void give_back(struct conn *conn)
{
	struct loop *loop = conn->loop;

	wheel_cancel(&loop->wheel, &conn->deadline.node);
	list_remove(&conn->again);
	list_remove(&conn->link);
	list_push_back(&loop->dead, &conn->link);
	/* Last: the number may belong to another thread's new file from here on. */
	sys_close(conn->fd);
	conn->fd = -1;
}

/* Without a slot: what the caller has counted. */
static int refuse(struct loop *loop, int fd, int code)
{
	sys_close(fd);
	stat_add(&loop->stats.refused, 1);
	atomic_fetch_sub(&loop->load, 1);
	atomic_fetch_sub(&loop->reactor->connections, 1);
	return code;
}

int conn_start(struct loop *loop, int fd, const struct sockaddr_storage *peer,
	       const struct conn_ops *ops, void *arg, struct conn **ret)
{
	struct conn *conn = take_slot(loop, ops);
	int r;

	if (!conn)
		return refuse(loop, fd, -ENOBUFS);
	set_state(conn, CONN_STATE_OPENING);
	conn->fd = fd;
	conn->loop = loop;
	conn->ops = ops;
	conn->arg = arg;
	conn->deadline.fired = deadline_passed;
	conn->peer = *peer;
	list_init(&conn->again);
	list_push_back(&loop->open, &conn->link);
	stat_add(&loop->stats.accepted, 1);
	r = sys_epoll_ctl(loop->epoll, EPOLL_CTL_ADD, fd, CONN_EPOLL_EVENTS, conn);
	if (r == 0 && ops->open)
		r = ops->open(conn);
	if (r < 0) {
		stat_add(&loop->stats.refused, 1);
		set_state(conn, CONN_STATE_CLOSED);
		give_back(conn);
		return r;
	}
	set_state(conn, CONN_STATE_OPEN);
	*ret = conn;
	return 0;
}

int conn_adopt(struct loop *loop, int fd, const struct conn_ops *ops, void *arg, struct conn **ret)
{
	struct sockaddr_storage peer = {.ss_family = AF_UNSPEC};
	socklen_t len;

	CHECK(loop == loop_current());
	/* Not a socket, or not connected yet: then it has no peer. */
	(void)sys_getpeername(fd, &peer, &len);
	atomic_fetch_add(&loop->load, 1);
	atomic_fetch_add(&loop->reactor->connections, 1);
	return conn_start(loop, fd, &peer, ops, arg, ret);
}

static unsigned events_of(uint32_t epoll_events)
{
	unsigned events = 0;

	if (epoll_events & EPOLLIN)
		events |= CONN_READABLE;
	if (epoll_events & EPOLLOUT)
		events |= CONN_WRITABLE;
	if (epoll_events & EPOLLRDHUP)
		events |= CONN_READABLE | CONN_ENDED;
	if (epoll_events & (EPOLLERR | EPOLLHUP))
		events |= CONN_HANGUP;
	return events;
}

void conn_dispatch(struct conn *conn, uint32_t epoll_events)
{
	if (conn->state != CONN_STATE_OPEN)
		return;
	if (list_empty(&conn->again))
		conn->ops->ready(conn, events_of(epoll_events));
	else
		conn->pending |= (uint16_t)events_of(epoll_events); /* with its turn, not before */
}

void conn_deadline(struct conn *conn, uint32_t ms)
{
	struct loop *loop = conn->loop;

	wheel_set(&loop->wheel, &conn->deadline.node, ms ? loop->now_ms + ms : WHEEL_NEVER);
}

void conn_again(struct conn *conn)
{
	CHECK(conn->state == CONN_STATE_OPEN || conn->state == CONN_STATE_OPENING);
	if (list_empty(&conn->again))
		list_push_back(&conn->loop->asked, &conn->again);
}

void conns_run_again(struct loop *loop)
{
	struct list now, *node;

	list_init(&now);
	list_move_all(&now, &loop->again);
	while ((node = list_pop_front(&now))) {
		struct conn *conn = container_of(node, struct conn, again);
		unsigned events = conn->pending | CONN_AGAIN;

		conn->pending = 0;
		conn->ops->ready(conn, events);
	}
	list_move_all(&loop->again, &loop->asked);
}

void conn_close(struct conn *conn)
{
	CHECK(conn->loop == loop_current());
	set_state(conn, CONN_STATE_CLOSED);
	if (conn->ops->closed)
		conn->ops->closed(conn);
	stat_add(&conn->loop->stats.closed, 1);
	give_back(conn);
}

void conns_close_all(struct loop *loop)
{
	while (!list_empty(&loop->open))
		conn_close(container_of(loop->open.next, struct conn, link));
}

void conns_drain(struct loop *loop)
{
	struct list undrained, *node;

	list_init(&undrained);
	list_move_all(&undrained, &loop->open);
	while ((node = list_pop_front(&undrained))) {
		struct conn *conn = container_of(node, struct conn, link);

		/* Back first: drain may close it, or any other. */
		list_push_back(&loop->open, node);
		if (conn->ops->drain)
			conn->ops->drain(conn);
		else
			conn_close(conn);
	}
}

void conns_bury(struct loop *loop)
{
	struct list *node;
	unsigned count = 0;

	while ((node = list_pop_front(&loop->dead))) {
		struct conn *conn = container_of(node, struct conn, link);

		set_state(conn, CONN_STATE_FREE);
		slots_give(&loop->conns, conn);
		count++;
	}
	if (count == 0)
		return;
	atomic_fetch_sub(&loop->reactor->connections, count);
	atomic_fetch_sub(&loop->load, count);
	gates_resume(loop);
}

struct conn_ref conn_ref(const struct conn *conn)
{
	return (struct conn_ref){(struct conn *)conn, conn->slot.generation};
}

struct conn *conn_deref(struct conn_ref ref)
{
	/* The slot's memory outlives its connections: it may be asked at any time. */
	if (!ref.conn || ref.conn->slot.generation != ref.generation)
		return NULL;
	return ref.conn->state == CONN_STATE_OPEN || ref.conn->state == CONN_STATE_OPENING
		   ? ref.conn
		   : NULL;
}
