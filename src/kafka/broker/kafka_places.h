/*
 * How many connections there may be: max.connections of the broker and of a listener, and
 * max.connections.per.ip with its overrides. As Kafka does it: where the former are reached, clients wait
 * to be accepted until somebody has left; one address that has too many has the next one closed at once.
 * (Kafka lets the listener of brokers go beyond; here no broker comes.)
 *
 * Any thread.
 */
#ifndef KAFKA_BROKER_KAFKA_PLACES_H
#define KAFKA_BROKER_KAFKA_PLACES_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/err.h"
#include "kafka/broker/config.h"

/* A bound, and how many there are. */
struct kafka_places {
	_Atomic int64_t taken;
	int64_t max;
};

/* An address, IPv4 as IPv6 has it. */
struct kafka_peer {
	uint8_t bytes[16];
};

#define KAFKA_PEER_BUCKETS 1024u

struct kafka_peer_places {
	bool bounded; /* else nobody counts */
	int64_t max;
	struct kafka_peer_limit {
		struct kafka_peer peer;
		int64_t max;
	} * limits; /* the overrides */
	size_t limits_count;
	pthread_mutex_t lock;
	struct kafka_peer_count *buckets[KAFKA_PEER_BUCKETS];
};

/* -EINVAL: what is said of overrides. */
int kafka_peer_places_init(struct kafka_peer_places *places, const struct kafka_config *config,
			   struct err *err);
void kafka_peer_places_fini(struct kafka_peer_places *places);
/* false: it has as many as it may. */
bool kafka_peer_enter(struct kafka_peer_places *places, const struct sockaddr_storage *address);
void kafka_peer_leave(struct kafka_peer_places *places, const struct sockaddr_storage *address);

static inline bool kafka_places_take(struct kafka_places *places)
{
	if (atomic_fetch_add_explicit(&places->taken, 1, memory_order_relaxed) < places->max)
		return true;
	atomic_fetch_sub_explicit(&places->taken, 1, memory_order_relaxed);
	return false;
}

static inline void kafka_places_give(struct kafka_places *places)
{
	atomic_fetch_sub_explicit(&places->taken, 1, memory_order_relaxed);
}

#endif
