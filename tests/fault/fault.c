#include "fault/fault.h"

#include "unit/unit.h"

#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/check.h"
#include "config.h"
#include "sys/sys.h"
#include "sys/uring.h"

/* The ways to fail of one call that was seen. */
#define WAYS_MAX 16
/* With every call cut short, transfers still have to end. */
#define ALWAYS_CUT 1000

/* What one run is to suffer. */
struct aim {
	const char *function; /* NULL: any */
	unsigned nth;         /* 0: nothing */
	unsigned way;         /* index into the ways of that call... */
	long effect;          /* ...or, if not 0, this: -errno or a length */
	bool always;
};

/* A call of the unharmed run. */
struct site {
	const char *function;
	long ways[WAYS_MAX];
	unsigned way_count;
};

static struct {
	pthread_mutex_t lock;
	bool on, recording;
	struct aim aim;
	unsigned calls; /* that count, since it was switched on */
	bool hit;
	const char *hit_function;
	long hit_effect;
	struct site *sites; /* of the recording */
	unsigned site_count, site_capacity;
} fault = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* ---- epoll: what is registered, so that an edge can be given back ---- */

struct registration {
	int epoll, fd; /* fd -1: free */
	uint32_t events;
	void *ptr;
};

static struct registration registrations[4096];
static unsigned registration_count;

int __real_sys_epoll_ctl(int epoll, int op, int fd, uint32_t events, void *ptr);

static void registration_set(int epoll, int op, int fd, uint32_t events, void *ptr)
{
	struct registration *free_slot = NULL;

	for (unsigned i = 0; i < registration_count; i++) {
		struct registration *r = &registrations[i];

		if (r->fd == fd && r->epoll == epoll) {
			*r = (struct registration){epoll, op == EPOLL_CTL_DEL ? -1 : fd, events,
						   ptr};
			return;
		}
		if (r->fd < 0)
			free_slot = r;
	}
	if (op == EPOLL_CTL_DEL)
		return;
	if (!free_slot) {
		CHECK(registration_count < ARRAY_SIZE(registrations));
		free_slot = &registrations[registration_count++];
	}
	*free_slot = (struct registration){epoll, fd, events, ptr};
}

static void registration_forget(int fd)
{
	pthread_mutex_lock(&fault.lock);
	for (unsigned i = 0; i < registration_count; i++)
		if (registrations[i].fd == fd || registrations[i].epoll == fd)
			registrations[i].fd = -1;
	pthread_mutex_unlock(&fault.lock);
}

static void rearm_one(const struct registration *r)
{
	if (__real_sys_epoll_ctl(r->epoll, EPOLL_CTL_MOD, r->fd, r->events, r->ptr) == 0)
		return;
	/* EPOLLEXCLUSIVE can't be modified. */
	__real_sys_epoll_ctl(r->epoll, EPOLL_CTL_DEL, r->fd, 0, NULL);
	__real_sys_epoll_ctl(r->epoll, EPOLL_CTL_ADD, r->fd, r->events, r->ptr);
}

static void rearm(int fd_a, int fd_b)
{
	pthread_mutex_lock(&fault.lock);
	for (unsigned i = 0; i < registration_count; i++) {
		const struct registration *r = &registrations[i];

		if (r->fd >= 0 && (r->fd == fd_a || r->fd == fd_b) && (r->events & EPOLLET))
			rearm_one(r);
	}
	pthread_mutex_unlock(&fault.lock);
}

/* ---- deciding ---- */

static bool may_wait(int fd)
{
	int flags = fd < 0 ? -1 : fcntl(fd, F_GETFL);

	return flags >= 0 && (flags & O_NONBLOCK);
}

/* eventfd, signalfd, inotify and their like have no disk and no peer. */
static bool is_anonymous(int fd)
{
	struct stat st;

	return fd >= 0 && fstat(fd, &st) == 0 && (st.st_mode & S_IFMT) == 0;
}

static unsigned ways_of(const int *errors, unsigned error_count, size_t length, int fd_a, int fd_b,
			long *ways)
{
	unsigned n = 0;

	if (is_anonymous(fd_a) || is_anonymous(fd_b))
		return 0;
	for (unsigned i = 0; i < error_count; i++)
		ways[n++] = -errors[i];
	if (may_wait(fd_a) || may_wait(fd_b))
		ways[n++] = -EAGAIN;
	if (length > 1)
		ways[n++] = 1;
	if (length > 3)
		ways[n++] = (long)(length / 2);
	return n;
}

static void record(const char *function, const long *ways, unsigned way_count)
{
	struct site *site;

	if (fault.site_count == fault.site_capacity) {
		fault.site_capacity = fault.site_capacity ? 2 * fault.site_capacity : 64;
		fault.sites = realloc(fault.sites, fault.site_capacity * sizeof(*fault.sites));
		CHECK(fault.sites);
	}
	site = &fault.sites[fault.site_count++];
	site->function = function;
	site->way_count = way_count;
	memcpy(site->ways, ways, way_count * sizeof(*ways));
}

/* Under the lock: what this call suffers, 0 for nothing. */
static long effect_of(const char *function, const long *ways, unsigned way_count)
{
	const struct aim *aim = &fault.aim;

	if (fault.hit)
		return aim->always && strcmp(function, fault.hit_function) == 0 ? fault.hit_effect
										: 0;
	if (aim->function && strcmp(function, aim->function) != 0)
		return 0;
	if (++fault.calls != aim->nth)
		return 0;
	if (!aim->effect && way_count == 0)
		return 0;
	fault.hit = true;
	fault.hit_function = function;
	fault.hit_effect = aim->effect ? aim->effect : ways[aim->way % way_count];
	return fault.hit_effect;
}

/* 0: go on; negative: the error to return; positive: the length to use. */
static long suffer(const char *function, const int *errors, unsigned error_count, size_t length,
		   int fd_a, int fd_b)
{
	long ways[WAYS_MAX], effect = 0;
	unsigned way_count;

	pthread_mutex_lock(&fault.lock);
	if (fault.on) {
		way_count = ways_of(errors, error_count, length, fd_a, fd_b, ways);
		if (fault.recording)
			record(function, ways, way_count);
		effect = effect_of(function, ways, way_count);
	}
	pthread_mutex_unlock(&fault.lock);
	if (effect > 0)
		return (long)min_size((size_t)effect, length);
	if (effect == -EAGAIN)
		rearm(fd_a, fd_b);
	return effect;
}

/* ---- the wrappers ---- */

#define NEVER(name)
#define SPECIAL(type, name, parameters, arguments) \
	type __real_##name parameters;             \
	type __wrap_##name parameters;
#define CALL(type, name, parameters, arguments, length, fd_a, fd_b, ...)                     \
	type __real_##name parameters;                                                       \
	type __wrap_##name parameters;                                                       \
	type __wrap_##name parameters                                                        \
	{                                                                                    \
		static const int errors[] = {__VA_ARGS__};                                   \
		size_t *len_ = (length);                                                     \
		long effect_ =                                                               \
		    suffer(#name, errors, ARRAY_SIZE(errors), len_ ? *len_ : 0, fd_a, fd_b); \
		type result_;                                                                \
                                                                                             \
		if (effect_ < 0)                                                             \
			return (type)effect_;                                                \
		if (effect_ > 0)                                                             \
			*len_ = (size_t)effect_;                                             \
		result_ = __real_##name arguments;                                           \
		if (effect_ > 0)                                                             \
			rearm(fd_a, fd_b);                                                   \
		return result_;                                                              \
	}

#include "fault/calls.def"

#define IOV_MAX_HERE 64

struct iov_copy {
	struct iovec iov[IOV_MAX_HERE];
	size_t count;
};

static size_t iov_bytes(const struct iovec *iov, size_t count)
{
	size_t bytes = 0;

	for (size_t i = 0; i < count; i++)
		bytes += iov[i].iov_len;
	return bytes;
}

static struct iov_copy iov_cut(const struct iovec *iov, size_t count, size_t bytes)
{
	struct iov_copy cut = {.count = 0};

	while (bytes > 0 && cut.count < count && cut.count < IOV_MAX_HERE) {
		struct iovec part = iov[cut.count];

		part.iov_len = min_size(part.iov_len, bytes);
		bytes -= part.iov_len;
		cut.iov[cut.count++] = part;
	}
	return cut;
}

ssize_t __wrap_sys_writev(int fd, const struct iovec *iov, int count)
{
	static const int errors[] = {EPIPE, ENOSPC};
	long effect =
	    suffer("sys_writev", errors, ARRAY_SIZE(errors), iov_bytes(iov, (size_t)count), fd, -1);
	struct iov_copy cut;
	ssize_t n;

	if (effect < 0)
		return effect;
	if (effect == 0)
		return __real_sys_writev(fd, iov, count);
	cut = iov_cut(iov, (size_t)count, (size_t)effect);
	n = __real_sys_writev(fd, cut.iov, (int)cut.count);
	rearm(fd, -1);
	return n;
}

ssize_t __wrap_sys_sendmsg(int fd, const struct msghdr *msg, int flags)
{
	static const int errors[] = {EPIPE, ECONNRESET, ENOBUFS};
	long effect = suffer("sys_sendmsg", errors, ARRAY_SIZE(errors),
			     iov_bytes(msg->msg_iov, msg->msg_iovlen), fd, -1);
	struct msghdr shorter = *msg;
	struct iov_copy cut;
	ssize_t n;

	if (effect < 0)
		return effect;
	if (effect == 0)
		return __real_sys_sendmsg(fd, msg, flags);
	cut = iov_cut(msg->msg_iov, msg->msg_iovlen, (size_t)effect);
	shorter.msg_iov = cut.iov;
	shorter.msg_iovlen = cut.count;
	n = __real_sys_sendmsg(fd, &shorter, flags);
	rearm(fd, -1);
	return n;
}

ssize_t __wrap_sys_vmsplice(int pipe, const struct iovec *iov, size_t count, unsigned flags)
{
	static const int errors[] = {EINVAL, ENOMEM, EPIPE, EOPNOTSUPP};
	long effect =
	    suffer("sys_vmsplice", errors, ARRAY_SIZE(errors), iov_bytes(iov, count), pipe, -1);
	struct iov_copy cut;

	if (effect < 0)
		return effect;
	if (effect == 0)
		return __real_sys_vmsplice(pipe, iov, count, flags);
	cut = iov_cut(iov, count, (size_t)effect);
	return __real_sys_vmsplice(pipe, cut.iov, cut.count, flags);
}

/* Linux releases the descriptor whatever close says. */
int __wrap_sys_close(int fd)
{
	static const int errors[] = {EIO};
	long effect = suffer("sys_close", errors, ARRAY_SIZE(errors), 0, -1, -1);
	int r;

	registration_forget(fd);
	r = __real_sys_close(fd);
	return effect < 0 ? (int)effect : r;
}

void *__wrap_sys_mmap(size_t len, int prot, int flags, int fd, uint64_t offset, int *ret_error)
{
	static const int errors[] = {ENOMEM, ENODEV};
	long effect = suffer("sys_mmap", errors, ARRAY_SIZE(errors), 0, -1, -1);

	if (effect == 0)
		return __real_sys_mmap(len, prot, flags, fd, offset, ret_error);
	*ret_error = (int)effect;
	return NULL;
}

int __wrap_sys_epoll_ctl(int epoll, int op, int fd, uint32_t events, void *ptr)
{
	static const int errors[] = {ENOMEM, ENOSPC};
	/* Taking something out does not fail. */
	long effect = suffer("sys_epoll_ctl", errors, op == EPOLL_CTL_DEL ? 0 : ARRAY_SIZE(errors),
			     0, -1, -1);
	int r;

	if (effect < 0)
		return (int)effect;
	r = __real_sys_epoll_ctl(epoll, op, fd, events, ptr);
	if (r == 0) {
		pthread_mutex_lock(&fault.lock);
		registration_set(epoll, op, fd, events, ptr);
		pthread_mutex_unlock(&fault.lock);
	}
	return r;
}

/* ---- one run ---- */

static void switch_on(const struct aim *aim, bool recording)
{
	pthread_mutex_lock(&fault.lock);
	fault.aim = *aim;
	fault.calls = 0;
	fault.hit = false;
	fault.recording = recording;
	if (recording)
		fault.site_count = 0;
	fault.on = true;
	pthread_mutex_unlock(&fault.lock);
}

void fault_aim(const char *function, unsigned nth, int error, bool always)
{
	switch_on(
	    &(struct aim){.function = function, .nth = nth, .effect = error, .always = always},
	    false);
}

bool fault_off(void)
{
	bool hit;

	pthread_mutex_lock(&fault.lock);
	fault.on = false;
	hit = fault.hit;
	pthread_mutex_unlock(&fault.lock);
	return hit;
}

/* What is being tried, for the signal handlers: a crash or a hang must name it. */
static char trying[256];

static void say_trying(void)
{
	char line[sizeof(trying) + 32];
	int len = snprintf(line, sizeof(line), "\n# fault: while trying %s\n", trying);

	/* A scenario may have put standard error aside. */
	(void)!write(STDOUT_FILENO, line, (size_t)len);
	(void)!write(STDERR_FILENO, line, (size_t)len);
}

static void died(int signal_number)
{
	say_trying();
	signal(signal_number, SIG_DFL);
	raise(signal_number);
}

void __sanitizer_set_death_callback(void (*callback)(void)) __attribute__((weak));
int __lsan_do_recoverable_leak_check(void) __attribute__((weak));

static void watch_for_death(void)
{
	signal(SIGALRM, died);
	signal(SIGABRT, died);
	if (__sanitizer_set_death_callback)
		__sanitizer_set_death_callback(say_trying);
}

#define FDS_MAX 4096

struct fd_set_seen {
	bool open[FDS_MAX];
};

static void fds_look(struct fd_set_seen *ret)
{
	DIR *dir = opendir("/proc/self/fd");
	struct dirent *entry;

	memset(ret, 0, sizeof(*ret));
	CHECK(dir);
	while ((entry = readdir(dir))) {
		int fd = atoi(entry->d_name);

		if (entry->d_name[0] != '.' && fd != dirfd(dir) && fd < FDS_MAX)
			ret->open[fd] = true;
	}
	closedir(dir);
}

static fault_complaint fds_compare(const struct fd_set_seen *before, const struct fd_set_seen *now)
{
	static char text[128];
	char link[32], target[64];

	for (int fd = 0; fd < FDS_MAX; fd++) {
		if (before->open[fd] == now->open[fd])
			continue;
		if (!now->open[fd]) {
			snprintf(text, sizeof(text), "descriptor %d was closed by mistake", fd);
			return text;
		}
		snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
		memset(target, 0, sizeof(target));
		(void)!readlink(link, target, sizeof(target) - 1);
		snprintf(text, sizeof(text), "descriptor %d (%s) was left open", fd, target);
		return text;
	}
	return NULL;
}

static void describe(const char *scenario, const struct aim *aim, const struct site *site)
{
	long effect = aim->effect ? aim->effect : site ? site->ways[aim->way] : 0;
	char what[64] = "nothing";

	if (effect < 0)
		snprintf(what, sizeof(what), "%s", strerrorname_np((int)-effect));
	else if (effect > 0)
		snprintf(what, sizeof(what), "cut to %ld bytes", effect);
	snprintf(trying, sizeof(trying), "%s: call %u, %s: %s%s", scenario, aim->nth,
		 site ? site->function : "none", what, aim->always ? ", and each after it" : "");
}

static fault_complaint run_once(const struct fault_scenario *scenario, const struct aim *aim,
				bool recording)
{
	static struct fd_set_seen before, after;
	fault_complaint complaint, fds;
	void *state;
	int result;
	bool hit;

	fds_look(&before);
	alarm(scenario->seconds_max ? scenario->seconds_max : 10);
	state = scenario->prepare(scenario->arg);
	switch_on(aim, recording);
	result = scenario->run(state);
	hit = fault_off();
	complaint = scenario->check(state, result, hit);
	if (!complaint && !hit && result < 0)
		complaint = "failed though nothing was made to fail";
	if (complaint)
		print_message("# fault: %s: %s (result %d)\n", trying, complaint, result);
	scenario->clean(state);
	alarm(0);
	fds_look(&after);
	fds = fds_compare(&before, &after);
	if (fds)
		print_message("# fault: %s: %s\n", trying, fds);
	if (__lsan_do_recoverable_leak_check && __lsan_do_recoverable_leak_check()) {
		print_message("# fault: %s: memory was leaked, see above\n", trying);
		return "leak";
	}
	return complaint ? complaint : fds;
}

/* ---- every run ---- */

struct tally {
	unsigned runs, hits, complaints;
};

static void try_one(const struct fault_scenario *scenario, const struct aim *aim,
		    const struct site *site, struct tally *tally)
{
	describe(scenario->name, aim, site);
	tally->runs++;
	if (run_once(scenario, aim, false))
		tally->complaints++;
	if (fault.hit)
		tally->hits++;
}

static bool first_of_its_function(unsigned index)
{
	for (unsigned i = 0; i < index; i++)
		if (strcmp(fault.sites[i].function, fault.sites[index].function) == 0)
			return false;
	return true;
}

static void try_always(const struct fault_scenario *scenario, unsigned index, struct tally *tally)
{
	const struct site *site = &fault.sites[index];
	bool cut = false;

	for (unsigned way = 0; way < site->way_count; way++) {
		long effect = site->ways[way];
		struct aim aim = {.nth = index + 1, .way = way, .effect = effect, .always = true};

		if (effect == -EAGAIN || (effect > 0 && cut))
			continue;
		if (effect > 0) {
			cut = true;
			aim.effect = ALWAYS_CUT;
		}
		try_one(scenario, &aim, site, tally);
	}
}

unsigned fault_complaints(const struct fault_scenario *scenario)
{
	struct aim nothing = {.nth = 0};
	struct tally tally = {0, 0};

	watch_for_death();
	snprintf(trying, sizeof(trying), "%s: unharmed", scenario->name);
	/* Twice: what is done once a process should not be in the record. */
	if (run_once(scenario, &nothing, false) || run_once(scenario, &nothing, true))
		fail_msg("%s does not even work unharmed", scenario->name);
	for (unsigned i = 0; i < fault.site_count; i++) {
		for (unsigned way = 0; way < fault.sites[i].way_count; way++)
			try_one(scenario, &(struct aim){.nth = i + 1, .way = way}, &fault.sites[i],
				&tally);
		if (first_of_its_function(i) && !scenario->once_only)
			try_always(scenario, i, &tally);
	}
	print_message("# fault: %s: %u calls, %u runs, %u of them hit\n", scenario->name,
		      fault.site_count, tally.runs, tally.hits);
	free(fault.sites);
	fault.sites = NULL;
	fault.site_count = fault.site_capacity = 0;
	return tally.complaints;
}

void fault_each(const struct fault_scenario *scenario)
{
	unsigned complaints = fault_complaints(scenario);

	if (complaints)
		fail_msg("%s: %u runs broke what must hold", scenario->name, complaints);
}
