/*
 * What the reactor's files share, and nobody else sees.
 *
 * Who writes what: a loop, its connections, its gates and its timers belong to the loop's thread.
 * From other threads come: its message ring and its list of finished jobs (lock-free), `commands`
 * and `load` (atomics), and the statistics are read (relaxed atomics, one writer). The reactor's
 * own fields are written before the loops' threads start and after they have ended, but for the
 * atomics named so.
 *
 * Sleeping: a loop about to wait says `asleep` and then looks for messages once more; whoever sends
 * one looks at `asleep` afterwards, and only then pays for a write to the eventfd. All four are
 * sequentially consistent, so one of the two sees the other.
 *
 * Ending: STOP makes each loop drain. A loop without connections and jobs is quiet, as is one that
 * has given up on its jobs; when the last loop gets quiet, each is told to END. A loop that drains
 * opens no connection any more, so none gets loud again, and nothing that loops send each other is
 * lost.
 *
 * Linux 4.5 (EPOLLEXCLUSIVE).
 */
#ifndef REACTOR_INTERNAL_H
#define REACTOR_INTERNAL_H

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/epoll.h>

#include "base/buf.h"
#include "base/list.h"
#include "base/ring.h"
#include "base/slots.h"
#include "base/wheel.h"
#include "reactor/address.h"
#include "reactor/reactor.h"

/* Limits, and why. */
enum {
	LOOPS_MAX = REACTOR_LOOPS_MAX,
	LISTENERS_MAX = 64, /* each is registered in each loop */
	HELPERS_MAX = 64,
	HELPERS_DEFAULT = 8, /* disks answer several requests at once; the CPU is not the limit */
	/* File systems that may hang are told apart by so many queues, each with so many threads:
	 * enough that a network's latency is not waited for in a row. */
	HELPERS_PLACES = 16,
	HELPERS_A_PLACE = 4,
	/* For syncs, beside all others: as many as wait together cost the disk little more than one. */
	HELPERS_SYNCS = 8,
	/* Helpers that are at work when everything else has ended: a disk answers a read within
	 * this, what takes longer (a dead NFS server, a FUSE daemon that hangs) may take for ever. */
	HELPERS_MS_DEFAULT = 1000,
	/* How much longer than connections and helpers have the end may take: loops that are alive
	 * need milliseconds. */
	WATCHDOG_MS_DEFAULT = 5000,
	RING_MESSAGES = 4096,   /* 96 KiB of addresses a loop, touched as far as used */
	BATCH_EVENTS = 256,     /* events taken at once: bounds the wait of the last of them */
	ACCEPTS_A_TURN = 16,    /* a storm of connections leaves turns to those that are open */
	BACKLOG_DEFAULT = 4096, /* the kernel cuts it to net.core.somaxconn */
	/* Descriptors that connections leave: for files that are open for a moment, for operators, for
	 * the end. An eighth of all, where that is less. */
	DESCRIPTORS_KEPT = 128,
	DESCRIPTORS_KEPT_PART = 8,
	ACCEPT_PAUSE_MS = 100, /* how soon a listener that could not accept tries again */
	DRAIN_MS_DEFAULT = 10000,
	CONNECTIONS_DEFAULT_MAX = 1 << 20, /* some containers have a limit of 2^30 descriptors */
	/* The clock of a turn is the coarse one: behind by a tick of the kernel, at most 10 ms, on
	 * Debian's kernels 4. Sleeping that much longer makes one wake-up for a deadline, not two.
	 */
	CLOCK_LAG_MS = 4,
	/* A deadline that is overdue by more means that the process did not run. All loops then have
	 * the grace to read what has come meanwhile. */
	HELD_UP_MS = 250,
	HELD_UP_GRACE_MS = 100,
};

/* ---- connections (conn.c) ---- */

/* FREE -> OPENING -> OPEN -> CLOSED -> FREE; OPENING -> CLOSED when ops->open refuses. */
enum conn_state { CONN_STATE_FREE, CONN_STATE_OPENING, CONN_STATE_OPEN, CONN_STATE_CLOSED };

/* 256 bytes, and the room's data behind them: all that an idle connection costs outside of the
 * kernel. */
struct conn {
	struct slot slot;
	int fd;
	uint16_t state;   /* enum conn_state */
	uint16_t pending; /* enum conn_event, collected while it waits for its next turn */
	struct loop *loop;
	const struct conn_ops *ops;
	void *arg;
	struct timer deadline;
	struct list link;  /* in the loop's open or dead */
	struct list again; /* in the loop's asked or again, or in none */
	struct sockaddr_storage peer;
};

#define CONN_ALIGN 64
_Static_assert(sizeof(struct conn) == 256, "conn_data() follows; say so in the comment above");

/* The size of a slot for connections with so much data of a room's own. */
size_t conn_slot_size(size_t data_size);
/* Takes the descriptor, whatever happens; counted in the loop's load by the caller. */
int conn_start(struct loop *loop, int fd, const struct sockaddr_storage *peer,
	       const struct conn_ops *ops, void *arg, struct conn **ret);
void conn_dispatch(struct conn *conn, uint32_t epoll_events);
/* Those that asked for another turn before this one. */
void conns_run_again(struct loop *loop);
void conns_drain(struct loop *loop);
void conns_close_all(struct loop *loop);
/* The end of the batch: slots of closed connections may be used again. */
void conns_bury(struct loop *loop);

/* ---- listeners (listener.c), their sockets (bind.c), accepting (accept.c) ---- */

/*
 *     FREE ──reactor_listen()──> OPEN ──reactor_unlisten()──> CLOSING ──> FREE
 *                                  │                                        │
 *                                  └── the last loop drains ────────────────┘
 *
 * A loop holds those that it has registered, and lets go when it hears that one is CLOSING, or
 * when it drains; the last to let go closes the socket. State and holders change by the reactor's
 * listeners_lock; everything else is written while no loop holds it.
 */
enum listener_state { LISTENER_FREE, LISTENER_OPEN, LISTENER_CLOSING };

/* A host's name and a port, or a path. */
#define LISTENER_WHERE_MAX (ADDRESS_HOST_MAX + 8)

struct listener {
	enum listener_state state;
	unsigned holders;               /* loops */
	char where[LISTENER_WHERE_MAX]; /* the text that it is made of */
	const struct conn_ops *ops;
	void *arg;
	bool (*admit)(void *arg); /* as in listener_options */
	void (*leave)(void *arg);
	int fd; /* -1 once closed */
	int backlog;
	bool listens;
	bool one_of_several; /* that a text stood for, not named by itself */
	char name[ADDRESS_TEXT_MAX];
	/* A socket file of our own making: the file and its identity, "" when there is none. */
	char path[ADDRESS_TEXT_MAX];
	uint64_t device, inode;
};

/* A listener as one loop sees it. */
struct gate {
	struct watch watch;
	struct loop *loop;
	struct listener *listener;
	bool held;
	bool rests; /* its listener had no place: not in epoll */
};

/* Starts to accept; nothing comes before the loop's first turn. */
int gates_open(struct loop *loop, struct err *err);
/* Takes what was added since, and lets go what is to be closed. */
void gates_follow(struct loop *loop);
/* Lets go all, for good. */
void gates_close(struct loop *loop);
/* Accepts again if it had to stop: something was closed. */
void gates_resume(struct loop *loop);
/* Bound, or taken over; ops and the like are set already. `where`: for what is said of it. Closed
 * where it fails. */
int listener_open(struct listener *listener, const char *where, const struct address *address,
		  struct err *err);
/* The kernel answers clients from here on. */
int listener_listen(struct listener *listener, struct err *err);
void listener_close(struct listener *listener);
/* From here on they listen as they are added, and loops are told. */
int listeners_listen(struct reactor *reactor, struct err *err);
/* With the lock held: one loop less. */
void listener_let_go(struct listener *listener);
/* With the lock held: what no loop has taken, and none will. */
void listeners_free_unheld(struct reactor *reactor);
/* No more are added. */
void listeners_end(struct reactor *reactor);
void listeners_close(struct reactor *reactor);

/* ---- helpers (helpers.c) ---- */

/* Jobs of one class. */
struct job_queue {
	struct job *first, **end;
	unsigned queued, running, limit; /* limit: of running */
	uint64_t place;                  /* of helpers_submit_at(): whose it is, or was last */
};

struct helpers {
	pthread_mutex_t lock;
	pthread_cond_t work;
	struct job_queue quick, bulk;
	struct job_queue syncs, serial;
	struct job_queue places[HELPERS_PLACES];
	struct job_queue *last; /* of quick and bulk: what was taken from */
	unsigned next_place;    /* whose turn it is */
	unsigned idle, started, max;
	bool ending;
	struct helper {
		struct helpers *helpers;
		pthread_t thread;
		const char *what; /* the job's, while it has one; NULL: none */
		uint64_t since_ns;
	} threads[HELPERS_MAX + HELPERS_SYNCS + 1 + HELPERS_PLACES * HELPERS_A_PLACE];
};

void helpers_init(struct helpers *helpers, unsigned max);
/* What of *ret is theirs. Any thread. */
void helpers_stats(struct helpers *helpers, struct reactor_stats *ret);
/* What they are at work with, for people: "a sync of a log for 3 s, 2 changes ...". */
void helpers_describe(struct helpers *helpers, struct buf *buf);
/* Runs what is queued, then joins the threads; `stuck`: doesn't wait for them. */
void helpers_end(struct helpers *helpers, bool stuck);

/* ---- loops (loop.c) ---- */

enum loop_command {
	COMMAND_STOP = 1u << 0,      /* to loop 0, which tells the others to drain */
	COMMAND_DRAIN = 1u << 1,     /* no new connections, finish those that are open */
	COMMAND_KILL = 1u << 2,      /* close them */
	COMMAND_END = 1u << 3,       /* every loop is quiet: leave */
	COMMAND_HANGUP = 1u << 4,    /* SIGHUP */
	COMMAND_LISTENERS = 1u << 5, /* some were added, or are to be closed */
};

struct loop_stats {
	_Atomic uint64_t accepted, closed, refused, turns, events, helper_jobs, posts;
};

struct loop {
	struct reactor *reactor;
	unsigned index;
	int epoll;
	int wake_fd;
	pthread_t thread;
	uint64_t now_ms;
	int64_t wall;
	void *data; /* the room's */
	bool data_open;

	struct epoll_event events[BATCH_EVENTS];
	int batch_count;
	unsigned first_watches;
	struct watch wake;

	struct wheel wheel;
	bool all_heard;          /* the last wait took all that was ready */
	unsigned unheard;        /* turns that put off deadlines since it did not */
	uint64_t deadlines_from; /* what is overdue fires then; 0: nothing is */
	struct slots conns;
	void *conns_memory;
	size_t conns_memory_size;
	struct list open, dead;
	struct list asked, again; /* for another turn: in this one; before it */

	struct gate gates[LISTENERS_MAX];
	bool gates_paused, gates_closed;
	unsigned gates_resting;
	struct timer gates_timer;

	bool draining, quiet, ended;
	struct timer drain_timer, grace_timer;
	unsigned jobs; /* helper jobs that are not done */
	bool gave_up;  /* on those */
	int start_error;
	struct err start_text;

	struct loop_stats stats;
	struct ring ring;
	struct ring_cell *ring_cells;
	/* Written by other threads: each in a cache line of its own. */
	_Alignas(64) _Atomic(struct job *) finished; /* the newest first */
	_Alignas(64) _Atomic bool asleep;
	_Alignas(64) _Atomic unsigned load; /* connections, also those on their way here */
	_Atomic unsigned commands;
	/* Read by others: loop_now_ms() of the turn under way; 0: it waits for events. */
	_Atomic uint64_t turn_ms;
};

int loop_init(struct loop *loop, struct reactor *reactor, unsigned index, struct err *err);
/* Memory for so many connections. */
int loop_reserve(struct loop *loop, uint32_t conns, size_t slot_size);
void loop_unreserve(struct loop *loop);
void loop_fini(struct loop *loop);
/* On the loop's thread: from the first turn to END. */
void loop_run(struct loop *loop);
/* The calling thread is this loop's from now on; NULL: no loop's. */
void loop_enter(struct loop *loop);
/* Any thread, also a signal handler: never lost. */
void loop_command(struct loop *loop, unsigned commands);
/* A helper has run it. */
void loop_job_finished(struct loop *loop, struct job *job);

/* One writer, the loop's thread. */
static inline void stat_add(_Atomic uint64_t *counter, uint64_t n)
{
	uint64_t value = atomic_load_explicit(counter, memory_order_relaxed);

	atomic_store_explicit(counter, value + n, memory_order_relaxed);
}

/* ---- the reactor (reactor.c) ---- */

struct reactor {
	struct reactor_options options;
	struct loop *loops;
	unsigned loop_count;
	pthread_mutex_t listeners_lock; /* their table, while the loops run */
	struct listener listeners[LISTENERS_MAX];
	unsigned listener_count; /* so many have ever been in use */
	bool listening, ending;  /* by the lock, too, as is the next */
	unsigned loops_accepting;
	size_t slot_size; /* of connections; 0: not settled yet */
	unsigned connections_max;
	/* The kernel gives the lowest number that is free: one from here on means that few are left. */
	int descriptors_end;
	struct helpers helpers;

	int signal_fd;
	struct watch signals;
	bool signals_held;
	sigset_t signals_before; /* of the thread that runs it; valid if held */
	/* watchdog.c; watchdog_fd -1: there is none. */
	pthread_t watchdog;
	int watchdog_fd;
	uint32_t watchdog_ms;
	_Atomic uint64_t stop_ms; /* when the end began; 0: it has not */
	_Atomic bool run_ended;
	bool stopping; /* loop 0's thread */
	bool stuck;    /* after the run: helpers were left behind */

	/* The start: loops report, reactor_run() decides. */
	pthread_mutex_t start_lock;
	pthread_cond_t start_changed;
	unsigned start_reported;
	enum { START_WAIT, START_GO, START_ABORT } start_decision;

	_Atomic unsigned connections; /* of all loops */
	_Atomic unsigned loops_busy;  /* not quiet yet */
};

/* ---- the watchdog (watchdog.c) ---- */

void watchdog_start(struct reactor *reactor);
/* The end has begun. */
void watchdog_see_stop(struct reactor *reactor);
/* The loops have ended, or will not run. */
void watchdog_end(struct reactor *reactor);

/* On loop 0: the first call drains. */
void reactor_begin_stop(struct reactor *reactor);
void reactor_command_all(struct reactor *reactor, unsigned commands);

#endif
