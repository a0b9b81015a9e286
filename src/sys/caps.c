#include "sys/caps.h"

#include <errno.h>
#include <linux/io_uring.h>
#include <linux/openat2.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "sys/sys.h"

/* One page: what goes by reference goes by whole pages, and it fits every pipe and socket. */
#define PROOF_BYTES 4096

static struct caps found;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void close_fd(const int *fd)
{
	if (*fd >= 0)
		sys_close(*fd);
}

#define AUTO_FD CLEANUP(close_fd) int

/* "No" is an answer of the kernel or of a seccomp filter; anything else (no descriptors, no memory)
 * says nothing about the call. */
static enum caps_answer answer_of(int64_t result)
{
	if (result >= 0)
		return CAPS_YES;
	switch (-result) {
	case ENOSYS:
	case EPERM:
	case EINVAL:
	case EOPNOTSUPP:
	case ENOPROTOOPT:
		return CAPS_NO;
	default:
		return CAPS_UNPROVEN;
	}
}

static int file_of(char letter)
{
	char page[PROOF_BYTES];
	int fd = sys_memfd("leat-probe", 0);

	if (fd < 0)
		return fd;
	memset(page, letter, sizeof(page));
	if (sys_pwrite(fd, page, sizeof(page), 0) != PROOF_BYTES) {
		sys_close(fd);
		return -EIO;
	}
	return fd;
}

static ssize_t send_by_sendfile(int file, int sink)
{
	int64_t offset = 0;

	return sys_sendfile(sink, file, &offset, PROOF_BYTES);
}

static ssize_t send_by_splice(int file, int sink)
{
	int64_t offset = 0;
	int pipe[2];
	ssize_t n = sys_pipe(pipe);

	if (n < 0)
		return n;
	n = sys_splice(file, &offset, pipe[1], NULL, PROOF_BYTES, 0);
	if (n > 0)
		n = sys_splice(pipe[0], NULL, sink, NULL, (size_t)n, 0);
	sys_close(pipe[0]);
	sys_close(pipe[1]);
	return n;
}

/* The mutation proof: send a page of A's, overwrite the file with B's before the peer reads. If the
 * peer reads B's, what was queued was the page and not a copy of it. */
static enum caps_answer prove(ssize_t (*send)(int file, int sink))
{
	char page[PROOF_BYTES];
	int pair[2];
	AUTO_FD file = file_of('A');

	if (file < 0 || sys_socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, pair) < 0)
		return CAPS_UNPROVEN;
	AUTO_FD writer = pair[0];
	AUTO_FD reader = pair[1];

	ssize_t n = send(file, writer);
	if (n < 0)
		return answer_of(n);
	memset(page, 'B', sizeof(page));
	if (n == 0 || sys_pwrite(file, page, sizeof(page), 0) != PROOF_BYTES)
		return CAPS_UNPROVEN;
	n = sys_recv(reader, page, sizeof(page), 0);
	if (n <= 0)
		return CAPS_UNPROVEN;
	return page[0] == 'B' && page[n - 1] == 'B' ? CAPS_YES : CAPS_NO;
}

static enum caps_answer probe_copy_file_range(void)
{
	int64_t from = 0, to = 0;
	AUTO_FD in = file_of('A');
	AUTO_FD out = file_of('B');
	char byte = 0;

	if (in < 0 || out < 0)
		return CAPS_UNPROVEN;
	ssize_t n = sys_copy_file_range(in, &from, out, &to, PROOF_BYTES);
	if (n < 0)
		return answer_of(n);
	return n > 0 && sys_pread(out, &byte, 1, 0) == 1 && byte == 'A' ? CAPS_YES : CAPS_NO;
}

static enum caps_answer probe_zerocopy(void)
{
	AUTO_FD fd = sys_socket(AF_INET, SOCK_STREAM, 0);

	if (fd < 0)
		fd = sys_socket(AF_INET6, SOCK_STREAM, 0);
	if (fd < 0)
		return CAPS_UNPROVEN;
	return answer_of(sys_setsockopt_int(fd, SOL_SOCKET, SO_ZEROCOPY, 1));
}

static enum caps_answer probe_uring(void)
{
	enum { OPS = 256 };
	struct io_uring_params params = {0};
	union {
		struct io_uring_probe probe;
		char room[sizeof(struct io_uring_probe) + OPS * sizeof(struct io_uring_probe_op)];
	} ops = {0};
	AUTO_FD ring = sys_uring_setup(1, &params);
	int r;

	if (ring < 0)
		return answer_of(ring);
	r = sys_uring_register(ring, IORING_REGISTER_PROBE, &ops, OPS);
	if (r < 0)
		return answer_of(r);
	if (ops.probe.last_op < IORING_OP_SEND_ZC)
		return CAPS_NO;
	if (!(ops.probe.ops[IORING_OP_SPLICE].flags & IO_URING_OP_SUPPORTED) ||
	    !(ops.probe.ops[IORING_OP_SEND_ZC].flags & IO_URING_OP_SUPPORTED))
		return CAPS_NO;
	return CAPS_YES;
}

/* At most `size` - 1 bytes of a small /proc file, terminated. */
static int read_proc(const char *path, char *buf, size_t size)
{
	AUTO_FD fd = sys_open(path, O_RDONLY, 0);
	ssize_t n;

	if (fd < 0)
		return fd;
	n = sys_read(fd, buf, size - 1);
	if (n < 0)
		return (int)n;
	buf[n] = '\0';
	return 0;
}

/* The list of what is loaded is read; TCP_ULP itself is not tried, since for root an unknown name
 * makes the kernel run modprobe, which takes many milliseconds (net/ipv4/tcp_ulp.c). So a module
 * that could be loaded is "unproven". */
static enum caps_answer probe_ktls(void)
{
	char names[256], *rest = names, *name;

	if (read_proc("/proc/sys/net/ipv4/tcp_available_ulp", names, sizeof(names)) < 0)
		return CAPS_UNPROVEN;
	while ((name = strsep(&rest, " \n")))
		if (strcmp(name, "tls") == 0)
			return CAPS_YES;
	return CAPS_UNPROVEN;
}

static enum caps_answer probe_cachestat(void)
{
	AUTO_FD fd = file_of('A');

	return fd < 0 ? CAPS_UNPROVEN : answer_of(sys_cached_pages(fd, 0, PROOF_BYTES));
}

static enum caps_answer probe_openat2(void)
{
	AUTO_FD fd = sys_openat2(AT_FDCWD, "/", O_PATH | O_DIRECTORY, 0, RESOLVE_NO_MAGICLINKS);

	return answer_of(fd);
}

/* Grown for real: beyond fs.pipe-user-pages-soft a user without privileges may not grow at all. */
static uint32_t probe_pipe_bytes(void)
{
	char text[32];
	long limit = 1024 * 1024;
	int pipe[2], size;

	if (read_proc("/proc/sys/fs/pipe-max-size", text, sizeof(text)) == 0)
		limit = strtol(text, NULL, 10);
	if (sys_pipe(pipe) < 0)
		return 0;
	size = limit > 0 && limit < INT32_MAX ? sys_pipe_resize(pipe[1], (int)limit) : -EINVAL;
	if (size < 0)
		size = sys_pipe_size(pipe[1]);
	sys_close(pipe[0]);
	sys_close(pipe[1]);
	return size < 0 ? 0 : (uint32_t)size;
}

static void probe_all(void)
{
	if (sys_kernel_release(found.kernel) < 0)
		snprintf(found.kernel, sizeof(found.kernel), "unknown");
	found.sendfile_by_reference = prove(send_by_sendfile);
	found.splice_by_reference = prove(send_by_splice);
	found.copy_file_range = probe_copy_file_range();
	found.zerocopy = probe_zerocopy();
	found.uring = probe_uring();
	found.ktls = probe_ktls();
	found.cachestat = probe_cachestat();
	found.openat2 = probe_openat2();
	found.pipe_bytes_max = probe_pipe_bytes();
}

const struct caps *caps_get(void)
{
	pthread_once(&once, probe_all);
	return &found;
}
