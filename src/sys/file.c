#include "sys/sys.h"

#include <errno.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>

int sys_open(const char *path, int flags, mode_t mode)
{
	return sys_openat(AT_FDCWD, path, flags, mode);
}

int sys_openat(int dir, const char *path, int flags, mode_t mode)
{
	int fd;

	do
		fd = openat(dir, path, flags | O_CLOEXEC, mode);
	while (fd < 0 && errno == EINTR);
	return fd < 0 ? -errno : fd;
}

int sys_openat2(int dir, const char *path, uint64_t flags, uint64_t mode, uint64_t resolve)
{
	struct open_how how = {.flags = flags | O_CLOEXEC, .mode = mode, .resolve = resolve};
	long fd;

	/* EAGAIN: a rename or mount raced with a RESOLVE_BENEATH walk through ".." (openat2(2)). Of
	 * RESOLVE_CACHED it is the answer. */
	for (int tries = 0; tries < 32; tries++) {
		fd = syscall(SYS_openat2, dir, path, &how, sizeof(how));
		if (fd >= 0 || (errno != EINTR && errno != EAGAIN))
			break;
		if (errno == EAGAIN && (resolve & RESOLVE_CACHED))
			break;
	}
	return fd < 0 ? -errno : (int)fd;
}

int sys_close(int fd)
{
	/* Linux has released the descriptor even when close says EINTR: never again. */
	return close(fd) < 0 && errno != EINTR ? -errno : 0;
}

int sys_fstat(int fd, struct stat *ret)
{
	return fstat(fd, ret) < 0 ? -errno : 0;
}

int sys_fstatat(int dir, const char *path, struct stat *ret, int flags)
{
	return fstatat(dir, path, ret, flags) < 0 ? -errno : 0;
}

#ifndef STATX_MNT_ID
#define STATX_MNT_ID 0x1000u /* 5.8 */
#endif
#ifndef STATX_MNT_ID_UNIQUE
#define STATX_MNT_ID_UNIQUE 0x4000u /* 6.8 */
#endif

static struct timespec timespec_of(const struct statx_timestamp *t)
{
	return (struct timespec){.tv_sec = t->tv_sec, .tv_nsec = t->tv_nsec};
}

int sys_stat_cached(int dir, const char *path, struct stat *ret, struct sys_mount *ret_mount)
{
	struct statx x;

	if (statx(dir, path, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW | AT_STATX_DONT_SYNC,
		  STATX_BASIC_STATS | STATX_MNT_ID | STATX_MNT_ID_UNIQUE, &x) < 0)
		return -errno;
	*ret = (struct stat){
	    .st_dev = makedev(x.stx_dev_major, x.stx_dev_minor),
	    .st_ino = x.stx_ino,
	    .st_mode = x.stx_mode,
	    .st_nlink = x.stx_nlink,
	    .st_uid = x.stx_uid,
	    .st_gid = x.stx_gid,
	    .st_size = (off_t)x.stx_size,
	    .st_mtim = timespec_of(&x.stx_mtime),
	    .st_ctim = timespec_of(&x.stx_ctime),
	};
	*ret_mount = (struct sys_mount){
	    .id = x.stx_mask & (STATX_MNT_ID | STATX_MNT_ID_UNIQUE) ? x.stx_mnt_id : 0,
	    .unique = x.stx_mask & STATX_MNT_ID_UNIQUE,
	};
	return 0;
}

int sys_statfs_type(int fd, long *ret_magic)
{
	struct statfs fs;

	if (fstatfs(fd, &fs) < 0)
		return -errno;
	*ret_magic = (long)fs.f_type;
	return 0;
}

int sys_statfs_bytes(int fd, uint64_t *ret_total, uint64_t *ret_usable)
{
	struct statfs fs;

	if (fstatfs(fd, &fs) < 0)
		return -errno;
	*ret_total = (uint64_t)fs.f_blocks * (uint64_t)fs.f_bsize;
	*ret_usable = (uint64_t)fs.f_bavail * (uint64_t)fs.f_bsize;
	return 0;
}

int sys_getcwd(char *ret, size_t size)
{
	return getcwd(ret, size) ? 0 : -errno;
}

int sys_readlink(const char *path, char *ret, size_t size)
{
	ssize_t n = readlinkat(AT_FDCWD, path, ret, size);

	return n < 0 ? -errno : (int)n;
}

int64_t sys_lseek(int fd, int64_t offset, int whence)
{
	off_t r = lseek(fd, offset, whence);

	return r < 0 ? -errno : r;
}

int sys_ftruncate(int fd, uint64_t size)
{
	int r;

	do
		r = ftruncate(fd, (off_t)size);
	while (r < 0 && errno == EINTR);
	return r < 0 ? -errno : 0;
}

int sys_fallocate(int fd, int mode, uint64_t offset, uint64_t len)
{
	int r;

	do
		r = fallocate(fd, mode, (off_t)offset, (off_t)len);
	while (r < 0 && errno == EINTR);
	return r < 0 ? -errno : 0;
}

int sys_fdatasync(int fd)
{
	int r;

	do
		r = fdatasync(fd);
	while (r < 0 && errno == EINTR);
	return r < 0 ? -errno : 0;
}

int sys_fsync(int fd)
{
	int r;

	do
		r = fsync(fd);
	while (r < 0 && errno == EINTR);
	return r < 0 ? -errno : 0;
}

int sys_lock_file(int fd)
{
	struct flock all = {.l_type = F_WRLCK, .l_whence = SEEK_SET};

	if (fcntl(fd, F_OFD_SETLK, &all) == 0)
		return 0;
	return errno == EACCES ? -EAGAIN : -errno;
}

int sys_unlink(const char *path)
{
	return sys_unlinkat(AT_FDCWD, path, 0);
}

int sys_unlinkat(int dir, const char *path, int flags)
{
	return unlinkat(dir, path, flags) < 0 ? -errno : 0;
}

int sys_renameat(int from_dir, const char *from, int to_dir, const char *to)
{
	return renameat(from_dir, from, to_dir, to) < 0 ? -errno : 0;
}

int sys_mkdirat(int dir, const char *path, mode_t mode)
{
	return mkdirat(dir, path, mode) < 0 ? -errno : 0;
}

int sys_dup_cloexec(int fd)
{
	int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);

	return copy < 0 ? -errno : copy;
}

int sys_get_flags(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	return flags < 0 ? -errno : flags;
}

int sys_set_nonblock(int fd, bool on)
{
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0)
		return -errno;
	flags = on ? flags | O_NONBLOCK : flags & ~O_NONBLOCK;
	return fcntl(fd, F_SETFL, flags) < 0 ? -errno : 0;
}

int sys_set_cloexec(int fd)
{
	return fcntl(fd, F_SETFD, FD_CLOEXEC) < 0 ? -errno : 0;
}

int sys_clear_cloexec(int fd)
{
	return fcntl(fd, F_SETFD, 0) < 0 ? -errno : 0;
}

bool sys_is_terminal(int fd)
{
	return isatty(fd) == 1;
}

ssize_t sys_getdents(int fd, void *buf, size_t len)
{
	long n;

	do
		n = syscall(SYS_getdents64, fd, buf, len);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n;
}

int sys_fadvise(int fd, uint64_t offset, uint64_t len, int advice)
{
	return -posix_fadvise(fd, (off_t)offset, (off_t)len, advice);
}

/* Debian 12's headers are older than cachestat(2): Linux 6.5, include/uapi/linux/mman.h. */
#ifndef SYS_cachestat
#define SYS_cachestat 451
#endif

struct kernel_cachestat_range {
	uint64_t off;
	uint64_t len;
};

struct kernel_cachestat {
	uint64_t cached, dirty, writeback, evicted, recently_evicted;
};

int64_t sys_cached_pages(int fd, uint64_t offset, uint64_t len)
{
	struct kernel_cachestat_range range = {offset, len};
	struct kernel_cachestat stat;

	if (syscall(SYS_cachestat, fd, &range, &stat, 0) < 0)
		return -errno;
	return (int64_t)stat.cached;
}

int sys_memfd(const char *name, unsigned flags)
{
	int fd = memfd_create(name, flags | MFD_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

void *sys_mmap(size_t len, int prot, int flags, int fd, uint64_t offset, int *ret_error)
{
	void *addr = mmap(NULL, len, prot, flags, fd, (off_t)offset);

	if (addr == MAP_FAILED) {
		*ret_error = -errno;
		return NULL;
	}
	return addr;
}

int sys_munmap(void *addr, size_t len)
{
	return munmap(addr, len) < 0 ? -errno : 0;
}

int sys_madvise(void *addr, size_t len, int advice)
{
	return madvise(addr, len, advice) < 0 ? -errno : 0;
}

int sys_inotify_init(void)
{
	int fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);

	return fd < 0 ? -errno : fd;
}

int sys_inotify_add(int fd, const char *path, uint32_t mask)
{
	int watch = inotify_add_watch(fd, path, mask);

	return watch < 0 ? -errno : watch;
}

int sys_inotify_remove(int fd, int watch)
{
	return inotify_rm_watch(fd, watch) < 0 ? -errno : 0;
}
