/*
 * A disk that loses power.
 *
 * The functions of src/sys that change files are wrapped by the linker: what they do to the real
 * folder is written down, too, in a model that knows what is on the disk for good (synced) and what
 * is only in memory. When the power goes, every call fails, and the model gives a folder as it may
 * be found afterwards: of each file any of the writes since its last sync, each whole, torn or not
 * at all, in any order; of each folder its changes since the last sync up to some point.
 *
 * One thread. One folder at a time.
 */
#ifndef TESTS_CRASH_DISK_H
#define TESTS_CRASH_DISK_H

#include <stdbool.h>
#include <stdint.h>

/* A folder that exists and is empty, or was made by disk_recover(). */
void disk_attach(const char *folder);
/* After so many more changes the power goes; 0: never. */
void disk_fail_after(uint64_t changes);
bool disk_failed(void);
/* The next `count` writes find a full disk after some of their bytes. */
void disk_fill(unsigned count);
uint64_t disk_random(uint64_t below);
void disk_seed(uint64_t seed);
/* Makes what may be found after the power is back, in another folder, which must be empty. The model
 * is gone. */
void disk_recover(const char *into);

#endif
