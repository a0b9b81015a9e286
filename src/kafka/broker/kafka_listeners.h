/*
 * Where clients are served, and where they are told to go: a client asks at the first connection
 * where the broker is, and goes there. Behind several networks it must be told what it can reach, so
 * each listener has its own answer.
 *
 *     --listen WHERE            else listeners = NAME://HOST:PORT, ..., else 127.0.0.1:9092
 *     --advertise HOST:PORT     else advertised.listeners = NAME://HOST:PORT, ..., else where the
 *                               listener is, unless that is no place to go to (a wildcard)
 *
 * Where is an address, a host's name (which is looked up, and told as it is), or a wildcard; it may
 * be several sockets of the reactor's.
 *
 * A listener's name stands for a protocol (listener.security.protocol.map), of which PLAINTEXT is
 * spoken here. Those of controllers are not opened.
 */
#ifndef KAFKA_BROKER_KAFKA_LISTENERS_H
#define KAFKA_BROKER_KAFKA_LISTENERS_H

#include "base/err.h"
#include "kafka/broker/config.h"
#include "kafka/broker/kafka_places.h"

#define KAFKA_LISTENERS_MAX      64
#define KAFKA_LISTENER_NAME_MAX  64
#define KAFKA_LISTENER_WHERE_MAX 300
#define KAFKA_HOST_MAX           256

struct kafka_server;

struct kafka_listener {
	struct kafka_server *server;
	struct kafka_places places;
	char name[KAFKA_LISTENER_NAME_MAX];   /* upper case; empty: of the command line */
	char where[KAFKA_LISTENER_WHERE_MAX]; /* as reactor_listen() takes it */
	char host[KAFKA_HOST_MAX];            /* what its clients are told; */
	int32_t port;                         /* 0: not known before it listens */
};

/* The listeners of the configuration: none if it has none. -EINVAL. */
int kafka_listeners_parse(const struct kafka_config *config, struct kafka_listener *ret,
			  unsigned *ret_count, struct err *err);
/* HOST:PORT, [HOST]:PORT; not a wildcard address. `setting`: whose it is, for `err`. */
int kafka_listener_tell(struct kafka_listener *listener, const char *setting, const char *text,
			struct err *err);

/* Whose socket it is, by the reactor's listener_options.arg; NULL: none of Kafka's. */
const struct kafka_listener *kafka_listener_of(const struct kafka_server *server, const void *arg);

/* What is taken when a connection was accepted, and given back when it is gone. */
bool kafka_listener_admit(void *listener);
void kafka_listener_leave(void *listener);
/* Opens all that the options ask for, in the server's reactor, and settles what clients are told. */
int kafka_listeners_open(struct kafka_server *server, struct err *err);

#endif
