#include "sys/sys.h"

#include <errno.h>
#include <malloc.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/check.h"

int sys_signal_handle(int signal, void (*handler)(int))
{
	struct sigaction action = {.sa_handler = handler, .sa_flags = (int)SA_RESETHAND};

	if (handler == SIG_IGN || handler == SIG_DFL)
		action.sa_flags = 0;
	return sigaction(signal, &action, NULL) < 0 ? -errno : 0;
}

int sys_dup_onto(int fd, int target)
{
	int r;

	do
		r = dup3(fd, target, O_CLOEXEC);
	while (r < 0 && errno == EINTR);
	return r < 0 ? -errno : 0;
}

int sys_random(void *ret, size_t len)
{
	ssize_t n;

	/* Up to 256 bytes come whole (getrandom(2)); only a system that is just starting waits. */
	CHECK(len <= 256);
	do
		n = getrandom(ret, len, 0);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : 0;
}

/* free() alone gives back what lies at the end of an arena, and large pieces at best. */
void sys_memory_trim(void)
{
	malloc_trim(0);
}

int sys_fork(void)
{
	pid_t pid = fork();

	return pid < 0 ? -errno : (int)pid;
}

void sys_exit(int code)
{
	_exit(code);
}

int sys_wait_for(int pid, int *ret_status)
{
	int status;

	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	*ret_status = status;
	return 0;
}

int sys_kill(int pid, int signal)
{
	return kill(pid, signal) < 0 ? -errno : 0;
}

int sys_die_with_parent(int parent)
{
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
		return -errno;
	/* It may have ended before it could be noticed. */
	return getppid() == parent ? 0 : -ESRCH;
}

int sys_exec(const char *path, char *const argv[])
{
	execv(path, argv);
	return -errno;
}

int sys_usage(struct rusage *ret)
{
	return getrusage(RUSAGE_SELF, ret) < 0 ? -errno : 0;
}

bool sys_is_root(void)
{
	return geteuid() == 0;
}
