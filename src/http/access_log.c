#include "http/access_log.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/counter.h"
#include "base/log.h"
#include "http/http_limits.h"
#include "sys/sys.h"

#define RING_MASK (ACCESS_LOG_RING_BYTES - 1)
_Static_assert((ACCESS_LOG_RING_BYTES & RING_MASK) == 0, "positions are masked");

struct access_log_ring {
	struct access_log *log;
	struct access_log_ring *next;
	/* Each side writes its own cache line. */
	_Alignas(64) _Atomic uint64_t head; /* the loop's */
	uint64_t tail_seen;                 /* the loop's last look at the tail */
	uint64_t lines, lost;               /* counter.h, as all statistics here */
	_Alignas(64) _Atomic uint64_t tail; /* the writer's */
	size_t cut;                         /* of the line at the tail, in the file already */
	_Alignas(64) char bytes[ACCESS_LOG_RING_BYTES];
};

enum wanted {
	WANTED_LINES = 1u << 0, /* there are some: within ACCESS_LOG_FLUSH_MS */
	WANTED_NOW = 1u << 1,   /* a ring is filling up */
	WANTED_REOPEN = 1u << 2,
	WANTED_END = 1u << 3,
};

struct access_log {
	const char *path; /* NULL: standard output */
	int fd;
	int wake_fd, ended_fd;   /* eventfds: for the writer, and its last word */
	_Atomic unsigned wanted; /* enum wanted */
	_Atomic(struct access_log_ring *) rings;
	struct access_log_ring *at; /* the writer's: where a line may be cut; NULL: the first */
	uint64_t written, errors;
	bool started;
	pthread_t writer;
};

/* To the side that moves it, or to one that only looks. */
static uint64_t position(const _Atomic uint64_t *of)
{
	return atomic_load_explicit(of, memory_order_relaxed);
}

static const char *name_of(const struct access_log *log)
{
	return log->path ? log->path : "standard output";
}

static void want(struct access_log *log, unsigned what)
{
	if ((atomic_load(&log->wanted) & what) == what)
		return;
	if ((atomic_fetch_or(&log->wanted, what) & what) != what)
		sys_eventfd_signal(log->wake_fd);
}

/* ---- the loops' side ---- */

int access_log_ring_new(struct access_log *log, struct access_log_ring **ret)
{
	struct access_log_ring *ring =
	    aligned_alloc(_Alignof(struct access_log_ring), sizeof(struct access_log_ring));

	if (!ring)
		return -ENOMEM;
	/* Not its bytes: they are touched as they are used. */
	memset(ring, 0, offsetof(struct access_log_ring, bytes));
	ring->log = log;
	ring->next = atomic_load(&log->rings);
	while (!atomic_compare_exchange_weak(&log->rings, &ring->next, ring))
		;
	*ret = ring;
	return 0;
}

static size_t room_in(struct access_log_ring *ring, uint64_t head)
{
	return ACCESS_LOG_RING_BYTES - (size_t)(head - ring->tail_seen);
}

static bool drop(struct access_log_ring *ring, uint64_t now_ns)
{
	counter_add(&ring->lost, 1);
	want(ring->log, WANTED_LINES | WANTED_NOW);
	log_limited(now_ns, LOG_LEVEL_WARNING,
		    "access log: lines are lost, %s does not take them fast enough",
		    name_of(ring->log));
	return false;
}

bool access_log_add(struct access_log_ring *ring, const char *line, size_t len, uint64_t now_ns)
{
	uint64_t head = position(&ring->head);
	size_t at = head & RING_MASK, first = min_size(len, ACCESS_LOG_RING_BYTES - at);

	/* The tail is the writer's cache line: looked at only when the room seems to be half. */
	if (room_in(ring, head) < len + ACCESS_LOG_RING_BYTES / 2)
		ring->tail_seen = atomic_load_explicit(&ring->tail, memory_order_acquire);
	if (room_in(ring, head) < len)
		return drop(ring, now_ns);
	memcpy(ring->bytes + at, line, first);
	memcpy(ring->bytes, line + first, len - first);
	atomic_store(&ring->head, head + len);
	counter_add(&ring->lines, 1);
	want(ring->log, room_in(ring, head + len) < ACCESS_LOG_RING_BYTES / 2
			    ? WANTED_LINES | WANTED_NOW
			    : WANTED_LINES);
	return true;
}

void access_log_reopen(struct access_log *log)
{
	want(log, WANTED_REOPEN);
}

/* ---- the file ---- */

static int open_file(const char *path)
{
	/* O_NONBLOCK: opening a FIFO without a reader would wait for one. */
	int fd = sys_open(path, O_WRONLY | O_APPEND | O_CREAT | O_NONBLOCK | O_NOCTTY, 0640), r;

	if (fd < 0)
		return fd;
	/* Writing may wait: the writer has nothing else to do. */
	r = sys_set_nonblock(fd, false);
	if (r < 0) {
		sys_close(fd);
		return r;
	}
	return fd;
}

static const char *open_error(int error)
{
	return error == -ENXIO ? "a FIFO that nobody reads" : strerror(-error);
}

static void say_failure(struct access_log *log, const char *what, const char *why, const char *then)
{
	counter_add(&log->errors, 1);
	log_limited(sys_now_coarse_ns(), LOG_LEVEL_ERROR, "access log: can't %s %s: %s%s", what,
		    name_of(log), why, then);
}

/* False too where it can't be said. */
static bool is_same_file(int a, int b)
{
	struct stat first, second;

	return sys_fstat(a, &first) == 0 && sys_fstat(b, &second) == 0 &&
	       first.st_dev == second.st_dev && first.st_ino == second.st_ino;
}

static void reopen(struct access_log *log)
{
	int fd;

	if (!log->path)
		return;
	fd = open_file(log->path);
	if (fd < 0) {
		say_failure(log, "open", open_error(fd), ": lines go on to the file that is open");
		return;
	}
	/* Another file has nothing of the line that this one has a part of. */
	if (log->at && !is_same_file(log->fd, fd))
		log->at->cut = 0;
	sys_close(log->fd);
	log->fd = fd;
}

/* ---- the writer ---- */

/* Of the ring's bytes from `from` on, one or two pieces of memory. */
static int pieces_of(struct access_log_ring *ring, uint64_t from, uint64_t to, struct iovec iov[2])
{
	size_t at = from & RING_MASK, len = (size_t)(to - from);
	size_t first = min_size(len, ACCESS_LOG_RING_BYTES - at);

	iov[0] = (struct iovec){ring->bytes + at, first};
	iov[1] = (struct iovec){ring->bytes, len - first};
	return len > first ? 2 : 1;
}

/* The file has the ring's bytes up to `end`: the tail goes to the last beginning of a line. */
static void advance(struct access_log_ring *ring, uint64_t end)
{
	uint64_t tail = position(&ring->tail), line = end;

	while (line > tail && ring->bytes[(line - 1) & RING_MASK] != '\n')
		line--;
	ring->cut = (size_t)(end - line);
	atomic_store_explicit(&ring->tail, line, memory_order_release);
}

/* Somebody else's standard output may be non-blocking. */
static bool is_writable_again(const struct access_log *log)
{
	struct pollfd room = {.fd = log->fd, .events = POLLOUT};

	return sys_poll(&room, 1, ACCESS_LOG_RETRY_MS) > 0;
}

/* What is in it now. 0 or -errno. */
static int flush_ring(struct access_log *log, struct access_log_ring *ring)
{
	uint64_t head = atomic_load(&ring->head), at = position(&ring->tail) + ring->cut;

	while (at < head) {
		struct iovec iov[2];
		int count = pieces_of(ring, at, head, iov);
		ssize_t n = sys_writev(log->fd, iov, count);

		if (n == -EAGAIN && is_writable_again(log))
			continue;
		if (n < 0)
			return (int)n;
		at += (uint64_t)n;
		counter_add(&log->written, (uint64_t)n);
		advance(ring, at);
	}
	return 0;
}

/* Begins where it stopped: no other ring's line may come into the middle of one. */
static int flush(struct access_log *log)
{
	struct access_log_ring *first = atomic_load(&log->rings);
	struct access_log_ring *ring = log->at ? log->at : first;
	int r = 0;

	/* From there to the end of the list, and when it began in the middle, all once more. */
	for (int round = log->at ? 0 : 1; round < 2; round++) {
		for (; ring && r == 0; ring = ring->next) {
			log->at = ring;
			r = flush_ring(log, ring);
			if (r < 0)
				return r;
		}
		ring = first;
	}
	log->at = NULL;
	return 0;
}

/* Until the loops want something more, or `timeout_ms` have passed. */
static void sleep_for(struct access_log *log, int timeout_ms)
{
	struct pollfd wake = {.fd = log->wake_fd, .events = POLLIN};
	uint64_t count;

	sys_poll(&wake, 1, timeout_ms);
	/* Before the look at what is wanted: what comes after it signals anew. */
	(void)!sys_read(log->wake_fd, &count, sizeof(count));
}

/* After a failure. A ring that fills up meanwhile is a reason to hurry, but not to try again at each
 * line, with a call of its loop each time. */
static void wait_to_retry(struct access_log *log)
{
	uint64_t since_ns = sys_now_ns(), now_ns = since_ns;
	unsigned wanted = atomic_load(&log->wanted);

	while (!(wanted & (WANTED_REOPEN | WANTED_END))) {
		uint64_t ms = wanted & WANTED_NOW ? ACCESS_LOG_HURRY_MS : ACCESS_LOG_RETRY_MS;
		uint64_t until_ns = since_ns + ms * 1000000;

		if (now_ns >= until_ns)
			break;
		sleep_for(log, (int)((until_ns - now_ns) / 1000000) + 1);
		now_ns = sys_now_ns();
		wanted = atomic_load(&log->wanted);
	}
}

/* Waits for something to do, and gathers lines for a while. */
static unsigned wait_for_work(struct access_log *log, bool failed)
{
	if (failed) {
		wait_to_retry(log);
	} else {
		sleep_for(log, atomic_load(&log->wanted) ? 0 : -1);
		if (atomic_load(&log->wanted) == WANTED_LINES)
			sleep_for(log, ACCESS_LOG_FLUSH_MS);
	}
	return atomic_exchange(&log->wanted, 0);
}

static void *writer_main(void *arg)
{
	struct access_log *log = arg;
	unsigned wanted = 0;
	int r = 0;

	pthread_setname_np(pthread_self(), "leat-log");
	while (!(wanted & WANTED_END)) {
		wanted = wait_for_work(log, r < 0);
		r = flush(log);
		if (r < 0)
			say_failure(log, "write", strerror(-r), "");
		/* A FIFO whose reader has gone may have another one. */
		if (wanted & WANTED_REOPEN || r == -EPIPE)
			reopen(log);
	}
	sys_eventfd_signal(log->ended_fd);
	return NULL;
}

/* ---- life ---- */

int access_log_new(const char *path, struct access_log **ret, struct err *err)
{
	struct access_log *log = calloc(1, sizeof(*log));
	int r;

	if (!log)
		return err_set(err, -ENOMEM, "out of memory");
	/* localtime_r() reads the zone's file once: now, while the process may still open it. */
	tzset();
	log->wake_fd = log->ended_fd = -1;
	log->path = strcmp(path, "-") == 0 ? NULL : path;
	log->fd = log->path ? open_file(log->path) : sys_dup_cloexec(1);
	if (log->fd < 0) {
		r = err_set(err, log->fd, "--access-log %s: %s", path, open_error(log->fd));
		access_log_free(log);
		return r;
	}
	log->wake_fd = sys_eventfd();
	log->ended_fd = sys_eventfd();
	r = log->wake_fd < 0 ? log->wake_fd : log->ended_fd;
	if (r < 0) {
		err_set(err, r, "eventfd: %s", strerror(-r));
		access_log_free(log);
		return r;
	}
	*ret = log;
	return 0;
}

int access_log_start(struct access_log *log, struct err *err)
{
	sigset_t all, before;
	int error;

	/* Signals are for the reactor. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	error = pthread_create(&log->writer, NULL, writer_main, log);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (error)
		return err_set(err, -error, "can't start a thread: %s", strerror(error));
	log->started = true;
	return 0;
}

static uint64_t lines_between(const struct access_log_ring *ring)
{
	uint64_t lines = 0, head = position(&ring->head);

	for (uint64_t at = position(&ring->tail); at < head; at++)
		lines += ring->bytes[at & RING_MASK] == '\n';
	return lines;
}

static uint64_t lines_waiting(const struct access_log *log)
{
	uint64_t lines = 0;

	for (struct access_log_ring *ring = atomic_load(&log->rings); ring; ring = ring->next)
		lines += lines_between(ring);
	return lines;
}

/* False: it does not end, a disk hangs. */
static bool writer_ends(struct access_log *log)
{
	struct pollfd ended = {.fd = log->ended_fd, .events = POLLIN};

	want(log, WANTED_END);
	if (sys_poll(&ended, 1, (int)ACCESS_LOG_END_MS) <= 0)
		return false;
	pthread_join(log->writer, NULL);
	return true;
}

void access_log_free(struct access_log *log)
{
	struct access_log_ring *ring, *next;
	uint64_t left;

	if (!log)
		return;
	if (log->started && !writer_ends(log)) {
		/* It is inside a write: what it uses stays, the process ends without it. */
		log_error("access log: %s does not take the last %llu lines: given up",
			  name_of(log), (unsigned long long)lines_waiting(log));
		pthread_detach(log->writer);
		return;
	}
	left = lines_waiting(log);
	if (left > 0)
		log_error("access log: the last %llu lines could not be written to %s",
			  (unsigned long long)left, name_of(log));
	for (ring = atomic_load(&log->rings); ring; ring = next) {
		next = ring->next;
		free(ring);
	}
	if (log->wake_fd >= 0)
		sys_close(log->wake_fd);
	if (log->ended_fd >= 0)
		sys_close(log->ended_fd);
	if (log->fd >= 0)
		sys_close(log->fd);
	free(log);
}

void access_log_stats(const struct access_log *log, struct access_log_stats *ret)
{
	struct access_log_stats sum = {.bytes = counter_get(&log->written),
				       .errors = counter_get(&log->errors)};

	for (struct access_log_ring *ring = atomic_load(&log->rings); ring; ring = ring->next) {
		sum.lines += counter_get(&ring->lines);
		sum.lost += counter_get(&ring->lost);
	}
	*ret = sum;
}
