/*
 * Confinement, in forked children: each confines itself and then tries what it should not be able
 * to do, and what it must be.
 */
#include "unit/unit.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/netlink.h>
#include <linux/openat2.h>
#include <linux/rtnetlink.h>
#include <linux/seccomp.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/check.h"
#include "sys/sandbox.h"
#include "sys/sys.h"
#include "sys/user.h"

struct fixture {
	char dir[64];
	int home;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	int fd;

	strcpy(f->dir, "/tmp/leat-sandbox-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	f->home = open(".", O_PATH);
	assert_int_equal(chdir(f->dir), 0);
	assert_int_equal(mkdir("root", 0755) + mkdir("root/sub", 0755) + mkdir("log", 0755) +
			     mkdir("run", 0755),
			 0);
	fd = open("root/sub/file", O_WRONLY | O_CREAT, 0644);
	assert_int_equal(write(fd, "inside", 6), 6);
	close(fd);
	fd = open("log/access", O_WRONLY | O_CREAT, 0644);
	close(fd);
	fd = open("outside", O_WRONLY | O_CREAT, 0644);
	close(fd);
	assert_int_equal(symlink("../outside", "root/link"), 0);
	assert_int_equal(mknod("run/socket", S_IFREG | 0600, 0), 0);
	*state = f;
	return 0;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	return remove(path);
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(fchdir(f->home), 0);
	close(f->home);
	nftw(f->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	free(f);
	return 0;
}

/* What a child says by its exit code. */
enum { WELL = 0, NOT_CONFINED = 77, BROKEN = 98 };

static struct sandbox_report confine_here(int *ret_root)
{
	struct sandbox_options options = {.count = 0};
	struct sandbox_report report;
	struct err err = {""};
	int root = open("root", O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (root < 0 || sandbox_add_open(&options, root, SANDBOX_READ) < 0 ||
	    sandbox_add_place(&options, "log/access", SANDBOX_WRITE) < 0 ||
	    sandbox_add_place(&options, "run/socket", SANDBOX_REMOVE) < 0 ||
	    sandbox_apply(&options, &report, &err) < 0) {
		fprintf(stderr, "%s\n", err.text);
		_exit(BROKEN);
	}
	*ret_root = root;
	return report;
}

/* The status of a child that confines itself and calls `attempt`. */
static int confined(int (*attempt)(int root), bool needs_landlock)
{
	int status, root;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		struct rlimit none = {0, 0};
		struct sandbox_report report;

		setrlimit(RLIMIT_CORE, &none);
		report = confine_here(&root);
		if (report.sanitizer || report.seccomp < 0 ||
		    (needs_landlock && report.landlock < 0))
			_exit(NOT_CONFINED);
		_exit(attempt(root));
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

#define assert_confined(attempt, landlock)                                            \
	do {                                                                          \
		int status = confined(attempt, landlock);                             \
		if (WIFEXITED(status) && WEXITSTATUS(status) == NOT_CONFINED)         \
			unit_skip("this kernel or build has no sandbox to try");      \
		if (!WIFEXITED(status) || WEXITSTATUS(status) != WELL)                \
			fail_msg("the child ended with status %x", (unsigned)status); \
	} while (0)

/* Which of a child's attempts went wrong, by its line. */
#define need(condition)                                                                     \
	do {                                                                                \
		if (!(condition)) {                                                         \
			dprintf(2, "line %d: %s, errno %d\n", __LINE__, #condition, errno); \
			return 1;                                                           \
		}                                                                           \
	} while (0)

/* ---- files ---- */

static int opens_what_is_below(int root)
{
	char text[8];
	struct stat st;
	int fd;

	fd = sys_openat2(root, "sub/file", O_RDONLY | O_CLOEXEC, 0, RESOLVE_BENEATH);
	need(fd >= 0 && read(fd, text, sizeof(text)) == 6);
	need(fstat(fd, &st) == 0 && st.st_size == 6);
	need(open("root/sub/file", O_RDONLY) >= 0);
	fd = open("root/sub", O_RDONLY | O_DIRECTORY);
	need(fd >= 0 && sys_getdents(fd, (char[4096]){0}, 4096) > 0);
	return WELL;
}

static int opens_nothing_else(int root)
{
	struct open_how how = {.flags = O_RDONLY};

	need(open("/etc/passwd", O_RDONLY) < 0 && errno == EACCES);
	need(open("outside", O_RDONLY) < 0 && errno == EACCES);
	need(open("root/../outside", O_RDONLY) < 0 && errno == EACCES);
	need(openat(root, "link", O_RDONLY) < 0 && errno == EACCES);
	need(syscall(SYS_openat2, AT_FDCWD, "/etc/passwd", &how, sizeof(how)) < 0 &&
	     errno == EACCES);
	need(open("/proc/self/mem", O_RDWR) < 0 && errno == EACCES);
	need(open("/proc/self/environ", O_RDONLY) < 0 && errno == EACCES);
	need(open("/", O_RDONLY | O_DIRECTORY) < 0 && errno == EACCES);
	need(open("log/access", O_RDONLY) < 0 && errno == EACCES);
	return WELL;
}

static int changes_nothing(int root)
{
	need(open("root/sub/file", O_WRONLY) < 0 && errno == EACCES);
	need(open("root/sub/file", O_RDWR) < 0 && errno == EACCES);
	need(open("root/new", O_WRONLY | O_CREAT, 0644) < 0 && errno == EACCES);
	need(unlink("root/sub/file") < 0 && errno == EACCES);
	need(unlink("outside") < 0 && errno == EACCES);
	need(rename("outside", "inside") < 0);
	need(symlink("/etc", "root/etc") < 0);
	need(mkdir("root/more", 0755) < 0);
	need(chmod("root/sub/file", 0777) < 0);
	return WELL;
}

static int writes_its_log(int root)
{
	int fd = open("log/access", O_WRONLY | O_APPEND | O_CREAT, 0640);

	need(fd >= 0 && write(fd, "line", 4) == 4);
	fd = open("log/access.new", O_WRONLY | O_APPEND | O_CREAT, 0640);
	need(fd >= 0 && write(fd, "line", 4) == 4);
	need(unlink("log/access") < 0 && errno == EACCES);
	return WELL;
}

static int removes_its_socket(int root)
{
	need(unlink("run/socket") == 0);
	return WELL;
}

static void only_what_is_below_the_root_is_opened(void **state)
{
	assert_confined(opens_what_is_below, false);
	assert_confined(opens_nothing_else, true);
}

static void nothing_is_changed(void **state)
{
	assert_confined(changes_nothing, true);
}

static void the_log_is_opened_anew_and_the_socket_is_removed(void **state)
{
	assert_confined(writes_its_log, false);
	assert_confined(removes_its_socket, false);
}

/* ---- calls ---- */

/* What a stranger in the process would like, and what the server itself needs: 0, or the error. */
struct attempt {
	const char *what;
	long (*make)(void);
	int error;
};

/* Where the server has a connection. */
static int tcp_socket = -1;

#define ATTEMPT(name, call)              \
	static long attempt_##name(void) \
	{                                \
		return call;             \
	}

ATTEMPT(inet, socket(AF_INET, SOCK_STREAM, 0))
ATTEMPT(inet6, socket(AF_INET6, SOCK_DGRAM, 0))
ATTEMPT(unix, socket(AF_UNIX, SOCK_STREAM, 0))
ATTEMPT(packet, socket(AF_PACKET, SOCK_RAW, 0))
ATTEMPT(vsock, socket(AF_VSOCK, SOCK_STREAM, 0))
ATTEMPT(alg, socket(AF_ALG, SOCK_SEQPACKET, 0))
ATTEMPT(netlink_route, socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE))
ATTEMPT(netlink_netfilter, socket(AF_NETLINK, SOCK_RAW, NETLINK_NETFILTER))
ATTEMPT(netlink_audit, socket(AF_NETLINK, SOCK_RAW, NETLINK_AUDIT))
ATTEMPT(netlink_generic, socket(AF_NETLINK, SOCK_RAW, NETLINK_GENERIC))
ATTEMPT(netlink_diag, socket(AF_NETLINK, SOCK_RAW, NETLINK_SOCK_DIAG))
ATTEMPT(pair, socketpair(AF_UNIX, SOCK_STREAM, 0, (int[2]){0}))
ATTEMPT(connect,
	connect(tcp_socket, &(struct sockaddr){.sa_family = AF_INET}, sizeof(struct sockaddr)))
ATTEMPT(bind, bind(tcp_socket, &(struct sockaddr){.sa_family = AF_INET}, sizeof(struct sockaddr)))

static long set_option(int level, int name)
{
	return setsockopt(tcp_socket, level, name, (int[8]){1}, sizeof(int[8]));
}

ATTEMPT(nodelay, set_option(IPPROTO_TCP, TCP_NODELAY))
ATTEMPT(lowat, set_option(IPPROTO_TCP, TCP_NOTSENT_LOWAT))
ATTEMPT(linger, set_option(SOL_SOCKET, SO_LINGER))
ATTEMPT(priority, set_option(SOL_SOCKET, SO_PRIORITY))
ATTEMPT(mark, set_option(SOL_SOCKET, SO_MARK))
ATTEMPT(filter, set_option(SOL_SOCKET, SO_ATTACH_FILTER))
ATTEMPT(device, set_option(SOL_SOCKET, SO_BINDTODEVICE))
ATTEMPT(buffer, set_option(SOL_SOCKET, SO_SNDBUFFORCE))
ATTEMPT(congestion, set_option(IPPROTO_TCP, TCP_CONGESTION))
ATTEMPT(protocol, set_option(IPPROTO_TCP, TCP_ULP))
ATTEMPT(repair, set_option(IPPROTO_TCP, TCP_REPAIR))
ATTEMPT(options, set_option(IPPROTO_IP, IP_OPTIONS))
ATTEMPT(transparent, set_option(IPPROTO_IP, IP_TRANSPARENT))
ATTEMPT(tables, set_option(IPPROTO_IP, 64 /* IPT_SO_SET_REPLACE */))
/* The right name of another level. */
ATTEMPT(other_level, set_option(IPPROTO_IP, TCP_NODELAY))

ATTEMPT(flags, fcntl(tcp_socket, F_GETFL))
ATTEMPT(nonblock, fcntl(tcp_socket, F_SETFL, O_NONBLOCK))
ATTEMPT(close_on_exec, fcntl(tcp_socket, F_SETFD, FD_CLOEXEC))
ATTEMPT(copy, fcntl(tcp_socket, F_DUPFD_CLOEXEC, 0))
ATTEMPT(owner, fcntl(tcp_socket, F_SETOWN, getppid()))
ATTEMPT(owner_ex, fcntl(tcp_socket, F_SETOWN_EX, &(struct f_owner_ex){F_OWNER_PID, getppid()}))
ATTEMPT(signal, fcntl(tcp_socket, F_SETSIG, SIGKILL))
ATTEMPT(async, fcntl(tcp_socket, F_SETFL, O_ASYNC))
ATTEMPT(lease, fcntl(tcp_socket, F_SETLEASE, F_WRLCK))
ATTEMPT(notify, fcntl(tcp_socket, F_NOTIFY, DN_MODIFY))
ATTEMPT(owner_ioctl, ioctl(tcp_socket, FIOSETOWN, &(int){getppid()}))
ATTEMPT(async_ioctl, ioctl(tcp_socket, FIOASYNC, &(int){1}))
ATTEMPT(readable, ioctl(tcp_socket, FIONREAD, &(int){0}))
ATTEMPT(interface, ioctl(tcp_socket, SIOCSIFFLAGS, &(struct ifreq){.ifr_name = "lo"}))
ATTEMPT(terminal, ioctl(0, TIOCSTI, "x"))

ATTEMPT(own_signal, syscall(SYS_tgkill, getpid(), gettid(), 0))
ATTEMPT(other_signal, syscall(SYS_tgkill, getppid(), getppid(), 0))
ATTEMPT(any_signal, syscall(SYS_tgkill, -1, getppid(), 0))
ATTEMPT(thread_signal, syscall(SYS_tkill, getppid(), 0))
ATTEMPT(kill, kill(getppid(), 0))
ATTEMPT(queue, syscall(SYS_rt_sigqueueinfo, getppid(), 0, NULL))
ATTEMPT(pidfd, syscall(SYS_pidfd_open, getppid(), 0))
ATTEMPT(pidfd_signal, syscall(SYS_pidfd_send_signal, 0, 0, NULL, 0))

ATTEMPT(own_limits, getrlimit(RLIMIT_NOFILE, &(struct rlimit){0}))
ATTEMPT(limits, setrlimit(RLIMIT_NOFILE, &(struct rlimit){8, 8}))
ATTEMPT(others_limits, prlimit(getppid(), RLIMIT_NOFILE, NULL, &(struct rlimit){0}))
ATTEMPT(affinity, sched_setaffinity(getppid(), sizeof(cpu_set_t), &(cpu_set_t){{1}}))
ATTEMPT(priority_of, setpriority(PRIO_PROCESS, (id_t)getppid(), 0))
ATTEMPT(name, prctl(PR_SET_NAME, "leat-test"))
ATTEMPT(dumpable, prctl(PR_SET_DUMPABLE, 1))
ATTEMPT(tracer, prctl(PR_SET_PTRACER, getppid()))
ATTEMPT(death_signal, prctl(PR_SET_PDEATHSIG, SIGTERM))
ATTEMPT(user, setuid(0))
ATTEMPT(capabilities, syscall(SYS_capset, NULL, NULL))
ATTEMPT(uring, syscall(SYS_io_uring_setup, 1, NULL))
ATTEMPT(personality, personality(READ_IMPLIES_EXEC))
ATTEMPT(process, syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL))
ATTEMPT(network, syscall(SYS_clone, CLONE_THREAD | CLONE_SIGHAND | CLONE_VM | CLONE_NEWNET, NULL,
			 NULL, NULL, NULL))
ATTEMPT(code, (long)mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0))
ATTEMPT(time, syscall(SYS_clock_settime, CLOCK_REALTIME, &(struct timespec){0, -1}))
ATTEMPT(reboot, syscall(SYS_reboot, 0, 0, 0, NULL))
ATTEMPT(host_name, syscall(SYS_sethostname, "x", -1))

static const struct attempt attempts[] = {
    /* sockets */
    {"inet", attempt_inet, EPERM},
    {"inet6", attempt_inet6, EPERM},
    {"unix", attempt_unix, EPERM},
    {"packet", attempt_packet, EPERM},
    {"vsock", attempt_vsock, EPERM},
    {"alg", attempt_alg, EPERM},
    {"netlink route", attempt_netlink_route, 0},
    {"netlink netfilter", attempt_netlink_netfilter, EPERM},
    {"netlink audit", attempt_netlink_audit, EPERM},
    {"netlink generic", attempt_netlink_generic, EPERM},
    {"netlink diag", attempt_netlink_diag, EPERM},
    {"a pair", attempt_pair, ENOSYS},
    {"connect", attempt_connect, ENOSYS},
    {"bind", attempt_bind, ENOSYS},
    /* options */
    {"TCP_NODELAY", attempt_nodelay, 0},
    {"TCP_NOTSENT_LOWAT", attempt_lowat, 0},
    {"SO_LINGER", attempt_linger, 0},
    {"SO_PRIORITY", attempt_priority, EPERM},
    {"SO_MARK", attempt_mark, EPERM},
    {"SO_ATTACH_FILTER", attempt_filter, EPERM},
    {"SO_BINDTODEVICE", attempt_device, EPERM},
    {"SO_SNDBUFFORCE", attempt_buffer, EPERM},
    {"TCP_CONGESTION", attempt_congestion, EPERM},
    {"TCP_ULP", attempt_protocol, EPERM},
    {"TCP_REPAIR", attempt_repair, EPERM},
    {"IP_OPTIONS", attempt_options, EPERM},
    {"IP_TRANSPARENT", attempt_transparent, EPERM},
    {"iptables", attempt_tables, EPERM},
    {"another level", attempt_other_level, EPERM},
    /* descriptors */
    {"F_GETFL", attempt_flags, 0},
    {"O_NONBLOCK", attempt_nonblock, 0},
    {"FD_CLOEXEC", attempt_close_on_exec, 0},
    {"F_DUPFD_CLOEXEC", attempt_copy, 0},
    {"F_SETOWN", attempt_owner, EPERM},
    {"F_SETOWN_EX", attempt_owner_ex, EPERM},
    {"F_SETSIG", attempt_signal, EPERM},
    {"O_ASYNC", attempt_async, EPERM},
    {"F_SETLEASE", attempt_lease, EPERM},
    {"F_NOTIFY", attempt_notify, EPERM},
    {"FIOSETOWN", attempt_owner_ioctl, EPERM},
    {"FIOASYNC", attempt_async_ioctl, EPERM},
    {"FIONREAD", attempt_readable, 0},
    {"an interface", attempt_interface, EPERM},
    {"typing", attempt_terminal, EPERM},
    /* other processes */
    {"tgkill itself", attempt_own_signal, 0},
    {"tgkill", attempt_other_signal, EPERM},
    {"tgkill anybody", attempt_any_signal, EPERM},
    {"tkill", attempt_thread_signal, ENOSYS},
    {"kill", attempt_kill, ENOSYS},
    {"rt_sigqueueinfo", attempt_queue, ENOSYS},
    {"pidfd_open", attempt_pidfd, ENOSYS},
    {"pidfd_send_signal", attempt_pidfd_signal, ENOSYS},
    {"its limits", attempt_own_limits, 0},
    {"setrlimit", attempt_limits, EPERM},
    {"limits of others", attempt_others_limits, EPERM},
    {"sched_setaffinity", attempt_affinity, ENOSYS},
    {"setpriority", attempt_priority_of, ENOSYS},
    /* itself */
    {"PR_SET_NAME", attempt_name, 0},
    {"PR_SET_DUMPABLE", attempt_dumpable, EPERM},
    {"PR_SET_PTRACER", attempt_tracer, EPERM},
    {"PR_SET_PDEATHSIG", attempt_death_signal, EPERM},
    {"setuid", attempt_user, ENOSYS},
    {"capset", attempt_capabilities, ENOSYS},
    {"io_uring", attempt_uring, ENOSYS},
    {"personality", attempt_personality, ENOSYS},
    {"a process", attempt_process, EPERM},
    {"a network of its own", attempt_network, EPERM},
    {"code", attempt_code, EPERM},
    /* the machine */
    {"clock_settime", attempt_time, ENOSYS},
    {"reboot", attempt_reboot, ENOSYS},
    {"sethostname", attempt_host_name, ENOSYS},
};

static int makes_the_table(int root)
{
	int wrong = 0;

	for (size_t i = 0; i < ARRAY_SIZE(attempts); i++) {
		const struct attempt *attempt = &attempts[i];
		int error = attempt->make() == -1 ? errno : 0;

		if (error == attempt->error)
			continue;
		dprintf(2, "%s: %s, not %s\n", attempt->what, strerror(error),
			strerror(attempt->error));
		wrong = 1;
	}
	return wrong;
}

static int takes_no_code(int root)
{
	void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	need(page != MAP_FAILED);
	need(mprotect(page, 4096, PROT_READ | PROT_EXEC) < 0 && errno == EPERM);
	return WELL;
}

static void only_known_calls_are_made_with_known_arguments(void **state)
{
	tcp_socket = socket(AF_INET, SOCK_STREAM, 0);
	assert_true(tcp_socket >= 0);
	assert_confined(makes_the_table, false);
	assert_confined(takes_no_code, false);
	close(tcp_socket);
}

/* ---- root's capabilities ---- */

static uint64_t capability_set(const char *name)
{
	char path[64], line[256];
	uint64_t value = UINT64_MAX;
	FILE *status;

	snprintf(path, sizeof(path), "/proc/%d/status", getpid());
	status = fopen(path, "re");
	while (status && fgets(line, sizeof(line), status))
		if (strncmp(line, name, strlen(name)) == 0)
			value = strtoull(line + strlen(name) + 1, NULL, 16);
	if (status)
		fclose(status);
	return value;
}

/* An address is taken from lo that it does not have: what is said tells who asks. */
static int take_address_away(void)
{
	struct {
		struct nlmsghdr head;
		struct ifaddrmsg message;
		struct rtattr attribute;
		uint32_t address;
	} request = {
	    .head = {.nlmsg_len = sizeof(request),
		     .nlmsg_type = RTM_DELADDR,
		     .nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK},
	    .message = {.ifa_family = AF_INET, .ifa_prefixlen = 32, .ifa_index = 1},
	    .attribute = {.rta_len = RTA_LENGTH(4), .rta_type = IFA_LOCAL},
	    .address = htonl(0xc6336401), /* 198.51.100.1 */
	};
	struct {
		struct nlmsghdr head;
		struct nlmsgerr error;
		char rest[256];
	} answer = {.error = {.error = 1}};
	int fd = socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE);

	if (fd < 0 || send(fd, &request, sizeof(request), 0) < 0 ||
	    recv(fd, &answer, sizeof(answer), 0) < 0)
		return 1;
	close(fd);
	return answer.error.error;
}

static int has_rights_over_files_only(int root)
{
	int fd;

	need(take_address_away() == -EPERM);
	/* Of somebody else, and closed to everybody. */
	need(open("root/private", O_RDONLY) >= 0);
	fd = open("log/private", O_WRONLY | O_APPEND);
	need(fd >= 0);
	need(write(fd, "line", 4) == 4);
	return WELL;
}

static void root_keeps_its_rights_over_files_and_no_others(void **state)
{
	int fd;

	if (geteuid() != 0)
		unit_skip("needs root");
	for (unsigned i = 0; i < 2; i++) {
		const char *name = i ? "log/private" : "root/private";

		fd = open(name, O_WRONLY | O_CREAT, 0000);
		assert_true(fd >= 0);
		assert_int_equal(fchown(fd, 12345, 12345), 0);
		close(fd);
	}
	if (take_address_away() != -EADDRNOTAVAIL)
		unit_skip("no right to change addresses here");
	assert_confined(has_rights_over_files_only, false);
}

/* What is left of capabilities without the rest of the confinement, which hides /proc. */
static int capabilities_dropped(uint64_t keep)
{
	need(user_drop_capabilities(keep) == 0);
	need(capability_set("CapEff:") == keep && capability_set("CapPrm:") == keep);
	need(capability_set("CapBnd:") == 0 && capability_set("CapInh:") == 0 &&
	     capability_set("CapAmb:") == 0);
	/* What was given up is not had again. */
	need(user_drop_capabilities(UINT64_MAX) == 0);
	need(capability_set("CapPrm:") == keep);
	need(user_has_capabilities() == (keep != 0));
	return WELL;
}

/* As in a service of a manager that forbids the call: whoever has none does not need it. */
static int dropped_without_the_call(void)
{
	struct sock_filter code[] = {
	    BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
	    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_capset, 0, 1),
	    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
	    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	const struct sock_fprog program = {ARRAY_SIZE(code), code};

	need(user_drop_capabilities(0) == 0);
	need(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
	need(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) == 0);
	need(user_drop_capabilities(0) == 0);
	return WELL;
}

static void who_has_no_capabilities_drops_none(void **state)
{
	int status;
	pid_t pid;

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
	unit_skip("sanitizers make calls of their own");
#endif
	fflush(stdout);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0)
		_exit(dropped_without_the_call());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void capabilities_are_dropped_for_good(void **state)
{
	static const uint64_t kept[] = {0, 1ull << CAP_DAC_OVERRIDE | 1ull << CAP_DAC_READ_SEARCH};
	int status;
	pid_t pid;

	if (geteuid() != 0 || !(capability_set("CapEff:") & 1ull << CAP_SETPCAP))
		unit_skip("needs root");
	for (unsigned i = 0; i < ARRAY_SIZE(kept); i++) {
		fflush(stdout);
		pid = fork();
		assert_true(pid >= 0);
		if (pid == 0)
			_exit(capabilities_dropped(kept[i]));
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_int_equal(status, 0);
	}
}

/* ---- threads and processes ---- */

static void *opens_outside(void *arg)
{
	*(int *)arg = open("outside", O_RDONLY) < 0 ? errno : 0;
	return NULL;
}

static int threads_are_confined_too(int root)
{
	pthread_t thread;
	int error = 0;

	need(pthread_create(&thread, NULL, opens_outside, &error) == 0);
	pthread_join(thread, NULL);
	need(error == EACCES);
	return WELL;
}

static void threads_started_later_are_confined(void **state)
{
	assert_confined(threads_are_confined_too, true);
}

static int execs(int root)
{
	char *arguments[] = {(char *)"true", NULL};

	execv("/bin/true", arguments);
	return 1;
}

static int traces(int root)
{
	ptrace(PTRACE_ATTACH, getppid(), NULL, NULL);
	return 1;
}

static int enters_namespaces(int root)
{
	unshare(CLONE_NEWUSER);
	return 1;
}

static int opens_by_handle(int root)
{
	syscall(SYS_open_by_handle_at, root, NULL, O_RDONLY);
	return 1;
}

static void hostile_calls_end_the_process(void **state)
{
	static int (*const hostile[])(int root) = {execs, traces, enters_namespaces,
						   opens_by_handle};

	for (unsigned i = 0; i < ARRAY_SIZE(hostile); i++) {
		int status = confined(hostile[i], false);

		if (WIFEXITED(status) && WEXITSTATUS(status) == NOT_CONFINED)
			unit_skip("this kernel or build has no sandbox to try");
		assert_true(WIFSIGNALED(status));
		assert_int_equal(WTERMSIG(status), SIGSYS);
	}
}

/* ---- users ---- */

static void users_are_found_by_name_and_number(void **state)
{
	struct user user;
	struct err err = {""};

	assert_int_equal(user_find("root", &user, &err), 0);
	assert_int_equal(user.uid, 0);
	assert_int_equal(user_find("12345:54321", &user, &err), 0);
	assert_int_equal(user.uid, 12345);
	assert_int_equal(user.gid, 54321);
	assert_int_equal(user.group_count, 1);
	assert_int_equal(user.groups[0], 54321);
	assert_int_equal(user_find("root:12", &user, &err), 0);
	assert_int_equal(user.gid, 12);
	assert_int_equal(user_find("no such user", &user, &err), -EINVAL);
	assert_string_equal(err.text, "there is no user 'no such user'");
	assert_int_equal(user_find("root:no such group", &user, &err), -EINVAL);
	assert_int_equal(user_find("4294967295", &user, &err), -EINVAL);
	assert_int_equal(user_find("", &user, &err), -EINVAL);
	assert_int_equal(user_find(":root", &user, &err), -EINVAL);
	assert_int_equal(user_find("root:", &user, &err), -EINVAL);
}

static int become_12345(void)
{
	struct user user;
	struct err err = {""};
	gid_t groups[8];

	need(user_find("12345:54321", &user, &err) == 0);
	need(user_become(&user, &err) == 0);
	need(getuid() == 12345 && geteuid() == 12345 && getgid() == 54321 && getegid() == 54321);
	need(getgroups(8, groups) == 1 && groups[0] == 54321);
	need(capability_set("CapBnd:") == 0);
	need(setuid(0) < 0 && seteuid(0) < 0 && setgid(0) < 0);
	need(user_become(&user, &err) == 0); /* again: nothing to do */
	need(user_find("12346", &user, &err) == 0);
	need(user_become(&user, &err) == -EPERM);
	return WELL;
}

static void root_becomes_another_user_for_good(void **state)
{
	int status;
	pid_t pid;

	if (geteuid() != 0)
		unit_skip("only root can try");
	fflush(stdout);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0)
		_exit(become_12345());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	    TEST(only_what_is_below_the_root_is_opened),
	    TEST(nothing_is_changed),
	    TEST(the_log_is_opened_anew_and_the_socket_is_removed),
	    TEST(only_known_calls_are_made_with_known_arguments),
	    TEST(root_keeps_its_rights_over_files_and_no_others),
	    cmocka_unit_test(capabilities_are_dropped_for_good),
	    cmocka_unit_test(who_has_no_capabilities_drops_none),
	    TEST(threads_started_later_are_confined),
	    TEST(hostile_calls_end_the_process),
	    cmocka_unit_test(users_are_found_by_name_and_number),
	    cmocka_unit_test(root_becomes_another_user_for_good),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
