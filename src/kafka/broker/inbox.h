/*
 * Messages to a loop, as many as there are: intrusive, so that sending one can't fail. Each belongs
 * to something that waits (a fetch, a join), which is in at most one inbox at a time.
 *
 * The reactor's own ring is bounded and may refuse; one place in it carries all of an inbox. When
 * even that is refused, the loop looks by itself within KAFKA_MAINTAIN_MS.
 */
#ifndef KAFKA_BROKER_INBOX_H
#define KAFKA_BROKER_INBOX_H

#include <pthread.h>

#include "base/list.h"
#include "reactor/reactor.h"

struct message {
	struct list node;
	void (*fn)(struct message *message); /* on the loop's thread; may free it */
};

struct inbox {
	pthread_mutex_t lock;
	struct list messages;
	struct loop *loop; /* NULL: not open yet, or closed */
	bool posted;       /* the ring has our message */
};

void inbox_init(struct inbox *inbox);
void inbox_fini(struct inbox *inbox);
/* On the loop's thread: messages are delivered from now on, or no more. */
void inbox_open(struct inbox *inbox, struct loop *loop);
void inbox_close(struct inbox *inbox);
/* Any thread. */
void inbox_send(struct inbox *inbox, struct message *message);
/* The loop's thread, or after the reactor's end any one. */
void inbox_deliver(struct inbox *inbox);

#endif
