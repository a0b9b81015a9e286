/*
 * io_uring as the engine needs it: one ring, a handful of operations in flight, results as plain
 * numbers. The only place that knows liburing.
 *
 * A ring belongs to one thread at a time. An operation is submitted at once (one system call each);
 * results are taken from shared memory without a call, and its descriptor polls readable (POLLIN)
 * while there are any. Built only with liburing (HAVE_URING); Linux 6.0 for uring_send_zc, 5.7 for
 * uring_splice. Containers often forbid io_uring: uring_new then says -EPERM or -ENOSYS.
 */
#ifndef SYS_URING_H
#define SYS_URING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct uring_ring;

struct uring_event {
	uint64_t tag;      /* as given to the operation */
	int32_t result;    /* >= 0 or -errno; of a notification: 0 */
	bool more;         /* a notification for the same tag will follow */
	bool notification; /* of uring_send_zc: the kernel no longer reads the memory */
	bool copied;       /* notification: the bytes were copied after all; needs 6.2, see below */
};

/* -ENOMEM, -EPERM (kernel.io_uring_disabled, seccomp), -ENOSYS. */
int uring_new(unsigned entries, struct uring_ring **ret);
/* NULL is fine. Operations still in flight go on in the kernel: cancel and reap them before. */
void uring_free(struct uring_ring *ring);
int uring_fd(const struct uring_ring *ring);

/* splice(2), always done by a kernel thread, so that the caller never waits for a disk. Offset -1:
 * the descriptor's own position. -EBUSY: no free entry. */
int uring_splice(struct uring_ring *ring, int in, int64_t in_offset, int out, unsigned len,
		 unsigned flags, uint64_t tag);
/* send(2) whose memory must stay until the notification. `report`: say in the notification whether
 * the bytes were copied (6.2; older kernels answer -EINVAL). MSG_NOSIGNAL is added. */
int uring_send_zc(struct uring_ring *ring, int fd, const void *buf, size_t len, int flags,
		  bool report, uint64_t tag);
/* Asks for the end of the operation `tag`; it still gets its event, and this request one of its own
 * with `own_tag`. */
int uring_cancel(struct uring_ring *ring, uint64_t tag, uint64_t own_tag);

/* The next event that has come; false: none now. No system call, except that pending work of this
 * task is run when the kernel asks for it. */
bool uring_next(struct uring_ring *ring, struct uring_event *ret);

#endif
