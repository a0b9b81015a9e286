/*
 * Writing to a chain's sink by copying: send for sockets (MSG_MORE, and no SIGPIPE), the writer's
 * function where the sink is one, write for the rest.
 */
#include <errno.h>

#include "engine/chain_internal.h"

void sink_guard(struct leat_chain *chain)
{
	chain->ledger.syscalls += sigpipe_hold(&chain->engine->sigpipe);
}

/* A device that takes nothing and says nothing: an error, or it would be asked for ever. */
static ssize_t sink_took(ssize_t n)
{
	return n == 0 ? -EIO : n;
}

/* The one place that calls a writer. Its own system calls are not seen from here: it counts as one.
 */
static ssize_t sink_call_writer(struct leat_chain *chain, const struct iovec *iov, int count,
				bool more)
{
	const struct chain_writer *writer = chain->sink.writer;
	short events = POLLOUT;
	size_t offered = 0;
	ssize_t n;

	for (int i = 0; i < count; i++)
		offered += iov[i].iov_len;
	CHECK(offered >= chain->refused); /* struct chain_writer promises it */
	sink_guard(chain);
	n = writer->writev(writer->arg, iov, count, more, &events);
	CHECK(n <= (ssize_t)offered);
	chain->refused = n == -EAGAIN ? offered : 0;
	chain->writer_events = events;
	return sink_took(n);
}

int sink_full(struct leat_chain *chain, struct moved *ret)
{
	short events = chain->sink.kind == SINK_WRITER ? chain->writer_events : POLLOUT;

	return stop_at(chain, chain->sink.fd, events, STOP_SINK_FULL, ret);
}

ssize_t sink_write(struct leat_chain *chain, const void *data, size_t len, bool more)
{
	chain_syscall(chain);
	if (sink_is_socket(chain))
		return sys_send(chain->sink.fd, data, len, more ? MSG_MORE : 0);
	if (chain->sink.kind == SINK_WRITER)
		return sink_call_writer(chain, &(struct iovec){(void *)data, len}, 1, more);
	sink_guard(chain);
	return sink_took(sys_write(chain->sink.fd, data, len));
}

ssize_t sink_writev(struct leat_chain *chain, const struct iovec *iov, int count, bool more)
{
	chain_syscall(chain);
	if (sink_is_socket(chain)) {
		const struct msghdr msg = {.msg_iov = (struct iovec *)iov,
					   .msg_iovlen = (size_t)count};

		return sys_sendmsg(chain->sink.fd, &msg, more ? MSG_MORE : 0);
	}
	if (chain->sink.kind == SINK_WRITER)
		return sink_call_writer(chain, iov, count, more);
	sink_guard(chain);
	return sink_took(sys_writev(chain->sink.fd, iov, count));
}
