/*
 * CRC-32 (IEEE 802.3), the checksum of gzip, and of Kafka's messages before record batches. Four
 * bits a step: for data that is rare.
 */
#ifndef BASE_CRC32_H
#define BASE_CRC32_H

#include "base/check.h"

/* Continues a checksum: 0 at the start, then what the last call returned. */
uint32_t crc32_ieee(uint32_t crc, const void *data, size_t len);

#endif
