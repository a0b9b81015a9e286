/*
 * What Kafka's metadata log says, record by record: topics with their partitions and settings, which
 * producer ids were given away, the broker's own settings. As much of it as a directory of one node
 * needs; what else there is (access rights, quotas, features) is passed over.
 *
 * Each fact knows the offset of the record that it comes from, so that one can tell what was said
 * since some time.
 *
 * Pure.
 */
#ifndef KAFKA_STORE_IMAGE_H
#define KAFKA_STORE_IMAGE_H

#include "kafka/wire/message.h"

struct image_setting {
	char *name;
	char *value; /* NULL: it was taken away */
	int64_t at;
};

struct image_settings {
	struct image_setting *list;
	uint32_t count, capacity;
};

struct image_topic {
	struct kafka_uuid id;
	char *name;
	int64_t made; /* at this offset */
	int32_t partitions;
	int32_t *leader_epochs; /* of each partition; -1: not known */
	int32_t capacity;       /* of leader_epochs */
	bool here;              /* our node has partitions of it */
	struct image_settings settings;
};

struct image {
	int32_t node_id;
	struct image_topic *topics; /* in no order */
	size_t topic_count, topic_capacity;
	size_t last; /* where the last search ended: the next one begins there */
	struct kafka_uuid *removed;
	size_t removed_count, removed_capacity;
	struct image_settings broker; /* of all brokers, and of ours */
	int64_t next_producer_id;     /* 0: none was given away */
	int64_t broker_epoch;         /* our node's last registration; -1: there is none */
	bool others;                  /* there are other brokers than ours */
	int64_t end;                  /* the offset behind all that was read: set by the reader */
	bool in_transaction;
	struct {
		char *bytes;
		size_t len, size;
	} pending; /* records of a transaction that has not ended */
};

void image_init(struct image *image, int32_t node_id);
void image_fini(struct image *image);

/* The value of the record at an offset. -EBADMSG: it makes no sense here; -EPROTONOSUPPORT: it is of
 * a version that we do not know; -ENOMEM. Then the image is of no use any more. */
int image_apply(struct image *image, int64_t offset, struct slice value);

/* NULL: there is none of the name. */
struct image_topic *image_topic(struct image *image, struct slice name);
bool image_was_removed(const struct image *image, const struct kafka_uuid *id);

#endif
