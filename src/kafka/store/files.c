#include "kafka/store/files.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <dirent.h>

#include "sys/sys.h"

#define PATH_BYTES  512
#define NAMES_BYTES 4096

/* Linux' struct linux_dirent64, getdents64(2). */
struct name_record {
	uint64_t inode;
	int64_t offset;
	uint16_t length;
	uint8_t type;
	char name[];
};

static int read_open(int fd, size_t max, char **ret, size_t *ret_len)
{
	struct stat st;
	size_t len = 0;
	char *data;
	int r = sys_fstat(fd, &st);

	if (r < 0)
		return r;
	if ((uint64_t)st.st_size > max)
		return -EFBIG;
	data = malloc((size_t)st.st_size + 1);
	if (!data)
		return -ENOMEM;
	while (len < (size_t)st.st_size) {
		ssize_t n = sys_pread(fd, data + len, (size_t)st.st_size - len, len);

		if (n < 0) {
			free(data);
			return (int)n;
		}
		if (n == 0)
			break;
		len += (size_t)n;
	}
	*ret = data;
	*ret_len = len;
	return 0;
}

int files_read(int dir, const char *path, size_t max, char **ret, size_t *ret_len)
{
	int fd = sys_openat(dir, path, O_RDONLY, 0), r;

	if (fd < 0)
		return fd;
	r = read_open(fd, max, ret, ret_len);
	sys_close(fd);
	return r;
}

int files_write_at_once(int fd, struct slice data)
{
	size_t done = 0;

	while (done < data.len) {
		ssize_t n = sys_pwrite(fd, data.ptr + done, data.len - done, done);

		if (n <= 0)
			return n < 0 ? (int)n : -EIO;
		done += (size_t)n;
	}
	return 0;
}

static int write_new(int dir, const char *path, struct slice data, bool sync)
{
	int fd = sys_openat(dir, path, O_WRONLY | O_CREAT | O_TRUNC, 0644), r;

	if (fd < 0)
		return fd;
	r = files_write_at_once(fd, data);
	if (r == 0 && sync)
		r = sys_fdatasync(fd);
	sys_close(fd);
	if (r < 0)
		(void)sys_unlinkat(dir, path, 0);
	return r;
}

int files_write_plain(int dir, const char *path, struct slice data)
{
	return write_new(dir, path, data, false);
}

int files_sync(int dir, const char *path)
{
	int fd = sys_openat(dir, path, O_RDONLY, 0), r;

	if (fd < 0)
		return fd;
	r = sys_fsync(fd);
	sys_close(fd);
	return r;
}

int files_sync_folder(int dir, const char *path)
{
	int fd = sys_openat(dir, path, O_RDONLY | O_DIRECTORY, 0), r;

	if (fd < 0)
		return fd;
	r = sys_fsync(fd);
	sys_close(fd);
	return r;
}

int files_replace(int dir, const char *path, struct slice data)
{
	char other[PATH_BYTES];
	int r;

	if (snprintf(other, sizeof(other), "%s.tmp", path) >= (int)sizeof(other))
		return -ENAMETOOLONG;
	r = write_new(dir, other, data, true);
	if (r < 0)
		return r;
	r = sys_renameat(dir, other, dir, path);
	if (r < 0)
		(void)sys_unlinkat(dir, other, 0);
	return r;
}

int files_write(int dir, const char *path, struct slice data)
{
	char folder[PATH_BYTES];
	const char *slash = strrchr(path, '/');
	int r = files_replace(dir, path, data);

	snprintf(folder, sizeof(folder), "%.*s", slash ? (int)(slash - path) : 1,
		 slash ? path : ".");
	return r == 0 ? files_sync_folder(dir, folder) : r;
}

/* ---- folders ---- */

static int each_record(const char *at, size_t len, int (*each)(void *arg, const char *name),
		       void *arg)
{
	while (len > offsetof(struct name_record, name)) {
		struct name_record record;
		const char *name = at + offsetof(struct name_record, name);
		int r = 0;

		memcpy(&record, at, offsetof(struct name_record, name));
		if (strcmp(name, ".") != 0 && strcmp(name, "..") != 0)
			r = each(arg, name);
		if (r != 0)
			return r;
		at += record.length;
		len -= record.length;
	}
	return 0;
}

int files_list(int dir, const char *path, int (*each)(void *arg, const char *name), void *arg)
{
	_Alignas(8) char names[NAMES_BYTES];
	int fd = sys_openat(dir, path, O_RDONLY | O_DIRECTORY, 0), r = 0;
	ssize_t n;

	if (fd < 0)
		return fd;
	while (r == 0 && (n = sys_getdents(fd, names, sizeof(names))) != 0)
		r = n < 0 ? (int)n : each_record(names, (size_t)n, each, arg);
	sys_close(fd);
	return r;
}

struct removal {
	int dir;
	const char *folder;
};

static int remove_one(void *arg, const char *name)
{
	struct removal *removal = arg;
	char path[PATH_BYTES];
	int r;

	if (snprintf(path, sizeof(path), "%s/%s", removal->folder, name) >= (int)sizeof(path))
		return -ENAMETOOLONG;
	r = sys_unlinkat(removal->dir, path, 0);
	return r == -ENOENT ? 0 : r;
}

int files_remove_folder(int dir, const char *path)
{
	struct removal removal = {dir, path};
	int r = files_list(dir, path, remove_one, &removal);

	return r < 0 ? r : sys_unlinkat(dir, path, AT_REMOVEDIR);
}
