/*
 * What a Kafka broker tells the admin listener. The table of its metrics is in kafka_metrics.c; the
 * manual page has the same names and words (tests/integration/test_kafka_ops.py compares them).
 */
#ifndef KAFKA_BROKER_KAFKA_METRICS_H
#define KAFKA_BROKER_KAFKA_METRICS_H

#include "admin/admin.h"
#include "kafka/broker/kafka_server.h"

/* Before the loops run. The server stays until the admin listener is gone, and is opened before that
 * is started. */
void kafka_metrics_add(struct kafka_server *server, struct admin *admin);

#endif
