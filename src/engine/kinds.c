/*
 * What a descriptor is, as a sink and as a source: asked once, when it is handed to a chain.
 */
#include <errno.h>
#include <linux/magic.h>
#include <linux/tls.h>

#include "engine/chain_internal.h"

/* Whether the kernel encrypts what is sent: only a socket with keys for sending has a version and a
 * cipher to tell (4.13; ENOPROTOOPT or the like of every other one). */
static bool sink_socket_encrypts(int fd)
{
	return sys_getsockopt_int(fd, SOL_TLS, TLS_TX) > 0;
}

static int sink_kind_of_socket(int fd, enum sink_kind *ret)
{
	int domain = sys_getsockopt_int(fd, SOL_SOCKET, SO_DOMAIN);
	int type = sys_getsockopt_int(fd, SOL_SOCKET, SO_TYPE);

	if (domain < 0)
		return domain;
	if (type < 0)
		return type;
	if (type == SOCK_STREAM && (domain == AF_INET || domain == AF_INET6))
		*ret = sink_socket_encrypts(fd) ? SINK_KTLS : SINK_TCP;
	else if (type == SOCK_STREAM && domain == AF_UNIX)
		*ret = SINK_UNIX;
	else
		*ret = SINK_OTHER;
	return 0;
}

int sink_kind_of(int fd, enum sink_kind *ret)
{
	struct stat st;
	int flags = sys_get_flags(fd);
	int r;

	if (flags < 0)
		return flags;
	if ((flags & O_ACCMODE) == O_RDONLY)
		return -EBADF;
	r = sys_fstat(fd, &st);
	if (r < 0)
		return r;
	if (S_ISSOCK(st.st_mode))
		return sink_kind_of_socket(fd, ret);
	if (S_ISDIR(st.st_mode))
		return -EISDIR;
	if (S_ISREG(st.st_mode))
		*ret = flags & O_APPEND ? SINK_APPEND : SINK_FILE;
	else
		*ret = S_ISFIFO(st.st_mode) ? SINK_PIPE : SINK_OTHER;
	return 0;
}

/* File systems that make the text of a file at each read, whatever size they claim: there is no
 * page that could go by reference (copy_splice_read, fs/splice.c). */
static bool source_is_generated(int fd)
{
	long magic;

	if (sys_statfs_type(fd, &magic) < 0)
		return false;
	switch (magic) {
	case SYSFS_MAGIC:
	case PROC_SUPER_MAGIC:
	case DEBUGFS_MAGIC:
	case TRACEFS_MAGIC:
	case SECURITYFS_MAGIC:
	case CGROUP_SUPER_MAGIC:
	case CGROUP2_SUPER_MAGIC:
		return true;
	default:
		return false;
	}
}

int source_kind_of_stat(int fd, const struct stat *st, enum source_kind *ret)
{
	if (S_ISDIR(st->st_mode))
		return -EISDIR;
	if (S_ISREG(st->st_mode))
		/* sysfs claims a page and has no blocks; so has a file that is all hole. */
		*ret = st->st_size == 0 || (st->st_blocks == 0 && source_is_generated(fd))
			   ? SOURCE_PSEUDO
			   : SOURCE_FILE;
	else if (S_ISFIFO(st->st_mode))
		*ret = SOURCE_PIPE;
	else
		*ret = S_ISSOCK(st->st_mode) ? SOURCE_SOCKET : SOURCE_OTHER;
	return 0;
}

static bool sink_could_block(int fd, enum sink_kind kind)
{
	struct stat st;

	if (kind == SINK_FILE || kind == SINK_APPEND)
		return false;
	if (kind != SINK_OTHER)
		return true;
	return sys_is_terminal(fd) || (sys_fstat(fd, &st) == 0 && S_ISSOCK(st.st_mode));
}

bool sink_would_block(uint32_t flags, int fd, enum sink_kind kind)
{
	return !(flags & LEAT_MAY_BLOCK) && sink_could_block(fd, kind) &&
	       !(sys_get_flags(fd) & O_NONBLOCK);
}
