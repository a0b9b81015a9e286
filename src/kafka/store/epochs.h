/*
 * Which leader epoch began at which offset: leader-epoch-checkpoint.
 *
 * Both grow strictly from entry to entry. Pure; the partition's lock guards it.
 */
#ifndef KAFKA_STORE_EPOCHS_H
#define KAFKA_STORE_EPOCHS_H

#include "base/buf.h"

struct epoch_entry {
	int64_t start;
	int32_t epoch;
};

struct epochs {
	struct epoch_entry *entries;
	uint32_t count, capacity;
	bool dirty; /* not yet in the file */
};

void epochs_fini(struct epochs *epochs);
/* Room for one more, so that epochs_assign() can't fail. -ENOMEM. */
int epochs_reserve(struct epochs *epochs);
/* A batch of this epoch begins here. Older epochs than the latest are not news. */
void epochs_assign(struct epochs *epochs, int32_t epoch, int64_t offset);
/* -1: none. */
int32_t epochs_latest(const struct epochs *epochs);
/* The log ends at `end`, or begins at `start`, now. */
void epochs_cut_end(struct epochs *epochs, int64_t end);
void epochs_cut_start(struct epochs *epochs, int64_t start);
/* Later epochs than this one are not known any more. */
void epochs_cut_later(struct epochs *epochs, int32_t epoch);
/* See partition_epoch_end(). */
void epochs_end_of(const struct epochs *epochs, int32_t epoch, int64_t log_end, int32_t *ret_epoch,
		   int64_t *ret_end);
/* The epoch of an offset; -1. */
int32_t epochs_of(const struct epochs *epochs, int64_t offset);

#define EPOCHS_TEXT_ENTRY 33u /* bytes an entry takes at most */

void epochs_format(const struct epochs *epochs, struct buf *buf);
/* -EBADMSG, -ENOMEM: then there are none. */
int epochs_parse(struct epochs *epochs, struct slice text);

#endif
