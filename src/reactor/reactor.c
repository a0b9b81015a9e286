/*
 * The reactor: start, signals, the end.
 *
 * Start: the caller's thread is loop 0; the others are started, each opens its room's state, and
 * waits until all have. Then the listeners listen, and options.ready is asked; either all loops run
 * or none, so that nothing is accepted by a server that will not start. Ports come last: whoever
 * sees one answer may send a signal, and signals are handled by then.
 *
 * Signals: SIGTERM, SIGQUIT, SIGINT and SIGHUP are blocked in every thread while the loops run and
 * read from a signalfd by loop 0. The first of the former three drains, the next ends at once.
 * SIGPIPE is ignored, for sendfile and splice, which know no MSG_NOSIGNAL.
 *
 * The end waits for helpers, but not for ever: one that the kernel does not let go (a dead network
 * file system) is left behind, with all that it could still touch, and reactor_run() says so. The
 * exit of the process ends it, as far as the kernel lets it.
 */
#include "reactor/internal.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>

#include "sys/sys.h"

/* ---- holding signals back ---- */

static void handled_signals(sigset_t *ret)
{
	sigemptyset(ret);
	sigaddset(ret, SIGTERM);
	sigaddset(ret, SIGQUIT);
	sigaddset(ret, SIGINT);
	sigaddset(ret, SIGHUP);
}

void reactor_hold_signals(struct reactor *reactor)
{
	sigset_t signals;

	if (reactor->signals_held)
		return;
	handled_signals(&signals);
	pthread_sigmask(SIG_BLOCK, &signals, &reactor->signals_before);
	reactor->signals_held = true;
}

static void let_signals_go(struct reactor *reactor)
{
	if (reactor->signals_held)
		pthread_sigmask(SIG_SETMASK, &reactor->signals_before, NULL);
	reactor->signals_held = false;
}

/* ---- made and unmade ---- */

/* Half of the descriptors: the other half is for the files that the connections read. */
static void set_limits(struct reactor *reactor, const struct reactor_options *options)
{
	uint64_t limit = sys_fd_limit_raise();
	uint64_t kept = min_u64(limit / DESCRIPTORS_KEPT_PART, DESCRIPTORS_KEPT);

	if (options->connections_max)
		reactor->connections_max = (unsigned)min_u64(options->connections_max, INT32_MAX);
	else
		reactor->connections_max =
		    (unsigned)min_u64(max_u64(limit / 2, 1), CONNECTIONS_DEFAULT_MAX);
	reactor->descriptors_end =
	    options->last_descriptors ? INT32_MAX : (int)min_u64(limit - kept, INT32_MAX);
}

int reactor_new(const struct reactor_options *options, struct reactor **ret, struct err *err)
{
	struct reactor *reactor = calloc(1, sizeof(*reactor));
	unsigned threads = options->threads ? options->threads : (unsigned)sys_cpu_count();

	if (!reactor)
		return err_set(err, -ENOMEM, "out of memory");
	reactor->options = *options;
	if (!reactor->options.drain_ms)
		reactor->options.drain_ms = DRAIN_MS_DEFAULT;
	if (!reactor->options.helpers_ms)
		reactor->options.helpers_ms = HELPERS_MS_DEFAULT;
	reactor->signal_fd = -1;
	reactor->watchdog_fd = -1;
	reactor->watchdog_ms = options->watchdog_ms ? options->watchdog_ms : WATCHDOG_MS_DEFAULT;
	set_limits(reactor, options);
	pthread_mutex_init(&reactor->start_lock, NULL);
	pthread_cond_init(&reactor->start_changed, NULL);
	pthread_mutex_init(&reactor->listeners_lock, NULL);
	helpers_init(&reactor->helpers, options->helpers);
	threads = (unsigned)min_u64(threads, LOOPS_MAX);
	reactor->loops = aligned_alloc(_Alignof(struct loop), threads * sizeof(struct loop));
	if (!reactor->loops) {
		reactor_free(reactor);
		return err_set(err, -ENOMEM, "out of memory");
	}
	memset(reactor->loops, 0, threads * sizeof(struct loop));
	while (reactor->loop_count < threads) {
		unsigned index = reactor->loop_count++;
		int r = loop_init(&reactor->loops[index], reactor, index, err);

		if (r < 0) {
			reactor_free(reactor);
			return r;
		}
	}
	*ret = reactor;
	return 0;
}

void reactor_free(struct reactor *reactor)
{
	/* A helper that wakes up late finds its loop. */
	if (!reactor || reactor->stuck)
		return;
	let_signals_go(reactor);
	listeners_close(reactor);
	for (unsigned i = 0; i < reactor->loop_count; i++)
		loop_fini(&reactor->loops[i]);
	free(reactor->loops);
	free(reactor);
}

unsigned reactor_loop_count(const struct reactor *reactor)
{
	return reactor->loop_count;
}

/* ---- signals ---- */

void reactor_command_all(struct reactor *reactor, unsigned commands)
{
	for (unsigned i = 0; i < reactor->loop_count; i++)
		loop_command(&reactor->loops[i], commands);
}

void reactor_begin_stop(struct reactor *reactor)
{
	if (reactor->stopping)
		return;
	reactor->stopping = true;
	watchdog_see_stop(reactor);
	listeners_end(reactor);
	reactor_command_all(reactor, COMMAND_DRAIN);
}

void reactor_stop(struct reactor *reactor)
{
	loop_command(&reactor->loops[0], COMMAND_STOP);
}

static void on_signal(struct reactor *reactor, int signo)
{
	if (signo == SIGHUP)
		reactor_command_all(reactor, COMMAND_HANGUP);
	else if (!reactor->stopping)
		reactor_begin_stop(reactor);
	else
		reactor_command_all(reactor, COMMAND_KILL);
}

static void read_signals(struct watch *watch, uint32_t epoll_events)
{
	struct signalfd_siginfo info;

	while (sys_read(watch->fd, &info, sizeof(info)) == sizeof(info))
		on_signal(watch->arg, (int)info.ssi_signo);
}

static void drop_signals(struct watch *watch)
{
	struct signalfd_siginfo info;

	while (sys_read(watch->fd, &info, sizeof(info)) == sizeof(info))
		;
}

static int signals_open(struct reactor *reactor, struct err *err)
{
	struct loop *loop = &reactor->loops[0];
	sigset_t signals;
	int r;

	handled_signals(&signals);
	reactor->signal_fd = sys_signalfd(&signals);
	if (reactor->signal_fd < 0)
		return err_set(err, reactor->signal_fd, "signalfd: %s",
			       strerror(-reactor->signal_fd));
	reactor->signals =
	    (struct watch){.fd = reactor->signal_fd, .ready = read_signals, .arg = reactor};
	r = loop_watch(loop, &reactor->signals, EPOLLIN);
	if (r < 0) {
		sys_close(reactor->signal_fd);
		reactor->signal_fd = -1;
		return err_set(err, r, "epoll: signals: %s", strerror(-r));
	}
	sys_signal_ignore(SIGPIPE);
	reactor_hold_signals(reactor);
	return 0;
}

static void signals_close(struct reactor *reactor)
{
	/* What came after the first has done its work, or came too late: not for the caller. */
	drop_signals(&reactor->signals);
	loop_unwatch(&reactor->loops[0], &reactor->signals);
	sys_close(reactor->signal_fd);
	reactor->signal_fd = -1;
	let_signals_go(reactor);
}

/* ---- start and end of a loop's thread ---- */

static int open_room(struct loop *loop, struct err *err)
{
	const struct reactor_options *options = &loop->reactor->options;
	int r;

	if (!options->loop_open)
		return 0;
	r = options->loop_open(loop, options->arg, &loop->data, err);
	loop->data_open = r == 0;
	return r;
}

static void report(struct loop *loop, int error)
{
	struct reactor *reactor = loop->reactor;

	pthread_mutex_lock(&reactor->start_lock);
	loop->start_error = error;
	reactor->start_reported++;
	pthread_cond_broadcast(&reactor->start_changed);
	pthread_mutex_unlock(&reactor->start_lock);
}

static bool may_go(struct reactor *reactor)
{
	bool go;

	pthread_mutex_lock(&reactor->start_lock);
	while (reactor->start_decision == START_WAIT)
		pthread_cond_wait(&reactor->start_changed, &reactor->start_lock);
	go = reactor->start_decision == START_GO;
	pthread_mutex_unlock(&reactor->start_lock);
	return go;
}

static void live(struct loop *loop, bool go)
{
	if (go)
		loop_run(loop);
	/* With jobs under way the room's state is theirs, too. */
	if (loop->data_open && loop->reactor->options.loop_close && !loop->jobs)
		loop->reactor->options.loop_close(loop, loop->data);
	loop->data_open = false;
	loop_enter(NULL);
}

static void *loop_main(void *arg)
{
	struct loop *loop = arg;
	char name[16];
	int r;

	snprintf(name, sizeof(name), "leat-loop-%u", loop->index);
	pthread_setname_np(pthread_self(), name);
	loop_enter(loop);
	r = open_room(loop, &loop->start_text);
	if (r == 0)
		r = gates_open(loop, &loop->start_text);
	report(loop, r);
	live(loop, may_go(loop->reactor));
	return NULL;
}

static unsigned start_threads(struct reactor *reactor, struct err *err)
{
	unsigned started = 1;

	for (; started < reactor->loop_count; started++) {
		struct loop *loop = &reactor->loops[started];
		int error = pthread_create(&loop->thread, NULL, loop_main, loop);

		if (error) {
			err_set(err, -error, "can't start %u threads: %s; try --threads with less",
				reactor->loop_count, strerror(error));
			break;
		}
	}
	return started;
}

/* The first loop that could not open says why. */
static int wait_for_loops(struct reactor *reactor, unsigned started, struct err *err)
{
	int r = started < reactor->loop_count ? -EAGAIN : 0;

	pthread_mutex_lock(&reactor->start_lock);
	while (reactor->start_reported < started)
		pthread_cond_wait(&reactor->start_changed, &reactor->start_lock);
	for (unsigned i = 0; i < started && r == 0; i++) {
		r = reactor->loops[i].start_error;
		if (r < 0)
			err_set(err, r, "%s", reactor->loops[i].start_text.text);
	}
	pthread_mutex_unlock(&reactor->start_lock);
	return r;
}

static int decide(struct reactor *reactor, unsigned started, struct err *err)
{
	int r = wait_for_loops(reactor, started, err);

	if (r == 0)
		r = listeners_listen(reactor, err);
	if (r == 0 && reactor->options.ready)
		r = reactor->options.ready(reactor->options.arg, err);
	pthread_mutex_lock(&reactor->start_lock);
	reactor->start_decision = r == 0 ? START_GO : START_ABORT;
	pthread_cond_broadcast(&reactor->start_changed);
	pthread_mutex_unlock(&reactor->start_lock);
	return r;
}

/* ---- run ---- */

/* Loops are kept even while accepting, so none gets much more than its share; twice that is room
 * for what the balance leaves, and costs only addresses. */
static int reserve_in_each(struct reactor *reactor, size_t slot_size)
{
	uint64_t share = reactor->connections_max * 2ull / reactor->loop_count + 64;
	int r = 0;

	for (unsigned i = 0; i < reactor->loop_count && r == 0; i++)
		r = loop_reserve(&reactor->loops[i], (uint32_t)share, slot_size);
	for (unsigned i = 0; i < reactor->loop_count && r < 0; i++)
		loop_unreserve(&reactor->loops[i]);
	return r;
}

/* Slots for the largest connections any listener has so far, or options.data_size_min says. */
static int reserve(struct reactor *reactor, struct err *err)
{
	size_t slot_size = conn_slot_size(reactor->options.data_size_min);
	int r;

	pthread_mutex_lock(&reactor->listeners_lock);
	for (unsigned i = 0; i < reactor->listener_count; i++)
		if (reactor->listeners[i].state == LISTENER_OPEN)
			slot_size = max_u64(slot_size,
					    conn_slot_size(reactor->listeners[i].ops->data_size));
	reactor->slot_size = slot_size;
	pthread_mutex_unlock(&reactor->listeners_lock);
	r = reserve_in_each(reactor, slot_size);
	/* Addresses count as memory under ulimit -v and vm.overcommit_memory=2. Nobody asked for so
	 * many connections: then for less. */
	while (r < 0 && !reactor->options.connections_max && reactor->connections_max > 64) {
		reactor->connections_max /= 2;
		r = reserve_in_each(reactor, slot_size);
	}
	if (r < 0)
		return err_set(err, r,
			       "can't reserve addresses for %u connections of %zu bytes: allow "
			       "less of them, or raise ulimit -v",
			       reactor->connections_max, slot_size);
	return 0;
}

static int end_helpers(struct reactor *reactor, int result, struct err *err)
{
	char text[512];
	struct buf buf = buf_over(text, sizeof(text) - 1);
	unsigned jobs = 0;

	for (unsigned i = 0; i < reactor->loop_count; i++)
		jobs += reactor->loops[i].jobs;
	reactor->stuck = jobs > 0;
	if (reactor->stuck)
		helpers_describe(&reactor->helpers, &buf);
	helpers_end(&reactor->helpers, reactor->stuck);
	if (!reactor->stuck)
		return result;
	return err_set(
	    err, -ETIMEDOUT,
	    "ending without %u jobs of helper threads, which have not come to their end in "
	    "time: %.*s",
	    jobs, (int)buf.len, buf.ptr);
}

bool reactor_is_stuck(const struct reactor *reactor)
{
	return reactor->stuck;
}

static int run_loops(struct reactor *reactor, struct err *err)
{
	struct loop *own = &reactor->loops[0];
	unsigned started;
	int r;

	atomic_store(&reactor->loops_busy, reactor->loop_count);
	reactor->loops_accepting = reactor->loop_count;
	started = start_threads(reactor, err);
	loop_enter(own);
	r = open_room(own, &own->start_text);
	if (r == 0)
		r = gates_open(own, &own->start_text);
	report(own, r);
	r = decide(reactor, started, err);
	live(own, r == 0);
	for (unsigned i = 1; i < started; i++)
		pthread_join(reactor->loops[i].thread, NULL);
	return end_helpers(reactor, r, err);
}

int reactor_run(struct reactor *reactor, struct err *err)
{
	bool signals = !reactor->options.no_signals;
	int r;

	CHECK(reactor->start_decision == START_WAIT);
	r = reserve(reactor, err);
	if (r == 0 && signals)
		r = signals_open(reactor, err);
	if (r == 0) {
		if (signals)
			watchdog_start(reactor);
		r = run_loops(reactor, err);
		watchdog_end(reactor);
		if (signals)
			signals_close(reactor);
	}
	/* Also when nothing ran: whoever connects would wait for ever. */
	listeners_close(reactor);
	return r;
}

/* ---- statistics ---- */

uint64_t reactor_turn_ms(const struct reactor *reactor)
{
	uint64_t now_ms = sys_now_coarse_ns() / 1000000, longest = 0;

	for (unsigned i = 0; i < reactor->loop_count; i++) {
		uint64_t since =
		    atomic_load_explicit(&reactor->loops[i].turn_ms, memory_order_relaxed);

		if (since && now_ms > since)
			longest = max_u64(longest, now_ms - since);
	}
	return longest;
}

void reactor_stats(const struct reactor *reactor, struct reactor_stats *ret)
{
	struct reactor_stats sum = {0};

	for (unsigned i = 0; i < reactor->loop_count; i++) {
		const struct loop_stats *s = &reactor->loops[i].stats;

		sum.accepted += atomic_load_explicit(&s->accepted, memory_order_relaxed);
		sum.closed += atomic_load_explicit(&s->closed, memory_order_relaxed);
		sum.refused += atomic_load_explicit(&s->refused, memory_order_relaxed);
		sum.turns += atomic_load_explicit(&s->turns, memory_order_relaxed);
		sum.events += atomic_load_explicit(&s->events, memory_order_relaxed);
		sum.helper_jobs += atomic_load_explicit(&s->helper_jobs, memory_order_relaxed);
		sum.posts += atomic_load_explicit(&s->posts, memory_order_relaxed);
		sum.open += atomic_load_explicit(&reactor->loops[i].load, memory_order_relaxed);
	}
	helpers_stats((struct helpers *)&reactor->helpers, &sum);
	*ret = sum;
}
