#include "sys/sys.h"

#include <errno.h>

static sigset_t only(int signal)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, signal);
	return set;
}

bool sys_signal_ignored(int signal)
{
	struct sigaction action;

	return sigaction(signal, NULL, &action) == 0 && action.sa_handler == SIG_IGN;
}

bool sys_signal_block(int signal)
{
	sigset_t set = only(signal), before;

	pthread_sigmask(SIG_BLOCK, &set, &before);
	return sigismember(&before, signal) == 1;
}

void sys_signal_unblock(int signal)
{
	sigset_t set = only(signal);

	pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}

bool sys_signal_pending(int signal)
{
	sigset_t set;

	return sigpending(&set) == 0 && sigismember(&set, signal) == 1;
}

void sys_signal_drop(int signal)
{
	sigset_t set = only(signal);
	const struct timespec at_once = {0, 0};

	while (sigtimedwait(&set, NULL, &at_once) < 0 && errno == EINTR)
		;
}
