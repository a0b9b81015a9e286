/*
 * The system calls of a confined server (sandbox.c): what it makes once it has started, and what
 * nobody in its place has any business with. Beside sys.h: a function there that runs after the
 * start needs its call here, or it fails with -ENOSYS, and the kernel's log (audit type 1326) names
 * the number.
 *
 * ALLOW(name)                        whatever its arguments
 * ALLOW_STORES(name)                 the same, where data is kept (SANDBOX_STORES)
 * ALLOW_CALLERS(name), ALLOW_CALLERS_IF_BOTH(...)
 *                                    where others are connected to (SANDBOX_CALLERS)
 * ALLOW_IF(name, argument, TEST, value)
 *                                    EQUAL, ANY_OF (bits), NONE_OF (bits), OWN_PID (0); several
 *                                    lines for one call: any of them; else -EPERM
 * ALLOW_IF_BOTH(name, argument, TEST, value, argument, TEST, value)
 * ABSENT(name)                       -ENOSYS without a word: libc asks and has another way
 * KILL(name)                         ends the process: whoever calls it is not us
 *
 * Files that are opened are Landlock's matter: the path is in memory, where a filter can't look. A
 * call of a request should stand by ALLOW: the kernel remembers which numbers pass whatever their
 * arguments (since 5.11), and runs the filter for none of these.
 */

/* ---- io.c, move.c ---- */
ALLOW(read)
ALLOW(write)
ALLOW(pread64)
ALLOW(pwrite64)
ALLOW(writev)
ALLOW(preadv2)
ALLOW(recvfrom)
ALLOW(sendto)
ALLOW(recvmsg)
ALLOW(sendmsg)
ALLOW(sendfile)
ALLOW(splice)
ALLOW(tee)
ALLOW(vmsplice)
ALLOW(copy_file_range)
ALLOW(pipe2)
ALLOW(dup3)

/* ---- file.c ---- */
ALLOW(openat)
ALLOW(openat2)
ALLOW(close)
ALLOW(fstat)
ALLOW(newfstatat)
ALLOW(statx)
ALLOW(fstatfs)
ALLOW(readlinkat)
ALLOW(lseek)
ALLOW(getdents64)
ALLOW(fadvise64)
ALLOW(cachestat)
/* Not F_SETOWN, F_SETSIG, O_ASYNC: a signal for somebody else. */
ALLOW_IF(fcntl, 1, EQUAL, F_DUPFD_CLOEXEC)
ALLOW_IF(fcntl, 1, EQUAL, F_GETFD)
ALLOW_IF(fcntl, 1, EQUAL, F_SETFD)
ALLOW_IF(fcntl, 1, EQUAL, F_GETFL)
ALLOW_IF_BOTH(fcntl, 1, EQUAL, F_SETFL, 2, NONE_OF, O_ASYNC)
ALLOW_IF(fcntl, 1, EQUAL, F_GETPIPE_SZ)
ALLOW_IF(fcntl, 1, EQUAL, F_SETPIPE_SZ)
ALLOW(inotify_init1)
ALLOW(inotify_add_watch)
ALLOW(inotify_rm_watch)
/* A socket file of our own, at the end. */
ALLOW(unlink)
ALLOW(unlinkat)

/* ---- file.c, for Kafka's store ---- */
ALLOW_STORES(fsync)
ALLOW_STORES(fdatasync)
ALLOW_STORES(ftruncate)
ALLOW_STORES(fallocate)
ALLOW_STORES(mkdirat)
ALLOW_STORES(renameat)

/* ---- net.c, for connections of its own: to the ports that Landlock allows ---- */
ALLOW_CALLERS(connect)
ALLOW_CALLERS_IF_BOTH(socket, 0, EQUAL, AF_INET, 1, EQUAL,
		      SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC)
ALLOW_CALLERS_IF_BOTH(socket, 0, EQUAL, AF_INET6, 1, EQUAL,
		      SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC)
ALLOW_CALLERS_IF_BOTH(socket, 0, EQUAL, AF_UNIX, 1, EQUAL,
		      SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC)
ALLOW_CALLERS_IF_BOTH(setsockopt, 1, EQUAL, SOL_SOCKET, 2, EQUAL, SO_KEEPALIVE)
ALLOW_CALLERS_IF_BOTH(setsockopt, 1, EQUAL, IPPROTO_TCP, 2, EQUAL, TCP_KEEPIDLE)
ALLOW_CALLERS_IF_BOTH(setsockopt, 1, EQUAL, IPPROTO_TCP, 2, EQUAL, TCP_USER_TIMEOUT)

/* ---- net.c: else nobody is called, only answered; netlink tells the device of a route ---- */
ALLOW(accept4)
ALLOW(listen) /* what was bound before, when everything else stands */
ALLOW(shutdown)
ALLOW(getsockname)
ALLOW(getpeername)
ALLOW_IF_BOTH(setsockopt, 1, EQUAL, IPPROTO_TCP, 2, EQUAL, TCP_NODELAY)
ALLOW_IF_BOTH(setsockopt, 1, EQUAL, IPPROTO_TCP, 2, EQUAL, TCP_NOTSENT_LOWAT)
ALLOW_IF_BOTH(setsockopt, 1, EQUAL, SOL_SOCKET, 2, EQUAL, SO_LINGER)
ALLOW_IF_BOTH(setsockopt, 1, EQUAL, SOL_SOCKET, 2, EQUAL, SO_ZEROCOPY)
ALLOW(getsockopt)
ALLOW_IF_BOTH(socket, 0, EQUAL, AF_NETLINK, 2, EQUAL, NETLINK_ROUTE)
ALLOW_IF(ioctl, 1, EQUAL, SIOCETHTOOL)
ALLOW_IF(ioctl, 1, EQUAL, SIOCGIFNAME)
ALLOW_IF(ioctl, 1, EQUAL, FIONREAD)
ALLOW_IF(ioctl, 1, EQUAL, SIOCOUTQ)

/* ---- event.c, signal.c, process.c, kernel.c ---- */
ALLOW(epoll_create1)
ALLOW(epoll_ctl)
ALLOW(epoll_wait)
ALLOW(epoll_pwait)
ALLOW(poll)
ALLOW(ppoll)
ALLOW(eventfd2)
ALLOW(signalfd4)
ALLOW(rt_sigaction)
ALLOW(rt_sigprocmask)
ALLOW(rt_sigreturn)
ALLOW(rt_sigpending)
ALLOW(rt_sigtimedwait)
ALLOW(sigaltstack)
ALLOW(clock_gettime)
ALLOW(clock_getres)
ALLOW(clock_nanosleep)
ALLOW(nanosleep)
ALLOW(gettimeofday)
ALLOW(time)
ALLOW(getrandom)
ALLOW(getpid)
ALLOW(gettid)
ALLOW(getppid)
ALLOW(getuid)
ALLOW(geteuid)
ALLOW(getgid)
ALLOW(getegid)
ALLOW(getrusage)
ALLOW(uname)
ALLOW(sched_getaffinity)
ALLOW(sched_yield)
/* Only asking, and only about itself. */
ALLOW_IF_BOTH(prlimit64, 0, EQUAL, 0, 2, EQUAL, 0)

/* ---- memory and threads: what libc does for malloc() and pthread_create() ---- */
ALLOW(brk)
ALLOW(munmap)
ALLOW(mremap)
ALLOW(madvise)
ALLOW_IF(mmap, 2, NONE_OF, PROT_EXEC)
ALLOW_IF(mprotect, 2, NONE_OF, PROT_EXEC)
ALLOW(futex)
ALLOW(set_robust_list)
ALLOW(rseq)
ALLOW(membarrier)
ABSENT(clone3) /* its flags are in memory; libc takes clone then */
/* A thread, in the namespaces that it is in. */
ALLOW_IF_BOTH(clone, 0, ANY_OF, CLONE_THREAD, 0, NONE_OF, NAMESPACES | CLONE_PTRACE | CLONE_PARENT)
ALLOW_IF(prctl, 0, EQUAL, PR_SET_NAME)
ALLOW(restart_syscall)
/* abort(). kill, tkill, pidfd_send_signal and rt_sigqueueinfo are not here. */
ALLOW_IF(tgkill, 0, OWN_PID, 0)
ALLOW(exit)
ALLOW(exit_group)

KILL(execve)
KILL(execveat)
KILL(fork)
KILL(vfork)
KILL(ptrace)
KILL(process_vm_readv)
KILL(process_vm_writev)
KILL(open_by_handle_at)
KILL(mount)
KILL(umount2)
KILL(pivot_root)
KILL(chroot)
KILL(setns)
KILL(unshare)
KILL(init_module)
KILL(finit_module)
KILL(delete_module)
KILL(kexec_load)
KILL(bpf)
KILL(perf_event_open)
KILL(userfaultfd)
KILL(add_key)
KILL(request_key)
KILL(keyctl)
