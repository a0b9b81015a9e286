/*
 * What the files of the chain share, and nobody else needs.
 *
 *   chain.c           the ring of segments: init, add, reset, fini, and the public functions
 *   chain_step.c      the step loop: policy, technique, fallback, waits, the end of a segment
 *   chain_gather.c    memory and short file ranges, together in one send
 *   chain_resident.c  whether a file range is in memory, so that nothing waits for the disk
 *   chain_account.c   ledger, verdict, evidence, report
 *   chain_resource.c  pipe, bounce buffer, mapping
 *   mirror.c          sinks beside the sink (mirror.h)
 *   kinds.c           what a descriptor is
 */
#ifndef ENGINE_CHAIN_INTERNAL_H
#define ENGINE_CHAIN_INTERNAL_H

#include "engine/chain.h"
#include "engine/engine.h"
#include "engine/technique.h"
#include "sys/sys.h"

/* The i-th segment from the head. */
static inline struct segment *chain_segment(const struct leat_chain *chain, unsigned i)
{
	return &chain->segments[(chain->head + i) & (chain->capacity - 1)];
}

/* Bytes that the sink has yet to get of it. */
static inline uint64_t segment_left(const struct segment *segment)
{
	return segment->length == LEAT_TO_END ? LEAT_TO_END : segment->length - segment->sent;
}

/* Bytes that are taken but not with the sink. */
static inline uint64_t chain_held(const struct leat_chain *chain)
{
	return chain->piped + (chain->bounce.end - chain->bounce.start);
}

/* Of `max` bytes, those to take into the chain's pipe: until the sink has shown that it takes
 * pages, no more than what splice_drain() can read back. */
static inline size_t pipe_piece(const struct segment *segment, size_t max)
{
	return segment->sent == 0 ? min_size(max, BOUNCE_BYTES) : max;
}

static inline bool sink_is_socket(const struct leat_chain *chain)
{
	return chain->sink.kind == SINK_TCP || chain->sink.kind == SINK_UNIX ||
	       chain->sink.kind == SINK_KTLS;
}

/* The column of bytes that the CPU brings to the sink. */
static inline enum column chain_copy_column(const struct leat_chain *chain)
{
	return sink_transforms(chain->sink.kind) ? COLUMN_TRANSFORMED : COLUMN_COPIED;
}

/* chain.c: the invariants that chain.h states. */
void chain_verify(const struct leat_chain *chain);
/* chain.c: a new last segment, all zero but for what is given. NULL: no memory, or the chain is
 * letting go of everything. */
struct segment *chain_append(struct leat_chain *chain, enum source_kind kind, int fd,
			     uint64_t length, leat_release release, void *arg);
/* The head is over: the position of its descriptor, its mapping, its release. */
void chain_drop_head(struct leat_chain *chain);

/* chain_step.c: sets segment->technique. 0 or -EOPNOTSUPP, with error_text. */
int chain_choose(struct leat_chain *chain, struct segment *segment);
/* Notes the error (and its text, when there is none yet) and returns it. */
int chain_fail(struct leat_chain *chain, int error, const char *fmt, ...) PRINTF_LIKE(3, 4);

/* chain_account.c: to the caller, as far as his report goes; his ledger ends where that does. */
void report_give(struct leat_report *report, struct leat_report *ret_report);

/* chain_account.c: the kernel refused a technique, and another goes on. */
void chain_fell_back(struct leat_chain *chain, enum leat_technique refused, int error);

/* chain_gather.c: whether the segment may leave together with its neighbours, and the sending of
 * them, as technique->move(). `budget`: what this step may still move. 0, LEAT_WANT_LOAD or -errno.
 */
bool gather_fits(const struct leat_chain *chain, const struct segment *segment);
int chain_gather(struct leat_chain *chain, size_t max, size_t budget, struct moved *ret);

/* chain_resident.c: whether `max` more bytes of the segment are in memory (or may be waited for, or
 * never will be). If not, chain->load says what to load. */
bool chain_is_resident(struct leat_chain *chain, struct segment *segment, uint64_t max);
/* Only asks. */
bool chain_seems_resident(struct leat_chain *chain, struct segment *segment, uint64_t max);
/* Notes what to load. False when it was loaded in vain too often: go ahead. */
bool chain_want_load(struct leat_chain *chain, struct segment *segment, uint64_t start,
		     uint64_t end);

/* chain_resource.c */
void chain_give_pipe(struct leat_chain *chain);
void chain_give_bounce(struct leat_chain *chain);
void chain_unmap(struct leat_chain *chain);

/* splice.c: what the chain's pipe holds, to the sink. When that refuses, the bytes are read back
 * into the bounce buffer (pipe_piece()). */
int splice_drain(struct leat_chain *chain, struct segment *segment, bool more, struct moved *ret);

/* chain.c: the caller's options, as far as his struct goes: he may be older or newer than the
 * library. NULL: the defaults. -EINVAL: no size, LEAT_OPTIONS_INIT was forgotten. */
int options_read(const struct leat_options *options, struct leat_options *ret);

/* kinds.c. A blocking sink, and the chain may not block. */
bool sink_would_block(uint32_t flags, int fd, enum sink_kind kind);
int source_kind_of_stat(int fd, const struct stat *st, enum source_kind *ret);

/* sink.c: one write or send of `len` bytes, or of several pieces. */
ssize_t sink_write(struct leat_chain *chain, const void *data, size_t len, bool more);
ssize_t sink_writev(struct leat_chain *chain, const struct iovec *iov, int count, bool more);
/* A call that may raise SIGPIPE follows. */
void sink_guard(struct leat_chain *chain);

/* A technique's "not now": where to wait, and why it stopped. 0. sink_full(): after -EAGAIN of
 * sink_write() or sink_writev(). */
int sink_full(struct leat_chain *chain, struct moved *ret);
static inline int stop_at(struct leat_chain *chain, int fd, short events, enum stop stop,
			  struct moved *ret)
{
	chain_would_block(chain, fd, events);
	ret->stop = stop;
	return 0;
}

#endif
