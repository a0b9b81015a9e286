/*
 * Keeps SIGPIPE away while the library writes: sendfile, splice, vmsplice and write(2) to a pipe
 * raise it on a closed peer, and no flag of theirs prevents that (send has MSG_NOSIGNAL).
 *
 * Where the process ignores SIGPIPE nothing is done; this is asked once an engine. Else the first
 * dangerous call of a step blocks the signal for this thread (one system call), and the end of the
 * step takes away the one that we caused and unblocks it (two more). It is taken away whatever the
 * calls said: a sendfile that meets the closed peer in its middle raises the signal and returns the
 * bytes before. A SIGPIPE that was pending before is left pending.
 */
#ifndef ENGINE_SIGPIPE_H
#define ENGINE_SIGPIPE_H

#include "base/check.h"

struct sigpipe_guard {
	enum { SIGPIPE_NOT_ASKED, SIGPIPE_IGNORED, SIGPIPE_DANGEROUS } disposition;
	bool held;        /* between hold and let_go */
	bool was_blocked; /* by the caller: we leave it so */
	bool was_pending;
};

/* The number of system calls made. May be called again before let_go: does nothing then. */
unsigned sigpipe_hold(struct sigpipe_guard *guard);
unsigned sigpipe_let_go(struct sigpipe_guard *guard);

#endif
