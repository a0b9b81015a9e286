/*
 * `leat kafka`: the store, the loops and what they share.
 */
#ifndef KAFKA_BROKER_KAFKA_SERVER_H
#define KAFKA_BROKER_KAFKA_SERVER_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/err.h"
#include "kafka/broker/config.h"
#include "kafka/store/store.h"
#include "reactor/reactor.h"

struct kafka_loop;
struct coordinator;

struct kafka_options {
	const struct kafka_config *config;
	const char *dir;           /* NULL: log.dirs, or ./leat-data */
	const char *const *listen; /* as for reactor_listen() */
	unsigned listen_count;     /* none: listeners, or 127.0.0.1:9092 */
	const char *advertise;     /* HOST:PORT; NULL: where it listens */
	unsigned threads;          /* 0: one a CPU */
};

/* Serves until SIGTERM, SIGQUIT or SIGINT. 0, or -errno with the reason in `err`. */
int kafka_serve(const struct kafka_options *options, struct err *err);

struct kafka_server {
	const struct kafka_config *config;
	struct store *store;
	struct reactor *reactor;
	char host[256]; /* what Metadata tells clients */
	int32_t port;

	struct kafka_loop **loops; /* by index; those that have opened */
	unsigned loops_count;
	_Atomic uint64_t requests_bytes; /* of KAFKA_REQUESTS_BYTES */

	struct coordinator *coordinator;
	pthread_mutex_t making; /* one makes __consumer_offsets, the others wait */
	pthread_mutex_t producer_ids_lock;
	int64_t next_producer_id, producer_ids_left;
};

/* The broker's own: clients may not write to it. */
bool kafka_topic_is_internal(struct slice name);

#endif
