/*
 * CRC-32C (Castagnoli), the checksum of Kafka's record batches, iSCSI and ext4.
 */
#ifndef BASE_CRC32C_H
#define BASE_CRC32C_H

#include "base/check.h"

/* Continues a checksum: 0 at the start, then what the last call returned. By the fastest way this
 * processor has, found at the first call. Any thread. */
uint32_t crc32c(uint32_t crc, const void *data, size_t len);

/* The ways by themselves, for tests and measurements. */
struct crc32c_way {
	const char *name;
	bool (*usable)(void);
	uint32_t (*run)(uint32_t crc, const void *data, size_t len);
};

/* The fastest first; the last one works everywhere. */
extern const struct crc32c_way crc32c_ways[];
extern const size_t crc32c_ways_count;

#endif
