/*
 * What a broker did and what it has, summed over its loops, its groups and its store. Figures are
 * current, but not all of one moment.
 */
#ifndef KAFKA_BROKER_KAFKA_ACCOUNT_H
#define KAFKA_BROKER_KAFKA_ACCOUNT_H

#include "engine/engine.h"
#include "kafka/broker/coordinator.h"

struct kafka_account {
	struct kafka_counters counters; /* of all loops */
	struct histogram durations[KAFKA_TIMED_COUNT];
	struct histogram flushes;
	struct engine_account engines;
	struct coordinator_stats groups;
	struct store_stats store;
	uint64_t requests;      /* of all APIs */
	uint64_t request_bytes; /* of KAFKA_REQUESTS_BYTES */
	uint64_t producer_ids;
};

/* Any thread, while there is a server that was opened. Takes the locks of groups and partitions, one
 * after the other. */
void kafka_account(struct kafka_server *server, struct kafka_account *ret);
void kafka_account_engines(const struct kafka_server *server, struct engine_account *sum);
/* Of it the counters and the requests: takes no lock. */
void kafka_account_loops(const struct kafka_server *server, struct kafka_account *ret);

#endif
