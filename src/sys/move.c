#include "sys/sys.h"

#include <errno.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <linux/sockios.h>
#include <sys/sendfile.h>
#include <unistd.h>

ssize_t sys_sendfile(int out, int in, int64_t *offset, size_t len)
{
	ssize_t n;

	do
		n = sendfile(out, in, offset, len);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n;
}

ssize_t sys_splice(int in, int64_t *in_offset, int out, int64_t *out_offset, size_t len,
		   unsigned flags)
{
	ssize_t n;

	do
		n = splice(in, in_offset, out, out_offset, len, flags);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n;
}

ssize_t sys_tee(int in, int out, size_t len, unsigned flags)
{
	ssize_t n;

	do
		n = tee(in, out, len, flags);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n;
}

ssize_t sys_vmsplice(int pipe, const struct iovec *iov, size_t count, unsigned flags)
{
	ssize_t n;

	do
		n = vmsplice(pipe, iov, count, flags);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n;
}

ssize_t sys_copy_file_range(int in, int64_t *in_offset, int out, int64_t *out_offset, size_t len)
{
	ssize_t n;

	do
		n = copy_file_range(in, in_offset, out, out_offset, len, 0);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n;
}

int sys_clone_range(int in, uint64_t in_offset, int out, uint64_t out_offset, uint64_t len)
{
	struct file_clone_range range = {.src_fd = in,
					 .src_offset = in_offset,
					 .src_length = len,
					 .dest_offset = out_offset};
	int r;

	do
		r = ioctl(out, FICLONERANGE, &range);
	while (r < 0 && errno == EINTR);
	return r < 0 ? -errno : 0;
}

int sys_pipe(int ret_ends[2])
{
	int ends[2];

	if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0)
		return -errno;
	ret_ends[0] = ends[0];
	ret_ends[1] = ends[1];
	return 0;
}

int sys_pipe_resize(int fd, int bytes)
{
	int size = fcntl(fd, F_SETPIPE_SZ, bytes);

	return size < 0 ? -errno : size;
}

int sys_pipe_size(int fd)
{
	int size = fcntl(fd, F_GETPIPE_SZ);

	return size < 0 ? -errno : size;
}

int sys_readable_bytes(int fd)
{
	int bytes = 0;

	return ioctl(fd, FIONREAD, &bytes) < 0 ? -errno : bytes;
}

int sys_unsent_bytes(int fd)
{
	int bytes = 0;

	return ioctl(fd, SIOCOUTQ, &bytes) < 0 ? -errno : bytes;
}
