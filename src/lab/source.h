/*
 * The files that are sent: one a file system, without a name, whose beginning serves all sizes.
 */
#ifndef LAB_SOURCE_H
#define LAB_SOURCE_H

#include "lab/model.h"

struct lab_files {
	int fds[LAB_SOURCE_COUNT]; /* -1: there is none; LAB_COLD is LAB_CACHED's */
};

void files_init(struct lab_files *files);
void files_close(struct lab_files *files);

/* The file on the current file system, `size` bytes; where there is no room it is made in memory,
 * and the notes say so. -errno when that fails too. */
int files_make_cached(struct lab_files *files, uint64_t size, struct lab_result *notes,
		      struct err *err);

/* The others that `wanted` has (bit 1u << source), `size` bytes each; what can't be had is a note.
 */
void files_make_others(struct lab_files *files, uint32_t wanted, uint64_t size,
		       struct lab_result *notes);

/* A file without a name in a folder; a descriptor or -errno. */
int file_unnamed(const char *folder);
/* Fills a new file with bytes that no file system can pack, and has them written to the disk.
 * 0 or -errno. */
int file_fill(int fd, uint64_t size);

#endif
