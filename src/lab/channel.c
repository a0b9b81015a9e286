#include "lab/channel.h"

#include <errno.h>
#include <string.h>

#include "sys/sys.h"

union control {
	struct cmsghdr header;
	char room[CMSG_SPACE(sizeof(int))];
};

int channel_send(int channel, const void *data, size_t len, int pass)
{
	union control control = {.room = {0}};
	struct iovec piece = {(void *)data, len};
	struct msghdr msg = {.msg_iov = &piece, .msg_iovlen = 1};
	ssize_t n;

	if (pass >= 0) {
		msg.msg_control = &control;
		msg.msg_controllen = sizeof(control);
		control.header.cmsg_level = SOL_SOCKET;
		control.header.cmsg_type = SCM_RIGHTS;
		control.header.cmsg_len = CMSG_LEN(sizeof(pass));
		memcpy(CMSG_DATA(&control.header), &pass, sizeof(pass));
	}
	n = sys_sendmsg(channel, &msg, 0);
	return n < 0 ? (int)n : 0;
}

static int passed(struct msghdr *msg)
{
	const struct cmsghdr *header = CMSG_FIRSTHDR(msg);
	int fd;

	if (!header || header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS)
		return -1;
	memcpy(&fd, CMSG_DATA(header), sizeof(fd));
	return fd;
}

int channel_receive(int channel, void *data, size_t len, int *ret_fd)
{
	union control control;
	struct iovec piece = {data, len};
	struct msghdr msg = {.msg_iov = &piece,
			     .msg_iovlen = 1,
			     .msg_control = &control,
			     .msg_controllen = sizeof(control)};
	ssize_t n = sys_recvmsg(channel, &msg, MSG_CMSG_CLOEXEC);
	int fd = n < 0 ? -1 : passed(&msg);

	if (n == 0 || n == -ECONNRESET)
		return 0;
	if (n < 0)
		return (int)n;
	if ((size_t)n != len || (fd >= 0 && !ret_fd)) {
		if (fd >= 0)
			sys_close(fd);
		return -EPROTO;
	}
	if (ret_fd)
		*ret_fd = fd;
	return 1;
}
