/*
 * A disk that loses power, fails and fills up under a process that may be killed.
 *
 * The functions of src/sys that change files are wrapped by the linker: what they do to the real
 * folder is written down, too, in a model that knows what is on the disk for good (synced) and what
 * is only in memory. When the power goes, every call fails, and the model gives a folder as it may
 * be found afterwards: of each file any of the writes since its last sync, each whole, torn or not
 * at all, in any order; of each folder its changes since the last sync up to some point.
 *
 * A process that is killed leaves the real folder as it is, the page cache; what is not synced in it
 * may still be lost later.
 *
 * A sync that fails, as Linux does it: what it was about is on the disk or not, each change for
 * itself, and counts as clean, so that no later sync tries again; the page cache shows it all the
 * same, until the pages are dropped (POSIX_FADV_DONTNEED).
 *
 * One thread. One folder at a time.
 */
#ifndef TESTS_CRASH_DISK_H
#define TESTS_CRASH_DISK_H

#include <stdbool.h>
#include <stdint.h>

/* A folder that exists and is empty, or was made by disk_recover(). */
void disk_attach(const char *folder);
/* After so many more changes the power goes, or the process is killed: from then on every call
 * fails, a write that is under way may have been done in part or as a whole. 0: never. */
void disk_fail_after(uint64_t changes);
bool disk_failed(void);
/* The disk is full from now on, for so many writes and new names: 0: it is not. Writes to where room was
 * allocated before, and a name that takes the place of another, need nothing more. */
void disk_fill(unsigned count);
/* The same until disk_fill(0), once so many more have found room. */
void disk_fill_after(unsigned count);
/* The nth sync of a file, write into a file, cut of a file from now on fails with EIO; 0: none. */
void disk_break_sync(unsigned nth);
void disk_break_write(unsigned nth);
void disk_break_cut(unsigned nth);
/* Something was broken since the last time that this was asked. */
bool disk_broke(void);
/* Called at the beginning of each sync of a file, as another thread might come in between. NULL:
 * nobody. */
void disk_on_sync(void (*fn)(void));
uint64_t disk_random(uint64_t below);
void disk_seed(uint64_t seed);
/* After the process was killed, and all that it had open is closed: the folder is as it was. */
void disk_keep(void);
/* Makes what may be found after the power is back, in another folder, which must be empty. The model
 * is gone. */
void disk_recover(const char *into);

#endif
