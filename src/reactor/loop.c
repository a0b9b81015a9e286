/*
 * A loop: epoll, its clock, timers, watches and messages. One thread, which is the only one to
 * touch it but for what internal.h names.
 *
 * A turn, in this order:
 *     1. wait for events (not at all while something is left to do)
 *     2. read the clock
 *     3. watches with `first`: news that no request may overtake
 *     4. messages and finished jobs that were there when their turn came
 *     5. the other watches and the connections
 *     6. deadlines, unless something that has arrived may not have been read yet
 *     7. connections that asked for another turn
 *     8. slots of closed connections become free
 *
 * The loop makes one system call a turn, epoll_wait; it has no timer descriptor (the wheel gives
 * the timeout) and never wakes up without a cause.
 *
 * A deadline says that a peer was silent for so long, so it must not fire while what the peer said
 * waits to be read: behind a full batch, behind an interrupted wait (epoll_wait() returns EINTR
 * after SIGSTOP and SIGCONT, with no handler either), or on another loop of a process that did not
 * run for a while (stopped, frozen with its container or machine, no CPU). deadlines_wait() tells.
 *
 * The clock is CLOCK_MONOTONIC_COARSE: it comes from the vDSO whatever the clock source is, a few
 * nanoseconds, and its lag of a tick does not matter to deadlines of seconds. It is fresh after
 * idling: the tick is caught up on when the CPU leaves idle (tick_irq_enter).
 */
#include "reactor/internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "sys/sys.h"

/* Events name a connection by its address and a watch by its address plus this: both are aligned.
 */
#define WATCH_TAG 1

static void *tag_watch(struct watch *watch)
{
	return (char *)watch + WATCH_TAG;
}

/* NULL: a connection's event, or one that was taken back. */
static struct watch *event_watch(const struct epoll_event *event)
{
	void *tagged = event->data.ptr;

	return (uintptr_t)tagged & WATCH_TAG ? (void *)((char *)tagged - WATCH_TAG) : NULL;
}

static _Thread_local struct loop *current;

struct loop *loop_current(void)
{
	return current;
}

void loop_enter(struct loop *loop)
{
	current = loop;
}

unsigned loop_index(const struct loop *loop)
{
	return loop->index;
}

struct reactor *loop_reactor(const struct loop *loop)
{
	return loop->reactor;
}

bool loop_is_draining(const struct loop *loop)
{
	return loop->draining;
}

uint64_t loop_now_ms(const struct loop *loop)
{
	return loop->now_ms;
}

uint64_t loop_turns(const struct loop *loop)
{
	return atomic_load_explicit(&loop->stats.turns, memory_order_relaxed);
}

int64_t loop_wall(const struct loop *loop)
{
	return loop->wall;
}

void *loop_data(const struct loop *loop)
{
	return loop->data;
}

/* ---- waking ---- */

static void wake_if_asleep(struct loop *loop)
{
	if (atomic_load(&loop->asleep) && atomic_exchange(&loop->asleep, false))
		sys_eventfd_signal(loop->wake_fd);
}

void loop_command(struct loop *loop, unsigned commands)
{
	atomic_fetch_or(&loop->commands, commands);
	sys_eventfd_signal(loop->wake_fd);
}

int loop_post(struct loop *loop, void (*fn)(void *arg), void *arg)
{
	if (!ring_push(&loop->ring, (struct ring_message){fn, arg}))
		return -ENOBUFS;
	wake_if_asleep(loop);
	return 0;
}

void loop_job_finished(struct loop *loop, struct job *job)
{
	job->next = atomic_load_explicit(&loop->finished, memory_order_relaxed);
	while (!atomic_compare_exchange_weak(&loop->finished, &job->next, job))
		;
	wake_if_asleep(loop);
}

/* ---- watches and timers ---- */

int loop_watch(struct loop *loop, struct watch *watch, uint32_t epoll_events)
{
	int r =
	    sys_epoll_ctl(loop->epoll, EPOLL_CTL_ADD, watch->fd, epoll_events, tag_watch(watch));

	if (r == 0 && watch->first)
		loop->first_watches++;
	return r;
}

void loop_unwatch(struct loop *loop, struct watch *watch)
{
	sys_epoll_ctl(loop->epoll, EPOLL_CTL_DEL, watch->fd, 0, NULL);
	if (watch->first)
		loop->first_watches--;
	/* Its memory may go now: what was reported already must not reach it. */
	for (int i = 0; i < loop->batch_count; i++)
		if (loop->events[i].data.ptr == tag_watch(watch))
			loop->events[i].data.ptr = NULL;
}

void loop_timer_set(struct loop *loop, struct timer *timer, uint32_t ms)
{
	wheel_set(&loop->wheel, &timer->node, loop->now_ms + ms);
}

void loop_timer_cancel(struct loop *loop, struct timer *timer)
{
	wheel_cancel(&loop->wheel, &timer->node);
}

/* ---- a turn ---- */

static bool messages_waiting(const struct loop *loop)
{
	return !ring_empty(&loop->ring) || atomic_load(&loop->finished);
}

/* Until the next deadline; 0: there is work; -1: no end. */
static int timeout_ms(const struct loop *loop)
{
	uint64_t next;

	if (!list_empty(&loop->again))
		return 0;
	next = wheel_next(&loop->wheel);
	if (next == WHEEL_NEVER)
		return -1;
	next = max_u64(next, loop->deadlines_from);
	if (next <= loop->now_ms)
		return 0;
	return (int)min_u64(next - loop->now_ms + CLOCK_LAG_MS, INT32_MAX);
}

static void wait_for_events(struct loop *loop)
{
	int timeout = timeout_ms(loop), count;

	if (timeout != 0) {
		atomic_exchange(&loop->asleep, true);
		if (messages_waiting(loop))
			timeout = 0;
	}
	atomic_store_explicit(&loop->turn_ms, 0, memory_order_relaxed);
	count = sys_epoll_wait(loop->epoll, loop->events, BATCH_EVENTS, timeout);
	atomic_store_explicit(&loop->asleep, false, memory_order_relaxed);
	/* Only EBADF, EFAULT and EINVAL are left, our own mistakes: like a signal, nothing came. */
	loop->batch_count = count > 0 ? count : 0;
	loop->all_heard = count >= 0 && count < BATCH_EVENTS;
	stat_add(&loop->stats.turns, 1);
	stat_add(&loop->stats.events, (uint64_t)loop->batch_count);
}

static void read_clock(struct loop *loop)
{
	uint64_t now_ms = sys_now_coarse_ns() / 1000000;

	/* Both clocks move with the same tick. */
	if (now_ms == loop->now_ms)
		return;
	loop->now_ms = now_ms;
	loop->wall = sys_wall_time();
}

static void run_first_watches(struct loop *loop)
{
	if (loop->first_watches == 0)
		return;
	for (int i = 0; i < loop->batch_count; i++) {
		struct watch *watch = event_watch(&loop->events[i]);

		if (!watch || !watch->first)
			continue;
		loop->events[i].data.ptr = NULL;
		watch->ready(watch, loop->events[i].events);
	}
}

static void run_events(struct loop *loop)
{
	for (int i = 0; i < loop->batch_count; i++) {
		struct epoll_event *event = &loop->events[i];
		struct watch *watch = event_watch(event);

		if (watch)
			watch->ready(watch, event->events);
		else if (event->data.ptr)
			conn_dispatch(event->data.ptr, event->events);
	}
	loop->batch_count = 0;
}

static void run_finished_jobs(struct loop *loop)
{
	struct job *job, *oldest = NULL;

	/* Nearly always empty: look before taking the cache line for writing. */
	if (!atomic_load_explicit(&loop->finished, memory_order_relaxed))
		return;
	job = atomic_exchange(&loop->finished, NULL);
	while (job) {
		struct job *next = job->next;

		job->next = oldest;
		oldest = job;
		job = next;
	}
	while ((job = oldest)) {
		oldest = job->next;
		loop->jobs--;
		job->done(job);
	}
}

/* What came while these ran waits for the next turn: two loops that answer each other at once must
 * not keep their connections waiting. */
static void run_messages(struct loop *loop)
{
	struct ring_message message;
	uint64_t left = ring_pending(&loop->ring), done = 0;

	while (done < left && ring_pop(&loop->ring, &message)) {
		message.fn(message.arg);
		done++;
	}
	if (done)
		stat_add(&loop->stats.posts, done);
	run_finished_jobs(loop);
}

/* Each batch takes others than the ones before, as long as some are left: no more batches than the
 * loop has connections for, and its other descriptors. */
static unsigned batches_max(const struct loop *loop)
{
	return atomic_load_explicit(&loop->load, memory_order_relaxed) / BATCH_EVENTS + 2;
}

static bool deadlines_wait(struct loop *loop)
{
	uint64_t next = wheel_next(&loop->wheel), now = loop->now_ms;

	if (next <= now && loop->deadlines_from == 0)
		loop->deadlines_from = now - next > HELD_UP_MS ? now + HELD_UP_GRACE_MS : now;
	if (next <= now && now < loop->deadlines_from)
		return true;
	if (next <= now && !loop->all_heard && loop->unheard++ < batches_max(loop))
		return true;
	loop->deadlines_from = 0;
	loop->unheard = 0;
	return false;
}

static void run_deadlines(struct loop *loop)
{
	struct wheel_timer *node;

	if (deadlines_wait(loop))
		return;
	wheel_advance(&loop->wheel, loop->now_ms);
	while ((node = wheel_expired(&loop->wheel))) {
		struct timer *timer = container_of(node, struct timer, node);

		timer->fired(timer);
	}
}

/* ---- draining and the end ---- */

static void grace_over(struct timer *timer)
{
	struct loop *loop = timer->arg;

	loop->gave_up = true;
}

/* Nobody waits for anything any more but for helpers, and for them not long. */
static void kill_all(struct loop *loop)
{
	conns_close_all(loop);
	loop->grace_timer = (struct timer){.fired = grace_over, .arg = loop};
	loop_timer_set(loop, &loop->grace_timer, loop->reactor->options.helpers_ms);
}

static void drain_over(struct timer *timer)
{
	kill_all(timer->arg);
}

static void begin_drain(struct loop *loop)
{
	if (loop->draining)
		return;
	loop->draining = true;
	gates_close(loop);
	loop->drain_timer = (struct timer){.fired = drain_over, .arg = loop};
	loop_timer_set(loop, &loop->drain_timer, loop->reactor->options.drain_ms);
	conns_drain(loop);
}

static void run_commands(struct watch *watch, uint32_t epoll_events)
{
	struct loop *loop = watch->arg;
	unsigned commands = atomic_exchange(&loop->commands, 0);

	if (commands & COMMAND_HANGUP && loop->reactor->options.hangup)
		loop->reactor->options.hangup(loop, loop->data);
	if (commands & COMMAND_LISTENERS)
		gates_follow(loop);
	if (commands & COMMAND_STOP)
		reactor_begin_stop(loop->reactor);
	if (commands & COMMAND_DRAIN)
		begin_drain(loop);
	if (commands & COMMAND_KILL)
		kill_all(loop);
	if (commands & COMMAND_END) {
		conns_close_all(loop);
		loop->ended = true;
	}
}

static bool waits_for_helpers(const struct loop *loop)
{
	return loop->jobs && !loop->gave_up;
}

static void say_when_quiet(struct loop *loop)
{
	if (!loop->draining || loop->quiet || waits_for_helpers(loop) || atomic_load(&loop->load))
		return;
	loop->quiet = true;
	if (atomic_fetch_sub(&loop->reactor->loops_busy, 1) == 1)
		reactor_command_all(loop->reactor, COMMAND_END);
}

static void turn(struct loop *loop)
{
	wait_for_events(loop);
	read_clock(loop);
	atomic_store_explicit(&loop->turn_ms, loop->now_ms, memory_order_relaxed);
	run_first_watches(loop);
	run_messages(loop);
	run_events(loop);
	run_deadlines(loop);
	conns_run_again(loop);
	conns_bury(loop);
	say_when_quiet(loop);
}

void loop_run(struct loop *loop)
{
	/* Listeners that were added while the loops were opened. */
	gates_follow(loop);
	while (!loop->ended || waits_for_helpers(loop))
		turn(loop);
	/* What was sent before every loop was quiet, and what came of it. */
	run_messages(loop);
	conns_close_all(loop);
	conns_bury(loop);
	while (waits_for_helpers(loop))
		turn(loop);
	loop_timer_cancel(loop, &loop->drain_timer);
	loop_timer_cancel(loop, &loop->grace_timer);
}

/* ---- memory ---- */

static void *map_zeroed(size_t size)
{
	int error;

	/* NORESERVE: address space only, so that the limits can be generous. */
	return sys_mmap(size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
			-1, 0, &error);
}

int loop_init(struct loop *loop, struct reactor *reactor, unsigned index, struct err *err)
{
	int r;

	loop->reactor = reactor;
	loop->index = index;
	loop->epoll = -1;
	loop->wake_fd = -1;
	list_init(&loop->open);
	list_init(&loop->asked);
	list_init(&loop->again);
	list_init(&loop->dead);
	read_clock(loop);
	wheel_init(&loop->wheel, loop->now_ms);
	loop->epoll = sys_epoll_create();
	if (loop->epoll < 0)
		return err_set(err, loop->epoll, "epoll: %s", strerror(-loop->epoll));
	loop->wake_fd = sys_eventfd();
	if (loop->wake_fd < 0)
		return err_set(err, loop->wake_fd, "eventfd: %s", strerror(-loop->wake_fd));
	loop->ring_cells = map_zeroed(RING_MESSAGES * sizeof(struct ring_cell));
	if (!loop->ring_cells)
		return err_set(err, -ENOMEM, "no memory for a loop's messages");
	ring_init(&loop->ring, loop->ring_cells, RING_MESSAGES);
	/* Edge-triggered: each write to an eventfd wakes anew, whatever its count (eventfd_write
	 * calls the waiters each time), so that it never has to be read. */
	loop->wake = (struct watch){.fd = loop->wake_fd, .ready = run_commands, .arg = loop};
	r = loop_watch(loop, &loop->wake, EPOLLIN | EPOLLET);
	return r < 0 ? err_set(err, r, "epoll: eventfd: %s", strerror(-r)) : 0;
}

int loop_reserve(struct loop *loop, uint32_t conns, size_t slot_size)
{
	loop->conns_memory_size = conns * slot_size;
	loop->conns_memory = map_zeroed(loop->conns_memory_size);
	if (!loop->conns_memory)
		return -ENOMEM;
	slots_init(&loop->conns, loop->conns_memory, slot_size, conns);
	return 0;
}

static void unmap(void *memory, size_t size)
{
	if (memory)
		sys_munmap(memory, size);
}

void loop_unreserve(struct loop *loop)
{
	unmap(loop->conns_memory, loop->conns_memory_size);
	loop->conns_memory = NULL;
}

void loop_fini(struct loop *loop)
{
	loop_unreserve(loop);
	unmap(loop->ring_cells, RING_MESSAGES * sizeof(struct ring_cell));
	if (loop->wake_fd >= 0)
		sys_close(loop->wake_fd);
	if (loop->epoll >= 0)
		sys_close(loop->epoll);
}
