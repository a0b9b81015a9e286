/*
 * What processes really copy: the kernel's own account of bytes copied by the CPU and bytes moved by
 * reference, for any process, by eBPF.
 *
 * A struct copystat attaches its programs to the whole machine and counts for the processes that are
 * watched. It belongs to one thread. Counting costs the watched processes time, and everybody else
 * a look into a table at each system call and packet: leat-copystat(1) has the figures.
 *
 * Needs CAP_BPF and CAP_PERFMON (or root) and a kernel with BTF. Oldest kernel: 6.1.
 */
#ifndef COPYSTAT_COPYSTAT_H
#define COPYSTAT_COPYSTAT_H

#include <sys/types.h>

#include "base/buf.h"
#include "base/err.h"
#include "copystat/counts.h"

struct copystat;

enum copystat_backend {
	COPYSTAT_BACKEND_AUTO,       /* the better one of those that this kernel allows */
	COPYSTAT_BACKEND_TRACEPOINT, /* tracepoints with BTF */
	COPYSTAT_BACKEND_FEXIT,      /* the kernel's copying functions themselves */
};

struct copystat_options {
	enum copystat_backend backend;
	bool all; /* every process of the machine, without copystat_watch() */
};

struct copystat_process {
	pid_t pid;
	bool ended;
	char comm[16];
};

/* -EOPNOTSUPP: built without it, or the kernel can't; -EPERM: not allowed. `err` says what to do. */
int copystat_new(const struct copystat_options *options, struct copystat **ret, struct err *err);
/* NULL does nothing. */
void copystat_free(struct copystat *cs);

/* "tracepoint" or "fexit". */
const char *copystat_backend(const struct copystat *cs);

/* Counts begin at 0. `children`: also processes that it forks from now on, and theirs. -ESRCH: there
 * is no such process. A process that ends keeps its counts until copystat_unwatch(). */
int copystat_watch(struct copystat *cs, pid_t pid, bool children);
int copystat_unwatch(struct copystat *cs, pid_t pid);

/* Sums since copystat_watch(). -ESRCH: not watched. */
int copystat_read(struct copystat *cs, pid_t pid, struct copystat_counts *ret);
/* Up to `max` of the processes watched; returns how many there are. */
ssize_t copystat_processes(struct copystat *cs, struct copystat_process *ret, size_t max);

/* ---- processes by name (find.c) ---- */

/* The name the kernel keeps for it: at most 15 bytes. */
int copystat_name(pid_t pid, char ret_comm[static 16]);
/* `name` may be longer than what the kernel keeps. */
bool copystat_name_matches(const char *name, const char *comm);
/* At most `max` of that name; how many, or -errno. */
ssize_t copystat_find(const char *name, pid_t *ret, size_t max);

/* ---- sums (counts.c; pure) ---- */

struct copystat_sums {
	uint64_t sent, sent_copied, sent_by_reference;
	uint64_t copied_later; /* file_made_up + linearised + unshared */
	uint64_t received, received_copied;
	uint64_t file_read;
	uint64_t calls;
};

struct copystat_sums copystat_sum(const struct copystat_counts *counts);
/* What happened between two readings. The device is that of `now`. */
struct copystat_counts copystat_since(const struct copystat_counts *now,
				      const struct copystat_counts *before);
/* Adds `more` to `sum`. */
void copystat_add(struct copystat_counts *sum, const struct copystat_counts *more);

/* CPU copies for each byte sent: into the process's memory (read from files or received, at most
 * once for each byte that was sent from there), at the call, and later. 0 when nothing was sent. */
double copystat_copies_per_sent_byte(const struct copystat_counts *counts);

/* In words: "812.0 MiB sent, 100 % by reference, 0.00 copies per byte", with the reason where what was
 * sent by reference was copied all the same (verdict.c). */
void copystat_verdict(struct buf *out, const struct copystat_counts *counts);

const char *copystat_call_name(enum copystat_call call);
const char *copystat_kind_name(enum copystat_kind kind);

#endif
