/*
 * One transport at work: its two worker processes, and the orders they are given. All waiting is
 * here, with a limit, and an eye on Ctrl-C.
 */
#ifndef LAB_SESSION_H
#define LAB_SESSION_H

#include "lab/lab.h"
#include "lab/worker.h"

struct copystat;

struct session {
	enum lab_transport transport;
	const struct lab_options *options;
	struct copystat *copystat; /* while it counts; borrowed */
	struct worker sender, receiver;
	int receiver_end; /* on its way to the receiver; -1: it has it */
};

/* What one round gave. */
struct round {
	struct answer sender, receiver;
	uint64_t bytes;
	enum lab_counter counter;
	/* Copies by the CPU in bytes, when copystat counted. */
	uint64_t user_copied, kernel_copied, receiver_copied, by_reference;
};

/* 0, -EINTR (Ctrl-C), or -errno with a line of why. After an error the session is closed. */
int session_open(struct session *session, enum lab_transport transport,
		 const struct lab_options *options, struct err *err);
void session_close(struct session *session);
/* From now on rounds are counted by copystat, which may be NULL: not any more. Counting costs time,
 * so what is timed is not counted. */
void session_count(struct session *session, struct copystat *copystat);

/* -EOPNOTSUPP: refused here, nothing else is wrong. */
int session_prove(struct session *session, enum leat_technique technique, enum lab_proof *ret,
		  struct err *err);
/* Sends and receives order->size * order->count bytes (more by headers: `bytes`). After an error
 * the workers are of no more use. */
int session_round(struct session *session, const struct order *order, struct round *ret,
		  struct err *err);

#endif
