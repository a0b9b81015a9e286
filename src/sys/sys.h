/*
 * The system calls leat makes, as plain functions: the only door to the kernel.
 *
 * Every function returns >= 0 or -errno; errno itself is never part of the contract. EINTR never
 * escapes: calls that moved nothing are made again, waits report "nothing happened". No function
 * logs, allocates or keeps state.
 *
 * The fault build (tests/fault) wraps each function named here with one that fails the Nth call or
 * shortens it before the real call; tests/layers.py checks that nothing else in src/ calls the
 * kernel and that no function here escapes the fault build. A new function goes here, into its .c
 * file, and into tests/fault/calls.def.
 */
#ifndef SYS_SYS_H
#define SYS_SYS_H

#include <stddef.h>
#include <stdint.h>
#include <stdbool.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <time.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>

/* ---- io.c: bytes in and out of one descriptor ---- */

ssize_t sys_read(int fd, void *buf, size_t len);
ssize_t sys_write(int fd, const void *buf, size_t len);
ssize_t sys_pread(int fd, void *buf, size_t len, uint64_t offset);
ssize_t sys_pwrite(int fd, const void *buf, size_t len, uint64_t offset);
ssize_t sys_writev(int fd, const struct iovec *iov, int count);
/* preadv2(RWF_NOWAIT), one buffer: -EAGAIN when the page cache does not hold it; 4.14. */
ssize_t sys_pread_nowait(int fd, void *buf, size_t len, uint64_t offset);
ssize_t sys_recv(int fd, void *buf, size_t len, int flags);
/* send and sendmsg always add MSG_NOSIGNAL. */
ssize_t sys_send(int fd, const void *buf, size_t len, int flags);
ssize_t sys_sendmsg(int fd, const struct msghdr *msg, int flags);
ssize_t sys_recvmsg(int fd, struct msghdr *msg, int flags);

/* ---- move.c: bytes between two descriptors, by reference where the kernel can ---- */

/* `offset` NULL: the file position is used and moved. At most 0x7ffff000 bytes a call. Raises
 * SIGPIPE on a closed peer: the process has to ignore it (sigpipe_guard in engine/ does for
 * libraries). */
ssize_t sys_sendfile(int out, int in, int64_t *offset, size_t len);
ssize_t sys_splice(int in, int64_t *in_offset, int out, int64_t *out_offset, size_t len,
		   unsigned flags);
ssize_t sys_tee(int in, int out, size_t len, unsigned flags);
ssize_t sys_vmsplice(int pipe, const struct iovec *iov, size_t count, unsigned flags);
ssize_t sys_copy_file_range(int in, int64_t *in_offset, int out, int64_t *out_offset, size_t len);
/* ioctl(FICLONERANGE): shares blocks; -EOPNOTSUPP, -EINVAL or -EXDEV where it can't; 4.5. */
int sys_clone_range(int in, uint64_t in_offset, int out, uint64_t out_offset, uint64_t len);

/* ---- file.c: names, descriptors, mappings ---- */

int sys_open(const char *path, int flags, mode_t mode);
int sys_openat(int dir, const char *path, int flags, mode_t mode);
/* `resolve`: RESOLVE_* of linux/openat2.h; 5.6. */
int sys_openat2(int dir, const char *path, uint64_t flags, uint64_t mode, uint64_t resolve);
int sys_close(int fd);
int sys_fstat(int fd, struct stat *ret);
int sys_fstatat(int dir, const char *path, struct stat *ret, int flags);
/* Which mount: `unique` ids are never used again (6.8). Without them the id of a mount that is gone
 * may come back for another; `id` 0: this kernel tells none (before 5.8). */
struct sys_mount {
	uint64_t id;
	bool unique;
};
/* What the kernel knows of a file without asking its file system (statx(2), AT_STATX_DONT_SYNC):
 * never waits for a daemon or a network. `path` is not followed where it is a link; "": the
 * descriptor itself, O_PATH will do. 4.11. */
int sys_stat_cached(int dir, const char *path, struct stat *ret, struct sys_mount *ret_mount);
int sys_statfs_type(int fd, long *ret_magic);
/* Of the whole file system, and what is left of it for us. */
int sys_statfs_bytes(int fd, uint64_t *ret_total, uint64_t *ret_usable);
/* The working directory's path. */
int sys_getcwd(char *ret, size_t size);
/* The length of what the link holds, at most `size`, without a zero; -EINVAL: it is none. */
int sys_readlink(const char *path, char *ret, size_t size);
int64_t sys_lseek(int fd, int64_t offset, int whence);
int sys_ftruncate(int fd, uint64_t size);
int sys_fallocate(int fd, int mode, uint64_t offset, uint64_t len);
int sys_fdatasync(int fd);
/* For folders: fdatasync may leave out what their names point to. */
int sys_fsync(int fd);
/* All of the file for this open file alone: -EAGAIN where another has it. By F_OFD_SETLK (3.15),
 * which other programs' fcntl(F_SETLK) locks conflict with, as Java's do; flock(2) would not. */
int sys_lock_file(int fd);
int sys_unlink(const char *path);
int sys_unlinkat(int dir, const char *path, int flags);
int sys_renameat(int from_dir, const char *from, int to_dir, const char *to);
int sys_mkdirat(int dir, const char *path, mode_t mode);
int sys_dup_cloexec(int fd);
int sys_get_flags(int fd);
int sys_set_nonblock(int fd, bool on);
int sys_set_cloexec(int fd);
int sys_clear_cloexec(int fd);
bool sys_is_terminal(int fd);
/* Bytes of getdents64(2) records, 0 at the end. */
ssize_t sys_getdents(int fd, void *buf, size_t len);
int sys_fadvise(int fd, uint64_t offset, uint64_t len, int advice);
/* cachestat(2): pages of the range that the page cache holds; -ENOSYS before 6.5. */
int64_t sys_cached_pages(int fd, uint64_t offset, uint64_t len);
int sys_memfd(const char *name, unsigned flags);
void *sys_mmap(size_t len, int prot, int flags, int fd, uint64_t offset, int *ret_error);
int sys_munmap(void *addr, size_t len);
int sys_madvise(void *addr, size_t len, int advice);
int sys_inotify_init(void);
int sys_inotify_add(int fd, const char *path, uint32_t mask);
int sys_inotify_remove(int fd, int watch);

/* ---- pipes (move.c) ---- */

/* O_CLOEXEC | O_NONBLOCK on both ends. */
int sys_pipe(int ret_ends[2]);
/* F_SETPIPE_SZ / F_GETPIPE_SZ: the size that resulted, in bytes. */
int sys_pipe_resize(int fd, int bytes);
int sys_pipe_size(int fd);
/* FIONREAD: bytes that can be read now from a pipe or a stream socket. */
int sys_readable_bytes(int fd);
/* SIOCOUTQ: bytes of a socket that its peer has not acknowledged (TCP), or not read (UNIX). */
int sys_unsent_bytes(int fd);

/* ---- net.c ---- */

/* SOCK_CLOEXEC is always added. */
int sys_socket(int domain, int type, int protocol);
int sys_socketpair(int domain, int type, int ret_ends[2]);
int sys_bind(int fd, const struct sockaddr *addr, socklen_t len);
int sys_listen(int fd, int backlog);
/* O_CLOEXEC | O_NONBLOCK; `addr` may be NULL. */
int sys_accept(int fd, struct sockaddr_storage *addr, socklen_t *len);
/* Waits for a connection on a blocking listener; -EINTR does not escape. */
int sys_accept_blocking(int fd);
int sys_connect(int fd, const struct sockaddr *addr, socklen_t len);
int sys_shutdown(int fd, int how);
/* The addresses of a host's name, without a port, by the system's resolver; may take seconds. How
 * many, at most `max`; -ENOENT: there is no such name; -EAGAIN: nobody answers. */
int sys_resolve(const char *host, struct sockaddr_storage *ret, socklen_t *ret_lens, int max);
int sys_getsockname(int fd, struct sockaddr_storage *ret, socklen_t *ret_len);
int sys_getpeername(int fd, struct sockaddr_storage *ret, socklen_t *ret_len);
int sys_setsockopt_int(int fd, int level, int name, int value);
int sys_setsockopt(int fd, int level, int name, const void *value, socklen_t len);
int sys_getsockopt_int(int fd, int level, int name);
/* SO_NETNS_COOKIE: which network namespace a socket lives in; 5.14. */
int sys_netns_cookie(int fd, uint64_t *ret);
/* ioctl(SIOCETHTOOL) with a one-word command such as ETHTOOL_GSG: the value, 0 or 1. */
int sys_ethtool_get(int fd, const char *device, uint32_t command);
/* The same with a command that sets, such as ETHTOOL_SSG. */
int sys_ethtool_set(int fd, const char *device, uint32_t command, uint32_t value);
/* ioctl(SIOCGIFNAME) on any socket. */
int sys_device_name(int fd, unsigned index, char ret_name[16]);
/* The nth (from 0) device that is up, is no loopback, and has this IPv4 or IPv6 address; for the
 * address that stands for all, any of its family. -ENODEV: there are no more. */
int sys_device_of_address(const struct sockaddr *address, unsigned nth, char ret_name[16]);

/* ---- kernel.c ---- */

struct io_uring_params;

/* uname's release. */
int sys_kernel_release(char ret_release[65]);
/* uname's machine: "x86_64". */
int sys_machine(char ret_machine[65]);
/* Raw io_uring, for asking what a ring can do; rings that move bytes are liburing's. 5.1. */
int sys_uring_setup(unsigned entries, struct io_uring_params *params);
int sys_uring_register(int ring, unsigned opcode, void *arg, unsigned count);

/* ---- process.c ---- */

/* sigaction(2); SIG_IGN and SIG_DFL stay, a handler is called once (SA_RESETHAND), and calls that
 * it interrupts are not restarted by the kernel. */
int sys_signal_handle(int signal, void (*handler)(int));
/* dup3(2): `target` becomes another name of `fd`. Safe in a signal handler. */
int sys_dup_onto(int fd, int target);
/* getrandom(2): `len` bytes nobody can guess, at most 256. */
int sys_random(void *ret, size_t len);
/* 0 in the child, which should leave by sys_exit(). */
int sys_fork(void);
/* No atexit functions, nothing is flushed. */
void sys_exit(int code) __attribute__((noreturn));
/* Waits for the end of a child; *ret_status as waitpid(2) has it. */
int sys_wait_for(int pid, int *ret_status);
int sys_kill(int pid, int signal);
/* SIGKILL for the calling process when its parent ends; -ESRCH: `parent` has ended already. */
int sys_die_with_parent(int parent);
/* Comes back only with an error. The environment stays. */
int sys_exec(const char *path, char *const argv[]);
/* getrusage(RUSAGE_SELF). */
int sys_usage(struct rusage *ret);
bool sys_is_root(void);

/* ---- namespace.c ---- */

/* CLONE_NEWNET, CLONE_NEWNS, CLONE_NEWUSER. */
int sys_unshare(int flags);
int sys_setns(int fd, int type);
int sys_mount(const char *source, const char *target, const char *type, unsigned long flags,
	      const char *options);
/* A free loop device over a file; it is gone when the last user has closed it (LO_FLAGS_AUTOCLEAR).
 * Its descriptor, and its name in ret_path; LOOP_CONFIGURE, 5.8. */
int sys_loop_over(int file, char ret_path[32]);

/* ---- command.c: a program as a child ---- */

struct sys_command {
	pid_t pid;
	int go, failed; /* pipes: it may begin; why it could not */
};

/* Forks a child that waits for sys_command_go() or sys_command_drop(). It will have no signals
 * blocked and SIGPIPE as a program expects it. */
int sys_command_start(char *const argv[], struct sys_command *ret);
/* It begins: execvp(3). An error is that of it, and the child is gone. */
int sys_command_go(struct sys_command *command);
/* It never begins, and is gone. */
void sys_command_drop(struct sys_command *command);
/* Does not wait; *ret_status as waitpid(2) has it. */
bool sys_command_ended(const struct sys_command *command, int *ret_status);
void sys_command_signal(const struct sys_command *command, int signal);

/* ---- event.c ---- */

int sys_epoll_create(void);
int sys_epoll_ctl(int epoll, int op, int fd, uint32_t events, void *ptr);
/* 0 on a signal too. */
int sys_epoll_wait(int epoll, struct epoll_event *events, int max, int timeout_ms);
/* 0 on a signal too. */
int sys_poll(struct pollfd *fds, unsigned count, int timeout_ms);
int sys_eventfd(void);
/* Adds one: wakes who waits for it. Can't fail before 2^64 - 2 of them. */
void sys_eventfd_signal(int fd);
/* O_CLOEXEC | O_NONBLOCK; the caller has blocked the signals. */
int sys_signalfd(const sigset_t *signals);
void sys_signal_ignore(int signo);
int sys_pid(void);
/* Memory that was freed goes back to the kernel, of all threads. Their allocations may wait meanwhile. */
void sys_memory_trim(void);
uint64_t sys_now_ns(void);        /* CLOCK_MONOTONIC */
uint64_t sys_now_coarse_ns(void); /* CLOCK_MONOTONIC_COARSE: a few ms behind, no system call */
time_t sys_wall_time(void);       /* seconds since 1970, UTC */
int64_t sys_wall_ms(void);        /* milliseconds, a few ms behind */
uint64_t sys_thread_cpu_ns(void);
uint64_t sys_process_cpu_ns(void);
/* CPUs this process may run on: sched_getaffinity(2), at least 1. */
int sys_cpu_count(void);
int sys_pin_thread(int cpu);
uint64_t sys_fd_limit(void);
/* Raises RLIMIT_NOFILE's soft limit to its hard one; the soft limit that results. */
uint64_t sys_fd_limit_raise(void);

/* ---- signal.c: for the calling thread ---- */

bool sys_signal_ignored(int signal);
/* Whether it was blocked before. */
bool sys_signal_block(int signal);
void sys_signal_unblock(int signal);
bool sys_signal_pending(int signal);
/* Takes away a pending, blocked signal; nothing when none is. */
void sys_signal_drop(int signal);

#endif
