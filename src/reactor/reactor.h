/*
 * The reactor: one epoll loop a thread, a thread a core, connections that belong to one loop for
 * life. It knows descriptors, deadlines, messages and helper threads; it knows no protocol and not
 * the engine.
 *
 *     reactor ── loop 0 ── connections (a fixed pool of slots), timer wheel, message ring
 *             ├─ loop 1 ── ...
 *             ├─ helpers: threads for what blocks (open, stat, cold file ranges)
 *             └─ listeners: shared by all loops (EPOLLEXCLUSIVE), balanced by handing over
 *
 * A connection's life: accepted -> ops->open -> (ops->ready)* -> conn_close() or ops->drain ->
 * ops->closed. Everything a connection's code does happens on its own loop's thread. Loops talk by
 * loop_post().
 *
 * Draining (SIGTERM, SIGQUIT, SIGINT): listeners are closed, ops->drain is called once for each
 * connection; the loops end when the last connection is gone or the limit is over, then what is
 * left is closed. Helpers that the kernel does not let go then have a second (or helpers_ms) to
 * come back.
 */
#ifndef REACTOR_REACTOR_H
#define REACTOR_REACTOR_H

#include <sys/socket.h>

#include "base/check.h"
#include "base/err.h"
#include "base/wheel.h"

struct reactor;
struct loop;
struct conn;

/* Loops are numbered from 0 (loop_index()), and never more than this. */
enum { REACTOR_LOOPS_MAX = 256 };

/* ---- connections ---- */

/* What happened: several may be set. Edge-triggered: after READABLE read until a short read or
 * -EAGAIN, or ask for another turn by conn_again(). A short read means "nothing more for now" only
 * while ENDED is not set: the peer's end may lie behind the last bytes and is not announced again.
 */
enum conn_event {
	CONN_READABLE = 1u << 0, /* data, or the peer's end */
	CONN_WRITABLE = 1u << 1,
	CONN_HANGUP = 1u << 2, /* error or both sides closed: the next read or write says which */
	CONN_AGAIN = 1u << 3,  /* the turn that conn_again() asked for */
	CONN_ENDED = 1u << 4,  /* the peer sends no more: read until 0 (EPOLLRDHUP) */
};

/* `ready` is a must; the others may be NULL: no `expired` or no `drain` means conn_close(). */
struct conn_ops {
	/* The room's own state, kept behind struct conn in the same slot: conn_data(). Zeroed at
	 * open. */
	size_t data_size;
	/* 0, or -errno: then the connection is closed without ops->closed. Not the place for
	 * conn_close(). */
	int (*open)(struct conn *conn);
	void (*ready)(struct conn *conn, unsigned events);
	/* The deadline set by conn_deadline() has passed. */
	void (*expired)(struct conn *conn);
	/* The process wants to end: finish what is in flight, then conn_close(). May be called only
	 * once. */
	void (*drain)(struct conn *conn);
	/* The descriptor is still open, and closed after this returns; free what belongs to the
	 * connection. */
	void (*closed)(struct conn *conn);
};

int conn_fd(const struct conn *conn);
void *conn_data(struct conn *conn);
struct loop *conn_loop(const struct conn *conn);
/* As it was accepted or adopted with. */
const struct conn_ops *conn_ops(const struct conn *conn);
/* Bytes that its slot has for the room's own state: at least what its ops ask for. */
size_t conn_data_size(const struct conn *conn);
/* What listener_options.arg was for the listener it came from. */
void *conn_arg(const struct conn *conn);
/* The peer's address; family AF_UNIX has no name. */
const struct sockaddr_storage *conn_peer(const struct conn *conn);

/* One deadline a connection, `ms` from now; 0: none. Cheap: moving it later costs no list work. */
void conn_deadline(struct conn *conn, uint32_t ms);
/* Calls ops->ready with CONN_AGAIN in the loop's next turn, after the others: for connections that
 * have used up their budget. */
void conn_again(struct conn *conn);
/* Brings a connected or connecting stream socket of one's own (non-blocking) into the calling
 * thread's loop. Its ops need no more data than those of some listener, or than
 * reactor_options.data_size_min. Takes the descriptor even
 * when it fails: -ENOBUFS without a free slot, or what ops->open said. */
int conn_adopt(struct loop *loop, int fd, const struct conn_ops *ops, void *arg, struct conn **ret);
/* Ends it: ops->closed is called before this returns, the slot is reused only after the current
 * batch of events. The caller must not touch its data afterwards. */
void conn_close(struct conn *conn);
/* For completions that may come after the connection is gone: a handle that goes stale. */
struct conn_ref {
	struct conn *conn;
	uint32_t generation;
};
struct conn_ref conn_ref(const struct conn *conn);
/* NULL when that connection has ended. On the connection's own loop only. */
struct conn *conn_deref(struct conn_ref ref);

/* ---- loops ---- */

unsigned loop_index(const struct loop *loop);
struct reactor *loop_reactor(const struct loop *loop);
/* Monotonic, taken once a turn: no system call. */
uint64_t loop_now_ms(const struct loop *loop);
/* How many turns it has had: tells one from another. */
uint64_t loop_turns(const struct loop *loop);
/* Wall clock in seconds, taken once a turn. */
int64_t loop_wall(const struct loop *loop);
/* On its thread: no connection comes any more, those that are open end. */
bool loop_is_draining(const struct loop *loop);
/* Per-loop state of the room that runs on it (reactor_options.loop_open's result). */
void *loop_data(const struct loop *loop);
/* The loop of the calling thread, NULL outside of loops. */
struct loop *loop_current(void);

/* Any thread, while the reactor runs: runs fn(arg) on the loop's thread soon. -ENOBUFS when the
 * ring is full. */
int loop_post(struct loop *loop, void (*fn)(void *arg), void *arg);

/* Another descriptor in the loop, level-triggered, for its own events; `first`: handled before the
 * connections of the same batch (a file watcher, so that no request overtakes a change). */
struct watch {
	int fd;
	bool first;
	void (*ready)(struct watch *watch, uint32_t epoll_events);
	void *arg;
};
int loop_watch(struct loop *loop, struct watch *watch, uint32_t epoll_events);
void loop_unwatch(struct loop *loop, struct watch *watch);

/* A timer of its own, one shot; re-arm inside. Zero it, name `fired`; cancel it before its memory
 * goes. Setting it again moves it. */
struct timer {
	struct wheel_timer node; /* the loop's */
	void (*fired)(struct timer *timer);
	void *arg;
};
void loop_timer_set(struct loop *loop, struct timer *timer, uint32_t ms);
void loop_timer_cancel(struct loop *loop, struct timer *timer);

/* ---- helper threads ---- */

/* What blocks: run() on a helper thread, then done() on the loop that asked, even when its
 * connection is gone (hold a conn_ref). The job's memory is the caller's until done(). */
struct job {
	void (*run)(struct job *job);
	void (*done)(struct job *job);
	const char *what;  /* it is, for people: "a sync of a log"; constant */
	struct loop *loop; /* set by helpers_submit() */
	struct job *next;  /* the pool's */
};
/* 0, whatever is waiting already: the queue has no end. -ENOMEM: there is not one helper, and no
 * thread can be started; the job stays the caller's. */
int helpers_submit(struct loop *loop, struct job *job);
/* The same for what takes long and what nobody else should wait behind: a queue of its own, and at
 * most half of the helpers. */
int helpers_submit_bulk(struct loop *loop, struct job *job);

/* The same for what asks a file system that may never answer (a dead NFS server, a FUSE daemon that
 * hangs), named by a number of the caller's: jobs of one number have HELPERS_A_PLACE threads at
 * most, in addition to all others, so that nobody else waits for them. */
int helpers_submit_at(struct loop *loop, struct job *job, uint64_t place);

/* The same for what makes bytes durable, which others wait for in turn: threads of its own, HELPERS_SYNCS
 * of them, in addition to all others. */
int helpers_submit_sync(struct loop *loop, struct job *job);
/* The same for what is done one by one in the whole process, in the order in which it comes: one thread,
 * in addition to all others. What takes long goes in steps, each a job, so that everybody has a turn. */
int helpers_submit_serial(struct loop *loop, struct job *job);

/* ---- the reactor ---- */

struct reactor_options {
	unsigned threads;         /* 0: one a CPU */
	unsigned helpers;         /* 0: a default */
	unsigned connections_max; /* of the process; 0: from the fd limit */
	/* Room for connections that no listener brings: the largest ops->data_size of those. */
	size_t data_size_min;
	uint32_t drain_ms; /* how long SIGTERM waits for what is in flight; 0: a default */
	/* How long after that for helpers that are at work; 0: a default. */
	uint32_t helpers_ms;
	/* How much longer the end may take before a watchdog ends the process, which only a loop
	 * that hangs makes happen; 0: a default. Not with no_signals. */
	uint32_t watchdog_ms;
	/* Per-loop state of the rooms: made on the loop's own thread before its first event. */
	int (*loop_open)(struct loop *loop, void *arg, void **ret_data, struct err *err);
	void (*loop_close)(struct loop *loop, void *data);
	/* All loops are open and all listeners listen: on the thread that runs loop 0, before the
	 * loops' first turns. Whoever is told of it here finds the server serving. Not 0: nothing
	 * runs. May be NULL. */
	int (*ready)(void *arg, struct err *err);
	void (*hangup)(struct loop *loop, void *data); /* SIGHUP, on each loop; may be NULL */
	/* It may accept with the last descriptors of the process, which others leave for it: for the
	 * listener that operators come by. */
	bool last_descriptors;
	/* Signals are not its business: another reactor of the process has them, or nobody. They
	 * are to be blocked in the thread that runs it. */
	bool no_signals;
	void *arg;
};

struct listener_options {
	const struct conn_ops *ops;
	void *arg;
	int backlog; /* 0: a default */
	/* A bound of its own, on any loop: `admit` takes a place for a connection before it is accepted,
	 * and where it says no the listener rests until a connection of the loop has closed, or for a
	 * moment; its clients wait. `leave` gives the place back where nothing came of it: once ops->open
	 * was content, that is for the room when the connection has closed. NULL, both: no bound. */
	bool (*admit)(void *arg);
	void (*leave)(void *arg);
};

/* Raises the soft limit of descriptors to the hard one. */
int reactor_new(const struct reactor_options *options, struct reactor **ret, struct err *err);
/* `where`: "127.0.0.1:8080", "[::1]:8080", "*:8080", ":8080", "8080" (for everyone, by IPv4 and
 * IPv6), "localhost:8080" (both, too), "HOST:8080" (a name, which is looked up), "unix:/path", or
 * "fd:3" (socket activation). Several addresses make several listeners. A socket file gets the mode
 * 0777 less the umask; a stale one is replaced, and ours is removed at the end.
 *
 * Before reactor_run() it binds, so that errors come before anything runs, and nobody is answered
 * yet. While the reactor runs, from any thread: clients are served from here on, by all loops.
 * Their connections must not have more data than options.data_size_min, or what was listened at
 * before the run. */
int reactor_listen(struct reactor *reactor, const char *where,
		   const struct listener_options *options, struct err *err);
/* Takes away what `where` was listened at by, as it was written. While the reactor runs, from any
 * thread: loops stop to accept there as they hear of it, and the last one closes the socket. Its
 * connections stay, with their ops and arg. -ENOENT. */
int reactor_unlisten(struct reactor *reactor, const char *where);
/* Sockets handed over by systemd (LISTEN_FDS): how many; "fd:3" ... then name them. */
int reactor_activated_count(void);
/* They have numbers below this; one that was taken away leaves a hole. */
unsigned reactor_listener_count(const struct reactor *reactor);
/* The address a listener is bound to, for people and tests (port 0 resolved): "127.0.0.1:41233".
 * -ENOENT: there is none of this number. */
int reactor_listener_name(const struct reactor *reactor, unsigned index, char *buf, size_t len);
/* What listener_options.arg was for it: whose it is. */
const void *reactor_listener_arg(const struct reactor *reactor, unsigned index);
/* Blocks the signals that reactor_run() handles from here on, in the thread that will run it: what
 * comes before it runs is handled then, where it would have ended the process. For threads that are
 * started before it runs, which inherit this. reactor_free() undoes it where it does not come to a
 * run. */
void reactor_hold_signals(struct reactor *reactor);
/* Runs until a signal or reactor_stop(); 0 after that, also when the limit for draining was over.
 * -ETIMEDOUT: helpers are stuck in the kernel. Then reactor_is_stuck(), reactor_free() frees
 * nothing, nothing that jobs use may be freed, and the process should end.
 * Once. While it runs SIGTERM, SIGQUIT, SIGINT and SIGHUP are blocked in the calling thread, which
 * is loop 0's; SIGPIPE is ignored from here on. Threads made before should block them too. */
int reactor_run(struct reactor *reactor, struct err *err);
/* Any thread, also from a signal handler. */
void reactor_stop(struct reactor *reactor);
void reactor_free(struct reactor *reactor);
/* What options.threads came to. */
unsigned reactor_loop_count(const struct reactor *reactor);
bool reactor_is_stuck(const struct reactor *reactor);

struct reactor_stats {
	uint64_t accepted, closed, open,
	    refused; /* refused: over the limit or out of descriptors */
	uint64_t turns, events, helper_jobs, posts;
	uint64_t helper_queued, helper_threads, helper_busy; /* now */
};
/* How long the longest turn that is under way has lasted; 0: every loop waits for events. Any
 * thread. Seconds: a loop that does not come round, whatever it waits for. */
uint64_t reactor_turn_ms(const struct reactor *reactor);
void reactor_stats(const struct reactor *reactor, struct reactor_stats *ret);

#endif
