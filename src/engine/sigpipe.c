#include "engine/sigpipe.h"

#include "sys/sys.h"

unsigned sigpipe_hold(struct sigpipe_guard *guard)
{
	unsigned calls = 0;

	if (guard->held || guard->disposition == SIGPIPE_IGNORED)
		return 0;
	if (guard->disposition == SIGPIPE_NOT_ASKED) {
		guard->disposition =
		    sys_signal_ignored(SIGPIPE) ? SIGPIPE_IGNORED : SIGPIPE_DANGEROUS;
		calls++;
		if (guard->disposition == SIGPIPE_IGNORED)
			return calls;
	}
	guard->was_blocked = sys_signal_block(SIGPIPE);
	guard->was_pending = guard->was_blocked && sys_signal_pending(SIGPIPE);
	guard->held = true;
	return calls + 1 + guard->was_blocked;
}

unsigned sigpipe_let_go(struct sigpipe_guard *guard)
{
	unsigned calls = 0;

	if (!guard->held)
		return 0;
	guard->held = false;
	if (!guard->was_pending) {
		sys_signal_drop(SIGPIPE);
		calls++;
	}
	if (!guard->was_blocked) {
		sys_signal_unblock(SIGPIPE);
		calls++;
	}
	return calls;
}
