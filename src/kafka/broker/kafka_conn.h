/*
 * A connection of a Kafka client.
 *
 *     READING --a request is complete--> its call --answered--> READING
 *        ^                                |     |
 *        |              blocks or waits   v     v  the socket is full, a range is cold
 *        +----------------------------- `call`  `flight`
 *
 * Not stored but read from what is there: `flight` is what is being sent, `call` what blocks or
 * waits; while either is there no further request is looked at, nor received.
 *
 * Memory. Between requests a connection has nothing but this struct. Requests are received into the
 * loop's one buffer and answered from there; an incomplete one gets a buffer of its own size, which
 * the rest is received into. Answers of one turn leave in one send; a fetch goes by a chain.
 */
#ifndef KAFKA_BROKER_KAFKA_CONN_H
#define KAFKA_BROKER_KAFKA_CONN_H

#include "kafka/broker/kafka_call.h"

extern const struct conn_ops kafka_conn_ops;

struct kafka_conn {
	struct conn *conn;
	struct kafka_loop *loop;
	struct kafka_call *call;
	struct kafka_call *flight;
	struct kafka_call *flight_end; /* the last in the queue that begins with `flight` */

	char *kept; /* input that could not be answered yet; NULL: none */
	size_t kept_len, kept_size;
	uint64_t reserved; /* of the server's memory for requests: kafka_requests_take() */
	uint64_t since_ms; /* when the kept request has got its time; 0: not yet */
	size_t came;       /* of the kept request, since it was last seen to get on */

	bool readable; /* an event said so and not all has been read */
	bool ended;    /* the peer sends no more: read until 0 */
	bool eof;      /* 0 was read */
	bool draining;
	bool large;   /* the last request was */
	bool stalled; /* the kept request has not got on, and lost its memory */
	bool spoken;  /* a request of its was understood */
	bool unix_socket;
	int8_t reference_column; /* the chains' answer for this peer; -1: not asked yet */
};

/* kafka_send.c */
enum kafka_sent { KAFKA_SENT_ALL, KAFKA_SENT_SOME, KAFKA_SENT_FAILED };

/* What this turn has put into the loop's buffer, then the flights. */
enum kafka_sent kafka_send(struct kafka_conn *c);
/* The call's answer leaves behind what is there; the call is the connection's from now on. false:
 * no memory. */
bool kafka_send_call(struct kafka_conn *c, struct kafka_call *call);
void kafka_send_free(struct kafka_conn *c);

/* The buffer that has `part` at its end and nothing that is still to be read, with its size and what
 * is reserved for it: the caller's from now on, to kafka_request_give(). NULL: there is none. */
char *kafka_conn_give(struct kafka_conn *c, struct slice part, size_t *ret_size,
		      uint64_t *ret_reserved);
/* A call that was in c->call is answered. */
void kafka_conn_answered(struct kafka_conn *c, struct kafka_call *call, enum handled handled);
/* A turn of the connection, from outside of its own events. */
void kafka_conn_turn(struct kafka_conn *c);

#endif
