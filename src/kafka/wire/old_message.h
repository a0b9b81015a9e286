/*
 * Messages of formats 0 and 1 (magic), as Kafka wrote them before 0.11. Nobody may send them any
 * more, but segments that a Kafka has left may have them, and consumers get them as they are: every
 * client that speaks Fetch 4 reads all formats.
 *
 *     0 offset     8      16 magic       1      (format 1) 18 timestamp 8
 *     8 length     4      17 attributes  1      then key 4 + n, value 4 + n
 *    12 CRC-32 of what follows it
 *
 * A compressed one has others inside, and the offset of its last. Pure; any thread.
 */
#ifndef KAFKA_WIRE_OLD_MESSAGE_H
#define KAFKA_WIRE_OLD_MESSAGE_H

#include "kafka/wire/record_batch.h"

/* What the shortest has, and as much as is looked at for taking one. */
#define OLD_MESSAGE_HEADER 26

/* `start`: at least OLD_MESSAGE_HEADER bytes, of magic 0 or 1, of one that is `length` bytes long.
 * As a batch of one record, of no producer and no epoch; its records are not to be looked at. */
void old_message_load(const char *start, int64_t length, struct record_batch *ret);
/* It is whole: its lengths add up and its checksum is right. */
bool old_message_check(struct slice message);

static inline bool record_batch_is_old(const struct record_batch *batch)
{
	return batch->magic < 2;
}

#endif
