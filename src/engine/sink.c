/*
 * Writing to a chain's sink by copying: send for sockets (MSG_MORE, and no SIGPIPE), write for the
 * rest.
 */
#include <errno.h>

#include "engine/chain_internal.h"

void sink_guard(struct leat_chain *chain)
{
	chain->ledger.syscalls += sigpipe_hold(&chain->engine->sigpipe);
}

/* A device that takes nothing and says nothing: an error, or it would be asked for ever. */
static ssize_t taken(ssize_t n)
{
	return n == 0 ? -EIO : n;
}

ssize_t sink_write(struct leat_chain *chain, const void *data, size_t len, bool more)
{
	chain_syscall(chain);
	if (sink_is_socket(chain))
		return sys_send(chain->sink.fd, data, len, more ? MSG_MORE : 0);
	sink_guard(chain);
	return taken(sys_write(chain->sink.fd, data, len));
}

ssize_t sink_writev(struct leat_chain *chain, const struct iovec *iov, int count, bool more)
{
	chain_syscall(chain);
	if (sink_is_socket(chain)) {
		const struct msghdr msg = {.msg_iov = (struct iovec *)iov,
					   .msg_iovlen = (size_t)count};

		return sys_sendmsg(chain->sink.fd, &msg, more ? MSG_MORE : 0);
	}
	sink_guard(chain);
	return taken(sys_writev(chain->sink.fd, iov, count));
}
