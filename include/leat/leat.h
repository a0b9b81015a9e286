/*
 * libleat: moves bytes between files, pipes and sockets with the best technique this kernel offers,
 * and accounts for every byte.
 *
 * Three ways in:
 *
 *   leat_transfer()   one call: from a descriptor to a descriptor, blocking, with a report.
 *   leat_chain_*()    a queue of memory, file ranges and streams to one sink, resumable, for event
 *                     loops: it never waits, it says what it waits for.
 *   leat_engine_*()   what chains share: the kernel's capabilities, spare pipes, routes, totals.
 *
 * Conventions. Lengths and offsets are bytes, times are nanoseconds. A function that can fail
 * returns a negative errno and never touches errno's meaning for the caller; output parameters
 * (`ret_...`) are written only on success, unless said otherwise. Descriptors belong to the caller:
 * the library never closes one it was given. Handles are opaque. Structs that cross the border
 * begin with their `size`, as the caller was compiled: begin with ..._INIT. They grow at their end,
 * so a program and a library of different age understand each other. An engine, and the chains made
 * from it, belong to one thread at a time; leat_engine_ledger(), leat_capabilities() and
 * leat_load_run() may be called from any thread.
 *
 * SIGPIPE: sendfile(2) and splice(2) raise it on a closed peer, and no flag prevents that. Where
 * the process has not ignored SIGPIPE, the library holds it back during its own calls (three
 * more system calls a step); servers should ignore it.
 *
 * Kernel: Linux 5.6 or newer; what needs more says so and falls back.
 */
#ifndef LEAT_LEAT_H
#define LEAT_LEAT_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define LEAT_API __attribute__((visibility("default")))

/* Length: until the source ends. */
#define LEAT_TO_END UINT64_MAX

/* Offset: the descriptor's own position (and the only value for a source that can't seek). */
#define LEAT_CURRENT (-1)

/* ---- Techniques, verdicts, steps ---- */

enum leat_technique {
	LEAT_AUTO,     /* the policy decides, and falls back where the kernel refuses */
	LEAT_COPY,     /* read + write; for memory: write or send */
	LEAT_MMAP,     /* mmap + write */
	LEAT_SENDFILE, /* sendfile(2) */
	LEAT_SPLICE,   /* splice(2) through a pipe */
	LEAT_TEE,      /* tee(2) + splice(2): one source, several sinks */
	LEAT_VMSPLICE, /* vmsplice(2) + splice(2); memory must not change until the peer has read it
			*/
	LEAT_ZEROCOPY, /* send(2) with MSG_ZEROCOPY and its completions; 4.14 */
	LEAT_RANGE_COPY, /* FICLONERANGE, copy_file_range(2) */
	LEAT_URING,      /* io_uring: splice, send_zc; 6.0, and liburing at build time */
};
#define LEAT_TECHNIQUE_COUNT 10

/* "auto", "copy", "mmap", "sendfile", "splice", "tee", "vmsplice", "zerocopy", "range-copy",
 * "uring". */
LEAT_API const char *leat_technique_name(enum leat_technique technique);
/* The reverse; -EINVAL for a name that is none. */
LEAT_API int leat_technique_parse(const char *name, enum leat_technique *ret_technique);

/* What became of the bytes. Where a transfer is mixed, the worst of what happened to the bytes of
 * files and streams (copied, transformed, unknown, by reference, in this order); memory that went
 * along (headers) counts only when there was nothing else. With mirrors it is the worst of all
 * sinks. */
enum leat_verdict {
	LEAT_BY_REFERENCE, /* the CPU did not copy them on this side */
	LEAT_COPIED,
	LEAT_TRANSFORMED, /* rewritten on the way, such as encrypted */
	LEAT_UNKNOWN,     /* handed over by reference, but nothing proves what the kernel did */
};

/* "by-reference", "copied", "transformed", "unknown". */
LEAT_API const char *leat_verdict_name(enum leat_verdict verdict);

/* What a step of a chain says. None of them is an error. */
enum leat_step {
	LEAT_DONE,       /* all bytes of all segments are with the sink, all memory is released */
	LEAT_MORE,       /* the budget is used up: call again, after others had their turn */
	LEAT_WANT_READ,  /* the source has nothing now */
	LEAT_WANT_WRITE, /* the sink takes nothing now */
	LEAT_WANT_COMPLETION, /* all sent, but the kernel still reads the caller's memory */
	LEAT_WANT_LOAD,       /* the file's bytes are not in memory: leat_chain_load() */
};

/* ---- The ledger ---- */

/* What was moved, how, and at what price. The five columns after `bytes` sum to it: checked at the
 * end of every transfer. */
struct leat_ledger {
	size_t size; /* in: sizeof(struct leat_ledger); see LEAT_LEDGER_INIT */

	uint64_t bytes; /* accepted by the sink */

	uint64_t bytes_by_reference; /* handed over by reference, and nothing speaks against it */
	uint64_t bytes_copied;       /* copied by the CPU at the call: read, write, send */
	uint64_t bytes_copied_later; /* handed over by reference, then copied: the device or the
					kernel's own report says so */
	uint64_t bytes_transformed;  /* encrypted on the way */
	uint64_t bytes_unknown;      /* handed over by reference; no evidence either way */

	uint64_t transfers;         /* segments that ended, well or not */
	uint64_t fallbacks;         /* times the kernel refused a technique before the first byte */
	uint64_t bytes_fallen_back; /* bytes that then went by a lesser technique */
	uint64_t syscalls;          /* system calls made to move bytes and to wait for them */
	uint64_t would_block;       /* times source or sink said "not now" */
	uint64_t loads;             /* ranges found not to be in memory */
};

/* ---- What the kernel can do ---- */

enum leat_answer { LEAT_NO, LEAT_YES, LEAT_UNPROVEN };

/* Probed once a process, in under a millisecond, by doing it and looking at the result. */
struct leat_capabilities {
	size_t size;                            /* in: sizeof(struct leat_capabilities) */
	char kernel[65];                        /* uname's release */
	enum leat_answer sendfile_by_reference; /* the mutation proof on a socket pair */
	enum leat_answer splice_by_reference;
	enum leat_answer copy_file_range;
	enum leat_answer zerocopy; /* SO_ZEROCOPY is accepted */
	enum leat_answer uring;    /* a ring can be made, and has splice and send_zc */
	enum leat_answer ktls;     /* TCP_ULP "tls" is accepted */
	enum leat_answer cachestat;
	enum leat_answer openat2;
	uint32_t pipe_bytes_max; /* what a pipe may be grown to here */
};

/* Fills as much of *ret as ret->size says. Thread-safe. */
LEAT_API int leat_capabilities(struct leat_capabilities *ret);

/* One line for a start-up message: "Linux 6.18.1: sendfile by reference, splice by reference, ...".
 * Cut at `len`; returns what snprintf would. */
LEAT_API int leat_capabilities_text(char *buf, size_t len);

LEAT_API const char *leat_version(void);

/* ---- One call ---- */

enum leat_flags {
	/* A sink or source that is a blocking descriptor may be waited on inside the call. Without
	 * it leat_chain_new() refuses blocking sockets, pipes and terminals with -EINVAL. */
	LEAT_MAY_BLOCK = 1u << 0,
	/* Reading a file may wait for the disk inside the call: no LEAT_WANT_LOAD. */
	LEAT_MAY_LOAD = 1u << 1,
};

struct leat_options {
	size_t size;                   /* sizeof(struct leat_options); see LEAT_OPTIONS_INIT */
	enum leat_technique technique; /* LEAT_AUTO, or a technique that never falls back */
	uint32_t flags;                /* enum leat_flags */
	/* Called between chunks of leat_transfer() with the bytes moved so far; other than 0 stops
	 * the transfer with -ECANCELED. May be NULL. */
	int (*progress)(void *arg, uint64_t bytes);
	void *progress_arg;
	/* More sinks that get the same bytes, and are waited for (leat_transfer() only; for a chain
	 * leat_chain_add_mirror()). */
	const int *mirrors;
	size_t mirror_count;
};

#define LEAT_OPTIONS_INIT                                                      \
	{                                                                      \
		sizeof(struct leat_options), LEAT_AUTO, 0, NULL, NULL, NULL, 0 \
	}

struct leat_report {
	size_t size;                   /* in: sizeof(struct leat_report); see LEAT_REPORT_INIT */
	enum leat_technique technique; /* that moved the most bytes */
	enum leat_verdict verdict;
	const char *reason; /* why this technique; a constant, never NULL */
	char evidence[160]; /* what the verdict rests on */
	char
	    fallback[160]; /* "" or what was refused, or given up: "sendfile refused (EINVAL): ...",
			       "mirror 2 (descriptor 9) was dropped: ..." */
	char error[160];   /* "" or what went wrong, with offsets and sizes */
	uint64_t wall_ns;  /* leat_transfer() only */
	uint64_t cpu_ns;   /* of the calling thread; leat_transfer() only */
	/* The report grows into this room, because its end belongs to the ledger, which grows too.
	 */
	uint64_t reserved[8];
	struct leat_ledger ledger;
};

/* Every member by its place: C++ has no other way that no compiler warns of. */
#define LEAT_LEDGER_INIT                                                       \
	{                                                                      \
		sizeof(struct leat_ledger), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 \
	}
#define LEAT_REPORT_INIT                                                                        \
	{                                                                                       \
		sizeof(struct leat_report), LEAT_AUTO, LEAT_UNKNOWN, NULL, {0}, {0}, {0}, 0, 0, \
		    {0}, LEAT_LEDGER_INIT                                                       \
	}

/*
 * Moves `length` bytes (or LEAT_TO_END) from `in` at `offset` (or LEAT_CURRENT) to `out` at its own
 * position, and waits until it is done; blocking and non-blocking descriptors both do. With an
 * offset the position of `in` is left alone. `options` and `report` may be NULL; the report is
 * filled on failure too.
 *
 * Returns the bytes that the sink accepted, or -errno; among them:
 *
 * -ENODATA the source ended before `length` bytes; what came was moved, report->error says where
 *   -EOPNOTSUPP  a forced technique can't do this, or the kernel refused it
 *   -EPIPE, -ECONNRESET  the peer is gone
 *   -ECANCELED   the progress function said so
 */
LEAT_API int64_t leat_transfer(int in, int64_t offset, int out, uint64_t length,
			       const struct leat_options *options, struct leat_report *report);

/* ---- Thresholds ---- */

/* From which length on a technique is worth its price is a property of the machine; `leat lab
 * --calibrate` measures it. */
struct leat_thresholds {
	size_t size;         /* in: sizeof(struct leat_thresholds) */
	uint32_t copy_below; /* shorter file ranges are read, and sent with what stands before */
	uint32_t zerocopy_above; /* longer memory is sent with MSG_ZEROCOPY; UINT32_MAX: none */
};

/* Fills as much of *ret as ret->size says. */
LEAT_API void leat_thresholds_get(struct leat_thresholds *ret);
/* For transfers and engines that begin after it, in the whole process; what lies beyond
 * thresholds->size stays. Any thread. */
LEAT_API void leat_thresholds_set(const struct leat_thresholds *thresholds);

/* ---- Engines ---- */

struct leat_engine;
struct leat_chain;

/* One a thread. Allocates; -ENOMEM. */
LEAT_API int leat_engine_new(struct leat_engine **ret_engine);
/* All its chains must be gone. NULL is fine. */
LEAT_API void leat_engine_free(struct leat_engine *engine);
/* The sums over all chains so far, as much of them as ret_ledger->size says; any thread, each
 * figure is current, their sum may be between two transfers. */
LEAT_API void leat_engine_ledger(const struct leat_engine *engine, struct leat_ledger *ret_ledger);

/* ---- Chains ---- */

/* Called once for each segment, when the library and the kernel no longer need its memory or
 * descriptor: the bytes are with the sink (for zerocopy: completed), or the chain was reset. Not
 * called inside the leat_chain_add_...() that was given it. It may add segments to its chain
 * (refused with -ECANCELED while the chain is reset or freed), but not step, reset or free it. */
typedef void (*leat_release)(void *arg);

/* `sink`: a connected stream socket, pipe, file or terminal; it stays the caller's and must stay
 * open. Sockets, pipes and terminals must be O_NONBLOCK (-EINVAL), or LEAT_MAY_BLOCK given. */
LEAT_API int leat_chain_new(struct leat_engine *engine, int sink,
			    const struct leat_options *options, struct leat_chain **ret_chain);
/* Releases the segments that are left. NULL is fine. Memory that the kernel may still read
 * (zerocopy without its completion) is waited for, for at most a second. */
LEAT_API void leat_chain_free(struct leat_chain *chain);

/* Append a segment; nothing moves yet. `data`, `fd` are borrowed until released; `release` may be
 * NULL. -ENOMEM, -EINVAL (length 0 is fine), -EISDIR, -EBADF, -ECANCELED (see leat_release). After
 * an error nothing was added, and `release` is never called. */
LEAT_API int leat_chain_add_memory(struct leat_chain *chain, const void *data, size_t length,
				   leat_release release, void *arg);
/* A range of a regular file. The range must exist: if the file ends before, the step fails with
 * -ENODATA. LEAT_TO_END takes the size at this moment. */
LEAT_API int leat_chain_add_file(struct leat_chain *chain, int fd, uint64_t offset, uint64_t length,
				 leat_release release, void *arg);
/* What `fd` has to give, up to `length` or its end (LEAT_TO_END); sockets and pipes must be
 * O_NONBLOCK, or LEAT_MAY_BLOCK given to the chain. */
LEAT_API int leat_chain_add_stream(struct leat_chain *chain, int fd, uint64_t length,
				   leat_release release, void *arg);

/* Moves at most about `budget` bytes (0: 1 MiB) and returns an enum leat_step, or -errno: then the
 * bytes that are with the sink are a prefix of the chain and nothing more can be sent; reset or
 * free it. Never waits for the sink; waits for the disk only with LEAT_MAY_LOAD. */
LEAT_API int leat_chain_step(struct leat_chain *chain, size_t budget);

/* What to poll(2) for after WANT_READ, WANT_WRITE or WANT_COMPLETION. */
struct leat_wait {
	size_t size; /* in: sizeof(struct leat_wait); see LEAT_WAIT_INIT */
	int fd;
	short events;
};
#define LEAT_WAIT_INIT                          \
	{                                       \
		sizeof(struct leat_wait), -1, 0 \
	}
LEAT_API void leat_chain_wait(const struct leat_chain *chain, struct leat_wait *ret_wait);

/* After LEAT_WANT_LOAD: what to load. Plain data: give it to another thread, leat_load_run() it
 * there (it waits for the disk), then step the chain again. The descriptor must stay open
 * meanwhile. */
struct leat_load {
	size_t size; /* in: sizeof(struct leat_load); see LEAT_LOAD_INIT */
	int fd;
	uint64_t offset;
	uint64_t length;
	uint64_t ahead; /* bytes behind those that are asked for, but not waited for */
};
#define LEAT_LOAD_INIT                                \
	{                                             \
		sizeof(struct leat_load), -1, 0, 0, 0 \
	}
LEAT_API void leat_chain_load(const struct leat_chain *chain, struct leat_load *ret_load);
/* 0 or -errno (a read error of the disk; -EINVAL: LEAT_LOAD_INIT was forgotten). Blocks.
 * Thread-safe. */
LEAT_API int leat_load_run(const struct leat_load *load);

/* ---- Mirrors ---- */

enum leat_mirror_policy {
	/* The chain goes no faster than the mirror; a mirror that fails is the chain's failure. */
	LEAT_MIRROR_WAIT,
	/* The mirror never holds the sink up. What it doesn't take now is kept for it in a pipe (of
	 * up to 1 MiB); when that is full and the sink is ready for more, or when it fails, it is
	 * dropped: it has got a prefix, and its report says so. Only when the sink has everything
	 * the chain waits for the rest that the mirror's pipe has. While the chain waits for its
	 * source, the rest goes on with the next step: poll the mirror and step, if that may be
	 * long. */
	LEAT_MIRROR_DROP,
};

/* One more sink that gets every byte of the chain: by reference where the source and all sinks take
 * pages (tee(2)), else by copying; memory is copied. `fd` as for leat_chain_new(). Only while no
 * segment is in the chain (-EBUSY). -ENOMEM, -EINVAL. Mirrors are numbered from 0. */
LEAT_API int leat_chain_add_mirror(struct leat_chain *chain, int fd,
				   enum leat_mirror_policy policy);

struct leat_mirror_report {
	size_t size; /* in: sizeof(struct leat_mirror_report); see LEAT_MIRROR_REPORT_INIT */
	int error;   /* 0, or why it was dropped: -EAGAIN when it had fallen behind */
	enum leat_verdict verdict;
	char evidence[160];        /* what the verdict rests on */
	uint64_t reserved[4];      /* room to grow, as in struct leat_report */
	struct leat_ledger ledger; /* of this sink alone; its system calls are the chain's, too */
};
#define LEAT_MIRROR_REPORT_INIT                                                                \
	{                                                                                      \
		sizeof(struct leat_mirror_report), 0, LEAT_UNKNOWN, {0}, {0}, LEAT_LEDGER_INIT \
	}
/* -EINVAL: there is no such mirror. */
LEAT_API int leat_chain_mirror_report(const struct leat_chain *chain, unsigned index,
				      struct leat_mirror_report *ret_report);

/* ---- What is left ---- */

/* Bytes not yet with the sink; LEAT_TO_END while a stream without a length is in it. */
LEAT_API uint64_t leat_chain_pending(const struct leat_chain *chain);
/* Drops and releases what is left, and the ledger starts anew: the chain is as new, mirrors that
 * were dropped are back. Waits as leat_chain_free() does. */
LEAT_API void leat_chain_reset(struct leat_chain *chain);
LEAT_API void leat_chain_report(const struct leat_chain *chain, struct leat_report *ret_report);

#ifdef __cplusplus
}
#endif

#endif
