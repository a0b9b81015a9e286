/*
 * Clients as the log names them: so that an operator finds the program that a line is about.
 */
#ifndef KAFKA_BROKER_KAFKA_LOG_H
#define KAFKA_BROKER_KAFKA_LOG_H

#include "base/log.h"
#include "kafka/broker/kafka_call.h"

struct client_text {
	char text[CLIENT_ID_SHOWN + KAFKA_HOST_MAX + 32];
};

/* "10.0.0.1:5000"; on the connection's loop. */
const char *log_peer(const struct conn *conn, struct client_text *memory);
/* "client 'x' at 10.0.0.1:5000"; on the call's loop, or the helper that has it. */
const char *log_client(const struct kafka_call *call, struct client_text *memory);

/* A batch of so many bytes that was refused; `topic` NULL: there is none of that name. */
void log_refused_batch(const struct kafka_call *call, const struct topic *topic, struct slice name,
		       int32_t partition, size_t bytes, enum kafka_error error, const char *text);

#endif
