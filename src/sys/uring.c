#include "sys/uring.h"

#include <errno.h>
#include <liburing.h>
#include <stdlib.h>
#include <sys/socket.h>

/* liburing 2.3 does not name these two (linux/io_uring.h, 6.2). */
#ifndef IORING_SEND_ZC_REPORT_USAGE
#define IORING_SEND_ZC_REPORT_USAGE (1U << 3)
#endif
#ifndef IORING_NOTIF_USAGE_ZC_COPIED
#define IORING_NOTIF_USAGE_ZC_COPIED (1U << 31)
#endif

struct uring_ring {
	struct io_uring ring;
};

int uring_new(unsigned entries, struct uring_ring **ret)
{
	struct uring_ring *ring = calloc(1, sizeof(*ring));
	int r;

	if (!ring)
		return -ENOMEM;
	r = io_uring_queue_init(entries, &ring->ring, 0);
	if (r < 0) {
		free(ring);
		return r;
	}
	*ret = ring;
	return 0;
}

void uring_free(struct uring_ring *ring)
{
	if (!ring)
		return;
	io_uring_queue_exit(&ring->ring);
	free(ring);
}

int uring_fd(const struct uring_ring *ring)
{
	return ring->ring.ring_fd;
}

/* The entry is only prepared by then: EINTR and EAGAIN of io_uring_enter(2) have not taken it. */
static int submit(struct uring_ring *ring)
{
	int r;

	do
		r = io_uring_submit(&ring->ring);
	while (r == -EINTR);
	return r < 0 ? r : 0;
}

int uring_splice(struct uring_ring *ring, int in, int64_t in_offset, int out, unsigned len,
		 unsigned flags, uint64_t tag)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&ring->ring);

	if (!sqe)
		return -EBUSY;
	io_uring_prep_splice(sqe, in, in_offset, out, -1, len, flags);
	io_uring_sqe_set_data64(sqe, tag);
	return submit(ring);
}

int uring_send_zc(struct uring_ring *ring, int fd, const void *buf, size_t len, int flags,
		  bool report, uint64_t tag)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&ring->ring);

	if (!sqe)
		return -EBUSY;
	io_uring_prep_send_zc(sqe, fd, buf, len, flags | MSG_NOSIGNAL,
			      report ? IORING_SEND_ZC_REPORT_USAGE : 0);
	io_uring_sqe_set_data64(sqe, tag);
	return submit(ring);
}

int uring_cancel(struct uring_ring *ring, uint64_t tag, uint64_t own_tag)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&ring->ring);

	if (!sqe)
		return -EBUSY;
	io_uring_prep_cancel64(sqe, tag, 0);
	io_uring_sqe_set_data64(sqe, own_tag);
	return submit(ring);
}

bool uring_next(struct uring_ring *ring, struct uring_event *ret)
{
	struct io_uring_cqe *cqe;

	if (io_uring_peek_cqe(&ring->ring, &cqe) < 0)
		return false;
	ret->tag = io_uring_cqe_get_data64(cqe);
	ret->more = cqe->flags & IORING_CQE_F_MORE;
	ret->notification = cqe->flags & IORING_CQE_F_NOTIF;
	ret->copied = ret->notification && ((uint32_t)cqe->res & IORING_NOTIF_USAGE_ZC_COPIED);
	ret->result = ret->notification ? 0 : cqe->res;
	io_uring_cqe_seen(&ring->ring, cqe);
	return true;
}
