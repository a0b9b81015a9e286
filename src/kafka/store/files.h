/*
 * Small files as a whole, and folders. Blocks.
 */
#ifndef KAFKA_STORE_FILES_H
#define KAFKA_STORE_FILES_H

#include "base/slice.h"

/* *ret: malloc'ed, to be freed. -EFBIG above `max`. */
int files_read(int dir, const char *path, size_t max, char **ret, size_t *ret_len);
/* By another name, synced, and renamed: a crash leaves the old one or the new one. On failure it is
 * the old one. */
int files_replace(int dir, const char *path, struct slice data);
/* The same, and the folder is synced as well. */
int files_write(int dir, const char *path, struct slice data);
/* From the file's beginning. */
int files_write_at_once(int fd, struct slice data);
/* As it is; neither whole nor lasting until it is synced. */
int files_write_plain(int dir, const char *path, struct slice data);
int files_sync_folder(int dir, const char *path);
/* -ENOENT: it was not there. */
int files_sync(int dir, const char *path);

/* The names in a folder, without "." and "..". What `each` returns ends it, unless 0. */
int files_list(int dir, const char *path, int (*each)(void *arg, const char *name), void *arg);

/* Unlinks what is in the folder (no folders), and the folder. */
int files_remove_folder(int dir, const char *path);

#endif
