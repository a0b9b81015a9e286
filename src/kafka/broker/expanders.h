/*
 * Expanders for whoever needs one, loops and helpers: as many as work at once, kept for the next
 * use.
 */
#ifndef KAFKA_BROKER_EXPANDERS_H
#define KAFKA_BROKER_EXPANDERS_H

#include <pthread.h>

#include "kafka/broker/kafka_limits.h"
#include "kafka/codec/expander.h"

struct expanders {
	pthread_mutex_t lock;
	unsigned count;
	struct expander *idle[KAFKA_EXPANDERS_IDLE];
};

void expanders_init(struct expanders *expanders);
void expanders_fini(struct expanders *expanders);
/* Any thread. NULL: no memory. */
struct expander *expanders_take(struct expanders *expanders);
void expanders_give(struct expanders *expanders, struct expander *expander);

#endif
