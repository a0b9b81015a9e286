/*
 * The lab: every technique of the engine over real files and real sockets, and what it cost.
 *
 *     lab_run()            plans the rounds, runs them, fills a struct lab_result
 *       source.c, mount.c  the files: current file system, loop mounts, cold
 *       session.c          a transport: two worker processes (worker.h), orders and answers
 *         sender.c         uses libleat with the technique forced
 *         receiver.c       takes the bytes into its memory
 *         link.c, veth.c   connected sockets, namespaces
 *         proof.c          the mutation proof
 *       measure.c          rounds into figures: medians and spread (stats.c)
 *       crossover.c        from which length on sendfile is cheaper
 *     classic.c            what the figures say about the table that everybody repeats
 *     report_*.c           text, JSON, Markdown, one HTML page
 *
 * What the lab makes goes by itself when its processes end, however they end: namespaces have no
 * names, files are unlinked before they are filled, mounts live in a namespace of their own, loop
 * devices are set to clear themselves.
 *
 * Single-threaded. Oldest kernel: that of libleat; what needs more is left out with a line.
 */
#ifndef LAB_LAB_H
#define LAB_LAB_H

#include <signal.h>

#include "lab/model.h"

#define LAB_SIZES_MAX 16

struct lab_options {
	bool quick;
	uint32_t techniques; /* bit (1u << technique) */
	uint32_t transports; /* bit (1u << transport) */
	uint32_t sources;    /* bit (1u << source); 0: those of the quick or the full run */
	uint64_t sizes[LAB_SIZES_MAX];
	unsigned size_count;               /* 0: those of the quick or the full run */
	const volatile sig_atomic_t *stop; /* not 0: end soon; may be NULL */
	/* What is being measured, and how much of the whole is done; may be NULL. */
	void (*progress)(void *arg, const char *what, double part);
	void *progress_arg;
};

/* 0; -EINTR: stopped, with what there is; or -errno with a line of why. The result is the caller's
 * to free in each case. */
int lab_run(const struct lab_options *options, struct lab_result *ret, struct err *err);

#endif
