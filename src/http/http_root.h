/*
 * The root of a site: the directory that its name means now.
 *
 * Build tools remove a folder and make it anew, deployments rename one over another, or point a
 * link elsewhere, or mount something there. So the name is looked up again: by a loop at each miss
 * of its cache and once in HTTP_CACHE_FRESH_MS, by what the kernel has in memory; where that does
 * not tell, by a helper, before it loads. Another directory takes the place of the old one behind
 * the same descriptor (dup3(2)), so that whoever is just resolving a name ends it in the one or
 * the other. `generation` moves then, and caches forget what they have.
 *
 *     there ──the name means nothing──> missing: 503, and a line in the log
 *       ^ │                                │
 *       │ └──another directory (logged)    │
 *       └──────────────────────────────────┘
 *
 * Landlock's rules hold for directories, not for names: what is not below what the sandbox was
 * told of can't be read (`fixed`), and is as missing.
 *
 * Any thread.
 */
#ifndef HTTP_HTTP_ROOT_H
#define HTTP_HTTP_ROOT_H

#include <limits.h>
#include <pthread.h>

#include "base/err.h"
#include "http/file_entry.h"

struct http_root {
	char name[PATH_MAX]; /* absolute, as far as that is known */
	pthread_mutex_t lock;
	/* Under the lock. */
	struct stat now;
	struct sys_mount mount;
	/* Written under the lock. */
	_Atomic uint64_t place; /* of its file system: helpers_submit_at() */
	_Atomic unsigned generation;
	_Atomic int error; /* 0, or why there is none */
	bool fixed;        /* before threads are started */
};

/* Opens site->root_fd; -errno with the reason in `err`. */
int http_root_open(const char *dir, struct http_site *site, struct err *err);
void http_root_close(struct http_site *site);

/* What the name means now. 0: there is a directory; -EAGAIN: a helper has to look; or there is
 * none: -ENODEV. */
int http_root_look(const struct http_site *site, enum file_load how);

/* The directories in which it may be replaced: above its name, and above what the name leads to.
 * How many of `ret`. 0: none that a sandbox should allow to be read as a whole. */
unsigned http_root_parents(const struct http_site *site, char ret[2][PATH_MAX]);

#endif
