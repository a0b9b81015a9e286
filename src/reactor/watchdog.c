/*
 * The watchdog: ends the process where the loops can't.
 *
 * No loop waits for anything but events, as far as we know; should one hang in the kernel all the
 * same (or in an endless loop), then loop 0 reads no signals, or waits for a thread that never
 * ends, and SIGTERM has no effect. A thread of its own sleeps until a signal comes or the end
 * begins, and then looks once a second: an end that takes longer than connections and helpers
 * have, or a signal that loop 0 does not take in that time, is ended by exit. A process that is
 * told nothing never wakes it.
 *
 *     asleep ──signal, reactor_begin_stop()──> looking ──taken, and no end (SIGHUP)──> asleep
 *        │                                        │ ──the run has ended──> gone
 *        └──the run has ended──> gone             └──too long──> exit(1)
 */
#include <stdlib.h>

#include "base/log.h"
#include "reactor/internal.h"
#include "sys/sys.h"

#define LOOK_MS 1000

static uint64_t now_ms(void)
{
	return sys_now_coarse_ns() / 1000000;
}

static uint64_t limit_ms(const struct reactor *reactor)
{
	return (uint64_t)reactor->options.drain_ms + reactor->options.helpers_ms +
	       reactor->watchdog_ms;
}

static bool is_readable(int fd, int timeout_ms)
{
	struct pollfd poll = {.fd = fd, .events = POLLIN};

	return sys_poll(&poll, 1, timeout_ms) > 0;
}

static void give_up(void)
{
	log_error("a thread does not come back, from the kernel or at all: ending without it");
	sys_exit(EXIT_FAILURE);
}

/* What was said up to now is known. */
static void take_news(struct reactor *reactor)
{
	uint64_t count;

	(void)sys_read(reactor->watchdog_fd, &count, sizeof(count));
}

/* Until there is nothing to wait for. */
static void look(struct reactor *reactor)
{
	uint64_t first_ms = now_ms();

	while (!atomic_load(&reactor->run_ended)) {
		uint64_t stop_ms = atomic_load(&reactor->stop_ms);

		if (!stop_ms && !is_readable(reactor->signal_fd, 0))
			return;
		if (now_ms() - (stop_ms ? stop_ms : first_ms) > limit_ms(reactor))
			give_up();
		if (is_readable(reactor->watchdog_fd, LOOK_MS))
			take_news(reactor);
	}
}

static void *watchdog_main(void *arg)
{
	struct reactor *reactor = arg;

	pthread_setname_np(pthread_self(), "leat-watchdog");
	while (!atomic_load(&reactor->run_ended)) {
		struct pollfd news[2] = {
		    {.fd = reactor->signal_fd, .events = POLLIN},
		    {.fd = reactor->watchdog_fd, .events = POLLIN},
		};

		(void)sys_poll(news, 2, -1);
		if (news[1].revents)
			take_news(reactor);
		look(reactor);
	}
	return NULL;
}

/* Without a thread or a descriptor for it the server runs as well. */
void watchdog_start(struct reactor *reactor)
{
	int fd = sys_eventfd();

	reactor->watchdog_fd = fd;
	if (fd < 0)
		return;
	if (pthread_create(&reactor->watchdog, NULL, watchdog_main, reactor) == 0)
		return;
	sys_close(fd);
	reactor->watchdog_fd = -1;
}

void watchdog_see_stop(struct reactor *reactor)
{
	atomic_store(&reactor->stop_ms, now_ms());
	if (reactor->watchdog_fd >= 0)
		sys_eventfd_signal(reactor->watchdog_fd);
}

void watchdog_end(struct reactor *reactor)
{
	if (reactor->watchdog_fd < 0)
		return;
	atomic_store(&reactor->run_ended, true);
	sys_eventfd_signal(reactor->watchdog_fd);
	pthread_join(reactor->watchdog, NULL);
	sys_close(reactor->watchdog_fd);
	reactor->watchdog_fd = -1;
}
