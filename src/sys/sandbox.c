#include "sys/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/landlock.h>
#include <linux/netlink.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/check.h"
#include "sys/sys.h"
#include "sys/user.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZER true
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || \
    __has_feature(memory_sanitizer)
#define SANITIZER true
#endif
#endif
#ifndef SANITIZER
#define SANITIZER false
#endif

/* ---- Landlock ---- */

/* Newer than Debian 12's headers: landlock(7) has the versions. */
#define FS_TRUNCATE  (1ull << 14)            /* 3, Linux 6.2 */
#define FS_IOCTL_DEV (1ull << 15)            /* 5, Linux 6.10 */
#define NET_BIND     (1ull << 0)             /* 4, Linux 6.7 */
#define NET_CONNECT  (1ull << 1)             /* the same */
#define SCOPES       (1ull << 0 | 1ull << 1) /* abstract sockets, signals: 6, 6.12 */
#define FS_VERSION_1 ((1ull << 13) - 1)

struct ruleset {
	uint64_t fs, net, scoped;
};

/* Everything that this version knows is denied, unless a rule allows it. */
static struct ruleset denied(int version, size_t *ret_size)
{
	struct ruleset set = {.fs = FS_VERSION_1};

	*ret_size = sizeof(set.fs);
	if (version >= 2)
		set.fs |= LANDLOCK_ACCESS_FS_REFER;
	if (version >= 3)
		set.fs |= FS_TRUNCATE;
	if (version >= 4) {
		set.net = NET_BIND | NET_CONNECT;
		*ret_size = offsetof(struct ruleset, scoped);
	}
	if (version >= 5)
		set.fs |= FS_IOCTL_DEV;
	if (version >= 6) {
		set.scoped = SCOPES;
		*ret_size = sizeof(set);
	}
	return set;
}

static uint64_t rights(const struct sandbox_path *path, bool directory)
{
	uint64_t write = LANDLOCK_ACCESS_FS_WRITE_FILE;

	switch (path->access) {
	case SANDBOX_READ:
		return LANDLOCK_ACCESS_FS_READ_FILE | (directory ? LANDLOCK_ACCESS_FS_READ_DIR : 0);
	case SANDBOX_WRITE:
		return write | (directory ? LANDLOCK_ACCESS_FS_MAKE_REG : 0);
	case SANDBOX_KEEP:
		return write | FS_TRUNCATE | LANDLOCK_ACCESS_FS_READ_FILE |
		       LANDLOCK_ACCESS_FS_READ_DIR | LANDLOCK_ACCESS_FS_MAKE_REG |
		       LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_REMOVE_FILE |
		       LANDLOCK_ACCESS_FS_REMOVE_DIR;
	case SANDBOX_REMOVE:
		break;
	}
	return LANDLOCK_ACCESS_FS_REMOVE_FILE;
}

/* `known`: what this version can be told of. */
static int add_rule(int ruleset, const struct sandbox_path *path, uint64_t known)
{
	struct landlock_path_beneath_attr rule = {.parent_fd = path->fd};
	struct stat st;

	if (fstat(path->fd, &st) < 0)
		return -errno;
	rule.allowed_access = rights(path, S_ISDIR(st.st_mode)) & known;
	if (syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) == 0)
		return 0;
	/* A pipe or socket (by /dev/stdout): Landlock denies nothing on file systems that nobody
	 * can mount. */
	return errno == EBADFD ? 0 : -errno;
}

/* linux/landlock.h of 6.7. */
struct port_rule {
	uint64_t allowed, port;
};

#define RULE_NET_PORT 2

static int add_port(int ruleset, uint16_t port)
{
	const struct port_rule rule = {.allowed = NET_CONNECT, .port = port};

	return syscall(SYS_landlock_add_rule, ruleset, RULE_NET_PORT, &rule, 0) == 0 ? 0 : -errno;
}

/* `known`: the rights of files and of the network that this version can be told of. */
static int restrict_self(int ruleset, const struct sandbox_options *options,
			 const struct ruleset *known)
{
	int r = 0;

	for (unsigned i = 0; i < options->count && r == 0; i++)
		r = add_rule(ruleset, &options->paths[i], known->fs);
	for (unsigned i = 0; i < options->ports_count && known->net && r == 0; i++)
		r = add_port(ruleset, options->ports[i]);
	if (r == 0 && syscall(SYS_landlock_restrict_self, ruleset, 0) < 0)
		r = -errno;
	return r;
}

/* The version, or -errno: -ENOSYS, -EOPNOTSUPP (not in the lsm= list), or in a container with a
 * filter of its own -EPERM. */
static int landlock(const struct sandbox_options *options, struct err *err)
{
	struct ruleset set;
	int version, ruleset, r;
	size_t size;

	version =
	    (int)syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
	if (version < 0)
		return -errno;
	set = denied(version, &size);
	ruleset = (int)syscall(SYS_landlock_create_ruleset, &set, size, 0);
	if (ruleset < 0)
		return -errno;
	r = restrict_self(ruleset, options, &set);
	sys_close(ruleset);
	if (r < 0)
		err_set(err, r, "Landlock: %s; --no-sandbox does without", strerror(-r));
	return r < 0 ? r : version;
}

/* ---- seccomp ---- */

#if defined(__x86_64__)
#define ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define ARCH AUDIT_ARCH_AARCH64
#else
#define ARCH 0 /* no list for this one */
#endif

/* Calls that not every architecture, or not every set of headers, has. */
#define NONE (-1)
#ifndef __NR_cachestat
#define __NR_cachestat 451 /* 6.5; the same number everywhere */
#endif
#ifndef __NR_epoll_wait
#define __NR_epoll_wait NONE
#endif
#ifndef __NR_poll
#define __NR_poll NONE
#endif
#ifndef __NR_unlink
#define __NR_unlink NONE
#endif
#ifndef __NR_time
#define __NR_time NONE
#endif
#ifndef __NR_fork
#define __NR_fork NONE
#endif
#ifndef __NR_vfork
#define __NR_vfork NONE
#endif

/* What clone can enter. CLONE_NEWTIME is among the bits of the signal there. */
#define NAMESPACES                                                                     \
	(CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | \
	 CLONE_NEWPID | CLONE_NEWNET)

enum test { ALWAYS, EQUAL, ANY_OF, NONE_OF, OWN_PID };

/* What has to hold of an argument. */
struct condition {
	unsigned argument;
	enum test test;
	uint32_t value;
};

/* ALWAYS stands in the first condition only; the second may be there or not. */
struct call {
	int number;
	uint32_t action;
	struct condition first, second;
	bool absent;
	unsigned needs; /* enum sandbox_need, for which it is there; 0: always */
};

/* clang-format off */
static const struct call calls[] = {
#define ALWAYS_SO {0, ALWAYS, 0}
#define ALLOW(name) {__NR_##name, SECCOMP_RET_ALLOW, ALWAYS_SO, ALWAYS_SO, false, 0},
#define ALLOW_STORES(name) {__NR_##name, SECCOMP_RET_ALLOW, ALWAYS_SO, ALWAYS_SO, false, SANDBOX_STORES},
#define ALLOW_IF(name, argument, test, value) \
	{__NR_##name, SECCOMP_RET_ALLOW, {argument, test, value}, ALWAYS_SO, false, 0},
#define ALLOW_IF_BOTH(name, argument, test, value, argument2, test2, value2) \
	{__NR_##name, SECCOMP_RET_ALLOW, {argument, test, value}, {argument2, test2, value2}, \
	 false, 0},
#define ALLOW_CALLERS(name) \
	{__NR_##name, SECCOMP_RET_ALLOW, ALWAYS_SO, ALWAYS_SO, false, SANDBOX_CALLERS},
#define ALLOW_CALLERS_IF_BOTH(name, argument, test, value, argument2, test2, value2) \
	{__NR_##name, SECCOMP_RET_ALLOW, {argument, test, value}, {argument2, test2, value2}, \
	 false, SANDBOX_CALLERS},
#define ABSENT(name) {__NR_##name, SECCOMP_RET_ALLOW, ALWAYS_SO, ALWAYS_SO, true, 0},
#define KILL(name) {__NR_##name, SECCOMP_RET_KILL_PROCESS, ALWAYS_SO, ALWAYS_SO, false, 0},
#include "sys/sandbox_calls.h"
};
/* clang-format on */

/* A line has two conditions of four instructions at most, what is said, and its share of the
 * rest. */
#define PROGRAM_MAX (16 + 12 * ARRAY_SIZE(calls))

struct program {
	struct sock_filter code[PROGRAM_MAX];
	unsigned length;
};

static void put(struct program *program, uint16_t code, uint32_t k, uint8_t yes, uint8_t no)
{
	CHECK(program->length < PROGRAM_MAX);
	program->code[program->length++] = (struct sock_filter){code, yes, no, k};
}

static void load(struct program *program, size_t offset)
{
	put(program, BPF_LD | BPF_W | BPF_ABS, (uint32_t)offset, 0, 0);
}

static void say(struct program *program, uint32_t action)
{
	put(program, BPF_RET | BPF_K, action, 0, 0);
}

/* Little endian, as both architectures are: the low half comes first. Only whole values look at the
 * high half: bits that are tested for stand in the low one. Where it does not hold, `skip`
 * instructions are jumped over behind it. */
static void put_condition(struct program *program, const struct condition *condition, uint8_t skip)
{
	size_t low = offsetof(struct seccomp_data, args) + 8 * condition->argument;
	uint32_t value = condition->test == OWN_PID ? (uint32_t)getpid() : condition->value;

	if (condition->test == ALWAYS)
		return;
	load(program, low);
	switch (condition->test) {
	case OWN_PID:
	case EQUAL:
		put(program, BPF_JMP | BPF_JEQ | BPF_K, value, 0, (uint8_t)(skip + 2));
		load(program, low + 4);
		put(program, BPF_JMP | BPF_JEQ | BPF_K, 0, 0, skip);
		break;
	case ANY_OF:
		put(program, BPF_JMP | BPF_JSET | BPF_K, value, 0, skip);
		break;
	case NONE_OF:
		put(program, BPF_JMP | BPF_JSET | BPF_K, value, skip, 0);
		break;
	case ALWAYS:
		break;
	}
}

/* Its length in instructions. */
static uint8_t condition_length(const struct condition *condition)
{
	switch (condition->test) {
	case ALWAYS:
		return 0;
	case EQUAL:
	case OWN_PID:
		return 4;
	case ANY_OF:
	case NONE_OF:
		break;
	}
	return 2;
}

/* One line: what it says where both conditions hold; else control goes on behind it. */
static void put_line(struct program *program, const struct call *call)
{
	put_condition(program, &call->first, (uint8_t)(condition_length(&call->second) + 1));
	put_condition(program, &call->second, 1);
	say(program, call->action);
}

static bool is_wanted(const struct call *call, unsigned needs)
{
	return call->number != NONE && (call->needs == 0 || call->needs & needs);
}

/* All lines of one call, and what is said where none of them fits. */
static void put_call(struct program *program, unsigned first, unsigned needs)
{
	unsigned jump = program->length, length;

	put(program, BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)calls[first].number, 0, 0);
	if (calls[first].first.test == ALWAYS) {
		say(program, calls[first].action);
	} else {
		for (unsigned i = first; i < ARRAY_SIZE(calls); i++)
			if (calls[i].number == calls[first].number && is_wanted(&calls[i], needs))
				put_line(program, &calls[i]);
		say(program, SECCOMP_RET_ERRNO | EPERM);
	}
	/* What comes next looks at the number again: here it is still loaded. */
	length = program->length - jump - 1;
	CHECK(length <= UINT8_MAX);
	program->code[jump].jf = (uint8_t)length;
}

static bool is_first_line(unsigned line, unsigned needs)
{
	if (!is_wanted(&calls[line], needs))
		return false;
	for (unsigned i = 0; i < line; i++)
		if (calls[i].number == calls[line].number && is_wanted(&calls[i], needs))
			return false;
	return true;
}

static void begin(struct program *program)
{
	program->length = 0;
	load(program, offsetof(struct seccomp_data, arch));
	put(program, BPF_JMP | BPF_JEQ | BPF_K, ARCH, 1, 0);
	say(program, SECCOMP_RET_KILL_PROCESS);
	load(program, offsetof(struct seccomp_data, nr));
}

/* The calls that it allows. */
static int make_program(struct program *program, unsigned needs)
{
	int allowed = 0;

	begin(program);
	for (unsigned i = 0; i < ARRAY_SIZE(calls); i++) {
		if (!is_first_line(i, needs))
			continue;
		put_call(program, i, needs);
		allowed += calls[i].action == SECCOMP_RET_ALLOW && !calls[i].absent;
	}
	say(program, SECCOMP_RET_ERRNO | ENOSYS);
	return allowed;
}

/* A program of their own for calls that are refused as a matter of course: the kernel logs what a
 * program that was loaded with FLAG_LOG refuses, and a line for each thread that starts would teach
 * people not to look. */
static void make_quiet_program(struct program *program)
{
	begin(program);
	for (unsigned i = 0; i < ARRAY_SIZE(calls); i++) {
		if (!calls[i].absent)
			continue;
		put(program, BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)calls[i].number, 0, 1);
		say(program, SECCOMP_RET_ERRNO | ENOSYS);
	}
	say(program, SECCOMP_RET_ALLOW);
}

static int install(const struct program *program, unsigned flags)
{
	struct sock_fprog fprog = {(unsigned short)program->length,
				   (struct sock_filter *)program->code};

	if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &fprog) == 0)
		return 0;
	/* Before 4.17 without the flags; then the kernel also holds back speculation, which
	 * costs. */
	if (errno == EINVAL && syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &fprog) == 0)
		return 0;
	return -errno;
}

static int seccomp(unsigned needs)
{
	struct program program;
	int allowed, r;

	if (ARCH == 0)
		return -EOPNOTSUPP;
	make_quiet_program(&program);
	r = install(&program, SECCOMP_FILTER_FLAG_SPEC_ALLOW);
	/* After this one nothing can be installed any more. */
	allowed = make_program(&program, needs);
	if (r == 0)
		r = install(&program, SECCOMP_FILTER_FLAG_SPEC_ALLOW | SECCOMP_FILTER_FLAG_LOG);
	return r < 0 ? r : allowed;
}

/* ---- all of it ---- */

/* Listening on port 80 is done. Root's own rights over files are what an administrator counts on
 * who starts it as root: it reads and keeps files of others. Everything else that root could do,
 * with interfaces, routes, clocks, mounts or other processes, is nobody's business here. */
static int drop_capabilities(void)
{
	const uint64_t files = 1ull << CAP_DAC_OVERRIDE | 1ull << CAP_DAC_READ_SEARCH;

	return user_drop_capabilities(geteuid() == 0 ? files : 0);
}

static int add(struct sandbox_options *options, int fd, enum sandbox_access access)
{
	if (fd < 0)
		return fd;
	if (options->count == SANDBOX_PATHS_MAX) {
		sys_close(fd);
		return -ENOSPC;
	}
	options->paths[options->count++] = (struct sandbox_path){fd, access};
	return 0;
}

int sandbox_add_open(struct sandbox_options *options, int fd, enum sandbox_access access)
{
	return add(options, sys_dup_cloexec(fd), access);
}

int sandbox_add_folder(struct sandbox_options *options, const char *path,
		       enum sandbox_access access)
{
	return add(options, sys_open(path, O_PATH | O_DIRECTORY, 0), access);
}

int sandbox_add_place(struct sandbox_options *options, const char *path, enum sandbox_access access)
{
	char real[PATH_MAX];
	struct stat st;
	int fd;

	if (strlen(path) >= sizeof(real))
		return -ENAMETOOLONG;
	/* Where a link leads to is what will be opened. */
	if (access == SANDBOX_REMOVE || !realpath(path, real))
		strcpy(real, path);
	if (access == SANDBOX_REMOVE || lstat(real, &st) < 0 || S_ISREG(st.st_mode))
		fd = sys_open(dirname(real), O_PATH | O_DIRECTORY, 0);
	else
		fd = sys_open(real, O_PATH, 0);
	return add(options, fd, access);
}

int sandbox_add_port(struct sandbox_options *options, uint16_t port)
{
	for (unsigned i = 0; i < options->ports_count; i++)
		if (options->ports[i] == port)
			return 0;
	if (options->ports_count == SANDBOX_PORTS_MAX)
		return -ENOSPC;
	options->ports[options->ports_count++] = port;
	return 0;
}

void sandbox_close(struct sandbox_options *options)
{
	for (unsigned i = 0; i < options->count; i++)
		sys_close(options->paths[i].fd);
	options->count = 0;
}

/* What is missing is reported, what is broken is an error. */
static bool is_missing(int error)
{
	return error == -ENOSYS || error == -EOPNOTSUPP || error == -EPERM || error == -EINVAL;
}

int sandbox_apply(struct sandbox_options *options, struct sandbox_report *ret, struct err *err)
{
	struct sandbox_report report = {-EOPNOTSUPP, -EOPNOTSUPP, SANITIZER};
	int r = 0;

	if (!report.sanitizer) {
		r = drop_capabilities();
		if (r < 0)
			err_set(err, r, "dropping capabilities: %s", strerror(-r));
		if (r == 0 && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
			r = err_set(err, -errno, "no new privileges: %s", strerror(errno));
		if (r == 0)
			report.landlock = landlock(options, err);
		if (r == 0 && report.landlock < 0 && !is_missing(report.landlock))
			r = report.landlock;
		if (r == 0)
			report.seccomp = seccomp(options->needs);
		if (r == 0 && report.seccomp < 0 && !is_missing(report.seccomp))
			r = err_set(err, report.seccomp, "seccomp: %s", strerror(-report.seccomp));
	}
	sandbox_close(options);
	if (r == 0)
		*ret = report;
	return r;
}
