/*
 * Watched directories: tells what changed under the root, by inotify(7), one instance a loop.
 *
 * Directories are watched from the root down, parents first, each through a descriptor that was
 * opened under the root without following links. So whatever is read after file_watch_dir() has
 * returned is either current, or an event that says otherwise is already queued.
 *
 *     event in directory D                         what is called
 *     a name that is no directory                  changed(D/name)
 *     a directory's name; D itself                 gone(dir) for every watched directory in it
 *     queue overflow, root gone                    lost()
 *
 * Not seen: stores through shared mappings, mounts, edits through another hard link, what others do
 * to a network file system. file_cache.c knows.
 *
 * One thread. No allocation but for a directory. Oldest kernel: 2.6.13.
 */
#ifndef HTTP_FILE_WATCH_H
#define HTTP_FILE_WATCH_H

#include <sys/queue.h>

#include "http/file_entry.h"

struct file_watch;

struct watched_dir {
	LIST_HEAD(, file_entry) entries; /* file_cache.c's */
	LIST_HEAD(, watched_dir) children;
	LIST_ENTRY(watched_dir) in_parent, by_path, by_wd;
	struct watched_dir *parent; /* NULL: the root */
	bool going; /* its subtree is being dropped: file_watch_release() leaves it alone */
	int wd;
	struct slice path; /* "." for the root */
};

struct file_watch_ops {
	void (*changed)(void *arg, struct slice path);
	void (*gone)(void *arg, struct watched_dir *dir);
	void (*lost)(void *arg);
};

/* -ENOMEM, -EMFILE and such; a server goes on without (every file is then asked at each request).
 */
int file_watch_new(const struct http_site *site, const struct file_watch_ops *ops, void *arg,
		   struct file_watch **ret);
void file_watch_free(struct file_watch *watch);

/* To be polled for reading; then file_watch_read(). */
int file_watch_fd(const struct file_watch *watch);
/* Handles all events that are queued now. */
void file_watch_read(struct file_watch *watch);

/* The directory of `file`, watched. Errors: it can't be (a link on the way, too many, no right to
 * read it, a file system that might wait; -EAGAIN: not now). */
int file_watch_dir(struct file_watch *watch, struct slice file, struct watched_dir **ret);
/* Stops watching it, and the parents, if nothing in them is of interest any more. */
void file_watch_release(struct file_watch *watch, struct watched_dir *dir);
/* Stops watching everything, and calls lost(). */
void file_watch_forget(struct file_watch *watch);
unsigned file_watch_count(const struct file_watch *watch);

#endif
