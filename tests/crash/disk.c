#include "crash/disk.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/check.h"
#include "crash/nodes.h"
#include "sys/sys.h"

#define FDS_MAX 4096

static struct {
	char path[128];
	struct node *root;
	struct node *fds[FDS_MAX];
	uint64_t random;
	uint64_t left; /* changes until the power goes; 0: it does not */
	bool failed;
	bool fills;
	unsigned room, full, break_sync, break_write, break_cut;
	bool broke;
	void (*on_sync)(void);
} disk;

void disk_seed(uint64_t seed)
{
	disk.random = seed * UINT64_C(0x9e3779b97f4a7c15) + 1;
}

uint64_t disk_random(uint64_t below)
{
	/* splitmix64 */
	uint64_t z = disk.random += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return below ? (z ^ z >> 31) % below : 0;
}

/* The folder of a path, and its last word. NULL: not one of ours. */
static struct node *locate(int dir, const char *path, char ret_name[NAME_MAX_HERE])
{
	struct node *folder = dir >= 0 && dir < FDS_MAX ? disk.fds[dir] : NULL;
	size_t len = strlen(disk.path);
	const char *slash;

	if (dir == AT_FDCWD) {
		if (!disk.root || strncmp(path, disk.path, len) != 0)
			return NULL;
		if (path[len] == '\0') {
			strcpy(ret_name, ".");
			return disk.root;
		}
		folder = path[len] == '/' ? disk.root : NULL;
		path += len + 1;
	}
	while (folder && (slash = strchr(path, '/'))) {
		char word[NAME_MAX_HERE];
		struct entry *entry;

		snprintf(word, sizeof(word), "%.*s", (int)(slash - path), path);
		entry = node_find(&folder->live, word);
		folder = entry ? entry->node : NULL;
		path = slash + 1;
	}
	if (folder)
		snprintf(ret_name, NAME_MAX_HERE, "%s", path);
	return folder;
}

/* Whether a change may be made: not once the power is gone. */
static bool powered(void)
{
	if (disk.failed)
		return false;
	if (disk.left > 0 && --disk.left == 0) {
		disk.failed = true;
		return false;
	}
	return true;
}

void disk_fail_after(uint64_t changes)
{
	disk.left = changes;
}

bool disk_failed(void)
{
	return disk.failed;
}

void disk_fill(unsigned count)
{
	disk.full = count;
	disk.fills = false;
}

void disk_fill_after(unsigned count)
{
	disk.fills = true;
	disk.room = count;
}

void disk_break_sync(unsigned nth)
{
	disk.break_sync = nth;
}

void disk_break_write(unsigned nth)
{
	disk.break_write = nth;
}

void disk_break_cut(unsigned nth)
{
	disk.break_cut = nth;
}

bool disk_broke(void)
{
	bool broke = disk.broke;

	disk.broke = false;
	return broke;
}

void disk_on_sync(void (*fn)(void))
{
	disk.on_sync = fn;
}

static bool is_full(void)
{
	if (disk.fills && disk.room > 0)
		disk.room--;
	else if (disk.fills)
		return true;
	return disk.full > 0 && disk.full-- > 0;
}

/* True the nth time. */
static bool breaks(unsigned *nth)
{
	if (*nth == 0 || --*nth > 0)
		return false;
	disk.broke = true;
	return true;
}

/* ---- the wrappers ---- */

int __real_sys_open(const char *path, int flags, mode_t mode);
int __wrap_sys_open(const char *path, int flags, mode_t mode);
int __real_sys_openat(int dir, const char *path, int flags, mode_t mode);
int __wrap_sys_openat(int dir, const char *path, int flags, mode_t mode);
int __real_sys_close(int fd);
int __wrap_sys_close(int fd);
ssize_t __real_sys_pwrite(int fd, const void *buf, size_t len, uint64_t offset);
ssize_t __wrap_sys_pwrite(int fd, const void *buf, size_t len, uint64_t offset);
int __real_sys_ftruncate(int fd, uint64_t size);
int __wrap_sys_ftruncate(int fd, uint64_t size);
int __real_sys_fallocate(int fd, int mode, uint64_t offset, uint64_t len);
int __wrap_sys_fallocate(int fd, int mode, uint64_t offset, uint64_t len);
int __wrap_sys_fdatasync(int fd);
int __wrap_sys_fsync(int fd);
int __wrap_sys_fadvise(int fd, uint64_t offset, uint64_t len, int advice);
int __real_sys_renameat(int from_dir, const char *from, int to_dir, const char *to);
int __wrap_sys_renameat(int from_dir, const char *from, int to_dir, const char *to);
int __real_sys_unlinkat(int dir, const char *path, int flags);
int __wrap_sys_unlinkat(int dir, const char *path, int flags);
int __real_sys_mkdirat(int dir, const char *path, mode_t mode);
int __wrap_sys_mkdirat(int dir, const char *path, mode_t mode);

static int note_open(int fd, struct node *folder, const char *name, int flags)
{
	struct entry *entry;

	if (fd < 0 || !folder)
		return fd;
	CHECK(fd < FDS_MAX);
	if (strcmp(name, ".") == 0) {
		disk.fds[fd] = folder;
		return fd;
	}
	entry = node_find(&folder->live, name);
	if (!entry) {
		node_name(folder, "", name, node_new(false));
		entry = node_find(&folder->live, name);
	} else if (flags & O_TRUNC) {
		node_change(entry->node, (struct change){.truncate = true}, NULL);
	}
	disk.fds[fd] = entry->node;
	return fd;
}

int __wrap_sys_openat(int dir, const char *path, int flags, mode_t mode)
{
	char name[NAME_MAX_HERE];
	struct node *folder = locate(dir, path, name);

	if (folder && (flags & (O_CREAT | O_TRUNC)) && !powered())
		return -EIO;
	if (folder && (flags & O_CREAT) && !node_find(&folder->live, name) && is_full())
		return -ENOSPC;
	return note_open(__real_sys_openat(dir, path, flags, mode), folder, name, flags);
}

int __wrap_sys_open(const char *path, int flags, mode_t mode)
{
	char name[NAME_MAX_HERE];
	struct node *folder = locate(AT_FDCWD, path, name);

	return note_open(__real_sys_open(path, flags, mode), folder, name, flags);
}

int __wrap_sys_close(int fd)
{
	if (fd >= 0 && fd < FDS_MAX)
		disk.fds[fd] = NULL;
	return __real_sys_close(fd);
}

/* The first `len` bytes, 0 or more, reach the file. */
static ssize_t write_part(int fd, const void *buf, size_t len, uint64_t offset)
{
	if (len == 0)
		return 0;
	if (disk.fds[fd])
		node_change(disk.fds[fd], (struct change){.at = offset, .len = len}, buf);
	return __real_sys_pwrite(fd, buf, len, offset);
}

ssize_t __wrap_sys_pwrite(int fd, const void *buf, size_t len, uint64_t offset)
{
	bool before = disk.failed;

	if (!powered()) {
		if (!before)
			write_part(fd, buf, disk_random(len + 1), offset);
		return -EIO;
	}
	if (breaks(&disk.break_write)) {
		write_part(fd, buf, disk_random(len + 1), offset);
		return -EIO;
	}
	/* A disk that fills up takes some of it first. */
	if ((!disk.fds[fd] || offset + len > disk.fds[fd]->allocated) && is_full()) {
		len = disk_random(2) ? disk_random(len) : 0;
		return len > 0 ? write_part(fd, buf, len, offset) : -ENOSPC;
	}
	return write_part(fd, buf, len, offset);
}

int __wrap_sys_ftruncate(int fd, uint64_t size)
{
	if (!powered() || breaks(&disk.break_cut))
		return -EIO;
	if (disk.fds[fd])
		node_change(disk.fds[fd], (struct change){.truncate = true, .at = size}, NULL);
	if (disk.fds[fd] && disk.fds[fd]->allocated > size)
		disk.fds[fd]->allocated = size;
	return __real_sys_ftruncate(fd, size);
}

/* Behind the end of the file: what it shows does not change. */
int __wrap_sys_fallocate(int fd, int mode, uint64_t offset, uint64_t len)
{
	struct node *node = disk.fds[fd];

	CHECK(mode == FALLOC_FL_KEEP_SIZE && offset == 0);
	if (!powered())
		return -EIO;
	if (node && len > node->allocated) {
		if (is_full())
			return -ENOSPC;
		node->allocated = len;
	}
	return __real_sys_fallocate(fd, mode, offset, len);
}

int __wrap_sys_fdatasync(int fd)
{
	struct node *node = disk.fds[fd];

	if (disk.on_sync && node && !node->folder && !disk.failed)
		disk.on_sync();
	if (!powered())
		return -EIO;
	if (node && !node->folder && breaks(&disk.break_sync)) {
		node_fail_sync(node);
		return -EIO;
	}
	if (node)
		node_sync(node);
	return 0;
}

int __wrap_sys_fsync(int fd)
{
	return __wrap_sys_fdatasync(fd);
}

/* What is shown from now on: what the disk has, and what is still to be written to it. */
int __wrap_sys_fadvise(int fd, uint64_t offset, uint64_t len, int advice)
{
	struct node *node = disk.fds[fd], shown = {.folder = false};

	if (advice != POSIX_FADV_DONTNEED || !node || node->folder || disk.failed)
		return 0;
	shown.bytes = malloc(node->size + 1);
	CHECK(shown.bytes);
	memcpy(shown.bytes, node->bytes ? node->bytes : "", node->size);
	shown.size = node->size;
	shown.capacity = node->size + 1;
	for (size_t i = 0; i < node->change_count; i++)
		node_apply(&shown, &node->changes[i], node->changes[i].len);
	CHECK(__real_sys_ftruncate(fd, 0) == 0);
	CHECK(shown.size == 0 ||
	      __real_sys_pwrite(fd, shown.bytes, shown.size, 0) == (ssize_t)shown.size);
	free(shown.bytes);
	return 0;
}

int __wrap_sys_renameat(int from_dir, const char *from, int to_dir, const char *to)
{
	char from_name[NAME_MAX_HERE], to_name[NAME_MAX_HERE];
	struct node *folder = locate(from_dir, from, from_name);
	struct entry *entry;
	int r;

	if (!powered())
		return -EIO;
	if (!(folder && locate(to_dir, to, to_name) == folder &&
	      node_find(&folder->live, to_name)) &&
	    is_full())
		return -ENOSPC;
	r = __real_sys_renameat(from_dir, from, to_dir, to);
	if (r < 0 || !folder)
		return r;
	CHECK(locate(to_dir, to, to_name) == folder);
	entry = node_find(&folder->live, from_name);
	CHECK(entry);
	node_name(folder, from_name, to_name, entry->node);
	return r;
}

int __wrap_sys_unlinkat(int dir, const char *path, int flags)
{
	char name[NAME_MAX_HERE];
	struct node *folder = locate(dir, path, name);
	int r;

	if (!powered())
		return -EIO;
	r = __real_sys_unlinkat(dir, path, flags);
	if (r == 0 && folder)
		node_name(folder, name, "", NULL);
	return r;
}

int __wrap_sys_mkdirat(int dir, const char *path, mode_t mode)
{
	char name[NAME_MAX_HERE];
	struct node *folder = locate(dir, path, name);
	int r;

	if (!powered())
		return -EIO;
	if (is_full())
		return -ENOSPC;
	r = __real_sys_mkdirat(dir, path, mode);
	if (r == 0 && folder)
		node_name(folder, "", name, node_new(true));
	return r;
}

/* ---- power off, power on ---- */

void disk_attach(const char *folder)
{
	snprintf(disk.path, sizeof(disk.path), "%s", folder);
	if (!disk.root)
		disk.root = node_new(true);
	disk_keep();
}

void disk_keep(void)
{
	memset(disk.fds, 0, sizeof(disk.fds));
	disk.failed = disk.broke = false;
	disk.left = 0;
	disk.full = disk.break_sync = disk.break_write = disk.break_cut = 0;
}

void disk_recover(const char *into)
{
	if (into) {
		nodes_lose(disk.root);
		node_write_out(disk.root, into);
		disk_attach(into);
		return;
	}
	nodes_free();
	disk.root = NULL;
	disk_keep();
}
