#include "sys/sys.h"

#include <errno.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

int sys_kernel_release(char ret_release[65])
{
	struct utsname names;

	_Static_assert(sizeof(names.release) == 65, "the header promises 65 bytes");
	if (uname(&names) < 0)
		return -errno;
	snprintf(ret_release, 65, "%s", names.release);
	return 0;
}

int sys_machine(char ret_machine[65])
{
	struct utsname names;

	_Static_assert(sizeof(names.machine) == 65, "the header promises 65 bytes");
	if (uname(&names) < 0)
		return -errno;
	snprintf(ret_machine, 65, "%s", names.machine);
	return 0;
}

int sys_uring_setup(unsigned entries, struct io_uring_params *params)
{
	long fd = syscall(SYS_io_uring_setup, entries, params);

	return fd < 0 ? -errno : (int)fd;
}

int sys_uring_register(int ring, unsigned opcode, void *arg, unsigned count)
{
	long r = syscall(SYS_io_uring_register, ring, opcode, arg, count);

	return r < 0 ? -errno : (int)r;
}
