/*
 * A directory listing under way, made piece by piece as the client takes it.
 *
 *     new --step--> reading --> sorting --> writing --> done
 *                      ^                       |
 *                      +--- the next part -----+     names that did not fit into memory at once
 *
 * Each step blocks (it is for helper threads), is bounded in time, and leaves a piece of text,
 * which may be empty. Steps and the sending of pieces take turns, so that the list belongs to one
 * thread at a time, and a client that reads nothing makes nothing be read.
 *
 * Memory: 16 bytes and the name for each name, one piece, one buffer of the kernel's records. All
 * lists of the process draw on one account (struct dir_list_account); when it is used up, or a
 * directory takes more than a list's share, what is in memory is sorted and written, and then the
 * reading goes on: a directory of any size is listed whole, only sorted in parts.
 *
 * Names that come and go while the list is made are in it or not, as readdir(3) has it; one that is
 * gone when its row is written is left out. Names that begin with a dot are left out unless the
 * site has them, as are links that lead out of the root or nowhere.
 */
#ifndef HTTP_DIR_LIST_H
#define HTTP_DIR_LIST_H

#include <stdatomic.h>

#include "http/core/listing.h"
#include "http/file_entry.h"

struct dir_list;

/* Of the process: zeroed at start. */
struct dir_list_account {
	_Atomic uint64_t bytes; /* of names */
	_Atomic unsigned kept;
};

struct dir_list_options {
	struct slice path; /* as for file_entry_load(); copied */
	struct http_order order;
	bool json;
	bool chunked; /* what doesn't fit into one piece is framed for Transfer-Encoding: chunked */
};

/* NULL: no memory. No system call. */
struct dir_list *dir_list_new(const struct http_site *site, const struct dir_list_options *options);
void dir_list_free(struct dir_list *list);

/* 0, or -errno: -ENOENT, -ENOTDIR, -EACCES, -ENOMEM, -EIO... The first step ends soon, also in a
 * large directory. */
int dir_list_step(struct dir_list *list);
/* What the last step wrote; the list's. */
struct slice dir_list_piece(const struct dir_list *list);
/* There is nothing behind this piece. */
bool dir_list_done(const struct dir_list *list);
/* The first piece was all, and it is not framed. */
bool dir_list_whole(const struct dir_list *list);
/* Which helpers ask its file system: helpers_submit_at(). Known after the first step. */
uint64_t dir_list_place(const struct dir_list *list);
/* "a/b": for messages. */
const char *dir_list_path(const struct dir_list *list);

/* Lists that are not whole hold memory and a descriptor for as long as their client takes: -EBUSY
 * when there are too many of them. Once a list. */
int dir_list_keep(struct dir_list *list);

#endif
