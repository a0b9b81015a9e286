/*
 * Fails every system call of a scenario in turn, in every way it can fail, and looks each time
 * whether what must hold still holds.
 *
 * The functions of src/sys are wrapped by the linker (--wrap): calls.def is the table of them. A
 * call that is hit fails without being made, or is made with a shorter length. Calls are counted
 * over all threads while a scenario's run() is on; what a test itself does (peers, files) should
 * call the kernel directly, so that only the code under test is hit.
 *
 * An injected -EAGAIN or short read would silence an edge-triggered epoll for ever, which the
 * kernel never does: it reports the next change. So the wrapper of epoll_ctl remembers what is
 * registered, and re-arms it: the effect is that of data that came in two pieces.
 */
#ifndef TESTS_FAULT_H
#define TESTS_FAULT_H

#include <stdbool.h>

/* The oracle's answer: NULL when all is well, else what is wrong (a constant, or the scenario's own
 * buffer). */
typedef const char *fault_complaint;

struct fault_scenario {
	const char *name;
	/* Peers, files, what was there before: nothing fails in here. */
	void *(*prepare)(void *arg);
	/* The code under test: 0 and more is success, -errno failure. Has to end by itself. */
	int (*run)(void *state);
	/* What must hold now. `hit`: something was made to fail, so run() may have failed; what was
	 * delivered must still be a prefix, and a success must be a whole one. */
	fault_complaint (*check)(void *state, int result, bool hit);
	/* Frees the state. Descriptors that are open after it and were not before prepare() are a
	 * complaint. */
	void (*clean)(void *state);
	void *arg;
	unsigned seconds_max; /* for one run; 0: 10 */
	bool once_only;       /* no runs with every later call of a function failing too */
};

/* Runs the scenario unharmed, then once for each of its calls and each way of failing that call,
 * and for the first call of each function also with every later one failing too. Fails the cmocka
 * test with the list of complaints. */
void fault_each(const struct fault_scenario *scenario);
/* The same, but says how many runs there was a complaint about: the harness's own tests. */
unsigned fault_complaints(const struct fault_scenario *scenario);

/* For tests that aim: the nth call (from 1) of the named function from now on fails with `error`
 * (negative), or is made with at most `error` bytes (positive); `always`: and all after it. */
void fault_aim(const char *function, unsigned nth, int error, bool always);
/* Whether it was hit; nothing fails any more. */
bool fault_off(void);

#endif
