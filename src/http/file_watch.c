#include "http/file_watch.h"

#include <errno.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/inotify.h>

#include "base/counter.h"
#include "base/hash.h"
#include "http/http_limits.h"
#include "sys/sys.h"

#define WATCH_MASK                                                                     \
	(IN_MODIFY | IN_ATTRIB | IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | \
	 IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR)

#define WATCH_BUCKETS 1024u /* a power of two */
#define READ_BYTES    (16u * 1024u)
/* More than the kernel queues (fs.inotify.max_queued_events, 16384 of up to 272 bytes): whoever
 * makes events faster than they are read gets all entries dropped instead. */
#define READ_ROUNDS 512

LIST_HEAD(watched_dirs, watched_dir);

struct file_watch {
	const struct http_site *site;
	struct file_watch_ops ops;
	void *arg;
	int fd;
	uint64_t count;           /* counter.h: read by other threads */
	struct watched_dir *root; /* NULL: gone */
	struct watched_dirs by_path[WATCH_BUCKETS], by_wd[WATCH_BUCKETS];
	_Alignas(struct inotify_event) char events[READ_BYTES];
};

static struct watched_dirs *path_bucket(struct file_watch *watch, struct slice path)
{
	return &watch->by_path[hash_slice(path) & (WATCH_BUCKETS - 1)];
}

static struct watched_dirs *wd_bucket(struct file_watch *watch, int wd)
{
	return &watch->by_wd[(unsigned)wd & (WATCH_BUCKETS - 1)];
}

static struct watched_dir *find_path(struct file_watch *watch, struct slice path)
{
	struct watched_dir *dir;

	LIST_FOREACH(dir, path_bucket(watch, path), by_path)
	if (slice_eq(dir->path, path))
		return dir;
	return NULL;
}

static struct watched_dir *find_wd(struct file_watch *watch, int wd)
{
	struct watched_dir *dir;

	LIST_FOREACH(dir, wd_bucket(watch, wd), by_wd)
	if (dir->wd == wd)
		return dir;
	return NULL;
}

/* ---- watching and leaving directories ---- */

/* inotify_add_watch(2) asks whether we may read it: on a file system that a loop may ask. */
static int check_local(struct file_watch *watch, int fd)
{
	enum file_system system;
	struct stat st;
	int r = file_stat(watch->site, fd, FILE_LOAD_CACHED, &st, &system);

	if (r < 0)
		return r;
	return system == FILE_SYSTEM_LOCAL ? 0 : -EOPNOTSUPP;
}

static int open_dir(struct file_watch *watch, struct slice path)
{
	char name[PATH_MAX];
	int fd, r;

	if (path.len >= sizeof(name))
		return -ENAMETOOLONG;
	memcpy(name, path.ptr, path.len);
	name[path.len] = '\0';
	fd = file_open_beneath(watch->site, name, O_PATH | O_DIRECTORY, RESOLVE_NO_SYMLINKS,
			       FILE_LOAD_CACHED);
	if (fd < 0)
		return fd;
	r = check_local(watch, fd);
	if (r < 0)
		sys_close(fd);
	return r < 0 ? r : fd;
}

/* The directory that a descriptor refers to: inotify takes names only. */
static int watch_fd(struct file_watch *watch, int fd)
{
	char name[32];

	snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
	return sys_inotify_add(watch->fd, name, WATCH_MASK);
}

static struct watched_dir *dir_new(struct file_watch *watch, struct watched_dir *parent,
				   struct slice path, int wd)
{
	struct watched_dir *dir = malloc(sizeof(*dir) + path.len);

	if (!dir)
		return NULL;
	*dir = (struct watched_dir){.parent = parent, .wd = wd};
	memcpy(dir + 1, path.ptr, path.len);
	dir->path = slice_make((char *)(dir + 1), path.len);
	LIST_INSERT_HEAD(path_bucket(watch, path), dir, by_path);
	LIST_INSERT_HEAD(wd_bucket(watch, wd), dir, by_wd);
	if (parent)
		LIST_INSERT_HEAD(&parent->children, dir, in_parent);
	counter_add(&watch->count, 1);
	return dir;
}

static int watch_dir(struct file_watch *watch, struct watched_dir *parent, struct slice path,
		     struct watched_dir **ret)
{
	struct watched_dir *dir;
	int fd, wd;

	if (watch->count >= HTTP_CACHE_WATCHES)
		return -ENOSPC;
	fd = open_dir(watch, path);
	if (fd < 0)
		return fd;
	wd = watch_fd(watch, fd);
	sys_close(fd);
	if (wd < 0)
		return wd;
	/* A watch is one per directory, whatever its names: it belongs to the name that had it
	 * first (a bind mount, or a rename whose event is still queued). */
	if (find_wd(watch, wd))
		return -EEXIST;
	dir = dir_new(watch, parent, path, wd);
	if (!dir) {
		sys_inotify_remove(watch->fd, wd);
		return -ENOMEM;
	}
	*ret = dir;
	return 0;
}

/* `kernel_forgot`: the watch is gone already. */
static void dir_free(struct file_watch *watch, struct watched_dir *dir, bool kernel_forgot)
{
	CHECK(LIST_EMPTY(&dir->entries) && LIST_EMPTY(&dir->children));
	if (!kernel_forgot)
		sys_inotify_remove(watch->fd, dir->wd);
	LIST_REMOVE(dir, by_path);
	LIST_REMOVE(dir, by_wd);
	if (dir->parent)
		LIST_REMOVE(dir, in_parent);
	if (dir == watch->root)
		watch->root = NULL;
	counter_add(&watch->count, -1ull);
	free(dir);
}

int file_watch_dir(struct file_watch *watch, struct slice file, struct watched_dir **ret)
{
	struct watched_dir *dir, *child;
	int r = 0;

	if (!watch->root)
		r = watch_dir(watch, NULL, SLICE_LITERAL("."), &watch->root);
	if (r < 0)
		return r;
	dir = watch->root;
	for (size_t at = 0; at < file.len; at++) {
		struct slice path = slice_make(file.ptr, at);

		if (file.ptr[at] != '/')
			continue;
		child = find_path(watch, path);
		if (!child)
			r = watch_dir(watch, dir, path, &child);
		if (r < 0) {
			file_watch_release(watch, dir);
			return r;
		}
		dir = child;
	}
	*ret = dir;
	return 0;
}

void file_watch_release(struct file_watch *watch, struct watched_dir *dir)
{
	while (dir->parent && !dir->going && LIST_EMPTY(&dir->entries) &&
	       LIST_EMPTY(&dir->children)) {
		struct watched_dir *parent = dir->parent;

		dir_free(watch, dir, false);
		dir = parent;
	}
}

/* ---- events ---- */

/* Leaves first, without recursion: names nest 2048 deep. `kernel_forgot` is about `top`. */
static void drop_tree(struct file_watch *watch, struct watched_dir *top, bool kernel_forgot)
{
	struct watched_dir *dir = top, *above = top->parent, *parent;

	for (;;) {
		while (!LIST_EMPTY(&dir->children))
			dir = LIST_FIRST(&dir->children);
		parent = dir->parent;
		dir->going = true;
		watch->ops.gone(watch->arg, dir);
		dir_free(watch, dir, dir == top && kernel_forgot);
		if (dir == top)
			break;
		dir = parent;
	}
	if (above)
		file_watch_release(watch, above);
}

void file_watch_forget(struct file_watch *watch)
{
	watch->ops.lost(watch->arg);
	if (watch->root)
		drop_tree(watch, watch->root, false);
}

/* "dir/name" in `buf`; false: longer than any path we'd serve. */
static bool join(const struct watched_dir *dir, const char *name, char buf[PATH_MAX],
		 struct slice *ret)
{
	size_t dir_len = dir->parent ? dir->path.len + 1 : 0, name_len = strlen(name);

	if (dir_len + name_len >= PATH_MAX)
		return false;
	if (dir_len) {
		memcpy(buf, dir->path.ptr, dir_len - 1);
		buf[dir_len - 1] = '/';
	}
	memcpy(buf + dir_len, name, name_len + 1);
	*ret = slice_make(buf, dir_len + name_len);
	return true;
}

static void name_event(struct file_watch *watch, struct watched_dir *dir, const char *name,
		       uint32_t mask)
{
	char buf[PATH_MAX];
	struct watched_dir *child;
	struct slice path;

	if (!join(dir, name, buf, &path))
		return;
	if (!(mask & IN_ISDIR)) {
		watch->ops.changed(watch->arg, path);
		return;
	}
	child = find_path(watch, path);
	if (child)
		drop_tree(watch, child, false);
}

static void handle_event(struct file_watch *watch, const struct inotify_event *event)
{
	struct watched_dir *dir;

	if (event->mask & IN_Q_OVERFLOW) {
		file_watch_forget(watch);
		return;
	}
	/* Unknown: of a directory that was left, whose entries were dropped with it. */
	dir = find_wd(watch, event->wd);
	if (!dir)
		return;
	if (event->len)
		name_event(watch, dir, event->name, event->mask);
	else
		drop_tree(watch, dir, event->mask & IN_IGNORED);
}

void file_watch_read(struct file_watch *watch)
{
	for (int round = 0; round < READ_ROUNDS; round++) {
		ssize_t n = sys_read(watch->fd, watch->events, sizeof(watch->events));

		if (n == -EAGAIN)
			return;
		if (n <= 0) /* events are lost: nothing of what is kept can be trusted */
			break;
		for (const char *at = watch->events; at < watch->events + n;) {
			const struct inotify_event *event = (const void *)at;

			handle_event(watch, event);
			at += sizeof(*event) + event->len;
		}
	}
	file_watch_forget(watch);
}

/* ---- life ---- */

int file_watch_new(const struct http_site *site, const struct file_watch_ops *ops, void *arg,
		   struct file_watch **ret)
{
	struct file_watch *watch = calloc(1, sizeof(*watch));
	int fd;

	if (!watch)
		return -ENOMEM;
	fd = sys_inotify_init();
	if (fd < 0) {
		free(watch);
		return fd;
	}
	watch->site = site;
	watch->ops = *ops;
	watch->arg = arg;
	watch->fd = fd;
	*ret = watch;
	return 0;
}

void file_watch_free(struct file_watch *watch)
{
	if (!watch)
		return;
	if (watch->root)
		drop_tree(watch, watch->root, false);
	sys_close(watch->fd);
	free(watch);
}

int file_watch_fd(const struct file_watch *watch)
{
	return watch->fd;
}

unsigned file_watch_count(const struct file_watch *watch)
{
	return (unsigned)counter_get(&watch->count);
}
