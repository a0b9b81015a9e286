/*
 * Symbolic links that the kernel won't follow beneath a directory: RESOLVE_BENEATH refuses what
 * leads back inside, too, an absolute target or a ".." that passes the root. These names are
 * resolved here, a component at a time, and what comes out is opened without any link in it,
 * beneath the root or one of the directories of --follow-symlinks. So the last step decides, and
 * it holds whatever is exchanged on the way.
 *
 * For helpers: each component is asked of its file system.
 */
#ifndef HTTP_FILE_LINK_H
#define HTTP_FILE_LINK_H

#include "http/file_entry.h"

/* A directory of --follow-symlinks: links may lead into it as well. */
struct file_link_root {
	int fd;
	char *name; /* without links; "" for / */
};

#define FILE_LINK_ROOTS_MAX 16

/* Opens them. -errno with the reason in `err`. */
int file_link_open_roots(struct http_site *site, const char *const *names, unsigned count,
			 struct err *err);
void file_link_close_roots(struct http_site *site);

/* A name that the kernel said -EXDEV of: a descriptor, or -errno; -EXDEV: it leads out, and the log
 * says where to. */
int file_link_open(const struct http_site *site, const char *path, uint64_t flags);
/* Whether it is one of those. */
bool file_link_is_needed(const struct http_site *site, const char *path);
/* On a loop: the name by whatever links, with O_PATH, from the kernel's memory. For comparing
 * alone: it may lie anywhere. */
int file_link_look(const struct http_site *site, const char *path);

#endif
