#include "sys/sys.h"

#include <errno.h>
#include <sys/random.h>
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
