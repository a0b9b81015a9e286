/*
 * What the files of the stream share, and nobody else sees.
 *
 *   stream.c          life: events, turns, deadlines, input
 *   stream_send.c     the queue: buffer, chain, flush, cold ranges
 *   stream_connect.c  outgoing streams
 *   stream_link.c     one stream's bytes to another
 */
#ifndef STREAM_STREAM_INTERNAL_H
#define STREAM_STREAM_INTERNAL_H

#include "stream/stream.h"
#include "stream/stream_limits.h"

/* Input that was given back. */
struct stream_unread {
	size_t at, len;
	char data[];
};

/* What is on its way out. Bytes are written into `buffer`; as long as nothing else is queued they
 * leave by one send, without the chain. The chain takes over at the first segment that is something
 * else, and buffer bytes are segments of it from then on.
 *
 * A helper that reads a cold range holds the queue: it outlives its stream then (`orphan`). */
struct stream_queue {
	struct stream_loop *home;
	struct conn_ref conn;
	struct job job;
	struct leat_load load;
	int load_error;
	bool loading, orphan;
	bool chained;
	size_t len;              /* bytes in buffer */
	size_t sent;             /* of them: with the socket; once chained: handed to the chain */
	struct leat_chain chain; /* valid if chained */
	char buffer[STREAM_BUFFER_BYTES];
};

struct stream_link {
	struct stream *from, *to;
	uint64_t left; /* bytes that are yet to go; LEAT_TO_END: all there will be */
	bool half_close;
	bool splices;    /* by the sink's chain; else by receive and send */
	bool in_chain;   /* a segment of it is in the sink's chain, the only one */
	bool over;       /* nothing more will go */
	unsigned shorts; /* turns in a row in which splicing moved little */
	stream_link_done done;
	void *arg;
	struct stream_linked linked;
};

/* The queue, taken if there is none. NULL: no memory. */
struct stream_queue *stream_queue_take(struct stream *stream);
/* 0 or -ENOMEM: the chain has everything that the buffer has. */
int stream_queue_chain(struct stream *stream);
/* Drops what is on its way. The descriptor is still open. */
void stream_queue_drop(struct stream *stream);

/* Bytes of the turn are used up. */
void stream_use_turn(struct stream_loop *home, uint64_t bytes);
/* Its connection has failed: nothing more will come, and that is not the end. */
bool stream_is_broken(const struct stream *stream);
/* stream_recv() for whoever has the input: the protocol, or a link. */
ssize_t stream_recv_here(struct stream *stream, void *buf, size_t len);

/* The deadline of a stream whose socket takes nothing; `moved`: it has taken something. */
void stream_wait_writable(struct stream *stream, bool moved);

/* What holds of a stream between two turns: its links know it, nothing is queued behind its end, and
 * its deadline is the socket's only while something is queued. */
void stream_verify(const struct stream *stream);

/* The one door of the state machine. */
void stream_enter(struct stream *stream, enum stream_state state);

/* From the reactor's event on a stream that connects. False: it is closed, or not yet connected. */
bool stream_connected(struct stream *stream, unsigned events);

/* The link of `to` moves what it can; the queue of `to` is empty before. SENT_ALL: the link is over,
 * and nothing is queued. */
enum stream_sent stream_link_pump(struct stream *to);
/* The chain of `to` has moved bytes. */
void stream_link_chain_moved(struct stream *to, uint64_t bytes);
/* Sending to `to` has failed. True: there is a link, and the end of the turn tells of it; false: it is
 * the stream's own affair. */
bool stream_link_send_failed(struct stream *to, int error);
/* At the end of a turn of `to`: tells, if the link is over. `to` may be closed then. */
void stream_link_settle(struct stream *to);
/* The stream is about to be closed: its links end. */
void stream_link_cut(struct stream *stream);

#endif
