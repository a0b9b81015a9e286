/*
 * Which file systems a loop may ask.
 *
 * Nothing that a loop calls may wait for a file system: a FUSE daemon that hangs, a server that is
 * gone, would stop all of its connections. What a file system is, only statfs(2) tells, and that
 * asks the daemon or the server, too. So helpers find it out, with each file they load, and loops
 * look it up here by what statx(2) tells without asking: the device and the mount. What nobody has
 * found out yet is for a helper.
 *
 *     LOCAL     the kernel's own, over a local disk or memory: a loop may have it watched by
 *               inotify, compare what the kernel has in memory, and close descriptors; sendfile
 *               is told before whether it would wait
 *     LAYERED   overlayfs, whose layers nobody tells. Attributes that the kernel has are those of
 *               a layer, and are compared at each request; once a second a helper asks the layer
 *     WAITS     all others (FUSE, NFS, SMB, 9p, and what is not known by name): a loop looks at
 *               what the kernel has in memory and no more; helpers do the rest
 *
 * Any thread; slots are written and read whole.
 */
#ifndef HTTP_FILE_SYSTEM_H
#define HTTP_FILE_SYSTEM_H

#include <stdatomic.h>

#include "sys/sys.h"

enum file_system {
	FILE_SYSTEM_UNKNOWN,
	FILE_SYSTEM_WAITS,
	FILE_SYSTEM_LAYERED,
	FILE_SYSTEM_LOCAL,
};

/* Of the process: zeroed at start. Those that don't fit replace each other, and are found out
 * again. */
struct file_systems {
	_Atomic uint64_t known[64];
};

/* Without waiting. */
enum file_system file_system_known(const struct file_systems *systems, const struct stat *st,
				   const struct sys_mount *mount);
/* Asks the file system: for helpers, and for the start. `*ret_in_memory`: it never waits for a
 * disk to know a name, though the kernel can't promise it (RESOLVE_CACHED). */
enum file_system file_system_learn(struct file_systems *systems, int fd, bool *ret_in_memory);

/* Which helpers ask it (helpers_submit_at()); 0: any. */
static inline uint64_t file_system_place(enum file_system system, const struct stat *st)
{
	return system == FILE_SYSTEM_LOCAL ? 0 : (uint64_t)st->st_dev + 1;
}

#endif
