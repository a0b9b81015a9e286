#include "engine/completion.h"

#include "config.h"

#include "engine/chain_internal.h"
#include "engine/inflight.h"

#define AWAIT_NS     1000000000u
#define AWAIT_NAP_MS 1

/* So many outstanding sends are worth a look at a socket's error queue. */
#define COLLECT_AT 16u

static bool hold(struct inflight *inflight, const struct segment *segment)
{
	return inflight_hold(inflight, segment->release, segment->release_arg);
}

bool completion_hold(struct leat_chain *chain, const struct segment *segment)
{
	if (chain->zerocopy && hold(zerocopy_inflight(chain), segment))
		return true;
	return HAVE_URING && chain->uring && hold(uring_inflight(chain), segment);
}

void completion_collect(struct leat_chain *chain)
{
	if (chain->zerocopy) {
		if (inflight_count(zerocopy_inflight(chain)) >= COLLECT_AT)
			zerocopy_reap(chain);
		inflight_retire(zerocopy_inflight(chain));
	}
	if (HAVE_URING && chain->uring) {
		uring_reap(chain);
		inflight_retire(uring_inflight(chain));
	}
}

bool completion_outstanding(struct leat_chain *chain)
{
	if (chain->zerocopy)
		zerocopy_reap(chain);
	completion_collect(chain);
	if (chain->zerocopy && zerocopy_inflight(chain)->outstanding > 0) {
		/* POLLERR needs no asking. */
		chain->wait = (struct leat_wait){sizeof(chain->wait), chain->sink.fd, 0};
		return true;
	}
	if (HAVE_URING && chain->uring && uring_inflight(chain)->outstanding > 0) {
		chain->wait = (struct leat_wait){sizeof(chain->wait), uring_wait_fd(chain), POLLIN};
		return true;
	}
	return false;
}

/* A socket with an error or a hang-up polls ready for ever, whether completions come or not: hence
 * the nap when poll was quick and nothing had come. */
void completion_await_all(struct leat_chain *chain)
{
	uint64_t end = sys_now_ns() + AWAIT_NS;

	while (completion_outstanding(chain) && sys_now_ns() < end) {
		struct pollfd fd = {.fd = chain->wait.fd, .events = chain->wait.events};

		chain_syscall(chain);
		if (sys_poll(&fd, 1, 100) > 0 && completion_outstanding(chain))
			sys_poll(NULL, 0, AWAIT_NAP_MS);
	}
}

void completion_note(struct leat_chain *chain, struct inflight *inflight, uint64_t number,
		     bool copied)
{
	struct inflight_send *send = inflight_complete(inflight, number);

	if (!send || !copied || send->column == COLUMN_COPIED_LATER)
		return;
	ledger_move(&chain->ledger, send->column, COLUMN_COPIED_LATER, send->bytes);
	*(send->payload ? &chain->payload_columns : &chain->memory_columns) |=
	    1u << COLUMN_COPIED_LATER;
	send->column = COLUMN_COPIED_LATER;
}
