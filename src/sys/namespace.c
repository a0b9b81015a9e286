#include "sys/sys.h"

#include <errno.h>
#include <linux/loop.h>
#include <sched.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <unistd.h>

int sys_unshare(int flags)
{
	return unshare(flags) < 0 ? -errno : 0;
}

int sys_setns(int fd, int type)
{
	return setns(fd, type) < 0 ? -errno : 0;
}

int sys_mount(const char *source, const char *target, const char *type, unsigned long flags,
	      const char *options)
{
	return mount(source, target, type, flags, options) < 0 ? -errno : 0;
}

/* The number of a device that nobody uses now. */
static int free_loop(void)
{
	int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
	int number;

	if (control < 0)
		return -errno;
	number = ioctl(control, LOOP_CTL_GET_FREE);
	if (number < 0)
		number = -errno;
	close(control);
	return number;
}

int sys_loop_over(int file, char ret_path[32])
{
	struct loop_config config = {.fd = (uint32_t)file,
				     .info = {.lo_flags = LO_FLAGS_AUTOCLEAR}};

	/* Another process may be faster: then the next one is asked for. */
	for (int tries = 0; tries < 8; tries++) {
		int number = free_loop(), fd;

		if (number < 0)
			return number;
		snprintf(ret_path, 32, "/dev/loop%d", number);
		fd = open(ret_path, O_RDWR | O_CLOEXEC);
		if (fd < 0)
			return -errno;
		if (ioctl(fd, LOOP_CONFIGURE, &config) == 0)
			return fd;
		number = -errno;
		close(fd);
		if (number != -EBUSY)
			return number;
	}
	return -EBUSY;
}
