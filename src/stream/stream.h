/*
 * A stream: a connection's bytes, between the reactor's connection and a protocol.
 *
 * It owns the connection, what is on its way out (the queue), what was given back of its input, and
 * the links to other streams. A protocol owns the data behind its ops: it receives bytes, says what
 * to send, and is called again when it is its turn. What stood once in each protocol stands here:
 * the turn's budget, sending until the socket is full, cold file ranges to a helper, deadlines that
 * move with progress.
 *
 *                   accepted: ops->open
 *     CONNECTING ───────────────────────> OPEN ──────────────> CLOSED
 *          │       connected: ops->open          stream_close(), a failure, STREAM_CLOSES
 *          └── refused, too late ─────────────────────────────>
 *
 * A turn (on the loop's thread, like everything here): an event, a deadline or a helper's result
 * comes; the queue is flushed, a link moves what it can; when nothing is left to send (or the protocol is
 * `duplex`), ops->step is called until it rests, with at most STREAM_STEPS steps and the turn's bytes,
 * then others have their turn.
 *
 * Memory: an idle stream has this struct and the protocol's data in the connection's slot, nothing
 * else. A queue (buffer and chain) is taken from the loop's spare ones when there is something to
 * send and given back when the last byte is with the socket.
 *
 * Linux 4.5 (epoll of the reactor); what the engine needs for what it moves.
 */
#ifndef STREAM_STREAM_H
#define STREAM_STREAM_H

#include "base/spare.h"
#include "engine/chain.h"
#include "reactor/reactor.h"

struct stream;
struct stream_queue;
struct stream_link;

/* ---- what the streams of one loop share ---- */

/* Beside every protocol on every loop; made with the protocol's state for that loop. */
struct stream_loop {
	struct loop *loop;
	struct leat_engine *engine; /* the protocol's: its ledger counts what its streams move */
	struct spare queues;
	enum leat_technique technique; /* for files and links; LEAT_AUTO, or forced */
	bool bulk_loads;    /* cold ranges are read beside others' long jobs, not before them */
	uint32_t write_ms;  /* no byte taken by a full socket for so long: the deadline */
	uint64_t turn_left; /* bytes that the stream whose turn it is may still move */
	uint64_t small_ms;  /* when something small last left: large ones have short turns then */
	bool connecting;    /* stream_connect() is under way */
};

void stream_loop_init(struct stream_loop *home, struct loop *loop, struct leat_engine *engine,
		      uint32_t write_ms);
/* Its streams are gone. */
void stream_loop_fini(struct stream_loop *home);

/* ---- what a protocol is ---- */

/* What a step says. */
enum stream_turn {
	STREAM_GOES_ON, /* call it again */
	STREAM_RESTS,   /* until an event, a helper or a deadline */
	STREAM_CLOSES,  /* the stream is closed */
};

struct stream_ops {
	/* The reactor's view: STREAM_CONN_OPS(bytes of the protocol's own data). */
	struct conn_ops conn;
	/* Called while the queue is not empty, too: a protocol that reads while it sends. */
	bool duplex;
	/* The loop's share, from what the listener or stream_connect() was given. A must. */
	struct stream_loop *(*home)(void *arg, struct loop *loop);
	/* Ready to talk: accepted, or connected, or stream_become() has made it one of these. The
	 * data is zero. 0 or -errno: then an accepted stream is closed without `closed`, a connected
	 * one with it. May be NULL. */
	int (*open)(struct stream *stream);
	/* Its turn: take input, put output. A must. It must not call stream_close() on its own
	 * stream: STREAM_CLOSES does it. */
	enum stream_turn (*step)(struct stream *stream);
	/* A deadline has passed: the protocol's own (stream_deadline()) or the socket's. NULL: the
	 * stream is closed. */
	void (*expired)(struct stream *stream);
	/* The process wants to end: finish what is in flight, then stream_close(). Also while it
	 * connects. NULL: the stream is closed. */
	void (*drain)(struct stream *stream);
	/* What is on its way can't be sent, for a reason that is not the peer's: `text` says it
	 * (a file that shrank, a read error). The stream is closed afterwards. May be NULL. */
	void (*failed)(struct stream *stream, int error, const char *text);
	/* The last call; the descriptor is still open. stream_error() says why a stream that was to
	 * connect never opened. */
	void (*closed)(struct stream *stream);
};

#define STREAM_CONN_OPS(bytes)                                                                     \
	{                                                                                          \
		.data_size = STREAM_BYTES + (bytes), .open = stream_opened, .ready = stream_ready, \
		.expired = stream_expired, .drain = stream_drain, .closed = stream_closed          \
	}

/* The reactor's calls, for STREAM_CONN_OPS alone. */
int stream_opened(struct conn *conn);
void stream_ready(struct conn *conn, unsigned events);
void stream_expired(struct conn *conn);
void stream_drain(struct conn *conn);
void stream_closed(struct conn *conn);

enum stream_state { STREAM_STATE_CONNECTING, STREAM_STATE_OPEN, STREAM_STATE_CLOSED };

/* Read by protocols, written by stream*.c alone. */
struct stream {
	struct conn *conn;
	struct stream_loop *home;
	const struct stream_ops *ops;
	void *arg;
	struct stream_queue *queue;    /* NULL: nothing is on its way out */
	struct stream_unread *unread;  /* input that was given back; NULL: none */
	struct stream_link *from, *to; /* the link that brings bytes here; that takes them away */
	uint32_t write_ms;             /* 0: the socket has no deadline */
	int error;                     /* 0, or the -errno that ends it */
	int8_t reference_column;       /* the chains' answer for this peer; -1: not asked yet */
	uint8_t state;                 /* enum stream_state */
	bool readable;                 /* an event said so, and not all has been read */
	bool ended;                    /* the peer sends no more: read until 0 */
	bool eof;                      /* 0 was read */
	bool hangup;                   /* nobody will read what is sent */
	bool waiting;                  /* for the socket to take more: its deadline runs */
	bool whole_deadline;           /* progress does not move the socket's deadline */
	bool shuts;                    /* when the queue is empty the sending side is closed */
	bool shut;                     /* it is */
	bool unix_socket;
};

/* Rounded so that the data behind it is aligned for anything. */
#define STREAM_BYTES ((sizeof(struct stream) + 15u) & ~(size_t)15u)

static inline void *stream_data(struct stream *stream)
{
	return (char *)stream + STREAM_BYTES;
}

static inline struct stream *stream_of(struct conn *conn)
{
	return conn_data(conn);
}

/* ---- life ---- */

/* Runs the stream's turn now: for results that came from elsewhere (a helper, another thread's
 * message). The stream may be gone afterwards. Not inside its own step. */
void stream_run(struct stream *stream);
/* Its turn comes again after the others'; nothing for one that is being closed. */
void stream_again(struct stream *stream);
/* Ends it at once: `closed` is called, what is on its way is dropped. Not inside its own step. */
void stream_close(struct stream *stream);
/* The same, and the peer sees a reset: for what was cut, so that it doesn't look complete. */
void stream_reset(struct stream *stream);
/* However it ends from here on, the peer sees a reset, and what the socket has not sent is dropped. For
 * an ops->open that refuses. */
void stream_reset_at_close(struct stream *stream);
/* Nothing more will be sent: when the queue is empty, the peer is told (FIN). */
void stream_shut(struct stream *stream);
/* The protocol's own deadline, `ms` from now; 0: none. A socket that is full has its own: it
 * replaces this one, and what replaces that when the socket is empty is the protocol's to say. */
void stream_deadline(struct stream *stream, uint32_t ms);
/* From here on other ops, with `arg`: after a preface, an upgrade, a choice of protocol. Its data is
 * zeroed (the old one is gone: free what it owns before), then ops->open is called. Bytes that were
 * received and belong to the new protocol are given back first, by stream_unread(). The old step
 * returns STREAM_GOES_ON at once. -ENOSPC: slots have no room for its data (reactor_options
 * .data_size_min), -errno of open; the stream is as it was in neither case: close it. */
int stream_become(struct stream *stream, const struct stream_ops *ops, void *arg);

/* An outgoing stream on the calling thread's loop. `timeout_ms`: until it is connected. It opens, or
 * closes with stream_error(), later; never before this returns. -errno: there is none. 3.0. */
int stream_connect(struct stream_loop *home, const struct sockaddr *address, socklen_t length,
		   uint32_t timeout_ms, const struct stream_ops *ops, void *arg,
		   struct stream **ret);

/* ---- input ---- */

/* What came: at most `len` bytes; 0: the peer has ended; -EAGAIN: nothing now, or the input is
 * linked away; -errno. No system call where the last one has shown that nothing is left. */
ssize_t stream_recv(struct stream *stream, void *buf, size_t len);
/* Gives bytes back, to be received again before all others; copied. -ENOMEM. */
int stream_unread(struct stream *stream, const void *data, size_t len);

/* ---- output ---- */

enum stream_sent {
	STREAM_SENT_ALL,
	STREAM_SENT_SOME, /* the socket is full, a helper reads, a linked stream has nothing */
	STREAM_SENT_FAILED,
};

/* Where the next bytes may be written, and how many; *ret_room 0: flush first, or the queue is full.
 * NULL: no memory. */
char *stream_room(struct stream *stream, size_t *ret_room);
/* `len` bytes were written there: they are queued. */
void stream_put(struct stream *stream, size_t len);
/* Room for `len` bytes and the bytes, in one. -ENOBUFS: it doesn't fit now. -ENOMEM. */
int stream_put_bytes(struct stream *stream, const void *data, size_t len);
/* As leat_chain_add_memory() and chain_add_known_file(), behind what is queued. */
int stream_add_memory(struct stream *stream, const void *data, size_t len, leat_release release,
		      void *arg);
int stream_add_file(struct stream *stream, int fd, uint64_t file, uint64_t offset, uint64_t len,
		    leat_release release, void *arg);
/* Sends what the turn allows. After FAILED the stream is to be closed: stream_error() says why. A
 * turn does it before each step; a protocol needs it in mid-step only. */
enum stream_sent stream_flush(struct stream *stream);
/* Bytes that are queued; LEAT_TO_END with a link without a length. */
uint64_t stream_pending(const struct stream *stream);

/* ---- links ---- */

struct stream_linked {
	uint64_t bytes; /* that went over */
	int error;      /* 0, or what ended it early, -errno */
	bool source;    /* the error is the source's, not the sink's */
	bool ended;     /* the source has come to its end */
};

/* A link has ended. `from`, `to`: NULL where it is closed; those that are not may be closed in here,
 * and no others of the same link: a stream that is being closed is still known to its protocol. */
typedef void (*stream_link_done)(void *arg, struct stream *from, struct stream *to,
				 const struct stream_linked *linked);

/* The next `length` bytes of `from` (LEAT_TO_END: all there will be) go to `to`, behind what is
 * queued there: by splice while they come in bulk, by receive and send while they come in messages.
 * Both are of the calling thread's loop; a stream has one link in each direction. While it is there
 * the protocols neither receive from the one (stream_recv() says -EAGAIN) nor send to the other.
 * `half_close`: when `from` ends, the sending side of `to` is closed behind its last byte. `done` is
 * called once, at the end of a turn of `to` or when one of the two is closed. Where the source or
 * the sink has failed, both streams are still open: stream_reset() tells a peer that this was not
 * all, and what a sink that failed had said before can still be received.
 * -EBUSY, -ENOMEM: there is no link. */
int stream_link(struct stream *from, struct stream *to, uint64_t length, bool half_close,
		stream_link_done done, void *arg);
/* What the link to `to` has moved so far; 0 when there is none. */
uint64_t stream_link_bytes(const struct stream *to);

#endif
