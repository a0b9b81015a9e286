/*
 * Looking at a store's folder without opening it: what is wrong, and where. Nothing is changed, so it
 * can be done on a backup, or a file system that is mounted read-only.
 *
 * Everything is read: each batch's checksum, each index entry, each small file. Blocks.
 */
#ifndef KAFKA_STORE_CHECK_H
#define KAFKA_STORE_CHECK_H

#include "base/err.h"
#include "base/slice.h"

struct check_totals {
	uint64_t partitions, segments, batches, bytes;
	uint64_t wrong; /* things */
};

/* `tell` gets a line for each thing that is wrong, as it is found. -errno with `err`: it could not be
 * looked at: it is not there, no store, or in use. */
MUST_CHECK int store_check(const char *dir, void (*tell)(const char *line),
			   struct check_totals *ret, struct err *err);

#endif
