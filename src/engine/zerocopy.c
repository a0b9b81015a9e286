/*
 * send with MSG_ZEROCOPY: the kernel pins the pages of user memory (or of a mapped file) and sends
 * from them. No copy, where the way to the wire has none; but each send has to be followed to its
 * completion, which comes on the socket's error queue, and until then the memory must not change.
 *
 * What the kernel says is not all (Documentation/networking/msg_zerocopy.rst, and measurements):
 *   - a completion with SO_EE_CODE_ZEROCOPY_COPIED: it was copied after all. Always so on loopback
 *     and veth, where the receiver lives on this machine. The ledger then moves the bytes.
 *   - one without: it was handed on as pages; a device without scatter-gather copies all the same
 *     and does not tell. So the bytes stand in the column of the route.
 *   - ENOBUFS: the socket's room for completions (net.core.optmem_max) or the user's for pinned
 *     pages (RLIMIT_MEMLOCK) is used up. Completions are taken and the send is tried again.
 *
 * States of a send: see inflight.h. The error queue makes poll(2) say POLLERR whatever was asked,
 * so it is emptied whenever the sink is full: else the caller would spin. Linux 4.14; TCP only,
 * UNIX sockets refuse SO_ZEROCOPY with EOPNOTSUPP.
 */
#include <errno.h>
#include <time.h> /* linux/errqueue.h needs it and does not say so */
#include <linux/errqueue.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "engine/chain_internal.h"
#include "engine/completion.h"
#include "engine/window.h"

#ifndef SO_EE_CODE_ZEROCOPY_COPIED
#define SO_EE_CODE_ZEROCOPY_COPIED 1
#endif

/* After so many completions in a row that say "copied", LEAT_AUTO sends the plain way: the pinning
 * costs and brings nothing. */
#define COPIED_IN_A_ROW_MAX 8u
/* A forced send that gets ENOBUFS with nothing outstanding is halved down to this. */
#define FORCED_SEND_MIN 4096u

/* So many outstanding sends are worth a look at the socket's error queue. */
#define COLLECT_AT 16u

struct zerocopy {
	struct completions completions;
	struct zerocopy_base base;
	unsigned copied_in_a_row;
};

/* What is kept for the chain; NULL before its first send. */
static struct zerocopy *zerocopy_of(const struct leat_chain *chain)
{
	struct completions *completions = completion_find(chain, &technique_zerocopy);

	return completions ? container_of(completions, struct zerocopy, completions) : NULL;
}

static int zerocopy_begin(struct leat_chain *chain, struct zerocopy **ret)
{
	struct zerocopy *zerocopy = zerocopy_of(chain);
	int r;

	*ret = zerocopy;
	if (zerocopy)
		return 0;
	if (chain->sink.kind != SINK_TCP)
		return -EOPNOTSUPP;
	chain_syscall(chain);
	r = sys_setsockopt_int(chain->sink.fd, SOL_SOCKET, SO_ZEROCOPY, 1);
	if (r < 0)
		return r;
	zerocopy = calloc(1, sizeof(*zerocopy));
	if (!zerocopy)
		return -ENOMEM;
	completion_begin(chain, &zerocopy->completions, &technique_zerocopy);
	*ret = zerocopy;
	return 0;
}

/* ---- Completions ---- */

static void zerocopy_completed(struct leat_chain *chain, struct zerocopy *zerocopy,
			       const struct sock_extended_err *error)
{
	bool copied = error->ee_code & SO_EE_CODE_ZEROCOPY_COPIED;
	uint64_t from, to;

	zerocopy_range(&zerocopy->base, &zerocopy->completions.inflight, error->ee_info,
		       error->ee_data, &from, &to);
	for (uint64_t number = from; number < to; number++)
		completion_note(chain, &zerocopy->completions, number, copied);
	zerocopy->copied_in_a_row = copied ? zerocopy->copied_in_a_row + 1 : 0;
}

static bool zerocopy_is_completion(const struct cmsghdr *cmsg)
{
	const struct sock_extended_err *error = (const void *)CMSG_DATA(cmsg);

	if (!(cmsg->cmsg_level == SOL_IP && cmsg->cmsg_type == IP_RECVERR) &&
	    !(cmsg->cmsg_level == SOL_IPV6 && cmsg->cmsg_type == IPV6_RECVERR))
		return false;
	return error->ee_origin == SO_EE_ORIGIN_ZEROCOPY && error->ee_errno == 0;
}

/* One message of the error queue; false: there is none. A queue that can't be read fails the chain:
 * it would never be done. */
static bool zerocopy_take_message(struct leat_chain *chain, struct zerocopy *zerocopy)
{
	union {
		char bytes[CMSG_SPACE(sizeof(struct sock_extended_err) +
				      sizeof(struct sockaddr_in6))];
		struct cmsghdr header; /* for its alignment */
	} control;
	struct msghdr msg = {.msg_control = control.bytes, .msg_controllen = sizeof(control)};
	ssize_t n;

	chain_syscall(chain);
	n = sys_recvmsg(chain->sink.fd, &msg, MSG_ERRQUEUE | MSG_DONTWAIT);
	if (n < 0 && n != -EAGAIN)
		chain_fail(chain, (int)n, "zerocopy: the completions can't be read: %s",
			   strerrordesc_np((int)-n));
	if (n < 0)
		return false;
	for (struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg); cmsg; cmsg = CMSG_NXTHDR(&msg, cmsg))
		if (zerocopy_is_completion(cmsg))
			zerocopy_completed(chain, zerocopy, (const void *)CMSG_DATA(cmsg));
	return true;
}

static void zerocopy_reap(struct leat_chain *chain, struct zerocopy *zerocopy)
{
	/* No more messages than sends: other errors of the socket may stand in the queue too. */
	for (unsigned i = zerocopy->completions.inflight.outstanding; i > 0; i--)
		if (!zerocopy_take_message(chain, zerocopy))
			break;
}

static void zerocopy_collect(struct leat_chain *chain, struct completions *completions, bool all)
{
	if (all || inflight_count(&completions->inflight) >= COLLECT_AT)
		zerocopy_reap(chain, container_of(completions, struct zerocopy, completions));
}

/* POLLERR needs no asking. */
static struct leat_wait zerocopy_wait(const struct leat_chain *chain,
				      const struct completions *completions)
{
	return (struct leat_wait){sizeof(struct leat_wait), chain->sink.fd, 0};
}

/* ---- Sending ---- */

static int zerocopy_sink_full(struct leat_chain *chain, struct zerocopy *zerocopy,
			      struct moved *ret)
{
	zerocopy_reap(chain, zerocopy);
	chain_would_block(chain, chain->sink.fd, POLLOUT);
	ret->stop = STOP_SINK_FULL;
	return chain->error;
}

static int zerocopy_no_room(struct leat_chain *chain, struct moved *ret)
{
	chain_would_block(chain, chain->sink.fd, 0);
	ret->stop = STOP_COMPLETION;
	return chain->error;
}

static ssize_t zerocopy_send(struct leat_chain *chain, const char *data, size_t len, int flags)
{
	chain_syscall(chain);
	return sys_send(chain->sink.fd, data, len, flags | MSG_ZEROCOPY | MSG_DONTWAIT);
}

/* The kernel has no room to follow one more send. A forced technique waits for room, or asks for
 * less (the limit may be smaller than one chunk). -EAGAIN: for a completion. */
static ssize_t zerocopy_send_less(struct leat_chain *chain, const struct zerocopy *zerocopy,
				  const char *data, size_t len, int flags)
{
	ssize_t n = -ENOBUFS;

	if (zerocopy->completions.inflight.outstanding > 0)
		return -ENOBUFS;
	while (n == -ENOBUFS && len > FORCED_SEND_MIN) {
		len /= 2;
		n = zerocopy_send(chain, data, len, flags);
	}
	if (n == -ENOBUFS)
		return chain_fail(chain, -ENOBUFS,
				  "zerocopy: no room for one page (net.core.optmem_max, "
				  "RLIMIT_MEMLOCK)");
	return n;
}

static ssize_t zerocopy_send_copied(struct leat_chain *chain, const char *data, size_t len,
				    int flags)
{
	ssize_t n;

	chain_syscall(chain);
	n = sys_send(chain->sink.fd, data, len, flags | MSG_DONTWAIT);
	if (n > 0) {
		chain_fell_back(chain, LEAT_ZEROCOPY, -ENOBUFS);
		chain->ledger.bytes_fallen_back += (uint64_t)n;
	}
	return n;
}

/* Sends, and says in *ret_pinned whether a completion will follow. */
static ssize_t zerocopy_send_some(struct leat_chain *chain, struct zerocopy *zerocopy,
				  const char *data, size_t len, bool more, bool *ret_pinned)
{
	const bool forced = chain->sink.technique == LEAT_ZEROCOPY;
	const int flags = more ? MSG_MORE : 0;
	ssize_t n;

	*ret_pinned = true;
	n = zerocopy_send(chain, data, len, flags);
	if (n != -ENOBUFS)
		return n;
	zerocopy_reap(chain, zerocopy);
	if (chain->error < 0)
		return chain->error;
	n = zerocopy_send(chain, data, len, flags);
	if (n != -ENOBUFS)
		return n;
	if (forced)
		return zerocopy_send_less(chain, zerocopy, data, len, flags);
	*ret_pinned = false;
	return zerocopy_send_copied(chain, data, len, flags);
}

static void zerocopy_account(struct leat_chain *chain, struct zerocopy *zerocopy,
			     struct segment *segment, uint64_t bytes, bool pinned)
{
	enum column column = pinned ? chain_reference_column(chain) : COLUMN_COPIED;

	segment->taken += bytes;
	chain_account(chain, segment, column, bytes);
	if (pinned)
		inflight_add(&zerocopy->completions.inflight, bytes, column,
			     segment->kind != SOURCE_MEMORY);
}

/* What the policy may know only now: LEAT_AUTO gives up where the kernel copies all the same. */
static bool zerocopy_is_in_vain(const struct leat_chain *chain, const struct zerocopy *zerocopy,
				const struct segment *segment)
{
	return segment->sent == 0 && chain->sink.technique == LEAT_AUTO &&
	       zerocopy->copied_in_a_row >= COPIED_IN_A_ROW_MAX;
}

static int zerocopy_move(struct leat_chain *chain, struct segment *segment, size_t max, bool more,
			 struct moved *ret)
{
	struct zerocopy *zerocopy;
	const char *data;
	bool pinned;
	size_t len;
	ssize_t n;
	int r = zerocopy_begin(chain, &zerocopy);

	*ret = (struct moved){0, STOP_NONE};
	if (r < 0)
		return r;
	if (zerocopy_is_in_vain(chain, zerocopy, segment))
		return -EOPNOTSUPP;
	if (inflight_count(&zerocopy->completions.inflight) == INFLIGHT_MAX)
		return zerocopy_no_room(chain, ret);
	do {
		r = window_at(chain, segment, max, &data, &len);
		if (r == 0)
			ret->stop = STOP_SOURCE_END;
		if (r <= 0)
			return r;
		n = zerocopy_send_some(chain, zerocopy, data, len, more && len == max, &pinned);
	} while (n == -EFAULT && window_was_cut(chain, segment, len));
	if (n == -EAGAIN)
		return zerocopy_sink_full(chain, zerocopy, ret);
	if (n == -ENOBUFS && chain->error == 0)
		return zerocopy_no_room(chain, ret);
	if (n < 0)
		return (int)n;
	zerocopy_account(chain, zerocopy, segment, (uint64_t)n, pinned);
	ret->bytes = (size_t)n;
	return 0;
}

static void zerocopy_stop(struct leat_chain *chain)
{
	struct zerocopy *zerocopy = zerocopy_of(chain);

	if (!zerocopy)
		return;
	completion_end(chain, &zerocopy->completions);
	free(zerocopy);
}

const struct technique technique_zerocopy = {.id = LEAT_ZEROCOPY,
					     .move = zerocopy_move,
					     .stop = zerocopy_stop,
					     .collect = zerocopy_collect,
					     .wait = zerocopy_wait};
