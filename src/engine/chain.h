/*
 * A chain: segments on their way to one sink, in order. The public struct leat_chain is this
 * struct; the other rooms of this program embed it in their connections instead of allocating it.
 *
 * States of a chain, seen from outside by what leat_chain_step() returns:
 *
 *     empty --add--> queued --step--> moving --step--> empty (LEAT_DONE)
 *                                     |  ^
 *                                     v  | the awaited event came: step again
 *                                     waiting (WANT_READ, WANT_WRITE, WANT_COMPLETION, WANT_LOAD)
 *     any --a system call fails--> failed (each further step returns the same -errno)
 *     failed --reset--> empty
 *
 * Invariants. chain_verify() CHECKs them at the end of each step and wherever something is added:
 *   1. the ledger's columns sum to its bytes: what the sink accepted, which is also the sum of
 *      segment->sent over all segments there were (chain_account() alone adds to both).
 *   2. only the head has begun: what was taken of it and is not with the sink is in the pipe or in
 *      the bounce buffer, unless the chain has failed.
 *   3. what is held has a place: bytes in a pipe that is there, in a buffer that is there. A pipe
 *      goes back to the pool only when empty; else it is closed.
 *   4. only a writer has refused bytes that it must be offered again.
 *   5. mirrors: see mirror.h.
 * And release is called exactly once a segment: chain_drop_head() is the one way out.
 *
 * One thread at a time. Nothing is allocated for up to CHAIN_INLINE segments.
 */
#ifndef ENGINE_CHAIN_H
#define ENGINE_CHAIN_H

#include <sys/types.h>
#include <sys/uio.h>

#include "base/err.h"
#include "engine/ledger.h"
#include "engine/policy.h"
#include "leat/leat.h"
#include "sys/pipe_pool.h"

struct technique;
struct completions; /* completion.h */

#define CHAIN_INLINE    8
#define SEGMENT_CURRENT UINT64_MAX

struct segment {
	enum source_kind kind;
	int fd; /* -1 for memory */
	const char *memory;
	uint64_t offset;    /* where the range starts (taken bytes are beyond it), or
			       SEGMENT_CURRENT: no offset, the descriptor's own position is used;
			       never for SOURCE_FILE */
	uint64_t length;    /* LEAT_TO_END for a stream without a length */
	uint64_t taken;     /* bytes taken from the source: counted by the technique */
	uint64_t sent;      /* bytes accepted by the sink: counted by chain_account() */
	uint64_t file;      /* SOURCE_FILE: which one, see chain_file() */
	uint64_t hot_until; /* SOURCE_FILE: the range was in memory up to here, at hot_since_ns */
	uint64_t hot_since_ns;
	uint32_t refused;    /* bit (1u << technique): the kernel refused it for this segment */
	bool may_end_early;  /* the source's end before `length` is no error */
	bool moves_position; /* the descriptor's position follows what was sent: what the sink
				did not take of a file is not lost */
	bool no_clone;       /* range_copy.c: sharing blocks was refused, or is over */
	const struct technique *technique; /* NULL until the policy was asked */
	const char *reason;
	leat_release release;
	void *release_arg;
};

/*
 * A sink that is a function: it makes other bytes (such as TLS records) of those it gets, and sends
 * them. sink.c alone calls it.
 *
 * It takes the first bytes of the pieces, one or more, and returns how many; -EAGAIN: none now, and
 * *ret_events says what to poll the sink's descriptor for: POLLOUT, or POLLIN when the peer has to
 * say something first; another -errno ends the chain. `more`: other bytes follow at once. It must
 * not touch the chain.
 *
 * After -EAGAIN the same range is offered again, at least as long as before, perhaps from another
 * address and in other pieces: that is what SSL_write() asks for, with
 * SSL_MODE_ENABLE_PARTIAL_WRITE and SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER. Nothing is kept of a file
 * meanwhile: its bytes are read again, by 64 KiB at most into the engine's one buffer. So a writer
 * that has encrypted them already must go on with what it has, as OpenSSL does, and not look at
 * them again. Where they can't be offered again, because the file is shorter now, the chain fails
 * with -ENODATA and the writer isn't called. After a reset in that state the writer can't be used.
 */
struct chain_writer {
	ssize_t (*writev)(void *arg, const struct iovec *pieces, int count, bool more,
			  short *ret_events);
	void *arg;
};

/* What the caller knows already, so that the chain needn't ask the kernel. */
struct chain_sink {
	int fd; /* of a writer: what is polled when it takes nothing */
	enum sink_kind kind;
	const struct chain_writer *writer; /* SINK_WRITER; stays the caller's */
	uint32_t flags;                    /* enum leat_flags */
	enum leat_technique technique;     /* LEAT_AUTO or forced */
	bool memory_is_free; /* a forced technique is for files and streams only: memory
					  goes as the policy has it */
};

/* Bytes of a source that can't be read twice (pipe, socket, pseudo-file) and that the sink hasn't
 * taken. */
struct bounce {
	char *data; /* BOUNCE_BYTES, from the engine's spare ones; NULL: none */
	size_t start, end;
};
#define BOUNCE_BYTES (128u * 1024u)

/* A window of a file, mapped for the mmap and zerocopy techniques. */
struct mapping {
	char *address; /* NULL: none */
	size_t length;
	uint64_t offset; /* in the file */
	int fd;
};

struct mirror; /* mirror.h */

struct leat_chain {
	struct leat_engine *engine;
	struct chain_sink sink;
	int reference_column; /* enum column for bytes by reference to this sink; -1: not asked yet
			       */
	char route_text[64];  /* evidence of it */

	struct segment
	    *segments; /* ring of `capacity`, a power of two; == inline_segments at first */
	unsigned head, count, capacity;
	struct segment inline_segments[CHAIN_INLINE];

	int error; /* 0, or the -errno it failed with */
	char error_text[160];
	char fallback_text[160];
	enum leat_step step; /* what the last step said */
	bool unsettled;      /* the head waits for completions or for its mirrors (technique.h) */
	bool letting_go;     /* reset or free is under way: a release can't add segments */
	struct leat_wait wait;
	struct leat_load load;
	unsigned load_tries; /* of the same range: evicted again and again */

	struct pipe_pair pipe;
	size_t piped;
	struct bounce bounce;
	size_t refused;      /* SINK_WRITER said -EAGAIN to so many bytes: they are offered again */
	short writer_events; /* and what it waits for */
	struct mapping mapping;
	struct mirror *mirrors;
	unsigned mirror_count;           /* with those that were dropped */
	size_t teed;                     /* tee.c: the bytes in the pipe that every mirror got */
	bool sink_copies;                /* tee.c: the main sink refuses splice */
	struct completions *completions; /* of each technique that has some; NULL: none */

	struct leat_ledger ledger;
	struct leat_ledger published; /* what the engine's totals have of it */
	uint64_t technique_bytes[LEAT_TECHNIQUE_COUNT];
	const char *technique_reason[LEAT_TECHNIQUE_COUNT];
	/* Bit sets of enum column that were used: the verdict. */
	uint32_t payload_columns, memory_columns;
	uint32_t techniques_used; /* bit set: their stop() is called in the end */
};

/* No system call, no allocation. */
void chain_init(struct leat_chain *chain, struct leat_engine *engine,
		const struct chain_sink *sink);
/* Releases what is left; gives back pipe, bounce buffer, mapping. */
void chain_fini(struct leat_chain *chain);

/* The sink's descriptor is about to be closed while the segments stay (a helper loads one): what
 * the kernel may still read of memory is waited for, for at most a second, and nothing is sent any
 * more. */
void chain_leave_sink(struct leat_chain *chain);
/* Of a chain that has failed: it was the head's source, a stream, that said so. While bytes of it
 * are held nothing is taken from it, so an error then is the sink's. */
bool chain_failed_at_source(const struct leat_chain *chain);

/* leat_chain_add_file() and _add_stream() for callers who know what the descriptor is: no system
 * call. The file is regular, has a size above 0, and [offset, offset + length) was in it lately.
 * `file` tells files apart whose descriptors had the same number: what was in memory a moment ago
 * of one is no answer for the other (the price would be a wait for the disk). -ENOMEM. */
int chain_add_known_file(struct leat_chain *chain, int fd, uint64_t file, uint64_t offset,
			 uint64_t length, leat_release release, void *arg);
/* A number for `file` from what fstat(2) says; ctime because numbers of inodes are used again, too.
 * Above 2^63: below it stand numbers that the caller counts himself. */
uint64_t chain_file(uint64_t device, uint64_t inode, int64_t ctime_ns);
#define CHAIN_NO_FILE UINT64_MAX
/* `kind`: pipe, socket or other. */
int chain_add_known_stream(struct leat_chain *chain, int fd, enum source_kind kind, uint64_t length,
			   leat_release release, void *arg);

/* leat_chain_wait() and leat_chain_load() for the rooms of this program. */
static inline struct leat_wait chain_wait(const struct leat_chain *chain)
{
	return chain->wait;
}

static inline struct leat_load chain_load(const struct leat_chain *chain)
{
	return chain->load;
}

/* What would be done with a range of a file, as far as it is known before: nothing moves. */
struct chain_promise {
	enum leat_technique technique;
	const char *reason; /* constant */
	/* Unknown where only the kernel's completions tell. Should the kernel refuse the technique,
	 * another one goes on, and the ledger says so. */
	enum leat_verdict verdict;
};

/* 0, or -errno: the forced technique can't do it. Asks for the route, once a chain. */
int chain_promise_file(struct leat_chain *chain, uint64_t length, struct chain_promise *ret);

/* Kind of a descriptor as a sink: fstat(2) and, for sockets, SO_DOMAIN, SO_TYPE, TLS_TX. 0 or
 * -errno. */
int sink_kind_of(int fd, enum sink_kind *ret);

/* ---- for the techniques ---- */

static inline void chain_syscall(struct leat_chain *chain)
{
	chain->ledger.syscalls++;
}

/* `bytes` of `segment` were accepted by the sink: ledger, segment->sent, technique's share,
 * verdict. */
void chain_account(struct leat_chain *chain, struct segment *segment, enum column column,
		   uint64_t bytes);
/* The column for bytes handed to this sink by reference: by the self-probe, the route's device, the
 * kind of sink; with mirrors, the worst of all sinks. Asked once a chain. */
enum column chain_reference_column(struct leat_chain *chain);
/* Makes sure that the chain has a pipe, a bounce buffer, a mapping of [offset, offset + length) of
 * `fd` (*ret is where `offset` stands). 0 or -errno. A mapping lasts until the segment's end. */
int chain_take_pipe(struct leat_chain *chain);
int chain_take_bounce(struct leat_chain *chain);
int chain_map(struct leat_chain *chain, int fd, uint64_t offset, size_t length, const char **ret);
/* Notes that the source or the sink said "not now" and where to wait. */
void chain_would_block(struct leat_chain *chain, int fd, short poll_events);

#endif
