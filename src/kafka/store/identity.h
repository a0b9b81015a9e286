/*
 * Whose directory it is: meta.properties; and ids as text. Pure.
 */
#ifndef KAFKA_STORE_IDENTITY_H
#define KAFKA_STORE_IDENTITY_H

#include "base/buf.h"
#include "kafka/store/store.h"

#define IDENTITY_TEXT_MAX 512

struct identity {
	char cluster_id[STORE_CLUSTER_ID_MAX + 1];
	char directory_id[STORE_UUID_TEXT + 1]; /* "": an older Kafka gave it none */
	int32_t node_id;
};

/* Java's properties, as far as Kafka writes them here. -EBADMSG; -EPROTONOSUPPORT: a newer format;
 * `err` says what is wrong, not in which file. */
int identity_parse(struct slice text, struct identity *ret, struct err *err);
void identity_format(const struct identity *identity, struct buf *buf);

#endif
