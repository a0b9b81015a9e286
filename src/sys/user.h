/*
 * Another user's rights instead of root's, for good.
 */
#ifndef SYS_USER_H
#define SYS_USER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"

#define USER_GROUPS_MAX 256

struct user {
	const char *name; /* as given */
	uid_t uid;
	gid_t gid;
	gid_t groups[USER_GROUPS_MAX]; /* with gid */
	int group_count;
};

/* "NAME" or "NAME:GROUP", also as numbers. With a group named, that is the only one. -EINVAL: there
 * is no such user or group. Reads files of /etc: before any confinement. */
int user_find(const char *text, struct user *ret, struct err *err);
/* The whole process is this user from here on, without capabilities; that it can't get back is
 * tried. Before other threads are started. Nothing to do where it is this user already; -EPERM for
 * others than root. */
int user_become(const struct user *user, struct err *err);
/* The calling thread's: permitted or in effect. */
bool user_has_capabilities(void);
/* The calling thread keeps those of `keep` that it has (a bit a number, linux/capability.h) and no
 * others, for good: nothing is inherited, and the bounding set is empty as far as it has the right
 * to empty it. Before other threads are started. */
int user_drop_capabilities(uint64_t keep);

#endif
