/*
 * The Kafka broker: the store, what the loops share, and the pieces to start it with.
 *
 *     kafka_server_new()       looks at its options, opens nothing
 *     kafka_server_listen()    its listeners, in a reactor
 *     kafka_server_open()      the store, which may have to be recovered: blocks, with threads that
 *                              have ended when it returns
 *     kafka_loop_open/close()  its state on each loop (kafka_loop.h), by reactor_options' hooks
 *     kafka_server_free()      after the reactor's loops have ended, before it goes
 *
 * serve() (serve/serve.h) puts them together. A connection finds its server by its listener's arg,
 * and its loop's state by the loop's number, so that other services may have connections on the
 * same loops.
 */
#ifndef KAFKA_BROKER_KAFKA_SERVER_H
#define KAFKA_BROKER_KAFKA_SERVER_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/err.h"
#include "kafka/broker/config.h"
#include "kafka/broker/core/held.h"
#include "kafka/broker/expanders.h"
#include "kafka/broker/kafka_count.h"
#include "kafka/broker/kafka_listeners.h"
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
};

struct kafka_server {
	const struct kafka_options *options;
	const struct kafka_config *config;
	struct store *store;
	struct reactor *reactor;
	struct kafka_listener listeners[KAFKA_LISTENERS_MAX];
	unsigned listeners_count;
	struct kafka_places places; /* of all of them */
	struct kafka_peer_places peers;

	struct kafka_loop **loops; /* by index, one for each of the reactor's */
	unsigned loops_count;
	_Atomic uint64_t large_bytes;   /* of KAFKA_REQUESTS_BYTES */
	_Atomic uint64_t small_bytes;   /* of KAFKA_SMALL_REQUESTS_BYTES */
	_Atomic uint64_t answers_bytes; /* of KAFKA_ANSWERS_BYTES */
	struct held held;
	/* Of large requests, answers and what was between; to be trimmed; and `held` before. The last two
	 * are maintenance's. */
	_Atomic uint64_t freed_bytes;
	uint64_t trim_bytes, held_before;
	/* The most elements that a loop has handled at once, and a helper between two looks. */
	_Atomic uint64_t turn_elements, step_elements;
	uint64_t secret; /* of hashes: strangers choose the names */

	struct expanders expanders;
	struct coordinator *coordinator;
	pthread_mutex_t making; /* one makes __consumer_offsets, the others wait */
	pthread_mutex_t producer_ids_lock;
	int64_t next_producer_id, producer_ids_left;
	uint64_t producer_ids_given; /* by producer_ids_lock, too */

	bool observed; /* somebody reads how long requests take; set before the loops run */
	uint64_t errors[KAFKA_COUNTED_APIS_MAX][KAFKA_ERROR_CODES]; /* by place in kafka_apis */
};

/* `options` and what it points to must stay. */
int kafka_server_new(const struct kafka_options *options, struct kafka_server **ret,
		     struct err *err);
int kafka_server_listen(struct kafka_server *server, struct reactor *reactor, struct err *err);
int kafka_server_open(struct kafka_server *server, struct err *err);
/* Closes the store: everything is durable then. NULL is fine. */
void kafka_server_free(struct kafka_server *server);
/* Instead, where helpers are stuck (reactor_is_stuck()): leaves everything as it is. The store is
 * not closed, as a sync would wait for the same disk. */
void kafka_server_abandon(struct kafka_server *server);

void kafka_server_say_start(const struct kafka_server *server);
void kafka_server_say_end(const struct kafka_server *server);

/* Any thread. */
uint64_t kafka_producer_ids_given(struct kafka_server *server);

/* The broker's own: clients may not write to it. */
bool kafka_topic_is_internal(struct slice name);

#endif
