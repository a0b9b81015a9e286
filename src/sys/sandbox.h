/*
 * Confinement of a server that has started: it has its listeners, its logs and its root, and needs
 * little else from here on.
 *
 *     Landlock   names below the paths given may be opened for reading (or used as is said of
 *                them), nothing else on any file system; no TCP connection out but to the ports
 *                given, no signal to other processes, no abstract socket (as far as the kernel's
 *                version knows of these)
 *     seccomp    the system calls of sandbox_calls.h; what is unknown fails with -ENOSYS and is
 *                logged by the kernel, what is hostile ends the process
 *     and no capabilities; root's process keeps its rights over files (CAP_DAC_OVERRIDE,
 *     CAP_DAC_READ_SEARCH), since these are what it was started as root for
 *
 * Why -ENOSYS and not the end: a libc that is newer than this list tries new calls and has another
 * way; a service that is killed by an update would teach people --no-sandbox. An intruder gains
 * nothing from the difference.
 *
 * Both parts hold for the calling thread and for threads that it starts later, and can't be undone:
 * call it before any other thread is started, from the main thread. Descriptors that are open stay
 * as they are. Landlock needs Linux 5.13 and its place in the lsm= list, seccomp 3.17.
 */
#ifndef SYS_SANDBOX_H
#define SYS_SANDBOX_H

#include <stdbool.h>

#include "base/err.h"

enum sandbox_access {
	SANDBOX_READ,   /* what is below a directory */
	SANDBOX_WRITE,  /* a file, or files below a directory, and new files there: for logs */
	SANDBOX_REMOVE, /* files of a directory can be unlinked: for sockets */
	SANDBOX_KEEP,   /* all that is below a directory is its own: read, written, made, renamed
			 * within its folder, cut, removed: for a store */
};

struct sandbox_path {
	int fd; /* of the file or directory, O_PATH will do */
	enum sandbox_access access;
};

#define SANDBOX_PATHS_MAX 72

#define SANDBOX_PORTS_MAX 256 /* of as many targets */

/* Calls that only some need. */
enum sandbox_need {
	SANDBOX_STORES = 1u << 0,  /* those of whoever keeps data */
	SANDBOX_CALLERS = 1u << 1, /* those of whoever connects to others */
};

struct sandbox_options {
	struct sandbox_path paths[SANDBOX_PATHS_MAX];
	unsigned count;
	uint16_t ports[SANDBOX_PORTS_MAX]; /* where connections of its own may go */
	unsigned ports_count;
	unsigned needs; /* enum sandbox_need */
};

/* What is open already, a directory mostly. */
int sandbox_add_open(struct sandbox_options *options, int fd, enum sandbox_access access);
/* The same by its name. */
int sandbox_add_folder(struct sandbox_options *options, const char *path,
		       enum sandbox_access access);
/* The directory of a file that may be replaced or made anew (a log, a socket), or the file itself
 * where it is neither regular nor missing. 0, or -errno: -ENOENT, -EACCES..., -ENOSPC when there are
 * too many. */
int sandbox_add_place(struct sandbox_options *options, const char *path,
		      enum sandbox_access access);

/* TCP connections to this port, of any address. -ENOSPC. */
int sandbox_add_port(struct sandbox_options *options, uint16_t port);

struct sandbox_report {
	int landlock;   /* the version of its interface, or why there is none: -errno */
	int seccomp;    /* how many calls are allowed, or -errno */
	bool sanitizer; /* neither: the sanitizers' own calls would need a list of their own */
};

/* Forgets what was added. */
void sandbox_close(struct sandbox_options *options);

/* Closes what was added. Fails only where a part exists and can't be used as it should be. */
int sandbox_apply(struct sandbox_options *options, struct sandbox_report *ret, struct err *err);

#endif
