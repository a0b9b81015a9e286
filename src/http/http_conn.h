/*
 * An HTTP connection.
 *
 *             requests complete            all sent
 *     READING ----------------> answering -----------> READING
 *        |                       |     |  ^
 *        | last answer sent      v     v  | the socket takes more; the helper is done
 *        v                    SENDING  WAITING
 *     lingering or closed
 *
 * The states are not stored but follow from what is there (http_turn() reads them in this order):
 * `flight` is what is being sent, `job` what a helper is doing, `ending` what comes after the last
 * byte, and otherwise it reads.
 *
 * Memory. Between requests a connection has nothing but this struct. Requests are received into the
 * loop's one buffer; what is left of an incomplete one is kept in a buffer of the connection's own.
 * A flight is taken when there is something to answer and given back when it has left.
 *
 * Order. All requests of one receive are answered into one buffer and sent together; an answer with
 * a file range goes through a chain, and what came behind it waits. A request that needs a helper
 * is kept and looked at anew when the helper is done.
 */
#ifndef HTTP_HTTP_CONN_H
#define HTTP_HTTP_CONN_H

#include "engine/chain.h"
#include "http/core/address.h"
#include "http/http_job.h"

extern const struct conn_ops http_conn_ops;

/* What comes after everything has been sent. */
enum http_ending {
	HTTP_STAYS,
	HTTP_CLOSES,
	/* The peer may still be sending: closing with unread input makes the kernel send a reset,
	 * which can overtake the answer (RFC 9112 9.6). So the sending side is closed first. */
	HTTP_LINGERS,
	HTTP_LINGERING, /* done that, reading away what comes */
};

/* Answers on their way. */
struct http_flight {
	size_t len,
	    sent; /* of out; with a chain it has taken over out, and `sent` counts no more */
	bool chained;
	bool waiting;             /* for the socket: the deadline is running */
	unsigned answers;         /* in it */
	struct http_saved *saved; /* of the answer that goes by the chain; or NULL */
	struct file_entry *entry; /* whose bytes the chain sends; or NULL */
	struct dir_list *list;    /* whose piece the chain sends; or NULL */
	bool listing;             /* there may be more pieces */
	struct http_body *body;   /* whose piece the chain sends; or NULL */
	bool reading;             /* there is more of it */
	bool unsent_bounded;
	struct leat_chain chain; /* valid if chained */
	char out[HTTP_OUT_BYTES];
};

/* What a helper found out for the request that waits. */
struct http_found {
	enum { HTTP_FOUND_NOTHING, HTTP_FOUND_FILE, HTTP_FOUND_LISTING } kind;
	int error;
	bool same;    /* the entry is the one that was known */
	bool settled; /* the cache has been told of it */
	struct file_entry *entry;
	struct dir_list *list;
};

struct http_conn {
	struct conn *conn;
	struct http_loop *loop;
	struct http_flight *flight;
	struct http_job *job;
	struct http_found found;
	/* An encoded version of the file, as a helper found it; or why there is none. */
	struct file_entry *coded;
	int coded_error;
	bool coded_same;
	uint8_t coded_as; /* enum http_coding: which one; HTTP_IDENTITY: none was asked for */
	uint8_t refused;  /* bits (1u << coding): can't be had for the request at hand */

	uint64_t received_ns; /* the turn that received last; http_record.h */
	char *kept; /* the beginning of a request, or whole ones that wait for their turn */
	uint32_t kept_len;
	bool kept_large;

	struct http_scan scan;
	struct http_skim skim;
	uint32_t skim_head; /* bytes of the head whose body is being skimmed; 0: none */
	uint32_t lingered;
	int8_t reference_column; /* the chains' answer for this peer; -1: not asked yet */
	uint8_t ending;          /* enum http_ending */
	bool readable;           /* an event said so and not all has been read */
	bool ended;              /* the peer sends no more: read until 0 */
	bool eof;                /* 0 was read */
	bool draining;           /* the process wants to end */
	bool body_done;          /* the body of the request at hand was read away */
	bool body_left;          /* it won't be: the connection closes after the answer */
	bool spoken;             /* something has come from the peer */
	bool late;               /* the deadline of the request at hand is running */
	bool unix_socket;
	bool awaits_proxy;        /* a PROXY header comes before the first request */
	bool is_told;             /* it came */
	struct http_address told; /* and so this is the client; valid if told */
};

/* NULL: no memory. */
struct http_flight *http_conn_flight(struct http_conn *c);

/* ---- http_answer.c ---- */

enum http_answered {
	HTTP_ANSWERED, /* in the flight; c->ending says what comes after it */
	HTTP_NO_ROOM,  /* send what is in the flight first */
	HTTP_WAITS,    /* c->job is under way: ask again with the same request */
	HTTP_FAILED,   /* no memory: close */
};

enum http_answered http_answer(struct http_conn *c, const struct http_request *request);
/* For what can't be understood, beginning with `line`; the connection lingers and closes. */
enum http_answered http_answer_bad(struct http_conn *c, struct slice line, int status,
				   const char *reason);

/* Frees what helpers have found and no answer took. */
void http_answer_forget(struct http_conn *c);

#endif
